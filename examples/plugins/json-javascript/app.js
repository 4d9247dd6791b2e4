// Health check `json-javascript`: asks a URL for JSON, and passes when everything that is expected of the document holds.

import { denied, plugin, problems, settings, text } from "./hostler.js";
import { get } from "./http.js";
import { judge, wrongExpectation } from "./judge.js";

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["url", "expect"],
  properties: {
    url: { type: "string", pattern: "^https?://[^/@]+", description: "What to ask, with GET." },
    expect: {
      type: "array",
      minItems: 1,
      description: "What has to hold, each at a place of the document (a JSON pointer).",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["at"],
        properties: {
          at: { type: "string", pattern: "^(/.*)?$", description: "A JSON pointer: `/queue/length`; empty for the whole document." },
          equals: { description: "Any JSON value, compared deeply." },
          at_least: { type: "number" },
          at_most: { type: "number" },
          matches: { type: "string", format: "regex", description: "Of a text: a regular expression somewhere in it." },
          length_at_least: { type: "integer", minimum: 0, description: "Of a text or a list." },
          warn: { type: "boolean", default: false, description: "What does not hold is a warning: the service is degraded, not unhealthy." },
        },
      },
    },
  },
  examples: [{ url: "http://127.0.0.1:8080/health", expect: [{ at: "/status", equals: "ok" }] }],
};
const SHAPE = { url: { type: "string" }, expect: { type: "array" } };

export const healthCheck = plugin({
  describe: () => ({
    name: "json-javascript",
    version: "0.1.0",
    summary: "Passes when a JSON document says what is expected of it.",
    configSchema: '{"type": "object", "additionalProperties": false}',
    checkSchema: JSON.stringify(SCHEMA),
    needs: [["http", "asks the urls that checks name"]],
  }),

  validate(given) {
    const { values, wrong } = problems(given, SHAPE);
    wrong.push(...(values.expect ?? []).flatMap(wrongExpectation));
    if (values.url !== undefined && !/^https?:\/\/[^/@?#]+/.test(values.url)) {
      wrong.push({ at: "/url", message: "is no url of http or https", hint: "begin it with http:// or https://" });
    }
    if (wrong.length > 0) throw wrong;
  },

  check(target, given, deadline) {
    const { url, expect } = settings(given, SHAPE);
    const answer = get(url, deadline);
    if (answer.trouble === "denied") throw denied(`${url}: the grants do not cover it`);
    if (answer.trouble) return { verdict: answer.trouble, message: `${url}: ${answer.why}`, details: [] };
    const details = [["status", `${answer.status}`]];
    if (answer.status !== 200) return { verdict: "fail", message: `${url}: answered ${answer.status}`, details };
    let document;
    try {
      document = JSON.parse(text(answer.body));
    } catch {
      // not a word of the answer: it may be anything
      return { verdict: "fail", message: `${url}: the answer is not JSON`, details };
    }
    return { ...judge(document, expect, url), details };
  },
});

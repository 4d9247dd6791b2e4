import assert from "node:assert/strict";
import { test } from "node:test";

import { at, judge } from "../judge.js";

const DOCUMENT = { status: "ok", queue: { length: 3, "a/b": null }, workers: [{ state: "idle" }, { state: "busy" }] };
const verdict = (...expectations) => judge(DOCUMENT, expectations, "u").verdict;

test("a pointer finds what is there and nothing else", () => {
  assert.equal(at(DOCUMENT, "/queue/length"), 3);
  assert.equal(at(DOCUMENT, "/queue/a~1b"), null);
  assert.equal(at(DOCUMENT, "/workers/1/state"), "busy");
  assert.equal(at(DOCUMENT, ""), DOCUMENT);
  for (const nothing of ["/nothing", "/status/length", "/workers/-1", "/workers/01", "/constructor", "/queue/a~1b/c"]) {
    assert.equal(at(DOCUMENT, nothing), undefined, nothing);
  }
});

test("every rule holds or does not", () => {
  for (const [at, rule, good, bad] of [
    ["/status", "equals", "ok", "Ok"],
    ["/workers", "equals", [{ state: "idle" }, { state: "busy" }], [{ state: "idle" }]],
    ["/queue/length", "at_least", 3, 4],
    ["/queue/length", "at_most", 3, 2],
    ["/status", "matches", "^o", "^k"],
    ["/workers", "length_at_least", 2, 3],
  ]) {
    assert.equal(verdict({ at, [rule]: good }), "pass", `${at} ${rule}`);
    assert.equal(verdict({ at, [rule]: bad }), "fail", `${at} ${rule}`);
  }
  assert.equal(verdict({ at: "/status", at_least: 0 }), "fail", "a text is no number");
});

test("what only warns never hides what fails", () => {
  const warns = { at: "/queue/length", at_most: 1, warn: true };
  assert.equal(verdict(warns), "warn");
  assert.equal(verdict(warns, { at: "/status", equals: "down" }), "fail");
});

test("a message has no word of the document", () => {
  const { message } = judge({ secret: "hunter2" }, [{ at: "/secret", equals: "x" }], "u");
  assert.equal(message, "u: /secret is something else than it should be");
});

test("settings are refused by their place", async () => {
  host["wasi:http/types@0.2.12"];
  const { healthCheck } = await import("../app.js");
  const wrong = (settings) => {
    try {
      healthCheck.validate(JSON.stringify(settings));
    } catch (problems) {
      return problems.map(({ at }) => at);
    }
    return [];
  };
  assert.deepEqual(wrong({ url: "http://x/", expect: [{ at: "/a", matches: "(" }] }), ["/expect/0/matches"]);
  assert.deepEqual(wrong({ url: "ftp://x", expect: [] }), ["/url"]);
  assert.deepEqual(wrong({ url: "http://x/", expects: [] }), ["/expects", "/expect"]);
});

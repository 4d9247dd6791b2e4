// One GET over wasi:http, within a deadline. What went wrong is told by what it means: `fail` is the target's, `unknown` the check's own.

import outgoing from "wasi:http/outgoing-handler@0.2.12";
import types from "wasi:http/types@0.2.12";
import clock from "wasi:clocks/monotonic-clock@0.2.12";
import poll from "wasi:io/poll@0.2.12";

/** More than this of an answer is not read; no health document is larger. */
const MOST = 1 << 20;

/** `{ status, body }`, or `{ trouble: "fail" | "unknown" | "denied", why }`. */
export function get(url, deadlineMs) {
  // a little less than there is: the host ends the call at the deadline, and would say nothing of the target
  const limit = deadlineMs - Math.min(deadlineMs / 20, 100);
  const over = clock.subscribeDuration(Math.max(0, Math.floor(limit * 1e6)));
  const ready = (pollable) => Array.from(poll.poll([pollable, over])).includes(0);
  try {
    const answer = keep(outgoing.handle(request(url), null));
    if (!ready(answer.subscribe())) return { trouble: "fail", why: `no answer within ${deadlineMs} ms` };
    const response = keep(unwrap(unwrap(answer.get())));
    return { status: response.status(), body: body(response, ready, deadlineMs) };
  } catch (error) {
    if (error.payload ?? error.tag) return trouble(error.payload ?? error);
    throw error;
  }
}

function request(url) {
  const [, scheme, authority, path] = /^(https?):\/\/([^/?#]+)([^#]*)/.exec(url);
  const request = new types.OutgoingRequest(types.Fields.fromList([["accept", bytes("application/json")], ["user-agent", bytes("hostler-json")]]));
  request.setScheme({ tag: scheme === "https" ? "HTTPS" : "HTTP" });
  request.setAuthority(authority);
  request.setPathWithQuery(path.startsWith("/") ? path : `/${path}`);
  return request;
}

function body(response, ready, deadlineMs) {
  const stream = keep(keep(response.consume()).stream());
  const chunks = [];
  let length = 0;
  while (length <= MOST) {
    if (!ready(stream.subscribe())) throw { tag: "late", val: `not the whole answer within ${deadlineMs} ms` };
    let chunk;
    try {
      chunk = stream.read(65536);
    } catch (error) {
      if (error.payload?.tag === "closed") return joined(chunks, length);
      throw { tag: "HTTP-response-incomplete" };
    }
    chunks.push(chunk);
    length += chunk.length;
  }
  throw { tag: "HTTP-response-body-size" };
}

function joined(chunks, length) {
  const whole = new Uint8Array(length);
  chunks.reduce((at, chunk) => (whole.set(chunk, at), at + chunk.length), 0);
  return whole;
}

/** What others were made from must not go before them, and all of it ends with the call. */
const kept = [];
const keep = (resource) => (kept.push(resource), resource);

const bytes = (ascii) => Uint8Array.from(ascii, (letter) => letter.charCodeAt(0));

/** A result within a value is `{ tag: "ok" | "err", val }`. */
function unwrap(result) {
  if (result?.tag === "err") throw result.val;
  return result?.tag === "ok" ? result.val : result;
}

const TARGET = {
  "connection-refused": "connection refused",
  "connection-terminated": "the connection was closed without an answer",
  "destination-not-found": "there is no such host",
  "destination-unavailable": "the host cannot be reached",
  "DNS-error": "the name does not resolve",
  "TLS-certificate-error": "its certificate is not trusted",
  "TLS-protocol-error": "TLS failed",
  "HTTP-protocol-error": "it does not speak HTTP",
  "HTTP-response-incomplete": "its answer broke off",
  "HTTP-response-body-size": "its answer is too big",
};

function trouble({ tag, val }) {
  if (tag === "late") return { trouble: "fail", why: val };
  if (/timeout$/i.test(tag)) return { trouble: "fail", why: "no answer in time" };
  if (tag === "HTTP-request-denied" || tag === "destination-IP-prohibited") return { trouble: "denied" };
  return TARGET[tag] ? { trouble: "fail", why: TARGET[tag] } : { trouble: "unknown", why: `the host does not send it: ${tag}` };
}

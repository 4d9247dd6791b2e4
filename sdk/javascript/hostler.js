// What every plugin in JavaScript needs beside its bindings: settings, faults, bytes, and errors that reach the host's log.
//
// A fault is thrown, never returned: `throw conflict("…")`. What a capability throws becomes a fault by `fault(error)`.

import log from "hostler:host/log@0.1.0";

/** The request can never work: what is wrong at one place (a JSON pointer) of the settings. */
export const invalid = (at, message, hint = null) => ({ tag: "invalid", val: [{ at, message, hint }] });
/** Nothing happened; the engine is away or busy, and the host asks again later. */
export const unavailable = (message, after = null) => ({ tag: "unavailable", val: { message, after } });
/** It may have happened; the host looks before it does anything else. */
export const interrupted = (message) => ({ tag: "interrupted", val: message });
/** Something of that name exists and differs. */
export const conflict = (message) => ({ tag: "conflict", val: message });
/** A grant is missing. */
export const denied = (message) => ({ tag: "denied", val: message });

/** What a capability threw: the contract's error, `{ tag, val }`. It comes wrapped into an `Error`. */
export const said = (error) => error?.payload ?? {};

/** The fault for what a capability threw, so that the host does the right thing next. */
export function fault(error) {
  const { tag, val } = said(error);
  switch (tag) {
    case "denied": return denied(val);
    case "not-found": return { tag: "gone" };
    case "conflict": return conflict(val);
    case "unavailable": return unavailable(val);
    case "timeout": return interrupted("the deadline passed");
    case "invalid": return invalid("", val);
    default: return { tag: "other", val: val ?? `${error}` };
  }
}

/** As `fault`, of a capability that changes something: what is not known to have done nothing may have happened, and the host has to look. */
export const unsure = (error) => (said(error).tag === "other" ? interrupted(said(error).val) : fault(error));

/** What is wrong with settings: `shape` has `{ type, default }` for each key; without a default it must be there. */
export function problems(text, shape) {
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    return { values: {}, wrong: [{ at: "", message: `not JSON: ${error.message}`, hint: null }] };
  }
  const wrong = [], values = {};
  if (kind(found) !== "object") return { values, wrong: [{ at: "", message: "not an object", hint: null }] };
  const names = Object.keys(shape);
  for (const key of Object.keys(found)) {
    if (!names.includes(key)) wrong.push({ at: `/${key}`, message: `unknown key \`${key}\``, hint: `there are ${names.join(", ")}` });
  }
  for (const [key, { type, default: otherwise }] of Object.entries(shape)) {
    if (Object.hasOwn(found, key) && kind(found[key]) !== type) wrong.push({ at: `/${key}`, message: `is no ${type}`, hint: null });
    else if (!Object.hasOwn(found, key) && otherwise === undefined) wrong.push({ at: `/${key}`, message: "is missing", hint: null });
    else values[key] = Object.hasOwn(found, key) ? found[key] : otherwise;
  }
  return { values, wrong };
}

/** The settings by this shape (see `problems`); throws `invalid` with everything that is wrong. */
export function settings(text, shape) {
  const { values, wrong } = problems(text, shape);
  if (wrong.length > 0) throw { tag: "invalid", val: wrong };
  return values;
}

const kind = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);

/** Text as bytes, in UTF-8. */
export function bytes(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (byte) => byte.charCodeAt(0));
}

/** Bytes as text; what is no UTF-8 is read byte by byte. */
export function text(bytes) {
  let raw = "";
  for (let at = 0; at < bytes.length; at += 4096) raw += String.fromCharCode(...bytes.slice(at, at + 4096));
  try {
    return decodeURIComponent(escape(raw));
  } catch {
    return raw;
  }
}

/** Wraps an exported interface: an exception that nobody expected reaches the host's log whole, and the host as a fault. */
export function plugin(functions) {
  const guarded = ([name, call]) => [name, (...args) => {
    try {
      return call(...args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error.payload) throw fault(error);
      log.write("error", `${name}: ${error.message}\n${error.stack}`, []);
      throw { tag: "other", val: `${error.name}: ${error.message}` };
    }
  }];
  // those two have no fault to answer with: of them, an exception is a trap
  const free = ([name]) => name === "describe" || name === "validate";
  const all = Object.entries(functions);
  return Object.fromEntries([...all.filter(free), ...all.filter((entry) => !free(entry)).map(guarded)]);
}

// What is expected of a document, and whether it holds. No import of the host: plain JavaScript.

const RULES = {
  equals: (found, wanted) => same(found, wanted) || "is something else than it should be",
  at_least: (found, wanted) => (typeof found === "number" && found >= wanted) || `is not at least ${wanted}`,
  at_most: (found, wanted) => (typeof found === "number" && found <= wanted) || `is not at most ${wanted}`,
  matches: (found, wanted) => (typeof found === "string" && new RegExp(wanted, "u").test(found)) || `does not match /${wanted}/`,
  length_at_least: (found, wanted) => (typeof found === "string" || Array.isArray(found)) && found.length >= wanted || `is shorter than ${wanted}`,
};

/** The verdict of all expectations: the first that does not hold decides, one that only warns comes last. */
export function judge(document, expectations, url) {
  let warning = null;
  for (const expectation of expectations) {
    const why = broken(document, expectation);
    if (why === null) continue;
    // what was found stays here: only the place and the rule leave
    const message = `${url}: ${expectation.at || "the document"} ${why}`;
    if (!expectation.warn) return { verdict: "fail", message };
    warning ??= message;
  }
  if (warning) return { verdict: "warn", message: warning };
  return { verdict: "pass", message: `${url}: ${expectations.length === 1 ? "what is expected holds" : `all ${expectations.length} expectations hold`}` };
}

function broken(document, expectation) {
  const found = at(document, expectation.at);
  if (found === undefined) return "is not there";
  for (const [name, rule] of Object.entries(RULES)) {
    const holds = Object.hasOwn(expectation, name) ? rule(found, expectation[name]) : true;
    if (holds !== true) return holds;
  }
  return null;
}

/** What is at a JSON pointer (RFC 6901); undefined when nothing is. */
export function at(document, pointer) {
  const steps = pointer === "" ? [] : pointer.slice(1).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((found, step) => {
    if (Array.isArray(found)) return /^(0|[1-9]\d*)$/.test(step) ? found[step] : undefined;
    return found !== null && typeof found === "object" && Object.hasOwn(found, step) ? found[step] : undefined;
  }, document);
}

function same(one, other) {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other || Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]));
}

/** What the schema cannot say of one expectation: expressions that are none. */
export function wrongExpectation(expectation, index) {
  if (expectation?.matches === undefined) return [];
  try {
    new RegExp(expectation.matches, "u");
    return [];
  } catch (error) {
    return [{ at: `/expect/${index}/matches`, message: `is no regular expression: ${error.message}`, hint: null }];
  }
}

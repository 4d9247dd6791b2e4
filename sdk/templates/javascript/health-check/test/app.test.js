import assert from "node:assert/strict";
import { test } from "node:test";

const commands = host["hostler:host/commands@0.1.0"];
const { healthCheck } = await import("../app.js");

function check(run) {
  commands.run = run;
  return healthCheck.check(null, '{"file": "/etc/passwd", "text": "-root:"}', 1000);
}

test("the exit code decides", () => {
  for (const [code, verdict] of [[0, "pass"], [1, "fail"], [2, "unknown"], [null, "unknown"]]) {
    let asked;
    assert.equal(check((command) => ((asked = command), { code })).verdict, verdict);
    // a text is never an option
    assert.deepEqual(asked.args, ["-q", "-F", "-e", "-root:", "--", "/etc/passwd"]);
  }
});

test("not being able to look is unknown", () => {
  assert.equal(check(() => refuse({ tag: "unavailable", val: "busy" })).verdict, "unknown");
});

test("what is not granted is a fault", () => {
  assert.throws(() => check(() => refuse({ tag: "denied", val: "commands /bin/grep" })), { tag: "denied" });
});

test("mistakes are named by their place", () => {
  for (const [settings, at] of [['{"file": "/"}', "/text"], ['{"file": "/", "text": "x", "txet": 1}', "/txet"], ['{"file": 1, "text": "x"}', "/file"]]) {
    assert.throws(() => healthCheck.validate(settings), (wrong) => wrong.length === 1 && wrong[0].at === at);
  }
});

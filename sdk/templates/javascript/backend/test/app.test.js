import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const processes = host["hostler:host/processes@0.1.0"];
const { backend } = await import("../app.js");

/** Holds processes as the host does, but runs nothing. */
let held;
beforeEach(() => {
  held = new Map();
  Object.assign(processes, {
    spawn(key, { labels }) {
      if (!held.has(key)) held.set(key, { key, pid: 7, startedAt: 1, state: { tag: "running" }, notes: [], labels });
      return held.get(key);
    },
    inspect: (keys) => keys.map((key) => held.get(key) ?? null),
    stop(key, signal) {
      if (!held.has(key)) refuse({ tag: "not-found" });
      const exit = { code: null, signal, outOfMemory: false, at: 2 };
      held.get(key).state = { tag: "exited", val: exit };
      return exit;
    },
    forget(key) {
      if (held.get(key)?.state.tag === "running") refuse({ tag: "conflict", val: "it runs" });
      held.delete(key);
    },
    list: () => [...held.values()],
  });
});

const task = (specDigest = "d") => ({
  id: { id: "web-0-1", workspace: "default", service: "web", replica: 0, run: 1 },
  specDigest,
  settings: '{"program": "/bin/sleep", "args": ["9"]}',
  env: [],
  resources: { cpuMillis: null, memoryBytes: null, storageBytes: null },
  labels: [],
});

test("started twice is one process", () => {
  assert.deepEqual(backend.start(task()), backend.start(task()));
  assert.equal(held.size, 1);
});

test("other settings are a conflict", () => {
  backend.start(task());
  assert.throws(() => backend.start(task("other")), { tag: "conflict" });
});

test("a life", () => {
  const handle = backend.start(task());
  assert.equal(backend.inspect([handle])[0].phase.tag, "running");
  assert.throws(() => backend.destroy(handle, false), { tag: "conflict" });
  assert.equal(backend.stop(handle, null, 10).phase.val.signal, "SIGTERM");
  backend.destroy(handle, false);
  assert.equal(backend.inspect([handle])[0].phase.tag, "gone");
  backend.destroy(handle, false);
});

test("unknown settings are refused by their place", () => {
  assert.throws(() => backend.validate('{"program": "x", "agrs": []}'), (wrong) => wrong[0].at === "/agrs");
});

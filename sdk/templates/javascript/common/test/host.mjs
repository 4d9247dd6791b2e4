// Lets node load the plugin as it is: `hostler:…` and `wasi:…` become objects that a test fills with what it needs.

import { register } from "node:module";

globalThis.host = new Proxy({}, { get: (all, name) => (all[name] ??= {}) });
/** Throws as a capability does. */
globalThis.refuse = (payload) => { throw Object.assign(new Error(`${payload.tag} (see error.payload)`), { payload }); };
host["hostler:host/log@0.1.0"].write = () => {};

register("data:text/javascript," + encodeURIComponent(`
  export async function resolve(name, context, next) {
    return /^(hostler|wasi):/.test(name) ? { url: "import:" + name, shortCircuit: true } : next(name, context);
  }
  export async function load(url, context, next) {
    if (!url.startsWith("import:")) return next(url, context);
    const source = "export default globalThis.host[" + JSON.stringify(url.slice(7)) + "];";
    return { format: "module", source, shortCircuit: true };
  }
`));

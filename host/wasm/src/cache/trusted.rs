//! The one place that hands bytes to wasmtime as compiled code.
#![allow(unsafe_code, reason = "wasmtime has no safe way to load compiled code; see the argument below")]

use wasmtime::component::Component;

/// Loads what [`super::Cache`] wrote.
///
/// The caller has them from the compiler that this program runs, or has checked that they came from a file of the host's own user that
/// nobody else can write, in a directory of which the same holds, and that their checksum is the one written with them.
pub(super) fn load(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` demands bytes that `serialize` of a compatible engine made. Only `Cache::write` writes files of
    // this name with this checksum, of what `precompile_component` made; whoever could forge one already is the host's own user.
    // The engine's own version and configuration stamp in the bytes is checked by wasmtime itself.
    unsafe { Component::deserialize(engine, code) }
}

//! The one place that hands compiled code to wasmtime.
#![allow(unsafe_code, reason = "wasmtime has no safe way to load compiled code; see the arguments below")]

use std::path::Path;

use wasmtime::component::Component;

/// Loads what the compiler that this program runs has just made.
pub(super) fn load(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` demands bytes that `serialize` of a compatible engine made, and `precompile_component` made these.
    // The engine's own version and configuration stamp in the bytes is checked by wasmtime itself.
    unsafe { Component::deserialize(engine, code) }
}

/// Loads what [`super::Cache`] wrote, from its file: of its pages those are in memory that are used, and the system may take them back.
///
/// The caller has checked that it is a file of the host's own user that nobody else can write, in a directory of which the same holds, and
/// that its checksum is the one written with it.
pub(super) fn load_file(engine: &wasmtime::Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: as above; only `Cache::write` writes files of this name with this checksum. As long as it is loaded, nobody may change the file:
    // the cache never writes into a file that has its name, but puts another one in its place or removes it, which leaves the loaded one as
    // it is. Whoever could write into it is the host's own user, who could change the program itself.
    unsafe { Component::deserialize_file(engine, file) }
}

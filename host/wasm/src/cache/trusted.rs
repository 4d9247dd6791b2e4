//! The one place that hands compiled code to wasmtime.
#![allow(unsafe_code, reason = "wasmtime has no safe way to load compiled code; see the arguments below")]

use std::path::Path;

use wasmtime::component::Component;

/// Loads a copy of what [`super::Cache`] wrote, or is about to write.
///
/// The caller has it from the compiler that this program runs, or has checked that it came from a file of the host's own user that nobody
/// else can write, in a directory of which the same holds, and that its checksum is the one written with it.
pub(super) fn load(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` demands bytes that `serialize` of a compatible engine made. Only `Cache::write` writes files of this name with
    // this checksum, of what `precompile_component` made; whoever could forge one already is the host's own user.
    // The engine's own version and configuration stamp in the bytes is checked by wasmtime itself.
    unsafe { Component::deserialize(engine, code) }
}

/// The same, without a copy: of the file's pages those are in memory that are used, and the system may take them back.
pub(super) fn load_file(engine: &wasmtime::Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: as above. As long as it is loaded, nobody may change the file: the cache never writes into a file that has its name, but puts another one in its place or removes it, which leaves the loaded one as
    // it is. Whoever could write into it is the host's own user, who could change the program itself.
    unsafe { Component::deserialize_file(engine, file) }
}

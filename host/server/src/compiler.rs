//! The program's own part as a compiler of plugins.

use std::path::Path;

use hostler_wasm::{Compiler, PoolOptions};

/// With this one argument, the program that [`HostOptions::exe`](crate::HostOptions::exe) names does nothing but [`compile_plugin`].
pub const COMPILE_PLUGIN: &str = "compile-plugin";

/// Reads a component from standard input, and writes code for this program's hosts to standard output.
///
/// # Errors
/// It cannot be compiled, with the reason; or the pipes broke.
pub fn compile_plugin() -> Result<(), String> {
    hostler_wasm::compile(&pool())
}

/// How this program's hosts run plugins. Code is made for just this.
pub(crate) fn pool() -> PoolOptions {
    PoolOptions::default()
}

pub(crate) fn compiler(exe: &Path) -> Compiler {
    Compiler { program: exe.to_owned(), args: vec![COMPILE_PLUGIN.into()] }
}

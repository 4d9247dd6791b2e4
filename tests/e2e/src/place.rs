//! Where the program under test is, and the guests that tests load.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The workspace.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there while its tests run"))
}

/// `hostler` itself: what `HOSTLER_BIN` names, else what `make build` made.
///
/// # Panics
/// When it is not there.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let named = std::env::var_os("HOSTLER_BIN").map(PathBuf::from);
        let path = named.unwrap_or_else(|| root().join("target/release/hostler"));
        path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}: run `make build`", path.display()))
    })
}

/// A guest that only tests load, by its name; `files/NAME.wasm` is one of those that are no component.
///
/// # Panics
/// When it is not there.
pub fn fixture(name: &str) -> PathBuf {
    let path = match name.strip_prefix("files/") {
        Some(file) => root().join("tests/fixtures/files").join(format!("{file}.wasm")),
        None => root().join("target/fixtures").join(format!("{name}.wasm")),
    };
    assert!(path.exists(), "{} is missing: run `make fixtures`", path.display());
    path
}

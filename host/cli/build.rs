//! Puts the built-in plugins into the program: every `*.wasm` of one directory, under its file's name, with the default grants
//! that lie beside it as `NAME.grants.json`.
//!
//! The directory is `HOSTLER_PLUGINS_DIR`, or `target/plugins` of the workspace, where `make plugins` puts them. When that one is
//! missing or empty the program does not compile, and says which command helps; an empty directory named by the variable is a wish.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HOSTLER_PLUGINS_DIR");
    let asked = env::var_os("HOSTLER_PLUGINS_DIR").map(PathBuf::from);
    let directory = asked.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"));
    println!("cargo::rerun-if-changed={}", directory.display());
    let generated = match plugins(&directory) {
        Ok(plugins) if plugins.is_empty() && asked.is_none() => missing(&directory),
        Err(_) if asked.is_none() => missing(&directory),
        Err(error) => complaint(&format!("HOSTLER_PLUGINS_DIR={}: {error}", directory.display())),
        Ok(plugins) => table(&plugins),
    };
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("built_ins.rs");
    fs::write(&target, generated).expect("cargo's own output directory is writable");
}

fn missing(directory: &Path) -> String {
    complaint(&format!("there are no built-in plugins in {}: run `make plugins` first", directory.display()))
}

fn complaint(message: &str) -> String {
    format!("compile_error!({message:?});\npub(crate) const BUILT_INS: hostler_server::BuiltIns = &[];\n")
}

fn plugins(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(fs::canonicalize(path)?);
        }
    }
    files.sort();
    Ok(files)
}

fn table(plugins: &[PathBuf]) -> String {
    let mut text = "/// The plugins inside this program.\npub(crate) const BUILT_INS: hostler_server::BuiltIns = &[\n".to_owned();
    for path in plugins {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_stem().expect("a file that ends in .wasm").to_string_lossy().replace('_', "-");
        let component = path.display().to_string();
        let grants = grants(path);
        text.push_str(&format!("    hostler_server::BuiltIn {{ name: {name:?}, component: include_bytes!({component:?}), grants: {grants} }},\n"));
    }
    text.push_str("];\n");
    text
}

/// What the component is granted by default: an expression. (That such a file comes or goes is noticed by the directory's time.)
fn grants(component: &Path) -> String {
    let path = component.with_extension("grants.json");
    if !path.is_file() {
        return "\"{}\"".to_owned();
    }
    println!("cargo::rerun-if-changed={}", path.display());
    format!("include_str!({:?})", path.display().to_string())
}

//! Puts into the program what new projects are made of, so that their author needs nothing but the program: the contract, the Rust SDK
//! and the templates.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Name, meaning and folder of each tree.
const TREES: [(&str, &str, &str); 7] = [
    ("WIT", "The contract.", "../../wit"),
    ("WASI", "What of WASI plugins may import.", "wasi"),
    ("SDK", "Sources of the Rust SDK.", "../rust"),
    ("PYTHON", "The SDK for Python.", "../python"),
    ("JAVASCRIPT", "The SDK for JavaScript.", "../javascript"),
    ("C", "The SDK for C, and the C library that plugins are built with.", "../c"),
    ("TEMPLATES", "Files of new projects, below LANGUAGE/KIND or LANGUAGE/common.", "../templates"),
];

/// What tools leave behind when somebody tries a template where it lies.
const LEFT_BEHIND: [&str; 4] = ["target", "node_modules", "__pycache__", "Cargo.lock"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut text = String::new();
    for (name, meaning, folder) in TREES {
        let root = fs::canonicalize(here.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        println!("cargo::rerun-if-changed={}", root.display());
        let mut files = Vec::new();
        walk(&root, &mut files);
        files.sort();
        writeln!(text, "/// {meaning}\npub(crate) const {name}: &[(&str, &str)] = &[").expect("a string takes all");
        for file in &files {
            let inner = file.strip_prefix(&root).expect("the walk began there");
            writeln!(text, "    ({inner:?}, include_str!({file:?})),").expect("a string takes all");
        }
        text.push_str("];\n");
    }
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    fs::write(&target, text).expect("cargo's own output directory is writable");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder of the project").path();
        let is_left_behind = path.file_name().is_some_and(|name| LEFT_BEHIND.iter().any(|left| name == *left));
        match path.is_dir() {
            _ if is_left_behind || path.extension().is_some_and(|extension| extension == "wasm") => {}
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}

//! A cargo package, built where cargo itself would put it: `cargo test` and the component share what is compiled.

use crate::create::File;
use crate::{Build, BuildError, Missing, Project, Toolchain, componentize, embedded};
use std::path::Path;
use toml::{Table, Value};

/// Where a project keeps the SDK that it was made with: nothing is fetched, and an upgrade of the host changes nothing in it.
const VENDOR: &str = "vendor/hostler-sdk";

pub(super) fn build(project: &Project, say: &mut dyn FnMut(&str)) -> Result<Vec<u8>, BuildError> {
    let manifest = project.dir.join("Cargo.toml");
    let build = Build { target_dir: None, ..Build::new(&manifest, &project.dir) };
    let modules = build.modules(say)?;
    let Some(module) = modules.into_iter().find(|module| module.name == project.name) else { return Err(BuildError::Nothing(manifest)) };
    let core = std::fs::read(&module.file).map_err(BuildError::io(format!("reading {}", module.file.display())))?;
    componentize(&core).map_err(|source| BuildError::Guest { name: module.name, source })
}

/// Rustup is not asked for anything here.
pub(super) fn toolchain() -> Result<String, BuildError> {
    let found = Toolchain::ready().or_else(|| Toolchain::from_source(Path::new("/usr/bin"))).ok_or(Missing)?;
    Ok(found.to_string())
}

/// Names that cargo or the compiler would stumble over.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let taken = TAKEN.contains(&name) || embedded::GUESTS_LOCK.contains(&format!("\nname = \"{name}\"\n"));
    if taken {
        Err(format!("{name:?} means something to Rust already (a word of the language, or a crate that plugins use): take another name"))
    } else {
        Ok(())
    }
}

/// Keywords of the language, and crates that come with it.
const TAKEN: [&str; 52] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
];

/// The SDK and the contract, as a crate that stands by itself.
pub(super) fn vendored() -> Vec<File> {
    let at = |path: &str| format!("{VENDOR}/{path}");
    let sources = embedded::SDK.iter().filter(|(path, _)| path.starts_with("src/")).map(|(path, text)| {
        // the bindings name the contract from where the SDK lies in the checkout
        (at(path), text.replace("\"../../wit/", "\"wit/"))
    });
    let contract = embedded::WIT.iter().map(|(path, text)| (at(&format!("wit/{path}")), (*text).to_owned()));
    let manifest = (at("Cargo.toml"), manifest());
    sources.chain(contract).chain([manifest]).collect()
}

/// Versions to begin with: those that the built-in plugins are tested with. Cargo drops what a project does not use.
pub(super) fn locked() -> Vec<File> {
    let mut lock: Table = embedded::GUESTS_LOCK.parse().expect("cargo wrote it");
    if let Some(Value::Array(packages)) = lock.get_mut("package") {
        packages.retain(|package| package.get("source").is_some());
    }
    vec![("Cargo.lock".to_owned(), lock.to_string())]
}

/// The SDK's own manifest, with what it inherits from the guests' workspace written out.
fn manifest() -> String {
    let (_, text) = embedded::SDK.iter().find(|(path, _)| *path == "Cargo.toml").expect("the SDK is a crate");
    let mut manifest: Table = text.parse().expect("this project was built with it");
    let workspace: Table = embedded::GUESTS.parse().expect("the plugins were built with it");
    let inherited = |section: &str| workspace.get("workspace").and_then(|workspace| workspace.get(section)).and_then(Value::as_table);
    if let (Some(Value::Table(package)), Some(from)) = (manifest.get_mut("package"), inherited("package")) {
        package.remove("workspace");
        for (key, value) in package.iter_mut().filter(|(_, value)| inherits(value)) {
            *value = from.get(key).expect("cargo found it too").clone();
        }
    }
    if let (Some(Value::Table(dependencies)), Some(from)) = (manifest.get_mut("dependencies"), inherited("dependencies")) {
        for (name, value) in dependencies.iter_mut().filter(|(_, value)| inherits(value)) {
            *value = Value::Table(inherit(from.get(name).expect("cargo found it too"), value));
        }
    }
    // lints and tests are the checkout's business
    manifest.remove("lints");
    manifest.remove("dev-dependencies");
    format!("# Written by `hostler plugin new`; `hostler plugin renew` writes it again. Not yours to edit.\n{manifest}")
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// The workspace's word on a dependency, with what the member adds to it.
fn inherit(from: &Value, member: &Value) -> Table {
    let mut table = match from {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    for (key, value) in member.as_table().into_iter().flatten().filter(|(key, _)| *key != "workspace") {
        match (table.get_mut(key), value) {
            (Some(Value::Array(features)), Value::Array(more)) => features.extend(more.iter().cloned()),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> String {
        vendored().into_iter().find(|(name, _)| name == path).unwrap_or_else(|| panic!("no {path}")).1
    }

    #[test]
    fn the_vendored_sdk_knows_nothing_of_the_checkout() {
        for (path, text) in vendored() {
            assert!(!path.ends_with(".rs") || !text.contains("../wit"), "{path}");
        }
        let manifest: Table = file("vendor/hostler-sdk/Cargo.toml").parse().expect("it is TOML");
        let text = manifest.to_string();
        assert!(!text.contains("workspace") && !text.contains("../"), "{text}");
        assert_eq!(manifest["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(manifest["dependencies"]["wasip2"]["optional"].as_bool(), Some(true));
        assert!(file("vendor/hostler-sdk/wit/host/host.wit").contains("package hostler:host@"));
        assert!(file("vendor/hostler-sdk/src/bindings.rs").contains("\"wit/host\""));
    }

    #[test]
    fn a_new_project_begins_with_tested_versions() {
        let [(path, text)] = locked().try_into().expect("one file");
        let lock: Table = text.parse().expect("it is TOML");
        let names: Vec<_> = lock["package"].as_array().expect("packages").iter().filter_map(|package| package["name"].as_str()).collect();
        assert_eq!(path, "Cargo.lock");
        assert!(names.contains(&"serde") && !names.contains(&"hostler-sdk") && !names.contains(&"process"), "{names:?}");
    }
}

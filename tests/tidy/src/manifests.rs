//! Cargo.toml: one place for versions and lints, and a reason for each dependency.

use toml::{Table, Value};

use crate::{Problem, Tree};

/// Members that keep a lint table of their own instead of the workspace's, and why.
const OWN_LINTS: &[(&str, &str)] = &[
    ("host/wasm", "loading compiled code is unsafe in wasmtime; `unsafe_code` is `deny` there, and two modules allow it"),
    ("host/keeper", "`pre_exec` is unsafe; `unsafe_code` is `deny` there, and one module allows it"),
    ("host/server", "giving memory back is unsafe; `unsafe_code` is `deny` there, and one module allows it"),
    ("tests/disk", "standing before the C library's calls is unsafe; `unsafe_code` is `deny` there, and one module allows it"),
];

/// Dependencies without a comment at their head, outside of this project's own crates. A comment speaks for the lines below it,
/// up to an empty one.
pub fn uncommented_dependencies(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, manifest) in tree.manifests() {
        if manifest.get("workspace").is_some_and(|workspace| workspace.get("dependencies").is_some()) {
            uncommented(&file.path, &file.text, &mut problems);
        }
    }
    problems
}

fn uncommented(path: &str, text: &str, problems: &mut Vec<Problem>) {
    let (mut inside, mut explained) = (false, false);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            explained = false;
        } else if line.is_empty() {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if inside && !explained && !line.contains(" # ") && !line.starts_with("hostler") {
            let name = line.split(['=', '.', ' ']).next().unwrap_or(line);
            problems.push(Problem::at(path, at + 1, format!("{name} has no comment above it that says what it is here for")));
        }
    }
}

/// Members of the host's workspace that choose a version for themselves, or go without the shared lints.
pub fn strays(tree: &Tree) -> Vec<Problem> {
    let Some(root) = tree.file("Cargo.toml") else { return vec![Problem::of("Cargo.toml", "is missing")] };
    let root: Table = root.text.parse().expect("`manifests` has parsed it before");
    let members = root["workspace"]["members"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut problems = Vec::new();
    if root["workspace"]["lints"]["rust"]["unsafe_code"].as_str() != Some("forbid") {
        problems.push(Problem::of("Cargo.toml", "[workspace.lints.rust] unsafe_code is not \"forbid\""));
    }
    for member in members {
        let path = format!("{member}/Cargo.toml");
        match tree.file(&path).map(|file| file.text.parse::<Table>()) {
            Some(Ok(manifest)) => stray(&path, member, &manifest, &mut problems),
            _ => problems.push(Problem::of(&path, "a member of the workspace without a readable manifest")),
        }
    }
    problems
}

fn stray(path: &str, member: &str, manifest: &Table, problems: &mut Vec<Problem>) {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in manifest.get(section).and_then(Value::as_table).into_iter().flatten() {
            if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                problems.push(Problem::of(path, format!("[{section}] {name}: write `{name}.workspace = true`, and its version in the root")));
            }
        }
    }
    let lints = manifest.get("lints");
    let shared = lints.and_then(|lints| lints.get("workspace")).and_then(Value::as_bool) == Some(true);
    let own = OWN_LINTS.iter().any(|(folder, _)| *folder == member);
    let unsafe_code = lints.and_then(|lints| lints.get("rust")?.get("unsafe_code")?.as_str());
    if !shared && (!own || unsafe_code != Some("deny")) {
        problems.push(Problem::of(path, "write `[lints] workspace = true`; an exception stands in OWN_LINTS of tests/tidy/src/manifests.rs"));
    }
}

/// Where the feature of the planted faults may be named, and how.
const PLANTED: &[(&str, &str)] = &[
    ("host/core/Cargo.toml", "planted = []"),
    ("host/store/Cargo.toml", "planted = []"),
    ("tests/sim/Cargo.toml", "planted = [\"hostler-core/planted\", \"hostler-store/planted\"]"),
];

/// Manifests that ask for the faults that are planted for the simulator: one of them in a build of the product would be in all of it.
pub fn planted(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    // a guest can ask nothing of the host's rooms
    for (file, _) in tree.manifests().filter(|(file, _)| !file.is_in("tests/fixtures")) {
        for (at, line) in file.text.lines().enumerate() {
            let code = line.split('#').next().unwrap_or(line).trim();
            if code.contains("planted") && !PLANTED.contains(&(file.path.as_str(), code)) {
                problems.push(Problem::at(&file.path, at + 1, "asks for the planted faults; only `make sim-planted` does, on the command line"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{planted, strays, uncommented_dependencies};
    use crate::planted::{check, tree};

    #[test]
    fn a_comment_speaks_for_its_block() {
        let text = "[workspace.dependencies]\nhostler-core = { path = \"x\" }\n\n# the executor\ntokio = \"1\"\nbytes = \"1\"\n\nrand = \"1\"\nlibc = \"1\" # calls\n";
        check(uncommented_dependencies(&tree(&[("Cargo.toml", text)])), &["Cargo.toml:8: rand"]);
    }

    #[test]
    fn versions_and_lints_are_shared() {
        let root = "[workspace]\nmembers = [\"host/a\", \"host/wasm\"]\n[workspace.lints.rust]\nunsafe_code = \"forbid\"";
        let a = "[package]\n[dependencies]\nserde = \"1\"\ntoml.workspace = true";
        let wasm = "[package]\n[lints.rust]\nunsafe_code = \"deny\"";
        let found = strays(&tree(&[("Cargo.toml", root), ("host/a/Cargo.toml", a), ("host/wasm/Cargo.toml", wasm)]));
        check(found, &["[dependencies] serde", "[lints] workspace = true"]);
    }

    #[test]
    fn nobody_asks_for_the_planted_faults() {
        check(planted(&tree(&[("host/core/Cargo.toml", "[features]\nplanted = [] # by hand")])), &[]);
        let server = "[dependencies]\nhostler-core = { workspace = true, features = [\"planted\"] }";
        check(planted(&tree(&[("host/server/Cargo.toml", server)])), &["asks for the planted faults"]);
        check(planted(&tree(&[("host/core/Cargo.toml", "[features]\ndefault = [\"planted\"]\nplanted = []")])), &["Cargo.toml:2"]);
    }
}

//! The shape of sources: lengths, files that nothing compiles, one-page `lib.rs`.

use std::collections::BTreeSet;

use crate::docs::resolve;
use crate::rust::{code, line_of};
use crate::{File, Problem, Tree};

/// A file longer than this is rarely one thing.
const LONGEST: usize = 600;
/// `lib.rs` of a room is a page: what the room is, its nouns, how to use it. A small guest is all in its `lib.rs`.
const PAGE: usize = 150;
/// Files that are longer and still one thing, and why.
const LONG: &[(&str, &str)] = &[];

/// Sources that are too long, `lib.rs` files that are no page, and modules in the old place.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files().filter(|file| [".rs", ".py", ".sh"].iter().any(|end| file.path.ends_with(end))) {
        let lines = file.text.lines().count();
        if lines > LONGEST && !LONG.iter().any(|(path, _)| *path == file.path) {
            problems.push(Problem::of(
                &file.path,
                format!("{lines} lines: is it still one thing? Split it, or list it in LONG of tests/tidy/src/shape.rs"),
            ));
        }
        if file.name() == "lib.rs" && lines > PAGE && !file.is_in("plugins") && !file.is_in("tests/fixtures") {
            problems.push(Problem::of(&file.path, format!("{lines} lines: a lib.rs is one page of at most {PAGE}")));
        }
        if matches!(file.name(), "lib.rs" | "main.rs") && file.is_rust() && !file.text.starts_with("//!") {
            problems.push(Problem::of(&file.path, "begins without a `//!` that says what this is"));
        }
        if file.name() == "mod.rs" && !file.path.contains("/tests/") {
            problems.push(Problem::of(&file.path, "a module is `foo.rs` beside `foo/`; mod.rs is for helpers of integration tests"));
        }
    }
    problems
}

/// Rust files that no crate compiles, and `mod`s without a file.
pub fn dead_files(tree: &Tree) -> Vec<Problem> {
    let crates: Vec<&str> = tree.packages().map(|(manifest, _)| manifest.folder()).collect();
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    let mut waiting: Vec<&File> = tree.rust().filter(|file| is_root(tree, &crates, file)).collect();
    while let Some(file) = waiting.pop() {
        if !seen.insert(file.path.clone()) {
            continue;
        }
        for (line, candidates) in modules(tree, &crates, file) {
            match candidates.iter().find_map(|path| tree.file(path)) {
                Some(module) => waiting.push(module),
                None => problems.push(Problem::at(&file.path, line, format!("no such module: {}", candidates.join(" or ")))),
            }
        }
    }
    // a template becomes a crate when somebody makes a project of it, which the tutorial's test does
    let dead = tree.rust().filter(|file| !seen.contains(&file.path) && !file.is_in("sdk/templates"));
    problems.extend(dead.map(|file| Problem::of(&file.path, "nothing compiles this file: say `mod`, or remove it")));
    problems
}

/// Does cargo start a crate here?
fn is_root(tree: &Tree, crates: &[&str], file: &File) -> bool {
    let Some(folder) = crates.iter().filter(|folder| file.is_in(folder)).max_by_key(|folder| folder.len()) else { return false };
    let inner = &file.path[folder.len() + 1..];
    let named = || tree.file(&format!("{folder}/Cargo.toml")).is_some_and(|manifest| manifest.text.contains(&format!("path = \"{inner}\"")));
    matches!(inner, "build.rs" | "src/lib.rs" | "src/main.rs")
        || ["src/bin/", "tests/", "benches/", "examples/"].iter().any(|place| inner.strip_prefix(place).is_some_and(starts))
        || named()
}

/// `name.rs` or `name/main.rs`, seen from a folder in which each is a program of its own.
fn starts(inner: &str) -> bool {
    inner.split_once('/').is_none_or(|(_, rest)| rest == "main.rs")
}

/// Each `mod x;`, `#[path]` and `include!` with the files it may mean.
fn modules(tree: &Tree, crates: &[&str], file: &File) -> Vec<(usize, Vec<String>)> {
    let code = code(&file.text);
    let stem = file.name().trim_end_matches(".rs");
    let own_folder = if is_root(tree, crates, file) || stem == "mod" { file.folder().to_owned() } else { format!("{}/{stem}", file.folder()) };
    let mut found = Vec::new();
    let mut at = 0;
    let mut path_attribute = None;
    for line in file.text.split_inclusive('\n') {
        let blanked = code[at..at + line.len()].trim();
        let quoted = || line.split('"').nth(1).unwrap_or_default();
        if blanked.starts_with("#[path") {
            path_attribute = resolve(file.folder(), quoted());
        } else if blanked.starts_with("include!(\"") {
            found.push((line_of(&code, at), vec![format!("{}/{}", file.folder(), quoted())]));
        } else if let Some(name) = module(blanked) {
            let usual = || vec![format!("{own_folder}/{name}.rs"), format!("{own_folder}/{name}/mod.rs")];
            found.push((line_of(&code, at), path_attribute.take().map_or_else(usual, |path| vec![path])));
        }
        at += line.len();
    }
    found
}

/// The name in `mod x;`, whatever stands before it.
fn module(line: &str) -> Option<&str> {
    let declaration = line.strip_suffix(';')?;
    let (before, name) = declaration.rsplit_once("mod ")?;
    let visible = before.trim_start_matches("#[macro_use] ").trim_start_matches("#[cfg(test)] ").trim();
    let only_visibility = visible.is_empty() || visible == "pub" || (visible.starts_with("pub(") && visible.ends_with(')'));
    (only_visibility && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, dead_files, problems};
    use crate::planted::{check, tree};

    const MANIFEST: (&str, &str) = ("a/Cargo.toml", "[package]\nname = \"a\"");

    #[test]
    fn long_files_and_undocumented_crates_are_found() {
        let long = "//! x\n".repeat(LONGEST + 1);
        check(problems(&tree(&[("a/src/b.rs", &long)])), &["b.rs: 601 lines"]);
        check(problems(&tree(&[("a/src/lib.rs", "mod b;")])), &["begins without"]);
        check(problems(&tree(&[("a/src/b/mod.rs", ""), ("a/tests/b/mod.rs", "")])), &["a/src/b/mod.rs"]);
    }

    #[test]
    fn modules_are_followed() {
        let files = [
            MANIFEST,
            ("a/src/lib.rs", "//! a\npub(crate) mod b;\nmod c { }\n#[cfg(test)]\nmod tests;"),
            ("a/src/b.rs", "mod d;"),
            ("a/src/b/d.rs", "#[path = \"e-f.rs\"]\nmod e;"),
            ("a/src/b/e-f.rs", ""),
            ("a/src/tests.rs", ""),
            ("a/tests/one.rs", "mod common;"),
            ("a/tests/common/mod.rs", ""),
            ("a/tests/two/main.rs", "mod three;"),
            ("a/tests/two/three.rs", ""),
            ("a/build.rs", ""),
        ];
        check(dead_files(&tree(&files)), &[]);
    }

    #[test]
    fn a_file_that_nothing_names_is_dead() {
        let files = [MANIFEST, ("a/src/lib.rs", "// mod b;\nconst X: &str = \"mod b;\";"), ("a/src/b.rs", "")];
        check(dead_files(&tree(&files)), &["a/src/b.rs: nothing compiles"]);
        check(dead_files(&tree(&[MANIFEST, ("a/src/lib.rs", "mod gone;")])), &["no such module: a/src/gone.rs"]);
        check(dead_files(&tree(&[("loose.rs", "")])), &["loose.rs"]);
    }
}

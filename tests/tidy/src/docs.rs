//! Files that must be there, and links that must lead somewhere.

use crate::{Problem, Tree};

/// What somebody who finds the project looks for, with something each must say.
const EXPECTED: &[(&str, &[&str])] = &[
    ("README.md", &["make demo", "make test"]),
    ("CHANGELOG.md", &["## "]),
    ("LICENSE-MIT", &["Permission is hereby granted"]),
    ("LICENSE-APACHE", &["Apache License"]),
    ("docs/ARCHITECTURE.md", &["host/core", "host/wasm", "host/keeper"]),
    ("docs/decisions/README.md", &["## "]),
    (".ci/run", &["make test"]),
    ("Makefile", &["help:", "build:", "test:", "demo:", "bench:"]),
];

/// Files that are missing, or lack what one opens them for.
pub fn expected_files(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, words) in EXPECTED {
        match tree.file(path) {
            None => problems.push(Problem::of(path, "is missing")),
            Some(file) => {
                let absent = words.iter().filter(|word| !file.text.contains(**word));
                problems.extend(absent.map(|word| Problem::of(path, format!("does not say {word:?}"))));
            }
        }
    }
    problems
}

/// Examples without a story or a spec, and examples that nothing plays.
pub fn examples(tree: &Tree) -> Vec<Problem> {
    let mut folders: Vec<&str> = tree.files().filter_map(|file| example(&file.path)).collect();
    folders.dedup();
    let mut problems = Vec::new();
    for folder in folders {
        let name = folder.rsplit('/').next().unwrap_or(folder);
        if tree.file(&format!("{folder}/README.md")).is_none() {
            problems.push(Problem::of(folder, "has no README.md that tells its story"));
        }
        if !["toml", "yaml"].iter().any(|end| tree.file(&format!("{folder}/hostler.{end}")).is_some()) {
            problems.push(Problem::of(folder, "has no hostler.toml or hostler.yaml"));
        }
        let played = tree.files().any(|file| (file.is_in("scripts") || file.is_in("tests/e2e")) && file.text.contains(name));
        if !played {
            problems.push(Problem::of(folder, "no script and no end-to-end test plays it"));
        }
    }
    problems
}

/// The folder of the example that a file is part of: below `examples`, and those of plugins below `examples/plugins`.
fn example(path: &str) -> Option<&str> {
    let above = if path.starts_with("examples/plugins/") { "examples/plugins/" } else { "examples/" };
    let (name, _) = path.strip_prefix(above)?.split_once('/')?;
    Some(&path[..above.len() + name.len()])
}

/// Programs that a text names and that are not shell scripts with `set -e`: a step that fails must not be passed over.
pub fn careless_scripts(tree: &Tree) -> Vec<Problem> {
    let scripts = tree.files().filter(|file| {
        (file.is_in("scripts") || file.is_in(".ci"))
            && file.text.starts_with("#!")
            && file.text.lines().next().is_some_and(|line| line.ends_with("sh"))
    });
    let careless = scripts.filter(|file| !file.text.lines().any(|line| line.starts_with("set -e")));
    careless.map(|file| Problem::of(&file.path, "does not say `set -eu`: it would go on after a step that failed")).collect()
}

/// Relative links of Markdown files to files that do not exist.
pub fn broken_links(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files().filter(|file| file.path.ends_with(".md")) {
        let mut fenced = false;
        for (at, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            for target in targets(line) {
                if resolve(file.folder(), &target).is_none_or(|path| !path.is_empty() && !tree.has(&path)) {
                    problems.push(Problem::at(&file.path, at + 1, format!("links to {target}, which does not exist")));
                }
            }
        }
    }
    problems
}

/// The relative targets of `[text](target)` in a line, without their anchors; nothing inside of code.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "code" }).collect();
    let mut found = Vec::new();
    for (at, _) in prose.match_indices("](") {
        let rest = &prose[at + 2..];
        let target = rest.split([')', ' ']).next().unwrap_or(rest);
        let path = target.split('#').next().unwrap_or(target);
        if !path.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
            found.push(path.to_owned());
        }
    }
    found
}

/// A path from the root, of a target seen from a folder; nothing when it leaves the project.
pub(crate) fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').filter(|part| !part.is_empty()).collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{broken_links, careless_scripts, examples, expected_files};
    use crate::planted::{check, tree};

    #[test]
    fn what_is_missing_or_silent_is_found() {
        let found = expected_files(&tree(&[("README.md", "make demo")]));
        assert!(found.iter().any(|problem| problem.0.contains("README.md: does not say \"make test\"")), "{found:?}");
        assert!(found.iter().any(|problem| problem.0.contains("LICENSE-MIT: is missing")), "{found:?}");
    }

    #[test]
    fn an_example_has_a_story_a_spec_and_somebody_who_plays_it() {
        check(examples(&tree(&[("examples/inn/x", "")])), &["README.md", "hostler.toml", "plays it"]);
        let whole = [("examples/inn/README.md", ""), ("examples/inn/hostler.yaml", ""), ("scripts/demo.sh", "examples/inn")];
        check(examples(&tree(&whole)), &[]);
    }

    #[test]
    fn scripts_stop_at_the_first_failure() {
        check(careless_scripts(&tree(&[("scripts/a.sh", "#!/bin/sh\nfalse\n"), (".ci/run", "#!/usr/bin/env bash\nset -eu\n")])), &["scripts/a.sh"]);
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](../LICENSE) [b](gone.md#x) [c](https://x.y) [d](#here) `[e](code.md)` [f](sub/)\n```\n[g](fenced.md)\n```\n[h](../../out.md)";
        let files = [("docs/a.md", text), ("LICENSE", ""), ("docs/sub/x", "")];
        check(broken_links(&tree(&files)), &["a.md:1: links to gone.md", "a.md:5: links to ../../out.md"]);
    }
}

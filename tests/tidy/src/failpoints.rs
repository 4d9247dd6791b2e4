//! Points to die at: each name of the list stands in the sources once, and no other; so the crash sweep misses none.

use std::collections::BTreeMap;

use crate::rust::{code, line_of};
use crate::{Problem, Tree};

const LIST: &str = "host/failpoint/src/points.rs";
const CALL: &str = "failpoint!(";
/// Who can die; the first word of each name.
const WHO: [&str; 3] = ["host", "store", "keeper"];
/// Where the feature may be named, and how.
const ASKED: &[(&str, &str)] =
    &[("host/failpoint/Cargo.toml", "failpoints = [\"dep:rustix\"]"), ("host/cli/Cargo.toml", "failpoints = [\"hostler-failpoint/failpoints\"]")];

/// Names that are listed and not passed, passed and not listed, or stand somewhere twice.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    let list = tree.file(LIST).map(|file| file.text.as_str()).unwrap_or_default();
    let listed: Vec<(usize, &str)> = list.lines().enumerate().filter_map(|(at, line)| Some((at + 1, literal(line)?))).collect();
    let mut passed: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| file.is_in("host") && !file.is_in("host/failpoint")) {
        for (at, _) in code(&file.text).match_indices(CALL) {
            let line = line_of(&file.text, at);
            match literal(&file.text[at + CALL.len()..]) {
                Some(name) => passed.entry(name).or_default().push((&file.path, line)),
                None => problems.push(Problem::at(&file.path, line, "a failpoint's name is a literal, in its line")),
            }
        }
    }
    for (name, places) in &passed {
        if !listed.iter().any(|(_, other)| other == name) {
            problems.push(Problem::at(places[0].0, places[0].1, format!("the failpoint `{name}` is not in {LIST}")));
        }
        for (path, line) in &places[1..] {
            problems.push(Problem::at(path, *line, format!("the failpoint `{name}` stands elsewhere already: {}:{}", places[0].0, places[0].1)));
        }
    }
    for (at, (line, name)) in listed.iter().enumerate() {
        if !passed.contains_key(name) {
            problems.push(Problem::at(LIST, *line, format!("nothing passes the failpoint `{name}`")));
        }
        if listed[..at].iter().any(|(_, other)| other == name) {
            problems.push(Problem::at(LIST, *line, format!("the failpoint `{name}` is listed twice")));
        }
        if !WHO.iter().any(|who| name.strip_prefix(who).is_some_and(|rest| rest.starts_with('.'))) {
            problems.push(Problem::at(LIST, *line, format!("the failpoint `{name}` does not say who dies: {WHO:?}")));
        }
    }
    problems
}

/// Manifests that ask for the failpoints: one of them in a build of the product would be in all of it.
pub fn in_the_product(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, _) in tree.manifests() {
        for (at, line) in file.text.lines().enumerate() {
            let code = line.split('#').next().unwrap_or(line).trim();
            if code.contains("failpoints") && !ASKED.contains(&(file.path.as_str(), code)) {
                problems.push(Problem::at(&file.path, at + 1, "asks for the failpoints; only `make sweep` and `make test` do, on the command line"));
            }
        }
    }
    problems
}

/// The string that this text begins with.
fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::{in_the_product, problems};
    use crate::planted::{check, tree};

    const POINTS: &str = "pub const POINTS: &[&str] = &[\n    // about \"this\"\n    \"host.a\",\n    \"keeper.b\",\n];\n";

    #[test]
    fn each_point_stands_once() {
        let of = |list: &str, source: &str| problems(&tree(&[("host/failpoint/src/points.rs", list), ("host/x/src/a.rs", source)]));
        let (a, b) = ("failpoint!(\"host.a\");\n", "failpoint!(\"keeper.b\");\n");
        check(of(POINTS, &format!("{a}{b}// failpoint!(\"host.not-one\")")), &[]);
        check(of(POINTS, a), &["points.rs:4: nothing passes the failpoint `keeper.b`"]);
        check(of(POINTS, &format!("{a}{b}failpoint!(\"host.c\");")), &["a.rs:3: the failpoint `host.c` is not in"]);
        check(of(POINTS, &format!("{a}{b}{a}")), &["a.rs:3: the failpoint `host.a` stands elsewhere already: host/x/src/a.rs:1"]);
        check(of(POINTS, &format!("{a}{b}failpoint!(NAME);")), &["a.rs:3: a failpoint's name is a literal"]);
        check(of("    \"host.a\",\n    \"host.a\",\n", a), &["points.rs:2: the failpoint `host.a` is listed twice"]);
        check(of("    \"guest.a\",\n", "failpoint!(\"guest.a\");"), &["does not say who dies"]);
    }

    #[test]
    fn nobody_asks_for_the_failpoints() {
        check(in_the_product(&tree(&[("host/cli/Cargo.toml", "[features]\nfailpoints = [\"hostler-failpoint/failpoints\"]")])), &[]);
        let server = "[dependencies]\nhostler-failpoint = { workspace = true, features = [\"failpoints\"] }";
        check(in_the_product(&tree(&[("host/server/Cargo.toml", server)])), &["Cargo.toml:2: asks for the failpoints"]);
        let always = "[features]\ndefault = [\"failpoints\"]";
        check(in_the_product(&tree(&[("host/cli/Cargo.toml", always)])), &["Cargo.toml:2"]);
    }
}

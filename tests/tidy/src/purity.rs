//! Core decides and touches nothing: what its sources may not say, and the clippy.toml that says so to the compiler.

use toml::{Table, Value};

use crate::rust::{closing, line_of, lines_with, product_code};
use crate::{Problem, Tree};

const CORE: &str = "host/core";

/// Parts of std that look at the machine or change it.
const WORLD: [&str; 9] = ["env", "fs", "io", "net", "os", "process", "thread", "time", "random"];

/// Words that have no place in a decision, and why.
const REFUSED: &[(&str, &str)] = &[
    ("HashMap", "its order differs from run to run; BTreeMap's does not"),
    ("HashSet", "its order differs from run to run; BTreeSet's does not"),
    ("Instant", "time is handed in"),
    ("SystemTime", "time is handed in"),
    ("thread_local!", "whoever holds the core decides about threads"),
    ("async", "core waits for nothing"),
    ("Mutex", "core is held by one"),
    ("RwLock", "core is held by one"),
    ("f32", "decisions are made with whole numbers"),
    ("f64", "decisions are made with whole numbers"),
];

/// Words in core's sources that reach out of it; its tests may.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| file.is_in(CORE) && !file.is_test()) {
        let code = product_code(&file.text);
        for (word, why) in REFUSED {
            problems.extend(lines_with(&code, word).into_iter().map(|line| Problem::at(&file.path, line, format!("core says {word}: {why}"))));
        }
        for (line, module) in world(&code) {
            problems.push(Problem::at(&file.path, line, format!("core uses std::{module}: it touches nothing; hand in what it needs")));
        }
        for line in float_literals(&code) {
            problems.push(Problem::at(&file.path, line, "core writes a number with a point: decisions are made with whole numbers"));
        }
    }
    problems
}

/// `std::fs` and `std::{fs, …}`.
fn world(code: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for module in WORLD {
        found.extend(lines_with(code, &format!("std::{module}")).into_iter().map(|line| (line, module)));
    }
    for (at, _) in code.match_indices("std::{") {
        let end = closing(code, at, '{', '}').unwrap_or(code.len());
        for part in code[at + "std::{".len()..end].split(',') {
            let head = part.split("::").next().unwrap_or(part).trim_matches(|c: char| c.is_whitespace() || c == '}');
            found.extend(WORLD.iter().filter(|module| **module == head).map(|module| (line_of(code, at), *module)));
        }
    }
    found
}

/// Numbers like `1.5`; not `pair.0.1` and not `0..9`.
fn float_literals(code: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    let mut lines = Vec::new();
    for at in 1..bytes.len().saturating_sub(1) {
        if bytes[at] != b'.' || !bytes[at - 1].is_ascii_digit() || !bytes[at + 1].is_ascii_digit() {
            continue;
        }
        let head = bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'_').count();
        if at == head || !is_name(bytes[at - head - 1]) {
            lines.push(line_of(code, at));
        }
    }
    lines
}

/// Is core's clippy.toml there, with a reason for each entry, and does it name what it must?
pub fn clippy(tree: &Tree) -> Vec<Problem> {
    let path = format!("{CORE}/clippy.toml");
    let Some(file) = tree.file(&path) else { return vec![Problem::of(&path, "is missing: it refuses clocks, environment, threads and hash maps")] };
    let Ok(table) = file.text.parse::<Table>() else { return vec![Problem::of(&path, "is not TOML")] };
    let entries = |key: &str| table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let all: Vec<Value> = ["disallowed-types", "disallowed-methods"].iter().flat_map(|key| entries(key)).collect();
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let paths: Vec<String> = all.iter().filter_map(|entry| text(entry, "path")).collect();
    let unreasoned = all.iter().filter(|entry| text(entry, "reason").is_none_or(|reason| reason.len() < 10));
    let mut problems: Vec<Problem> = unreasoned.map(|entry| Problem::of(&path, format!("{entry} has no reason"))).collect();
    for wanted in ["std::collections::HashMap", "std::time::Instant", "std::time::SystemTime", "std::env::var", "std::thread::spawn"] {
        if !paths.iter().any(|path| path == wanted) {
            problems.push(Problem::of(&path, format!("does not refuse {wanted}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{clippy, problems};
    use crate::planted::{check, tree};

    #[track_caller]
    fn core(text: &str, wanted: &[&str]) {
        check(problems(&tree(&[("host/core/src/a.rs", text)])), wanted);
    }

    #[test]
    fn what_reaches_out_is_found() {
        core("use std::collections::HashMap;", &["HashMap"]);
        core("fn a() { std::env::var(\"x\"); }", &["std::env"]);
        core("use std::{fmt, time::Duration};", &["std::time"]);
        core("fn a(b: u64) -> f64 { b as f64 * 1.5 }", &["f64", "with a point"]);
        core("async fn a() {}", &["async"]);
    }

    #[test]
    fn what_stays_inside_is_not() {
        core("use std::{fmt, collections::BTreeMap};\nuse crate::time::Time;\nfn a(p: ((u8, u8), u8)) { p.0.1; 0..9; /* 1.5 f64 */ }", &[]);
        core("#[cfg(test)]\nmod tests { use std::collections::HashSet; }", &[]);
        check(problems(&tree(&[("host/server/src/a.rs", "use std::time::Instant;")])), &[]);
    }

    #[test]
    fn clippy_toml_has_its_entries_and_reasons() {
        check(clippy(&tree(&[])), &["is missing"]);
        let text = "disallowed-types = [{ path = \"std::collections::HashMap\", reason = \"order differs\" }, { path = \"std::time::Instant\" }]\n";
        check(clippy(&tree(&[("host/core/clippy.toml", text)])), &["has no reason", "SystemTime", "env::var", "thread::spawn"]);
    }
}

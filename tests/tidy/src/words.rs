//! Words that only some rooms may say, and words that nobody says.

use crate::rust::{closing, code, line_of, lines_with, product_code};
use crate::{File, Problem, Tree};

/// Where printing is the job.
const PRINTERS: &[(&str, &str)] = &[
    ("host/cli", "the one place that talks with people"),
    ("host/keeper", "a process of its own, started with its standard error in a file; it has no other way to say what it lost"),
    ("sdk/componentize/build.rs", "cargo reads what a build script prints"),
    ("sdk/componentize/src/main.rs", "a tool of the build with a command line of its own"),
    ("sdk/orchestrator/examples", "programs that show what happens"),
    ("tests", "tests say what they found"),
];

/// Code that needs `unsafe`, and why. Generated bindings are never edited and not counted here: they allow it in one line.
const UNSAFE: &[(&str, &str)] = &[
    ("host/wasm/src/cache/trusted.rs", "wasmtime offers no safe way to load compiled code; this one call, from a private directory"),
    ("host/keeper/src/launch/child.rs", "what a child does between fork and exec can only be said through `pre_exec`"),
    ("host/server/src/memory.rs", "no safe crate offers malloc_trim and madvise; two calls that change no memory's content"),
    ("tests/disk/src/calls.rs", "the C library's calls on files are defined anew, to be recorded and to fail; a test's program, never the product's"),
];

/// A test may sleep between two looks at a thing that offers no event to wait for, where a deadline stands within so many lines.
const POLL: usize = 12;

fn listed(table: &[(&str, &str)], file: &File) -> bool {
    table.iter().any(|(place, _)| file.path == *place || file.is_in(place))
}

fn at_lines(file: &File, lines: Vec<usize>, message: &str) -> Vec<Problem> {
    lines.into_iter().map(|line| Problem::at(&file.path, line, message)).collect()
}

/// `wasmtime` outside of the room that embodies plugins.
pub fn wasmtime(tree: &Tree) -> Vec<Problem> {
    let files = tree.rust().filter(|file| !file.is_in("host/wasm") && !file.is_in("tests/tidy"));
    files.flat_map(|file| at_lines(file, lines_with(&code(&file.text), "wasmtime"), "says wasmtime; only host/wasm does")).collect()
}

/// Printing outside of the places where that is the job.
pub fn printing(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| !file.is_test() && !listed(PRINTERS, file)) {
        let code = product_code(&file.text);
        for word in ["print!", "println!", "eprint!", "eprintln!"] {
            problems.extend(at_lines(file, lines_with(&code, word), "prints; only host/cli does. Return it, or trace it"));
        }
    }
    problems
}

/// Lints that are switched off, and nobody says why: neither a `reason = "…"` nor a comment right above.
pub fn unexplained_exceptions(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        let code = code(&file.text);
        for opening in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in code.match_indices(opening) {
                let end = closing(&code, at, '[', ']').unwrap_or(code.len());
                let above = file.text[..at].trim_end().lines().next_back().unwrap_or_default().trim_start();
                let commented = above.starts_with("//") && !above.starts_with("///");
                if commented || !lines_with(&code[at..end], "reason").is_empty() {
                    continue;
                }
                problems.push(Problem::at(&file.path, line_of(&code, at), format!("{}…)] gives no `reason = \"…\"`", opening)));
            }
        }
    }
    problems
}

/// `unsafe` where it was not reviewed.
pub fn unsafe_code(tree: &Tree) -> Vec<Problem> {
    let files = tree.rust().filter(|file| file.is_in("host") && !listed(UNSAFE, file));
    files
        .flat_map(|file| at_lines(file, lines_with(&code(&file.text), "unsafe"), "unsafe code that UNSAFE in tests/tidy/src/words.rs does not list"))
        .collect()
}

/// Tests that wait for luck. Benches and the torture do things at moments, and that is what they are for.
pub fn sleeping_tests(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let by_the_clock = ["tests/fixtures", "tests/bench", "tests/torture"];
    for file in tree.rust().filter(|file| !by_the_clock.iter().any(|folder| file.is_in(folder))) {
        let (all, product) = (code(&file.text), if file.is_test() { String::new() } else { product_code(&file.text) });
        for word in ["thread::sleep", "time::sleep"] {
            let allowed = lines_with(&product, word);
            let sleeps = lines_with(&all, word).into_iter().filter(|line| !allowed.contains(line));
            let lines = sleeps.filter(|line| !polls(&all, *line)).collect();
            problems.extend(at_lines(file, lines, "a test sleeps: wait for the event, with a deadline"));
        }
    }
    problems
}

fn polls(code: &str, line: usize) -> bool {
    code.lines().skip(line.saturating_sub(POLL)).take(2 * POLL).any(|near| near.contains("deadline"))
}

/// Work left for later, tests that do not run, and names of the machine somebody worked on.
pub fn leftovers(tree: &Tree) -> Vec<Problem> {
    // put together here, so that this file does not find itself
    let unfinished =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["to", "do!("], ["unimplemented", "!("], ["#[", "ignore"]].map(|parts| parts.concat());
    let machine = [["/wo", "rk/"], ["shared/", "design"], ["shared/", "seeds"], ["/tmp", "/w/"], ["/root", "/."]].map(|parts| parts.concat());
    let mut problems = Vec::new();
    for file in tree.files() {
        for (at, line) in file.text.lines().enumerate() {
            for word in unfinished.iter().filter(|word| line.contains(word.as_str())) {
                problems.push(Problem::at(&file.path, at + 1, format!("{word}: unfinished work does not land; finish it or open an issue")));
            }
            for word in machine.iter().filter(|word| line.contains(word.as_str())) {
                problems.push(Problem::at(&file.path, at + 1, format!("{word} is a place on somebody's machine")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{leftovers, printing, sleeping_tests, unexplained_exceptions, unsafe_code, wasmtime};
    use crate::Problem;
    use crate::planted::{check, tree};

    #[track_caller]
    fn finds(rule: fn(&crate::Tree) -> Vec<Problem>, path: &str, text: &str, wanted: &[&str]) {
        check(rule(&tree(&[(path, text)])), wanted);
    }

    #[test]
    fn wasmtime_has_one_room() {
        finds(wasmtime, "host/server/src/a.rs", "// wasmtime\nuse wasmtime::Engine;", &["a.rs:2"]);
        finds(wasmtime, "host/wasm/src/a.rs", "use wasmtime::Engine;", &[]);
    }

    #[test]
    fn printing_has_one_place() {
        finds(printing, "host/server/src/a.rs", "fn a() { println!(); }\n#[cfg(test)]\nmod tests { fn b() { eprintln!() } }", &["a.rs:1"]);
        finds(printing, "host/cli/src/a.rs", "fn a() { println!(); }", &[]);
        finds(printing, "host/server/tests/a.rs", "fn a() { println!(); }", &[]);
    }

    #[test]
    fn an_exception_has_a_reason() {
        finds(unexplained_exceptions, "a.rs", "#[allow(dead_code)]\nfn a() {}", &["a.rs:1"]);
        finds(unexplained_exceptions, "a.rs", "#[allow(\n    dead_code,\n    reason = \"generated\"\n)]\nfn a() {}", &[]);
        finds(unexplained_exceptions, "a.rs", "// Kept for its drop.\n#[allow(dead_code)]\nfn a() {}", &[]);
        finds(unexplained_exceptions, "a.rs", "/// What a does.\n#[allow(dead_code)]\nfn a() {}", &["a.rs:2"]);
        finds(unexplained_exceptions, "a.rs", "// #[allow(dead_code)]", &[]);
    }

    #[test]
    fn unsafe_code_is_listed() {
        finds(unsafe_code, "host/server/src/a.rs", "fn a() { unsafe { b() } }", &["a.rs:1"]);
        finds(unsafe_code, "host/wasm/src/cache/trusted.rs", "fn a() { unsafe { b() } }", &[]);
        finds(unsafe_code, "host/keeper/src/a.rs", "// unsafe\n#![forbid(unsafe_code)]", &[]);
    }

    #[test]
    fn tests_do_not_sleep_and_the_product_may() {
        let text = "fn a() { std::thread::sleep(x) }\n#[cfg(test)]\nmod tests { fn b() { std::thread::sleep(x) } }";
        finds(sleeping_tests, "host/a/src/a.rs", text, &["a.rs:3"]);
        finds(sleeping_tests, "host/a/tests/a.rs", "fn a() { tokio::time::sleep(x) }", &["a.rs:1"]);
        finds(sleeping_tests, "host/a/tests/a.rs", "fn a() { while now() < deadline { thread::sleep(x) } }", &[]);
    }

    #[test]
    fn leftovers_are_found_in_any_file() {
        finds(leftovers, "docs/a.md", &["fine\n// TO", "DO later"].concat(), &["a.md:2"]);
        finds(leftovers, "scripts/a.sh", &["cd /wo", "rk/main"].concat(), &["a.sh:1"]);
        finds(leftovers, "host/a/tests/a.rs", &["#[", "ignore]"].concat(), &["a.rs:1"]);
    }
}

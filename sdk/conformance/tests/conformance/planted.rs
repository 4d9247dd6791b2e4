//! Bugs that were planted on purpose: each fails the case that is for it, and none that has nothing to do with it.

use hostler_conformance::Case;

use crate::{component, failed, tried};

/// A bug, the case that must find it, and those that may find it too.
struct Planted {
    number: u8,
    what: &'static str,
    found_by: &'static str,
    related: &'static [&'static str],
}

const fn bug(number: u8, what: &'static str, found_by: &'static str, related: &'static [&'static str]) -> Planted {
    Planted { number, what, found_by, related }
}

const BACKENDS: &[Planted] = &[
    bug(1, "forgets its tag", "B6", &["steps", "B4", "B7", "crash-start", "lost-reply", "amnesia", "parallel"]),
    bug(2, "starts twice when asked twice", "B4", &["twice", "B5", "crash-start", "clocks"]),
    bug(3, "leaks on failure", "B7", &["denied"]),
    bug(
        4,
        "lies on stop",
        "B9",
        &["steps", "twice", "late", "B5", "B6", "B13", "B14", "B15", "crash-stop", "crash-destroy", "lost-reply", "amnesia", "parallel", "clocks"],
    ),
    bug(5, "reads the time in describe", "B1", &[]),
    bug(6, "hides a secret in a handle", "B16", &["B6", "crash-start", "lost-reply"]),
    bug(7, "answers another handle on repeat", "B4", &["twice", "B5", "B6", "crash-start", "lost-reply", "clocks"]),
    bug(8, "does not see a conflict", "B5", &[]),
    bug(9, "says exited of an engine that is away", "B8", &["B15"]),
    bug(10, "destroys a running task without force", "B10", &[]),
    bug(11, "accepts unknown keys", "B2", &[]),
    bug(12, "traps on an error of an import", "fault-errors", &["B8", "B15"]),
    bug(13, "imports what it does not declare", "needs", &[]),
    bug(14, "asks the engine while it migrates", "B18", &["B8"]),
    bug(15, "says 0 for what was not measured", "B13", &[]),
    bug(16, "runs an exited task again", "B5", &[]),
    bug(17, "hands commands to a shell", "B14", &[]),
    bug(18, "reads the last line of a page again", "B12", &[]),
    bug(19, "fails to stop what is gone", "late", &["B11"]),
    bug(20, "says a secret in a fault", "B16", &["B5", "B7", "B15", "B17", "denied"]),
    bug(21, "lists nothing when the engine is away", "B15", &[]),
];

const CHECKS: &[Planted] = &[
    bug(51, "passes on an error", "H2", &["H4"]),
    bug(52, "keeps state", "H5", &[]),
    bug(53, "blames the target for its own trouble", "H2", &["B17"]),
    bug(54, "always passes", "H1", &[]),
    bug(55, "relies on a fresh instance", "reused", &[]),
];

/// The component with this bug: the digits behind its mark are overwritten.
fn with(base: &[u8], number: u8) -> Vec<u8> {
    let mark = b"planted-bug:";
    let at = base.windows(mark.len()).position(|window| window == mark).expect("the mark is in the component") + mark.len();
    let mut bytes = base.to_vec();
    bytes[at..at + 2].copy_from_slice(format!("{number:02}").as_bytes());
    bytes
}

/// What takes long and finds nothing that the others do not.
fn quick(case: &Case) -> bool {
    !["fault-slow", "sequence", "fault-huge"].contains(&case.name)
}

async fn each_is_found(base: Vec<u8>, bugs: &[Planted]) {
    let mut wrong = Vec::new();
    for bug in bugs {
        let report = tried(bug.what, with(&base, bug.number), &quick).await;
        let failed = failed(&report);
        let strays: Vec<&&str> = failed.iter().filter(|name| **name != bug.found_by && !bug.related.contains(name)).collect();
        if !failed.contains(&bug.found_by) || !strays.is_empty() {
            wrong.push(format!("{} ({}): expected {}, found by {failed:?}", bug.what, bug.number, bug.found_by));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn without_a_bug_everything_is_kept() {
    for name in ["planted", "planted-check"] {
        let report = tried(name, component(&format!("fixtures/{name}.wasm")), &|_| true).await;
        assert!(failed(&report).is_empty(), "\n{}", report.text());
    }
}

#[tokio::test]
async fn each_bug_of_a_backend_is_found_by_its_case() {
    each_is_found(component("fixtures/planted.wasm"), BACKENDS).await;
}

#[tokio::test]
async fn each_bug_of_a_check_is_found_by_its_case() {
    each_is_found(component("fixtures/planted-check.wasm"), CHECKS).await;
}

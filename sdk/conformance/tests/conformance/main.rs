//! Every built-in plugin keeps the whole contract, and every bug that is planted is found.

mod built_ins;
mod planted;

use std::path::PathBuf;

use hostler_conformance::{Against, Case, Outcome, Report, Subject, check};

/// A component that `make` has built.
fn component(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `make plugins fixtures` builds it", path.display()))
}

async fn tried(name: &str, bytes: Vec<u8>, wanted: &dyn Fn(&Case) -> bool) -> Report {
    let subject = Subject {
        name: name.to_owned(),
        bytes,
        origin: format!("{name}.wasm"),
        config: serde_json::Value::Null,
        settings: None,
        grants: None,
        against: Against::Fake,
    };
    check(subject, wanted).await.expect("there is a host to try it in")
}

/// Names of the cases that ended so.
fn names(report: &Report, which: fn(&Outcome) -> bool) -> Vec<&'static str> {
    report.cases.iter().filter(|case| which(&case.outcome)).map(|case| case.case.name).collect()
}

fn failed(report: &Report) -> Vec<&'static str> {
    names(report, |outcome| matches!(outcome, Outcome::Failed(_)))
}

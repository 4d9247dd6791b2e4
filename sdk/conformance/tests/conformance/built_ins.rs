//! What Hostler brings along keeps what it asks of others.

use hostler_conformance::{CASES, Group, Outcome};

use crate::{component, failed, names, tried};

async fn keeps_everything(name: &str, not_applicable: &[&str]) {
    let report = tried(name, component(&format!("plugins/{name}.wasm")), &|_| true).await;
    assert!(failed(&report).is_empty(), "\n{}", report.text());
    let skipped: Vec<&str> = names(&report, |outcome| matches!(outcome, Outcome::NotApplicable(_)));
    let of_other_role = |name: &&&str| {
        let case = CASES.iter().find(|case| case.name == **name).expect("it was tried");
        let is_check = report.cases.iter().any(|tried| tried.case.name == "H1" && tried.outcome == Outcome::Passed);
        if is_check { !matches!(case.group, Group::Lifecycle | Group::Crash) } else { case.group != Group::Checks }
    };
    let skipped: Vec<&str> = skipped.iter().filter(of_other_role).copied().collect();
    assert_eq!(skipped, not_applicable, "{name}: other cases than expected do not apply\n{}", report.text());
}

#[tokio::test]
async fn process_keeps_the_contract() {
    keeps_everything("process", &["B3", "B14", "B16"]).await;
}

#[tokio::test]
async fn http_keeps_the_contract() {
    keeps_everything("http", &["B16", "H3"]).await;
}

#[tokio::test]
async fn tcp_keeps_the_contract() {
    let of_sockets = ["fault-errors", "fault-slow", "fault-short", "fault-huge", "fault-bytes", "B16", "denied", "H3"];
    keeps_everything("tcp", &of_sockets).await;
}

#[tokio::test]
async fn command_keeps_the_contract() {
    keeps_everything("command", &["B16", "H3", "malformed"]).await;
}

#[tokio::test]
async fn script_keeps_the_contract() {
    keeps_everything("script", &["B16", "H3", "malformed"]).await;
}

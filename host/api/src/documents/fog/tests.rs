use hostler_core::Verdict;

use super::*;
use crate::stamp::Timestamp;
use crate::wire::{Shape, Uptime};

fn result(check: &str, verdict: Verdict, status: Health, at: u64) -> CheckResult {
    CheckResult {
        service_name: "dao".to_owned(),
        check: check.to_owned(),
        replica: 0,
        verdict,
        status,
        timestamp: Timestamp(at),
        message: verdict.as_str().to_owned(),
        details: BTreeMap::from([("status".to_owned(), "204".to_owned())]),
        response_time_ms: Some(12.5),
    }
}

fn state(check: &str, history: Vec<CheckResult>) -> CheckState {
    CheckState {
        check: check.to_owned(),
        replica: 0,
        plugin: "http".to_owned(),
        health: Health::Healthy,
        interval_ms: 30_000,
        timeout_ms: 5_000,
        failure_threshold: 3,
        recovery_threshold: 2,
        auto_recovery: true,
        consecutive_failures: 0,
        consecutive_passes: 1,
        next_in_ms: None,
        uptime: Uptime::default(),
        history,
    }
}

#[test]
fn a_history_is_of_all_checks_in_their_order_and_ends_with_the_latest() {
    let row = |check: &str, first: u64| (0..80).map(|number| result(check, Verdict::Pass, Health::Healthy, first + number * 2_000)).collect();
    let told = history(&[state("http", row("http", 0)), state("tcp", row("tcp", 1_000))]);
    assert_eq!(told.len(), HISTORY);
    assert!(told.is_sorted_by_key(|check| check.timestamp));
    let last: Vec<&str> = told[98..].iter().map(|check| check.details["check"].as_str()).collect();
    assert_eq!(last, ["http", "tcp"]);
    assert_eq!(
        told[99].details,
        [("check", "tcp"), ("replica", "0"), ("status", "204")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    );
}

#[test]
fn of_several_checks_the_worst_result_is_told_and_of_none_that_it_is_none() {
    let results = vec![
        result("a", Verdict::Pass, Health::Healthy, 1),
        result("b", Verdict::Fail, Health::Degraded, 2),
        result("c", Verdict::Pass, Health::Healthy, 3),
    ];
    let not_checked = vec!["dao".to_owned(), "p2p".to_owned()];
    let now = CheckNow { version: Shape, timestamp: Timestamp(5), composite_health: Health::Degraded, results, not_checked };
    let told = CheckedNow::from(&now);
    assert_eq!((told.results["dao"].status, told.results["dao"].details["check"].as_str()), (Health::Degraded, "b"));
    assert_eq!((told.results["p2p"].status, told.results["p2p"].response_time_ms), (Health::Unknown, None));
}

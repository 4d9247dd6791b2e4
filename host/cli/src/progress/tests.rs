//! When a command has done what was wanted, and what it says when not.

use serde_json::json;

use super::*;
use hostler_api::Shape;

/// A service as `name wanted status settled cause`.
fn service(text: &str) -> Service {
    let words: Vec<&str> = text.splitn(5, ' ').collect();
    let cause = words.get(4);
    let document = json!({
        "name": words[0], "display_name": null, "kind": "service", "category": "application", "critical": false, "enabled": true,
        "backend": "process", "wanted": words[1], "stopped_by_hand": false, "status": words[2], "health": "unknown", "cause": cause,
        "settled": words[3] == "settled", "next": null, "generation": 1, "layer": 0,
        "replicas": { "wanted": 1, "min": 1, "max": 1, "running": 0, "healthy": 0 },
        "pid": null, "started_at": null, "uptime_ms": null, "startup_time_ms": null, "restart_count": 0, "restart_attempts": 0,
        "max_restart_attempts": 3, "failure_count": 0, "last_restart_at": null, "last_failure_at": null, "last_error": null,
    });
    serde_json::from_value(document).expect("a service as the wire has it")
}

fn list(services: &[&str]) -> ServiceList {
    let services: Vec<Service> = services.iter().map(|text| service(text)).collect();
    let settled = services.iter().all(|service| service.settled);
    ServiceList { version: Shape, settled, ready: true, composite_health: Health::Unknown, last_event: 0, next: None, services }
}

#[test]
fn what_is_as_wanted_is_no_failure() {
    let well = [
        "a running running settled",
        "b running completed settled",
        "c stopped stopped settled",
        "d removed not-found settled",
        "e running disabled settled",
    ];
    assert_eq!(shortfall(&list(&well), Duration::ZERO), None);
}

#[test]
fn what_failed_is_told_with_its_reason_and_without_saying_so_twice() {
    let failure =
        shortfall(&list(&["a running running settled", "b running failed settled failed: exited with code 3"]), Duration::ZERO).expect("b failed");
    assert_eq!((failure.code, failure.message.as_str()), (Code::Failed, "b is failed: exited with code 3"));
    assert_eq!(failure.hint.as_deref(), Some("`hostler explain b` says why, `hostler logs b` what it wrote"));
}

#[test]
fn what_is_still_on_its_way_is_a_timeout() {
    let failure = shortfall(&list(&["a running pending moving waits for b"]), Duration::from_secs(90)).expect("a is pending");
    assert_eq!((failure.code, failure.message.as_str()), (Code::Timeout, "not settled after 1m30s: a is pending: waits for b"));
}

#[test]
fn of_many_only_the_first_are_told() {
    let texts: Vec<String> = (0..25).map(|number| format!("s{number} running failed settled why")).collect();
    let failure = shortfall(&list(&texts.iter().map(String::as_str).collect::<Vec<_>>()), Duration::ZERO).expect("all failed");
    assert!(failure.message.ends_with("s9 is failed: why; and 15 more"), "{failure}");
}

#[test]
fn a_new_service_at_rest_is_no_progress_and_every_other_change_is() {
    let seen = |text: &str| Seen::of(&service(text));
    assert!(!worth_a_line(None, &seen("a stopped stopped settled")));
    assert!(worth_a_line(None, &seen("a running pending moving waits for b")));
    assert!(worth_a_line(Some(&seen("a running running settled")), &seen("a stopped stopped settled")));
    assert_eq!(seen("a running running settled why"), seen("a running running settled"), "of what runs, a cause is no news");
}

#[test]
fn the_summary_counts_by_status() {
    assert_eq!(summary(&list(&["a running running settled", "b running running settled", "c running failed settled"])), "2 running · 1 failed");
    assert_eq!(summary(&list(&[])), "no services");
}

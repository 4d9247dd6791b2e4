use serde_json::json;

use super::*;
use hostler_core::{Bound, Figure, Window};

fn read(document: Value) -> Result<Alerting, Vec<String>> {
    let told = |problem: &Problem| format!("{}: {} ({})", problem.at, problem.message, problem.hint.as_deref().unwrap_or_default());
    super::super::read(&document).map(|config| config.alerting).map_err(|problems| problems.iter().map(told).collect())
}

#[test]
fn one_line_is_the_four_defaults() {
    let names = |alerting: &Alerting| alerting.rules.keys().cloned().collect::<Vec<_>>();
    let alerting = read(json!({ "alerts": { "defaults": true } })).expect("it is a good one");
    assert_eq!(names(&alerting), ["degraded", "heartbeat-missed", "restarts", "unhealthy"]);
    assert!(alerting.rules.values().all(|rule| rule.sinks == ["log"]));
    let ops = json!({ "ops": { "type": "webhook", "url": "https://ops.example/hook" } });
    let alerting =
        read(json!({ "alerts": { "defaults": true, "unhealthy": { "on": "unhealthy", "for": "1m" } }, "sinks": ops })).expect("it is a good one");
    assert_eq!(alerting.rules["unhealthy"].hold, Span::secs(60), "what a file says of one counts");
    assert_eq!((alerting.rules.len(), alerting.rules["restarts"].sinks.as_slice()), (4, &["ops".to_owned()][..]));
}

#[test]
fn each_rule_is_read_with_its_own_keys() {
    let check = |rule: Value, expected: Trigger| {
        let alerting = read(json!({ "alerts": { "x": rule } })).expect("it is a good one");
        assert_eq!(alerting.rules["x"].trigger, expected);
    };
    check(json!({ "on": "restarts" }), Trigger::Restarts { count: 3, within: Span::secs(600) });
    check(json!({ "on": "restarts", "count": 5, "within": "1h" }), Trigger::Restarts { count: 5, within: Span::secs(3_600) });
    check(json!({ "on": "uptime", "below": "99.5%" }), Trigger::Uptime { below_permille: 995, window: Window::Day });
    check(json!({ "on": "uptime", "below": "90%", "window": "7d" }), Trigger::Uptime { below_permille: 900, window: Window::Week });
    check(json!({ "on": "metric", "metric": "memory", "above": "1g" }), Trigger::Metric { figure: Figure::Memory, bound: Bound::Above(1 << 30) });
    check(
        json!({ "on": "metric", "metric": "replicas-healthy", "below": 2 }),
        Trigger::Metric { figure: Figure::ReplicasHealthy, bound: Bound::Below(2) },
    );
    check(json!({ "on": "plugin-quarantined", "plugins": ["docker"] }), Trigger::PluginQuarantined);
}

#[test]
fn sinks_are_read_with_their_defaults() {
    let sinks = json!({
        "ops": { "type": "webhook", "url": "https://ops.example/hook", "secret_file": "hook.key" },
        "page": { "type": "command", "command": ["./page", "--now"], "timeout": "30s", "group_wait": "5s", "attempts": 3 },
    });
    let alerting = read(json!({ "sinks": sinks })).expect("it is a good one");
    assert_eq!(alerting.sinks["ops"].attempts, 10);
    assert!(matches!(&alerting.sinks["ops"].way, Way::Webhook { secret_file: Some(file), ca: None, .. } if file == "hook.key"));
    assert_eq!(alerting.sinks["page"].way, Way::Command { command: vec!["./page".to_owned(), "--now".to_owned()] });
    assert_eq!((alerting.sinks["page"].group_wait, alerting.sinks["page"].attempts), (Span::secs(5), 3));
}

#[test]
fn mistakes_are_named_where_they_are() {
    let check = |document: Value, expected: &str| {
        let problems = read(document).expect_err("it is a bad one");
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
    };
    let rule = |rule: Value| json!({ "alerts": { "x": rule } });
    let sink = |sink: Value| json!({ "sinks": { "x": sink } });
    check(rule(json!({})), "/alerts/x: alert `x` has no `on`");
    check(rule(json!({ "on": "unhealty" })), "/alerts/x/on: `on` is \"unhealty\"");
    check(rule(json!({ "on": "unhealthy", "sinks": ["pager"] })), "/alerts/x/sinks/0: `sinks[0]` is \"pager\", and there is no such sink");
    check(rule(json!({ "on": "unhealthy", "severty": "info" })), "did you mean `severity`?");
    check(rule(json!({ "on": "unhealthy", "count": 3 })), "/alerts/x/count: unknown key");
    check(rule(json!({ "on": "unhealthy", "services": [] })), "is empty");
    check(rule(json!({ "on": "uptime" })), "has no `below`");
    check(rule(json!({ "on": "uptime", "below": 0.9 })), "a share between");
    check(rule(json!({ "on": "metric", "metric": "memory" })), "has no `above`");
    check(rule(json!({ "on": "metric", "metric": "memory", "above": "1g", "below": "1m" })), "stands beside `above`");
    check(rule(json!({ "on": "restarts", "within": "2d" })), "nobody looks further back");
    check(json!({ "alerts": { "defaults": "log" } }), "/alerts/defaults: `defaults` is");
    check(json!({ "alerts": { "Db": { "on": "failed" } } }), "bad name: alert name");
    check(sink(json!({ "type": "email" })), "/sinks/x/type");
    check(sink(json!({ "type": "webhook" })), "has no `url`");
    for url in ["ops.example/hook", "https://", "https://me:secret@ops.example", "https://ops.example/a b", "file:///etc/passwd"] {
        check(sink(json!({ "type": "webhook", "url": url })), "/sinks/x/url: `url` is no address of HTTP");
    }
    check(sink(json!({ "type": "command", "command": [] })), "names no program");
    check(sink(json!({ "type": "command", "command": "page --now" })), "must be a list");
    check(json!({ "sinks": { "log": { "type": "command", "command": ["x"] } } }), "always there");
}

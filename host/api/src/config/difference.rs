//! How one service differs from what it was, in the words of the file.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Replicas, Spec};
use serde_json::{Map, Value, json};

/// So many differences of one service are named; the rest is counted.
const NAMED: usize = 4;
/// A longer value is not shown.
const LONGEST: usize = 40;
/// What stands below these may be anything, and is not shown.
const PRIVATE: [&str; 3] = ["env", "headers", "secrets"];
/// What has one of these in its name or value is not shown.
const SECRET: [&str; 6] = ["pass", "secret", "token", "key", "credential", "auth"];

/// What differs between two specs, by path in the file, with its value before and after where that is short and cannot be a secret:
/// `backend.args`, `env.COLOUR`, `restart.max_attempts 3 → 5`. A few of them, then `and 3 more`.
pub fn differences(before: &Spec, after: &Spec) -> Vec<String> {
    let mut found = Vec::new();
    compare("", &words(before), &words(after), &mut found);
    let is_named = |part: &str, found: &[String]| found.iter().any(|path| path.starts_with(part));
    let orders = [("dependencies", before.dependencies != after.dependencies), ("health_checks", before.checks != after.checks)];
    for (part, differs) in orders {
        if differs && !is_named(part, &found) {
            found.push(format!("{part} in another order"));
        }
    }
    let more = found.len().saturating_sub(NAMED);
    if more > 1 {
        found.truncate(NAMED);
        found.push(format!("and {more} more"));
    }
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    if before == after {
        return;
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return found.push(told(path, before, after));
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let part = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or_default();
        compare(&path, &part(before), &part(after), found);
    }
}

fn told(path: &str, before: &Value, after: &Value) -> String {
    let is_private = path.split('.').any(|part| PRIVATE.contains(&part)) || looks_secret(path);
    match (shown(before), shown(after)) {
        (Some(before), Some(after)) if !is_private => format!("{path} {before} → {after}"),
        _ => path.to_owned(),
    }
}

/// A value that one can take in at a glance. In a text with blanks anything may stand, as in a list of arguments.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("none".to_owned()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => {
            let is_plain = !text.is_empty() && text.len() <= LONGEST && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
            (is_plain && !looks_secret(text)).then(|| text.clone())
        }
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn looks_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SECRET.iter().any(|word| text.contains(word))
}

/// The spec as somebody would write it, with everything said; what comes in a list of named things is a table of them.
fn words(spec: &Spec) -> Value {
    let dependencies: BTreeMap<&str, Value> = spec
        .dependencies
        .iter()
        .map(|edge| {
            (
                edge.service.as_str(),
                json!({ "condition": edge.condition, "optional": edge.optional, "restart": edge.restart, "healthy": edge.healthy }),
            )
        })
        .collect();
    let checks: BTreeMap<&str, Value> = spec
        .checks
        .iter()
        .map(|check| {
            let own = json!({
                "interval": check.interval.to_string(),
                "timeout": check.timeout.to_string(),
                "failure_threshold": check.failure_threshold,
                "recovery_threshold": check.recovery_threshold,
                "start_period": check.start_period.to_string(),
                "auto_recovery": check.auto_recovery,
            });
            (check.name.as_str(), with_settings(own, &check.plugin, &check.settings))
        })
        .collect();
    let restart = &spec.restart;
    let thousandths = |permille: u32| f64::from(permille) / 1_000.0;
    json!({
        "kind": spec.kind,
        "display_name": spec.display_name,
        "category": spec.category,
        "critical": spec.critical,
        "enabled": spec.enabled,
        "labels": spec.labels,
        "backend": with_settings(json!({}), &spec.backend.plugin, &spec.backend.settings),
        "dependencies": dependencies,
        "health_checks": checks,
        "restart": {
            "policy": restart.mode,
            "max_attempts": restart.max_attempts,
            "backoff": {
                "initial": restart.initial.to_string(),
                "factor": thousandths(restart.factor_permille),
                "max": restart.max.to_string(),
                "jitter": thousandths(restart.jitter_permille),
            },
            "reset_after": restart.reset_after.to_string(),
        },
        "stop": { "signal": spec.stop.signal, "grace": spec.stop.grace.to_string() },
        "timeout": spec.timeout.to_string(),
        "resources": {
            "cpu": spec.resources.cpu_millis.map(|millis| format!("{millis}m")),
            "memory": spec.resources.memory_bytes,
            "storage": spec.resources.storage_bytes,
        },
        "replicas": replicas(&spec.replicas),
        "env": spec.env,
        "secrets": spec.secrets,
        "network": spec.network,
    })
}

fn replicas(replicas: &Replicas) -> Value {
    let percent = |permille: Option<u32>| permille.map(|permille| format!("{}%", permille / 10));
    let autoscale = replicas.autoscale.map(|policy| {
        json!({
            "cpu": percent(policy.cpu_permille),
            "memory": percent(policy.memory_permille),
            "cooldown_up": policy.cooldown_up.to_string(),
            "cooldown_down": policy.cooldown_down.to_string(),
            "interval": policy.interval.to_string(),
        })
    });
    json!({ "min": replicas.min, "max": replicas.max, "count": replicas.count, "autoscale": autoscale })
}

/// A plugin's settings stand beside what the host says itself.
fn with_settings(own: Value, plugin: &str, settings: &str) -> Value {
    let settings: Value = serde_json::from_str(settings).unwrap_or_default();
    let mut whole = Map::new();
    for part in [own, settings] {
        if let Value::Object(members) = part {
            whole.extend(members);
        }
    }
    whole.insert("type".to_owned(), plugin.into());
    Value::Object(whole)
}

#[cfg(test)]
mod tests {
    use hostler_core::{CheckSpec, Dependency, ServiceName, Span};

    use super::*;

    fn service(settings: &str) -> Spec {
        Spec::new(ServiceName::new("web").expect("a name"), "process", settings)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Spec), expected: &[&str]) {
        let mut before = service(r#"{"args":["a"],"binary":"./web","env":{"COLOUR":"red"},"port":1}"#);
        before.checks.push(CheckSpec::new("front", "http", r#"{"headers":{"x-who":"me"},"url":"http://h/"}"#));
        let mut after = before.clone();
        change(&mut after);
        assert_eq!(differences(&before, &after), expected);
    }

    #[test]
    fn a_difference_is_named_by_its_path_and_shown_where_it_is_short() {
        check(|_| {}, &[]);
        check(|spec| spec.restart.max_attempts = Some(5), &["restart.max_attempts 3 → 5"]);
        check(|spec| spec.restart.max_attempts = None, &["restart.max_attempts 3 → none"]);
        check(|spec| spec.restart.initial = Span::millis(1_500), &["restart.backoff.initial 2s → 1s500ms"]);
        check(|spec| spec.checks[0].interval = Span::secs(60), &["health_checks.front.interval 30s → 1m"]);
        check(|spec| spec.checks.clear(), &["health_checks.front"]);
        check(
            |spec| spec.backend = service(r#"{"args":["b"],"binary":"./other","env":{"COLOUR":"red"},"port":2}"#).backend,
            &["backend.args", "backend.binary ./web → ./other", "backend.port 1 → 2"],
        );
    }

    #[test]
    fn what_may_be_a_secret_is_named_and_not_shown() {
        check(|spec| drop(spec.env.insert("COLOUR".to_owned(), "canary".to_owned())), &["env.COLOUR"]);
        check(|spec| drop(spec.labels.insert("api-token".to_owned(), "canary".to_owned())), &["labels.api-token"]);
        for value in ["two words", "me@host", "x?token=1", &"x".repeat(LONGEST + 1)] {
            check(|spec| drop(spec.labels.insert("tier".to_owned(), value.to_owned())), &["labels.tier"]);
        }
        check(|spec| spec.checks[0].settings = spec.checks[0].settings.replace("me", "canary"), &["health_checks.front.headers.x-who"]);
    }

    #[test]
    fn a_new_order_is_a_difference_and_many_are_counted() {
        let edge = |name: &str| Dependency::on(ServiceName::new(name).expect("a name"));
        let (mut before, mut after) = (service("{}"), service("{}"));
        before.dependencies = vec![edge("a"), edge("b")];
        after.dependencies = vec![edge("b"), edge("a")];
        assert_eq!(differences(&before, &after), ["dependencies in another order"]);
        let variables = |spec: &mut Spec| spec.env.extend((0..6).map(|number| (format!("V{number}"), String::new())));
        check(variables, &["env.V0", "env.V1", "env.V2", "env.V3", "and 2 more"]);
    }
}

//! Restart, stop, resources and replicas: the parts of a service that are numbers and little words.

use hostler_core::{Autoscale, Kind, MAX_REPLICAS, Replicas, Resources, RestartMode, RestartPolicy, Span, StopSpec};
use serde_json::Value;

use super::place::{Place, Report, Table};
use super::values;

const RESTART_HINT: &str = "write restart = \"on-failure\", or restart = { policy = \"on-failure\", max_attempts = 3 }";
const MODES: [(&str, RestartMode); 3] = [("always", RestartMode::Always), ("on-failure", RestartMode::OnFailure), ("never", RestartMode::Never)];
const MOST_ATTEMPTS: u32 = 1_000_000;

/// `restart`: a word or a table. A one-shot is not run again after success, unless it says so.
pub(crate) fn read_restart(service: &mut Table<'_>, kind: Kind, report: &mut Report) -> RestartPolicy {
    let mut policy = RestartPolicy::default();
    if kind == Kind::Oneshot {
        policy.mode = RestartMode::OnFailure;
    }
    let Some(place) = service.take("restart") else { return policy };
    if let Value::String(_) = place.value {
        policy.mode = place.choice(&MODES, report).unwrap_or(policy.mode);
        return policy;
    }
    let Value::Object(_) = place.value else {
        report.add(place.wrong("a word or a table").hint(RESTART_HINT));
        return policy;
    };
    let Some(mut table) = place.table("`restart`", RESTART_HINT, report) else { return policy };
    if let Some(mode) = table.take("policy").and_then(|place| place.choice(&MODES, report)) {
        policy.mode = mode;
    }
    if let Some(place) = table.take("max_attempts") {
        read_attempts(&place, &mut policy, report);
    }
    if let Some(place) = table.take("backoff") {
        read_backoff(&place, &mut policy, report);
    }
    if let Some(span) = table.take("reset_after").and_then(|place| values::span(&place, report)) {
        policy.reset_after = span;
    }
    table.finish(&[("delay", "write backoff = { initial = \"2s\" }"), ("retries", "write `max_attempts`")], report);
    policy
}

fn read_attempts(place: &Place<'_>, policy: &mut RestartPolicy, report: &mut Report) {
    match place.value {
        Value::String(text) if text == "unlimited" => policy.max_attempts = None,
        Value::String(text) if !text.bytes().all(|b| b.is_ascii_digit()) => {
            report.add(place.wrong(&format!("a whole number between 0 and {MOST_ATTEMPTS}, or \"unlimited\"")));
        }
        _ => {
            if let Some(number) = place.whole_number(0..=MOST_ATTEMPTS, report) {
                policy.max_attempts = Some(number);
            }
        }
    }
}

fn read_backoff(place: &Place<'_>, policy: &mut RestartPolicy, report: &mut Report) {
    let hint = "write backoff = { initial = \"2s\", factor = 2, max = \"60s\", jitter = 0.25 }";
    let Some(mut table) = place.table("`backoff`", hint, report) else { return };
    if let Some(span) = table.take("initial").and_then(|place| values::span(&place, report)) {
        policy.initial = span;
    }
    if let Some(factor) = table.take("factor").and_then(|place| values::permille(&place, 1.0..=100.0, report)) {
        policy.factor_permille = factor;
    }
    let longest = table.take("max");
    if let Some(span) = longest.as_ref().and_then(|place| values::span(place, report)) {
        policy.max = span;
    }
    if let Some(jitter) = table.take("jitter").and_then(|place| values::permille(&place, 0.0..=1.0, report)) {
        policy.jitter_permille = jitter;
    }
    match longest {
        Some(longest) if policy.max < policy.initial => {
            report.add(
                longest
                    .complain(format_args!("is {}, shorter than the first wait of {}", policy.max, policy.initial))
                    .hint("make `max` at least `initial`"),
            );
        }
        // Only the first wait was written: the default cap follows it.
        _ => policy.max = policy.max.max(policy.initial),
    }
    table.finish(&[], report);
}

/// `stop`: signal and grace.
pub(crate) fn read_stop(service: &mut Table<'_>, report: &mut Report) -> StopSpec {
    let mut stop = StopSpec::default();
    let Some(place) = service.take("stop") else { return stop };
    let Some(mut table) = place.table("`stop`", "write stop = { signal = \"SIGTERM\", grace = \"30s\" }", report) else { return stop };
    stop.signal = table.take("signal").and_then(|place| values::signal(&place, report));
    if let Some(span) = table.take("grace").and_then(|place| values::span(&place, report)) {
        stop.grace = span;
    }
    table.finish(&[("timeout", "write `grace`")], report);
    stop
}

/// `resources`: cpu, memory and storage.
pub(crate) fn read_resources(service: &mut Table<'_>, report: &mut Report) -> Resources {
    let mut resources = Resources::default();
    let Some(place) = service.take("resources") else { return resources };
    let Some(mut table) = place.table("`resources`", "write resources = { cpu = \"500m\", memory = \"512Mi\" }", report) else { return resources };
    resources.cpu_millis = table.take("cpu").and_then(|place| values::cpu(&place, report));
    resources.memory_bytes = table.take("memory").and_then(|place| values::size(&place, report));
    resources.storage_bytes = table.take("storage").and_then(|place| values::size(&place, report));
    table.finish(&[], report);
    resources
}

/// `replicas`: a number (so many, and scaling may go down to one), or bounds with the number wanted now.
pub(crate) fn read_replicas(service: &mut Table<'_>, report: &mut Report) -> Replicas {
    let Some(place) = service.take("replicas") else { return Replicas::default() };
    let Value::Object(_) = place.value else {
        return match place.whole_number(0..=MAX_REPLICAS, report) {
            Some(count) => Replicas { min: count.min(1), max: count.max(1), count, autoscale: None },
            None => Replicas::default(),
        };
    };
    let Some(mut table) = place.table("`replicas`", "write replicas = 3, or replicas = { min = 1, max = 5 }", report) else {
        return Replicas::default();
    };
    let mut number = |key| table.take(key).and_then(|place| place.whole_number(0..=MAX_REPLICAS, report));
    let (min, max, count) = (number("min"), number("max"), number("count"));
    let autoscale = table.take("autoscale").and_then(|place| read_autoscale(&place, report));
    table.finish(&[], report);
    // What is not said is what fits: at least one, no more than wanted, and as few as allowed.
    let min = min.unwrap_or_else(|| 1.min(count.unwrap_or(1)).min(max.unwrap_or(1)));
    let count = count.unwrap_or(min);
    Replicas { min, max: max.unwrap_or_else(|| count.max(1)), count, autoscale }
}

/// `autoscale`: targets, and how long to wait between changes.
fn read_autoscale(place: &Place<'_>, report: &mut Report) -> Option<Autoscale> {
    let mut table = place.table("`autoscale`", "write autoscale = { cpu = \"70%\" }", report)?;
    let mut policy = Autoscale {
        cpu_permille: table.take("cpu").and_then(|place| values::percent(&place, report)),
        memory_permille: table.take("memory").and_then(|place| values::percent(&place, report)),
        ..Autoscale::default()
    };
    for (key, span) in [("cooldown_up", &mut policy.cooldown_up), ("cooldown_down", &mut policy.cooldown_down)] {
        if let Some(written) = table.take(key).and_then(|place| values::span(&place, report)) {
            *span = written;
        }
    }
    if let Some(place) = table.take("interval")
        && let Some(written) = values::span(&place, report)
    {
        policy.interval = written;
        if written < Span::secs(1) {
            report.add(place.complain(format_args!("is {written}, and must be at least 1s")).hint("write interval = \"10s\""));
        }
    }
    table.finish(&[("up_after", "write `cooldown_up`"), ("down_after", "write `cooldown_down`")], report);
    Some(policy)
}

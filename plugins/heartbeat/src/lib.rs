//! Health check `heartbeat`: passes while the service says itself that it is alive.
//!
//! It needs no permission at all: the host tells with each check when the last heartbeat came.

use std::time::Duration;

use hostler_sdk::{Description, Fault, HealthCheck, Report, Target};
use serde::Deserialize;

/// The plugin.
struct Heartbeat;

/// What a service file says about one check; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    within: Option<u64>,
}

impl HealthCheck for Heartbeat {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("heartbeat", env!("CARGO_PKG_VERSION"), "Passes while the service itself says that it is alive.")
            .settings(include_str!("../check.json"))
    }

    fn check(target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        let told = |name: &str| target.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let age = told("heartbeat-age-ms").and_then(|age| age.parse::<u64>().ok());
        let is_old = age.zip(settings.within).is_some_and(|(age, within)| age > within.saturating_mul(1_000));
        let since = age.map(|age| format!("the last heartbeat came {age} ms ago")).unwrap_or_default();
        Ok(match told("heartbeat") {
            Some("alive") if is_old => Report::fail(since),
            Some("alive") => Report::pass(since),
            Some("missed") => Report::fail(format!("it sends no heartbeats any more: {since}")),
            Some(_) => Report::unknown("nothing was heard of it yet, and it still has time"),
            None => Report::unknown("it has never sent a heartbeat: `hostler heartbeat NAME`, or POST /api/v1/services/NAME/heartbeat"),
        })
    }
}

hostler_sdk::plugin!(health_check: Heartbeat);

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Verdict;

    #[track_caller]
    fn judges(attributes: &[(&str, &str)], within: Option<u64>, verdict: Verdict, word: &str) {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let target = Target { workspace: "default".into(), service: "db".into(), replica: 0, endpoints: vec![], attributes };
        let report = Heartbeat::check(target, Settings { within }, Duration::from_secs(1)).expect("it judges");
        assert!(report.verdict == verdict && report.message.contains(word), "{report:?}");
    }

    #[test]
    fn the_hosts_word_is_the_verdict_unless_a_file_is_stricter() {
        let alive = [("heartbeat", "alive"), ("heartbeat-age-ms", "1500")];
        judges(&alive, None, Verdict::Pass, "1500 ms ago");
        judges(&alive, Some(2), Verdict::Pass, "1500 ms ago");
        judges(&alive, Some(1), Verdict::Fail, "1500 ms ago");
        judges(&[("heartbeat", "missed"), ("heartbeat-age-ms", "9000")], None, Verdict::Fail, "any more");
        judges(&[("heartbeat", "unknown")], Some(1), Verdict::Unknown, "still has time");
        judges(&[("pid", "7")], None, Verdict::Unknown, "never");
    }
}

//! Health check `docker-health`: what the engine's own health check of a container says.
//!
//! It needs no permission at all: the backend tells with each look what the engine has found.

use std::time::Duration;

use hostler_sdk::{Description, Fault, HealthCheck, Report, Target};
use serde::Deserialize;

/// The plugin.
struct DockerHealth;

/// It has no settings; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl HealthCheck for DockerHealth {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("docker-health", env!("CARGO_PKG_VERSION"), "Passes while the engine's own health check of the container does.")
            .settings(include_str!("../check.json"))
    }

    fn check(target: Target, _settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        let told = |name: &str| target.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let said = told("health-output").map(|output| format!(": {output}")).unwrap_or_default();
        Ok(match told("health") {
            Some("healthy") => Report::pass("the engine says it is healthy"),
            Some("unhealthy") => Report::fail(format!("the engine says it is unhealthy{said}")),
            Some("starting") => Report::unknown("the engine's own check has not decided yet"),
            Some(other) => Report::unknown(format!("the engine says `{other}`")),
            None => {
                Report::unknown("the container has no health check of its own: its image needs a HEALTHCHECK, or the service `backend.healthcheck`")
            }
        })
    }
}

hostler_sdk::plugin!(health_check: DockerHealth);

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Verdict;

    #[track_caller]
    fn judges(attributes: &[(&str, &str)], verdict: Verdict, word: &str) {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let target = Target { workspace: "default".into(), service: "db".into(), replica: 0, endpoints: vec![], attributes };
        let report = DockerHealth::check(target, Settings {}, Duration::from_secs(1)).expect("it judges");
        assert!(report.verdict == verdict && report.message.contains(word), "{report:?}");
    }

    #[test]
    fn the_engines_word_is_the_verdict() {
        judges(&[("health", "healthy"), ("health-output", "ok")], Verdict::Pass, "healthy");
        judges(&[("health", "unhealthy"), ("health-output", "connection refused")], Verdict::Fail, "unhealthy: connection refused");
        judges(&[("health", "unhealthy")], Verdict::Fail, "is unhealthy");
        judges(&[("health", "starting")], Verdict::Unknown, "not decided");
        judges(&[("health", "?")], Verdict::Unknown, "`?`");
        judges(&[("container", "0f")], Verdict::Unknown, "HEALTHCHECK");
    }
}

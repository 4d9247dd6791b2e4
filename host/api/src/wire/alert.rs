//! What is wrong and somebody is told of, and of what nobody is told for a while.

pub use hostler_core::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shape, schema};
use crate::routes;
use crate::stamp::Timestamp;

/// `?` of `GET /alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsQuery {
    /// Only those in this state.
    pub state: Option<AlertState>,
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those about this service.
    pub service: Option<String>,
    /// Only those as bad as this, or worse.
    #[schemars(with = "Option<schema::Severity>")]
    pub severity: Option<Severity>,
    /// Those that are over, too: the newest first, after what goes on.
    pub history: bool,
    /// At most so many; 1,000 when absent.
    pub limit: Option<usize>,
}

impl AlertsQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        let pairs = [
            ("state", self.state.map(|state| state.as_str().to_owned())),
            ("rule", self.rule.clone()),
            ("service", self.service.clone()),
            ("severity", self.severity.map(|severity| severity.as_str().to_owned())),
            ("history", self.history.then(|| "true".to_owned())),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        routes::with(routes::ALERTS, &pairs)
    }
}

/// Where an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    /// It holds, and not yet for as long as its rule says.
    Pending,
    /// It has held for so long.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Its number, which no other alert has; absent while it is pending.
    pub id: Option<u64>,
    /// The rule that it is of.
    pub rule: String,
    /// What that looks for.
    pub on: String,
    /// How bad it is.
    #[schemars(with = "schema::Severity")]
    pub severity: Severity,
    /// Where it is.
    pub state: AlertState,
    /// The service it is about.
    pub service: Option<String>,
    /// The plugin it is about.
    pub plugin: Option<String>,
    /// What is wrong; of one that is over, how it is now.
    pub message: String,
    /// Since when it has held.
    pub since: Timestamp,
    /// When it fired.
    pub fired_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// The silence for which nobody is told.
    pub silenced_by: Option<String>,
}

/// `GET /alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertList {
    /// Version of this shape.
    pub version: Shape,
    /// The worst first.
    pub alerts: Vec<Alert>,
    /// Who is told; absent for whoever has no role on the host.
    pub sinks: Option<Vec<SinkState>>,
}

/// How a sink is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// `webhook`, `command` or `log`.
    pub kind: String,
    /// Changes of alerts of which it is not told yet.
    pub waiting: u64,
    /// Messages that it took, since the host began.
    pub delivered: u64,
    /// Messages that were given up since then.
    pub given_up: u64,
    /// Changes of alerts of which it is not told, because too many waited.
    pub dropped: u64,
    /// Why the last try did not work; absent when it did.
    pub trouble: Option<String>,
}

/// What a sink is told: the body of a webhook's request, and what a command reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertMessage {
    /// Version of this shape.
    pub version: Shape,
    /// The host that tells it, as its tasks are tagged.
    pub host: String,
    /// Is it a test, about nothing?
    pub test: bool,
    /// The rule that all of these are of.
    pub rule: String,
    /// What that looks for.
    pub on: String,
    /// How bad it is.
    #[schemars(with = "schema::Severity")]
    pub severity: Severity,
    /// What all of these have become: firing or resolved.
    pub state: AlertState,
    /// How many there are.
    pub count: u64,
    /// One sentence for people.
    pub summary: String,
    /// When it was written.
    pub at: Timestamp,
    /// The first of them.
    pub alerts: Vec<Alert>,
    /// Changes of alerts that this sink was not told of since its last message, because too many waited.
    pub dropped: u64,
}

/// `POST /alerts/test`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestRequest {
    /// The sink to tell something.
    pub sink: String,
}

/// The answer: the sink took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tested {
    /// Version of this shape.
    pub version: Shape,
    /// The sink.
    pub sink: String,
    /// How long it took.
    pub took_ms: u64,
}

/// `POST /silences`: whatever is named must match; `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceRequest {
    /// Rules, by their names.
    pub rule: Option<String>,
    /// Services, by their names.
    pub service: Option<String>,
    /// No worse than this.
    #[schemars(with = "Option<schema::Severity>")]
    pub severity: Option<Severity>,
    /// From when on; at once when absent.
    pub from: Option<Timestamp>,
    /// How long.
    pub for_ms: Option<u64>,
    /// Or until when.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub comment: String,
}

/// Alerts that nobody is told of for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// Its name.
    pub id: String,
    /// Rules, by a pattern.
    pub rule: Option<String>,
    /// Services, by a pattern.
    pub service: Option<String>,
    /// No worse than this.
    #[schemars(with = "Option<schema::Severity>")]
    pub severity: Option<Severity>,
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
    /// By whom, as the audit log calls him.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Is it in force now?
    pub active: bool,
}

/// `GET /silences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SilenceList {
    /// Version of this shape.
    pub version: Shape,
    /// Those that are not over, the next to end first.
    pub silences: Vec<Silence>,
}

/// One silence, as it was made or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silenced {
    /// Version of this shape.
    pub version: Shape,
    /// Which one.
    pub silence: Silence,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_writes_severities_as_the_schema_says() {
        let words: Vec<String> =
            Severity::ALL.iter().map(|one| serde_json::to_value(one).unwrap_or_default().as_str().unwrap_or_default().to_owned()).collect();
        let schema = serde_json::to_string(&schemars::schema_for!(schema::Severity)).unwrap_or_default();
        assert!(words.iter().all(|word| schema.contains(&format!("\"{word}\""))), "{schema}");
        assert_eq!(words, Severity::ALL.map(|one| one.as_str().to_owned()));
    }
}

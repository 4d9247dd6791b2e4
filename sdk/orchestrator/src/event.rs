//! What happens, as types.

use hostler_api::EventRecord;
use hostler_api::Failure;
use serde_json::Value;

use crate::Error;
use crate::link::Lines;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OrchestratorEvent {
    /// A replica is up.
    ServiceStarted {
        /// Of whom.
        name: String,
        /// Which replica, from 0.
        replica: u32,
        /// In which life.
        run: u64,
    },
    /// A replica was stopped.
    ServiceStopped {
        /// Of whom.
        name: String,
        /// Which replica.
        replica: u32,
    },
    /// A replica ended by itself; what follows is told by another event.
    ServiceExited {
        /// Of whom.
        name: String,
        /// Which replica.
        replica: u32,
        /// How.
        how: String,
    },
    /// A replica is restarted, at once or after a while.
    ServiceRestarting {
        /// Of whom.
        name: String,
        /// Which replica.
        replica: u32,
        /// Why and when.
        why: String,
    },
    /// A one-shot has run to success.
    ServiceCompleted {
        /// Which one.
        name: String,
    },
    /// A service has failed for good, or could not be started.
    ServiceFailed {
        /// Which one.
        name: String,
        /// Why.
        error: String,
    },
    /// A service is not well, or worse than before.
    HealthCheckFailed {
        /// Which one.
        name: String,
        /// What its check said.
        error: String,
    },
    /// A service is well again.
    HealthRecovered {
        /// Which one.
        name: String,
    },
    /// Something has been wrong for as long as a rule of alerts allows.
    AlertFired {
        /// The rule.
        rule: String,
        /// The service that it is about; of a plugin, nothing.
        name: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// It is not wrong any more.
    AlertResolved {
        /// The rule.
        rule: String,
        /// The service that it was about; of a plugin, nothing.
        name: Option<String>,
        /// How it is now.
        message: String,
    },
    /// A plugin came, or another component for one.
    PluginLoaded {
        /// Which one.
        plugin: String,
    },
    /// A capability said no to a plugin.
    PluginDenied {
        /// Which one.
        plugin: String,
        /// What it was refused.
        what: String,
    },
    /// Nothing of a plugin is called for a while: it breaks whatever it is asked.
    PluginQuarantined {
        /// Which one.
        plugin: String,
        /// Why.
        why: String,
    },
    /// Some events are not kept any more, or came too fast.
    Missed {
        /// The next one that is told.
        next: u64,
    },
    /// Any other, as the host tells it.
    Other(EventRecord),
}

impl OrchestratorEvent {
    fn of(record: EventRecord) -> OrchestratorEvent {
        let (name, replica, run) = (record.service.clone().unwrap_or_default(), record.replica.unwrap_or(0), record.run.unwrap_or(0));
        let message = record.message.clone();
        let said = |key: &str| record.data[key].as_str().unwrap_or_default().to_owned();
        match record.kind.as_str() {
            "started" | "adopted" => OrchestratorEvent::ServiceStarted { name, replica, run },
            "stopped" => OrchestratorEvent::ServiceStopped { name, replica },
            "exited" => OrchestratorEvent::ServiceExited { name, replica, how: message },
            "restarting" => OrchestratorEvent::ServiceRestarting { name, replica, why: message },
            "completed" => OrchestratorEvent::ServiceCompleted { name },
            "failed" | "start-failed" => OrchestratorEvent::ServiceFailed { name, error: message },
            // "healthy -> degraded: no answer"
            "health-changed" => match message.split_once(" -> ") {
                Some((_, now)) if now.starts_with("healthy") => OrchestratorEvent::HealthRecovered { name },
                Some((_, now)) if now.starts_with("degraded") || now.starts_with("unhealthy") => {
                    OrchestratorEvent::HealthCheckFailed { name, error: message }
                }
                _ => OrchestratorEvent::Other(record),
            },
            "alert-fired" => OrchestratorEvent::AlertFired { rule: said("rule"), name: record.service, message },
            "alert-resolved" => OrchestratorEvent::AlertResolved { rule: said("rule"), name: record.service, message },
            "plugin-loaded" => OrchestratorEvent::PluginLoaded { plugin: said("plugin") },
            "plugin-denied" => OrchestratorEvent::PluginDenied { plugin: said("plugin"), what: said("what") },
            "plugin-quarantined" => OrchestratorEvent::PluginQuarantined { plugin: said("plugin"), why: message },
            _ => OrchestratorEvent::Other(record),
        }
    }
}

/// Follows what happens. Dropping it ends that.
pub struct EventSubscriber {
    pub(crate) lines: Lines,
    pub(crate) last: u64,
}

impl EventSubscriber {
    /// The next event; waits for it. Cancelled, it loses none.
    ///
    /// # Errors
    /// The host went away, or cannot read its events.
    pub async fn recv(&mut self) -> Result<OrchestratorEvent, Error> {
        let Some(item) = self.lines.next().await? else { return Err(Error::Ended) };
        match item["type"].as_str() {
            Some("event") => {
                let record: EventRecord = serde_json::from_value(item).map_err(|error| odd(&error))?;
                self.last = record.seq;
                Ok(OrchestratorEvent::of(record))
            }
            Some("gap") => Ok(OrchestratorEvent::Missed { next: item["next"].as_u64().unwrap_or_default() }),
            _ => Err(Failure::new(hostler_api::Code::Failed, message(&item)).into()),
        }
    }

    /// The number of the last event that was received: [`Orchestrator::subscribe_after`](crate::Orchestrator::subscribe_after) goes on there.
    pub fn last(&self) -> u64 {
        self.last
    }
}

fn message(item: &Value) -> String {
    item["message"].as_str().unwrap_or("the events cannot be read any further").to_owned()
}

fn odd(error: &serde_json::Error) -> Failure {
    Failure::new(hostler_api::Code::Internal, format!("an event is not understood: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, service: Option<&str>, data: Value) -> OrchestratorEvent {
        let record = json!({
            "version": 1, "seq": 7, "at": "2026-01-01T00:00:00Z", "kind": kind, "service": service, "replica": null, "run": null,
            "message": "is unhealthy", "data": data,
        });
        OrchestratorEvent::of(serde_json::from_value(record).expect("it is a record"))
    }

    #[test]
    fn alerts_and_plugins_are_told_as_types() {
        let message = || "is unhealthy".to_owned();
        let fired = OrchestratorEvent::AlertFired { rule: "ill".to_owned(), name: Some("db".to_owned()), message: message() };
        assert_eq!(event("alert-fired", Some("db"), json!({ "rule": "ill" })), fired);
        let over = OrchestratorEvent::AlertResolved { rule: "ill".to_owned(), name: None, message: message() };
        assert_eq!(event("alert-resolved", None, json!({ "rule": "ill" })), over);
        let loaded = OrchestratorEvent::PluginLoaded { plugin: "docker".to_owned() };
        assert_eq!(event("plugin-loaded", None, json!({ "plugin": "docker" })), loaded);
        let denied = OrchestratorEvent::PluginDenied { plugin: "docker".to_owned(), what: "a socket".to_owned() };
        assert_eq!(event("plugin-denied", None, json!({ "plugin": "docker", "what": "a socket" })), denied);
        assert!(matches!(event("alert-undelivered", None, json!({})), OrchestratorEvent::Other(_)));
    }
}

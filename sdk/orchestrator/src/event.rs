//! What happens, as types.

use hostler_api::{EventRecord, EventsQuery, Failure};
use serde_json::Value;

use crate::Error;
use crate::link::{Lines, Link};

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
            // "healthy -> degraded: no answer"; the first result of a life comes after "unknown".
            "health-changed" => match message.split_once(" -> ") {
                Some(("degraded" | "unhealthy", now)) if now.starts_with("healthy") => OrchestratorEvent::HealthRecovered { name },
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
    link: Link,
    /// None between two connections.
    lines: Option<Lines>,
    last: u64,
}

impl EventSubscriber {
    pub(crate) async fn after(link: Link, seq: u64) -> Result<EventSubscriber, Error> {
        let lines = link.follow(&path(seq)).await?;
        Ok(EventSubscriber { link, lines: Some(lines), last: seq })
    }

    /// The next event; waits for it. Cancelled, it loses none. Whoever was too slow for the host is cut off by it: then this asks it
    /// again, and goes on where it was.
    ///
    /// # Errors
    /// The host went away, or cannot read its events. The next call goes on behind the last event, where that is possible again.
    pub async fn recv(&mut self) -> Result<OrchestratorEvent, Error> {
        loop {
            let Some(item) = self.item().await? else { continue };
            let number = |key: &str| item[key].as_u64().unwrap_or_default();
            match item["type"].as_str() {
                Some("event") => {
                    let record: EventRecord = serde_json::from_value(item).map_err(|error| odd(&error))?;
                    self.last = record.seq;
                    return Ok(OrchestratorEvent::of(record));
                }
                Some("gap") => {
                    let next = number("next");
                    self.last = self.last.max(next.saturating_sub(1));
                    return Ok(OrchestratorEvent::Missed { next });
                }
                Some("cut") => {
                    self.last = self.last.max(number("after"));
                    self.lines = None;
                }
                _ => {
                    self.lines = None;
                    return Err(Failure::new(hostler_api::Code::Failed, message(&item)).into());
                }
            }
        }
    }

    /// What comes next on this connection, or on a new one where there is none; nothing when it has ended.
    async fn item(&mut self) -> Result<Option<Value>, Error> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            None => self.lines.insert(self.link.follow(&path(self.last)).await.map_err(ended)?),
        };
        let item = lines.next().await?;
        if item.is_none() {
            self.lines = None;
        }
        Ok(item)
    }

    /// The number of the last event that was received or is missed: [`Orchestrator::subscribe_after`](crate::Orchestrator::subscribe_after)
    /// goes on there.
    pub fn last(&self) -> u64 {
        self.last
    }
}

fn path(after: u64) -> String {
    EventsQuery { after: Some(after), follow: true, ..EventsQuery::default() }.path()
}

/// Nobody is there any more, or not for long.
fn ended(failure: Failure) -> Error {
    match failure.code {
        hostler_api::Code::Unreachable | hostler_api::Code::Unavailable => Error::Ended,
        _ => failure.into(),
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
        said(kind, service, "is unhealthy", data)
    }

    fn said(kind: &str, service: Option<&str>, message: &str, data: Value) -> OrchestratorEvent {
        let record = json!({
            "version": 1, "seq": 7, "at": "2026-01-01T00:00:00Z", "kind": kind, "service": service, "replica": null, "run": null,
            "message": message, "data": data,
        });
        OrchestratorEvent::of(serde_json::from_value(record).expect("it is a record"))
    }

    #[test]
    fn only_who_was_ill_recovers() {
        let turned = |message: &str| said("health-changed", Some("db"), message, Value::Null);
        for ill in ["degraded -> healthy: pass", "unhealthy -> healthy: pass"] {
            assert_eq!(turned(ill), OrchestratorEvent::HealthRecovered { name: "db".to_owned() });
        }
        for worse in ["healthy -> degraded: no", "degraded -> unhealthy: no", "unknown -> degraded: no"] {
            assert!(matches!(turned(worse), OrchestratorEvent::HealthCheckFailed { .. }), "{worse}");
        }
        assert!(matches!(turned("unknown -> healthy: pass"), OrchestratorEvent::Other(_)), "the first result of a life");
        assert!(matches!(turned("degraded -> unknown: it ended"), OrchestratorEvent::Other(_)));
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

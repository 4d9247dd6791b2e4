//! What happened to an instance, made of what happened to its service.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stamp::Timestamp;
use crate::wire::EventRecord;

/// What can happen, in the document's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// Somebody deployed it.
    DeploymentStarted,
    /// It came up, and is well.
    DeploymentCompleted,
    /// It did not.
    DeploymentFailed,
    /// A replica is up.
    ServiceStarted,
    /// Nothing of a replica is alive any more.
    ServiceStopped,
    /// Another number of replicas is wanted.
    ServiceScaled,
    /// Its checks found it unhealthy.
    HealthCheckFailed,
}

impl EventType {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::DeploymentStarted => "deployment_started",
            EventType::DeploymentCompleted => "deployment_completed",
            EventType::DeploymentFailed => "deployment_failed",
            EventType::ServiceStarted => "service_started",
            EventType::ServiceStopped => "service_stopped",
            EventType::ServiceScaled => "service_scaled",
            EventType::HealthCheckFailed => "health_check_failed",
        }
    }

    /// What an event of the host is in the document's words; nothing when it has none.
    fn of(event: &EventRecord) -> Option<EventType> {
        match event.kind.as_str() {
            "deployment-started" => Some(EventType::DeploymentStarted),
            "deployment-completed" => Some(EventType::DeploymentCompleted),
            "deployment-failed" => Some(EventType::DeploymentFailed),
            "started" | "adopted" => Some(EventType::ServiceStarted),
            "stopped" | "exited" | "completed" => Some(EventType::ServiceStopped),
            "scaled" => Some(EventType::ServiceScaled),
            // `degraded -> unhealthy: why`
            "health-changed" if event.message.split(':').next().is_some_and(|turn| turn.ends_with("-> unhealthy")) => {
                Some(EventType::HealthCheckFailed)
            }
            _ => None,
        }
    }

    fn is_trouble(self) -> bool {
        matches!(self, EventType::DeploymentFailed | EventType::HealthCheckFailed)
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentEvent {
    /// The number of the host's event.
    pub seq: u64,
    /// What.
    pub kind: EventType,
    /// What else is known.
    pub data: Value,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took, where it has a beginning.
    pub duration_ms: Option<u64>,
    /// Who asked for it, where somebody did and it is known.
    pub triggered_by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// The document's events among those of one service, which are handed in the oldest first.
///
/// How long a start or a stop took is the time from its beginning, which is an event of its own.
pub fn deployment_events<'a>(events: impl IntoIterator<Item = &'a EventRecord>) -> Vec<DeploymentEvent> {
    let mut begun: BTreeMap<(&str, Option<u64>), Timestamp> = BTreeMap::new();
    let mut told = Vec::new();
    for event in events {
        if let "starting" | "stopping" = event.kind.as_str() {
            begun.insert((event.kind.as_str(), event.run), event.at);
        }
        let Some(kind) = EventType::of(event) else { continue };
        let since = match event.kind.as_str() {
            "started" => begun.remove(&("starting", event.run)),
            "stopped" => begun.remove(&("stopping", event.run)),
            _ => None,
        };
        let took = since.map(|since| event.at.0.saturating_sub(since.0));
        let mut data = event.data.clone();
        let mut take = |key: &str| data.as_object_mut().and_then(|data| data.remove(key));
        let (duration, by, error) = (take("duration_ms"), take("triggered_by"), take("error"));
        let error = error.and_then(|error| error.as_str().map(str::to_owned)).unwrap_or_else(|| event.message.clone());
        let mut data = if data.is_object() { data } else { json!({}) };
        if let Value::Object(data) = &mut data {
            data.insert("message".to_owned(), json!(event.message));
            data.extend(event.replica.map(|replica| ("replica".to_owned(), json!(replica))));
        }
        told.push(DeploymentEvent {
            seq: event.seq,
            kind,
            data,
            error: kind.is_trouble().then_some(error),
            duration_ms: took.or_else(|| duration?.as_u64()),
            triggered_by: by.and_then(|by| by.as_str().map(str::to_owned)),
            at: event.at,
        });
    }
    told
}

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

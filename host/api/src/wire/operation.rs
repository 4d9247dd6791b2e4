//! Operations: what takes its time is asked for now, done by the host, and looked at whenever one likes. They outlive the host.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Shape, Timestamp};
use crate::failure::Failure;
use crate::routes;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// A service is brought into force as it is written, started, and waited for until it is well.
    Deploy,
    /// A configuration is made the wanted one.
    Apply,
    /// Services are started.
    Start,
    /// Services are stopped.
    Stop,
    /// Services are restarted.
    Restart,
    /// Services get another number of replicas.
    Scale,
    /// Everything is stopped.
    Down,
    /// Checks are run now.
    Check,
}

impl OperationKind {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            OperationKind::Deploy => "deploy",
            OperationKind::Apply => "apply",
            OperationKind::Start => "start",
            OperationKind::Stop => "stop",
            OperationKind::Restart => "restart",
            OperationKind::Scale => "scale",
            OperationKind::Down => "down",
            OperationKind::Check => "check",
        }
    }

    /// Where it waits for its turn.
    pub fn queue(self) -> OperationQueue {
        match self {
            OperationKind::Check => OperationQueue::Health,
            _ => OperationQueue::Deployment,
        }
    }
}

/// Where operations wait for their turn. Those of one queue do not wait for those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationQueue {
    /// What changes services.
    Deployment,
    /// What only looks at them.
    Health,
}

impl OperationQueue {
    /// Each.
    pub const ALL: [OperationQueue; 2] = [OperationQueue::Deployment, OperationQueue::Health];

    /// How many of it are under way at a time.
    pub fn workers(self) -> usize {
        match self {
            OperationQueue::Deployment => 5,
            OperationQueue::Health => 2,
        }
    }

    /// How often one is tried, where it does not say.
    pub fn max_attempts(self) -> u32 {
        match self {
            OperationQueue::Deployment => 3,
            OperationQueue::Health => 1,
        }
    }

    /// How long one may take from when it was asked for, where it does not say.
    pub fn deadline_ms(self) -> u64 {
        match self {
            OperationQueue::Deployment => 15 * 60_000,
            OperationQueue::Health => 2 * 60_000,
        }
    }
}

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationStatus {
    /// It waits for its turn, or for its next attempt.
    Queued,
    /// It is under way.
    Running,
    /// It is done.
    Succeeded,
    /// It was tried and did not work; `problem` says why.
    Failed,
    /// Somebody called it off.
    Cancelled,
    /// The store failed in the middle of a write: whether a step was done is only known once the host was started anew, which goes on with it.
    Unknown,
}

impl OperationStatus {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            OperationStatus::Queued => "queued",
            OperationStatus::Running => "running",
            OperationStatus::Succeeded => "succeeded",
            OperationStatus::Failed => "failed",
            OperationStatus::Cancelled => "cancelled",
            OperationStatus::Unknown => "unknown",
        }
    }

    /// Does nothing follow any more, as long as this host runs?
    pub fn is_over(self) -> bool {
        !matches!(self, OperationStatus::Queued | OperationStatus::Running)
    }
}

impl fmt::Display for OperationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OperationProgress {
    /// Steps that are behind it.
    pub done: u32,
    /// Steps that it has.
    pub of: u32,
    /// What it does or waits for, for people.
    pub message: String,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Version of this shape.
    pub version: Shape,
    /// Its name: later ones sort behind earlier ones.
    pub id: String,
    /// What is done.
    pub kind: OperationKind,
    /// Whose services it is about.
    pub workspace: String,
    /// Which; empty is all.
    pub services: Vec<String>,
    /// Who asked for it, as the audit log calls him.
    pub created_by: String,
    /// Where it waits for its turn.
    pub queue: OperationQueue,
    /// The higher goes first; among equals the older.
    pub priority: i32,
    /// Where it is.
    pub status: OperationStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// How often it is tried at most.
    pub max_attempts: u32,
    /// How far it is.
    pub progress: OperationProgress,
    /// Somebody has called it off, and it is on its way to its end.
    pub cancel_requested: bool,
    /// No other one with this key is unfinished at the same time.
    pub unique_key: Option<String>,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When the next attempt begins.
    pub next_attempt_at: Option<Timestamp>,
    /// When it is given up.
    pub deadline_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// From its first attempt to its end.
    pub duration_ms: Option<u64>,
    /// What came of it: the document that the same request answers when it is not put off.
    pub result: Option<Value>,
    /// Why it did not work.
    pub problem: Option<Failure>,
}

/// `GET /operations`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationList {
    /// Version of this shape.
    pub version: Shape,
    /// The oldest first.
    pub operations: Vec<Operation>,
    /// The `after` of the next page; nothing when this is the last.
    pub next: Option<String>,
}

/// `?` of `GET /operations`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OperationsQuery {
    /// Only those that are there.
    pub status: Option<OperationStatus>,
    /// Only those about this service.
    pub service: Option<String>,
    /// Only those later than this one.
    pub after: Option<String>,
    /// At most so many, the oldest first: 100 when absent, never more than 1,000.
    pub limit: Option<usize>,
}

impl OperationsQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        let pairs = [
            ("status", self.status.map(|status| status.as_str().to_owned())),
            ("service", self.service.clone()),
            ("after", self.after.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        routes::with(routes::OPERATIONS, &pairs)
    }
}

/// `?` of `GET /operations/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OperationQuery {
    /// Answer only once it is over, or after this long; at once when absent.
    pub wait_ms: Option<u64>,
}

/// `POST /services/{name}/deploy`: always an operation. The service is brought into force as it is written here, or as it stands, is
/// started with what it depends on, and waited for until it is well.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeployRequest {
    /// As it would stand under `[services.NAME]` of a file; as it stands when absent.
    pub service: Option<Map<String, Value>>,
    /// What relative paths in it are relative to; absolute. The root when absent.
    pub base_dir: Option<String>,
    /// Also stop it first, where it runs and nothing of it was changed.
    pub restart: bool,
}

/// `?` of whatever can be put off: how the operation is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OperationOptions {
    /// Answer 202 with an operation at once; the same as `Prefer: respond-async`.
    #[serde(rename = "async")]
    pub later: bool,
    /// From -100 to 100: the higher goes first; 0 when absent.
    pub priority: Option<i32>,
    /// How long it may take from now on.
    pub deadline_ms: Option<u64>,
    /// How often it is tried, from 1 to 20; by its queue when absent.
    pub max_attempts: Option<u32>,
    /// How long it rests after the first attempt that did not work, twice as long after each that follows; 2,000 when absent.
    pub backoff_ms: Option<u64>,
    /// While one with this key is unfinished, the same request answers that one, and another request is refused.
    pub unique_key: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_as_the_wire_has_it() {
        for kind in ["deploy", "apply", "start", "stop", "restart", "scale", "down", "check"] {
            let read: OperationKind = serde_json::from_value(kind.into()).expect("a kind");
            assert_eq!(read.as_str(), kind);
        }
        for status in ["queued", "running", "succeeded", "failed", "cancelled", "unknown"] {
            let read: OperationStatus = serde_json::from_value(status.into()).expect("a status");
            assert_eq!((read.as_str(), read.is_over()), (status, !["queued", "running"].contains(&status)));
        }
    }

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let query = OperationsQuery { status: Some(OperationStatus::Failed), limit: Some(5), ..OperationsQuery::default() };
        assert_eq!(query.path(), "/api/v1/operations?status=failed&limit=5");
    }
}

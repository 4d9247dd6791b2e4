//! What must be there tomorrow: the records that the store keeps for the core, and gives back to [`Core::restore`](crate::Core::restore).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Exit, Run};
use crate::health::Health;
use crate::spec::ServiceName;
use crate::time::Time;

/// What must be there tomorrow. `None` as a record means: delete it.
#[derive(Debug, Clone, PartialEq)]
pub enum Saved {
    /// No run number below this one may be used again.
    NextRun(Run),
    /// One life of one task: the intent before it starts, then what became of it.
    Task(Run, Option<TaskRecord>),
    /// What is remembered of one replica slot between its lives.
    Slot(ServiceName, u32, Option<Box<SlotRecord>>),
}

/// One life of one task, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Whose it is.
    pub service: ServiceName,
    /// Which replica.
    pub replica: u32,
    /// Who runs it.
    pub backend: String,
    /// What it was made from.
    pub digest: String,
    /// Where it is in its life, as far as was committed.
    pub stage: Stage,
    /// [`Wanted::restarts`](crate::Wanted::restarts) when it was started.
    pub restarts: u64,
    /// When it was started.
    pub since: Time,
    /// Runs of the dependencies whose restart it follows.
    #[serde(default)]
    pub follows: BTreeMap<ServiceName, Run>,
}

/// Where a life is, as far as was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// About to be started: it may exist.
    Intent,
    /// Started: the handle is kept.
    Started,
    /// Ended; kept for its logs and its exit.
    Ended,
    /// Nobody wants it: destroyed as soon as it is found.
    Abandoned,
}

/// What is remembered of a replica slot between its lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SlotRecord {
    /// Restarts in a row, without a stable run between.
    pub attempts: u32,
    /// Restarts ever.
    pub restarts: u64,
    /// [`Wanted::starts`](crate::Wanted::starts) last acted upon.
    pub starts_seen: u64,
    /// [`Wanted::restarts`](crate::Wanted::restarts) last acted upon.
    pub restarts_seen: u64,
    /// Why it is parked as failed.
    pub failed: Option<String>,
    /// What the lives before `failed` or `backoff` were made from: a changed spec is a new chance.
    #[serde(default)]
    pub tried: Option<String>,
    /// It has run to its end: what it was made from, and how it ended.
    pub completed: Option<(String, Exit)>,
    /// It waits before a restart: until when, and why.
    pub backoff: Option<(Time, String)>,
    /// The last end.
    pub last_exit: Option<Exit>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// When it was last restarted.
    pub last_restart: Option<Time>,
    /// When it last failed.
    pub last_failure: Option<Time>,
    /// Failures ever.
    #[serde(default)]
    pub failures: u64,
    /// What the checks said of the life that goes on: name, health, failures in a row, passes in a row, has ever passed.
    pub checks: Vec<(String, Health, u32, u32, bool)>,
}

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
    /// Numbers below this one may be in use without a durable trace, should the machine fall: its next boot begins here. Once this is
    /// durable, a start with such a number may begin before its own intent is.
    Reserve(Run),
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
    /// What it was made from, or last changed to while it ran.
    pub digest: String,
    /// [`Spec::fixed_digest`](crate::Spec::fixed_digest) when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// What its backend was asked to change it to, and has not confirmed: it may be that, or what it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing: Option<String>,
    /// Where it is in its life, as far as was committed.
    pub stage: Stage,
    /// [`Wanted::restarts`](crate::Wanted::restarts) when it was started.
    pub restarts: u64,
    /// When it was started.
    pub since: Time,
    /// Runs of the dependencies whose restart it follows.
    #[serde(default)]
    pub follows: BTreeMap<ServiceName, Run>,
    /// The machine was restarted since, and nobody has said yet what became of it.
    #[serde(default)]
    pub rebooted: bool,
    /// It is being taken down: an end that the next host finds is what was asked for, and no failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
}

/// Why a life is taken down, and what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// For people.
    pub because: String,
    /// What follows.
    pub after: After,
}

/// What follows a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// It stays down.
    Rest,
    /// It is started again at once.
    Again,
    /// The restart policy says: it counts as a failure.
    Judged,
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

/// What must be there tomorrow of a replica slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SlotRecord {
    /// What is remembered between its lives.
    #[serde(flatten)]
    pub memory: Memory,
    /// Why it is parked as failed.
    pub failed: Option<String>,
    /// What the lives before `failed` or `backoff` were made from: a changed spec is a new chance.
    #[serde(default)]
    pub tried: Option<String>,
    /// It has run to its end: what it was made from, and how it ended.
    pub completed: Option<(String, Exit)>,
    /// It waits before a restart: until when, and why.
    pub backoff: Option<(Time, String)>,
    /// What the checks said of the life that goes on.
    pub checks: Vec<CheckRecord>,
    /// Scaling down chose it to go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub surplus: bool,
}

/// What is remembered of a replica slot between its lives, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Memory {
    /// Restarts in a row, without a stable run between.
    pub attempts: u32,
    /// Restarts ever.
    pub restarts: u64,
    /// [`Wanted::starts`](crate::Wanted::starts) last acted upon.
    pub starts_seen: u64,
    /// [`Wanted::restarts`](crate::Wanted::restarts) last acted upon.
    pub restarts_seen: u64,
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
}

/// What one check said of the life that goes on. Reads the list of the same five values, too, as which it was once written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The check's name.
    pub name: String,
    /// What the row of results means.
    pub health: Health,
    /// Failures in a row.
    pub failures: u32,
    /// Passes in a row.
    pub successes: u32,
    /// Has it passed in this life?
    pub passed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_written_flat_and_read_as_it_was_once_written() {
        let old = r#"{"attempts":2,"restarts":5,"starts_seen":1,"restarts_seen":0,"failed":null,"tried":"d1","completed":null,
            "backoff":[1200,"exited with code 1"],"last_exit":null,"last_error":"exited with code 1","last_restart":null,
            "last_failure":1000,"checks":[["ping","degraded",1,0,true]]}"#;
        let read: SlotRecord = serde_json::from_str(old).expect("a record without failures");
        let memory = Memory { attempts: 2, restarts: 5, starts_seen: 1, last_error: Some("exited with code 1".to_owned()), ..Memory::default() };
        let ping = CheckRecord { name: "ping".to_owned(), health: Health::Degraded, failures: 1, successes: 0, passed: true };
        let record = SlotRecord {
            memory: Memory { last_failure: Some(Time(1_000)), ..memory },
            tried: Some("d1".to_owned()),
            backoff: Some((Time(1_200), "exited with code 1".to_owned())),
            checks: vec![ping],
            ..SlotRecord::default()
        };
        assert_eq!(read, record);
        let written = serde_json::to_value(&record).expect("plain data");
        assert_eq!((&written["attempts"], &written["checks"][0]["health"]), (&2.into(), &"degraded".into()));
        assert_eq!(serde_json::from_value::<SlotRecord>(written).expect("what was just written"), record);
    }
}

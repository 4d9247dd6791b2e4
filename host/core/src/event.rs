//! The core's words: what happened (in), what to do (out), and what people are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::health::Verdict;
use crate::record::Saved;
use crate::spec::{ServiceName, Spec};
use crate::time::Span;
use crate::view::Status;

/// Number of one life of one task: counted over all tasks of the host, never used twice.
pub type Run = u64;

/// Should it run?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// Yes, and again after a host restart.
    Running,
    /// No, and not again after a host restart.
    Stopped,
    /// It cannot: what was taken over is not there any more. It runs again once somebody who sees it there says so.
    Absent,
}

/// What is wanted of one service: committed by the store before the core hears it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What was asked for.
    #[serde(with = "shared")]
    pub spec: Arc<Spec>,
    /// Counted up by every change of the spec.
    pub generation: u64,
    /// Should it run?
    pub desired: Desired,
    /// Counted up by every request to start: a completed or failed task is run again, a running one stays.
    pub starts: u64,
    /// Counted up by every request to restart.
    pub restarts: u64,
    /// How many replicas somebody asked for since the spec last said another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled: Option<u32>,
    /// Replicas that somebody stopped one by one. They are among the number, and stay down until the service is started or scaled.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<u32>,
}

/// What applying a spec starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starting {
    /// Nothing: what is new stands by, stopped.
    Nothing,
    /// What is new.
    New,
    /// That, and what was stopped by hand or has failed.
    AtRest,
}

impl Wanted {
    /// What is wanted of a service once `spec` is applied, in the generation after `before`.
    ///
    /// `status` is the service's at that moment. A changed spec is a new chance for what is parked; the same spec again changes nothing.
    pub fn applied(before: Option<&Wanted>, spec: Arc<Spec>, status: Status, starting: Starting) -> Wanted {
        let Some(before) = before else {
            let desired = if starting == Starting::Nothing { Desired::Stopped } else { Desired::Running };
            return Wanted { spec, generation: 1, desired, starts: 1, restarts: 0, scaled: None, held: BTreeSet::new() };
        };
        let changed = *before.spec != *spec;
        // One of which no replica is wanted is at rest, and nothing is to be woken.
        let stopped = status == Status::Stopped && before.desired == Desired::Stopped;
        let woken = starting == Starting::AtRest && (status == Status::Failed || stopped);
        let retried = changed && status == Status::Failed;
        Wanted {
            generation: before.generation + u64::from(changed),
            desired: if woken { Desired::Running } else { before.desired },
            starts: before.starts + u64::from(woken || retried),
            restarts: before.restarts,
            // What a file says of numbers anew counts; the same file again takes back nothing that somebody asked for.
            scaled: before.scaled.filter(|_| before.spec.replicas == spec.replicas),
            held: if woken || before.spec.replicas != spec.replicas { BTreeSet::new() } else { before.held.clone() },
            spec,
        }
    }

    /// How many replicas are wanted up now.
    pub fn count(&self) -> u32 {
        self.number().saturating_sub(u32::try_from(self.held.len()).unwrap_or(u32::MAX))
    }

    /// The same, with those that are held down.
    pub fn number(&self) -> u32 {
        self.scaled.unwrap_or(self.spec.replicas.count)
    }

    /// The same with one replica held down, which stays among the number.
    #[must_use]
    pub fn holding(&self, replica: u32) -> Wanted {
        Wanted { held: self.held.iter().copied().chain([replica]).collect(), ..self.clone() }
    }

    /// The same with one replica that may be up again.
    #[must_use]
    pub fn freeing(&self, replica: u32) -> Wanted {
        Wanted { held: self.held.iter().copied().filter(|held| *held != replica).collect(), ..self.clone() }
    }

    /// The same without a replica that is held: it goes, and the number is one less, whatever its bounds.
    #[must_use]
    pub fn without(&self, replica: u32) -> Wanted {
        let freed = self.freeing(replica);
        let number = self.number().saturating_sub(u32::from(freed.held != self.held));
        Wanted { scaled: (number != self.spec.replicas.count).then_some(number), ..freed }
    }

    /// The same with so many replicas; within `min` and `max` of its spec, or a sentence that says what it passes.
    ///
    /// # Errors
    /// The bound that it passes.
    pub fn scaled_to(&self, count: u32) -> Result<Wanted, String> {
        self.spec.replicas.allows(count)?;
        Ok(Wanted { scaled: (count != self.spec.replicas.count).then_some(count), held: BTreeSet::new(), ..self.clone() })
    }
}

/// A shared spec is written as if it were owned.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::spec::Spec;

    pub(super) fn serialize<S: Serializer>(spec: &Arc<Spec>, serializer: S) -> Result<S::Ok, S::Error> {
        spec.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Spec>, D::Error> {
        Spec::deserialize(deserializer).map(Arc::new)
    }
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Exit {
    /// Absent when a signal or something unknown ended it.
    pub code: Option<i32>,
    /// Name of the signal.
    pub signal: Option<String>,
    /// Did it meet its memory limit?
    #[serde(default)]
    pub out_of_memory: bool,
    /// Anything else that is known, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Exit {
    /// Ended by itself with code 0?
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An empty text of a plugin says as little as none.
        let told = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        match (self.code, told(&self.signal), told(&self.reason)) {
            _ if self.out_of_memory => f.write_str("was killed: out of memory"),
            (Some(code), _, _) => write!(f, "exited with code {code}"),
            (None, Some(signal), _) => write!(f, "was ended by {signal}"),
            (None, None, Some(reason)) => f.write_str(&reason),
            (None, None, None) => f.write_str("ended, and nobody saw how"),
        }
    }
}

/// Where a backend says a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, not yet running.
    Pending,
    /// Running.
    Running,
    /// On its way down.
    Stopping,
    /// Ended.
    Exited(Exit),
    /// The engine knows nothing of it.
    Gone,
    /// The engine cannot be asked.
    Unknown(String),
}

/// Why a call of a backend did not work, by what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It can never work: the task is parked.
    Invalid(String),
    /// A grant or a credential is missing: the task is parked.
    Denied(String),
    /// The backend cannot do that: the task is parked.
    Unsupported(String),
    /// Nothing happened, the engine is away: tried again, and no task is blamed.
    Unavailable {
        /// Why, for people.
        message: String,
        /// When the engine wants to be asked again; held to between 1 s and 5 min.
        after: Option<Span>,
    },
    /// It may have happened: looked at before anything else.
    Interrupted(String),
    /// It failed, and nothing is left: an attempt that counts.
    Failed(String),
}

impl Fault {
    /// The sentence in it.
    pub fn message(&self) -> &str {
        match self {
            Fault::Invalid(text) | Fault::Denied(text) | Fault::Unsupported(text) | Fault::Interrupted(text) | Fault::Failed(text) => text,
            Fault::Unavailable { message, .. } => message,
        }
    }
}

/// The answer of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// Whose check it was.
    pub run: Run,
    /// The number that [`Action::Check`] carried.
    pub ticket: u64,
    /// What the plugin says.
    pub verdict: Verdict,
    /// One line for people.
    pub message: String,
    /// How long it took.
    pub took: Span,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Services are wanted as said, from now on; `None` removes one.
    Wanted(Vec<(ServiceName, Option<Wanted>)>),
    /// [`Action::Start`] worked; the handle is committed.
    Started {
        /// Which life.
        run: Run,
    },
    /// [`Action::Start`] did not work.
    StartFailed {
        /// Which life.
        run: Run,
        /// Why.
        fault: Fault,
    },
    /// [`Action::Update`] worked, or not.
    Updated {
        /// Which life.
        run: Run,
        /// The number that the action carried.
        ticket: u64,
        /// Why it did not work; `Unsupported` when it takes another task.
        fault: Option<Fault>,
    },
    /// [`Action::Stop`] worked: nothing of it is alive.
    Stopped {
        /// Which life.
        run: Run,
        /// How it ended, when that is known.
        exit: Option<Exit>,
    },
    /// [`Action::Stop`] did not work.
    StopFailed {
        /// Which life.
        run: Run,
        /// Why.
        fault: Fault,
    },
    /// [`Action::Destroy`] worked, or failed.
    Destroyed {
        /// Which life.
        run: Run,
        /// Why it failed.
        fault: Option<Fault>,
    },
    /// The answer to [`Action::Look`].
    Looked {
        /// Which backend.
        backend: String,
        /// What it said of each life; or why it could not be asked.
        seen: Result<Vec<(Run, Phase)>, String>,
    },
    /// Some lives were looked at beside [`Action::Look`], because something pointed at them. What it says of a life that another backend
    /// runs is ignored, here and in every answer.
    Seen {
        /// Which backend.
        backend: String,
        /// What it said of each life.
        seen: Vec<(Run, Phase)>,
    },
    /// The answer to [`Action::List`]: every life of ours that the engine has.
    Listed {
        /// Which backend.
        backend: String,
        /// What it has; or why it could not be asked.
        found: Result<Vec<(Run, Phase)>, String>,
    },
    /// Something changed at a backend: look now.
    Hint {
        /// Which backend.
        backend: String,
    },
    /// From now on somebody hints at every end of a task there, so that looking seldom is enough; or nobody does any more. What was
    /// missed until now is looked at.
    Watched {
        /// Which backend.
        backend: String,
        /// Does somebody?
        closely: bool,
    },
    /// A plugin can be called, or cannot.
    Plugin {
        /// Name of the backend.
        backend: String,
        /// Why it cannot be called; `None` when it can.
        missing: Option<String>,
    },
    /// The answer to [`Action::Check`].
    Checked(CheckResult),
    /// Check these now, beside their intervals; nobody when it is empty. A name that nobody has, a task that does not run, and a check that is being
    /// asked are passed over.
    CheckNow(Vec<ServiceName>),
    /// Stop everything in order, and start nothing any more; what is wanted stays as it is. With `force`, at once and without grace.
    /// It cannot be taken back.
    Close {
        /// At once?
        force: bool,
    },
    /// Those of these that are going down do so without waiting for dependents or grace: somebody asked twice. It stops nothing by itself;
    /// a service that is not going down goes on as if it had not been said.
    Force(Vec<ServiceName>),
    /// Time passed.
    Tick,
}

/// What to do. Everything up to the next `None` of `poll_action` is one decision: its [`Action::Save`] and [`Action::Tell`] are
/// committed together, before any of its other actions is begun.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Keep this.
    Save(Saved),
    /// Tell people this.
    Tell(Notice),
    /// Bring a task up.
    Start {
        /// Which life; its intent is among the saves.
        run: Run,
        /// Which replica.
        replica: u32,
        /// As asked for.
        spec: Arc<Spec>,
    },
    /// Change a task while it runs. Doing it again changes nothing more.
    Update {
        /// Which life.
        run: Run,
        /// Which replica.
        replica: u32,
        /// To be handed back.
        ticket: u64,
        /// What it is to be.
        spec: Arc<Spec>,
    },
    /// Take a task down.
    Stop {
        /// Which life.
        run: Run,
        /// Who runs it.
        backend: String,
        /// By name; the backend's own choice when absent.
        signal: Option<String>,
        /// How long it has.
        grace: Span,
    },
    /// Free what is left of a task.
    Destroy {
        /// Which life.
        run: Run,
        /// Who ran it.
        backend: String,
        /// Even when it runs.
        force: bool,
    },
    /// Look at tasks, in one batch.
    Look {
        /// Which backend.
        backend: String,
        /// Which lives.
        runs: Vec<Run>,
    },
    /// Ask for every task of ours.
    List {
        /// Which backend.
        backend: String,
    },
    /// Judge a task.
    Check {
        /// Which life.
        run: Run,
        /// Which replica.
        replica: u32,
        /// Index into `spec.checks`.
        check: usize,
        /// To be handed back.
        ticket: u64,
        /// As asked for.
        spec: Arc<Spec>,
    },
}

/// What people are told: one line of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind of thing happened.
    pub kind: NoticeKind,
    /// To which service.
    pub service: ServiceName,
    /// To which replica.
    pub replica: Option<u32>,
    /// In which life.
    pub run: Option<Run>,
    /// One sentence.
    pub message: String,
}

/// The kinds of notices. Names on the wire are kebab-case and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// A start was begun.
    Starting,
    /// The backend has brought it up.
    Started,
    /// Found running after a host restart, and taken up again.
    Adopted,
    /// A start did not work.
    StartFailed,
    /// Ended by itself.
    Exited,
    /// Ran to success.
    Completed,
    /// Will be restarted; the message says when and why.
    Restarting,
    /// Parked: nothing more happens without a request.
    Failed,
    /// A stop was begun.
    Stopping,
    /// Nothing of it is alive any more.
    Stopped,
    /// A stop did not work, and is tried again.
    StopFailed,
    /// The health changed.
    HealthChanged,
    /// The backend cannot say where it is.
    Unknown,
    /// The backend can say again.
    Known,
    /// The engine had something that nobody wants; it is destroyed.
    Abandoned,
    /// Something that went wrong beside the task, such as a destroy.
    Trouble,
    /// It is no longer among the services.
    Removed,
    /// Another number of replicas is wanted.
    Scaled,
    /// Its backend has changed it while it runs.
    Updated,
    /// Its backend has not; the message says what follows.
    UpdateFailed,
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn an_end_without_words_is_told_all_the_same() {
        let (signal, reason) = (Some(String::new()), Some(" ".to_owned()));
        assert_eq!(Exit { signal, reason, ..Exit::default() }.to_string(), "ended, and nobody saw how");
        assert_eq!(Exit { reason: Some("lost".to_owned()), ..Exit::default() }.to_string(), "lost");
    }
}

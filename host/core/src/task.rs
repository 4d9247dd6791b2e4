//! One replica slot and the life in it: the state machine, with the data inside the state that owns it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::{Exit, Run};
use crate::health::{Check, Health};
use crate::live::LiveChange;
use crate::record::{After, Leaving, Memory, SlotRecord, Stage, TaskRecord};
use crate::spec::{CheckSpec, ServiceName, Spec};
use crate::time::{Span, Time};

/// One life: what it was started from, and when.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) run: Run,
    pub(crate) backend: String,
    pub(crate) digest: String,
    /// [`Spec::fixed_digest`] when it was started.
    pub(crate) fixed: Option<String>,
    pub(crate) change: LiveChange,
    /// The spec it was started from; after a host restart, the one that is wanted.
    pub(crate) spec: Arc<Spec>,
    pub(crate) since: Time,
    /// `Wanted::restarts` when it was started.
    pub(crate) restarts: u64,
    /// The runs of the dependencies whose restart it follows.
    pub(crate) follows: BTreeMap<ServiceName, Run>,
}

impl Life {
    pub(crate) fn record(&self, service: &ServiceName, replica: u32, stage: Stage) -> TaskRecord {
        TaskRecord {
            service: service.clone(),
            replica,
            backend: self.backend.clone(),
            digest: self.digest.clone(),
            fixed: self.fixed.clone(),
            changing: self.change.to.clone(),
            stage,
            restarts: self.restarts,
            since: self.since,
            follows: self.follows.clone(),
            rebooted: false,
            leaving: None,
        }
    }
}

/// Why a service is not to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) why: Why,
    /// The service this is said of, when it is one that is needed, directly or not.
    pub(crate) of: Option<ServiceName>,
}

/// What keeps a service from running, until somebody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Removed,
    Closing,
    Disabled,
    Stopped,
    Absent,
}

impl Down {
    pub(crate) fn words(&self) -> String {
        let what = match self.why {
            Why::Removed => "is not wanted any more",
            Why::Closing => "goes down with the host",
            Why::Disabled => "is disabled",
            Why::Stopped => "was stopped by request",
            Why::Absent => "is not there any more",
        };
        match &self.of {
            None => format!("it {what}"),
            Some(service) => format!("it needs {service}, which {what}"),
        }
    }
}

/// Why a running task is taken down, which decides what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Because {
    /// The service is not to run.
    Down(Down),
    /// Fewer replicas are wanted.
    Surplus(u32),
    /// Its spec changed.
    SpecChanged,
    /// Somebody asked for a restart.
    Requested,
    /// A dependency is about to be restarted, and takes it along.
    Pulled(ServiceName),
    /// A dependency was restarted.
    Follows(ServiceName),
    /// Its checks say unhealthy.
    Unhealthy(String),
}

impl Because {
    pub(crate) fn words(&self) -> String {
        match self {
            Because::Down(down) => down.words(),
            Because::Surplus(count) => {
                if *count == 1 {
                    "only 1 replica is wanted".to_owned()
                } else {
                    format!("only {count} replicas are wanted")
                }
            }
            Because::SpecChanged => "its spec changed".to_owned(),
            Because::Requested => "a restart was requested".to_owned(),
            Because::Pulled(name) => format!("its dependency {name} is being restarted"),
            Because::Follows(name) => format!("its dependency {name} was restarted"),
            Because::Unhealthy(reason) => reason.clone(),
        }
    }

    /// As it is kept while the stop is under way.
    pub(crate) fn leaving(&self) -> Leaving {
        Leaving { because: self.words(), after: self.after() }
    }

    pub(crate) fn after(&self) -> After {
        match self {
            Because::Down(_) | Because::Surplus(_) => After::Rest,
            Because::SpecChanged | Because::Requested | Because::Pulled(_) | Because::Follows(_) => After::Again,
            Because::Unhealthy(_) => After::Judged,
        }
    }

    /// Does it begin a new count of restarts? What a person asked for does; what other services do, does not.
    pub(crate) fn counts_anew(&self) -> bool {
        match self {
            Because::Down(down) => down.of.is_none() && down.why != Why::Closing,
            Because::Surplus(_) | Because::SpecChanged | Because::Requested => true,
            Because::Pulled(_) | Because::Follows(_) | Because::Unhealthy(_) => false,
        }
    }
}

/// Where a slot is.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Nothing is alive, and nothing stands in the way but what the view says.
    Down,
    /// Waits before a restart of what was made from `digest`.
    Backoff { until: Time, digest: String, reason: String },
    /// `Start` is under way.
    Starting(Life),
    /// It may exist: the backend is being asked. `intent` when no handle was ever committed, `rebooted` when the machine was since,
    /// `leaving` when it was being taken down.
    Uncertain { life: Life, intent: bool, rebooted: bool, error: Option<String>, leaving: Option<Leaving> },
    /// Up.
    Running(Life),
    /// `Stop` is under way, or waits to be tried again.
    Stopping { life: Life, because: Because, asked: Asked, forced: bool },
    /// Ran to success.
    Completed { digest: String, exit: Exit },
    /// Parked, after lives that were made from `digest`.
    Failed { digest: String, reason: String },
}

impl State {
    /// The life that may be alive.
    pub(crate) fn life(&self) -> Option<&Life> {
        match self {
            State::Starting(life) | State::Uncertain { life, .. } | State::Running(life) | State::Stopping { life, .. } => Some(life),
            State::Down | State::Backoff { .. } | State::Completed { .. } | State::Failed { .. } => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn life_mut(&mut self) -> Option<&mut Life> {
        match self {
            State::Starting(life) | State::Uncertain { life, .. } | State::Running(life) | State::Stopping { life, .. } => Some(life),
            State::Down | State::Backoff { .. } | State::Completed { .. } | State::Failed { .. } => None,
        }
    }
}

/// A call that is repeated until it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// It is under way.
    pub(crate) now: bool,
    /// How often in a row it failed.
    pub(crate) failures: u32,
    /// When it may be tried again.
    pub(crate) not_before: Time,
}

impl Asked {
    /// It is being asked.
    pub(crate) fn begin(&mut self) {
        self.now = true;
    }

    /// It failed: 1 s, 2 s, … 32 s until the next try.
    pub(crate) fn failed(&mut self, now: Time) -> Span {
        let wait = Span(1_000_u64 << self.failures.min(5));
        *self = Asked { now: false, failures: self.failures.saturating_add(1), not_before: now + wait };
        wait
    }

    /// When it is tried again; `None` while it is under way.
    pub(crate) fn next_try(&self) -> Option<Time> {
        (!self.now).then_some(self.not_before)
    }

    /// May it be asked?
    pub(crate) fn is_due(&self, now: Time) -> bool {
        !self.now && now >= self.not_before
    }
}

/// A life that ended, kept for its logs and its exit until the next one ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) run: Run,
    pub(crate) backend: String,
    /// The call that frees it.
    pub(crate) destroy: Asked,
}

/// One replica of one service.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) replica: u32,
    pub(crate) state: State,
    pub(crate) ended: Vec<Ended>,
    pub(crate) memory: Memory,
    /// As last saved.
    pub(crate) saved: Option<SlotRecord>,
    pub(crate) checks: Vec<Check>,
    /// The health people were last told.
    pub(crate) told: Health,
    /// The backend cannot say where it is.
    pub(crate) unknown: Option<String>,
    /// Checks asked for a restart.
    pub(crate) ill: Option<String>,
    /// The next start is a restart.
    pub(crate) again: bool,
    /// Edges whose dependency was restarted since the life that goes on was started, and is to be followed; see `edges`.
    pub(crate) outdated: BTreeSet<usize>,
    /// Scaling down chose it to go; see `scaling`.
    pub(crate) surplus: bool,
    /// Somebody stopped it, and it alone: it is surplus that stays.
    pub(crate) held: bool,
}

impl Slot {
    pub(crate) fn new(replica: u32, checks: usize) -> Slot {
        Slot {
            replica,
            state: State::Down,
            ended: Vec::new(),
            memory: Memory::default(),
            saved: None,
            checks: vec![Check::default(); checks],
            told: Health::Unknown,
            unknown: None,
            ill: None,
            again: false,
            outdated: BTreeSet::new(),
            surplus: false,
            held: false,
        }
    }

    /// May something of it be alive?
    pub(crate) fn is_live(&self) -> bool {
        self.state.life().is_some()
    }

    /// Its checks together; unknown while it does not run.
    pub(crate) fn health(&self) -> Health {
        match self.state {
            State::Running(_) if self.unknown.is_none() => Health::of_all(self.checks.iter().map(|check| check.health)),
            State::Running(_)
            | State::Down
            | State::Backoff { .. }
            | State::Starting(_)
            | State::Uncertain { .. }
            | State::Stopping { .. }
            | State::Completed { .. }
            | State::Failed { .. } => Health::Unknown,
        }
    }

    /// Takes over new checks; those that stay the same keep what they know.
    pub(crate) fn change_checks(&mut self, before: &[CheckSpec], after: &[CheckSpec]) {
        let mut old: Vec<(Option<&CheckSpec>, Option<Check>)> =
            std::mem::take(&mut self.checks).into_iter().enumerate().map(|(index, check)| (before.get(index), Some(check))).collect();
        self.checks = after
            .iter()
            .map(|spec| {
                old.iter_mut()
                    .find(|(before, check)| *before == Some(spec) && check.is_some())
                    .and_then(|(_, check)| check.take())
                    .unwrap_or_default()
            })
            .collect();
    }

    /// What must be there tomorrow.
    pub(crate) fn record(&self, checks: &[CheckSpec]) -> SlotRecord {
        let mut record = SlotRecord { memory: self.memory.clone(), surplus: self.surplus, ..SlotRecord::default() };
        match &self.state {
            State::Failed { digest, reason } => {
                record.failed = Some(reason.clone());
                record.tried = Some(digest.clone());
            }
            State::Backoff { until, digest, reason } => {
                record.backoff = Some((*until, reason.clone()));
                record.tried = Some(digest.clone());
            }
            State::Completed { digest, exit } => record.completed = Some((digest.clone(), exit.clone())),
            State::Starting(_) | State::Uncertain { .. } | State::Running(_) | State::Stopping { .. } => {
                record.checks = checks.iter().zip(&self.checks).map(|(spec, check)| check.record(spec)).collect();
            }
            State::Down => {}
        }
        record
    }
}

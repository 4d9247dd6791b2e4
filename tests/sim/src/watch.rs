//! What must hold, judged by what the world saw, not by the core's own reasons: invariants I1 to I12 of the design, and I13.
//!
//! I1 (one life per slot) is judged where an engine starts a task, I9 where the same is applied again, I12 by playing a story twice, I13 when all
//! has come to rest.

mod books;
mod deciding;
mod events;
mod order;
mod restarts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_core::{Action, Core, Desired, Kind, Replicas, Run, Saved, ServiceName, SlotRecord, Spec, Stage, TaskRecord, Time, Verdict, Wanted};

use crate::Violation;
use crate::story::ENGINES;
use crate::world::Part;
use events::Events;
use restarts::Row;

pub(crate) type Judged = Result<(), Violation>;
pub(crate) type Slot = (ServiceName, u32);

/// What the core heard, as far as rules ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Wanted,
    Restored,
    Checked { run: Run, name: String, verdict: Verdict },
    CannotSay(&'static str),
    Other,
}

/// What somebody was told that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acked {
    Wanted(Desired),
    Removed,
}

/// Records, as they were decided or as they are durable.
#[derive(Debug, Clone, Default)]
struct Books {
    tasks: BTreeMap<Run, TaskRecord>,
    slots: BTreeMap<Slot, SlotRecord>,
    /// What checks last said of a life that counts.
    said: BTreeMap<(Run, String), Verdict>,
}

pub(crate) struct Watch {
    numbers: BTreeMap<ServiceName, usize>,
    /// Whose each life was, and what it was started from.
    owners: BTreeMap<Run, (ServiceName, u32, Arc<Spec>)>,
    durable: Books,
    decided: Books,
    next_run: Run,
    /// Up to which runs may begin before their intent is durable, where tasks fall with the machine.
    reserve: Run,
    /// Intents that are written, and not yet durable.
    written: BTreeMap<Run, TaskRecord>,
    /// The highest run that ever had an intent.
    newest: Run,
    wanted: BTreeMap<ServiceName, Wanted>,
    /// Something else is wanted of these since a record of theirs was last kept.
    renewed: BTreeSet<ServiceName>,
    rows: BTreeMap<Slot, Row>,
    forced: BTreeSet<ServiceName>,
    /// When the number of replicas of each was last changed, in this boot.
    scaled: BTreeMap<ServiceName, Time>,
    /// The question that each check of each life was last asked.
    tickets: BTreeMap<(Run, String), u64>,
    /// Stops that were begun: they are repeated until they work, whatever is wanted meanwhile.
    stopping: BTreeSet<Run>,
    closing: bool,
    events: Events,
}

pub(crate) fn broken(rule: &'static str, message: String) -> Judged {
    Err(Violation { rule, message })
}

impl Watch {
    pub(crate) fn new(numbers: BTreeMap<ServiceName, usize>) -> Watch {
        Watch {
            numbers,
            owners: BTreeMap::new(),
            durable: Books::default(),
            decided: Books::default(),
            next_run: 0,
            reserve: 0,
            written: BTreeMap::new(),
            newest: 0,
            wanted: BTreeMap::new(),
            renewed: BTreeSet::new(),
            rows: BTreeMap::new(),
            forced: BTreeSet::new(),
            scaled: BTreeMap::new(),
            tickets: BTreeMap::new(),
            stopping: BTreeSet::new(),
            closing: false,
            events: Events::default(),
        }
    }

    pub(crate) fn owner_of(&self, run: Run) -> Option<(usize, u32)> {
        self.owners.get(&run).map(|(name, replica, _)| (self.numbers[name], *replica))
    }

    /// Who runs a life, by what it was started from.
    pub(crate) fn backend_of(&self, run: Run) -> Option<String> {
        self.owners.get(&run).map(|(_, _, spec)| spec.backend.plugin.clone())
    }

    pub(crate) fn is_one_shot(&self, run: Run) -> bool {
        self.owners.get(&run).is_some_and(|(_, _, spec)| spec.kind == Kind::Oneshot)
    }

    pub(crate) fn is_abandoned(&self, run: Run) -> bool {
        self.durable.tasks.get(&run).is_some_and(|record| record.stage == Stage::Abandoned)
    }

    /// Is this the answer to what was last asked? A later question, or another check of the same name, makes it old.
    pub(crate) fn awaits(&self, run: Run, check: &str, ticket: u64) -> bool {
        self.tickets.get(&(run, check.to_owned())) == Some(&ticket)
    }

    pub(crate) fn tasks(&self) -> &BTreeMap<Run, TaskRecord> {
        &self.durable.tasks
    }

    pub(crate) fn slots(&self) -> &BTreeMap<Slot, SlotRecord> {
        &self.durable.slots
    }

    pub(crate) fn forced<'a>(&mut self, names: impl Iterator<Item = &'a ServiceName>) {
        self.forced.extend(names.cloned());
    }

    pub(crate) fn closing(&mut self) {
        self.closing = true;
        // Whoever goes down with the host waits for nothing any more, and begins with the next.
        self.rows.values_mut().for_each(|row| row.until = None);
    }

    /// Of the old boot no time means anything any more.
    pub(crate) fn rebooted(&mut self) {
        self.scaled.clear();
        for row in self.rows.values_mut() {
            row.until = None;
        }
        for record in self.durable.tasks.values_mut() {
            self.rows.entry((record.service.clone(), record.replica)).or_default().since = None;
        }
    }

    /// Something else is wanted from now on.
    pub(crate) fn wants(&mut self, changes: &[(ServiceName, Option<Wanted>)]) {
        for (name, wanted) in changes {
            self.wants_one(name, wanted.as_ref());
        }
        // Whoever waits for nothing else may wait shorter when something that it needs was stopped meanwhile.
        self.rows.values_mut().for_each(|row| row.until = None);
    }

    /// When numbers of replicas change.
    pub(crate) fn scales(&mut self, now: Time, changes: &[(ServiceName, Option<Wanted>)]) {
        for (name, wanted) in changes {
            let (before, after) = (self.wanted.get(name).map(Wanted::count), wanted.as_ref().map(Wanted::count));
            if before != after {
                self.scaled.insert(name.clone(), now);
            }
        }
    }

    /// I4: loads change the number within its bounds, only of what is to run, and no sooner than the policy says.
    pub(crate) fn may_scale(&self, now: Time, name: &ServiceName, wanted: &Wanted, measured: u32) -> Judged {
        let Some(before) = self.wanted.get(name) else { return broken("I4", format!("{name} is scaled and not wanted")) };
        let Replicas { min, max, autoscale: Some(policy), .. } = wanted.spec.replicas else {
            return broken("I4", format!("{name} is scaled by a load, and nobody asked for that"));
        };
        let (from, to) = (before.count(), wanted.count());
        let cooldown = if to > from { policy.cooldown_up } else { policy.cooldown_down };
        let since = self.scaled.get(name).map(|at| now.since(*at));
        let sober = (min..=max).contains(&to) && from != to && from > 0 && measured > 0 && wanted.desired == Desired::Running;
        if !sober || since.is_some_and(|since| since < cooldown) {
            return broken("I4", format!("{name} is scaled from {from} to {to} by a load, {since:?} after the last change"));
        }
        Ok(())
    }

    fn wants_one(&mut self, name: &ServiceName, wanted: Option<&Wanted>) {
        let before = match wanted {
            Some(wanted) => self.wanted.insert(name.clone(), wanted.clone()),
            None => self.wanted.remove(name),
        };
        if before.as_ref() == wanted {
            return;
        }
        self.forced.remove(name);
        self.renewed.insert(name.clone());
        let requests = |wanted: &Wanted| wanted.starts + wanted.restarts;
        for (_, row) in self.rows.range_mut((name.clone(), 0)..=(name.clone(), u32::MAX)) {
            row.count = 0;
            row.parked = false;
            let anew = match (&before, wanted) {
                (Some(before), Some(wanted)) => {
                    requests(wanted) > requests(before) || wanted.spec.task_digest != before.spec.task_digest || wanted.count() != before.count()
                }
                (None, _) | (_, None) => true,
            };
            row.completed &= !anew;
            row.asked |= anew;
        }
        let (Some(before), Some(after)) = (before, wanted) else { return };
        if before.spec.checks == after.spec.checks {
            return;
        }
        let same = |check: &str| {
            let find = |spec: &Spec| spec.checks.iter().find(|other| other.name == check).cloned();
            find(&before.spec) == find(&after.spec)
        };
        let owners = &self.owners;
        let is_its = |run: &Run| owners.get(run).is_some_and(|(owner, ..)| owner == name);
        for books in [&mut self.durable, &mut self.decided] {
            books.said.retain(|(run, check), _| !is_its(run) || same(check));
        }
        self.tickets.retain(|(run, check), _| !is_its(run) || same(check));
    }

    /// These records will outlive the host, and not yet the machine.
    pub(crate) fn written(&mut self, parts: &[(Time, Part)]) {
        let kept = parts.iter().filter_map(|(_, part)| match part {
            Part::Saved(Saved::Task(run, Some(record))) => Some((*run, record.clone())),
            Part::Saved(_) | Part::Told(_) => None,
        });
        self.written = kept.collect();
    }

    /// It is durable by now, or lost.
    pub(crate) fn nothing_is_written(&mut self) {
        self.written.clear();
    }

    /// An effect begins: what it follows from is durable; or it is written, and what began falls with the machine, and no number that may
    /// be forgotten so is given out again.
    pub(crate) fn begins(&mut self, effect: &Action) -> Judged {
        if let Action::Update { run, spec, .. } = effect {
            return match self.durable.tasks.get(run) {
                Some(record) if record.changing.as_ref() == Some(&spec.task_digest) => Ok(()),
                other => broken("I5", format!("run {run} is changed to {}, and that is not durable: {other:?}", spec.task_digest)),
            };
        }
        let Action::Start { run, .. } = effect else { return Ok(()) };
        if let Some(record) = self.written.get(run) {
            return match record.backend == ENGINES[0] && record.stage == Stage::Intent && *run < self.reserve {
                true => Ok(()),
                false => broken("I5", format!("run {run} is started, its intent is only written, and {} is reserved: {record:?}", self.reserve)),
            };
        }
        match self.durable.tasks.get(run) {
            Some(record) if record.stage == Stage::Intent && *run < self.next_run => Ok(()),
            other => broken("I5", format!("run {run} is started and its intent is not durable: {other:?}")),
        }
    }

    /// I11: what is to be stopped and is not alive waits for nothing.
    pub(crate) fn stopped_at_once(&self, core: &Core, names: &BTreeSet<ServiceName>) -> Judged {
        for name in names {
            for replica in core.replicas(name.as_str()) {
                let status = replica.status.as_str();
                if replica.run.is_none() && !matches!(status, "stopped" | "disabled" | "completed") {
                    return broken("I11", format!("{name}.{} is {status} after a stop", replica.replica));
                }
            }
        }
        Ok(())
    }
}

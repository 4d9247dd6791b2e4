//! Changes that a task's backend makes while the task runs: asked for until they are confirmed, and where they cannot be made, the task
//! is made anew.

use std::sync::Arc;

use crate::event::{Action, Fault, NoticeKind, Run};
use crate::machine::Core;
use crate::record::{Saved, Stage};
use crate::spec::{Resources, ServiceName, Spec};
use crate::task::{Asked, Life, State};
use crate::time::Time;

/// How often in a row an answer may be lost before the task is made anew instead.
const LOST_ANSWERS: u32 = 5;

/// What one life is being changed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveChange {
    /// The digest that was asked for and is not confirmed: from the moment the backend may hear of it, nobody else can say what the task is.
    pub(crate) to: Option<String>,
    /// The call that makes it.
    pub(crate) asked: Asked,
    ticket: u64,
    /// What it may use then.
    limits: Resources,
    /// The digest that its backend cannot change it to.
    refused: Option<String>,
}

impl Spec {
    /// Can a backend lead from one to the other while a task runs?
    pub(crate) fn differs_live(&self, other: &Spec) -> bool {
        self.fixed_digest.is_some() && self.fixed_digest == other.fixed_digest
    }
}

impl Life {
    /// Is it for certain what this spec asks for?
    pub(crate) fn is_as(&self, spec: &Spec) -> bool {
        self.digest == spec.task_digest && self.change.to.is_none()
    }

    /// May its backend be able to make it so while it runs?
    pub(crate) fn can_become(&self, spec: &Spec) -> bool {
        self.fixed.is_some() && self.fixed == spec.fixed_digest && self.change.refused.as_ref() != Some(&spec.task_digest)
    }
}

impl Core {
    /// Has a task that runs changed to what is wanted, unless it is that already. Of one that cannot be looked at nothing is asked.
    pub(crate) fn change_live(&mut self, name: &ServiceName, replica: u32) {
        let (now, ticket) = (self.now, self.tickets + 1);
        let Some(spec) = self.services.get(name).map(|service| Arc::clone(&service.spec)) else { return };
        let Some(slot) = self.slot(name, replica).filter(|slot| slot.unknown.is_none()) else { return };
        let State::Running(life) = &mut slot.state else { return };
        if life.is_as(&spec) {
            return;
        }
        if planted!(14) {
            life.digest.clone_from(&spec.task_digest);
            return;
        }
        let change = &mut life.change;
        if !change.asked.now && change.to.as_ref() != Some(&spec.task_digest) {
            change.asked = Asked::default();
        }
        if !change.asked.is_due(now) {
            if let Some(at) = change.asked.next_try() {
                self.wake_again(name, replica, at);
            }
            return;
        }
        change.asked.begin();
        change.ticket = ticket;
        change.limits = spec.resources;
        change.to = Some(spec.task_digest.clone());
        let (run, record) = (life.run, life.record(name, replica, Stage::Started));
        self.tickets = ticket;
        self.actions.push_back(Action::Save(Saved::Task(run, Some(record))));
        self.actions.push_back(Action::Update { run, replica, ticket, spec });
    }

    pub(crate) fn hear_updated(&mut self, run: Run, ticket: u64, fault: Option<Fault>) {
        let now = self.now;
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Running(life) = &mut slot.state else { return };
        if !life.change.asked.now || life.change.ticket != ticket {
            return;
        }
        if let Some(fault) = fault {
            let message = life.change.failed(now, &fault);
            slot.memory.last_error = Some(message.clone());
            self.tell(NoticeKind::UpdateFailed, &name, Some(replica), Some(run), message);
        } else {
            let LiveChange { to, limits, .. } = std::mem::take(&mut life.change);
            life.digest = to.expect("it was asked for");
            let record = life.record(&name, replica, Stage::Started);
            self.actions.push_back(Action::Save(Saved::Task(run, Some(record))));
            self.tell(NoticeKind::Updated, &name, Some(replica), Some(run), format!("changed while it runs: {}", words(limits)));
        }
        self.touch(&name);
    }
}

impl LiveChange {
    /// An earlier host may have asked for it.
    pub(crate) fn unconfirmed(to: Option<String>) -> LiveChange {
        LiveChange { to, ..LiveChange::default() }
    }

    /// What follows a call that did not work, in words. What may have happened or can be had later is asked for again: doing it twice
    /// changes nothing more.
    fn failed(&mut self, now: Time, fault: &Fault) -> String {
        let again = match fault {
            Fault::Unavailable { .. } => true,
            Fault::Interrupted(_) => self.asked.failures + 1 < LOST_ANSWERS,
            Fault::Invalid(_) | Fault::Denied(_) | Fault::Unsupported(_) | Fault::Failed(_) => false,
        };
        let why = fault.message();
        if again {
            let wait = self.asked.failed(now);
            return format!("not changed yet: {why}; trying again in {wait}");
        }
        self.asked = Asked::default();
        self.refused.clone_from(&self.to);
        format!("cannot be changed while it runs, and is made anew: {why}")
    }
}

/// What a task may use, for people.
fn words(limits: Resources) -> String {
    let Resources { cpu_millis, memory_bytes, .. } = limits;
    let cpu = cpu_millis.map_or("any number of processors".to_owned(), |millis| format!("cpu {millis}m"));
    let memory = memory_bytes.map_or("memory without limit".to_owned(), |bytes| format!("memory {}", size(bytes)));
    format!("{cpu}, {memory}")
}

fn size(bytes: u64) -> String {
    let unit = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")].into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

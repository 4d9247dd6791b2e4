//! Going on where an earlier host was.

use std::sync::Arc;

use crate::event::{Action, Desired, Run, Wanted};
use crate::health::{Check, Health};
use crate::live::LiveChange;
use crate::machine::{Config, Core};
use crate::record::{Saved, SlotRecord, Stage, TaskRecord};
use crate::registry::Service;
use crate::spec::{ServiceName, Spec};
use crate::task::{Asked, Ended, Life, Slot, State};
use crate::time::Time;
use crate::timer::Timer;

/// What a store remembered, to begin with after a host restart.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// No run number below this one may be used again.
    pub next_run: Run,
    /// Nor one below this, if the machine was started again since.
    pub reserved: Run,
    /// Every service that is wanted.
    pub wanted: Vec<(ServiceName, Wanted)>,
    /// Every slot.
    pub slots: Vec<(ServiceName, u32, SlotRecord)>,
    /// Every life.
    pub tasks: Vec<(Run, TaskRecord)>,
    /// Are the remembered times of this boot of the machine?
    pub same_boot: bool,
}

impl Core {
    /// A core that goes on where an earlier one was: every life that may exist is asked for before anything is started in its slot.
    ///
    /// Its first actions wait to be polled, as after [`handle`](Core::handle). After a reboot the records with times of the other boot are
    /// among the saves; commit with them that the store's times are of this boot.
    pub fn restore(config: Config, now: Time, remembered: Remembered) -> Core {
        let mut core = Core::new(config);
        core.now = now;
        core.next_run = remembered.next_run.max(1);
        core.reserved = remembered.reserved;
        if !remembered.same_boot && !planted!(13) {
            core.next_run = core.next_run.max(core.reserved);
        }
        for (name, mut wanted) in remembered.wanted {
            if planted!(4) && wanted.starts > 1 {
                wanted.desired = Desired::Running;
            }
            core.services.insert(name, Service::new(wanted));
        }
        for (name, replica, record) in remembered.slots {
            core.restore_slot(&name, replica, record, remembered.same_boot);
        }
        // Newest first: if two lives of one slot may be alive, the newer one goes on.
        let mut tasks = remembered.tasks;
        tasks.sort_by_key(|(run, _)| std::cmp::Reverse(*run));
        for (run, mut record) in tasks {
            core.next_run = core.next_run.max(run.saturating_add(1));
            if !remembered.same_boot {
                record.since = now;
                record.rebooted = true;
                core.actions.push_back(Action::Save(Saved::Task(run, Some(record.clone()))));
            }
            core.restore_task(run, record);
        }
        core.restore_graph();
        let backends: Vec<String> = core.backends.keys().cloned().collect();
        for backend in backends {
            core.list(&backend);
        }
        core.settle();
        core
    }

    fn restore_graph(&mut self) {
        for service in self.services.values_mut() {
            for slot in service.slots.values_mut() {
                slot.ended.reverse();
            }
            self.graph.set(&service.spec);
        }
        self.graph.find_layers();
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        for name in &names {
            self.renew_edges_of(name);
            self.touch(name);
        }
    }

    fn restore_slot(&mut self, name: &ServiceName, replica: u32, mut record: SlotRecord, same_boot: bool) {
        let Some(service) = self.services.get_mut(name) else {
            self.actions.push_back(Action::Save(Saved::Slot(name.clone(), replica, None)));
            return;
        };
        let mut slot = Slot::new(replica, 0);
        slot.surplus = record.surplus;
        slot.held = service.wanted.as_ref().is_some_and(|wanted| wanted.held.contains(&replica));
        slot.saved = Some(record.clone());
        if !same_boot {
            record.backoff = record.backoff.map(|(_, reason)| (self.now, reason));
            record.memory.last_restart = None;
            record.memory.last_failure = None;
        }
        let known = |name: &str| record.checks.iter().find(|known| known.name == name);
        slot.checks = service.spec.checks.iter().map(|spec| known(&spec.name).map_or_else(Check::default, Check::restored)).collect();
        slot.told = Health::of_all(slot.checks.iter().map(|check| check.health));
        let digest = record.tried.clone().unwrap_or_else(|| service.spec.task_digest.clone());
        slot.state = match (&record.failed, &record.completed, &record.backoff) {
            (Some(reason), _, _) => State::Failed { digest, reason: reason.clone() },
            (None, Some((digest, exit)), _) => State::Completed { digest: digest.clone(), exit: exit.clone() },
            (None, None, Some((until, reason))) => {
                self.timers.set(Timer::Backoff(name.clone(), replica), *until);
                slot.again = true;
                State::Backoff { until: *until, digest, reason: reason.clone() }
            }
            (None, None, None) => State::Down,
        };
        if planted!(10) && record.completed.is_some() {
            slot.state = State::Down;
        }
        slot.memory = record.memory;
        service.slots.insert(replica, Box::new(slot));
    }

    fn restore_task(&mut self, run: Run, record: TaskRecord) {
        self.backends.entry(record.backend.clone()).or_default();
        let orphan = !self.services.contains_key(&record.service);
        if record.stage == Stage::Abandoned || (orphan && record.stage == Stage::Intent) {
            if !planted!(5) {
                self.give_up(run, record);
            }
            return;
        }
        let service = self.services.get_or_insert_with(&record.service, || removed_service(&record));
        let checks = service.spec.checks.len();
        let spec = Arc::clone(&service.spec);
        let slot = service.slots.entry(record.replica).or_insert_with(|| Box::new(Slot::new(record.replica, checks)));
        if record.stage == Stage::Ended {
            slot.ended.push(Ended { run, backend: record.backend, destroy: Asked::default() });
            self.runs.insert(run, (record.service, record.replica));
            return;
        }
        if slot.is_live() {
            self.give_up(run, record);
            return;
        }
        let intent = record.stage == Stage::Intent;
        self.wonder(&record.backend, run);
        self.runs.insert(run, (record.service.clone(), record.replica));
        let TaskRecord { service, replica, backend, digest, fixed, changing, restarts, since, follows, rebooted, leaving, .. } = record;
        let change = LiveChange::unconfirmed(changing);
        let life = Life { run, backend, digest, fixed, change, spec, since, restarts, follows };
        self.slot(&service, replica).expect("it was just made").state = State::Uncertain { life, intent, rebooted, error: None, leaving };
    }

    /// Nobody wants this life, and the next host shall know it: by then its service may be wanted again, or its slot be free.
    fn give_up(&mut self, run: Run, record: TaskRecord) {
        self.abandon(run, &record.backend, &record.service, record.replica);
        if record.stage != Stage::Abandoned {
            self.actions.push_back(Action::Save(Saved::Task(run, Some(TaskRecord { stage: Stage::Abandoned, ..record }))));
        }
    }
}

/// A service that is no longer wanted, but of which a life may exist.
fn removed_service(record: &TaskRecord) -> Service {
    let mut spec = Spec::new(record.service.clone(), &record.backend, "{}");
    spec.task_digest.clone_from(&record.digest);
    let spec = Arc::new(spec);
    let wanted = Wanted { spec, generation: 0, desired: Desired::Stopped, starts: 0, restarts: 0, scaled: None, held: Default::default() };
    Service { wanted: None, ..Service::new(wanted) }
}

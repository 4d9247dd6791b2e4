//! Settling: compares wanted with believed, level by level. It asks "where are we?", never "what just changed?".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::{Action, NoticeKind, Run};
use crate::health::{Check, Health};
use crate::live::LiveChange;
use crate::machine::Core;
use crate::record::{Saved, Stage, TaskRecord};
use crate::registry::{Service, holds_back, leaves, outlook, waits_for};
use crate::spec::ServiceName;
use crate::task::{Asked, Because, Ended, Life, Slot, State};
use crate::time::{Span, Time};
use crate::timer::Timer;

/// How many ended lives of one slot are being freed at once.
const DESTROYS: usize = 2;
/// How many run numbers are kept ready at least for starts that do not wait for the disk.
const RESERVE: Run = 64;
/// How many ended lives of one slot are kept, when they cannot be freed.
const KEPT: usize = 16;

impl Core {
    /// Settles every service that something changed for, until nothing changes any more.
    pub(crate) fn settle(&mut self) {
        let mut touched: BTreeSet<ServiceName> = BTreeSet::new();
        loop {
            let settling = self.renew_outlooks();
            if settling.is_empty() {
                self.dispatch();
                if self.dirty.is_empty() {
                    break;
                }
            }
            for name in &settling {
                self.settle_service(name);
            }
            touched.extend(settling);
        }
        for name in touched {
            self.save(&name);
        }
    }

    /// First everybody learns what their neighbours are up to; only then is anything done. An outlook follows from those of the
    /// layers below, so that each is found once.
    fn renew_outlooks(&mut self) -> BTreeSet<ServiceName> {
        let mut settling = BTreeSet::new();
        while let Some((_, name)) = self.dirty.pop_first() {
            let holding = |core: &Core| core.services.get(&name).map(|service| (service.outlook.live, service.outlook.leaving));
            let held = holding(self);
            if self.renew_outlook(&name) {
                self.renew_edges_to(&name);
                let above: Vec<ServiceName> = self.graph.dependents(name.as_str()).cloned().collect();
                above.iter().for_each(|dependent| self.touch(dependent));
                // Whoever is needed asks nothing else of it than whether it holds them back.
                if holding(self) != held {
                    settling.extend(self.graph.dependencies(name.as_str()).cloned());
                    settling.extend(self.services.get(&name).into_iter().flat_map(|service| service.former.iter().cloned()));
                }
                if self.services.get(&name).is_some_and(|service| !service.outlook.live) {
                    self.forget_former(&name);
                }
            }
            settling.insert(name);
        }
        settling
    }

    /// Says whether the neighbours must look.
    fn renew_outlook(&mut self, name: &ServiceName) -> bool {
        let Some(service) = self.services.get(name) else { return false };
        let away = self.backend_trouble(&service.spec.backend.plugin).is_some();
        let outlook = outlook(service, &self.services, self.closing, away);
        let service = self.services.get_mut(name).expect("it was just read");
        if service.outlook == outlook {
            return false;
        }
        self.live = self.live + usize::from(outlook.live) - usize::from(service.outlook.live);
        service.outlook = outlook;
        true
    }

    fn settle_service(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get_mut(name) else { return };
        if service.count_slots() {
            // Its outlook says nothing yet of who is wanted now.
            return self.touch(name);
        }
        let replicas: Vec<u32> = service.slots.keys().copied().collect();
        for replica in replicas {
            self.settle_slot(name, replica);
        }
        if let Some(service) = self.services.get_mut(name) {
            service.forced &= service.outlook.leaving;
        }
        self.drop_when_empty(name);
    }

    fn settle_slot(&mut self, name: &ServiceName, replica: u32) {
        self.free_ended(name, replica);
        let Some(service) = self.services.get(name) else { return };
        let Some(slot) = service.slots.get(&replica) else { return };
        let up = service.outlook.down.is_none() && !slot.surplus;
        // A person stopped it, asks for it, or changed it: whatever it waits for or was parked for is over.
        let stopped = service.own_down(false).is_some() || slot.surplus;
        let renewed = |digest: &String| up && (service.asked_for(slot) || *digest != service.spec.task_digest);
        match &slot.state {
            State::Down => self.settle_down(name, replica, up),
            State::Backoff { until, .. } if planted!(11) && self.now < *until => {}
            State::Backoff { digest, .. } if stopped || renewed(digest) => self.begin_anew(name, replica),
            State::Backoff { until, .. } if !up || self.now >= *until => self.put_down(name, replica),
            State::Backoff { until, .. } => self.wake_from_backoff(name, replica, *until),
            State::Failed { digest, .. } if stopped || renewed(digest) => self.begin_anew(name, replica),
            State::Completed { digest, .. } if renewed(digest) => self.begin_anew(name, replica),
            State::Running(_) => self.settle_running(name, replica),
            State::Stopping { .. } => self.settle_stopping(name, replica),
            State::Starting(_) | State::Uncertain { .. } if service.starts_wanted() > slot.memory.starts_seen => self.take_request(name, replica),
            State::Completed { .. } | State::Failed { .. } | State::Starting(_) | State::Uncertain { .. } => {}
        }
    }

    /// The count starts anew, and the slot is down and free to start.
    fn begin_anew(&mut self, name: &ServiceName, replica: u32) {
        let Some(service) = self.services.get_mut(name) else { return };
        let (starts, restarts) = (service.starts_wanted(), service.restarts_wanted());
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        slot.memory.attempts = 0;
        slot.memory.starts_seen = starts;
        slot.memory.restarts_seen = restarts;
        self.put_down(name, replica);
    }

    /// A request to start what is being started, or may be up, asks for nothing more, and begins a new count.
    fn take_request(&mut self, name: &ServiceName, replica: u32) {
        let Some(service) = self.services.get_mut(name) else { return };
        let starts = service.starts_wanted();
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        slot.memory.starts_seen = starts;
        slot.memory.attempts = 0;
    }

    fn wake_from_backoff(&mut self, name: &ServiceName, replica: u32, until: Time) {
        let timer = Timer::Backoff(name.clone(), replica);
        if self.timers.at(&timer) != Some(until) {
            self.timers.set(timer, until);
        }
    }

    fn settle_down(&mut self, name: &ServiceName, replica: u32, up: bool) {
        let key = (replica, self.graph.layer(name.as_str()).unwrap_or(usize::MAX), name.clone());
        if up && self.may_start(name, replica) {
            self.ready.insert(key);
        } else {
            self.ready.remove(&key);
        }
    }

    /// Is it down, and do its dependencies and its backend let it start?
    fn may_start(&self, name: &ServiceName, replica: u32) -> bool {
        let Some(service) = self.services.get(name) else { return false };
        let down = service.slots.get(&replica).is_some_and(|slot| matches!(slot.state, State::Down) && !slot.surplus);
        down && service.outlook.down.is_none()
            && self.backend_trouble(&service.spec.backend.plugin).is_none()
            && waits_for(service, &self.services).is_none()
    }

    /// Starts what is ready while there is room, in turns: a service with many replicas lets the others have their first ones.
    fn dispatch(&mut self) {
        while self.starting < self.config.max_parallel {
            let Some((replica, _, name)) = self.ready.pop_first() else { return };
            if self.may_start(&name, replica) {
                self.start(&name, replica);
            }
        }
    }

    fn start(&mut self, name: &ServiceName, replica: u32) {
        let (now, run) = (self.now, self.next_run);
        let Some(service) = self.services.get(name) else { return };
        let follows: BTreeMap<ServiceName, Run> = service
            .spec
            .dependencies
            .iter()
            .filter(|edge| edge.restart)
            .filter_map(|edge| Some((edge.service.clone(), self.services.get(&edge.service)?.outlook.runs.1)))
            .collect();
        let spec = Arc::clone(&service.spec);
        let (starts, restarts) = (service.starts_wanted(), service.restarts_wanted());
        let life = Life {
            run,
            backend: spec.backend.plugin.clone(),
            digest: spec.task_digest.clone(),
            fixed: spec.fixed_digest.clone(),
            change: LiveChange::default(),
            spec: Arc::clone(&spec),
            since: now,
            restarts,
            follows,
        };
        let record = life.record(name, replica, Stage::Intent);
        let Some(slot) = self.slot(name, replica) else { return };
        slot.memory.starts_seen = starts;
        slot.memory.restarts_seen = restarts;
        if std::mem::take(&mut slot.again) {
            slot.memory.restarts += 1;
            slot.memory.last_restart = Some(now);
        }
        slot.told = Health::Unknown;
        slot.outdated.clear();
        slot.checks.iter_mut().for_each(Check::new_life);
        slot.state = State::Starting(life);
        self.next_run += 1;
        self.starting += 1;
        self.runs.insert(run, (name.clone(), replica));
        self.backends.entry(spec.backend.plugin.clone()).or_default();
        self.actions.push_back(Action::Save(Saved::NextRun(self.next_run)));
        // More where numbers are used up faster, so that this is seldom.
        let reserve = RESERVE.max(self.next_run / 4);
        if self.next_run + reserve / 2 > self.reserved {
            self.reserved = self.next_run + reserve;
            self.actions.push_back(Action::Save(Saved::Reserve(self.reserved)));
        }
        self.actions.push_back(Action::Save(Saved::Task(run, Some(record))));
        self.tell(NoticeKind::Starting, name, Some(replica), Some(run), format!("starting run {run}"));
        self.actions.push_back(Action::Start { run, replica, spec });
        self.touch(name);
    }

    fn settle_running(&mut self, name: &ServiceName, replica: u32) {
        let Some(service) = self.services.get(name) else { return };
        let Some(slot) = service.slots.get(&replica) else { return };
        let (starts, forced) = (service.starts_wanted(), service.forced);
        // One changing call at a time: what its backend is asked to change now is answered first.
        let changing = slot.state.life().is_some_and(|life| life.change.asked.now);
        match leaves(service, slot, service.outlook.down.as_ref()) {
            Some(_) if changing => {}
            Some(because) if forced || !self.is_held_back(name) => self.stop(name, replica, because, forced),
            Some(_) => {}
            None => {
                self.slot(name, replica).expect("it was just read").memory.starts_seen = starts;
                self.change_live(name, replica);
            }
        }
    }

    /// Must it wait with going down? The search goes on where it last ended, so that many dependents are not counted again and again.
    fn is_held_back(&mut self, name: &ServiceName) -> bool {
        let holder = self.holder_back(name).cloned();
        let held = holder.is_some();
        if let Some(service) = self.services.get_mut(name) {
            service.holder = holder;
        }
        held
    }

    /// The dependent that must be down before this one may go down.
    pub(crate) fn holder_back(&self, name: &ServiceName) -> Option<&ServiceName> {
        let service = self.services.get(name)?;
        let layer = |name: &ServiceName| self.graph.layer(name.as_str()).unwrap_or(usize::MAX);
        let holds = |dependent: &&ServiceName| {
            let found = self.services.get(*dependent);
            found.is_some_and(|dependent_service| holds_back(name, service, dependent_service, (layer(name), layer(dependent))))
        };
        let known = service.holder.as_ref().filter(holds);
        let now = || self.graph.dependents_from(name.as_str(), service.holder.as_ref()).find(holds);
        let former = || self.former.get(name).into_iter().flatten().find(holds);
        known.or_else(now).or_else(former)
    }

    fn stop(&mut self, name: &ServiceName, replica: u32, because: Because, forced: bool) {
        let Some(slot) = self.slot(name, replica) else { return };
        let State::Running(life) = &slot.state else { return };
        let life = life.clone();
        if because.counts_anew() {
            slot.memory.attempts = 0;
        }
        let words = format!("stopping run {}: {}", life.run, because.words());
        let record = TaskRecord { leaving: Some(because.leaving()), ..life.record(name, replica, Stage::Started) };
        let asked = Asked { now: true, ..Asked::default() };
        slot.state = State::Stopping { life: life.clone(), because, asked, forced };
        for index in 0..slot.checks.len() {
            self.timers.clear(&Timer::Check(name.clone(), replica, index));
        }
        self.actions.push_back(Action::Save(Saved::Task(life.run, Some(record))));
        self.tell(NoticeKind::Stopping, name, Some(replica), Some(life.run), words);
        self.ask_stop(name, &life, forced);
        self.touch(name);
    }

    fn ask_stop(&mut self, name: &ServiceName, life: &Life, forced: bool) {
        let stop = self.services.get(name).map(|service| service.spec.stop.clone()).unwrap_or_default();
        let grace = if forced { Span::ZERO } else { stop.grace };
        self.actions.push_back(Action::Stop { run: life.run, backend: life.backend.clone(), signal: stop.signal, grace });
    }

    /// A stop that failed is tried again; one that somebody lost patience with is asked once more without grace.
    fn settle_stopping(&mut self, name: &ServiceName, replica: u32) {
        let (now, force) = (self.now, self.services.get(name).is_some_and(|service| service.forced));
        let Some(slot) = self.slot(name, replica) else { return };
        let State::Stopping { life, asked, forced, .. } = &mut slot.state else { return };
        let harder = force && !*forced;
        if !asked.is_due(now) && !harder {
            if let Some(at) = asked.next_try() {
                self.wake_again(name, replica, at);
            }
            return;
        }
        *forced |= force;
        asked.begin();
        let (life, force) = (life.clone(), *forced);
        self.ask_stop(name, &life, force);
    }

    /// Keeps the last ended life for its logs, and frees the others, oldest first and a few at once; all of them once the slot is not
    /// wanted any more.
    fn free_ended(&mut self, name: &ServiceName, replica: u32) {
        let now = self.now;
        self.give_up_oldest(name, replica);
        let Some(service) = self.services.get(name) else { return };
        let kept = service.wanted.is_some();
        let Some(slot) = self.slot(name, replica) else { return };
        let wanted = kept && (!slot.surplus || slot.held);
        let keep = usize::from(wanted || slot.is_live());
        let surplus = slot.ended.len().saturating_sub(keep);
        let mut room = DESTROYS.saturating_sub(slot.ended.iter().filter(|ended| ended.destroy.now).count());
        let mut calls = Vec::new();
        let mut next: Option<Time> = None;
        for ended in slot.ended.iter_mut().take(surplus) {
            if ended.destroy.is_due(now) {
                // The end of one that is under way settles this slot again.
                if room > 0 {
                    room -= 1;
                    ended.destroy.begin();
                    calls.push(Action::Destroy { run: ended.run, backend: ended.backend.clone(), force: false });
                }
            } else {
                next = next.into_iter().chain(ended.destroy.next_try()).min();
            }
        }
        self.actions.extend(calls);
        if let Some(at) = next {
            self.wake_again(name, replica, at);
        }
    }

    /// When more lives than [`KEPT`] cannot be freed, the oldest is forgotten, with a notice: what is left of it is the backend's, and a
    /// person's to clear away.
    fn give_up_oldest(&mut self, name: &ServiceName, replica: u32) {
        while let Some(slot) = self.slot(name, replica).filter(|slot| slot.ended.len() > KEPT) {
            let Ended { run, backend, .. } = slot.ended.remove(0);
            self.forget(run);
            let text = format!("what is left of run {run} could not be freed, and is left to backend {backend}");
            self.tell(NoticeKind::Trouble, name, Some(replica), Some(run), text);
        }
    }

    /// Settles this slot again then, at the latest.
    pub(crate) fn wake_again(&mut self, name: &ServiceName, replica: u32, at: Time) {
        let timer = Timer::Again(name.clone(), replica);
        if self.timers.at(&timer).is_none_or(|set| set > at) {
            self.timers.set(timer, at);
        }
    }

    /// Drops slots that are not wanted and have nothing left, and then the service.
    fn drop_when_empty(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get_mut(name) else { return };
        let removed = service.wanted.is_none();
        let gone = |slot: &&Slot| (removed || (slot.surplus && !slot.held)) && !slot.is_live() && slot.ended.is_empty();
        let gone: Vec<(u32, usize)> = service.slots().filter(gone).map(|slot| (slot.replica, slot.checks.len())).collect();
        for (replica, checks) in gone {
            self.drop_slot(name, replica, checks);
        }
        if removed && self.services.get(name).is_some_and(|service| service.slots.is_empty()) {
            self.drop_service(name);
        }
    }

    fn drop_slot(&mut self, name: &ServiceName, replica: u32, checks: usize) {
        if let Some(service) = self.services.get_mut(name) {
            service.slots.remove(&replica);
        }
        self.actions.push_back(Action::Save(Saved::Slot(name.clone(), replica, None)));
        for timer in [Timer::Backoff, Timer::Stable, Timer::Proven, Timer::Again].map(|of| of(name.clone(), replica)) {
            self.timers.clear(&timer);
        }
        for index in 0..checks {
            self.timers.clear(&Timer::Check(name.clone(), replica, index));
        }
    }

    fn drop_service(&mut self, name: &ServiceName) {
        self.touch_neighbours(name);
        self.forget_former(name);
        if self.services.remove(name).is_some_and(|service| service.outlook.live) {
            self.live -= 1;
        }
        self.graph.remove(name.as_str());
        self.renew_edges_to(name);
        self.tell(NoticeKind::Removed, name, None, None, "removed");
    }

    /// Saves what changed of the slots of a service.
    fn save(&mut self, name: &ServiceName) {
        let Some(Service { spec, slots, .. }) = self.services.get_mut(name) else { return };
        for slot in slots.values_mut() {
            let record = slot.record(&spec.checks);
            if slot.saved.as_ref() != Some(&record) {
                slot.saved = Some(record.clone());
                self.actions.push_back(Action::Save(Saved::Slot(name.clone(), slot.replica, Some(Box::new(record)))));
            }
        }
    }
}

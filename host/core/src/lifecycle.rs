//! What follows from news about one life: started, ended, stopped, seen, found.

use std::sync::Arc;

use crate::event::{Action, Exit, Fault, NoticeKind, Phase, Run, Saved, Stage};
use crate::machine::{Core, parks};
use crate::restart::{Ending, Verdict, decide};
use crate::spec::{Kind, ServiceName};
use crate::task::{Asked, Because, Ended, Life, Slot, State};
use crate::timer::Timer;

impl Core {
    pub(crate) fn hear_started(&mut self, run: Run) {
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Starting(life) = &slot.state else { return };
        let life = life.clone();
        self.starting -= 1;
        let backend = life.backend.clone();
        self.backend_is_back(&backend);
        self.tell(NoticeKind::Started, &name, Some(replica), Some(run), format!("started by {backend}"));
        self.runs_now(&name, replica, life, true);
    }

    /// A life is known to run: `fresh` when it was just started, else it was found again.
    pub(crate) fn runs_now(&mut self, name: &ServiceName, replica: u32, mut life: Life, fresh: bool) {
        let now = self.now;
        let Some(service) = self.services.get_mut(name) else { return };
        let reset_after = service.spec.restart.reset_after;
        let checks = service.spec.checks.len();
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        if fresh {
            life.since = now;
            slot.told = crate::health::Health::Unknown;
            slot.checks.iter_mut().for_each(crate::health::Check::new_life);
        }
        slot.ill = None;
        slot.unknown = None;
        slot.memory.starts_seen = slot.memory.starts_seen.max(service.wanted.as_ref().map_or(0, |wanted| wanted.starts));
        slot.memory.restarts_seen = life.restarts;
        let record = life.record(name, replica, Stage::Started);
        let (run, backend) = (life.run, life.backend.clone());
        if slot.memory.attempts > 0 {
            self.timers.set(Timer::Stable(name.clone(), replica), life.since.max(now) + reset_after);
        }
        slot.state = State::Running(life);
        for index in 0..checks {
            self.timers.set(Timer::Check(name.clone(), replica, index), now);
        }
        self.actions.push_back(Action::Save(Saved::Task(run, Some(record))));
        self.watch(&backend, run);
        self.dirty.insert(name.clone());
    }

    pub(crate) fn hear_start_failed(&mut self, run: Run, fault: Fault) {
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Starting(life) = &slot.state else { return };
        let life = life.clone();
        match fault {
            Fault::Unavailable { message, after } => {
                let message = format!("backend {} unavailable: {message}", life.backend);
                slot.memory.last_error = Some(message.clone());
                slot.state = State::Down;
                self.tell(NoticeKind::StartFailed, &name, Some(replica), Some(run), message.clone());
                self.forget(run);
                self.backend_is_away(&life.backend, &message, after);
                self.dirty.insert(name);
            }
            Fault::Interrupted(message) => {
                slot.memory.last_error = Some(message.clone());
                self.tell(NoticeKind::StartFailed, &name, Some(replica), Some(run), format!("interrupted, looking whether it runs: {message}"));
                let backend = life.backend.clone();
                let slot = self.services.get_mut(&name).and_then(|service| service.slots.get_mut(&replica)).expect("it was just found");
                slot.state = State::Uncertain { life, intent: true, error: Some(message) };
                self.dirty.insert(name);
                self.list(&backend);
            }
            Fault::Invalid(_) | Fault::Denied(_) | Fault::Unsupported(_) | Fault::Failed(_) => {
                self.forget(run);
                self.start_failed(&name, replica, run, &fault);
            }
        }
        self.starting -= 1;
    }

    /// A start that left nothing behind.
    fn start_failed(&mut self, name: &ServiceName, replica: u32, run: Run, fault: &Fault) {
        let message = fault.message().to_owned();
        let text = format!("start failed: {message}");
        self.tell(NoticeKind::StartFailed, name, Some(replica), Some(run), &*message);
        if parks(fault) {
            self.fail(name, replica, Some(run), text);
        } else {
            self.try_again(name, replica, Some(run), Ending::Failure, text, None);
        }
    }

    /// Parks a slot.
    fn fail(&mut self, name: &ServiceName, replica: u32, run: Option<Run>, reason: String) {
        let now = self.now;
        let Some(slot) = self.slot(name, replica) else { return };
        slot.memory.last_error = Some(reason.clone());
        slot.memory.last_failure = Some(now);
        slot.memory.failures += 1;
        slot.ill = None;
        slot.state = State::Failed { reason: reason.clone() };
        self.tell(NoticeKind::Failed, name, Some(replica), run, reason);
        self.dirty.insert(name.clone());
    }

    /// Asks the restart policy what follows an end, and does it.
    fn try_again(&mut self, name: &ServiceName, replica: u32, run: Option<Run>, ending: Ending, what: String, exit: Option<Exit>) {
        let (now, roll) = (self.now, self.chance.next());
        let Some(service) = self.services.get_mut(name) else { return };
        let spec = Arc::clone(&service.spec);
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        self.timers.clear(&Timer::Stable(name.clone(), replica));
        slot.ill = None;
        self.dirty.insert(name.clone());
        // A one-shot that reached success is done, whatever else its policy says.
        if spec.kind == Kind::Oneshot && ending == Ending::Success {
            return self.complete(name, replica, run, exit.unwrap_or_default());
        }
        match decide(&spec.restart, ending, slot.memory.attempts, roll) {
            Verdict::Again { after, attempt } => {
                slot.memory.attempts = attempt;
                slot.memory.last_failure = Some(now);
                slot.memory.failures += 1;
                slot.memory.last_error = Some(what.clone());
                slot.again = true;
                slot.state = State::Backoff { until: now + after, reason: what.clone() };
                self.timers.set(Timer::Backoff(name.clone(), replica), now + after);
                let of = spec.restart.max_attempts.map_or(String::new(), |max| format!(" of {max}"));
                self.tell(NoticeKind::Restarting, name, Some(replica), run, format!("{what}; restart {attempt}{of} in {after}"));
            }
            Verdict::Done => self.complete(name, replica, run, exit.unwrap_or_default()),
            Verdict::Parked { because } => self.fail(name, replica, run, format!("{what}; {because}")),
        }
    }

    fn complete(&mut self, name: &ServiceName, replica: u32, run: Option<Run>, exit: Exit) {
        let Some(service) = self.services.get_mut(name) else { return };
        let digest = service.spec.task_digest.clone();
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        slot.memory.attempts = 0;
        slot.state = State::Completed { digest, exit };
        self.tell(NoticeKind::Completed, name, Some(replica), run, "ran to success");
    }

    /// A life that ran has ended by itself.
    fn ended(&mut self, name: &ServiceName, replica: u32, life: &Life, exit: Exit) {
        self.tell(NoticeKind::Exited, name, Some(replica), Some(life.run), exit.to_string());
        self.put_aside(name, replica, life);
        let (now, closing) = (self.now, self.closing);
        let Some(service) = self.services.get_mut(name) else { return };
        let stable = service.spec.restart.reset_after;
        let wanted = service.own_down(closing).is_none();
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        slot.memory.last_exit = Some(exit.clone());
        if now.since(life.since) >= stable {
            slot.memory.attempts = 0;
        }
        let ending = if exit.is_success() { Ending::Success } else { Ending::Failure };
        if wanted || ending == Ending::Success {
            let replaced = life.digest != service.spec.task_digest;
            if replaced {
                slot.state = State::Down;
                self.dirty.insert(name.clone());
                return;
            }
            self.try_again(name, replica, Some(life.run), ending, exit.to_string(), Some(exit));
        } else {
            slot.state = State::Down;
            self.dirty.insert(name.clone());
        }
    }

    /// Keeps an ended life for its logs, and lets go of the one before it.
    fn put_aside(&mut self, name: &ServiceName, replica: u32, life: &Life) {
        self.unwatch(&life.backend, life.run);
        self.timers.clear(&Timer::Stable(name.clone(), replica));
        let record = life.record(name, replica, Stage::Ended);
        self.actions.push_back(Action::Save(Saved::Task(life.run, Some(record))));
        if let Some(slot) = self.slot(name, replica) {
            slot.unknown = None;
            slot.ended.push(Ended { run: life.run, backend: life.backend.clone(), destroy: Asked::default() });
        }
        self.dirty.insert(name.clone());
    }

    pub(crate) fn hear_stopped(&mut self, run: Run, exit: Option<Exit>) {
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Stopping { life, because, .. } = &slot.state else { return };
        let (life, because) = (life.clone(), because.clone());
        slot.memory.last_exit = exit.or_else(|| slot.memory.last_exit.take());
        self.tell(NoticeKind::Stopped, &name, Some(replica), Some(run), format!("stopped: {}", because.words()));
        self.put_aside(&name, replica, &life);
        let now = self.now;
        let Some(service) = self.services.get_mut(&name) else { return };
        let stable = service.spec.restart.reset_after;
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        slot.ill = None;
        match because {
            Because::NotWanted(_) => slot.state = State::Down,
            Because::Replaced(_) => {
                slot.again = true;
                slot.state = State::Down;
            }
            Because::Unhealthy(reason) => {
                if now.since(life.since) >= stable {
                    slot.memory.attempts = 0;
                }
                self.try_again(&name, replica, Some(run), Ending::Failure, reason, None);
            }
        }
        self.dirty.insert(name);
    }

    pub(crate) fn hear_stop_failed(&mut self, run: Run, fault: &Fault) {
        let now = self.now;
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Stopping { asked, .. } = &mut slot.state else { return };
        let wait = asked.failed(now);
        slot.memory.last_error = Some(format!("stop failed: {}", fault.message()));
        self.timers.set(Timer::Again(name.clone(), replica), now + wait);
        self.tell(NoticeKind::StopFailed, &name, Some(replica), Some(run), format!("{}; trying again in {wait}", fault.message()));
    }

    pub(crate) fn hear_destroyed(&mut self, run: Run, fault: Option<Fault>) {
        if self.abandoned.contains_key(&run) {
            if fault.is_none() {
                self.abandoned.remove(&run);
                self.actions.push_back(Action::Save(Saved::Task(run, None)));
            }
            return;
        }
        let Some((name, replica)) = self.runs.get(&run).cloned() else { return };
        let now = self.now;
        let Some(slot) = self.slot(&name, replica) else { return };
        let Some(position) = slot.ended.iter().position(|ended| ended.run == run) else { return };
        if let Some(fault) = fault {
            let ended = &mut slot.ended[position];
            let wait = ended.destroy.failed(now);
            if ended.destroy.failures == 1 {
                let text = format!("what is left of run {run} cannot be freed yet: {}", fault.message());
                self.tell(NoticeKind::Trouble, &name, Some(replica), Some(run), text);
            }
            self.timers.set(Timer::Again(name, replica), now + wait);
        } else {
            slot.ended.remove(position);
            self.forget(run);
            self.dirty.insert(name);
        }
    }

    /// Drops the record of a life.
    fn forget(&mut self, run: Run) {
        self.runs.remove(&run);
        self.actions.push_back(Action::Save(Saved::Task(run, None)));
    }

    pub(crate) fn hear_looked(&mut self, backend: &str, seen: Result<Vec<(Run, Phase)>, String>) {
        match seen {
            Ok(seen) => {
                for (run, phase) in seen {
                    self.see(run, phase);
                }
            }
            Err(reason) => {
                let runs: Vec<Run> = self.backends.get(backend).map(|backend| backend.watched.iter().copied().collect()).unwrap_or_default();
                for run in runs {
                    self.see(run, Phase::Unknown(reason.clone()));
                }
            }
        }
        self.looked(backend);
    }

    /// A running life was looked at.
    pub(crate) fn see(&mut self, run: Run, phase: Phase) {
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Running(life) = &slot.state else { return };
        match phase {
            Phase::Pending | Phase::Running | Phase::Stopping => {
                if slot.unknown.take().is_some() {
                    self.tell(NoticeKind::Known, &name, Some(replica), Some(run), "its backend can be asked again: it runs");
                    self.dirty.insert(name);
                }
            }
            Phase::Exited(exit) => {
                let life = life.clone();
                self.ended(&name, replica, &life, exit);
            }
            Phase::Gone => {
                let life = life.clone();
                let exit = Exit { reason: Some("vanished: its backend knows nothing of it".to_owned()), ..Exit::default() };
                self.ended(&name, replica, &life, exit);
            }
            Phase::Unknown(reason) => {
                let news = slot.unknown.is_none();
                slot.unknown = Some(reason.clone());
                if news {
                    self.tell(NoticeKind::Unknown, &name, Some(replica), Some(run), reason);
                    self.dirty.insert(name);
                }
            }
        }
    }

    pub(crate) fn hear_listed(&mut self, backend: &str, found: Result<Vec<(Run, Phase)>, String>) {
        match found {
            Ok(found) => {
                self.backend_is_back(backend);
                self.resolve(backend, &found);
                self.clear_abandoned(backend, &found);
            }
            Err(reason) => {
                for (_, _, slot) in self.uncertain_slots(backend) {
                    slot.unknown = Some(reason.clone());
                }
                self.backend_is_away(backend, &format!("backend {backend} unavailable: {reason}"), None);
            }
        }
        self.listed(backend);
    }

    fn uncertain_slots(&mut self, backend: &str) -> Vec<(ServiceName, u32, &mut Slot)> {
        let services = self.services.iter_mut();
        services
            .flat_map(|(name, service)| service.slots.values_mut().map(move |slot| (name.clone(), slot.replica, slot)))
            .filter(|(_, _, slot)| matches!(&slot.state, State::Uncertain { life, .. } if life.backend == backend))
            .collect()
    }

    /// Every life that may exist is adopted, has ended, or never was.
    fn resolve(&mut self, backend: &str, found: &[(Run, Phase)]) {
        let found: std::collections::BTreeMap<Run, &Phase> = found.iter().map(|(run, phase)| (*run, phase)).collect();
        let uncertain: Vec<(ServiceName, u32, Life, bool, Option<String>)> = self
            .uncertain_slots(backend)
            .into_iter()
            .filter_map(|(name, replica, slot)| match &slot.state {
                State::Uncertain { life, intent, error } => Some((name, replica, life.clone(), *intent, error.clone())),
                _ => None,
            })
            .collect();
        for (name, replica, life, intent, error) in uncertain {
            match found.get(&life.run) {
                Some(Phase::Pending | Phase::Running | Phase::Stopping) => {
                    self.tell(NoticeKind::Adopted, &name, Some(replica), Some(life.run), "found running, and taken up again");
                    self.runs_now(&name, replica, life, false);
                }
                Some(Phase::Exited(exit)) => self.ended(&name, replica, &life, (*exit).clone()),
                Some(Phase::Unknown(reason)) => {
                    if let Some(slot) = self.slot(&name, replica) {
                        slot.unknown = Some(reason.clone());
                    }
                    self.backend_is_away(backend, &format!("backend {backend} cannot say: {reason}"), None);
                }
                Some(Phase::Gone) | None if intent => self.never_was(&name, replica, &life, error),
                Some(Phase::Gone) | None => {
                    let exit = Exit { reason: Some("is gone: its backend knows nothing of it".to_owned()), ..Exit::default() };
                    self.ended(&name, replica, &life, exit);
                }
            }
        }
    }

    /// An intent of which the backend has nothing. It may still turn up late, so its number is kept until a later listing misses it too.
    fn never_was(&mut self, name: &ServiceName, replica: u32, life: &Life, error: Option<String>) {
        self.runs.remove(&life.run);
        self.abandoned.insert(life.run, (life.backend.clone(), false));
        self.actions.push_back(Action::Save(Saved::Task(life.run, Some(life.record(name, replica, Stage::Abandoned)))));
        if let Some(slot) = self.slot(name, replica) {
            slot.unknown = None;
            slot.state = State::Down;
        }
        self.dirty.insert(name.clone());
        if let Some(message) = error {
            self.start_failed(name, replica, life.run, &Fault::Failed(message));
        }
    }

    fn clear_abandoned(&mut self, backend: &str, found: &[(Run, Phase)]) {
        let of_backend: Vec<(Run, bool)> = self.abandoned.iter().filter(|(_, (name, _))| name == backend).map(|(run, (_, missed))| (*run, *missed)).collect();
        for (run, missed) in of_backend {
            if found.iter().any(|(other, _)| *other == run) {
                self.actions.push_back(Action::Destroy { run, backend: backend.to_owned(), force: true });
            } else if missed {
                self.abandoned.remove(&run);
                self.actions.push_back(Action::Save(Saved::Task(run, None)));
            } else if let Some((_, missed)) = self.abandoned.get_mut(&run) {
                *missed = true;
            }
        }
    }

    pub(crate) fn hear_stable(&mut self, name: &ServiceName, replica: u32) {
        let Some(slot) = self.slot(name, replica) else { return };
        if matches!(slot.state, State::Running(_)) {
            slot.memory.attempts = 0;
            self.dirty.insert(name.clone());
        }
    }

    pub(crate) fn slot(&mut self, name: &ServiceName, replica: u32) -> Option<&mut Slot> {
        self.services.get_mut(name)?.slots.get_mut(&replica)
    }
}

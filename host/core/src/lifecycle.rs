//! What follows from news about one life: started, ended, stopped, freed.

use std::sync::Arc;

use crate::event::{Action, Exit, Fault, NoticeKind, Phase, Run};
use crate::machine::Core;
use crate::record::{After, Leaving, Saved, Stage};
use crate::restart::{Ending, Verdict, decide};
use crate::spec::{Kind, ServiceName};
use crate::task::{Asked, Ended, Life, Slot, State};
use crate::time::Span;
use crate::timer::Timer;

/// A task that no check judges is believed to be up once it has run this long: most of what cannot run at all has ended by then.
pub(crate) const PROVING: Span = Span(300);

impl Core {
    pub(crate) fn hear_started(&mut self, run: Run) {
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Starting(life) = &slot.state else { return };
        let mut life = life.clone();
        self.starting -= 1;
        self.backend_is_back(&life.backend);
        self.tell(NoticeKind::Started, &name, Some(replica), Some(run), format!("started by {}", life.backend));
        life.since = self.now;
        self.runs_now(&name, replica, life);
    }

    /// A life is known to run: it was just started, or found again.
    pub(crate) fn runs_now(&mut self, name: &ServiceName, replica: u32, life: Life) {
        let now = self.now;
        let Some(service) = self.services.get_mut(name) else { return };
        let (starts, reset_after) = (service.starts_wanted(), service.spec.restart.reset_after);
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        slot.ill = None;
        slot.unknown = None;
        slot.memory.starts_seen = slot.memory.starts_seen.max(starts);
        slot.memory.restarts_seen = life.restarts;
        if slot.memory.attempts > 0 {
            self.timers.set(Timer::Stable(name.clone(), replica), life.since + reset_after);
        }
        if slot.checks.is_empty() && now < life.since + PROVING {
            self.timers.set(Timer::Proven(name.clone(), replica), life.since + PROVING);
        }
        for index in 0..slot.checks.len() {
            self.timers.set(Timer::Check(name.clone(), replica, index), now);
        }
        self.actions.push_back(Action::Save(Saved::Task(life.run, Some(life.record(name, replica, Stage::Started)))));
        let (run, backend) = (life.run, life.backend.clone());
        slot.state = State::Running(life);
        self.watch(&backend, run);
        self.touch(name);
        // Its plugin went while the answer was on its way: nobody can look at it now.
        if let Some(missing) = self.backends.get(&backend).and_then(|backend| backend.missing.clone()) {
            self.see(&backend, run, Phase::Unknown(missing));
        }
    }

    pub(crate) fn hear_start_failed(&mut self, run: Run, fault: Fault) {
        if planted!(1)
            && let Fault::Interrupted(message) = &fault
        {
            return self.hear_start_failed(run, Fault::Failed(message.clone()));
        }
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Starting(life) = &slot.state else { return };
        let life = life.clone();
        slot.memory.last_error = Some(fault.message().to_owned());
        self.starting -= 1;
        match fault {
            Fault::Unavailable { message, after } => {
                let message = format!("backend {} unavailable: {message}", life.backend);
                self.tell(NoticeKind::StartFailed, &name, Some(replica), Some(run), message.clone());
                self.forget(run);
                self.put_down(&name, replica);
                self.backend_is_away(&life.backend, &message, after);
            }
            Fault::Interrupted(message) => {
                let backend = life.backend.clone();
                if let Some(slot) = self.slot(&name, replica) {
                    slot.state = State::Uncertain { life, intent: true, rebooted: false, error: Some(message.clone()), leaving: None };
                }
                self.tell(NoticeKind::StartFailed, &name, Some(replica), Some(run), format!("interrupted, looking whether it runs: {message}"));
                self.wonder(&backend, run);
                self.list(&backend);
                self.touch(&name);
            }
            Fault::Invalid(_) | Fault::Denied(_) | Fault::Unsupported(_) | Fault::Failed(_) => {
                self.forget(run);
                self.start_failed(&name, replica, &life, &fault);
            }
        }
    }

    /// A start that left nothing behind.
    pub(crate) fn start_failed(&mut self, name: &ServiceName, replica: u32, life: &Life, fault: &Fault) {
        let message = fault.message().to_owned();
        let text = format!("start failed: {message}");
        self.tell(NoticeKind::StartFailed, name, Some(replica), Some(life.run), message);
        match fault {
            Fault::Invalid(_) | Fault::Denied(_) | Fault::Unsupported(_) => self.fail(name, replica, life, text),
            Fault::Unavailable { .. } | Fault::Interrupted(_) | Fault::Failed(_) => self.try_again(name, replica, life, Ending::Failure, text, None),
        }
    }

    /// Parks a slot.
    fn fail(&mut self, name: &ServiceName, replica: u32, life: &Life, reason: String) {
        let Some(slot) = self.remember_failure(name, replica, &reason) else { return };
        slot.state = State::Failed { digest: life.digest.clone(), reason: reason.clone() };
        self.tell(NoticeKind::Failed, name, Some(replica), Some(life.run), reason);
    }

    fn remember_failure(&mut self, name: &ServiceName, replica: u32, what: &str) -> Option<&mut Slot> {
        let now = self.now;
        self.timers.clear(&Timer::Stable(name.clone(), replica));
        self.touch(name);
        let slot = self.slot(name, replica)?;
        slot.memory.last_error = Some(what.to_owned());
        slot.memory.last_failure = Some(now);
        slot.memory.failures += 1;
        slot.ill = None;
        Some(slot)
    }

    /// Asks the restart policy what follows the end of a life, and does it.
    fn try_again(&mut self, name: &ServiceName, replica: u32, life: &Life, ending: Ending, what: String, exit: Option<Exit>) {
        let roll = self.chance.next() ^ if planted!(12) { planted!(wall) } else { 0 };
        let Some(service) = self.services.get(name) else { return };
        let (spec, unwanted) = (Arc::clone(&service.spec), service.own_down(self.closing).is_some());
        let Some(slot) = service.slots.get(&replica) else { return };
        let unwanted = unwanted || slot.surplus;
        // A one-shot that reached success is done, whatever else its policy says.
        let verdict = match (spec.kind, ending) {
            (Kind::Oneshot, Ending::Success) => Verdict::Done,
            (Kind::Oneshot, Ending::Failure) | (Kind::Service, Ending::Success | Ending::Failure) => {
                decide(&spec.restart, ending, slot.memory.attempts, roll)
            }
        };
        match verdict {
            Verdict::Done => self.complete(name, replica, life, exit.unwrap_or_default()),
            Verdict::Again { .. } | Verdict::Parked { .. } if unwanted || life.digest != spec.task_digest => {
                if ending == Ending::Failure {
                    self.remember_failure(name, replica, &what);
                }
                self.put_down(name, replica);
            }
            Verdict::Again { after, attempt } => {
                let until = self.now + after;
                if ending == Ending::Failure {
                    self.remember_failure(name, replica, &what);
                }
                let Some(slot) = self.slot(name, replica) else { return };
                slot.ill = None;
                slot.memory.attempts = attempt;
                slot.again = true;
                slot.state = State::Backoff { until, digest: life.digest.clone(), reason: what.clone() };
                self.timers.set(Timer::Backoff(name.clone(), replica), until);
                let of = spec.restart.max_attempts.map_or(String::new(), |max| format!(" of {max}"));
                self.tell(NoticeKind::Restarting, name, Some(replica), Some(life.run), format!("{what}; restart {attempt}{of} in {after}"));
            }
            Verdict::Parked { because } => self.fail(name, replica, life, format!("{what}; {because}")),
        }
    }

    fn complete(&mut self, name: &ServiceName, replica: u32, life: &Life, exit: Exit) {
        let Some(slot) = self.slot(name, replica) else { return };
        slot.memory.attempts = 0;
        slot.state = State::Completed { digest: life.digest.clone(), exit };
        self.tell(NoticeKind::Completed, name, Some(replica), Some(life.run), "ran to success");
        self.touch(name);
    }

    /// A life that ran has ended by itself.
    pub(crate) fn ended(&mut self, name: &ServiceName, replica: u32, life: &Life, exit: Exit) {
        self.tell(NoticeKind::Exited, name, Some(replica), Some(life.run), exit.to_string());
        self.put_aside(name, replica, life);
        self.reset_if_stable(name, replica, life);
        if let Some(slot) = self.slot(name, replica) {
            slot.memory.last_exit = Some(exit.clone());
        }
        let ending = if exit.is_success() { Ending::Success } else { Ending::Failure };
        self.try_again(name, replica, life, ending, exit.to_string(), Some(exit));
    }

    /// A life ended while the machine was restarted. That is no fault of its own, so that it is not counted: its slot is free to start.
    pub(crate) fn ended_with_machine(&mut self, name: &ServiceName, replica: u32, life: &Life, exit: Exit) {
        let ran_through = self.services.get(name).is_some_and(|service| service.spec.kind == Kind::Oneshot) && exit.is_success();
        if ran_through {
            return self.ended(name, replica, life, exit);
        }
        self.tell(NoticeKind::Exited, name, Some(replica), Some(life.run), format!("{exit}; not counted: it ended with the machine"));
        self.put_aside(name, replica, life);
        self.put_down(name, replica);
        if let Some(slot) = self.slot(name, replica) {
            slot.memory.last_exit = Some(exit);
        }
    }

    /// A run that lasted begins a new count of restarts.
    fn reset_if_stable(&mut self, name: &ServiceName, replica: u32, life: &Life) {
        let now = self.now;
        let Some(service) = self.services.get_mut(name) else { return };
        let stable = service.spec.restart.reset_after;
        if let Some(slot) = service.slots.get_mut(&replica).filter(|_| now.since(life.since) >= stable) {
            slot.memory.attempts = 0;
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
        self.touch(name);
    }

    pub(crate) fn hear_stopped(&mut self, run: Run, exit: Option<Exit>) {
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Stopping { life, because, .. } = &slot.state else { return };
        let (life, leaving) = (life.clone(), because.leaving());
        self.has_left(&name, replica, &life, leaving, exit);
    }

    /// A life that was taken down has ended.
    pub(crate) fn has_left(&mut self, name: &ServiceName, replica: u32, life: &Life, leaving: Leaving, exit: Option<Exit>) {
        let Leaving { because, after } = leaving;
        self.tell(NoticeKind::Stopped, name, Some(replica), Some(life.run), format!("stopped: {because}"));
        self.put_aside(name, replica, life);
        if let (Some(slot), Some(exit)) = (self.slot(name, replica), exit) {
            slot.memory.last_exit = Some(exit);
        }
        match after {
            After::Rest => self.put_down(name, replica),
            After::Again => {
                self.put_down(name, replica);
                self.slot(name, replica).expect("its life was just in it").again = true;
            }
            After::Judged => self.try_again(name, replica, life, Ending::Failure, because, None),
        }
    }

    pub(crate) fn hear_stop_failed(&mut self, run: Run, fault: &Fault) {
        let now = self.now;
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Stopping { asked, .. } = &mut slot.state else { return };
        let wait = asked.failed(now);
        slot.memory.last_error = Some(format!("stop failed: {}", fault.message()));
        self.tell(NoticeKind::StopFailed, &name, Some(replica), Some(run), format!("{}; trying again in {wait}", fault.message()));
        self.touch(&name);
    }

    pub(crate) fn hear_destroyed(&mut self, run: Run, fault: Option<Fault>) {
        if let Some(lost) = self.abandoned.get(&run) {
            let backend = lost.backend.clone();
            match fault {
                Some(_) => self.list_soon(&backend),
                None => self.drop_lost(run),
            }
            return;
        }
        let Some((name, replica)) = self.runs.get(&run).cloned() else { return };
        let now = self.now;
        let Some(slot) = self.slot(&name, replica) else { return };
        let Some(position) = slot.ended.iter().position(|ended| ended.run == run) else { return };
        if let Some(fault) = fault {
            let ended = &mut slot.ended[position];
            ended.destroy.failed(now);
            if ended.destroy.failures == 1 {
                let text = format!("what is left of run {run} cannot be freed yet: {}", fault.message());
                self.tell(NoticeKind::Trouble, &name, Some(replica), Some(run), text);
            }
            self.touch(&name);
        } else {
            slot.ended.remove(position);
            self.forget(run);
            self.touch(&name);
        }
    }

    /// Drops the record of a life.
    pub(crate) fn forget(&mut self, run: Run) {
        self.runs.remove(&run);
        self.actions.push_back(Action::Save(Saved::Task(run, None)));
    }

    pub(crate) fn hear_stable(&mut self, name: &ServiceName, replica: u32) {
        let Some(slot) = self.slot(name, replica) else { return };
        if matches!(slot.state, State::Running(_)) {
            slot.memory.attempts = 0;
            self.touch(name);
        }
    }
}

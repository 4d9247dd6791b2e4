//! Stopping a whole tree: warn, wait, kill, and look until nothing is left.
//!
//! A stop belongs to the keeper, not to the client that asked: it goes on when the client is gone, its deadline survives a new
//! keeper, and whoever asks again joins it.

use std::collections::BTreeSet;

use hostler_failpoint::failpoint;
use rustix::process::{Pid, Signal, getpgid, kill_process_group};

use super::{Keeper, Timer};
use crate::clock;
use crate::identity::Identity;
use crate::journal::Record;
use crate::protocol::{ErrorKind, Refusal, Response, State};
use crate::signal;
use crate::task::{Parentage, Phase, Stop};
use crate::tree;

const FIRST_PAUSE_MS: u64 = 2;
const LONGEST_PAUSE_MS: u64 = 100;
/// Between two looks at what was killed.
const KILLING_PAUSE_MS: u64 = 20;

impl Keeper {
    /// Hears a request to stop; the answer comes when nothing is left.
    pub(super) fn stop(&mut self, asker: (u64, u64), key: &str, name: &str, grace_ms: u64) -> Result<(), Refusal> {
        let signal = signal::by_name(name).ok_or_else(|| Refusal::invalid(format!("there is no signal {name:?}")))?;
        if !self.tasks.contains_key(key) {
            return Err(Refusal::new(ErrorKind::NotFound, format!("there is no process {key:?}")));
        }
        self.begin_stop(key, signal, grace_ms, Some(asker));
        Ok(())
    }

    /// Begins a stop, or joins the one that runs: the earlier deadline counts.
    pub(super) fn begin_stop(&mut self, key: &str, signal: Signal, grace_ms: u64, asker: Option<(u64, u64)>) {
        let now = clock::boot_ms();
        let Some(task) = self.tasks.get_mut(key) else { return };
        let deadline = now.saturating_add(grace_ms);
        if let Some(stop) = &mut task.stop {
            stop.waiters.extend(asker);
            if deadline < stop.deadline {
                stop.deadline = deadline;
                self.note_stop(key);
                self.look_at_stop(key);
            }
            return;
        }
        let running = task.is_running();
        let phase = if running { Phase::LeaderWarned } else { Phase::RestWarned };
        let waiters = asker.into_iter().collect();
        task.stop = Some(Stop { signal, deadline, phase, next_look: 0, pause_ms: FIRST_PAUSE_MS, waiters });
        if task.is_clean {
            return self.finish_stop(key);
        }
        self.note_stop(key);
        failpoint!("keeper.stop.written");
        if running {
            self.signal_group(key, signal);
        } else {
            let rest = self.members(key);
            tree::signal(&rest, signal);
        }
        failpoint!("keeper.stop.signalled");
        self.look_at_stop(key);
    }

    /// A stop's timer; one that was overtaken by a later plan does nothing.
    pub(super) fn stop_timer(&mut self, key: &str, deadline: u64) {
        let planned = self.tasks.get(key).and_then(|task| task.stop.as_ref()).map(|stop| stop.next_look);
        if planned == Some(deadline) {
            self.look_at_stop(key);
        }
    }

    /// Looks how far a stop is, does what is due, and plans the next look.
    pub(super) fn look_at_stop(&mut self, key: &str) {
        let Some(task) = self.tasks.get(key) else { return };
        let Some(stop) = &task.stop else { return };
        let (phase, signal, is_due) = (stop.phase, stop.signal, clock::boot_ms() >= stop.deadline);
        if task.is_running() {
            if is_due {
                self.set_phase(key, Phase::Killing);
                self.kill_tree(key);
            }
            failpoint!("keeper.stop.looked");
            return self.plan_look(key);
        }
        let rest = self.rest_of(key);
        if rest.is_empty() {
            return self.finish_stop(key);
        }
        if let Some(task) = self.tasks.get_mut(key) {
            task.known.extend(&rest);
        }
        if is_due {
            self.set_phase(key, Phase::Killing);
            self.kill_tree(key);
        } else if phase == Phase::LeaderWarned {
            self.set_phase(key, Phase::RestWarned);
            self.warn_rest(key, &rest, signal);
        }
        self.plan_look(key);
    }

    /// Has a stop looked at later in this turn, when all that ended in it is known.
    pub(super) fn look_soon(&mut self, key: &str) {
        let now = clock::boot_ms();
        if let Some(stop) = self.tasks.get_mut(key).and_then(|task| task.stop.as_mut()) {
            stop.next_look = now;
            self.timers.insert((now, Timer::Stop(key.to_owned())));
        }
    }

    fn set_phase(&mut self, key: &str, phase: Phase) {
        if let Some(stop) = self.tasks.get_mut(key).and_then(|task| task.stop.as_mut()) {
            stop.phase = phase;
        }
    }

    /// What was outside of the leader's group has not been signalled yet.
    fn warn_rest(&mut self, key: &str, rest: &BTreeSet<Identity>, signal: Signal) {
        let group = self.tasks.get(key).and_then(|task| task.identity).map(|identity| identity.pid);
        let outside = |identity: &&Identity| group_of(identity.pid) != group;
        tree::signal(rest.iter().filter(outside), signal);
    }

    fn plan_look(&mut self, key: &str) {
        let now = clock::boot_ms();
        let Some(task) = self.tasks.get_mut(key) else { return };
        let running = task.is_running();
        let Some(stop) = &mut task.stop else { return };
        stop.next_look = match stop.phase {
            // its end wakes us
            Phase::LeaderWarned | Phase::RestWarned if running => stop.deadline,
            Phase::LeaderWarned | Phase::RestWarned => (now + stop.pause_ms).min(stop.deadline),
            Phase::Killing => now + stop.pause_ms.min(KILLING_PAUSE_MS),
        }
        .max(now + 1);
        stop.pause_ms = (stop.pause_ms * 2).min(LONGEST_PAUSE_MS);
        self.timers.insert((stop.next_look, Timer::Stop(key.to_owned())));
    }

    /// Nothing is left: tells everybody who waits.
    fn finish_stop(&mut self, key: &str) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Some(stop) = task.stop.take() else { return };
        failpoint!("keeper.stop.over");
        task.is_clean = true;
        task.known.clear();
        let response = match &task.state {
            State::Exited(exit) => Response::Exit(exit.clone()),
            State::Unknown(text) => Response::Error(Refusal::new(ErrorKind::NotFound, text.clone())),
            State::Running => Response::Error(Refusal::new(ErrorKind::Other, "stopped, and yet it runs")),
        };
        let group = task.group.take();
        self.discard_group(group);
        self.announce(key);
        failpoint!("keeper.stop.before-answer");
        for waiter in stop.waiters {
            self.answer(waiter, &response, &[]);
        }
    }

    fn note_stop(&mut self, key: &str) {
        let Some(stop) = self.tasks.get(key).and_then(|task| task.stop.as_ref()) else { return };
        let signal = signal::name(stop.signal.as_raw());
        let record = Record::Stopping { key: key.to_owned(), signal, deadline: stop.deadline, boot_id: self.boot_id.clone() };
        self.journal.note(&record);
    }

    /// Signals the process group of a leader that lives.
    pub(super) fn signal_group(&mut self, key: &str, signal: Signal) {
        let Some(task) = self.tasks.get(key) else { return };
        let Some(identity) = task.identity else { return };
        if let (Parentage::Ours { .. }, Some(pid)) = (&task.parentage, Pid::from_raw(identity.pid)) {
            // not reaped yet, so the number is its own; a leader that has just ended is told by its exit
            let _ = kill_process_group(pid, signal);
            return;
        }
        let members = self.members(key);
        tree::signal(members.iter().filter(|member| group_of(member.pid) == Some(identity.pid)), signal);
    }

    /// Kills every member there is, so that none can fork away.
    fn kill_tree(&mut self, key: &str) {
        failpoint!("keeper.stop.before-kill");
        let task = self.tasks.get(key).filter(|task| task.has_group());
        if let Some(group) = task.and_then(|task| task.group.as_ref()) {
            if !group.kill() {
                group.freeze(true);
                tree::signal(&tree::living(group.pids()), Signal::KILL);
                group.freeze(false);
            }
            // a leader that was moved elsewhere
            let leader = self.tasks.get(key).filter(|task| task.is_running()).and_then(|task| task.identity);
            tree::signal(&leader, Signal::KILL);
            return;
        }
        let seen = self.members(key);
        tree::signal(&seen, Signal::STOP);
        // what they began before they were halted
        self.look_again();
        let members = self.members(key);
        tree::signal(&members, Signal::KILL);
    }

    /// The living members of a task, as seen in this turn.
    pub(super) fn members(&mut self, key: &str) -> BTreeSet<Identity> {
        // only where no cgroup knows does anybody look at all of /proc
        let needs_look = self.tasks.get(key).is_some_and(|task| !task.has_group());
        let snapshot = needs_look.then(|| self.look());
        let instance = self.journal.instance();
        let Some(task) = self.tasks.get_mut(key) else { return BTreeSet::new() };
        let members = task.members(instance, snapshot.as_deref());
        if needs_look && task.stop.is_some() {
            task.known.extend(&members);
        }
        members
    }
}

fn group_of(pid: i32) -> Option<i32> {
    getpgid(Pid::from_raw(pid)).ok().map(|group| group.as_raw_nonzero().get())
}

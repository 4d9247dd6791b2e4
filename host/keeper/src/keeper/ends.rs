//! How processes end, and how the keeper learns of it.

use std::collections::BTreeSet;

use hostler_failpoint::failpoint;
use rustix::process::{Signal, WaitOptions, WaitStatus, wait};

use super::Keeper;
use crate::cgroup::Group;
use crate::clock;
use crate::identity::Identity;
use crate::journal::Record;
use crate::protocol::{Event, Exit, State};
use crate::signal;
use crate::task::Parentage;

impl Keeper {
    /// Buries every child that has ended: leaders, and orphans that became ours.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(key) = self.leaders.remove(&pid.as_raw_nonzero().get()) {
                self.leader_exited(&key, status);
            }
        }
    }

    fn leader_exited(&mut self, key: &str, status: WaitStatus) {
        failpoint!("keeper.end.reaped");
        let (code, signal) = signal::ending(status);
        self.leader_ended(key, code, signal);
    }

    /// A pidfd became readable: an adopted leader has ended, and only its own parent was told how.
    pub(super) fn adopted_ended(&mut self, watch: u64) {
        if let Some(key) = self.watches.remove(&watch) {
            failpoint!("keeper.end.adopted-one");
            self.leader_ended(&key, None, None);
        }
    }

    fn leader_ended(&mut self, key: &str, code: Option<i32>, signal: Option<String>) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let out_of_memory = task.group.as_ref().is_some_and(Group::was_out_of_memory);
        let exit = Exit { code, signal, out_of_memory, at: clock::unix_ms() };
        task.state = State::Exited(exit.clone());
        // closes the pidfd of an adopted one
        task.parentage = Parentage::Over;
        task.ended_in = self.turn;
        let (pair, log_name) = (task.intent.pipes, task.intent.log_name.clone());
        failpoint!("keeper.end.before-journal");
        self.journal.note_durably(&Record::Ended { key: key.to_owned(), state: State::Exited(exit) });
        failpoint!("keeper.end.written");
        self.ready_pair(pair, &log_name);
        self.sweep(key);
    }

    /// A tree does not outlive its leader: what is left is killed, unless a stop is giving it time. Only then the end is told.
    pub(super) fn sweep(&mut self, key: &str) {
        if self.tasks.get(key).is_some_and(|task| task.stop.is_some()) {
            self.look_soon(key);
        } else if self.rest_of(key).is_empty() {
            self.announce(key);
        } else {
            failpoint!("keeper.end.rest-found");
            self.begin_stop(key, Signal::KILL, 0, None);
        }
    }

    /// Tells, once, that a task has ended and nothing of it is alive.
    pub(super) fn announce(&mut self, key: &str) {
        let Some(task) = self.tasks.get_mut(key).filter(|task| !task.is_announced) else { return };
        task.is_announced = true;
        failpoint!("keeper.end.before-telling");
        if let State::Exited(exit) = &task.state {
            let (owner, exit) = (task.intent.owner.clone(), exit.clone());
            self.events.push(Event::Exited { key: key.to_owned(), owner, exit });
        }
    }

    /// What of an ended task's tree is still alive; once it was nothing, that is known for good.
    pub(super) fn rest_of(&mut self, key: &str) -> BTreeSet<Identity> {
        let Some(task) = self.tasks.get(key).filter(|task| !task.is_clean) else { return BTreeSet::new() };
        let ended_in = task.ended_in;
        let rest = if task.has_group() {
            // twice: one that the kernel listed may have ended before we looked at it, and left a child
            Some(self.members(key)).filter(|rest| !rest.is_empty()).unwrap_or_else(|| self.members(key))
        } else {
            self.rest_in_proc(key, ended_in)
        };
        if rest.is_empty()
            && let Some(task) = self.tasks.get_mut(key)
        {
            task.is_clean = true;
        }
        rest
    }

    fn rest_in_proc(&mut self, key: &str, ended_in: u64) -> BTreeSet<Identity> {
        // old looks can show that nothing is left, but not what is: that may have ended since
        let looks = self.two_looks_since(ended_in);
        let instance = self.journal.instance();
        let Some(task) = self.tasks.get(key) else { return BTreeSet::new() };
        if looks.iter().all(|look| task.members(instance, Some(look)).is_empty()) {
            return BTreeSet::new();
        }
        let now = self.members(key);
        if !now.is_empty() {
            return now;
        }
        self.look_again();
        self.members(key)
    }

    /// Removes cgroups now, or as soon as the kernel lets go of them.
    pub(super) fn discard_group(&mut self, group: Option<Group>) {
        if let Some(group) = group.filter(|group| !group.remove()) {
            self.litter.push(group);
        }
    }
}

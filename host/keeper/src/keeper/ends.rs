//! How processes end, and how the keeper learns of it.

use std::collections::BTreeSet;

use hostler_failpoint::failpoint;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait, waitpid};

use super::{Keeper, Timer};
use crate::cgroup::Group;
use crate::clock;
use crate::identity::Identity;
use crate::journal::Record;
use crate::protocol::{Event, Exit, State};
use crate::signal;
use crate::task::Parentage;
use crate::tree;

/// How long an orphan that has ended may stay a zombie.
const BURIAL_MS: u64 = 50;
/// How often children are looked at anew before all processes are.
const STRAY_LOOKS: usize = 4;

impl Keeper {
    /// A child has ended. If it is a leader, its pidfd says so too; an orphan that became ours is buried in a moment, because to ask for any child
    /// the kernel goes through all of them.
    pub(super) fn plan_burial(&mut self) {
        if !std::mem::replace(&mut self.has_burial, true) {
            self.timers.insert((clock::boot_ms() + BURIAL_MS, Timer::Burial));
        }
    }

    /// Buries every child that has ended.
    pub(super) fn bury(&mut self) {
        self.has_burial = false;
        // all first: what is looked at because of the one is looked at after the end of the others
        let ended: Vec<_> = std::iter::from_fn(|| wait(WaitOptions::NOHANG).ok().flatten()).collect();
        for (pid, status) in ended {
            let Some(key) = self.leaders.remove(&pid.as_raw_nonzero().get()) else { continue };
            if let Some(Parentage::Ours { watch, .. }) = self.tasks.get(&key).map(|task| &task.parentage) {
                self.watches.remove(watch);
            }
            self.leader_exited(&key, status);
        }
        // nothing is told before the end of this turn, and the last lines come first
        self.move_output();
    }

    fn leader_exited(&mut self, key: &str, status: WaitStatus) {
        failpoint!("keeper.end.reaped");
        let (code, signal) = signal::ending(status);
        self.leader_ended(key, code, signal);
    }

    /// A pidfd became readable: a leader has ended. How, only its parent is told.
    pub(super) fn watched_ended(&mut self, watch: u64) {
        let Some(key) = self.watches.remove(&watch) else { return };
        let Some(task) = self.tasks.get(&key) else { return };
        if let (Parentage::Ours { .. }, Some(identity)) = (&task.parentage, task.identity) {
            failpoint!("keeper.end.noticed");
            self.leaders.remove(&identity.pid);
            if let Ok(Some((_, status))) = waitpid(Pid::from_raw(identity.pid), WaitOptions::NOHANG) {
                return self.leader_exited(&key, status);
            }
        } else {
            failpoint!("keeper.end.adopted-one");
        }
        self.leader_ended(&key, None, None);
    }

    fn leader_ended(&mut self, key: &str, code: Option<i32>, signal: Option<String>) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let out_of_memory = task.group.as_ref().is_some_and(Group::was_out_of_memory);
        let exit = Exit { code, signal, out_of_memory, at: clock::unix_ms() };
        task.state = State::Exited(exit.clone());
        // closes the pidfd of an adopted one
        task.parentage = Parentage::Over;
        task.ended_in = self.turn;
        let pair = task.intent.pipes;
        failpoint!("keeper.end.before-journal");
        self.journal.note_durably(&Record::Ended { key: key.to_owned(), state: State::Exited(exit) });
        failpoint!("keeper.end.written");
        self.ready_pair(pair);
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
            let process = Some(Box::new(task.view()));
            self.events.push(Event::Exited { key: key.to_owned(), owner, exit, process });
        }
    }

    /// What of an ended task's tree is still alive; once it was nothing, that is known for good.
    pub(super) fn rest_of(&mut self, key: &str) -> BTreeSet<Identity> {
        let Some(task) = self.tasks.get_mut(key).filter(|task| !task.is_clean) else { return BTreeSet::new() };
        let ended_in = task.ended_in;
        let rest = if task.has_group() {
            if task.group.as_mut().is_some_and(Group::has_vanished) {
                BTreeSet::new()
            } else {
                // twice: one that the kernel listed may have ended before we looked at it, and left a child
                Some(self.members(key)).filter(|rest| !rest.is_empty()).unwrap_or_else(|| self.members(key))
            }
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
        if self.tasks.get(key).is_some_and(|task| task.is_own) && self.has_no_strays(ended_in) {
            return BTreeSet::new();
        }
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

    /// Is every child of ours that lives the leader of a task, or was that so after that turn?
    ///
    /// What loses its parent in the tree of a leader of ours becomes our child, with all below it. So then nothing is left of any tree whose leader
    /// has ended, and nobody has to go through all of `/proc`.
    fn has_no_strays(&mut self, ended_in: u64) -> bool {
        if self.no_strays_in.is_some_and(|turn| turn >= ended_in) {
            return true;
        }
        // one that has ended since the list was made may have left us a child that is not in it
        for _ in 0..STRAY_LOOKS {
            let Some(children) = tree::own_children() else { return false };
            let strays: Vec<i32> = children.into_iter().filter(|pid| !self.leaders.contains_key(pid)).collect();
            if strays.is_empty() {
                self.no_strays_in = Some(self.turn);
                return true;
            }
            if strays.iter().any(|pid| tree::is_living(*pid)) {
                return false;
            }
            for pid in strays {
                // a zombie, and no leader: nobody asks how it ended
                let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
            }
        }
        false
    }

    /// Removes cgroups now, or as soon as the kernel lets go of them.
    pub(super) fn discard_group(&mut self, group: Option<Group>) {
        if let Some(group) = group.filter(|group| !group.remove()) {
            self.litter.push(group);
        }
    }
}

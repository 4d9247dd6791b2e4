//! How processes end, and how the keeper learns of it.

use rustix::process::{WaitOptions, WaitStatus, wait};

use super::Keeper;
use crate::cgroup::Group;
use crate::clock;
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
        let (code, signal) = signal::ending(status);
        self.leader_ended(key, code, signal);
    }

    /// A pidfd became readable: an adopted leader has ended, and only its own parent was told how.
    pub(super) fn adopted_ended(&mut self, watch: u64) {
        if let Some(key) = self.watches.remove(&watch) {
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
        let (owner, tag) = (task.intent.owner.clone(), task.tag());
        self.journal.note_durably(&Record::Ended { key: key.to_owned(), state: State::Exited(exit.clone()) });
        self.events.push(Event::Exited { key: key.to_owned(), owner, exit });
        self.ready_pipes_of(&tag);
        self.look_at_stop(key);
    }

    /// How many processes of an ended task are still alive.
    ///
    /// Two looks, because a process that forks and ends while `/proc` is being read may hide its child from one.
    pub(super) fn rest_of(&mut self, key: &str) -> usize {
        if self.tasks.get(key).is_none_or(|task| task.is_clean) {
            return 0;
        }
        for _ in 0..2 {
            let rest = self.members(key).len();
            if rest > 0 {
                return rest;
            }
            self.snapshot = None;
        }
        if let Some(task) = self.tasks.get_mut(key) {
            task.is_clean = true;
        }
        0
    }

    /// Removes cgroups now, or as soon as the kernel lets go of them.
    pub(super) fn discard_group(&mut self, group: Option<Group>) {
        if let Some(group) = group.filter(|group| !group.remove()) {
            self.litter.push(group);
        }
    }
}

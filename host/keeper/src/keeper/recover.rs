//! A new keeper takes over what an earlier one held.

use std::collections::{BTreeMap, BTreeSet};

use hostler_failpoint::failpoint;
use rustix::event::epoll::EventFlags;

use super::pipes_place::OWNER;
use super::{Error, Keeper, Timer, token};
use crate::clock;
use crate::identity::Identity;
use crate::journal::Record;
use crate::pipes;
use crate::protocol::{Origin, State};
use crate::signal;
use crate::task::{self, Parentage, Phase, Stop, Task};

const LOST: &str = "the keeper was lost while it ran, and it does not run any more; nobody saw how it ended";
const REBOOTED: &str = "the machine was restarted while it ran";
const LOST_AT_START: &str = "the keeper was lost while it was being started, and it does not run";
const ADOPTED: &str = "the keeper was restarted while it ran; how it ends will not be known";

impl Keeper {
    /// Rebuilds from the journal what the last keeper believed.
    pub(super) fn replay(&mut self, records: Vec<Record>) {
        let mut tasks: BTreeMap<String, Task> = BTreeMap::new();
        for record in records {
            match record {
                Record::Intent(intent) => {
                    self.next_run = self.next_run.max(intent.run + 1);
                    tasks.insert(intent.key.clone(), Task::intended(intent));
                }
                Record::Started { key, identity, at, notes } => {
                    if let Some(task) = tasks.get_mut(&key) {
                        (task.identity, task.started_at, task.notes, task.state) = (Some(identity), at, notes, State::Running);
                    }
                }
                Record::Stopping { key, signal, deadline, boot_id } => {
                    if let Some(task) = tasks.get_mut(&key).filter(|_| boot_id == self.boot_id) {
                        task.stop = signal::by_name(&signal).map(|signal| Stop::resumed(signal, deadline));
                    }
                }
                Record::Ended { key, state } => {
                    if let Some(task) = tasks.get_mut(&key) {
                        task.state = state;
                    }
                }
                Record::Gone { key } => drop(tasks.remove(&key)),
            }
        }
        self.tasks = tasks;
    }

    /// Compares it with what is there: adopts what lives, and says of the rest what is known.
    pub(super) fn recover(&mut self) -> Result<(), Error> {
        let keys: Vec<String> = self.tasks.keys().cloned().collect();
        let kept: BTreeSet<String> = self.tasks.values().map(Task::tag).collect();
        self.reopen_pipes();
        failpoint!("keeper.adopt.pipes-open");
        for key in &keys {
            self.take_over(key)?;
        }
        self.cgroups.sweep(&kept);
        failpoint!("keeper.adopt.groups-swept");
        let now = clock::boot_ms();
        for (key, task) in &mut self.tasks {
            if let Some(stop) = &mut task.stop {
                stop.next_look = now;
                self.timers.insert((now, Timer::Stop(key.clone())));
            }
        }
        for key in &keys {
            // also of one that was lost: its leader ended unseen, and may have left others behind
            if self.tasks.get(key).is_some_and(|task| !task.is_running() && task.stop.is_none()) {
                self.sweep(key);
            }
        }
        if self.journal.wants_compaction() {
            self.compact();
        }
        Ok(())
    }

    fn take_over(&mut self, key: &str) -> Result<(), Error> {
        let Some(task) = self.tasks.get(key) else { return Ok(()) };
        let tag = task.tag();
        let is_open = task.is_running() || task.identity.is_none() && matches!(task.state, State::Unknown(_));
        if task.intent.boot_id != self.boot_id {
            // whatever it was, the kernel that ran it is gone, and with it the whole tree
            if is_open {
                self.lose(key, REBOOTED);
            }
            if let Some(task) = self.tasks.get_mut(key) {
                task.is_clean = true;
                task.stop = None;
            }
            return Ok(());
        }
        let group = self.cgroups.existing(&tag);
        if let Some(task) = self.tasks.get_mut(key) {
            task.group = group;
        }
        if is_open { self.adopt(key) } else { Ok(()) }
    }

    /// Watches a process that lives and is the very one; never touches one that only has its pid.
    fn adopt(&mut self, key: &str) -> Result<(), Error> {
        let Some(task) = self.tasks.get(key) else { return Ok(()) };
        let recorded = task.identity;
        let marker = task::marker(self.journal.instance(), &task.intent);
        let found = recorded.or_else(|| self.look().leader_with(&marker));
        let Some((identity, pidfd)) = found.and_then(|identity| Some((identity, identity.open()?))) else {
            self.lose(key, if recorded.is_some() { LOST } else { LOST_AT_START });
            return Ok(());
        };
        failpoint!("keeper.adopt.found");
        let watch = self.new_id();
        self.watch(&pidfd, token::WATCH | watch, EventFlags::IN).map_err(Error::system("epoll"))?;
        self.watches.insert(watch, key.to_owned());
        if let Some(task) = self.tasks.get_mut(key) {
            task.identity = Some(identity);
            task.state = State::Running;
            task.parentage = Parentage::Adopted { _pidfd: pidfd };
            task.notes.retain(|note| note != ADOPTED);
            task.notes.push(ADOPTED.to_owned());
        }
        if recorded.is_none() {
            self.note_started(key, identity);
        }
        Ok(())
    }

    fn note_started(&mut self, key: &str, identity: Identity) {
        let Some(task) = self.tasks.get(key) else { return };
        failpoint!("keeper.adopt.unwritten-one");
        let record = Record::Started { key: key.to_owned(), identity, at: task.started_at, notes: task.notes.clone() };
        self.journal.note(&record);
    }

    fn lose(&mut self, key: &str, why: &str) {
        let state = State::Unknown(why.to_owned());
        if let Some(task) = self.tasks.get_mut(key) {
            task.state = state.clone();
        }
        failpoint!("keeper.adopt.lost-one");
        self.journal.note(&Record::Ended { key: key.to_owned(), state });
        failpoint!("keeper.adopt.lost-one-written");
    }

    /// What was written while there was no keeper waits in the pipes. A pair belongs to the last run that it was given to.
    fn reopen_pipes(&mut self) {
        let mut owners: BTreeMap<u64, (u64, String)> = BTreeMap::new();
        for intent in self.tasks.values().map(|task| &task.intent).filter(|intent| intent.boot_id == self.boot_id) {
            let owner = owners.entry(intent.pipes).or_default();
            if owner.0 <= intent.run {
                *owner = (intent.run, intent.log_name.clone());
            }
        }
        self.remove_strange_pipes(&owners.keys().copied().collect());
        for (pair, (_, log_name)) in owners {
            for origin in [Origin::Out, Origin::Err] {
                // what is not there was never made
                let Ok(fd) = pipes::open(&self.pipes_dir, &pipes::name(pair, origin)) else { continue };
                match self.add_pipe(fd, origin, &log_name, pair) {
                    Ok(id) => self.pipe_is_ready(id, false),
                    Err(error) => eprintln!("hostler keeper: log {log_name}: {error}"),
                }
            }
        }
    }

    /// What belongs to no task may still be held by something that got away, and is not used again.
    fn remove_strange_pipes(&self, kept: &BTreeSet<u64>) {
        let names = std::fs::read_dir(&self.pipes_path).into_iter().flatten().flatten();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name != OWNER) {
            let pair = name.split('.').next().and_then(|pair| pair.parse().ok());
            if !pair.is_some_and(|pair| kept.contains(&pair)) {
                pipes::remove(&self.pipes_dir, &name);
            }
        }
    }
}

impl Stop {
    /// As an earlier keeper left it: signalled, with what is left of its grace.
    fn resumed(signal: rustix::process::Signal, deadline: u64) -> Stop {
        Stop { signal, deadline, phase: Phase::LeaderWarned, next_look: 0, pause_ms: 2, waiters: Vec::new() }
    }
}

//! What the keeper holds in memory for one key.

use std::collections::BTreeSet;

use rustix::fd::OwnedFd;
use rustix::process::Signal;

use crate::cgroup::Group;
use crate::identity::Identity;
use crate::journal::{Intent, Record};
use crate::protocol::{Process, State};
use crate::tree::{self, Family, Snapshot};

/// One key, from its spawn until it is forgotten.
pub(crate) struct Task {
    pub(crate) intent: Intent,
    pub(crate) identity: Option<Identity>,
    pub(crate) started_at: u64,
    pub(crate) notes: Vec<String>,
    pub(crate) state: State,
    pub(crate) parentage: Parentage,
    pub(crate) group: Option<Group>,
    pub(crate) stop: Option<Stop>,
    /// The turn in which the leader's end was heard; 0 when an earlier keeper heard it.
    pub(crate) ended_in: u64,
    /// Started by this keeper, and by no earlier one: then all that came from it does not leave our own descendants.
    pub(crate) is_own: bool,
    /// The leader has ended and nothing of its tree was alive after that, so nothing ever can be.
    pub(crate) is_clean: bool,
    /// Its end was told. Until nothing of its tree is alive it counts as running.
    pub(crate) is_announced: bool,
    /// Members that outlived their leader or were seen during a stop.
    pub(crate) known: BTreeSet<Identity>,
    /// Highest processor time measured: what a member used that has since ended must not be forgotten.
    pub(crate) cpu_nanos: u64,
}

/// How the keeper learns of the leader's end.
pub(crate) enum Parentage {
    /// It is our child: its pidfd, watched under that number for as long as it is held here, tells that it ended, and `wait` tells how. Until it is
    /// waited for, its pid is its own.
    Ours { watch: u64, _pidfd: OwnedFd },
    /// An earlier keeper's child: its pidfd tells that it ended, nobody how.
    Adopted { _pidfd: OwnedFd },
    /// It has ended.
    Over,
}

/// A stop that runs.
pub(crate) struct Stop {
    pub(crate) signal: Signal,
    /// When what is left is killed; milliseconds since boot.
    pub(crate) deadline: u64,
    pub(crate) phase: Phase,
    /// When to look again; milliseconds since boot.
    pub(crate) next_look: u64,
    pub(crate) pause_ms: u64,
    /// Whom to answer: connection and request.
    pub(crate) waiters: Vec<(u64, u64)>,
}

/// How far a stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The group was signalled; the leader has not ended.
    LeaderWarned,
    /// The leader has ended, and what is left was signalled too.
    RestWarned,
    /// The grace is over.
    Killing,
}

impl Task {
    /// Before anything runs.
    pub(crate) fn intended(intent: Intent) -> Task {
        Task {
            started_at: intent.at,
            intent,
            identity: None,
            notes: Vec::new(),
            state: State::Unknown("the keeper was lost while it was being started".into()),
            parentage: Parentage::Over,
            group: None,
            stop: None,
            ended_in: 0,
            is_own: false,
            is_clean: false,
            is_announced: false,
            known: BTreeSet::new(),
            cpu_nanos: 0,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// An end counts once nothing of the tree is alive, whether it was seen or not.
    fn shown_state(&self) -> State {
        match &self.state {
            State::Exited(_) | State::Unknown(_) if !self.is_announced => State::Running,
            state => state.clone(),
        }
    }

    /// Names this run of the key; also of its pipes and cgroups.
    pub(crate) fn tag(&self) -> String {
        tag(&self.intent)
    }

    /// Does the kernel know its members?
    pub(crate) fn has_group(&self) -> bool {
        self.group.as_ref().is_some_and(Group::has_members)
    }

    /// As clients see it.
    pub(crate) fn view(&self) -> Process {
        Process {
            key: self.intent.key.clone(),
            owner: self.intent.owner.clone(),
            pid: self.identity.and_then(|identity| u32::try_from(identity.pid).ok()),
            started_at: self.started_at,
            state: self.shown_state(),
            log_name: self.intent.log_name.clone(),
            notes: self.notes.clone(),
            labels: self.intent.labels.clone(),
        }
    }

    /// What a journal needs to hold to bring it back.
    pub(crate) fn records(&self, boot_id: &str) -> Vec<Record> {
        let key = || self.intent.key.clone();
        let mut records = vec![Record::Intent(self.intent.clone())];
        if let Some(identity) = self.identity {
            records.push(Record::Started { key: key(), identity, at: self.started_at, notes: self.notes.clone() });
        }
        if let Some(stop) = &self.stop {
            let signal = crate::signal::name(stop.signal.as_raw());
            records.push(Record::Stopping { key: key(), signal, deadline: stop.deadline, boot_id: boot_id.to_owned() });
        }
        if !self.is_running() {
            records.push(Record::Ended { key: key(), state: self.state.clone() });
        }
        records
    }

    /// The living members of its tree, by its cgroup; without one, by the snapshot.
    pub(crate) fn members(&self, instance: &str, snapshot: Option<&Snapshot>) -> BTreeSet<Identity> {
        let Some(snapshot) = snapshot else {
            let Some(group) = &self.group else { return BTreeSet::new() };
            let mut members = tree::living(group.pids());
            // a leader that another program moved elsewhere is still the leader
            members.extend(self.identity.filter(|_| self.is_running()));
            return members;
        };
        let marker = marker(instance, &self.intent);
        snapshot.members(&Family { leader: self.identity, marker: &marker, known: &self.known })
    }
}

/// Names one run of a key.
pub(crate) fn tag(intent: &Intent) -> String {
    format!("{}-{}", intent.run, intent.key)
}

/// What marks the processes of one run in their environment: no other keeper's and no other run's look the same.
pub(crate) fn marker(instance: &str, intent: &Intent) -> String {
    format!("{instance}/{}", tag(intent))
}

//! What was told to whom, and what must therefore be on the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_store::{Event, Op, Txn};

/// What somebody was told at a place of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A transaction is durable with this revision.
    Committed(u64),
    /// The lease is as this step of its life left it.
    Lease(usize),
    /// Events before this number were compacted away: they stay so.
    Compacted(u64),
    /// A snapshot that holds at least this revision is under its name.
    Snapshot(u64),
}

/// A committed transaction.
#[derive(Clone, Debug)]
pub struct Commit {
    /// What was asked; it has an idempotency key.
    pub txn: Txn,
    /// Its revision.
    pub revision: u64,
    /// The number of its first event.
    pub first_event: Option<u64>,
}

/// A step in the life of the one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseStep {
    /// How often it was granted.
    pub epoch: u64,
    /// Until when it is held; none: nobody has it. No two steps have the same.
    pub expires_ms: Option<u64>,
}

/// All that was ever committed, with the states it led through.
#[derive(Debug)]
pub struct History {
    commits: Vec<Commit>,
    states: Vec<State>,
    /// In the order of their numbers, as if none was ever compacted.
    pub events: Vec<Event>,
    /// The lease's life, from its absence on.
    pub lease: Vec<LeaseStep>,
    /// What every compaction keeps.
    pub events_kept: u64,
}

/// What the store holds after a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Value and revision by key.
    pub entries: BTreeMap<String, (Arc<[u8]>, u64)>,
    /// The newest event.
    pub last_event: u64,
    /// The latest grant of the lease that a transaction up to here relied on.
    pub epoch: u64,
}

/// What was promised up to a place of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Promise {
    /// At least this revision is there.
    pub revision: u64,
    /// At least this step of the lease.
    pub lease: usize,
    /// No event before this one.
    pub compacted: u64,
    /// A snapshot with at least this revision is there.
    pub snapshot: Option<u64>,
}

impl History {
    /// Puts commits, in any order, into theirs.
    ///
    /// # Errors
    /// When revisions or events have gaps or are given twice: nothing was cut yet, and the store is wrong all the same.
    pub fn new(mut commits: Vec<Commit>, lease: Vec<LeaseStep>, events_kept: u64) -> Result<Self, String> {
        commits.sort_by_key(|commit| commit.revision);
        let mut history = Self { commits: Vec::new(), states: vec![State::default()], events: Vec::new(), lease, events_kept };
        for commit in commits {
            history.push(commit)?;
        }
        Ok(history)
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.commits.last().map_or(0, |commit| commit.revision)
    }

    /// The state after a revision.
    pub fn state(&self, revision: u64) -> Option<&State> {
        self.states.get(usize::try_from(revision).ok()?)
    }

    /// The transaction of a revision.
    pub fn commit(&self, revision: u64) -> Option<&Commit> {
        self.commits.get(usize::try_from(revision).ok()?.checked_sub(1)?)
    }

    fn push(&mut self, commit: Commit) -> Result<(), String> {
        let before = self.states.last().expect("it begins with one");
        let (revision, first_event) = (self.revision() + 1, (!commit.txn.events.is_empty()).then_some(before.last_event + 1));
        if (commit.revision, commit.first_event) != (revision, first_event) {
            return Err(format!("revision {revision} with event {first_event:?} was due, and {commit:?} was told"));
        }
        let mut state = before.clone();
        for op in &commit.txn.ops {
            match op {
                Op::Put { key, value } => drop(state.entries.insert(key.clone(), (value.as_slice().into(), revision))),
                Op::Delete { key } => drop(state.entries.remove(key)),
            }
        }
        for event in commit.txn.events.iter().cloned() {
            state.last_event += 1;
            let (seq, kind, subject, at_unix_ms, data) = (state.last_event, event.kind, event.subject, event.at_unix_ms, event.data);
            self.events.push(Event { seq, revision, kind, subject, at_unix_ms, data });
        }
        state.epoch = commit.txn.fence.as_ref().map_or(state.epoch, |fence| fence.epoch);
        self.states.push(state);
        self.commits.push(commit);
        Ok(())
    }
}

impl Promise {
    /// Adds what was told.
    pub fn hear(&mut self, note: Note) {
        match note {
            Note::Committed(revision) => self.revision = self.revision.max(revision),
            Note::Lease(step) => self.lease = self.lease.max(step),
            Note::Compacted(first) => self.compacted = self.compacted.max(first),
            Note::Snapshot(revision) => self.snapshot = self.snapshot.max(Some(revision)),
        }
    }
}

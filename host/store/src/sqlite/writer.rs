//! The writer thread: everything that is queued becomes one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::Connection;

use super::apply::{Tally, apply, compact, count_replies, save_counters};
use super::fault::{fault, is_failed_sync};
use super::open::Opened;
use super::{leases, read, snapshot};
use crate::StoreError;
use crate::contract::{Lease, LeaseAnswer, Retention};
use crate::txn::{Outcome, Txn};
use crate::watch::{Change, Hub, Start, Watch};

/// How many jobs share one commit at most.
const GROUP: usize = 1024;

/// What the writer is asked.
pub(super) enum Request {
    /// Joins the next group.
    Write(Box<Job>),
    /// Starts a watch between two groups.
    Watch { prefix: String, after_revision: u64, reply: super::Reply<Watch> },
    /// Replaces everything by a checked snapshot.
    Restore { file: PathBuf, reply: super::Reply<()> },
}

/// A write and who wants to know.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) done: Done,
}

pub(super) type Done = super::Reply<Answer>;

pub(super) enum Write {
    Txn(Txn),
    Acquire { name: String, holder: String, ttl_ms: u64, now_ms: u64 },
    Renew { lease: Lease, ttl_ms: u64, now_ms: u64 },
    Release { lease: Lease },
    Compact(Retention),
}

pub(super) enum Answer {
    Txn(Outcome),
    Lease(LeaseAnswer),
    Released(bool),
    Compacted,
}

/// The writing connection and all that goes with it.
pub(super) struct Writer {
    path: PathBuf,
    opened: Opened,
    tally: Tally,
    hub: Hub,
    /// A sync failed: nothing may be written any more.
    gave_up: bool,
}

/// The answers of a group, and what its watchers will see.
struct Group {
    answers: Vec<Answer>,
    told: Vec<(u64, Vec<Change>)>,
    tally: Tally,
}

impl Writer {
    pub(super) fn new(path: PathBuf, opened: Opened) -> Result<Self, StoreError> {
        let tally = tally(&opened.connection).map_err(|error| fault(&path, "reading", error))?;
        Ok(Self { path, opened, tally, hub: Hub::default(), gave_up: false })
    }

    /// Works until the store is dropped and its queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        let mut group: Vec<Job> = Vec::new();
        while let Ok(first) = queue.recv() {
            for request in std::iter::once(first).chain(std::iter::from_fn(|| queue.try_recv().ok())) {
                match request {
                    Request::Write(job) => group.push(*job),
                    other => {
                        self.commit(std::mem::take(&mut group));
                        self.serve(other);
                    }
                }
                if group.len() == GROUP {
                    self.commit(std::mem::take(&mut group));
                }
            }
            self.commit(std::mem::take(&mut group));
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Write(job) => self.commit(vec![*job]),
            Request::Watch { prefix, after_revision, reply } => {
                let watch = self.watch(&prefix, after_revision).map_err(|error| fault(&self.path, "reading", error));
                tell(reply, watch);
            }
            Request::Restore { file, reply } => {
                let restored = self.restore(&file);
                tell(reply, restored);
            }
        }
    }

    fn watch(&mut self, prefix: &str, after_revision: u64) -> rusqlite::Result<Watch> {
        let counters = self.tally.counters;
        let start = Start::new(after_revision, counters.watch_floor, counters.revision);
        let replay = read::replay(&self.opened.connection, prefix, &start)?;
        Ok(self.hub.watch(prefix, &start, replay))
    }

    fn restore(&mut self, file: &Path) -> Result<(), StoreError> {
        if self.gave_up {
            return Err(StoreError::Closed);
        }
        let restored = snapshot::restore(&self.opened.connection, &self.tally, file);
        self.tally = restored.map_err(|error| self.failed(error))?;
        self.hub.end();
        Ok(())
    }

    /// Commits jobs together. When that fails each gets its own chance, so that nobody pays for another's size; but when it
    /// fails so that nobody may write any more, all of them get the reason: what became of them is the same.
    fn commit(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        match self.attempt(&jobs) {
            Ok(group) => self.finish(jobs, group),
            Err(error) if jobs.len() == 1 || self.gave_up => jobs.into_iter().for_each(|job| tell(job.done, Err(error.clone()))),
            Err(_) => jobs.into_iter().for_each(|job| self.commit(vec![job])),
        }
    }

    fn attempt(&mut self, jobs: &[Job]) -> Result<Group, StoreError> {
        if self.gave_up {
            return Err(StoreError::Closed);
        }
        let connection = &self.opened.connection;
        let group = connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            let group = perform(connection, self.tally, jobs, self.hub.is_watched())?;
            connection.execute_batch("COMMIT")?;
            Ok(group)
        });
        group.map_err(|error| self.failed(error))
    }

    /// Takes back what a failed commit left open.
    fn failed(&mut self, error: rusqlite::Error) -> StoreError {
        let error = fault(&self.path, "writing", error);
        let connection = &self.opened.connection;
        // Some errors, a full disk among them, have rolled back already.
        let open = !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err();
        match tally(connection) {
            Ok(tally) => self.tally = tally,
            Err(_) => self.gave_up = true,
        }
        self.gave_up |= open || is_failed_sync(&error);
        // What could not be taken back may be there when the store is opened anew, and only `Engine` says so.
        if open { StoreError::Engine { path: self.path.clone(), doing: "taking back", source: Arc::new(error) } } else { error }
    }

    /// The commit is durable: now it counts, and everybody may know.
    fn finish(&mut self, jobs: Vec<Job>, group: Group) {
        self.tally = group.tally;
        for (revision, changes) in group.told {
            self.hub.publish(revision, &changes);
        }
        for (job, answer) in jobs.into_iter().zip(group.answers) {
            tell(job.done, Ok(answer));
        }
    }
}

fn tally(connection: &Connection) -> rusqlite::Result<Tally> {
    Ok(Tally { counters: read::counters(connection)?, replies: count_replies(connection)? })
}

fn perform(connection: &Connection, mut tally: Tally, jobs: &[Job], watched: bool) -> rusqlite::Result<Group> {
    let before = tally.counters;
    let mut answers = Vec::with_capacity(jobs.len());
    let mut told = Vec::new();
    for job in jobs {
        answers.push(match &job.write {
            Write::Txn(txn) => {
                let applied = apply(connection, &mut tally, txn, watched)?;
                if !applied.changes.is_empty() {
                    told.push((tally.counters.revision, applied.changes));
                }
                Answer::Txn(applied.outcome)
            }
            Write::Acquire { name, holder, ttl_ms, now_ms } => Answer::Lease(leases::acquire(connection, name, holder, *ttl_ms, *now_ms)?),
            Write::Renew { lease, ttl_ms, now_ms } => Answer::Lease(leases::renew(connection, lease, *ttl_ms, *now_ms)?),
            Write::Release { lease } => Answer::Released(leases::release(connection, lease)?),
            Write::Compact(keep) => {
                compact(connection, &mut tally.counters, *keep)?;
                Answer::Compacted
            }
        });
    }
    if tally.counters != before {
        save_counters(connection, &tally.counters)?;
    }
    Ok(Group { answers, told, tally })
}

/// A listener that panics must not take the store with it.
fn tell<T>(reply: super::Reply<T>, result: Result<T, StoreError>) {
    let _listener = catch_unwind(AssertUnwindSafe(|| reply(result)));
}

impl Answer {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Txn(outcome) => outcome,
            Self::Lease(_) | Self::Released(_) | Self::Compacted => panic!("a transaction is answered by its outcome"),
        }
    }

    pub(super) fn lease(self) -> LeaseAnswer {
        match self {
            Self::Lease(answer) => answer,
            Self::Txn(_) | Self::Released(_) | Self::Compacted => panic!("a lease request is answered by a lease"),
        }
    }

    pub(super) fn released(self) -> bool {
        match self {
            Self::Released(released) => released,
            Self::Txn(_) | Self::Lease(_) | Self::Compacted => panic!("a release is answered by a yes or no"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Options, open};
    use std::sync::mpsc;

    /// A disk that fails at a sync cannot be had in a test; a store whose counters are gone gives up in the same way.
    #[test]
    fn a_group_that_ends_all_writing_is_told_why() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("store.db");
        let opened = open::open(&path, Options::default()).unwrap();
        let mut writer = Writer::new(path, opened).unwrap();
        writer.opened.connection.execute_batch("DROP TABLE meta").unwrap();
        let (told, answers) = mpsc::channel();
        let job = |key: &str| {
            let told = told.clone();
            Job { write: Write::Txn(Txn::new().put(key, *b"1")), done: Box::new(move |answer| told.send(answer.map(drop)).unwrap()) }
        };
        writer.commit(vec![job("a"), job("b")]);
        for _ in 0..2 {
            let answer = answers.try_recv().unwrap();
            assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{answer:?}");
        }
        writer.commit(vec![job("c")]);
        assert!(matches!(answers.try_recv().unwrap(), Err(StoreError::Closed)));
    }
}

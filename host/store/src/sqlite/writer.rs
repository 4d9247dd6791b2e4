//! The writer thread: everything that is queued becomes one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use hostler_failpoint::failpoint;
use rusqlite::Connection;

use super::apply::{Tally, apply, compact, count_replies, save_counters};
use super::fault::{fault, is_failed_sync};
use super::open::Opened;
use super::{Reply, read, snapshot};
use crate::StoreError;
use crate::contract::{Retention, Written};
use crate::txn::{Outcome, Txn};
use crate::watch::{Change, Hub, Start, Watch};

/// How many jobs share one commit at most.
const GROUP: usize = 1024;
/// After so many commits the log is moved into the database. SQLite would do it within a commit, for which somebody waits.
const CHECKPOINT: u32 = 200;

/// What the writer is asked.
pub(super) enum Request {
    /// Joins the next group.
    Write(Box<dyn Job>),
    /// Waits until the group before it is committed.
    Alone(Alone),
}

pub(super) enum Alone {
    /// Starts a watch between two groups.
    Watch { prefix: String, after_revision: u64, reply: Reply<Watch> },
    /// Replaces everything by a checked snapshot.
    Restore { file: PathBuf, reply: Reply<()> },
}

/// A write and who wants to know. It may be done more than once: when its group fails, it is taken back and done again alone.
pub(super) trait Job: Send {
    fn perform(&mut self, turn: &mut Turn<'_>) -> rusqlite::Result<()>;
    /// It is committed, and will be synced next; called at most once.
    fn written(&mut self);
    /// What became of it; called once.
    fn tell(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// Who wants to hear when it is written, if the answer is of this kind.
struct Steps<T> {
    written: Written,
    kind: fn(&T) -> bool,
}

/// A job whose work answers with a `T`.
pub(super) struct Asked<T, W> {
    work: W,
    answer: Option<T>,
    steps: Option<Steps<T>>,
    reply: Reply<T>,
}

/// Revisions and what changed with each.
type Told = Vec<(u64, Vec<Change>)>;

/// What the jobs of one group work on, and what they leave for its watchers.
pub(super) struct Turn<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tally: Tally,
    watched: bool,
    told: Told,
}

/// The writing connection and all that goes with it.
pub(super) struct Writer {
    path: PathBuf,
    opened: Opened,
    tally: Tally,
    /// The newest event that is durable.
    last_event: Arc<AtomicU64>,
    hub: Hub,
    /// Commits since the log was last moved into the database.
    commits: u32,
    /// A sync failed: nothing may be written any more.
    gave_up: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf, opened: Opened) -> Result<Self, StoreError> {
        let tally = tally(&opened.connection).map_err(|error| fault(&path, "reading", error))?;
        let last_event = Arc::new(AtomicU64::new(tally.counters.last_event));
        Ok(Self { path, opened, tally, last_event, hub: Hub::default(), commits: 0, gave_up: false })
    }

    /// Follows the number of the newest event that is durable.
    pub(super) fn last_event(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.last_event)
    }

    /// Works until the store is dropped and its queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        while let Ok(first) = queue.recv() {
            for request in std::iter::once(first).chain(std::iter::from_fn(|| queue.try_recv().ok())) {
                match request {
                    Request::Write(job) => group.push(job),
                    Request::Alone(request) => {
                        self.commit(std::mem::take(&mut group));
                        self.serve(request);
                    }
                }
                if group.len() == GROUP {
                    self.commit(std::mem::take(&mut group));
                }
            }
            self.commit(std::mem::take(&mut group));
            self.tidy();
        }
        failpoint!("store.close.drained");
    }

    /// Moves the log into the database now and then, when everybody has an answer. What it cannot move now it moves the next time.
    fn tidy(&mut self) {
        if self.commits < CHECKPOINT || self.gave_up {
            return;
        }
        self.commits = 0;
        if let Err(error) = self.opened.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            let error = fault(&self.path, "tidying", error);
            self.gave_up |= is_failed_sync(&error);
        }
    }

    fn serve(&mut self, request: Alone) {
        match request {
            Alone::Watch { prefix, after_revision, reply } => {
                let watch = self.watch(&prefix, after_revision).map_err(|error| fault(&self.path, "reading", error));
                tell(reply, watch);
            }
            Alone::Restore { file, reply } => {
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
        self.sync()?;
        self.hub.end();
        Ok(())
    }

    /// Commits jobs together. When that fails each gets its own chance, so that nobody pays for another's size; but when it
    /// fails so that nobody may write any more, all of them get the reason: what became of them is the same.
    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        let attempted = self.attempt(&mut jobs).and_then(|told| {
            jobs.iter_mut().for_each(|job| job.written());
            failpoint!("store.write.told-written");
            self.sync()?;
            failpoint!("store.write.synced");
            told.iter().for_each(|(revision, changes)| self.hub.publish(*revision, changes));
            failpoint!("store.write.before-answer");
            Ok(())
        });
        match attempted {
            Ok(()) => jobs.into_iter().for_each(|job| job.tell(Ok(()))),
            Err(error) if jobs.len() == 1 || self.gave_up => jobs.into_iter().for_each(|job| job.tell(Err(error.clone()))),
            Err(_) => jobs.into_iter().for_each(|job| self.commit(vec![job])),
        }
    }

    /// Makes durable what was committed. After a failure nobody knows what is.
    fn sync(&mut self) -> Result<(), StoreError> {
        match self.opened.log.sync(&self.opened.connection) {
            Ok(()) => {
                self.last_event.store(self.tally.counters.last_event, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.gave_up = true;
                // Also when the disk is full: it was committed, so the state is not as before.
                Err(StoreError::Engine { path: self.path.clone(), doing: "syncing", source: Arc::new(error) })
            }
        }
    }

    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Told, StoreError> {
        if self.gave_up {
            return Err(StoreError::Closed);
        }
        let connection = &self.opened.connection;
        let turn = Turn { connection, tally: self.tally, watched: self.hub.is_watched(), told: Vec::new() };
        let (tally, told) = turn.take(jobs).map_err(|error| self.failed(error))?;
        self.tally = tally;
        self.commits += 1;
        Ok(told)
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
}

fn tally(connection: &Connection) -> rusqlite::Result<Tally> {
    Ok(Tally { counters: read::counters(connection)?, replies: count_replies(connection)? })
}

impl Turn<'_> {
    /// Does the jobs in one transaction of the database.
    fn take(mut self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<(Tally, Told)> {
        let before = self.tally.counters;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        failpoint!("store.write.begun");
        jobs.iter_mut().try_for_each(|job| job.perform(&mut self))?;
        if self.tally.counters != before {
            save_counters(self.connection, &self.tally.counters)?;
        }
        failpoint!("store.write.performed");
        self.connection.execute_batch("COMMIT")?;
        failpoint!("store.write.committed");
        Ok((self.tally, self.told))
    }

    pub(super) fn apply(&mut self, txn: &Txn) -> rusqlite::Result<Outcome> {
        let applied = apply(self.connection, &mut self.tally, txn, self.watched)?;
        if !applied.changes.is_empty() {
            self.told.push((self.tally.counters.revision, applied.changes));
        }
        Ok(applied.outcome)
    }

    pub(super) fn compact(&mut self, keep: Retention) -> rusqlite::Result<()> {
        compact(self.connection, &mut self.tally.counters, keep)
    }
}

impl<T, W> Asked<T, W> {
    pub(super) fn new(work: W, reply: Reply<T>) -> Self {
        Self { work, answer: None, steps: None, reply }
    }

    /// Somebody wants to hear, too, when answers of this kind are written.
    pub(super) fn in_steps(self, written: Written, kind: fn(&T) -> bool) -> Self {
        Self { steps: Some(Steps { written, kind }), ..self }
    }
}

impl<T: Send, W: FnMut(&mut Turn<'_>) -> rusqlite::Result<T> + Send> Job for Asked<T, W> {
    fn perform(&mut self, turn: &mut Turn<'_>) -> rusqlite::Result<()> {
        self.answer = Some((self.work)(turn)?);
        Ok(())
    }

    fn written(&mut self) {
        let answer = self.answer.as_ref();
        if let Some(steps) = self.steps.take().filter(|steps| answer.is_some_and(steps.kind)) {
            let _listener = catch_unwind(AssertUnwindSafe(steps.written));
        }
    }

    fn tell(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { answer, reply, .. } = *self;
        tell(reply, outcome.map(|()| answer.expect("a job whose group was committed was performed")));
    }
}

/// A listener that panics must not take the store with it.
fn tell<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    let _listener = catch_unwind(AssertUnwindSafe(|| reply(result)));
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
            let txn = Txn::new().put(key, *b"1");
            let job = Asked::new(move |turn: &mut Turn<'_>| turn.apply(&txn), Box::new(move |answer| told.send(answer.map(drop)).unwrap()));
            Box::new(job) as Box<dyn Job>
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

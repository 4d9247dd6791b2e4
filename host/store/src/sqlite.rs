//! The embedded engine: SQLite with a write-ahead log, synced after every commit.
//!
//! One writer thread owns the writing connection. It takes everything that is queued, makes it one SQLite transaction with
//! one sync (group commit), and only then calls the completions. Reads have a few connections of their own, and
//! never wait for it.

mod apply;
mod fault;
mod leases;
mod open;
mod read;
mod readers;
mod snapshot;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};

use crate::StoreError;
use crate::contract::{Completion, Entry, EventPage, Lease, LeaseAnswer, Retention, Store, Written};
use crate::txn::{Outcome, Txn, check_name};
use crate::watch::Watch;
use readers::Readers;
use writer::{Alone, Asked, Request, Turn, Writer};

/// How many requests may wait for the writer.
const QUEUE: usize = 16_384;

/// The schema this engine writes, kept in `PRAGMA user_version`.
const SCHEMA_VERSION: u32 = 1;

/// `PRAGMA application_id`: "Hstl".
const APPLICATION_ID: u32 = 0x4873_746c;

/// A store in one file, open in one process at a time.
///
/// The file and its companions (`-wal`, `-shm`, and the lock file with the extension `lock`) are only accessible to their
/// owner. Dropping the store finishes what is queued.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    readers: Readers,
    /// The newest event that is durable: newer ones are written, and may still be lost with the machine.
    last_event: Arc<AtomicU64>,
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

/// How to open a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The largest size of the database in pages of 4 KiB; beyond it writes answer [`StoreError::Full`].
    pub max_pages: Option<u32>,
}

impl Sqlite {
    /// Opens the store at `path`, or creates an empty one in an existing directory.
    ///
    /// What is there is checked first. A damaged, foreign or newer file, or a write-ahead log without its database, is
    /// refused and left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default())
    }

    /// Opens the store with options.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let opened = open::open(&path, options)?;
        let writer = Writer::new(path.clone(), opened)?;
        let last_event = writer.last_event();
        let (requests, queue) = mpsc::sync_channel(QUEUE);
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|error| StoreError::io(&path, "starting the writer of", error))?;
        Ok(Self { readers: Readers::new(path.clone()), path, last_event, requests: Some(requests), writer: Some(thread) })
    }

    /// Writes what a snapshot holds into another file, which appears complete or not at all: a store to be opened, and changed before it is
    /// restored. The snapshot stays as it is; what [`Store::restore`] would refuse is refused.
    pub fn copy(snapshot: &Path, to: &Path) -> Result<(), StoreError> {
        open::check_snapshot(snapshot)?;
        snapshot::write(&open::reader(snapshot)?, snapshot, to)
    }

    fn send(&self, request: Request) -> Result<(), (Request, StoreError)> {
        let Some(requests) = &self.requests else {
            return Err((request, StoreError::Closed));
        };
        requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(request) => (request, StoreError::Busy),
            TrySendError::Disconnected(request) => (request, StoreError::Closed),
        })
    }

    /// Asks the writer and waits for its answer.
    fn ask<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (told, answer) = mpsc::sync_channel(1);
        let reply = Box::new(move |result| drop(told.send(result)));
        self.send(request(reply)).map_err(|(_, error)| error)?;
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// A transaction joins the next group.
    fn queue<W: FnMut(&mut Turn<'_>) -> rusqlite::Result<Outcome> + Send + 'static>(&self, job: Asked<Outcome, W>) {
        if let Err((Request::Write(job), error)) = self.send(Request::Write(Box::new(job))) {
            job.tell(Err(error));
        }
    }

    fn write<T: Send + 'static>(&self, work: impl FnMut(&mut Turn<'_>) -> rusqlite::Result<T> + Send + 'static) -> Result<T, StoreError> {
        self.ask(|reply| Request::Write(Box::new(Asked::new(work, reply))))
    }
}

type Reply<T> = Box<dyn FnOnce(Result<T, StoreError>) + Send>;

impl Store for Sqlite {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.readers.with(|connection| read::entry(connection, key))
    }

    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>, StoreError> {
        self.readers.with(|connection| read::range(connection, prefix, after, limit))
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.readers.with(|connection| read::counters(connection).map(|counters| counters.revision))
    }

    fn submit(&self, txn: Txn, done: Completion) {
        if let Err(error) = txn.check() {
            return done(Err(error));
        }
        self.queue(Asked::new(move |turn: &mut Turn<'_>| turn.apply(&txn), done));
    }

    fn submit_in_steps(&self, txn: Txn, written: Written, done: Completion) {
        if let Err(error) = txn.check() {
            return done(Err(error));
        }
        let is_committed = |outcome: &Outcome| matches!(outcome, Outcome::Committed { .. });
        self.queue(Asked::new(move |turn: &mut Turn<'_>| turn.apply(&txn), done).in_steps(written, is_committed));
    }

    fn events(&self, after: u64, limit: usize) -> Result<EventPage, StoreError> {
        let durable = self.last_event.load(Ordering::Acquire);
        self.readers.with(|connection| read::events(connection, after, limit.max(1), durable))
    }

    fn watch(&self, prefix: &str, after_revision: u64) -> Result<Watch, StoreError> {
        // The writer starts it between two commits, so that none is missed or seen twice.
        self.ask(|reply| Request::Alone(Alone::Watch { prefix: prefix.to_owned(), after_revision, reply }))
    }

    fn acquire_lease(&self, name: &str, holder: &str, ttl_ms: u64, now_ms: u64) -> Result<LeaseAnswer, StoreError> {
        check_name("lease", name)?;
        check_name("holder", holder)?;
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.write(move |turn| leases::acquire(turn.connection, &name, &holder, ttl_ms, now_ms))
    }

    fn renew_lease(&self, lease: &Lease, ttl_ms: u64, now_ms: u64) -> Result<LeaseAnswer, StoreError> {
        let lease = lease.clone();
        self.write(move |turn| leases::renew(turn.connection, &lease, ttl_ms, now_ms))
    }

    fn release_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        let lease = lease.clone();
        self.write(move |turn| leases::release(turn.connection, &lease))
    }

    fn snapshot(&self, file: &Path) -> Result<(), StoreError> {
        self.readers.with(|connection| snapshot::write(connection, &self.path, file))
    }

    fn restore(&self, file: &Path) -> Result<(), StoreError> {
        if file.to_str().is_none() {
            return Err(StoreError::Invalid(format!("the name of the snapshot is not UTF-8: {}", file.display())));
        }
        open::check_snapshot(file)?;
        self.ask(|reply| Request::Alone(Alone::Restore { file: file.to_owned(), reply }))
    }

    fn compact(&self, keep: Retention) -> Result<(), StoreError> {
        self.write(move |turn| turn.compact(keep))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.close();
        self.requests = None;
        let writer = self.writer.take().expect("the writer is only taken here");
        // A completion may hold the last reference: the writer cannot wait for itself, and ends when it returns.
        if writer.thread().id() != thread::current().id() {
            let _ended = writer.join();
        }
    }
}

//! What every engine promises.

use std::path::Path;
use std::sync::mpsc;

use serde::{Deserialize, Serialize};

use crate::{Outcome, StoreError, Txn, Watch};

/// Called once with what became of a submitted transaction, on a thread of the engine: be quick, hand over, and do not
/// call the store from here (but for [`Store::submit`]): it would wait for itself.
pub type Completion = Box<dyn FnOnce(Result<Outcome, StoreError>) + Send>;

/// Called at most once, like a [`Completion`] and before it, when a transaction is certain to outlive this process.
pub type Written = Box<dyn FnOnce() + Send>;

/// A store of the host. All calls block until they are answered, except [`Store::submit`].
///
/// An error means that nothing was changed, with one exception: after [`StoreError::Engine`] during a write the outcome is
/// only known once the store was opened anew (repeat the transaction under its idempotency key).
pub trait Store: Send + Sync {
    /// The value of a key; it may be written and not yet synced.
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// At most `limit` entries whose key starts with `prefix`, in key order (by bytes), after the key `after`.
    ///
    /// Page on with the last key of the page; a page shorter than `limit` is the last. Each page is consistent in itself.
    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>, StoreError>;

    /// The revision of the latest commit; 0 for a new store.
    fn revision(&self) -> Result<u64, StoreError>;

    /// Commits, and returns when the outcome is durable.
    fn txn(&self, txn: Txn) -> Result<Outcome, StoreError> {
        let (told, outcome) = mpsc::sync_channel(1);
        // A failed send means that nobody waits any more.
        self.submit(txn, Box::new(move |result| drop(told.send(result))));
        outcome.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Queues a transaction and returns at once; transactions of one thread commit in the order of their submission.
    ///
    /// `done` may be called before this returns. A queue that is full answers [`StoreError::Busy`].
    fn submit(&self, txn: Txn, done: Completion);

    /// As [`Store::submit`], and tells in between that the transaction is committed and written, but not yet synced: from then on the
    /// end of this process cannot undo it, only that of the machine. Should the sync fail, the store gives up: nothing is written any more.
    ///
    /// `written` is dropped uncalled when nothing was committed, and by an engine that knows no such moment, as is the default.
    fn submit_in_steps(&self, txn: Txn, written: Written, done: Completion) {
        drop(written);
        self.submit(txn, done);
    }

    /// At most `limit` (at least one) events after the sequence number `after` (0: from the start). Only durable ones: what was read
    /// once is never taken back.
    fn events(&self, after: u64, limit: usize) -> Result<EventPage, StoreError>;

    /// Every commit under `prefix` after a revision, in commit order: first what already happened (the latest change of
    /// each key), then what happens from now on, with nothing between lost. 0 starts with all that exists.
    fn watch(&self, prefix: &str, after_revision: u64) -> Result<Watch, StoreError>;

    /// Takes a lease that is free, expired, or already `holder`'s own; the epoch rises with every grant.
    ///
    /// `now_ms` must come from one clock that all holders share and that does not start again. The clock only decides when
    /// somebody else may take over; that an old holder changes nothing is the fence's work.
    fn acquire_lease(&self, name: &str, holder: &str, ttl_ms: u64, now_ms: u64) -> Result<LeaseAnswer, StoreError>;

    /// Extends a lease that nobody took over, even if it has expired; the epoch stays.
    fn renew_lease(&self, lease: &Lease, ttl_ms: u64, now_ms: u64) -> Result<LeaseAnswer, StoreError>;

    /// Gives a lease back; false when it was no longer held with that epoch.
    fn release_lease(&self, lease: &Lease) -> Result<bool, StoreError>;

    /// Writes everything into one file, readable by its owner only, which appears complete or not at all.
    fn snapshot(&self, file: &Path) -> Result<(), StoreError>;

    /// Makes entries, events and idempotency keys those of a snapshot of the same engine, as one commit.
    ///
    /// Counters never go back: the revision rises, event numbers are not given twice (a cursor from between is told
    /// `gap`), leases stay as they are and their epochs never fall. Every watch ends.
    fn restore(&self, file: &Path) -> Result<(), StoreError>;

    /// Forgets old events and old deletions.
    fn compact(&self, keep: Retention) -> Result<(), StoreError>;
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Vec<u8>,
    /// The commit that wrote them.
    pub revision: u64,
}

/// Something that happened, with its place in the order of everything that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// The commit that told it.
    pub revision: u64,
    /// What happened.
    pub kind: String,
    /// Whom it happened to.
    pub subject: String,
    /// When, for people.
    pub at_unix_ms: u64,
    /// Everything else, as JSON.
    pub data: String,
}

/// Some events in order, without a gap between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Something between the cursor and this page is not there (compacted, or of another history): look at the state anew.
    pub gap: bool,
    /// Where to go on: the `after` of the next page.
    pub next: u64,
    /// The newest sequence number ever given.
    pub last: u64,
}

/// A right that one holder has at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is a right to.
    pub name: String,
    /// Who has it.
    pub holder: String,
    /// How often it was granted; [`Txn::fenced_by`] takes it.
    pub epoch: u64,
    /// From then on somebody else may take it.
    pub expires_ms: u64,
}

/// What became of a wish for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is the caller's.
    Granted(Lease),
    /// It is not.
    Refused {
        /// Who has it; none when it was released.
        holder: Option<String>,
        /// Until when.
        expires_ms: u64,
    },
}

/// What compaction keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The newest events, by number.
    pub events: u64,
    /// Deletions of the latest revisions, by number of revisions: a watch that starts before them is told `gap`.
    pub deletions: u64,
}

impl EventPage {
    /// The page that stored events make: the first unbroken run after the cursor.
    pub(crate) fn new(after: u64, last: u64, mut events: Vec<Event>) -> Self {
        let run = events.windows(2).position(|pair| pair[1].seq != pair[0].seq + 1);
        events.truncate(run.map_or(events.len(), |index| index + 1));
        let gap = events.first().map_or(after != last, |first| first.seq != after.saturating_add(1));
        #[cfg(feature = "planted")]
        let gap = gap && !crate::planted::is(8);
        let next = events.last().map_or(last, |event| event.seq);
        Self { events, gap, next, last }
    }
}

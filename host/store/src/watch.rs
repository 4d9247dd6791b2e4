//! Seeing commits as they happen.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How many commits a watcher may be behind before it is cut off.
const BACKLOG: usize = 1024;

/// What one commit changed under the watched prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The commit.
    pub revision: u64,
    /// In key order, each key once.
    pub changes: Vec<Change>,
}

/// The latest change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// What it holds; none: it was deleted.
    pub value: Option<Arc<[u8]>>,
}

/// What a watcher sees next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A commit.
    Batch(Batch),
    /// Nothing happened in time.
    Quiet,
    /// The watch is over: the watcher was too slow, the store was restored or closed. Watch again after the last revision
    /// seen.
    Ended,
}

/// Commits under a prefix, in commit order.
#[derive(Debug)]
pub struct Watch {
    gap: bool,
    replay: VecDeque<Batch>,
    live: Receiver<Batch>,
    _alive: Arc<()>,
}

impl Watch {
    /// Deletions since the asked revision may be forgotten: the watch starts with all that exists instead.
    pub fn gap(&self) -> bool {
        self.gap
    }

    /// The next commit, waiting at most `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Next {
        if let Some(batch) = self.replay.pop_front() {
            return Next::Batch(batch);
        }
        match self.live.recv_timeout(timeout) {
            Ok(batch) => Next::Batch(batch),
            Err(RecvTimeoutError::Timeout) => Next::Quiet,
            Err(RecvTimeoutError::Disconnected) => Next::Ended,
        }
    }
}

/// Where a watch begins, seen from what the store still knows.
pub(crate) struct Start {
    pub(crate) after: u64,
    pub(crate) gap: bool,
    /// Whether deletions are part of the replay: not for somebody who knows nothing yet.
    pub(crate) deletions: bool,
}

impl Start {
    /// `floor`: deletions up to this revision are forgotten.
    pub(crate) fn new(after: u64, floor: u64, revision: u64) -> Self {
        let gap = after != 0 && (after < floor || after > revision);
        let after = if gap { 0 } else { after };
        Self { after, gap, deletions: after != 0 }
    }
}

/// All watchers of one store.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    prefix: String,
    sender: SyncSender<Batch>,
    alive: Weak<()>,
}

impl Hub {
    /// Starts a watch; `replay` is what happened before this call.
    pub(crate) fn watch(&mut self, prefix: &str, start: &Start, replay: VecDeque<Batch>) -> Watch {
        self.watchers.retain(|watcher| watcher.alive.strong_count() > 0);
        let (sender, live) = mpsc::sync_channel(BACKLOG);
        let alive = Arc::new(());
        self.watchers.push(Watcher { prefix: prefix.to_owned(), sender, alive: Arc::downgrade(&alive) });
        Watch { gap: start.gap, replay, live, _alive: alive }
    }

    /// Whether anybody would see a change.
    pub(crate) fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// Tells a commit; who does not keep up is cut off.
    pub(crate) fn publish(&mut self, revision: u64, changes: &[Change]) {
        self.watchers.retain(|watcher| watcher.tell(revision, changes));
    }

    /// Ends every watch.
    pub(crate) fn end(&mut self) {
        self.watchers.clear();
    }
}

impl Watcher {
    fn tell(&self, revision: u64, changes: &[Change]) -> bool {
        let changes: Vec<Change> = changes.iter().filter(|change| change.key.starts_with(&self.prefix)).cloned().collect();
        changes.is_empty() || self.sender.try_send(Batch { revision, changes }).is_ok()
    }
}

/// Groups changes that come ordered by revision and key.
pub(crate) fn batches(changes: impl IntoIterator<Item = (u64, Change)>) -> VecDeque<Batch> {
    let mut batches: VecDeque<Batch> = VecDeque::new();
    for (revision, change) in changes {
        match batches.back_mut() {
            Some(batch) if batch.revision == revision => batch.changes.push(change),
            _ => batches.push_back(Batch { revision, changes: vec![change] }),
        }
    }
    batches
}

//! The model: the contract in plain maps, for tests and simulations. Nothing outlives the process but snapshots.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::contract::{Completion, Entry, Event, EventPage, Lease, LeaseAnswer, Retention, Store};
use crate::file::replace_file;
use crate::lease::Held;
use crate::txn::{Fence, Op, Outcome, Txn, check_name, limits};
use crate::watch::{Change, Hub, Start, Watch, batches};

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    hub: Hub,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    revision: u64,
    last_event: u64,
    /// Deletions up to here are forgotten.
    watch_floor: u64,
    entries: BTreeMap<String, Cell>,
    events: BTreeMap<u64, Event>,
    leases: BTreeMap<String, Held>,
    /// By revision, so that the first is the oldest.
    replies: BTreeMap<u64, Reply>,
}

/// A key's latest change; no value: deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cell {
    revision: u64,
    value: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reply {
    key: String,
    first_event: Option<u64>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.lock().state.entries.get(key).and_then(Cell::entry))
    }

    fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let inner = self.lock();
        let under = inner.state.entries.range::<str, _>((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        Ok(under.filter_map(|(key, cell)| Some((key.clone(), cell.entry()?))).take(limit).collect())
    }

    fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.lock().state.revision)
    }

    fn submit(&self, txn: Txn, done: Completion) {
        let outcome = txn.check().map(|()| self.lock().commit(&txn));
        done(outcome);
    }

    fn events(&self, after: u64, limit: usize) -> Result<EventPage, StoreError> {
        let inner = self.lock();
        let later = inner.state.events.range((Bound::Excluded(after), Bound::Unbounded));
        let events = later.take(limit.max(1)).map(|(_, event)| event.clone()).collect();
        Ok(EventPage::new(after, inner.state.last_event, events))
    }

    fn watch(&self, prefix: &str, after_revision: u64) -> Result<Watch, StoreError> {
        let Inner { state, hub } = &mut *self.lock();
        let start = Start::new(after_revision, state.watch_floor, state.revision);
        let mut changes: Vec<(u64, Change)> = state
            .entries
            .iter()
            .filter(|(key, cell)| key.starts_with(prefix) && cell.revision > start.after)
            .filter(|(_, cell)| start.deletions || cell.value.is_some())
            .map(|(key, cell)| (cell.revision, Change { key: key.clone(), value: cell.value.as_deref().map(Arc::from) }))
            .collect();
        changes.sort_by_key(|(revision, _)| *revision);
        Ok(hub.watch(prefix, &start, batches(changes)))
    }

    fn acquire_lease(&self, name: &str, holder: &str, ttl_ms: u64, now_ms: u64) -> Result<LeaseAnswer, StoreError> {
        check_name("lease", name)?;
        check_name("holder", holder)?;
        let leases = &mut self.lock().state.leases;
        let (held, answer) = Held::acquired(leases.get(name), name, holder, ttl_ms, now_ms);
        if let Some(held) = held {
            leases.insert(name.to_owned(), held);
        }
        Ok(answer)
    }

    fn renew_lease(&self, lease: &Lease, ttl_ms: u64, now_ms: u64) -> Result<LeaseAnswer, StoreError> {
        let leases = &mut self.lock().state.leases;
        let (held, answer) = Held::renewed(leases.get(&lease.name), lease, ttl_ms, now_ms);
        if let Some(held) = held {
            leases.insert(lease.name.clone(), held);
        }
        Ok(answer)
    }

    fn release_lease(&self, lease: &Lease) -> Result<bool, StoreError> {
        let leases = &mut self.lock().state.leases;
        let released = Held::released(leases.get(&lease.name), lease);
        Ok(released.map(|held| leases.insert(lease.name.clone(), held)).is_some())
    }

    fn snapshot(&self, file: &Path) -> Result<(), StoreError> {
        let state = self.lock().state.clone();
        let json = serde_json::to_vec(&state).map_err(|error| StoreError::Invalid(error.to_string()))?;
        replace_file(file, |temporary| std::fs::write(temporary, &json).map_err(|error| StoreError::io(temporary, "writing", error)))
    }

    fn restore(&self, file: &Path) -> Result<(), StoreError> {
        let refused = |reason: String| StoreError::Snapshot { path: file.to_owned(), reason };
        let json = std::fs::read(file).map_err(|error| refused(error.to_string()))?;
        let snapshot = serde_json::from_slice(&json).map_err(|error| refused(error.to_string()))?;
        let Inner { state, hub } = &mut *self.lock();
        state.restore(snapshot);
        hub.end();
        Ok(())
    }

    fn compact(&self, keep: Retention) -> Result<(), StoreError> {
        let state = &mut self.lock().state;
        let newest_lost = state.last_event.saturating_sub(keep.events);
        state.events.retain(|seq, _| *seq > newest_lost);
        let floor = state.revision.saturating_sub(keep.deletions);
        state.watch_floor = state.watch_floor.max(floor);
        state.entries.retain(|_, cell| cell.value.is_some() || cell.revision > floor);
        Ok(())
    }
}

impl Inner {
    fn commit(&mut self, txn: &Txn) -> Outcome {
        if let Some(refusal) = self.state.judge(txn) {
            return refusal;
        }
        let (outcome, changed) = self.state.apply(txn);
        if self.hub.is_watched() {
            let changes: Vec<Change> = changed.into_iter().map(|(key, value)| Change { key, value: value.map(Arc::from) }).collect();
            self.hub.publish(self.state.revision, &changes);
        }
        outcome
    }
}

impl State {
    /// The answer when there is nothing to write.
    fn judge(&self, txn: &Txn) -> Option<Outcome> {
        let known = self.replies.iter().find(|(_, reply)| txn.idempotency_key.as_ref() == Some(&reply.key));
        if let Some((revision, reply)) = known {
            return Some(Outcome::Committed { revision: *revision, first_event: reply.first_event });
        }
        if txn.fence.as_ref().is_some_and(|fence| !self.holds(fence)) {
            return Some(Outcome::Fenced);
        }
        let broken = txn.compare.iter().find(|compare| {
            let cell = self.entries.get(&compare.key);
            !compare.expect.holds(cell.and_then(|cell| Some((cell.revision, cell.value.as_deref()?))))
        });
        broken.map(|compare| Outcome::Conflict { key: compare.key.clone() })
    }

    fn holds(&self, fence: &Fence) -> bool {
        self.leases.get(&fence.lease).is_some_and(|held| held.is(fence.epoch))
    }

    fn apply(&mut self, txn: &Txn) -> (Outcome, BTreeMap<String, Option<Vec<u8>>>) {
        self.revision += 1;
        let revision = self.revision;
        let mut changed = BTreeMap::new();
        for op in &txn.ops {
            let (key, value) = match op {
                Op::Put { key, value } => (key, Some(value.clone())),
                Op::Delete { key } if self.entries.get(key).is_none_or(|cell| cell.value.is_none()) => continue,
                Op::Delete { key } => (key, None),
            };
            self.entries.insert(key.clone(), Cell { revision, value: value.clone() });
            changed.insert(key.clone(), value);
        }
        let first_event = (!txn.events.is_empty()).then_some(self.last_event + 1);
        for new in txn.events.iter().cloned() {
            self.last_event += 1;
            let event = Event { seq: self.last_event, revision, kind: new.kind, subject: new.subject, at_unix_ms: new.at_unix_ms, data: new.data };
            self.events.insert(event.seq, event);
        }
        if let Some(key) = txn.idempotency_key.clone() {
            self.replies.insert(revision, Reply { key, first_event });
            if self.replies.len() as u64 > limits::IDEMPOTENCY_KEYS {
                self.replies.pop_first();
            }
        }
        (Outcome::Committed { revision, first_event }, changed)
    }

    fn restore(&mut self, snapshot: State) {
        let mut leases = snapshot.leases;
        leases.values_mut().for_each(|held| held.holder = None);
        for (name, mut held) in std::mem::take(&mut self.leases) {
            held.epoch = held.epoch.max(leases.get(&name).map_or(0, |old| old.epoch));
            leases.insert(name, held);
        }
        let revision = self.revision.max(snapshot.revision) + 1;
        let last_event = self.last_event.max(snapshot.last_event);
        *self = State { revision, last_event, watch_floor: revision, leases, ..snapshot };
    }
}

impl Cell {
    fn entry(&self) -> Option<Entry> {
        Some(Entry { value: self.value.clone()?, revision: self.revision })
    }
}

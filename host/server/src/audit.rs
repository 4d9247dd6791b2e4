//! Who has asked for what, and what became of it: durable, in order, and bounded.
//!
//! An entry is written before its answer goes out, so that what was told to be done stands here, too, when the host is killed a moment later. What
//! was begun and has no end stands here as `cut-off`. What one caller is refused too fast is counted, and written as one entry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostler_api::{AuditEntry, AuditPage, AuditQuery, Failure, Shape};
use hostler_store::{Store, StoreError, Txn};
use tokio::sync::mpsc;

use crate::HostError;
use crate::bucket::{Bucket, Rate};
use crate::change::unreadable;
use crate::ledger;

const PREFIX: &str = "audit/";
/// Under `meta/`: the newest number.
const LAST: &str = "audit";
/// Older ones go as new ones come.
const KEPT: u64 = 50_000;
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;
/// Refusals of one caller that are written down one by one.
const REFUSALS: Rate = Rate { per_second: 2.0, at_once: 20.0 };
/// Callers whose refusals are counted at a time; those of more are written as they come.
const FLOODS: usize = 4_096;
/// How often what was counted is written.
const SUM_UP: Duration = Duration::from_secs(5);
/// How long an answer waits for its entry; a disk that hangs is no reason to say nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The audit log.
pub(crate) struct Audit {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

struct State {
    last: u64,
    /// By caller and place.
    floods: BTreeMap<(String, String), Flood>,
}

struct Flood {
    bucket: Bucket,
    /// The newest that was not written, and how many there are.
    held: Option<AuditEntry>,
    count: u64,
}

/// Resolves when an entry is written.
pub(crate) struct Written(mpsc::UnboundedReceiver<()>);

impl Written {
    /// Waits, but not for ever.
    pub(crate) async fn wait(mut self) {
        if tokio::time::timeout(PATIENCE, self.0.recv()).await.is_err() {
            tracing::error!("an entry of the audit log is not written yet; its answer goes out all the same");
        }
    }
}

impl Audit {
    /// Goes on where the last host ended.
    pub(crate) fn recall(store: Arc<dyn Store>) -> Result<Audit, HostError> {
        let last = ledger::meta(&*store, LAST)?.unwrap_or(0);
        Ok(Audit { store, state: Mutex::new(State { last, floods: BTreeMap::new() }) })
    }

    /// Writes one down.
    pub(crate) fn write(&self, entry: AuditEntry) -> Written {
        let mut state = self.state();
        self.put(&mut state, entry)
    }

    /// Writes down a refusal, or counts it when there are too many from there.
    pub(crate) fn refused(&self, entry: AuditEntry) -> Option<Written> {
        let now = Instant::now();
        let mut state = self.state();
        let whom = (entry.caller.clone(), entry.from.rsplit_once(':').map_or(entry.from.as_str(), |(place, _)| place).to_owned());
        if state.floods.len() >= FLOODS && !state.floods.contains_key(&whom) {
            return Some(self.put(&mut state, entry));
        }
        let flood = state.floods.entry(whom).or_insert_with(|| Flood { bucket: Bucket::full(REFUSALS, now), held: None, count: 0 });
        if flood.bucket.take(REFUSALS, now).is_ok() {
            return Some(self.put(&mut state, entry));
        }
        flood.held = Some(entry);
        flood.count += 1;
        None
    }

    /// Writes what was counted, again and again, for as long as the host lives.
    pub(crate) async fn sum_up_always(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(SUM_UP);
        loop {
            ticks.tick().await;
            self.sum_up();
        }
    }

    /// Writes what was counted until now.
    pub(crate) fn sum_up(&self) {
        let now = Instant::now();
        let mut state = self.state();
        let held: Vec<AuditEntry> = state.floods.values_mut().filter_map(Flood::take).collect();
        for entry in held {
            drop(self.put(&mut state, entry));
        }
        state.floods.retain(|_, flood| !flood.bucket.is_full(REFUSALS, now));
    }

    /// A page of what is kept.
    pub(crate) async fn page(&self, asked: AuditQuery) -> Result<AuditPage, Failure> {
        let (store, after) = (Arc::clone(&self.store), asked.after.unwrap_or(0));
        let limit = asked.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let read = tokio::task::spawn_blocking(move || store.range(PREFIX, Some(&key(after)), limit)).await;
        let found = read.unwrap_or(Err(StoreError::Closed)).map_err(|error| unreadable(&error))?;
        let entries: Vec<AuditEntry> = found.iter().filter_map(|(_, entry)| serde_json::from_slice(&entry.value).ok()).collect();
        let next = entries.last().map_or(after, |entry: &AuditEntry| entry.seq);
        Ok(AuditPage { version: Shape, entries, next, last: self.state().last })
    }

    fn put(&self, state: &mut State, mut entry: AuditEntry) -> Written {
        state.last += 1;
        entry.seq = state.last;
        let mut txn = Txn::new().put(key(entry.seq), ledger::to_json(&entry)).put(format!("meta/{LAST}"), ledger::to_json(&state.last));
        if let Some(old) = entry.seq.checked_sub(KEPT).filter(|old| *old > 0) {
            txn = txn.delete(key(old));
        }
        let (tell, told) = mpsc::unbounded_channel();
        let tell_again = tell.clone();
        let done = Box::new(move |outcome: Result<_, StoreError>| {
            if let Err(error) = outcome {
                // The log of the host has it at least.
                tracing::error!(%error, ?entry, "an entry of the audit log could not be written");
            }
            // Nobody may wait any more.
            tell_again.send(()).ok();
        });
        let written = Box::new(move || {
            tell.send(()).ok();
        });
        self.store.submit_in_steps(txn, written, done);
        Written(told)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flood {
    fn take(&mut self) -> Option<AuditEntry> {
        let entry = self.held.take()?;
        Some(AuditEntry { more: std::mem::take(&mut self.count).saturating_sub(1), ..entry })
    }
}

/// In the order of numbers, as text.
fn key(seq: u64) -> String {
    format!("{PREFIX}{seq:020}")
}

#[cfg(test)]
mod tests {
    use hostler_api::Timestamp;
    use hostler_store::Memory;

    use super::*;

    fn entry(caller: &str) -> AuditEntry {
        AuditEntry {
            seq: 0,
            at: Timestamp(1),
            caller: caller.to_owned(),
            token: None,
            certificate: None,
            from: "127.0.0.1:1".to_owned(),
            method: "GET".to_owned(),
            route: None,
            workspace: None,
            subject: None,
            status: 401,
            code: "unauthenticated".to_owned(),
            more: 0,
        }
    }

    async fn all(audit: &Audit) -> Vec<(u64, String, u64)> {
        let page = audit.page(AuditQuery { limit: Some(1_000), ..AuditQuery::default() }).await.expect("the store works");
        page.entries.into_iter().map(|entry| (entry.seq, entry.caller, entry.more)).collect()
    }

    #[tokio::test]
    async fn numbers_go_on_over_hosts_and_pages() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let audit = Audit::recall(Arc::clone(&store)).expect("an empty store is good");
        for caller in ["a", "b"] {
            audit.write(entry(caller)).wait().await;
        }
        let next = Audit::recall(store).expect("what it wrote");
        next.write(entry("c")).wait().await;
        let page = next.page(AuditQuery { after: Some(1), limit: Some(1) }).await.expect("the store works");
        assert_eq!((page.entries[0].caller.as_str(), page.next, page.last), ("b", 2, 3));
        assert_eq!(next.page(AuditQuery { after: Some(3), limit: None }).await.expect("the store works").entries, []);
    }

    #[tokio::test]
    async fn a_flood_of_refusals_is_counted() {
        let audit = Audit::recall(Arc::new(Memory::new())).expect("an empty store is good");
        for number in 0..1_000 {
            audit.refused(AuditEntry { from: format!("127.0.0.1:{number}"), ..entry("nobody") });
        }
        assert!(audit.refused(entry("somebody-else")).is_some());
        audit.sum_up();
        let found = all(&audit).await;
        assert!(found.len() < 40, "{}", found.len());
        let told: u64 = found.iter().filter(|(_, caller, _)| caller == "nobody").map(|(.., more)| 1 + more).sum();
        assert_eq!(told, 1_000);
    }

    #[tokio::test]
    async fn only_so_many_are_kept() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        store
            .txn(Txn::new().put("meta/audit", ledger::to_json(&KEPT)).put(key(1), ledger::to_json(&AuditEntry { seq: 1, ..entry("old") })))
            .expect("it is new");
        let audit = Audit::recall(store).expect("what was written");
        audit.write(entry("new")).wait().await;
        assert_eq!(all(&audit).await, [(KEPT + 1, "new".to_owned(), 0)]);
    }
}

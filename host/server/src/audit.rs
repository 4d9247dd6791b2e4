//! Who has asked for what, and what became of it: durable, in order, and bounded.
//!
//! An entry is written before its answer goes out, so that what was told to be done stands here, too, when the host is killed a moment later. What
//! was begun and has no end stands here as `cut-off`. What one caller is refused too fast is counted, and written as one entry. Refusals of
//! strangers are kept beside the rest, so that whoever knocks for long enough does not make forgotten what others did.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostler_api::{AuditEntry, AuditPage, AuditQuery, Failure, Shape};
use hostler_store::{Store, StoreError, Txn};
use tokio::sync::mpsc;

use crate::HostError;
use crate::bucket::{Bucket, Rate};
use crate::change::unreadable;
use crate::http::{NOBODY, place};
use crate::ledger;

/// Under `meta/`: the newest number.
const LAST: &str = "audit";
/// Under `meta/`: how many each row has.
const COUNTS: &str = "audit-counts";
/// Where entries are kept, and how many of them: those of whoever was known, and those of nobody that is.
const ROWS: [(&str, u64); 2] = [("audit/", 50_000), ("audit-strangers/", 5_000)];
/// Taken out at a time.
const TRIMMED: u64 = 5_000;
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;
/// Refusals of one caller that are written down one by one.
const REFUSALS: Rate = Rate { per_second: 2.0, at_once: 20.0 };
/// Callers whose refusals are counted at a time; those of more are counted together.
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
    counts: [u64; 2],
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
        let counts = ledger::meta(&*store, COUNTS)?.unwrap_or_default();
        Ok(Audit { store, state: Mutex::new(State { last, counts, floods: BTreeMap::new() }) })
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
        let from = entry.from.parse().map_or_else(|_| entry.from.clone(), |from: SocketAddr| place(from.ip()).to_string());
        let mut whom = (entry.caller.clone(), from);
        if state.floods.len() >= FLOODS && !state.floods.contains_key(&whom) {
            whom = Default::default();
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
            self.trim().await;
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

    /// Takes the oldest out of each row that has more than is kept.
    async fn trim(&self) {
        for (row, (prefix, kept)) in ROWS.into_iter().enumerate() {
            let over = self.state().counts[row].saturating_sub(kept).min(TRIMMED);
            if over == 0 {
                continue;
            }
            let store = Arc::clone(&self.store);
            let read = tokio::task::spawn_blocking(move || store.range(prefix, None, usize::try_from(over).unwrap_or(usize::MAX))).await;
            let oldest = match read.unwrap_or(Err(StoreError::Closed)) {
                Ok(oldest) => oldest,
                Err(error) => return tracing::warn!(%error, "the audit log is longer than it is to be, and cannot be read"),
            };
            let mut state = self.state();
            state.counts[row] -= over;
            let txn = Txn::new().put(format!("meta/{COUNTS}"), ledger::to_json(&state.counts));
            let txn = oldest.into_iter().fold(txn, |txn, (key, _)| txn.delete(key));
            // Where it fails, the store does, and says so to everybody.
            self.store.submit(txn, Box::new(drop));
        }
    }

    /// A page of what is kept.
    pub(crate) async fn page(&self, asked: AuditQuery) -> Result<AuditPage, Failure> {
        let (store, after) = (Arc::clone(&self.store), asked.after.unwrap_or(0));
        let limit = asked.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let both = move || -> Result<Vec<_>, StoreError> {
            let [known, strangers] = ROWS.map(|(prefix, _)| store.range(prefix, Some(&key(prefix, after)), limit));
            Ok(known?.into_iter().chain(strangers?).collect())
        };
        let read = tokio::task::spawn_blocking(both).await;
        let found = read.unwrap_or(Err(StoreError::Closed)).map_err(|error| unreadable(&error))?;
        let mut entries: Vec<AuditEntry> = found.iter().filter_map(|(_, entry)| serde_json::from_slice(&entry.value).ok()).collect();
        entries.sort_by_key(|entry| entry.seq);
        entries.truncate(limit);
        let next = entries.last().map_or(after, |entry: &AuditEntry| entry.seq);
        Ok(AuditPage { version: Shape, entries, next, last: self.state().last })
    }

    fn put(&self, state: &mut State, mut entry: AuditEntry) -> Written {
        let row = usize::from(entry.caller == NOBODY);
        state.last += 1;
        state.counts[row] += 1;
        entry.seq = state.last;
        let txn = Txn::new()
            .put(key(ROWS[row].0, entry.seq), ledger::to_json(&entry))
            .put(format!("meta/{LAST}"), ledger::to_json(&state.last))
            .put(format!("meta/{COUNTS}"), ledger::to_json(&state.counts));
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
fn key(prefix: &str, seq: u64) -> String {
    format!("{prefix}{seq:020}")
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
            audit.refused(AuditEntry { from: format!("127.0.0.1:{number}"), ..entry(NOBODY) });
        }
        assert!(audit.refused(entry("somebody-else")).is_some());
        audit.sum_up();
        let found = all(&audit).await;
        assert!(found.len() < 40, "{}", found.len());
        let told: u64 = found.iter().filter(|(_, caller, _)| caller == NOBODY).map(|(.., more)| 1 + more).sum();
        assert_eq!(told, 1_000);
    }

    #[tokio::test]
    async fn only_so_many_are_kept_and_strangers_push_out_nobody_else() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let audit = Audit::recall(Arc::clone(&store)).expect("an empty store is good");
        for caller in ["old", NOBODY, "new", NOBODY] {
            audit.write(entry(caller)).wait().await;
        }
        let [(_, known), (_, strangers)] = ROWS;
        audit.state().counts = [known + 1, strangers + 1];
        audit.trim().await;
        let told: Vec<String> = all(&audit).await.into_iter().map(|(_, caller, _)| caller).collect();
        assert_eq!(told, ["new", NOBODY], "the oldest of each has gone");
        assert_eq!(Audit::recall(store).expect("what was written").state().counts, [known, strangers]);
    }

    #[tokio::test]
    async fn a_crowd_of_addresses_is_counted_together() {
        let audit = Audit::recall(Arc::new(Memory::new())).expect("an empty store is good");
        for number in 0..20_000_u32 {
            let from = SocketAddr::new(std::net::IpAddr::from(std::net::Ipv4Addr::from(number)), 1);
            audit.refused(AuditEntry { from: from.to_string(), ..entry(NOBODY) });
        }
        audit.refused(AuditEntry { from: "[2001:db8::1]:1".to_owned(), ..entry(NOBODY) });
        audit.sum_up();
        let page = audit.page(AuditQuery { limit: Some(1_000), after: Some(4_096) }).await.expect("the store works");
        assert!(page.entries.len() < 100, "{}", page.entries.len());
    }
}

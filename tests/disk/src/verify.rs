//! An image is opened by the real engine and held against what was promised.

use std::path::Path;

use hostler_store::{Event, Lease, LeaseAnswer, NewEvent, Outcome, Sqlite, Store, StoreError, Txn};
use rusqlite::Connection;

use crate::history::{History, LeaseStep, Promise};

/// The store's file in an image.
pub const STORE: &str = "store.db";
/// The log's file in an image.
pub const LOG: &str = "store.db-wal";
/// The snapshot's file in an image.
pub const SNAPSHOT: &str = "snapshot.db";
/// The one lease's name.
pub const LEASE: &str = "host";

/// Checks everything that is in a directory; what does not hold is the error, in words.
///
/// It writes there, as a host that starts after a power cut would.
///
/// # Errors
/// When a promise is broken.
pub fn verify(directory: &Path, history: &History, promise: &Promise) -> Result<(), String> {
    snapshot(directory, history, promise)?;
    let path = directory.join(STORE);
    let revision = {
        let store = Sqlite::open(&path).map_err(|error| format!("the store does not open: {error}"))?;
        let revision = content(&store, history, promise.revision)?;
        events(&store, history, revision, promise.compacted)?;
        lease(&store, history, revision, promise.lease)?;
        goes_on(&store, history, revision)?
    };
    whole(&path, revision)
}

/// The store's revision, at which all entries are as that revision left them: none of a later transaction, all of earlier ones.
fn content(store: &Sqlite, history: &History, promised: u64) -> Result<u64, String> {
    let revision = store.revision().map_err(says("revision"))?;
    if revision < promised {
        return Err(format!("revision {promised} was acknowledged, and {revision} is the last one there"));
    }
    let state = history.state(revision).ok_or_else(|| format!("revision {revision} was never committed"))?;
    let found = store.range("", None, usize::MAX).map_err(says("range"))?;
    let found = found.iter().map(|(key, entry)| (key, (entry.value.as_slice(), entry.revision)));
    let wanted = state.entries.iter().map(|(key, (value, revision))| (key, (value.as_ref(), *revision)));
    match found.clone().zip(wanted.clone()).find(|(found, wanted)| found != wanted) {
        Some((found, wanted)) => Err(format!("revision {revision} is not as it was committed: {found:?} instead of {wanted:?}")),
        None if found.len() == wanted.len() => Ok(revision),
        None => Err(format!("revision {revision} has {} entries instead of {}", found.len(), wanted.len())),
    }
}

/// Events are those of the revisions that are there, and none is missing but compacted ones at the start.
fn events(store: &Sqlite, history: &History, revision: u64, compacted: u64) -> Result<(), String> {
    let last = history.state(revision).map_or(0, |state| state.last_event);
    let page = store.events(0, usize::MAX).map_err(says("events"))?;
    let first = page.events.first().map_or(last + 1, |event| event.seq);
    if page.last != last || page.next != last {
        return Err(format!("events end at {} of {} instead of {last}", page.next, page.last));
    }
    if first < compacted || (first > 1 && first + history.events_kept > last + 1) {
        return Err(format!("events begin at {first}; {compacted} was told, and {} are always kept of {last}", history.events_kept));
    }
    let span = usize::try_from(first - 1).and_then(|first| Ok(first..usize::try_from(last)?)).map_err(|error| error.to_string())?;
    let wanted: &[Event] = &history.events[span];
    if page.events == wanted { Ok(()) } else { Err(format!("events {first} to {last} are not those that were told")) }
}

/// The lease is as one of its steps left it, not before what was promised and not before what a transaction relied on.
fn lease(store: &Sqlite, history: &History, revision: u64, promised: usize) -> Result<(), String> {
    // A stranger before all times: refused while somebody holds it, and otherwise told how often it was granted.
    let found = match store.acquire_lease(LEASE, "a stranger", 1, 0).map_err(says("lease"))? {
        LeaseAnswer::Refused { holder, expires_ms } => {
            let step = history.lease.iter().position(|step| step.expires_ms == Some(expires_ms));
            let epoch = step.map_or(0, |step| history.lease[step].epoch);
            let held = Lease { name: LEASE.to_owned(), holder: holder.unwrap_or_default(), epoch, expires_ms };
            let renewed = store.renew_lease(&held, 1, expires_ms).map_err(says("lease"))?;
            step.filter(|_| matches!(renewed, LeaseAnswer::Granted(_)))
        }
        LeaseAnswer::Granted(lease) => {
            let nobody = LeaseStep { epoch: lease.epoch - 1, expires_ms: None };
            history.lease.iter().position(|step| *step == nobody)
        }
    };
    let relied_on = history.state(revision).map_or(0, |state| state.epoch);
    match found {
        Some(step) if step >= promised && history.lease[step].epoch >= relied_on => Ok(()),
        Some(step) => Err(format!("the lease is at step {step}; {promised} was told, and revision {revision} relied on epoch {relied_on}")),
        None => Err("the lease is as no step left it".to_owned()),
    }
}

/// The last transaction is known under its idempotency key, and the next one is written; tells its revision.
fn goes_on(store: &Sqlite, history: &History, revision: u64) -> Result<u64, String> {
    if let Some(commit) = history.commit(revision) {
        let again = store.txn(commit.txn.clone()).map_err(says("a repeated transaction"))?;
        let first = Outcome::Committed { revision, first_event: commit.first_event };
        if again != first {
            return Err(format!("repeated, {first:?} is {again:?}"));
        }
    }
    let last = history.state(revision).map_or(0, |state| state.last_event);
    let next = Txn::new().put("after", *b"the cut").emit(NewEvent::new("after", "the cut", 0, "{}"));
    let outcome = store.txn(next).map_err(says("the next transaction"))?;
    let wanted = Outcome::Committed { revision: revision + 1, first_event: Some(last + 1) };
    if outcome == wanted { Ok(revision + 1) } else { Err(format!("the next transaction should be {wanted:?}, and is {outcome:?}")) }
}

/// SQLite's own most thorough check, on the closed store.
fn whole(path: &Path, revision: u64) -> Result<(), String> {
    let ask = |sql| Connection::open(path).and_then(|store| store.query_row(sql, [], |row| row.get::<_, String>(0)));
    let verdict = ask("PRAGMA integrity_check").map_err(|error| format!("integrity_check: {error}"))?;
    let written = ask("SELECT CAST(revision AS TEXT) FROM meta").map_err(|error| format!("closed: {error}"))?;
    if verdict == "ok" && written == revision.to_string() {
        return Ok(());
    }
    Err(format!("closed at revision {revision}, the store has {written}; integrity_check says {verdict}"))
}

/// A snapshot is whole under its name, or not there; one that was acknowledged is there.
fn snapshot(directory: &Path, history: &History, promise: &Promise) -> Result<(), String> {
    let path = directory.join(SNAPSHOT);
    match (path.exists(), promise.snapshot) {
        (false, None) => return Ok(()),
        (false, Some(revision)) => return Err(format!("the acknowledged snapshot of revision {revision} is gone")),
        (true, _) => {}
    }
    let store = Sqlite::open(&path).map_err(|error| format!("the snapshot does not open: {error}"))?;
    content(&store, history, promise.snapshot.unwrap_or(0)).map(drop).map_err(|error| format!("the snapshot: {error}"))
}

fn says(what: &str) -> impl Fn(StoreError) -> String {
    move |error| format!("{what}: {error}")
}

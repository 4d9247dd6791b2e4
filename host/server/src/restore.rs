//! A backup, put back: what the store said then is what is wanted now.

use std::path::Path;

use hostler_store::{Sqlite, Store, StoreError, Txn};

use crate::HostError;
use crate::ledger::{self, LedgerError};
use crate::state_dir::StateDir;

/// How many numbers of lives are passed over: those that were given since the backup was made stand on things that may still be there.
const PASSED_OVER: u64 = 1 << 20;

/// Makes the store of this state directory what a backup says. No host may run there. What runs goes on: the next host takes up what the
/// backup knows of, and shows the rest as strangers. Said again, it does the same again.
///
/// # Errors
/// A host runs there; the file is no backup, and nothing was changed; or the store that is there cannot be opened.
pub fn restore(state_dir: &Path, backup: &Path) -> Result<(), HostError> {
    let dir = StateDir::take(state_dir)?;
    let store = Sqlite::open(dir.path.join("store.db"))?;
    let before = newest_run(&store)?;
    store.restore(backup)?;
    let next = before.max(newest_run(&store)?).saturating_add(PASSED_OVER);
    let passed_over = Txn::new().put("meta/next-run", ledger::to_json(&next)).put("meta/reserve", ledger::to_json(&next));
    store.txn(passed_over).map(drop).map_err(|error: StoreError| error.into())
}

fn newest_run(store: &dyn Store) -> Result<u64, LedgerError> {
    let of = |name| ledger::meta::<u64>(store, name).map(|run| run.unwrap_or(1));
    Ok(of("next-run")?.max(of("reserve")?))
}

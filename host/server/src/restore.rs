//! A backup, put back: what the store said then is what is wanted now.
//!
//! What must not be as it was then is made so in a copy of the backup, and that is put back whole: it is one commit, or none.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_store::{Sqlite, Store, Txn};

use crate::ledger::{self, LedgerError};
use crate::state_dir::StateDir;
use crate::{HostError, alerts, identity, operations};

/// How many numbers of lives are passed over: those that were given since the backup was made stand on things that may still be there.
const PASSED_OVER: u64 = 1 << 20;

/// Makes the store of this state directory what a backup says. No host may run there. What runs goes on: the next host takes up what the
/// backup knows of, and shows the rest as strangers. What was under way then is not begun again, nobody is told again, and tokens that were
/// taken back since stay so. Said again, it does the same again.
///
/// # Errors
/// A host runs there; the file is no backup, and nothing was changed; or the store that is there cannot be opened.
pub fn restore(state_dir: &Path, backup: &Path) -> Result<(), HostError> {
    let dir = StateDir::take(state_dir)?;
    let store = Sqlite::open(dir.path.join("store.db"))?;
    let prepared = Prepared::make(&dir.path.join("cache").join("restore"))?;
    Sqlite::copy(backup, &prepared.store())?;
    let then = Sqlite::open(prepared.store())?;
    then.txn(changes(&store, &then)?)?;
    // It is one file once it is closed.
    drop(then);
    store.restore(&prepared.store()).map_err(HostError::from)
}

/// What is otherwise than the backup says.
fn changes(now: &dyn Store, then: &dyn Store) -> Result<Txn, LedgerError> {
    let next = newest_run(now)?.max(newest_run(then)?).saturating_add(PASSED_OVER);
    let txn = Txn::new().put("meta/next-run", ledger::to_json(&next)).put("meta/reserve", ledger::to_json(&next));
    let txn = operations::restored(txn, then)?;
    let txn = alerts::restored(txn, then)?;
    identity::restored(txn, now, then)
}

fn newest_run(store: &dyn Store) -> Result<u64, LedgerError> {
    let of = |name| ledger::meta::<u64>(store, name).map(|run| run.unwrap_or(1));
    Ok(of("next-run")?.max(of("reserve")?))
}

/// Where the copy is; it goes with this.
struct Prepared(PathBuf);

impl Prepared {
    fn make(path: &Path) -> Result<Prepared, HostError> {
        let prepared = Prepared(path.to_owned());
        // What an interrupted one left.
        prepared.remove();
        fs::create_dir(path).map_err(|error| HostError::state_dir(path, "make", &error))?;
        Ok(prepared)
    }

    fn store(&self) -> PathBuf {
        self.0.join("store.db")
    }

    fn remove(&self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use hostler_api::{OperationOptions, OperationStatus, StartRequest};

    use super::*;

    #[test]
    fn one_commit_has_all_that_is_otherwise_than_the_backup_says() {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let (backup, state) = (dir.path().join("then.db"), dir.path().join("state"));
        let taken = StateDir::take(&state).expect("it is nobody's");
        let store = Sqlite::open(taken.path.join("store.db")).expect("a new one");
        let open = operations::waiting(&StartRequest::default(), &OperationOptions::default());
        let txn = open.into_iter().fold(Txn::new(), |txn, (key, value)| txn.put(key, value)).put("alert-outbox/ops/1", "{}").put("wanted/db", "1");
        store.txn(txn.put("meta/next-run", ledger::to_json(&5))).expect("it is alone");
        store.snapshot(&backup).expect("there is space");
        store.txn(Txn::new().delete("wanted/db").put("meta/next-run", ledger::to_json(&77))).expect("it is alone");
        let before = store.revision().expect("it works");
        drop((store, taken));
        for _ in 0..2 {
            restore(&state, &backup).expect("it is a backup");
        }
        let taken = StateDir::take(&state).expect("it was let go of");
        let store = Sqlite::open(taken.path.join("store.db")).expect("it is sound");
        assert_eq!(store.revision().expect("it works"), before + 2, "a commit each");
        assert!(store.get("wanted/db").expect("it works").is_some());
        assert_eq!(newest_run(&store).expect("numbers"), 77 + 2 * PASSED_OVER);
        for gone in ["operation-tasks/", "alert-outbox/"] {
            assert_eq!(ledger::keys(&store, gone).expect("it works"), Vec::<String>::new());
        }
        assert_eq!(operations::outcomes(&store), [(OperationStatus::Failed, "has failed: the store was restored before it was over".to_owned())]);
        assert!(!taken.path.join("cache/restore").exists());
    }
}

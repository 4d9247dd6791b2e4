//! Snapshots: the whole store as one database file, and back.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::apply::{Tally, count_replies, forget_deletions, save_counters};
use super::fault::fault;
use super::read::{Counters, number};
use crate::StoreError;
use crate::file::{directory, replace_file};

/// Writes a snapshot of the store at `store` into `file`.
pub(super) fn write(connection: &Connection, store: &Path, file: &Path) -> Result<(), StoreError> {
    if is_same(store, file) {
        return Err(StoreError::Invalid(format!("{} is the store itself", file.display())));
    }
    replace_file(file, |temporary| {
        let Some(name) = temporary.to_str() else {
            return Err(StoreError::Invalid(format!("the name of the snapshot is not UTF-8: {}", file.display())));
        };
        connection.execute("VACUUM INTO ?1", [name]).map(drop).map_err(|error| fault(file, "writing", error))
    })
}

/// Replaces what is stored by a snapshot that was checked before.
pub(super) fn restore(connection: &Connection, tally: &Tally, file: &Path) -> Result<Tally, rusqlite::Error> {
    let name = file.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(file.to_owned()))?;
    connection.execute("ATTACH ?1 AS snapshot", [name])?;
    let restored = copy(connection, tally);
    // After a failure the attached file would still be in the way of the next attempt.
    let detached = connection.execute("DETACH snapshot", []);
    let restored = restored?;
    detached?;
    Ok(restored)
}

fn copy(connection: &Connection, tally: &Tally) -> Result<Tally, rusqlite::Error> {
    let transaction = connection.unchecked_transaction()?;
    let snapshot = transaction.query_row("SELECT revision, last_event, digest FROM snapshot.meta WHERE id = 1", [], |row| {
        Ok(Counters { revision: number(row, 0)?, last_event: number(row, 1)?, watch_floor: 0, digest: row.get(2)? })
    })?;
    transaction.execute_batch(
        "DELETE FROM entries; INSERT INTO entries SELECT key, revision, value, digest FROM snapshot.entries;
         DELETE FROM events; INSERT INTO events SELECT seq, revision, kind, subject, at_unix_ms, data FROM snapshot.events;
         DELETE FROM replies; INSERT INTO replies SELECT revision, key, first_event FROM snapshot.replies;
         INSERT INTO leases SELECT name, epoch, NULL, expires_ms FROM snapshot.leases WHERE true
             ON CONFLICT (name) DO UPDATE SET epoch = max(epoch, excluded.epoch);",
    )?;
    let revision = tally.counters.revision.max(snapshot.revision) + 1;
    let last_event = tally.counters.last_event.max(snapshot.last_event);
    let mut counters = Counters { revision, last_event, watch_floor: revision, digest: snapshot.digest };
    // A deletion is only told to watches that began before it, and none of them is left.
    forget_deletions(&transaction, &mut counters, revision)?;
    save_counters(&transaction, &counters)?;
    let restored = Tally { counters, replies: count_replies(&transaction)? };
    transaction.commit()?;
    Ok(restored)
}

fn is_same(store: &Path, file: &Path) -> bool {
    let place = |path: &Path| fs::canonicalize(directory(path)).ok().zip(path.file_name().map(ToOwned::to_owned));
    place(store).is_some_and(|store| place(file) == Some(store))
}

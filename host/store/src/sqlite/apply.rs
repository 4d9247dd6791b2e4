//! One transaction of the contract, inside the SQLite transaction of its group.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_failpoint::failpoint;
use rusqlite::{Connection, OptionalExtension, params};

use super::read::{Counters, digest, number, signed};
use crate::contract::Retention;
use crate::txn::{Compare, Expect, Fence, NewEvent, Op, Outcome, Txn, limits};
use crate::watch::Change;

/// What a group moves besides rows; taken back as a whole when the group fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) counters: Counters,
    /// How many idempotency keys are remembered.
    pub(super) replies: u64,
}

/// What a transaction did.
pub(super) struct Applied {
    pub(super) outcome: Outcome,
    /// In key order; empty when nobody watches.
    pub(super) changes: Vec<Change>,
}

/// Judges first and writes after: what is refused has written nothing, so the group needs no savepoints.
pub(super) fn apply(connection: &Connection, tally: &mut Tally, txn: &Txn, watched: bool) -> rusqlite::Result<Applied> {
    if let Some(outcome) = judge(connection, txn)? {
        return Ok(Applied { outcome, changes: Vec::new() });
    }
    tally.counters.revision += 1;
    let revision = tally.counters.revision;
    let changes = write(connection, &mut tally.counters, &txn.ops, watched)?;
    let first_event = (!txn.events.is_empty()).then_some(tally.counters.last_event + 1);
    for event in &txn.events {
        tally.counters.last_event += 1;
        append(connection, tally.counters.last_event, revision, event)?;
    }
    if let Some(key) = &txn.idempotency_key {
        remember(connection, tally, key, first_event)?;
    }
    Ok(Applied { outcome: Outcome::Committed { revision, first_event }, changes })
}

pub(super) fn save_counters(connection: &Connection, counters: &Counters) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE meta SET revision = ?1, last_event = ?2, watch_floor = ?3, digest = ?4 WHERE id = 1")?;
    statement.execute(params![signed(counters.revision), signed(counters.last_event), signed(counters.watch_floor), counters.digest])?;
    Ok(())
}

pub(super) fn count_replies(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM replies", [], |row| number(row, 0))
}

pub(super) fn compact(connection: &Connection, counters: &mut Counters, keep: Retention) -> rusqlite::Result<()> {
    let newest_lost = counters.last_event.saturating_sub(keep.events);
    connection.execute("DELETE FROM events WHERE seq <= ?1", [signed(newest_lost)])?;
    failpoint!("store.compact.events-dropped");
    let floor = counters.revision.saturating_sub(keep.deletions);
    counters.watch_floor = counters.watch_floor.max(floor);
    forget_deletions(connection, counters, floor)
}

/// Forgets what was deleted up to a revision.
pub(super) fn forget_deletions(connection: &Connection, counters: &mut Counters, floor: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("DELETE FROM entries WHERE value IS NULL AND revision <= ?1 RETURNING digest")?;
    for forgotten in statement.query_map([signed(floor)], |row| row.get::<_, i64>(0))? {
        counters.digest = counters.digest.wrapping_sub(forgotten?);
    }
    Ok(())
}

/// The answer when there is nothing to write.
fn judge(connection: &Connection, txn: &Txn) -> rusqlite::Result<Option<Outcome>> {
    if let Some(key) = &txn.idempotency_key {
        let known = first_outcome(connection, key)?;
        if known.is_some() {
            return Ok(known);
        }
    }
    if let Some(fence) = &txn.fence
        && !is_held(connection, fence)?
    {
        return Ok(Some(Outcome::Fenced));
    }
    for compare in &txn.compare {
        if !holds(connection, compare)? {
            return Ok(Some(Outcome::Conflict { key: compare.key.clone() }));
        }
    }
    Ok(None)
}

fn first_outcome(connection: &Connection, key: &str) -> rusqlite::Result<Option<Outcome>> {
    let mut statement = connection.prepare_cached("SELECT revision, first_event FROM replies WHERE key = ?1")?;
    let outcome = statement.query_row([key], |row| {
        let first_event: Option<i64> = row.get(1)?;
        Ok(Outcome::Committed { revision: number(row, 0)?, first_event: first_event.map(i64::unsigned_abs) })
    });
    outcome.optional()
}

fn is_held(connection: &Connection, fence: &Fence) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM leases WHERE name = ?1 AND epoch = ?2 AND holder IS NOT NULL")?;
    statement.exists(params![fence.lease, signed(fence.epoch)])
}

fn holds(connection: &Connection, compare: &Compare) -> rusqlite::Result<bool> {
    // The value is only read when it is asked for.
    let wants_value = matches!(compare.expect, Expect::Value(_));
    let mut statement = connection.prepare_cached("SELECT revision, iif(?2, value, x'') FROM entries WHERE key = ?1 AND value IS NOT NULL")?;
    let found = statement.query_row(params![compare.key, wants_value], |row| Ok((number(row, 0)?, row.get::<_, Vec<u8>>(1)?)));
    let found = found.optional()?;
    Ok(compare.expect.holds(found.as_ref().map(|(revision, value)| (*revision, value.as_slice()))))
}

fn write(connection: &Connection, counters: &mut Counters, ops: &[Op], watched: bool) -> rusqlite::Result<Vec<Change>> {
    let mut find = connection.prepare_cached("SELECT digest, value IS NOT NULL FROM entries WHERE key = ?1")?;
    let mut put = connection.prepare_cached(
        "INSERT INTO entries (key, revision, value, digest) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE
         SET revision = excluded.revision, value = excluded.value, digest = excluded.digest",
    )?;
    let mut changes: BTreeMap<&String, Option<Arc<[u8]>>> = BTreeMap::new();
    for op in ops {
        let (key, value) = match op {
            Op::Put { key, value } => (key, Some(value.as_slice())),
            Op::Delete { key } => (key, None),
        };
        let found = find.query_row([key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?))).optional()?;
        if value.is_none() && !found.is_some_and(|(_, exists)| exists) {
            continue;
        }
        let new = digest(key, counters.revision, value);
        put.execute(params![key, signed(counters.revision), value, new])?;
        counters.digest = counters.digest.wrapping_sub(found.map_or(0, |(old, _)| old)).wrapping_add(new);
        if watched {
            changes.insert(key, value.map(Arc::from));
        }
    }
    Ok(changes.into_iter().map(|(key, value)| Change { key: key.clone(), value }).collect())
}

fn append(connection: &Connection, seq: u64, revision: u64, event: &NewEvent) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT INTO events (seq, revision, kind, subject, at_unix_ms, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    statement.execute(params![signed(seq), signed(revision), event.kind, event.subject, signed(event.at_unix_ms), event.data])?;
    Ok(())
}

fn remember(connection: &Connection, tally: &mut Tally, key: &str, first_event: Option<u64>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO replies (revision, key, first_event) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![signed(tally.counters.revision), key, first_event.map(signed)])?;
    tally.replies += 1;
    if tally.replies > limits::IDEMPOTENCY_KEYS {
        let mut oldest = connection.prepare_cached("DELETE FROM replies WHERE revision = (SELECT min(revision) FROM replies)")?;
        tally.replies -= oldest.execute([])? as u64;
    }
    Ok(())
}

//! Leases as rows.

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{number, signed};
use crate::contract::{Lease, LeaseAnswer};
use crate::lease::Held;

pub(super) fn acquire(connection: &Connection, name: &str, holder: &str, ttl_ms: u64, now_ms: u64) -> rusqlite::Result<LeaseAnswer> {
    let (held, answer) = Held::acquired(find(connection, name)?.as_ref(), name, holder, ttl_ms, now_ms);
    keep(connection, name, held)?;
    Ok(answer)
}

pub(super) fn renew(connection: &Connection, lease: &Lease, ttl_ms: u64, now_ms: u64) -> rusqlite::Result<LeaseAnswer> {
    let (held, answer) = Held::renewed(find(connection, &lease.name)?.as_ref(), lease, ttl_ms, now_ms);
    keep(connection, &lease.name, held)?;
    Ok(answer)
}

pub(super) fn release(connection: &Connection, lease: &Lease) -> rusqlite::Result<bool> {
    let released = Held::released(find(connection, &lease.name)?.as_ref(), lease);
    let held = released.is_some();
    keep(connection, &lease.name, released)?;
    Ok(held)
}

fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Held>> {
    let mut statement = connection.prepare_cached("SELECT epoch, holder, expires_ms FROM leases WHERE name = ?1")?;
    statement.query_row([name], |row| Ok(Held { epoch: number(row, 0)?, holder: row.get(1)?, expires_ms: number(row, 2)? })).optional()
}

fn keep(connection: &Connection, name: &str, held: Option<Held>) -> rusqlite::Result<()> {
    let Some(held) = held else { return Ok(()) };
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO leases (name, epoch, holder, expires_ms) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![name, signed(held.epoch), held.holder, signed(held.expires_ms)])?;
    Ok(())
}

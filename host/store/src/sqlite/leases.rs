//! Leases as rows.

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{number, signed};
use crate::contract::{Lease, LeaseAnswer, expiry};

struct Held {
    epoch: u64,
    holder: Option<String>,
    expires_ms: u64,
}

pub(super) fn acquire(connection: &Connection, name: &str, holder: &str, ttl_ms: u64, now_ms: u64) -> rusqlite::Result<LeaseAnswer> {
    let held = find(connection, name)?;
    let epoch = match held {
        Some(Held { holder: Some(current), expires_ms, .. }) if current != holder && expires_ms > now_ms => {
            return Ok(LeaseAnswer::Refused { holder: Some(current), expires_ms });
        }
        held => held.map_or(0, |held| held.epoch) + 1,
    };
    let lease = Lease { name: name.to_owned(), holder: holder.to_owned(), epoch, expires_ms: expiry(ttl_ms, now_ms) };
    store(connection, &lease)?;
    Ok(LeaseAnswer::Granted(lease))
}

pub(super) fn renew(connection: &Connection, lease: &Lease, ttl_ms: u64, now_ms: u64) -> rusqlite::Result<LeaseAnswer> {
    match find(connection, &lease.name)? {
        Some(held) if held.is(lease.epoch) => {
            let lease = Lease { expires_ms: expiry(ttl_ms, now_ms), ..lease.clone() };
            let mut extend = connection.prepare_cached("UPDATE leases SET expires_ms = ?2 WHERE name = ?1")?;
            extend.execute(params![lease.name, signed(lease.expires_ms)])?;
            Ok(LeaseAnswer::Granted(lease))
        }
        Some(held) => Ok(LeaseAnswer::Refused { holder: held.holder, expires_ms: held.expires_ms }),
        None => Ok(LeaseAnswer::Refused { holder: None, expires_ms: 0 }),
    }
}

pub(super) fn release(connection: &Connection, lease: &Lease) -> rusqlite::Result<bool> {
    let held = find(connection, &lease.name)?.is_some_and(|held| held.is(lease.epoch));
    if held {
        connection.execute("UPDATE leases SET holder = NULL WHERE name = ?1", [&lease.name])?;
    }
    Ok(held)
}

impl Held {
    fn is(&self, epoch: u64) -> bool {
        self.holder.is_some() && self.epoch == epoch
    }
}

fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Held>> {
    let mut statement = connection.prepare_cached("SELECT epoch, holder, expires_ms FROM leases WHERE name = ?1")?;
    statement.query_row([name], |row| Ok(Held { epoch: number(row, 0)?, holder: row.get(1)?, expires_ms: number(row, 2)? })).optional()
}

fn store(connection: &Connection, lease: &Lease) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO leases (name, epoch, holder, expires_ms) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![lease.name, signed(lease.epoch), lease.holder, signed(lease.expires_ms)])?;
    Ok(())
}

//! Questions, each answered from one consistent view.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::contract::{Entry, Event, EventPage};
use crate::watch::{Batch, Change, Start, batches};

/// The numbers that a commit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) revision: u64,
    pub(super) last_event: u64,
    pub(super) watch_floor: u64,
    /// The sum of all entries' digests.
    pub(super) digest: i64,
}

pub(super) fn counters(connection: &Connection) -> rusqlite::Result<Counters> {
    let mut statement = connection.prepare_cached("SELECT revision, last_event, watch_floor, digest FROM meta WHERE id = 1")?;
    statement.query_row([], |row| {
        Ok(Counters { revision: number(row, 0)?, last_event: number(row, 1)?, watch_floor: number(row, 2)?, digest: row.get(3)? })
    })
}

pub(super) fn entry(connection: &Connection, key: &str) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection.prepare_cached("SELECT key, revision, value, digest FROM entries WHERE key = ?1 AND value IS NOT NULL")?;
    let cell = statement.query_row([key], Cell::read).optional()?;
    Ok(cell.map(|cell| Entry { value: cell.value.unwrap_or_default(), revision: cell.revision }))
}

pub(super) fn range(connection: &Connection, prefix: &str, after: Option<&str>, limit: usize) -> rusqlite::Result<Vec<(String, Entry)>> {
    // `key > ''` holds for every key: keys are not empty.
    let mut statement = connection.prepare_cached(
        "SELECT key, revision, value, digest FROM entries
         WHERE key >= ?1 AND key > ?2 AND key < ?3 AND value IS NOT NULL ORDER BY key LIMIT ?4",
    )?;
    let rows = statement.query_map(params![prefix, after.unwrap_or(""), end_of(prefix), signed(limit as u64)], Cell::read)?;
    rows.map(|cell| cell.map(|cell| (cell.key, Entry { value: cell.value.unwrap_or_default(), revision: cell.revision }))).collect()
}

/// Events up to the number `durable`.
pub(super) fn events(connection: &Connection, after: u64, limit: usize, durable: u64) -> rusqlite::Result<EventPage> {
    // One read transaction: the newest number and the events belong together.
    let view = connection.unchecked_transaction()?;
    let last = counters(&view)?.last_event.min(durable);
    let mut statement =
        view.prepare_cached("SELECT seq, revision, kind, subject, at_unix_ms, data FROM events WHERE seq > ?1 AND seq <= ?3 ORDER BY seq LIMIT ?2")?;
    let rows = statement.query_map(params![signed(after), signed(limit as u64), signed(durable)], event)?;
    Ok(EventPage::new(after, last, rows.collect::<rusqlite::Result<_>>()?))
}

/// What happened under a prefix before a watch begins.
pub(super) fn replay(connection: &Connection, prefix: &str, start: &Start) -> rusqlite::Result<VecDeque<Batch>> {
    let mut statement = connection.prepare_cached(
        "SELECT key, revision, value, digest FROM entries
         WHERE key >= ?1 AND key < ?2 AND revision > ?3 AND (?4 OR value IS NOT NULL) ORDER BY revision, key",
    )?;
    let rows = statement.query_map(params![prefix, end_of(prefix), signed(start.after), start.deletions], Cell::read)?;
    let cells = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(batches(cells.into_iter().map(|cell| (cell.revision, Change { key: cell.key, value: cell.value.map(Arc::from) }))))
}

/// The sum of the digests of what is really there.
pub(super) fn digest_of_all(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare("SELECT key, revision, value, digest FROM entries")?;
    let mut cells = statement.query_map([], Cell::read)?;
    cells.try_fold(0_i64, |sum, cell| Ok(sum.wrapping_add(cell?.digest)))
}

/// What is stored of a key; no value: deleted.
struct Cell {
    key: String,
    revision: u64,
    value: Option<Vec<u8>>,
    digest: i64,
}

impl Cell {
    /// Reads `key, revision, value, digest`, and believes nothing that does not match its digest.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let cell = Self { key: row.get(0)?, revision: number(row, 1)?, value: row.get(2)?, digest: row.get(3)? };
        if digest(&cell.key, cell.revision, cell.value.as_deref()) == cell.digest {
            return Ok(cell);
        }
        Err(rusqlite::Error::FromSqlConversionFailure(3, Type::Integer, "an entry does not match its digest".into()))
    }
}

/// FNV-1a over an entry: it finds damage, not malice.
pub(super) fn digest(key: &str, revision: u64, value: Option<&[u8]>) -> i64 {
    let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
    let head = length.to_le_bytes().into_iter().chain(revision.to_le_bytes()).chain([u8::from(value.is_some())]);
    let bytes = head.chain(key.bytes()).chain(value.unwrap_or_default().iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)).cast_signed()
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        seq: number(row, 0)?,
        revision: number(row, 1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        at_unix_ms: number(row, 4)?,
        data: row.get(5)?,
    })
}

/// A stored number; SQLite's are signed.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A number to store; what is larger than any stored one stays larger.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The first value after every key with this prefix. Where there is no such text it is a blob, which SQLite orders after all
/// texts.
fn end_of(prefix: &str) -> Value {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            head.push(next);
            return Value::Text(head);
        }
    }
    Value::Blob(Vec::new())
}

//! Logs: each container has its own, and a replica's goes on from one life to the next.
//!
//! A cursor is `CONTAINER:PLACE`. When the container it names is an earlier life of the same replica, the rest of that is read first.

use hostler_sdk::Fault;
use hostler_sdk::backend::{Chunk, Line, Origin};
use hostler_sdk::host::Error;
use hostler_sdk::host::containers::{self, Container, Lines, Whose};

use crate::engines::untouched;
use crate::facts::{self, Held};

/// Reads on from a cursor, or the last lines.
pub(crate) fn read(held: &Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
    let Some(cursor) = cursor else { return from_the_end(held, tail, max_bytes) };
    let (id, place) = cursor.split_once(':').ok_or_else(|| Fault::invalid("", format!("`{}` is no cursor", cursor.escape_debug())))?;
    if held.container == id {
        return page(held, &held.container, Some(place), None, max_bytes).map(|lines| chunk(&held.container, lines, false));
    }
    let lives = lives(held)?;
    let Some(earlier) = lives.iter().position(|life| life == id) else {
        // It is gone, and whether all of it was read nobody knows.
        return onwards(held, &lives, None, true, max_bytes);
    };
    onwards(held, &lives[earlier..], Some(place), false, max_bytes)
}

/// The first lines that there are from a place in the first of these lives on.
fn onwards(held: &Held, lives: &[String], place: Option<&str>, mut gap: bool, max_bytes: u32) -> Result<Chunk, Fault> {
    let mut place = place;
    for life in lives {
        let last = *life == held.container;
        match page(held, life, place.take(), None, max_bytes) {
            Ok(lines) if last || !lines.lines.is_empty() => return Ok(chunk(life, lines, gap)),
            Ok(lines) => gap |= lines.gap,
            Err(Fault::Gone) if !last => gap = true,
            Err(fault) => return Err(fault),
        }
    }
    page(held, &held.container, None, None, max_bytes).map(|lines| chunk(&held.container, lines, gap))
}

/// The last lines, over as many lives as it takes; all there is without a number.
fn from_the_end(held: &Held, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
    let Some(tail) = tail else { return onwards(held, &lives(held)?, None, false, max_bytes) };
    let newest = page(held, &held.container, None, Some(tail), max_bytes)?;
    let count = u32::try_from(newest.lines.len()).unwrap_or(u32::MAX);
    let bytes: usize = newest.lines.iter().map(|line| line.bytes.len()).sum();
    // A page that is full may have more behind it: then it is as far back as was asked.
    let full = bytes * 2 > max_bytes as usize;
    if count >= tail || full || held.taken.is_some() {
        return Ok(chunk(&held.container, newest, false));
    }
    let mut missing = tail - count;
    let mut first: Option<(String, Lines)> = None;
    for life in lives(held)?.into_iter().rev().filter(|life| *life != held.container) {
        let before = match page(held, &life, None, Some(missing), max_bytes) {
            Ok(lines) => lines,
            Err(Fault::Gone) => break,
            Err(fault) => return Err(fault),
        };
        missing = missing.saturating_sub(u32::try_from(before.lines.len()).unwrap_or(u32::MAX));
        if !before.lines.is_empty() {
            first = Some((life, before));
        }
        if missing == 0 {
            break;
        }
    }
    // What follows the earliest page is read from its cursor.
    let (life, lines) = first.unwrap_or((held.container.clone(), newest));
    Ok(chunk(&life, lines, false))
}

/// Containers of the same replica, the earliest first; of one that was taken over itself alone.
fn lives(held: &Held) -> Result<Vec<String>, Fault> {
    let alone = || vec![held.container.clone()];
    if held.taken.is_some() {
        return Ok(alone());
    }
    let seen = containers::inspect(&held.engine, std::slice::from_ref(&held.container)).map_err(|error| untouched(&held.engine, error))?;
    let Some(own) = seen.into_iter().next().flatten() else { return Err(Fault::Gone) };
    let slot = [facts::WORKSPACE, facts::SERVICE, facts::REPLICA].map(|label| (label.to_owned(), own.label(label).unwrap_or_default().to_owned()));
    let mut lives = containers::list(&held.engine, Whose::Ours, &slot).map_err(|error| untouched(&held.engine, error))?;
    let run = |container: &Container| container.label(facts::RUN).and_then(|run| run.parse::<u64>().ok()).unwrap_or(0);
    lives.retain(|life| run(life) <= run(&own));
    lives.sort_by_key(run);
    let found: Vec<String> = lives.into_iter().map(|life| life.id).collect();
    Ok(if found.is_empty() { alone() } else { found })
}

fn page(held: &Held, life: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, Fault> {
    containers::read_log(&held.engine, life, cursor, tail, max_bytes).map_err(|error| match error {
        Error::Invalid(why) if cursor.is_none() => Fault::Unsupported(why),
        error => untouched(&held.engine, error),
    })
}

fn chunk(life: &str, lines: Lines, gap: bool) -> Chunk {
    let line = |line: containers::Line| Line {
        at: Some(line.at),
        origin: match line.origin {
            containers::Origin::Out => Origin::Out,
            containers::Origin::Err => Origin::Err,
        },
        continued: line.continued,
        bytes: line.bytes,
    };
    Chunk { next: format!("{life}:{}", lines.next), gap: gap || lines.gap, lines: lines.lines.into_iter().map(line).collect() }
}

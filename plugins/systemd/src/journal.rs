//! What a task has written, from the journal.
//!
//! A cursor is the journal's own, of the last line that was read, with `@` and the bytes read of it where a page ended within a line. The entry
//! it names is asked for again: when another one comes first, what lay between is gone.

use hostler_sdk::Fault;
use hostler_sdk::backend::{Chunk, Line, Origin};
use serde_json::Value;

use crate::engine::{Scope, journal};
use crate::facts::Held;

/// Entries of one page.
const ENTRIES: usize = 500;
/// Bytes of JSON of one page. A byte that is no text takes four.
const PAGE: u32 = 8 << 20;
/// The cursor of a log in which nothing was yet; entries begin after it.
const START: &str = "start";
/// Said in place of a line that is too long even for the journal to print.
const TOO_LONG: &[u8] = b"[a line too long to be shown]";

/// Reads from a cursor, or the last lines, or from the oldest.
pub(crate) fn read(owner: &str, held: &Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
    let place = Place::read(cursor)?;
    let source = Source::of(owner, held);
    let from = match (&place, tail) {
        (Some(Place::At { cursor, .. }), _) => vec![format!("--cursor={cursor}")],
        (None, Some(tail)) => vec![format!("--lines={}", tail.clamp(1, 10_000))],
        // A place before everything: with it, the journal counts lines from the front.
        (Some(Place::Start), _) | (None, None) => vec!["--cursor=t=1".to_owned()],
    };
    let count = if place.is_none() && tail.is_some() { Vec::new() } else { vec![format!("--lines={}", ENTRIES + 1)] };
    let entries = entries(&source, [from, count].concat())?;
    let mut page = Page::new(place, max_bytes);
    if tail == Some(0) && cursor.is_none() {
        page.next = entries.last().map_or(START.to_owned(), |entry| entry.cursor.clone());
        return Ok(page.chunk());
    }
    page.begin(&entries);
    for entry in &entries {
        if !page.take(entry, source.wrote(entry)) {
            break;
        }
    }
    Ok(page.chunk())
}

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Start,
    At {
        cursor: String,
        /// Bytes read of the entry; all of it when absent.
        within: Option<usize>,
    },
}

impl Place {
    fn read(text: Option<&str>) -> Result<Option<Place>, Fault> {
        let Some(text) = text else { return Ok(None) };
        if text == START {
            return Ok(Some(Place::Start));
        }
        let (cursor, within) = text.split_once('@').map_or((text, None), |(cursor, within)| (cursor, Some(within)));
        let within = within.map(str::parse).transpose().ok();
        let plain = cursor.starts_with("s=") && cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=;-".contains(&byte));
        match within {
            Some(within) if plain => Ok(Some(Place::At { cursor: cursor.to_owned(), within })),
            _ => Err(Fault::invalid("", "the cursor is none that this backend has given")),
        }
    }
}

/// Whose lines are read.
struct Source {
    matches: Vec<String>,
    /// The field that the journal itself writes, and how it begins; anybody can write the others.
    field: &'static str,
    begins: String,
    /// Are lines without that field taken, too?
    unnamed: bool,
}

impl Source {
    fn of(owner: &str, held: &Held) -> Source {
        let (field, user) = match held.scope {
            Scope::System => ("_SYSTEMD_UNIT", None),
            Scope::User(uid) => ("_SYSTEMD_USER_UNIT", Some(format!("_UID={uid}"))),
        };
        let all_runs = match (&held.installed, held.scope) {
            (Some(_), _) => None,
            (None, Scope::System) => Some(format!("HOSTLER_LOG={}", held.log)),
            (None, Scope::User(_)) => Some(format!("SYSLOG_IDENTIFIER={}", held.log)),
        };
        let mut matches = vec![format!("{field}={}", held.runs_as())];
        matches.extend(user.clone());
        if let Some(all_runs) = all_runs {
            matches.extend(["+".to_owned(), all_runs]);
            matches.extend(user);
        }
        let begins = held.installed.clone().unwrap_or_else(|| format!("hostler-{owner}-"));
        // Of a process that ends at once the journal knows the user, and not always a user's unit.
        Source { matches, field, begins, unnamed: matches!(held.scope, Scope::User(_)) }
    }

    fn wrote(&self, entry: &Entry) -> bool {
        entry.unit.as_deref().map_or(self.unnamed, |unit| unit.starts_with(&self.begins))
    }
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    cursor: String,
    at: Option<u64>,
    bytes: Vec<u8>,
    /// The journal cut a line in two after it.
    cut: bool,
    unit: Option<String>,
}

fn entries(source: &Source, words: Vec<String>) -> Result<Vec<Entry>, Fault> {
    let fields = format!("--output-fields=MESSAGE,_LINE_BREAK,{}", source.field);
    let words = [words, vec![fields], source.matches.clone()].concat();
    let output = journal([vec!["--all".to_owned()], words.clone()].concat(), PAGE)?;
    let whole = if output.truncated { output.out.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) } else { output.out.len() };
    let read = parse(&output.out[..whole], source.field);
    // The entry that was read before is asked for again: a page that ends with it goes nowhere.
    if output.truncated && read.len() < 2 {
        // Without `--all` a long field is left out.
        return Ok(parse(&journal(words, PAGE)?.out, source.field));
    }
    Ok(read)
}

fn parse(json: &[u8], field: &str) -> Vec<Entry> {
    let lines = json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| entry(&serde_json::from_slice(line).ok()?, field)).collect()
}

fn entry(value: &Value, field: &str) -> Option<Entry> {
    let micros = value["__REALTIME_TIMESTAMP"].as_str().and_then(|text| text.parse::<u64>().ok());
    Some(Entry {
        cursor: value["__CURSOR"].as_str()?.to_owned(),
        at: micros.map(|micros| micros / 1000),
        bytes: bytes(&value["MESSAGE"]),
        cut: value["_LINE_BREAK"] == "line-max",
        unit: value[field].as_str().map(str::to_owned),
    })
}

/// Text, or an array of bytes where it is none; a field that was given several times is an array of those.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Array(items) if items.iter().all(Value::is_u64) => items.iter().filter_map(|item| u8::try_from(item.as_u64()?).ok()).collect(),
        Value::Array(items) => items.iter().map(bytes).collect::<Vec<_>>().join(&b'\n'),
        Value::Null => TOO_LONG.to_vec(),
        _ => Vec::new(),
    }
}

/// A page that is being filled.
struct Page {
    place: Option<Place>,
    left: usize,
    lines: Vec<Line>,
    next: String,
    gap: bool,
}

impl Page {
    fn new(place: Option<Place>, max_bytes: u32) -> Page {
        let next = match &place {
            None | Some(Place::Start) => START.to_owned(),
            Some(Place::At { cursor, within: None }) => cursor.clone(),
            Some(Place::At { cursor, within: Some(within) }) => format!("{cursor}@{within}"),
        };
        Page { place, left: usize::try_from(max_bytes).unwrap_or(usize::MAX).max(1), lines: Vec::new(), next, gap: false }
    }

    /// Is the line that was read last still there?
    fn begin(&mut self, entries: &[Entry]) {
        let Some(Place::At { cursor, .. }) = &self.place else { return };
        if entries.first().is_none_or(|first| first.cursor != *cursor) {
            self.gap = true;
            self.place = None;
            // Whatever is there, or comes, is newer than what was read.
            START.clone_into(&mut self.next);
        }
    }

    /// Takes an entry, or as much of it as fits; false when the page is full.
    fn take(&mut self, entry: &Entry, ours: bool) -> bool {
        let mut from = match &self.place {
            Some(Place::At { cursor, within }) if *cursor == entry.cursor => match within {
                Some(within) => *within,
                None => return true,
            },
            _ => 0,
        };
        if !ours {
            self.next.clone_from(&entry.cursor);
            return true;
        }
        loop {
            let rest = entry.bytes.get(from..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = &rest[..end.unwrap_or(rest.len())];
            if line.len() > self.left {
                // A line that is longer than a page comes in parts; any other waits for the next page.
                if self.lines.is_empty() {
                    let part = &line[..self.left];
                    self.push(entry, part, true);
                    self.next = format!("{}@{}", entry.cursor, from + part.len());
                }
                return false;
            }
            self.push(entry, line, entry.cut && end.is_none());
            match end {
                Some(end) => {
                    from += end + 1;
                    self.next = format!("{}@{from}", entry.cursor);
                }
                None => {
                    self.next.clone_from(&entry.cursor);
                    return true;
                }
            }
        }
    }

    fn push(&mut self, entry: &Entry, bytes: &[u8], continued: bool) {
        self.left -= bytes.len();
        // The journal has one stream for both outputs.
        self.lines.push(Line { at: entry.at, origin: Origin::Out, continued, bytes: bytes.to_vec() });
    }

    fn chunk(self) -> Chunk {
        Chunk { lines: self.lines, next: self.next, gap: self.gap }
    }
}

#[cfg(test)]
mod tests;

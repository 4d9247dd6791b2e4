//! What a container has written, from an exact place on.
//!
//! A place is the time that the engine gave a line, to the nanosecond, and how many lines of that time were read. Engines write the two outputs
//! of a container beside each other, so that a line may stand behind one that is a little younger: a place is looked for from a moment before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::api::{Api, Ask, Body, Trouble};
use super::engine::{Engine, Known};
use super::frames::{Frames, Kind, Part};
use super::time::{nanos, since};
use crate::bindings::hostler::host::containers::{Line, Lines, Origin};

#[cfg(test)]
mod busy;

/// How much younger a line may be that stands before another.
const DISORDER: u64 = 100_000_000;
/// Lines at the end of a log among which a place is looked for, before all of it is: an engine reads its log from the beginning then, each time,
/// and a GB takes it half a minute. A container that writes as fast as it can has tens of thousands of lines within [`DISORDER`].
const NEAR: [u32; 3] = [4_096, 65_536, 524_288];
/// Times of lines that are counted; as many lines again come within [`DISORDER`] of nobody.
const MOST_TIMES: usize = 65_536;
/// Longest part of a line that is kept.
const MAX_PART: usize = 64 << 10;
/// Where engines cut long lines into parts.
const ENGINES_PART: usize = 16 << 10;
/// A shorter one without a newline is the last that was written, and whole; Podman cuts at 8 KiB.
const LEAST_PART: usize = 8 << 10;
/// What a line costs beside its bytes, so that empty ones fill a page, too.
const LINE: usize = 32;
/// A time before each line, at most.
const MAX_STAMP: usize = 64;
/// Logs of one engine that wait for whoever reads on; the oldest gives way.
const MOST_PAUSED: usize = 16;
/// And how long they do.
const PAUSE: Duration = Duration::from_secs(60);

/// An exact place within a log: after this many lines of this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    at: u64,
    lines: u64,
}

impl Place {
    pub(super) fn parse(text: &str) -> Option<Place> {
        let (at, lines) = text.split_once('.')?;
        Some(Place { at: at.parse().ok()?, lines: lines.parse().ok()? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.at, self.lines)
    }
}

/// One line as it stands in the log, with its time in nanoseconds.
struct Entry {
    at: u64,
    origin: Origin,
    continued: bool,
    bytes: Vec<u8>,
}

/// Reads a page.
pub(super) async fn read(engine: &Engine, known: &Known, cursor: Option<Place>, tail: Option<u32>, max_bytes: usize) -> Result<Lines, Trouble> {
    match (cursor, tail) {
        (Some(place), _) if place != Place::default() => {
            if let Some(mut flow) = engine.flows.take(&known.id, place)
                && let Ok(read) = fill(engine, &mut flow, Reader::onwards(place, max_bytes)).await
                && !read.ended
            {
                return Ok(pause(engine, known, read, flow));
            }
            for tail in NEAR {
                let (near, flow) = page(engine, known, Reader::new(cursor, max_bytes), Some(tail)).await?;
                if near.has_all_after(place, tail) {
                    return Ok(pause(engine, known, near, flow));
                }
            }
            let (read, flow) = page(engine, known, Reader::new(cursor, max_bytes), None).await?;
            Ok(pause(engine, known, read, flow))
        }
        (None, Some(0)) => {
            let (last, _) = page(engine, known, Reader::new(None, usize::MAX), Some(1)).await?;
            let next = counted(engine, known, &last).await?;
            Ok(Lines { lines: Vec::new(), next: next.to_string(), gap: false })
        }
        (None, Some(tail)) => {
            let (read, _) = page(engine, known, Reader::new(None, max_bytes), Some(tail)).await?;
            let next = counted(engine, known, &read).await?;
            Ok(Lines { next: next.to_string(), ..read.finish() })
        }
        (_, None) | (Some(_), _) => {
            let (read, flow) = page(engine, known, Reader::new(None, max_bytes), None).await?;
            Ok(pause(engine, known, read, flow))
        }
    }
}

/// The place after a page of last lines: some of its time may stand before the page.
async fn counted(engine: &Engine, known: &Known, read: &Reader) -> Result<Place, Trouble> {
    if !read.may_be_cut(read.place.at) {
        return Ok(read.place);
    }
    for tail in NEAR.map(Some).into_iter().chain([None]) {
        // a place that is never found: everything is counted, and nothing kept
        let reader = Reader { full: true, ..Reader::new(Some(Place { lines: u64::MAX, ..read.place }), 0) };
        let (counting, flow) = page(engine, known, reader, tail).await?;
        if tail.is_none_or(|tail| counting.has_all_after(read.place, tail)) {
            let lines = flow.times.get(&read.place.at).copied().unwrap_or_default();
            return Ok(Place { lines: lines.max(read.place.lines), ..read.place });
        }
    }
    Ok(read.place)
}

async fn page(engine: &Engine, known: &Known, reader: Reader, tail: Option<u32>) -> Result<(Reader, Flow), Trouble> {
    let mut flow = Flow::open(engine, known, reader.since(), tail).await?;
    let reader = fill(engine, &mut flow, reader).await?;
    Ok((reader, flow))
}

async fn fill(engine: &Engine, flow: &mut Flow, mut reader: Reader) -> Result<Reader, Trouble> {
    while let Some((entry, nth)) = flow.next(&engine.api).await? {
        if let Some(entry) = reader.take(entry, nth) {
            flow.back = Some((entry, nth));
            return Ok(reader);
        }
    }
    reader.ended = true;
    Ok(reader)
}

/// The page; what follows it is kept for whoever reads on.
fn pause(engine: &Engine, known: &Known, read: Reader, flow: Flow) -> Lines {
    if !read.ended && !read.passed_over {
        engine.flows.keep(&known.id, read.place, flow);
    }
    read.finish()
}

/// A log on its way: an engine reads its own from the beginning for every request, whatever it is asked for.
struct Flow {
    body: Body,
    tty: bool,
    frames: Frames,
    cutter: Cutter,
    /// Entries of bytes that came.
    ahead: VecDeque<Entry>,
    /// One that was handed out and came back.
    back: Option<(Entry, u64)>,
    /// Lines of each time that went by, as far back as lines are out of order.
    times: BTreeMap<u64, u64>,
    ended: bool,
}

impl Flow {
    async fn open(engine: &Engine, known: &Known, from: Option<u64>, tail: Option<u32>) -> Result<Flow, Trouble> {
        let mut ask = Ask::get(format!("/containers/{}/logs", known.id)).with("stdout", 1).with("stderr", 1).with("timestamps", 1);
        if let Some(from) = from {
            ask = ask.with("since", since(from));
        }
        if let Some(tail) = tail {
            ask = ask.with("tail", tail);
        }
        Ok(Flow::of(engine.api.stream(ask).await?.detached(), known.tty))
    }

    fn of(body: Body, tty: bool) -> Flow {
        Flow {
            body,
            tty,
            frames: Frames::default(),
            cutter: Cutter::default(),
            ahead: VecDeque::new(),
            back: None,
            times: BTreeMap::new(),
            ended: false,
        }
    }

    /// The next line, and which of its time it is.
    async fn next(&mut self, api: &Api) -> Result<Option<(Entry, u64)>, Trouble> {
        if let Some(back) = self.back.take() {
            return Ok(Some(back));
        }
        while self.ahead.is_empty() && !self.ended {
            match self.body.next(api, false).await? {
                Some(bytes) => self.feed(&bytes)?,
                None => {
                    self.ended = true;
                    self.ahead.extend(self.cutter.rest());
                }
            }
        }
        let Some(entry) = self.ahead.pop_front() else { return Ok(None) };
        let nth = self.count(entry.at);
        Ok(Some((entry, nth)))
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let Flow { frames, cutter, ahead, .. } = self;
        if self.tty {
            cutter.raw(bytes, ahead);
            return Ok(());
        }
        frames.feed(bytes, |part| cutter.part(part, ahead)).map_err(|why| Trouble::Garbled { changes: false, why })
    }

    fn count(&mut self, at: u64) -> u64 {
        let nth = self.times.entry(at).or_insert(0);
        *nth += 1;
        let nth = *nth;
        if self.times.len() > MOST_TIMES
            && let Some((newest, _)) = self.times.last_key_value()
        {
            let old = newest.saturating_sub(DISORDER);
            self.times = self.times.split_off(&old);
        }
        nth
    }
}

/// Logs that were read up to a place, for a while: a long one is read once, not once for each page.
#[derive(Default)]
pub(super) struct Flows(Mutex<Vec<Paused>>);

struct Paused {
    container: String,
    place: Place,
    flow: Flow,
    since: Instant,
}

impl Flows {
    fn take(&self, container: &str, place: Place) -> Option<Flow> {
        let mut all = self.0.lock().expect("no code panics while it holds this lock");
        let at = all.iter().position(|paused| paused.place == place && paused.container == container)?;
        Some(all.swap_remove(at).flow)
    }

    fn keep(self: &Arc<Self>, container: &str, place: Place, flow: Flow) {
        let mut all = self.0.lock().expect("no code panics while it holds this lock");
        if all.len() >= MOST_PAUSED {
            all.remove(0);
        }
        all.push(Paused { container: container.to_owned(), place, flow, since: Instant::now() });
        drop(all);
        let all = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(PAUSE).await;
            if let Some(all) = all.upgrade() {
                all.0.lock().expect("no code panics while it holds this lock").retain(|paused| paused.since.elapsed() < PAUSE);
            }
        });
    }
}

/// Makes lines of what an engine sends: one frame for each, or with a terminal one after the other.
#[derive(Default)]
struct Cutter {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Cutter {
    fn part(&mut self, part: Part<'_>, entries: &mut VecDeque<Entry>) {
        match part {
            Part::Bytes(kind, bytes) => {
                let line = if kind == Kind::Out { &mut self.out } else { &mut self.err };
                let room = (MAX_PART + MAX_STAMP).saturating_sub(line.len());
                line.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Part::End(kind) => {
                let (line, origin) = if kind == Kind::Out { (&mut self.out, Origin::Out) } else { (&mut self.err, Origin::Err) };
                entries.extend(stamped(line, origin));
                line.clear();
            }
        }
    }

    /// With a terminal nothing tells lines apart but their ends, and parts of a long one but the time before each.
    fn raw(&mut self, bytes: &[u8], entries: &mut VecDeque<Entry>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = (MAX_PART + MAX_STAMP).saturating_sub(self.out.len());
            self.out.extend_from_slice(&part[..part.len().min(room)]);
            self.parts(entries);
            if part.ends_with(b"\n") {
                if !self.out.ends_with(b"\n") {
                    self.out.push(b'\n');
                }
                entries.extend(stamped(&self.out, Origin::Out));
                self.out.clear();
            }
        }
    }

    /// Hands on what is a whole part: so many bytes, and then the same time again.
    fn parts(&mut self, entries: &mut VecDeque<Entry>) {
        while let Some(space) = self.out.iter().take(MAX_STAMP).position(|byte| *byte == b' ') {
            let stamp = space + 1;
            let end = stamp + ENGINES_PART;
            if self.out.len() < end + stamp || self.out[end..end + stamp] != self.out[..stamp] {
                return;
            }
            entries.extend(stamped(&self.out[..end], Origin::Out));
            self.out.drain(..end);
        }
    }

    /// What a terminal wrote last, without an end.
    fn rest(&mut self) -> Option<Entry> {
        stamped(&std::mem::take(&mut self.out), Origin::Out)
    }
}

/// A line without the time before it. A part of a line that goes on has no newline, and is long.
fn stamped(line: &[u8], origin: Origin) -> Option<Entry> {
    let space = line.iter().take(MAX_STAMP).position(|byte| *byte == b' ')?;
    let at = nanos(std::str::from_utf8(&line[..space]).ok()?)?;
    let text = &line[space + 1..];
    let (bytes, ends) = text.strip_suffix(b"\n").map_or((text, false), |text| (text, true));
    Some(Entry { at, origin, continued: !ends && bytes.len() >= LEAST_PART, bytes: bytes.to_vec() })
}

/// Takes lines until a page is full.
struct Reader {
    /// Lines up to here were read before; absent when the page begins with the first line that comes.
    after: Option<Place>,
    found: bool,
    full: bool,
    /// Lines that did not fit went by while the place was looked for.
    passed_over: bool,
    seen: u64,
    /// Was the log read to its end?
    ended: bool,
    first: Option<u64>,
    lines: Vec<Line>,
    bytes: usize,
    most: usize,
    /// After the last line that was taken.
    place: Place,
}

impl Reader {
    fn new(after: Option<Place>, most: usize) -> Reader {
        Reader {
            found: after.is_none(),
            full: false,
            place: after.unwrap_or_default(),
            after,
            passed_over: false,
            seen: 0,
            ended: false,
            first: None,
            lines: Vec::new(),
            bytes: 0,
            most,
        }
    }

    /// What comes next is what follows the place.
    fn onwards(place: Place, most: usize) -> Reader {
        Reader { place, ..Reader::new(None, most) }
    }

    fn since(&self) -> Option<u64> {
        self.after.map(|place| place.at.saturating_sub(2 * DISORDER))
    }

    /// May lines of the time of `at` stand before the first one that came?
    fn may_be_cut(&self, at: u64) -> bool {
        self.first.is_some_and(|first| first.saturating_add(DISORDER) > at)
    }

    /// Do the last lines of a log, so many at most, begin before a place? A page that was full before the end has not seen how many there are.
    fn has_all_after(&self, place: Place, tail: u32) -> bool {
        !self.may_be_cut(place.at) && self.first.is_some() || self.ended && self.seen < u64::from(tail)
    }

    /// Takes the line that is the `nth` of its time, and gives it back when the page is full.
    fn take(&mut self, entry: Entry, nth: u64) -> Option<Entry> {
        self.seen += 1;
        self.first.get_or_insert(entry.at);
        let Some(after) = self.after.filter(|_| !self.found) else { return self.keep(entry, nth) };
        if entry.at == after.at {
            if nth == after.lines {
                // what was kept so far stands before the place
                (self.found, self.full, self.passed_over, self.place, self.bytes) = (true, false, false, after, 0);
                self.lines.clear();
            }
            return None;
        }
        if entry.at < after.at {
            return None;
        }
        let may_be_before = entry.at <= after.at.saturating_add(DISORDER);
        // kept in case the place is gone
        let back = self.keep(entry, nth)?;
        self.passed_over |= may_be_before;
        (!may_be_before).then_some(back)
    }

    fn keep(&mut self, entry: Entry, nth: u64) -> Option<Entry> {
        // one line is always taken, else nobody would ever come past it
        self.full |= self.bytes.saturating_add(entry.bytes.len()) > self.most && !self.lines.is_empty();
        if self.full {
            return Some(entry);
        }
        self.bytes = self.bytes.saturating_add(entry.bytes.len()).saturating_add(LINE);
        self.place = Place { at: entry.at, lines: nth };
        self.lines.push(Line { at: entry.at / 1_000_000, origin: entry.origin, continued: entry.continued, bytes: entry.bytes });
        None
    }

    fn finish(self) -> Lines {
        // with nothing after it, whether the place is still there changes nothing
        Lines { gap: !self.found && !self.lines.is_empty(), lines: self.lines, next: self.place.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(u64, &str)]) -> Vec<Entry> {
        lines.iter().map(|(at, text)| Entry { at: *at, origin: Origin::Out, continued: false, bytes: text.as_bytes().to_vec() }).collect()
    }

    /// Hands lines to a reader until it gives one back.
    fn takes(reader: &mut Reader, lines: impl IntoIterator<Item = Entry>) {
        let mut flow = Flow::of(Body::Played(None), false);
        let _ = lines.into_iter().try_for_each(|line| {
            let nth = flow.count(line.at);
            reader.take(line, nth).is_none().then_some(())
        });
    }

    fn page_of(lines: &[(u64, &str)], after: Option<Place>, most: usize) -> (Vec<String>, Place, bool) {
        let mut reader = Reader::new(after, most);
        let from = reader.since().unwrap_or(0);
        takes(&mut reader, log(lines).into_iter().filter(|line| line.at >= from));
        let place = reader.place;
        let page = reader.finish();
        (page.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect(), place, page.gap)
    }

    #[test]
    fn page_by_page_is_the_whole_whatever_the_times_are() {
        let long = 10 * DISORDER;
        let lines =
            [(long, "a"), (long + 5, "b"), (long, "c"), (long + 5, "d"), (long + 5, "e"), (3 * long, "f"), (3 * long - 1, "g"), (3 * long, "h")];
        for most in [0, 1, LINE + 1, 2 * LINE + 3, usize::MAX] {
            let (mut all, mut place) = (Vec::new(), None);
            for _ in 0..=lines.len() {
                let (page, next, gap) = page_of(&lines, place, most);
                assert!(!gap, "{most}");
                all.extend(page);
                place = Some(next);
            }
            assert_eq!(all.join(""), "abcdefgh", "{most}");
        }
    }

    #[test]
    fn a_place_that_is_gone_is_a_gap() {
        let long = 10 * DISORDER;
        let place = Place { at: long, lines: 1 };
        assert_eq!(page_of(&[(2 * long, "b"), (3 * long, "c")], Some(place), 1).0, ["b"]);
        assert!(page_of(&[(2 * long, "b"), (3 * long, "c")], Some(place), 1).2);
        assert!(page_of(&[(long, "a"), (long, "b")], Some(Place { at: long, lines: 3 }), 1).0.is_empty());
        assert_eq!(page_of(&[], Some(place), 1), (Vec::new(), place, false));
    }

    #[test]
    fn a_page_that_is_full_says_nothing_of_lines_before_it() {
        let long = 10 * DISORDER;
        let place = Place { at: long, lines: 1 };
        let read = |lines: &[(u64, &str)], ended| {
            let mut reader = Reader { ended, ..Reader::new(Some(place), 1) };
            takes(&mut reader, log(lines));
            reader.has_all_after(place, 4)
        };
        assert!(!read(&[(3 * long, "y"), (4 * long, "z")], false), "lines between may have been left out");
        assert!(read(&[(3 * long, "y"), (4 * long, "z")], true), "there are no others");
        assert!(read(&[(long - 2 * DISORDER, "a"), (long, "b"), (3 * long, "y"), (4 * long, "z")], false));
        assert!(read(&[], true));
    }

    #[test]
    fn a_terminals_parts_are_taken_apart() {
        let stamp = "2026-11-21T22:30:25.000000001Z ";
        let text = format!("{stamp}{}{stamp}rest\n{stamp}next\n", "x".repeat(ENGINES_PART));
        let (mut cutter, mut entries) = (Cutter::default(), VecDeque::new());
        for part in text.as_bytes().chunks(1_000) {
            cutter.raw(part, &mut entries);
        }
        let entries: Vec<_> = entries.iter().map(|entry| (entry.bytes.len(), entry.continued)).collect();
        assert_eq!(entries, [(ENGINES_PART, true), (4, false), (4, false)]);
    }

    #[test]
    fn cursors_are_read_back() {
        let place = Place { at: 1_795_300_225_000_000_001, lines: 3 };
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for wrong in ["", "1", "1.x", "-1.2", "99999999999999999999.1"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}

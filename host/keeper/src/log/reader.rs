//! The reading end of a log: from a cursor, from the end, or from the oldest line.

use rustix::fd::OwnedFd;
use rustix::io::pread;

use super::segment::{self, Segment};
use super::{LogError, MAX_LINE_BYTES};
use crate::protocol::{LineHead, MAX_FRAME_BYTES};

/// A page, as the protocol's `Lines` wants it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) heads: Vec<LineHead>,
    pub(crate) body: Vec<u8>,
    pub(crate) next: String,
    pub(crate) gap: bool,
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Oldest,
    Tail(u32),
    Cursor(String),
}

/// What a line's head may take in the frame's JSON, generously.
const HEAD_BYTES: usize = 80;
const CHUNK_BYTES: usize = 64 * 1024;

/// Cursor of a log that has no line yet.
const BEGINNING: &str = "0:0";

/// Reads up to `max_bytes` of line data, and at least one line when there is one.
pub(crate) fn read(logs: &OwnedFd, name: &str, from: &From, max_bytes: u32) -> Result<Page, LogError> {
    let cursor = match from {
        From::Cursor(text) => Some(parse_cursor(text)?),
        From::Oldest | From::Tail(_) => None,
    };
    let Some(dir) = segment::open_dir(logs, name)? else { return Ok(empty(from)) };
    let files = Files::open(&dir)?;
    let Some(end) = files.end() else { return Ok(empty(from)) };
    let (start, gap) = match (from, cursor) {
        (From::Tail(lines), _) => (files.tail(*lines)?, false),
        (_, Some(cursor)) => files.resume(cursor, end)?,
        (_, None) => (files.oldest(), false),
    };
    let mut page = Page { gap, ..Page::default() };
    let next = files.fill(&mut page, start, max_bytes as usize)?;
    page.next = format!("{:x}:{next}", files.epoch());
    Ok(page)
}

/// A log without lines: the cursor stays what it was.
fn empty(from: &From) -> Page {
    let next = match from {
        From::Cursor(text) => text.clone(),
        From::Oldest | From::Tail(_) => BEGINNING.to_owned(),
    };
    Page { next, ..Page::default() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    epoch: u32,
    at: u64,
}

fn parse_cursor(text: &str) -> Result<Cursor, LogError> {
    let parse = || {
        let (epoch, at) = text.split_once(':')?;
        Some(Cursor { epoch: u32::from_str_radix(epoch, 16).ok()?, at: at.parse().ok()? })
    };
    parse().ok_or_else(|| LogError::BadCursor(text.chars().take(80).collect()))
}

/// The open segments of a log, oldest first, each with its length. What is appended later is not seen.
struct Files {
    files: Vec<(Segment, OwnedFd, u64)>,
}

impl Files {
    fn open(dir: &OwnedFd) -> Result<Files, LogError> {
        let mut files: Vec<(Segment, OwnedFd, u64)> = Vec::new();
        for segment in segment::list(dir)?.into_iter().rev() {
            // beside the newest, only what belongs to it and ends before it: one cursor must not mean two places
            let newer = files.last().map(|(newer, ..)| *newer);
            let Some(file) = segment.open(dir)? else { continue };
            let len = segment::length(&file)?;
            if newer.is_none_or(|newer| segment.epoch == newer.epoch && segment.start + len <= newer.start) {
                files.push((segment, file, len));
            }
        }
        files.reverse();
        Ok(Files { files })
    }

    fn epoch(&self) -> u32 {
        self.files.last().map_or(0, |(segment, ..)| segment.epoch)
    }

    fn oldest(&self) -> u64 {
        self.files.first().map_or(0, |(segment, ..)| segment.start)
    }

    fn end(&self) -> Option<u64> {
        self.files.last().map(|(segment, _, len)| segment.start + len)
    }

    /// Where a cursor goes on, and whether lines are missing in between.
    fn resume(&self, cursor: Cursor, end: u64) -> Result<(u64, bool), LogError> {
        let oldest = self.oldest();
        if cursor == (Cursor { epoch: 0, at: 0 }) {
            return Ok((oldest, oldest > 0));
        }
        if cursor.epoch != self.epoch() || cursor.at < oldest {
            return Ok((oldest, true));
        }
        // a power cut may have taken lines that were read before: go on with what there is
        if cursor.at > end {
            return Ok((end, true));
        }
        if self.is_line_start(cursor.at)? { Ok((cursor.at, false)) } else { Ok((self.next_line_start(cursor.at)?, true)) }
    }

    fn is_line_start(&self, at: u64) -> Result<bool, LogError> {
        let Some((segment, file, _)) = self.holding(at) else { return Ok(true) };
        if at == segment.start {
            return Ok(true);
        }
        let mut byte = [0];
        let read = pread(file, &mut byte[..], at - segment.start - 1)?;
        Ok(read == 1 && byte[0] == b'\n')
    }

    fn next_line_start(&self, at: u64) -> Result<u64, LogError> {
        let Some((segment, file, len)) = self.holding(at) else { return Ok(at) };
        let mut bytes = vec![0; CHUNK_BYTES];
        let read = pread(file, &mut bytes[..], at - segment.start)?;
        let skipped = bytes[..read].iter().position(|byte| *byte == b'\n');
        Ok(skipped.map_or(segment.start + len, |newline| at + newline as u64 + 1))
    }

    /// The segment that a position is in, or at whose end it is.
    fn holding(&self, at: u64) -> Option<&(Segment, OwnedFd, u64)> {
        self.files.iter().rev().find(|(segment, _, len)| segment.start <= at && at <= segment.start + len)
    }

    /// Where the last so many lines begin; looks backwards, and no further than it must.
    fn tail(&self, lines: u32) -> Result<u64, LogError> {
        let mut missing = u64::from(lines);
        let mut chunk = vec![0; CHUNK_BYTES];
        for (segment, file, len) in self.files.iter().rev() {
            let mut end = *len;
            while end > 0 {
                let start = end.saturating_sub(CHUNK_BYTES as u64);
                let wanted = usize::try_from(end - start).expect("a chunk's length");
                let read = pread(file, &mut chunk[..wanted], start)?;
                for index in (0..read).rev() {
                    // each newline ends a line: the one before the first that is wanted is where to begin
                    if chunk[index] == b'\n' {
                        if missing == 0 {
                            return Ok(segment.start + start + index as u64 + 1);
                        }
                        missing -= 1;
                    }
                }
                end = start;
            }
            if missing == 0 {
                return Ok(segment.start);
            }
        }
        Ok(self.oldest())
    }

    /// Reads forward into the page; answers the position after its last line.
    fn fill(&self, page: &mut Page, mut at: u64, max_bytes: usize) -> Result<u64, LogError> {
        for (segment, file, len) in &self.files {
            let end = segment.start + len;
            if at >= end {
                continue;
            }
            at = at.max(segment.start);
            let mut chunk = vec![0; CHUNK_BYTES.max(2 * MAX_LINE_BYTES)];
            while at < end {
                let wanted = usize::try_from((end - at).min(chunk.len() as u64)).expect("a chunk's length");
                let read = pread(file, &mut chunk[..wanted], at - segment.start)?;
                let (taken, full) = take_lines(page, &chunk[..read], max_bytes);
                at += taken as u64;
                if full {
                    return Ok(at);
                }
                if taken == 0 {
                    // a half line that is being written, or a line that none of ours wrote
                    if read < chunk.len() {
                        break;
                    }
                    at += read as u64;
                }
            }
        }
        Ok(at)
    }
}

/// Moves whole lines to the page; answers the bytes taken, and whether the page is full.
fn take_lines(page: &mut Page, bytes: &[u8], max_bytes: usize) -> (usize, bool) {
    let mut taken = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(stored) = line.strip_suffix(b"\n") else { break };
        // what none of ours wrote is passed over
        if let Some((prefix, text)) = segment::decode(stored) {
            let grown = page.body.len() + text.len();
            let frame = grown + (page.heads.len() + 1) * HEAD_BYTES;
            if !page.heads.is_empty() && (grown > max_bytes || frame > MAX_FRAME_BYTES / 2) {
                return (taken, true);
            }
            page.body.extend_from_slice(text);
            let len = u32::try_from(text.len()).expect("a line fits in a chunk");
            page.heads.push(LineHead { at: prefix.at, origin: prefix.origin, continued: prefix.continued, len });
        }
        taken += line.len();
    }
    (taken, false)
}

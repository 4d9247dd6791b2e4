//! The writing end of a log: appends, rotates, and survives a full disk.

use std::rc::Rc;

use hostler_failpoint::failpoint;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, ftruncate, mkdirat, unlinkat};
use rustix::io::{Errno, Result, pread, pwrite};

use super::Limits;
use super::segment::{self, PREFIX_BYTES, Prefix, Segment};
use crate::append::append;
use crate::clock;
use crate::protocol::Origin;

/// What a log that rests keeps of its buffer: room for a few lines.
const RESTING_BYTES: usize = 1024;

/// A log that may be written to; its files are opened, and made, with its first line.
pub(crate) struct Writer {
    logs: Rc<OwnedFd>,
    name: String,
    limits: Limits,
    current: Option<Current>,
    /// Whole lines that are not on disk.
    waiting: Vec<u8>,
    waiting_lines: u64,
    lost: Lost,
}

/// The segment that is written to.
struct Current {
    segment: Segment,
    file: OwnedFd,
    /// Bytes of it that are on disk.
    len: u64,
}

/// What a full disk swallowed since the last note about it.
#[derive(Default)]
struct Lost {
    lines: u64,
    why: String,
}

impl Writer {
    /// The log of that name below `logs`.
    pub(crate) fn new(logs: &Rc<OwnedFd>, name: &str, limits: Limits) -> Writer {
        let (logs, name) = (Rc::clone(logs), name.to_owned());
        Writer { logs, name, limits, current: None, waiting: Vec::new(), waiting_lines: 0, lost: Lost::default() }
    }

    /// Adds a line, to be on disk after the next [`Writer::flush`].
    pub(crate) fn push(&mut self, origin: Origin, continued: bool, text: &[u8]) {
        let stored = (PREFIX_BYTES + text.len() + 1) as u64;
        let filled = self.current.as_ref().map_or(0, |current| current.len) + self.waiting.len() as u64;
        if filled > 0 && filled + stored > self.limits.segment_bytes {
            self.flush();
            self.rotate();
        }
        segment::encode(&mut self.waiting, Prefix { at: clock::unix_ms(), origin, continued }, text);
        self.waiting_lines += 1;
    }

    /// Writes what waits. What cannot be written is dropped and counted, and the count becomes a line once there is space again.
    pub(crate) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if self.lost.lines > 0 {
            let note = format!("hostler: {} lines were lost here: {}", self.lost.lines, self.lost.why);
            let mut noted = Vec::new();
            segment::encode(&mut noted, Prefix { at: clock::unix_ms(), origin: Origin::Err, continued: false }, note.as_bytes());
            noted.append(&mut self.waiting);
            self.waiting = noted;
        }
        match self.write() {
            Ok(()) => self.lost = Lost::default(),
            Err(error) => {
                self.lost.lines += self.waiting_lines;
                self.lost.why = std::io::Error::from(error).to_string();
            }
        }
        self.waiting.clear();
        // one busy moment of each of a thousand logs is not to be held for good
        self.waiting.shrink_to(RESTING_BYTES);
        self.waiting_lines = 0;
    }

    fn write(&mut self) -> Result<()> {
        let current = match &mut self.current {
            Some(current) => current,
            closed => closed.insert(Current::open(&self.logs, &self.name)?),
        };
        // what does not fit in the segment an earlier keeper left goes to the next one
        let is_full = current.len > 0 && current.len + self.waiting.len() as u64 > self.limits.segment_bytes;
        if is_full {
            current.rotate(&self.logs, &self.name, self.limits.segments);
        }
        current.append(&self.waiting)
    }

    fn rotate(&mut self) {
        if let Some(current) = &mut self.current {
            current.rotate(&self.logs, &self.name, self.limits.segments);
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.waiting.capacity()
    }

    #[cfg(test)]
    pub(super) fn exchange_file(&mut self, file: OwnedFd) -> OwnedFd {
        std::mem::replace(&mut self.current.as_mut().expect("it was written to").file, file)
    }
}

impl Current {
    /// Opens the newest segment, made if there is none.
    fn open(logs: &OwnedFd, name: &str) -> Result<Current> {
        match mkdirat(logs, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let dir = segment::open_dir(logs, name)?.ok_or(Errno::NOENT)?;
        let segment = match segment::list(&dir)?.pop() {
            Some(newest) => newest,
            None => Segment { epoch: random()?, start: 0 },
        };
        let file = segment.open_to_write(&dir)?;
        failpoint!("keeper.log.opened");
        let len = mend(&file)?;
        Ok(Current { segment, file, len })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        failpoint!("keeper.log.before-append");
        self.len = append(&self.file, bytes, self.len)?;
        failpoint!("keeper.log.appended");
        Ok(())
    }

    /// Goes on in a new file and removes the oldest; when that cannot be, goes on in this one.
    fn rotate(&mut self, logs: &OwnedFd, name: &str, keep: usize) {
        let next = Segment { start: self.segment.start + self.len, ..self.segment };
        if self.len == 0 {
            return;
        }
        let Ok(Some(dir)) = segment::open_dir(logs, name) else { return };
        let Ok(file) = next.open_to_write(&dir) else { return };
        *self = Current { segment: next, file, len: 0 };
        failpoint!("keeper.log.rotated");
        let segments = segment::list(&dir).unwrap_or_default();
        let surplus = segments.len().saturating_sub(keep.max(1));
        for old in &segments[..surplus] {
            let _ = old.remove(&dir);
            failpoint!("keeper.log.oldest-removed");
        }
    }
}

/// Deletes a log; of what is not there it succeeds.
pub(crate) fn remove(logs: &OwnedFd, name: &str) -> Result<()> {
    let Some(dir) = segment::open_dir(logs, name)? else { return Ok(()) };
    for segment in segment::list(&dir)? {
        segment.remove(&dir)?;
    }
    unlinkat(logs, name, AtFlags::REMOVEDIR)
}

/// Closes the half line that a crash in mid-write left at the end; answers the length.
fn mend(file: &OwnedFd) -> Result<u64> {
    let len = segment::length(file)?;
    let reach = len.min((super::MAX_LINE_BYTES + PREFIX_BYTES + 1) as u64);
    let mut tail = vec![0; usize::try_from(reach).expect("a line's length")];
    let read = pread(file, &mut tail[..], len - reach)?;
    let half = tail[..read].iter().rev().take_while(|byte| **byte != b'\n').count();
    if half == 0 {
        return Ok(len);
    }
    let half_line = &tail[read - half..read];
    if segment::decode(half_line).is_some() {
        pwrite(file, b"\n", len)?;
        return Ok(len + 1);
    }
    let whole = len - half as u64;
    ftruncate(file, whole)?;
    Ok(whole)
}

fn random() -> Result<u32> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    Ok(u32::from_le_bytes(bytes))
}

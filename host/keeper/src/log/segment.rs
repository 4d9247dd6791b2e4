//! How a log lies on disk: lines that a person can read, in files named for where they begin.
//!
//! A file `EPOCH-START.log` holds the bytes of the log from position START on; EPOCH is random for each log, so that a cursor of a
//! dropped log is not taken for one of its successor. A line is
//! `1732170000123 o  text\n`: unix milliseconds, `o` or `e` for the output, `+` where the written line goes on in the next.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::{Errno, Result};

use crate::protocol::Origin;

const TIME_DIGITS: usize = 13;
/// The furthest place in a log that a file may begin at.
const MAX_START: u64 = u64::MAX / 2;
/// Bytes before the text of a line.
pub(super) const PREFIX_BYTES: usize = TIME_DIGITS + 4;

/// A line's facts, its text aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) at: u64,
    pub(super) origin: Origin,
    pub(super) continued: bool,
}

/// Adds one line as it is stored.
pub(super) fn encode(into: &mut Vec<u8>, prefix: Prefix, text: &[u8]) {
    let origin = match prefix.origin {
        Origin::Out => b'o',
        Origin::Err => b'e',
    };
    into.extend_from_slice(format!("{:013} ", prefix.at.min(9_999_999_999_999)).as_bytes());
    into.extend_from_slice(&[origin, if prefix.continued { b'+' } else { b' ' }, b' ']);
    into.extend_from_slice(text);
    into.push(b'\n');
}

/// A stored line without its newline; `None` when it is none of ours.
pub(super) fn decode(line: &[u8]) -> Option<(Prefix, &[u8])> {
    let (prefix, text) = line.split_at_checked(PREFIX_BYTES)?;
    let (time, marks) = prefix.split_at(TIME_DIGITS);
    let at = str::from_utf8(time).ok()?.parse().ok()?;
    let &[b' ', origin, continued, b' '] = marks else { return None };
    let origin = match origin {
        b'o' => Origin::Out,
        b'e' => Origin::Err,
        _ => return None,
    };
    Some((Prefix { at, origin, continued: continued == b'+' }, text))
}

/// One file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// Position of its first byte in the log.
    pub(super) start: u64,
    pub(super) epoch: u32,
}

impl Segment {
    fn name(self) -> String {
        format!("{:08x}-{:020}.log", self.epoch, self.start)
    }

    fn parse(name: &str) -> Option<Segment> {
        let (epoch, start) = name.strip_suffix(".log")?.split_once('-')?;
        let segment = Segment { epoch: u32::from_str_radix(epoch, 16).ok()?, start: start.parse().ok()? };
        // no log ever gets there, and behind it positions could not be counted
        (segment.name() == name && segment.start <= MAX_START).then_some(segment)
    }

    /// Opens it for reading; `None` when it was rotated away meanwhile.
    pub(super) fn open(self, dir: impl AsFd) -> Result<Option<OwnedFd>> {
        match openat(dir, self.name(), OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens it for writing, created if it is not there.
    pub(super) fn open_to_write(self, dir: impl AsFd) -> Result<OwnedFd> {
        openat(dir, self.name(), OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o600))
    }

    pub(super) fn remove(self, dir: impl AsFd) -> Result<()> {
        match unlinkat(dir, self.name(), AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}

/// The segments in a log's directory, oldest first.
pub(super) fn list(dir: impl AsFd) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in Dir::read_from(dir)? {
        segments.extend(entry?.file_name().to_str().ok().and_then(Segment::parse));
    }
    segments.sort();
    Ok(segments)
}

/// Length of an open file.
pub(super) fn length(file: impl AsFd) -> Result<u64> {
    Ok(u64::try_from(fstat(file)?.st_size).unwrap_or(0))
}

/// Opens a log's directory below `logs`, never through a symbolic link; `None` when there is none.
pub(super) fn open_dir(logs: impl AsFd, name: &str) -> Result<Option<OwnedFd>> {
    match openat(logs, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_with_any_bytes() {
        for text in [&b""[..], b"hello", b"\xff\x00 o+ \r", b"1732170000123 o  nested"] {
            for (origin, continued) in [(Origin::Out, false), (Origin::Err, true)] {
                let prefix = Prefix { at: 1_732_170_000_123, origin, continued };
                let mut bytes = Vec::new();
                encode(&mut bytes, prefix, text);
                assert_eq!(decode(&bytes[..bytes.len() - 1]), Some((prefix, text)));
            }
        }
        assert_eq!(decode(b"short"), None);
        assert_eq!(decode(b"173217000012x o  text"), None);
    }

    #[test]
    fn only_our_own_file_names_are_segments() {
        let segment = Segment { epoch: 0xab, start: 77 };
        assert_eq!(Segment::parse(&segment.name()), Some(segment));
        for name in ["", "x.log", "ab-77.log", "000000ab-00000000000000000077.log.gz", "000000ab-18446744073709551615.log"] {
            assert_eq!(Segment::parse(name), None);
        }
    }
}

//! The pipes that output comes through: named ones, so that they outlive the keeper.
//!
//! Each output of a task is a FIFO in `DIR/pipes`. The child's end is opened for reading *and* writing: with a reader of its own
//! it never sees a broken pipe when the keeper dies, and what it writes meanwhile waits in the pipe for the next keeper.
//!
//! A pair of pipes that nobody holds any more is used again: making and removing files for each process is what a file system
//! likes least (ext4 spends milliseconds stepping over inodes that were freed a moment ago).
//!
//! Bytes are looked at with `tee` and taken out only once they are in the log. A keeper killed in between leaves a batch that
//! is logged twice rather than one that is lost; half lines wait in the pipe, not in our memory.

use hostler_failpoint::failpoint;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchown, fstat, mknodat, openat, unlinkat};
use rustix::io::{Errno, Result};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, tee};
use rustix::process::{getegid, geteuid};

use crate::log::{self, Writer};
use crate::protocol::Origin;
use crate::user::User;

/// Most bytes taken from one pipe in one turn of the loop, so that a flood starves nobody.
const BATCH_BYTES: usize = 64 * 1024;

/// Name of one pipe of a pair.
pub(crate) fn name(pair: u64, origin: Origin) -> String {
    match origin {
        Origin::Out => format!("{pair}.out"),
        Origin::Err => format!("{pair}.err"),
    }
}

/// Makes a pipe, or takes the one of that name that nobody holds; answers the keeper's end and the child's.
pub(crate) fn create(dir: &OwnedFd, name: &str, user: Option<&User>) -> Result<(OwnedFd, OwnedFd)> {
    match mknodat(dir, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let own = open(dir, name)?;
    let childs = openat(dir, name, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    let (uid, gid) = user.map_or_else(|| (geteuid(), getegid()), |user| (user.uid, user.gid));
    let found = fstat(&childs)?;
    if (found.st_uid, found.st_gid) != (uid.as_raw(), gid.as_raw()) {
        // so that the child can open /dev/stdout anew, as many programs do to log there
        fchown(&childs, Some(uid), Some(gid))?;
    }
    Ok((own, childs))
}

/// Opens the keeper's end of a pipe that is there.
pub(crate) fn open(dir: &OwnedFd, name: &str) -> Result<OwnedFd> {
    openat(dir, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

/// Removes a pipe's name; what is not there is fine.
pub(crate) fn remove(dir: &OwnedFd, name: &str) {
    let _ = unlinkat(dir, name, AtFlags::empty());
}

/// A pipe that `tee` copies into, always empty between two looks.
pub(crate) struct Peephole {
    reader: OwnedFd,
    writer: OwnedFd,
    bytes: Vec<u8>,
}

impl Peephole {
    pub(crate) fn new() -> Result<Peephole> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Peephole { reader, writer, bytes: vec![0; BATCH_BYTES] })
    }

    /// What waits in `pipe`, left there; empty when all its writers are gone and nothing is left.
    fn look(&mut self, pipe: impl AsFd) -> Result<&[u8]> {
        let copied = tee(pipe, &self.writer, BATCH_BYTES, SpliceFlags::NONBLOCK)?;
        read_exactly(&self.reader, &mut self.bytes[..copied])?;
        Ok(&self.bytes[..copied])
    }

    /// Takes out so many bytes that were looked at.
    fn consume(&mut self, pipe: impl AsFd, count: usize) -> Result<()> {
        read_exactly(pipe, &mut self.bytes[..count])
    }
}

fn read_exactly(pipe: impl AsFd, mut bytes: &mut [u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::read(&pipe, &mut *bytes) {
            Ok(0) => return Err(Errno::PIPE),
            Ok(read) => bytes = &mut bytes[read..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How a turn with a pipe ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// More may be there.
    Busy,
    /// Nothing until it is readable again.
    Quiet,
    /// Half a line waits in it, so many bytes.
    HalfLine(usize),
    /// All writers are gone and all is logged.
    Ended,
}

/// The keeper's end of one output of one task.
pub(crate) struct Pipe {
    fd: OwnedFd,
    pub(crate) origin: Origin,
    pub(crate) log_name: String,
    /// Which pair it is one of.
    pub(crate) pair: u64,
    /// Half a line that was taken out after all, lest it clog the pipe.
    carried: Vec<u8>,
    /// The last writer is gone: what is left is all there will be.
    hung_up: bool,
    /// A half line of this size was there when it was last looked at.
    pub(crate) half_line: Option<usize>,
}

impl Pipe {
    pub(crate) fn new(fd: OwnedFd, origin: Origin, log_name: String, pair: u64) -> Pipe {
        Pipe { fd, origin, log_name, pair, carried: Vec::new(), hung_up: false, half_line: None }
    }

    /// Every writer has closed it.
    pub(crate) fn hang_up(&mut self) {
        self.hung_up = true;
    }

    /// Moves one batch of lines into the log.
    pub(crate) fn turn(&mut self, peephole: &mut Peephole, log: &mut Writer) -> Turn {
        let seen = match peephole.look(&self.fd) {
            Ok([]) => return self.end(log),
            Ok(seen) => seen,
            Err(Errno::AGAIN) => return if self.hung_up { self.end(log) } else { Turn::Quiet },
            Err(Errno::INTR) => return Turn::Busy,
            Err(_) => return self.end(log),
        };
        let seen_len = seen.len();
        let bytes = if self.carried.is_empty() { seen } else { &[&self.carried, seen].concat() };
        let used = push_lines(log, self.origin, bytes, false);
        if used == 0 {
            if self.hung_up && self.carry(peephole, seen_len) {
                return Turn::Busy;
            }
            return Turn::HalfLine(seen_len);
        }
        log.flush();
        failpoint!("keeper.output.logged");
        // lines begin with what was carried, so the first one has used all of it
        let from_pipe = used - self.carried.len();
        self.carried = Vec::new();
        match peephole.consume(&self.fd, from_pipe) {
            Ok(()) => Turn::Busy,
            Err(_) => self.end(log),
        }
    }

    /// Takes half a line out of the pipe into memory: one that has not grown for a while may be all that fits in the pipe.
    pub(crate) fn carry(&mut self, peephole: &mut Peephole, count: usize) -> bool {
        let taken = peephole.consume(&self.fd, count).is_ok();
        if taken {
            self.carried.extend_from_slice(&peephole.bytes[..count]);
        }
        taken
    }

    fn end(&mut self, log: &mut Writer) -> Turn {
        push_lines(log, self.origin, &std::mem::take(&mut self.carried), true);
        log.flush();
        Turn::Ended
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn push_lines(log: &mut Writer, origin: Origin, bytes: &[u8], ended: bool) -> usize {
    let (cuts, used) = log::cut(bytes, ended);
    for log::Cut { text, continued } in cuts {
        log.push(origin, continued, text);
    }
    used
}

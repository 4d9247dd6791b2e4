//! Who a process is: a pid alone may be a stranger's tomorrow.

use std::io;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A pid with its start time in clock ticks since boot; unique within one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
}

impl Identity {
    /// Of the process that has this pid now, a zombie included.
    pub(crate) fn of(pid: i32) -> Option<Identity> {
        stat(pid).map(|stat| Identity { pid, start_time: stat.starttime })
    }

    /// Opens this very process, or nothing when it is gone or dead and its pid perhaps somebody else's.
    ///
    /// The pidfd is opened before the start time is read, so what is verified is what the descriptor holds.
    pub(crate) fn open(self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::NONBLOCK).ok()?;
        let stat = stat(self.pid)?;
        (stat.starttime == self.start_time && is_alive(&stat)).then_some(pidfd)
    }
}

/// What the keeper reads in `/proc/PID/stat`, in the kernel's words and units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: u8,
    pub(crate) ppid: i32,
    pub(crate) pgrp: i32,
    pub(crate) session: i32,
    pub(crate) utime: u64,
    pub(crate) stime: u64,
    /// Of children that were waited for.
    pub(crate) cutime: u64,
    pub(crate) cstime: u64,
    pub(crate) starttime: u64,
    /// In pages.
    pub(crate) rss: u64,
}

/// `/proc/PID/stat`, or nothing when there is no such process.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let file = open(format!("/proc/{pid}/stat"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    // 52 numbers and a short name: the kernel gives it all at once
    let mut bytes = [0; 2048];
    let read = rustix::io::read(file, &mut bytes[..]).ok()?;
    Stat::parse(&bytes[..read])
}

impl Stat {
    /// Of the line's text. What stands in its parentheses is the program's to choose, with further ones in it, and in any bytes.
    fn parse(line: &[u8]) -> Option<Stat> {
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let mut fields = str::from_utf8(&line[end + 1..]).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // the fields of proc_pid_stat(5) from the fourth on
        let mut numbers = [0i64; 21];
        for number in &mut numbers {
            // those that do not fit, limits and addresses, are none of ours
            *number = fields.next()?.parse().unwrap_or(i64::MAX);
        }
        let small = |field: usize| i32::try_from(numbers[field - 4]).ok();
        let count = |field: usize| u64::try_from(numbers[field - 4]).unwrap_or(0);
        Some(Stat {
            state,
            ppid: small(4)?,
            pgrp: small(5)?,
            session: small(6)?,
            utime: count(14),
            stime: count(15),
            cutime: count(16),
            cstime: count(17),
            starttime: count(22),
            rss: count(24),
        })
    }
}

/// A zombie is not alive: it runs nothing and only waits to be looked at.
pub(crate) fn is_alive(stat: &Stat) -> bool {
    !matches!(stat.state, b'Z' | b'X' | b'x')
}

/// The kernel's name for this boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_program_calls_itself() {
        let rest = "S 7 8 9 0 -1 4194560 85 0 0 0 11 12 13 14 20 0 1 0 4711 2703360 214 18446744073709551615 1 1 0";
        let expected = Stat { state: b'S', ppid: 7, pgrp: 8, session: 9, utime: 11, stime: 12, cutime: 13, cstime: 14, starttime: 4711, rss: 214 };
        for name in [&b"sleep"[..], b") R 1 (", b"a b\nc", b"\xff\xfe)"] {
            let line = [b"42 (", name, b") ", rest.as_bytes()].concat();
            assert_eq!(Stat::parse(&line), Some(expected), "{name:?}");
        }
        for short in ["", "42 (sleep", "42 (sleep) S 7 8"] {
            assert_eq!(Stat::parse(short.as_bytes()), None);
        }
        let own = stat(std::process::id() as i32).expect("this process");
        assert_eq!(own.ppid, std::os::unix::process::parent_id() as i32);
        assert!(own.rss > 0 && own.starttime > 0 && is_alive(&own));
    }

    #[test]
    fn a_wrong_start_time_is_a_stranger() {
        let own = Identity::of(std::process::id() as i32).expect("this process");
        assert!(own.open().is_some());
        let stranger = Identity { start_time: own.start_time + 1, ..own };
        assert!(stranger.open().is_none());
    }
}

//! Who a process is: a pid alone may be a stranger's tomorrow.

use std::io;

use procfs::process::Stat;
use procfs::{FromRead, ProcError};
use rustix::fd::OwnedFd;
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

/// `/proc/PID/stat`, or nothing when there is no such process.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let read: Result<Stat, ProcError> = Stat::from_file(format!("/proc/{pid}/stat"));
    read.ok()
}

/// A zombie is not alive: it runs nothing and only waits to be looked at.
pub(crate) fn is_alive(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X' | 'x')
}

/// The kernel's name for this boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_start_time_is_a_stranger() {
        let own = Identity::of(std::process::id() as i32).expect("this process");
        assert!(own.open().is_some());
        let stranger = Identity { start_time: own.start_time + 1, ..own };
        assert!(stranger.open().is_none());
    }
}

//! The two clocks: one that decisions are made by, one that people read.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Milliseconds since boot, sleep included: never set, never goes back, and the same for every keeper of one boot.
pub(crate) fn boot_ms() -> u64 {
    millis(clock_gettime(ClockId::Boottime))
}

/// Unix time in milliseconds. Shown to people, never decided by.
pub(crate) fn unix_ms() -> u64 {
    millis(clock_gettime(ClockId::Realtime))
}

fn millis(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0)
}

/// A duration as poll wants it.
pub(crate) fn timespec(ms: u64) -> Timespec {
    Timespec { tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX), tv_nsec: i64::from((ms % 1000) as u32) * 1_000_000 }
}

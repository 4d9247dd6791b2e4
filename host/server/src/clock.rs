//! The two clocks: one that never jumps, for decisions, and the wall's, for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hostler_api::Timestamp;
use hostler_core::Time;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the machine booted, sleep included: comparable over restarts of the host within one boot.
pub(crate) fn now() -> Time {
    let time = clock_gettime(ClockId::Boottime);
    Time(time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000)
}

/// Waits for a moment; for none, for ever.
pub(crate) async fn until(at: Option<Time>) {
    match at {
        Some(at) => tokio::time::sleep(Duration::from_millis(at.since(now()).0)).await,
        None => std::future::pending().await,
    }
}

/// Unix time in milliseconds.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What the wall's clock shows at a point of the other one, by how far apart they are now.
pub(crate) fn wall(at: Time) -> Timestamp {
    Timestamp(wall_ms().saturating_add(at.0).saturating_sub(now().0))
}

/// Identifies this boot of the machine; empty where that cannot be read.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

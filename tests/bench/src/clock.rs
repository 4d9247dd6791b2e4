//! The clocks: one for how long something took, one to find it in a log.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of a clock that all processes of this machine share, and that nobody sets.
pub(crate) fn now() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds of a core that this thread has used.
pub(crate) fn of_this_thread() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

/// Nanoseconds since midnight UTC, as a log shows them.
pub(crate) fn time_of_day() -> u64 {
    nanos(ClockId::Realtime) % DAY
}

/// From one time of the day to a later one, also over midnight; earlier by less than half a day counts as negative.
pub(crate) fn between(from: u64, to: u64) -> i64 {
    let distance = (to + DAY - from) % DAY;
    let distance = i64::try_from(distance).expect("a day of nanoseconds fits");
    if distance > DAY_SIGNED / 2 { distance - DAY_SIGNED } else { distance }
}

const DAY_SIGNED: i64 = 86_400_000_000_000;
const DAY: u64 = DAY_SIGNED.unsigned_abs();

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_is_no_border() {
        assert_eq!(between(5, 12), 7);
        assert_eq!(between(12, 5), -7);
        assert_eq!(between(DAY - 3, 4), 7);
        assert_eq!(between(4, DAY - 3), -7);
    }
}

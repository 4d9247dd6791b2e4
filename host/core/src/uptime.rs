//! Uptime over the last hour, day and week. Time that nobody watched is unknown, not up.

use std::collections::VecDeque;

use crate::health::Verdict;
use crate::time::{Span, Time};

/// Width and number of the buckets of each window: 60 × 1 min, 96 × 15 min, 168 × 1 h.
const WINDOWS: [(u64, u64); 3] = [(60_000, 60), (900_000, 96), (3_600_000, 168)];

#[derive(Debug, Clone, Copy)]
struct Bucket {
    index: u64,
    up_ms: u64,
    seen_ms: u64,
}

/// What was seen in three windows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uptime {
    last: Option<Time>,
    windows: [VecDeque<Bucket>; 3],
}

impl Uptime {
    /// Hears a verdict about the time since the one before, unless that is longer ago than `reach`.
    pub(crate) fn hear(&mut self, at: Time, verdict: Verdict, reach: Span) {
        let before = self.last.replace(at);
        let up = match verdict {
            Verdict::Pass | Verdict::Warn => true,
            Verdict::Fail => false,
            Verdict::Unknown => return,
        };
        let Some(before) = before.filter(|before| at.since(*before) <= reach) else { return };
        for (window, (width, count)) in self.windows.iter_mut().zip(WINDOWS) {
            let oldest = (at.0 / width + 1).saturating_sub(count);
            add(window, width, before.0.max(oldest * width), at.0, up);
            while window.front().is_some_and(|bucket| bucket.index < oldest) {
                window.pop_front();
            }
        }
    }

    /// What lies between now and the next verdict was not watched: one life ended, and another begins.
    pub(crate) fn pause(&mut self) {
        self.last = None;
    }

    /// Thousandths of the watched time of the last hour, day and week in which it was up; `None` where nothing was watched.
    pub(crate) fn permille(&self, now: Time) -> [Option<u32>; 3] {
        let mut shares = [None; 3];
        for ((share, window), (width, count)) in shares.iter_mut().zip(&self.windows).zip(WINDOWS) {
            let oldest = (now.0 / width + 1).saturating_sub(count);
            let recent = window.iter().filter(|bucket| bucket.index >= oldest);
            let (up, seen) = recent.fold((0, 0), |(up, seen), bucket| (up + bucket.up_ms, seen + bucket.seen_ms));
            *share = (seen > 0).then(|| u32::try_from(up * 1000 / seen).unwrap_or(1000));
        }
        shares
    }
}

fn add(window: &mut VecDeque<Bucket>, width: u64, mut from: u64, to: u64, up: bool) {
    while from < to {
        let index = from / width;
        let part = to.min((index + 1).saturating_mul(width)) - from;
        if window.back().is_none_or(|bucket| bucket.index != index) {
            window.push_back(Bucket { index, up_ms: 0, seen_ms: 0 });
        }
        let bucket = window.back_mut().expect("one was pushed if there was none");
        bucket.seen_ms += part;
        bucket.up_ms += if up { part } else { 0 };
        from += part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_unknown_and_not_up() {
        let mut uptime = Uptime::default();
        let reach = Span::secs(65);
        for at in [0, 30, 60, 90] {
            uptime.hear(Time(at * 1000), Verdict::Pass, reach);
        }
        uptime.hear(Time(1_200_000), Verdict::Pass, reach);
        uptime.hear(Time(1_230_000), Verdict::Fail, reach);
        assert_eq!(uptime.permille(Time(1_230_000)), [Some(750), Some(750), Some(750)]);
        assert_eq!(uptime.permille(Time(1_230_000 + 2 * 3_600_000)), [None, Some(750), Some(750)]);
    }

    #[test]
    fn a_reach_of_years_at_the_end_of_time_is_no_work() {
        let mut uptime = Uptime::default();
        uptime.hear(Time(u64::MAX - 10_000 * 86_400_000), Verdict::Pass, Span(u64::MAX));
        uptime.hear(Time(u64::MAX), Verdict::Pass, Span(u64::MAX));
        assert_eq!(uptime.permille(Time(u64::MAX)), [Some(1000); 3]);
    }

    #[test]
    fn a_week_of_checks_stays_small() {
        let mut uptime = Uptime::default();
        for n in 0..(8 * 24 * 120) {
            uptime.hear(Time(n * 30_000), Verdict::Pass, Span::secs(65));
        }
        assert!(uptime.windows.iter().zip(WINDOWS).all(|(window, (_, count))| window.len() as u64 <= count));
    }
}

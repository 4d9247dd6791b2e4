//! A bucket that fills by itself: how often is too often.

use std::time::{Duration, Instant};

/// So many a second in the long run, and so many at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) at_once: f64,
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    left: f64,
    since: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket { left: rate.at_once, since: now }
    }

    /// Takes one out, or says when there will be one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.take_some(1.0, rate, now)
    }

    /// Takes so many out at once, at most what goes in, or none and says when there will be so many.
    pub(crate) fn take_some(&mut self, number: f64, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.left = (self.left + now.saturating_duration_since(self.since).as_secs_f64() * rate.per_second).min(rate.at_once);
        self.since = now;
        if self.left >= number {
            self.left -= number;
            return Ok(());
        }
        Err(Duration::from_secs_f64((number - self.left) / rate.per_second))
    }

    /// Would it be full now? Then it need not be kept.
    pub(crate) fn is_full(&self, rate: Rate, now: Instant) -> bool {
        self.left + now.saturating_duration_since(self.since).as_secs_f64() * rate.per_second >= rate.at_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_given_and_then_only_what_comes_in() {
        let rate = Rate { per_second: 10.0, at_once: 3.0 };
        let start = Instant::now();
        let mut bucket = Bucket::full(rate, start);
        assert!((0..3).all(|_| bucket.take(rate, start).is_ok()));
        let wait = bucket.take(rate, start).expect_err("it is empty");
        assert!(wait > Duration::from_millis(99) && wait < Duration::from_millis(101), "{wait:?}");
        let later = start + Duration::from_millis(101);
        assert!(bucket.take(rate, later).is_ok() && bucket.take(rate, later).is_err());
        assert!(!bucket.is_full(rate, later) && bucket.is_full(rate, later + Duration::from_secs(1)));
        assert!(bucket.take(rate, start).is_err(), "a clock that stands still gives nothing");
    }
}

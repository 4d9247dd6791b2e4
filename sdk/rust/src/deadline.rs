//! Waiting on WASI's pollables, and not a moment too long.

use std::time::Duration;
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{self, Pollable};

/// A point in time that waits end at.
pub struct Deadline {
    started: u64,
    limit: Duration,
    over: Pollable,
}

impl Deadline {
    /// `limit` from now, less a little (5 %, at most 100 ms): the host ends the call itself when the limit is over, and a
    /// check wants to say before that that its target was too slow.
    pub fn within(limit: Duration) -> Self {
        let margin = (limit / 20).min(Duration::from_millis(100));
        let over = monotonic_clock::subscribe_duration(nanos(limit - margin));
        Self { started: monotonic_clock::now(), limit, over }
    }

    /// Waits for something, or the deadline: true when it is ready, false when time is over.
    pub fn wait(&self, ready: &Pollable) -> bool {
        poll::poll(&[ready, &self.over]).contains(&0)
    }

    /// Since this deadline was made.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now().saturating_sub(self.started))
    }

    /// The limit it was made with, for messages.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

/// Nanoseconds, at most what WASI can say.
pub fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

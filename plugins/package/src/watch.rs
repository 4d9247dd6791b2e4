//! Waiting between two looks.

use hostler_sdk::deadline::{Deadline, nanos};
use hostler_sdk::host::context;
use std::time::Duration;
use wasip2::clocks::monotonic_clock;

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(250);

/// What a call keeps for what follows when its time is over.
const MARGIN: Duration = Duration::from_secs(10);

/// A point in time, and before it pauses.
pub(crate) struct Until {
    deadline: Deadline,
}

impl Until {
    /// So long from now, and never longer than the call has without its margin.
    pub(crate) fn within(limit: Duration) -> Self {
        Self { deadline: Deadline::within(limit.min(context::remaining().saturating_sub(MARGIN))) }
    }

    /// Waits a little: true when there is time for another look.
    pub(crate) fn pause(&self) -> bool {
        self.deadline.wait(&monotonic_clock::subscribe_duration(nanos(PAUSE))) && self.deadline.elapsed() < self.deadline.limit()
    }
}

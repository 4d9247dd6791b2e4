//! Waiting for something to hold.

use std::time::{Duration, Instant};

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);
/// Far longer than anything takes that works: a loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until it holds.
///
/// # Panics
/// When it does not within half a minute; `what` says what was waited for.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(()));
}

/// Looks until there is something, and hands it out.
///
/// # Panics
/// When there is nothing within half a minute; `what` says what was waited for.
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", PATIENCE.as_secs());
        std::thread::sleep(PAUSE);
    }
}

//! Waiting for something to hold.

use std::time::{Duration, Instant};

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);
/// Far longer than anything takes that works: a loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until it holds.
///
/// # Panics
/// When it does not within a minute; `what` says what was waited for.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(()));
}

/// Looks until nothing is in the way any more.
///
/// # Panics
/// When something still is after a minute; it says what.
#[track_caller]
pub fn until_nothing(what: &str, mut look: impl FnMut() -> Option<String>) {
    look_until(PATIENCE, what, || look().map_or(Ok(()), Err));
}

/// Looks until there is something, and hands it out.
///
/// # Panics
/// When there is nothing within a minute; `what` says what was waited for.
#[track_caller]
pub fn until_some<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_some_within(PATIENCE, what, look)
}

/// The same for what may take longer: a compiler, an interpreter's first load.
///
/// # Panics
/// When there is nothing within that time; `what` says what was waited for.
#[track_caller]
pub fn until_some_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    look_until(patience, what, || look().ok_or_else(String::new))
}

/// The one loop of all: looks, and between two looks pauses; who looks says what is in the way.
#[track_caller]
fn look_until<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) => {
                let why = if why.is_empty() { why } else { format!("; {why}") };
                assert!(Instant::now() < deadline, "waited {} s in vain: {what}{why}", patience.as_secs());
            }
        }
        std::thread::sleep(PAUSE);
    }
}

//! Small faults, one behind each invariant, which the simulator must find. They are compiled only with the feature `planted`, and then
//! one is chosen by its number at run time.

use std::sync::atomic::{AtomicU64, Ordering};

static CHOSEN: AtomicU64 = AtomicU64::new(0);
static WALL: AtomicU64 = AtomicU64::new(0);

/// From now on this fault is there; 0 is none.
pub fn choose(number: u64) {
    CHOSEN.store(number, Ordering::SeqCst);
}

/// What the wall's clock shows, for the fault that looks at it.
pub fn set_wall_ms(ms: u64) {
    WALL.store(ms, Ordering::SeqCst);
}

pub(crate) fn is(number: u64) -> bool {
    CHOSEN.load(Ordering::Relaxed) == number
}

pub(crate) fn wall_ms() -> u64 {
    WALL.load(Ordering::Relaxed)
}

//! A small fault behind the promise that a gap is said, which the simulator must find. It is compiled only with the feature `planted`,
//! and then chosen by its number at run time.

use std::sync::atomic::{AtomicU64, Ordering};

static CHOSEN: AtomicU64 = AtomicU64::new(0);

/// From now on this fault is there; 0 is none.
pub fn choose(number: u64) {
    CHOSEN.store(number, Ordering::SeqCst);
}

pub(crate) fn is(number: u64) -> bool {
    CHOSEN.load(Ordering::Relaxed) == number
}

//! The power is cut wherever it can be.

use std::path::Path;

use hostler_disk::{cut_everywhere, live, scratch};

/// The binary makes more of them.
const IMAGES: usize = 1500;
/// The binary takes others.
const SEED: u64 = 1;

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let place = scratch().unwrap();
    let (trace, history) = live(place.path(), SEED).unwrap();
    let keep = Path::new(env!("CARGO_TARGET_TMPDIR")).join("power-cuts");
    let report = cut_everywhere(&trace, &history, IMAGES, SEED, Some(&keep));
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    assert!(report.images >= 1000, "a cut can leave more than {} images of {} operations", report.images, trace.len());
}

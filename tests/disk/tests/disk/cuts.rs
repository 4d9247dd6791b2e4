//! The power is cut wherever it can be.

use std::path::Path;
use std::time::SystemTime;

use hostler_disk::{cut_everywhere, live, scratch};

/// The binary makes more of them.
const IMAGES: usize = 1500;

#[test]
fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    println!("seed {seed}");
    let place = scratch().unwrap();
    let (trace, history) = live(place.path(), seed).unwrap();
    let keep = Path::new(env!("CARGO_TARGET_TMPDIR")).join("power-cuts");
    let report = cut_everywhere(&trace, &history, IMAGES, seed, Some(&keep));
    assert!(report.failures.is_empty(), "seed {seed}: {:#?}", report.failures);
    assert!(report.images >= 1000, "a cut can leave more than {} images of {} operations", report.images, trace.len());
}

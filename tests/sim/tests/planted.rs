//! A fault is planted behind each invariant, and found. Only with the feature `planted`: `make sim-planted`.

#![cfg(feature = "planted")]

use hostler_sim::{Size, Story, play_twice};

/// Within so many seeds each fault is found.
const WITHIN: u64 = 200;

/// One test for all: the fault is chosen for the whole process.
#[test]
fn every_planted_fault_is_found() {
    let mut table = String::new();
    for fault in 1..=14 {
        hostler_core::planted::choose(fault);
        hostler_store::planted::choose(fault);
        let found = (1_000..1_000 + WITHIN).find_map(|seed| Some((seed, play_twice(&Story::new(seed, Size::default())).violation?)));
        let Some((seed, violation)) = found else { panic!("{table}fault {fault} is not found within {WITHIN} seeds") };
        table += &format!("fault {fault:>2}, seed {seed}: {violation}\n");
    }
    println!("{table}");
}

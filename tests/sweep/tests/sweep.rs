//! Every failpoint, and none of them in the product.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use hostler_failpoint::POINTS;

/// A hostler that was built with its failpoints: what `HOSTLER_FAILPOINTS_BIN` names, else what `make sweep` built.
fn with_failpoints() -> PathBuf {
    let named = std::env::var_os("HOSTLER_FAILPOINTS_BIN").map(PathBuf::from);
    let path = named.unwrap_or_else(|| hostler_e2e::root().join("target/release/hostler-failpoints"));
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}: run `make sweep`", path.display()))
}

#[test]
fn nobody_dies_in_vain_wherever_it_is() {
    let mut sweep = Command::new(env!("CARGO_BIN_EXE_hostler-sweep"));
    // What it passes over, it says there.
    sweep.env("HOSTLER_BIN", with_failpoints()).stderr(Stdio::inherit());
    let output = sweep.output().expect("it was built beside this");
    let said = String::from_utf8_lossy(&output.stdout);
    // Of 350 lines those that matter: whoever sees only a part of the output sees why.
    let broken: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ") && !line.is_empty()).collect();
    println!("{}", broken.last().unwrap_or(&"it said nothing"));
    assert!(output.status.success(), "{}", broken.join("\n"));
}

#[test]
fn the_product_knows_no_failpoint() {
    let named = |path: &std::path::Path| {
        let program = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let words = ["host.", "store.", "keeper.", "HOSTLER_FAILPOINT"];
        let places = (0..program.len()).map(|at| &program[at..]).filter(|rest| words.iter().any(|word| rest.starts_with(word.as_bytes())));
        let places: Vec<&[u8]> = places.collect();
        let is_there = |text: &&&str| places.iter().any(|rest| rest.starts_with(text.as_bytes()));
        [POINTS, &["HOSTLER_FAILPOINT"]].concat().iter().filter(is_there).map(|text| text.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(named(hostler_e2e::program()), Vec::<String>::new());
    assert_eq!(named(&with_failpoints()).len(), POINTS.len() + 1, "the same search finds all of them where they are");
}

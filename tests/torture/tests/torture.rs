//! A hundred kills, the same wishes every time; `make torture` plays a thousand, and others each time.

use std::process::Command;

#[test]
fn a_hundred_kills_cost_nothing() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_hostler-torture")).args(["--kills", "100", "--seed", "7"]).output().expect("it was built beside this");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}

//! A hundred kills, the same wishes every time, and ten thousand restarts; `make torture` plays a thousand kills, and others each time.

use std::process::Command;

#[test]
fn a_hundred_kills_cost_nothing() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_hostler-torture")).args(["--kills", "100", "--seed", "7"]).output().expect("it was built beside this");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}

#[test]
fn ten_thousand_restarts_leave_nothing_behind() {
    let output = Command::new(env!("CARGO_BIN_EXE_hostler-torture")).args(["--restarts", "10000"]).output().expect("it was built beside this");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}

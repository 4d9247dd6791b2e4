//! The three examples, each with a host of its own.

use std::path::PathBuf;
use std::process::Command;

use hostler_e2e::{Ran, Yard, program, until};

/// Cargo builds examples beside the tests.
fn example(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("this program is somewhere");
    let built = here.ancestors().nth(2).expect("it is in deps/ of the profile").join("examples").join(name);
    assert!(built.exists(), "{} is missing", built.display());
    built
}

#[track_caller]
fn plays(name: &str) {
    let yard = Yard::bare();
    let ran = Ran::of(Command::new(example(name)).arg(yard.state()).env("HOSTLER_BIN", program()));
    let said = ran.ok();
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["started db", "started web", "web is unknown", "deployed db: succeeded", "without db, web is pending"]
    );
    until("the host it started has ended, with everything of it", || yard.processes().is_empty());
}

#[test]
fn it_works_under_tokio() {
    plays("tokio");
}

#[test]
fn it_works_under_smol() {
    plays("smol");
}

#[test]
fn it_works_under_no_executor() {
    plays("block_on");
}

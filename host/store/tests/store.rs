//! The store against its promises: the contract, the disk's moods, damaged files, and the operator's view.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "store/conformance.rs"]
mod conformance;
#[path = "store/durability.rs"]
mod durability;
#[path = "store/full.rs"]
mod full;
#[path = "store/refusals.rs"]
mod refusals;
#[path = "store/view.rs"]
mod view;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_store::{Outcome, Store, Txn};

/// Names the directory in which a child process plays its part.
const STAGE: &str = "HOSTLER_STORE_STAGE";

/// Arguments with which this test binary plays one part, a test that does nothing unless it has a stage.
fn part(name: &str) -> [String; 3] {
    [name.to_owned(), "--exact".to_owned(), "--nocapture".to_owned()]
}

/// This test binary as a child process that plays one part.
fn child(name: &str, stage: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(part(name)).env(STAGE, stage);
    command
}

fn stage() -> Option<PathBuf> {
    env::var_os(STAGE).map(PathBuf::from)
}

fn commit(store: &dyn Store, txn: Txn) -> u64 {
    match store.txn(txn).unwrap() {
        Outcome::Committed { revision, .. } => revision,
        other => panic!("expected a commit, got {other:?}"),
    }
}

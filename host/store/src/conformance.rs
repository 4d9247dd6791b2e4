//! What every engine must do: run it against yours.
//!
//! Each story is a fact about [`Store`], told on a fresh store. After the stories the engine and [`Memory`] take the same
//! random walk and must answer alike at every step; the seed is part of every message.
//!
//! ```no_run
//! # use hostler_store::{Memory, conformance};
//! conformance::run(|| Box::new(Memory::new()));
//! ```

// A conformance suite speaks by panicking.
#![allow(clippy::unwrap_used)]

mod events;
mod keys;
mod leases;
mod random;
mod snapshots;
mod watches;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Memory, Outcome, Store, Txn};

/// Steps of one random walk.
const STEPS: u32 = 400;

/// Tells every story and takes a few random walks.
///
/// # Panics
/// When the engine does not do what the contract says.
pub fn run(make: impl Fn() -> Box<dyn Store>) {
    let stories = [keys::STORIES, events::STORIES, leases::STORIES, watches::STORIES, snapshots::STORIES].concat();
    for story in stories {
        story(&*make());
    }
    for seed in 1..=6 {
        compare(&*make(), &Memory::new(), seed, STEPS);
    }
}

/// Takes one random walk with two new stores.
///
/// # Panics
/// When they do not answer alike.
pub fn compare(left: &dyn Store, right: &dyn Store, seed: u64, steps: u32) {
    random::walk(left, right, seed, steps);
}

type Story = fn(&dyn Store);

/// Commits, and tells the revision.
fn commit(store: &dyn Store, txn: Txn) -> u64 {
    match store.txn(txn).expect("the store works") {
        Outcome::Committed { revision, .. } => revision,
        other => panic!("expected a commit, got {other:?}"),
    }
}

/// The keys under a prefix.
fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    let entries = store.range(prefix, None, usize::MAX).expect("the store works");
    entries.into_iter().map(|(key, _)| key).collect()
}

/// A directory that goes away again.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("hostler-conformance-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the directory for temporary files can be written");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

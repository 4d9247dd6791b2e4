//! Every input that was kept goes through its target again: what was found once stays found.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hostler_fuzz::{TARGETS, Target};

/// A corpus is for reaching code, not for keeping everything: small enough to be played in seconds, and to lie in a repository.
const MOST_FILES: usize = 200;
const MOST_BYTES: u64 = 2 << 20;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus().join(target)).unwrap_or_else(|error| panic!("target {target} has no corpus: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// The files of a target that break its promises.
fn broken(name: &str, target: Target) -> Vec<PathBuf> {
    let breaks = |file: &PathBuf| {
        let data = fs::read(file).expect("readable");
        catch_unwind(AssertUnwindSafe(|| target(&data))).is_err()
    };
    files(name).into_iter().filter(breaks).collect()
}

#[test]
fn every_input_that_was_kept_keeps_every_promise() {
    let broken: Vec<PathBuf> = TARGETS.iter().flat_map(|(name, target)| broken(name, *target)).collect();
    assert!(broken.is_empty(), "the panics above are of {broken:#?}");
}

#[test]
fn the_corpus_is_small_and_belongs_to_somebody() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let there: BTreeSet<String> =
        fs::read_dir(corpus()).expect("readable").map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(there, known, "a folder for each target, and none beside them");
    let mut bytes = 0;
    for name in &known {
        let files = files(name);
        assert!((1..=MOST_FILES).contains(&files.len()), "{name} has {} files", files.len());
        bytes += files.iter().map(|file| file.metadata().expect("readable").len()).sum::<u64>();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes in all");
}

/// Without this, a replay that looks at nothing would pass too.
#[test]
fn a_target_that_panics_is_noticed() {
    fn planted(data: &[u8]) {
        assert!(!data.starts_with(b"0"), "planted");
    }
    assert!(!broken("spec", planted).is_empty());
}

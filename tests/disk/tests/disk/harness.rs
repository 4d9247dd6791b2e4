//! A harness that finds nothing proves nothing: it sees every operation, and it finds what is broken.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use hostler_disk::disk::{Op, files_named};
use hostler_disk::history::{History, Note, Promise};
use hostler_disk::image::{Image, Left, Platter};
use hostler_disk::random::Random;
use hostler_disk::verify::{LOG, SNAPSHOT, STORE, verify};
use hostler_disk::{cut_everywhere, live, scratch};
use rusqlite::Connection;
use tempfile::TempDir;

/// Which of several promises an image breaks first is up to chance; cutting ends after a few.
const CHANCES: u64 = 20;

#[test]
fn the_trace_played_again_is_the_directory() {
    let (place, trace, history) = life();
    let mut platter = Platter::new(&trace);
    (0..trace.len()).for_each(|at| platter.play(at));
    let image = platter.image(Left::Everything, &mut Random::new(1));
    let found = fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().path());
    let found = found.filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
    let found: BTreeMap<_, _> =
        found.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), Arc::new(fs::read(path).unwrap()))).collect();
    assert!(image.files == found, "{:?} and {:?}", image.files.keys(), found.keys());
    assert!(found.contains_key(STORE) && found.contains_key(SNAPSHOT));
    // What a life should have, so that there is something to cut.
    let count = |wanted: fn(&Op) -> bool| trace.iter().filter(|op| wanted(op)).count();
    assert!(count(|op| matches!(op, Op::Rename { .. })) > 4 && count(|op| matches!(op, Op::SyncDirectory)) > 4);
    assert!(files_named(&trace, LOG).len() >= 4);
    assert!(history.revision() > 300);
}

#[test]
fn a_disk_that_lies_about_the_log_is_found_out() {
    let (_, trace, history) = life();
    let logs = files_named(&trace, LOG);
    let lied = without(&trace, |_, op| matches!(op, Op::Sync { inode } if logs.contains(inode)));
    expect_failure(&lied, &history, "was acknowledged, and");
}

#[test]
fn a_disk_that_lies_about_the_database_is_found_out() {
    let (_, trace, history) = life();
    let database = files_named(&trace, STORE);
    // Its creation is honest: what is lost are checkpoints, after which the log is written over.
    let first = trace.iter().position(|op| matches!(op, Op::Note(_))).unwrap();
    let lied = without(&trace, |at, op| at > first && matches!(op, Op::Sync { inode } if database.contains(inode)));
    expect_failure(&lied, &history, "the store does not open");
}

#[test]
fn a_disk_that_lies_about_names_is_found_out() {
    let (_, trace, history) = life();
    // The store's names and the snapshot's, each alone: where both are gone only one of them is told.
    let lied = without(&trace, |_, op| matches!(op, Op::SyncDirectory | Op::Note(Note::Snapshot(_))));
    expect_failure(&lied, &history, "was acknowledged, and");
    let is_other = |note: &Note| !matches!(note, Note::Snapshot(_));
    let lied = without(&trace, |_, op| matches!(op, Op::SyncDirectory) || matches!(op, Op::Note(note) if is_other(note)));
    expect_failure(&lied, &history, "the acknowledged snapshot of revision");
}

#[test]
fn an_acknowledgement_before_its_sync_is_found_out() {
    let (_, mut trace, history) = life();
    // Each acknowledgement is moved before the sync that it should have waited for.
    for at in 1..trace.len() {
        if matches!(trace[at], Op::Note(Note::Committed(_))) && matches!(trace[at - 1], Op::Sync { .. }) {
            trace.swap(at - 1, at);
        }
    }
    expect_failure(&trace, &history, "was acknowledged, and");
}

#[test]
fn a_transaction_that_is_there_by_half_is_found_out() {
    let (_, trace, history) = life();
    let mut platter = Platter::new(&trace);
    let mut promise = Promise::default();
    for (at, op) in trace.iter().enumerate() {
        platter.play(at);
        if let Op::Note(note) = op {
            promise.hear(*note);
        }
    }
    let image = platter.image(Left::Everything, &mut Random::new(1));
    let after = |sql: &str| {
        let place = scratch().unwrap();
        image.write(place.path()).unwrap();
        Connection::open(place.path().join(STORE)).unwrap().execute_batch(sql).unwrap();
        verify(place.path(), &history, &promise)
    };
    let check = |sql: &str, reason: &str| {
        let found = after(sql).expect_err(sql);
        assert!(found.contains(reason), "{sql}: {found}");
    };
    after("").unwrap();
    check("UPDATE meta SET revision = revision - 1", "was acknowledged, and");
    check("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", "events end at");
    check("UPDATE events SET subject = 'else' WHERE seq = (SELECT max(seq) FROM events)", "are not those that were told");
    check("DELETE FROM events WHERE seq < (SELECT max(seq) - 10 FROM events)", "events begin at");
    check("DELETE FROM entries WHERE key = 'held'", "the store does not open");
    check(&format!("DELETE FROM entries WHERE key = 'held'; UPDATE meta SET digest = {}", digest_without_held(&image)), "is not as it was committed");
    check("UPDATE leases SET epoch = epoch - 1", "the lease is");
    check("DELETE FROM replies WHERE revision = (SELECT max(revision) FROM replies)", "repeated");
}

/// What the engine would have written down, had it lost the key itself.
fn digest_without_held(image: &Image) -> i64 {
    let place = scratch().unwrap();
    image.write(place.path()).unwrap();
    let store = Connection::open(place.path().join(STORE)).unwrap();
    let ask = |sql| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    ask("SELECT digest FROM meta").wrapping_sub(ask("SELECT digest FROM entries WHERE key = 'held'"))
}

/// A life; its directory is as it was left.
fn life() -> (TempDir, Vec<Op>, History) {
    let place = scratch().unwrap();
    let (trace, history) = live(place.path(), 1).unwrap();
    (place, trace, history)
}

/// The trace without the syncs that only said they were.
fn without(trace: &[Op], is_lie: impl Fn(usize, &Op) -> bool) -> Vec<Op> {
    let honest: Vec<Op> = trace.iter().enumerate().filter(|(at, op)| !is_lie(*at, op)).map(|(_, op)| op.clone()).collect();
    assert!(honest.len() < trace.len(), "there is nothing to lie about");
    honest
}

fn expect_failure(trace: &[Op], history: &History, reason: &str) {
    let mut found = Vec::new();
    for seed in 1..=CHANCES {
        found = cut_everywhere(trace, history, 1000, seed, None).failures;
        if found.iter().any(|failure| failure.reason.contains(reason)) {
            return;
        }
    }
    panic!("{CHANCES} times no failure said {reason:?}; the last time: {found:?}");
}

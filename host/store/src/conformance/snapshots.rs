//! Snapshots, and what a restore may not undo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{Scratch, Story, commit, keys};
use crate::{LeaseAnswer, NewEvent, Next, Outcome, Store, StoreError, Txn};

pub(super) const STORIES: &[Story] = &[brings_back_what_was, never_turns_counters_back, refuses_what_is_no_snapshot];

fn event() -> NewEvent {
    NewEvent::new("kind", "subject", 1, "1")
}

fn brings_back_what_was(store: &dyn Store) {
    let scratch = Scratch::new();
    commit(store, Txn::new().put("a", *b"1").put("gone", *b"1").once("first").emit(event()));
    commit(store, Txn::new().delete("gone").put("b", vec![0, 255, 7]).emit(event()));
    let before = (store.range("", None, 99).unwrap(), store.events(0, 99).unwrap());
    let file = scratch.file("snapshot");
    fs::write(&file, "an older file of that name").unwrap();
    store.snapshot(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing else is left in the directory");

    commit(store, Txn::new().put("a", *b"9").delete("b").put("new", *b"9"));
    store.restore(&file).unwrap();
    assert_eq!((store.range("", None, 99).unwrap(), store.events(0, 99).unwrap()), before);
    assert_eq!(commit(store, Txn::new().once("first").put("a", *b"other")), 1, "idempotency keys come back too");
}

fn never_turns_counters_back(store: &dyn Store) {
    let scratch = Scratch::new();
    let file = scratch.file("snapshot");
    commit(store, Txn::new().put("a", *b"1").emit(event()));
    store.snapshot(&file).unwrap();
    let LeaseAnswer::Granted(lease) = store.acquire_lease("host", "me", 10, 0).unwrap() else { panic!("the lease is free") };
    commit(store, Txn::new().put("b", *b"2").emit(event()).emit(event()));
    let mut watch = store.watch("", 2).unwrap();

    store.restore(&file).unwrap();
    assert_eq!(watch.next(Duration::from_secs(20)), Next::Ended);
    assert!(store.watch("", 2).unwrap().gap(), "what was undone cannot be told as changes");
    assert_eq!((keys(store, ""), store.revision().unwrap()), (vec!["a".to_owned()], 3));
    let outcome = store.txn(Txn::new().fenced_by("host", lease.epoch).emit(event())).unwrap();
    assert_eq!(outcome, Outcome::Committed { revision: 4, first_event: Some(4) }, "the lease is still held, and 2 and 3 were given");
    let page = store.events(0, 99).unwrap();
    assert_eq!((page.events.len(), page.gap, page.next), (1, false, 1), "a page ends before a hole");
    let page = store.events(1, 99).unwrap();
    assert_eq!((page.events[0].seq, page.gap, page.next), (4, true, 4));
}

fn refuses_what_is_no_snapshot(store: &dyn Store) {
    let scratch = Scratch::new();
    commit(store, Txn::new().put("a", *b"1"));
    let (missing, wrong) = (scratch.file("missing"), scratch.file("wrong"));
    fs::write(&wrong, "not a snapshot").unwrap();
    for file in [&missing, &wrong] {
        let refusal = store.restore(file).expect_err("it is no snapshot");
        assert!(matches!(refusal, StoreError::Snapshot { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains(&file.display().to_string()), "{refusal}");
    }
    assert!(store.snapshot(&scratch.file("no/such/directory")).is_err());
    assert_eq!((keys(store, ""), store.revision().unwrap()), (vec!["a".to_owned()], 1));
}

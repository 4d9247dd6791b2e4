//! Watches: every commit, whole and in order.

use std::time::Duration;

use super::{Story, commit};
use crate::{Batch, Next, Retention, Store, Txn, Watch};

pub(super) const STORIES: &[Story] = &[
    sees_each_commit_whole_and_in_order,
    starts_with_what_happened_since,
    misses_nothing_while_others_write,
    tells_forgotten_deletions,
    cuts_off_who_does_not_listen,
];

/// Long enough for any machine; a passing test never waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

fn batch(watch: &mut Watch) -> Batch {
    match watch.next(DEADLINE) {
        Next::Batch(batch) => batch,
        other => panic!("expected a commit, got {other:?}"),
    }
}

/// `3: a=x b-`
fn shown(batch: &Batch) -> String {
    let change = |change: &crate::Change| match &change.value {
        Some(value) => format!(" {}={}", change.key, String::from_utf8_lossy(value)),
        None => format!(" {}-", change.key),
    };
    format!("{}:", batch.revision) + &batch.changes.iter().map(change).collect::<String>()
}

fn sees_each_commit_whole_and_in_order(store: &dyn Store) {
    let mut watch = store.watch("s/", 0).unwrap();
    assert!(!watch.gap());
    commit(store, Txn::new().put("s/b", *b"1").put("other", *b"1").put("s/a", *b"1").put("s/b", *b"2"));
    commit(store, Txn::new().put("other", *b"2"));
    commit(store, Txn::new().delete("s/never").once("twice").delete("s/a"));
    commit(store, Txn::new().once("twice").put("s/z", *b""));
    commit(store, Txn::new().put("s/c", *b"3"));
    assert_eq!(shown(&batch(&mut watch)), "1: s/a=1 s/b=2");
    assert_eq!(shown(&batch(&mut watch)), "3: s/a-");
    assert_eq!(shown(&batch(&mut watch)), "4: s/c=3");
    assert_eq!(watch.next(Duration::ZERO), Next::Quiet);
}

fn starts_with_what_happened_since(store: &dyn Store) {
    commit(store, Txn::new().put("s/a", *b"1").put("s/b", *b"1"));
    commit(store, Txn::new().put("s/c", *b"2").put("t", *b"2"));
    commit(store, Txn::new().delete("s/a").put("s/d", *b"3"));
    let mut since = store.watch("s/", 1).unwrap();
    let mut fresh = store.watch("s/", 0).unwrap();
    let mut now = store.watch("s/", 3).unwrap();
    commit(store, Txn::new().put("s/b", *b"4"));
    let all = |watch: &mut Watch, count| (0..count).map(|_| shown(&batch(watch))).collect::<Vec<_>>();
    assert_eq!(all(&mut since, 3), ["2: s/c=2", "3: s/a- s/d=3", "4: s/b=4"]);
    assert_eq!(all(&mut fresh, 4), ["1: s/b=1", "2: s/c=2", "3: s/d=3", "4: s/b=4"]);
    assert_eq!(all(&mut now, 1), ["4: s/b=4"]);
    assert!(!since.gap() && !fresh.gap() && !now.gap());
}

fn misses_nothing_while_others_write(store: &dyn Store) {
    const COMMITS: u64 = 60;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=COMMITS {
                assert_eq!(commit(store, Txn::new().put(format!("k{number}"), *b"")), number);
            }
        });
        for _ in 0..4 {
            let mut watch = store.watch("", 0).unwrap();
            let revisions: Vec<u64> = (1..=COMMITS).map(|_| batch(&mut watch).revision).collect();
            assert_eq!(revisions, (1..=COMMITS).collect::<Vec<_>>());
        }
    });
}

fn tells_forgotten_deletions(store: &dyn Store) {
    commit(store, Txn::new().put("a", *b"1").put("b", *b"1"));
    commit(store, Txn::new().delete("a"));
    commit(store, Txn::new().put("c", *b"3"));
    store.compact(Retention { events: 0, deletions: 2 }).unwrap();
    assert!(!store.watch("", 1).unwrap().gap(), "the deletion at 2 is still known");
    store.compact(Retention { events: 0, deletions: 1 }).unwrap();
    assert!(!store.watch("", 2).unwrap().gap());
    let mut watch = store.watch("", 1).unwrap();
    assert!(watch.gap());
    assert_eq!([batch(&mut watch), batch(&mut watch)].map(|batch| shown(&batch)), ["1: b=1", "3: c=3"], "it starts with all that exists");
    assert!(store.watch("", 4).unwrap().gap(), "a revision of another history");
    assert!(!store.watch("", 0).unwrap().gap(), "who knows nothing misses nothing");
}

fn cuts_off_who_does_not_listen(store: &dyn Store) {
    let mut idle = store.watch("", 0).unwrap();
    let (told, outcomes) = std::sync::mpsc::channel();
    for number in 0..3000_u32 {
        let told = told.clone();
        store.submit(Txn::new().put("k", number.to_be_bytes()), Box::new(move |outcome| told.send(outcome).expect("somebody listens")));
    }
    (0..3000).for_each(|_| drop(outcomes.recv().unwrap().unwrap()));
    let mut last = 0;
    loop {
        match idle.next(DEADLINE) {
            Next::Batch(batch) => last = batch.revision,
            Next::Ended => break,
            Next::Quiet => panic!("it was not cut off"),
        }
    }
    assert!(last < 3000);
    let mut again = store.watch("", last).unwrap();
    assert_eq!((again.gap(), batch(&mut again).revision), (false, 3000));
}

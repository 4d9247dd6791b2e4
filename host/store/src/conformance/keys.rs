//! Keys, revisions, compares, idempotency.

use std::sync::mpsc;

use super::{Story, commit, keys};
use crate::txn::limits;
use crate::{Compare, Entry, NewEvent, Outcome, Store, StoreError, Txn};

pub(super) const STORIES: &[Story] = &[
    keeps_the_latest_value_and_its_revision,
    pages_through_a_prefix,
    orders_keys_by_bytes,
    decides_before_it_writes,
    applies_ops_in_order,
    answers_a_repetition_with_the_first_outcome,
    remembers_a_bounded_number_of_repetitions,
    refuses_what_is_malformed,
    commits_in_the_order_of_submission,
    serves_many_threads,
    tells_what_is_written,
];

fn keeps_the_latest_value_and_its_revision(store: &dyn Store) {
    assert_eq!(store.revision().unwrap(), 0);
    assert_eq!(store.get("a").unwrap(), None);
    assert_eq!(commit(store, Txn::new().put("a", *b"1").put("b", *b"")), 1);
    assert_eq!(commit(store, Txn::new().put("a", *b"2")), 2);
    assert_eq!(store.get("a").unwrap(), Some(Entry { value: b"2".to_vec(), revision: 2 }));
    assert_eq!(store.get("b").unwrap(), Some(Entry { value: vec![], revision: 1 }));
    assert_eq!(commit(store, Txn::new().delete("a").delete("never")), 3);
    assert_eq!(store.get("a").unwrap(), None);
    assert_eq!(keys(store, ""), ["b"]);
    assert_eq!(store.revision().unwrap(), 3);
}

fn pages_through_a_prefix(store: &dyn Store) {
    let names = ["s/a", "s/b", "s/c", "s/d", "s/e"];
    commit(store, names.iter().fold(Txn::new().put("r", *b"").put("s", *b"").put("s0", *b""), |txn, name| txn.put(*name, *b"x")));
    commit(store, Txn::new().delete("s/c"));
    let page = |after: Option<&str>, limit| -> Vec<String> { store.range("s/", after, limit).unwrap().into_iter().map(|(key, _)| key).collect() };
    assert_eq!(page(None, 2), ["s/a", "s/b"]);
    assert_eq!(page(Some("s/b"), 2), ["s/d", "s/e"]);
    assert_eq!(page(Some("s/e"), 2), [""; 0]);
    assert_eq!(page(Some("a"), 1), ["s/a"], "a cursor before the prefix starts with the prefix");
    assert_eq!(page(Some("z"), 9), [""; 0], "a cursor after the prefix ends");
    assert_eq!(page(None, 0), [""; 0]);
}

fn orders_keys_by_bytes(store: &dyn Store) {
    let names = ["Z", "a", "a\u{10ffff}", "a\u{10ffff}b", "b", "ä", "\u{d7ff}x", "\u{e000}", "\u{10ffff}"];
    commit(store, names.iter().rev().fold(Txn::new(), |txn, name| txn.put(*name, *b"")));
    assert_eq!(keys(store, ""), names);
    assert_eq!(keys(store, "a"), ["a", "a\u{10ffff}", "a\u{10ffff}b"]);
    assert_eq!(keys(store, "a\u{10ffff}"), ["a\u{10ffff}", "a\u{10ffff}b"]);
    assert_eq!(keys(store, "\u{d7ff}"), ["\u{d7ff}x"]);
    assert_eq!(keys(store, "\u{10ffff}"), ["\u{10ffff}"]);
    assert_eq!(keys(store, "%"), [""; 0], "a prefix is not a pattern");
}

fn decides_before_it_writes(store: &dyn Store) {
    let revision = commit(store, Txn::new().put("a", *b"1"));
    let holds = [Compare::present("a"), Compare::absent("b"), Compare::revision("a", revision), Compare::value("a", *b"1")];
    let breaks = [
        Compare::absent("a"),
        Compare::present("b"),
        Compare::revision("a", revision + 1),
        Compare::revision("b", 0),
        Compare::value("a", *b"2"),
        Compare::value("b", *b""),
    ];
    for broken in breaks {
        let key = broken.key.clone();
        let event = NewEvent::new("never", "a", 0, "null");
        let txn = holds.iter().cloned().fold(Txn::new(), Txn::compare).compare(broken).put("a", *b"9").emit(event);
        assert_eq!(store.txn(txn).unwrap(), Outcome::Conflict { key });
    }
    assert_eq!((store.revision().unwrap(), store.events(0, 9).unwrap().last), (revision, 0));
    assert_eq!(commit(store, holds.into_iter().fold(Txn::new(), Txn::compare).put("a", *b"2")), revision + 1);
}

fn applies_ops_in_order(store: &dyn Store) {
    commit(store, Txn::new().put("a", *b"1").delete("a").put("b", *b"1").put("b", *b"2").delete("c").put("c", *b"3"));
    assert_eq!(keys(store, ""), ["b", "c"]);
    assert_eq!(store.get("b").unwrap().unwrap().value, b"2");
    assert_eq!(commit(store, Txn::new()), 2, "an empty transaction has a revision too");
}

fn answers_a_repetition_with_the_first_outcome(store: &dyn Store) {
    let start = || Txn::new().once("start-7").compare(Compare::absent("a")).put("a", *b"1").emit(NewEvent::new("started", "a", 5, "{}"));
    let first = store.txn(start()).unwrap();
    assert_eq!(first, Outcome::Committed { revision: 1, first_event: Some(1) });
    commit(store, Txn::new().delete("a"));
    assert_eq!(store.txn(start()).unwrap(), first);
    assert_eq!(store.txn(start().fenced_by("nobody", 1)).unwrap(), first, "what was committed was committed");
    assert_eq!(store.get("a").unwrap(), None);
    assert_eq!((store.revision().unwrap(), store.events(0, 9).unwrap().last), (2, 1));
    // A refusal has left nothing behind: the same name may still succeed.
    let refused = || Txn::new().once("start-8").compare(Compare::present("a"));
    assert_eq!(store.txn(refused()).unwrap(), Outcome::Conflict { key: "a".into() });
    commit(store, Txn::new().put("a", *b"2"));
    assert_eq!(store.txn(refused()).unwrap(), Outcome::Committed { revision: 4, first_event: None });
}

fn remembers_a_bounded_number_of_repetitions(store: &dyn Store) {
    let named = |number: u64| Txn::new().once(format!("name-{number}"));
    let count = limits::IDEMPOTENCY_KEYS + 1;
    let (told, outcomes) = mpsc::channel();
    for number in 0..count {
        let told = told.clone();
        store.submit(named(number), Box::new(move |outcome| told.send(outcome).expect("somebody listens")));
    }
    for _ in 0..count {
        outcomes.recv().unwrap().unwrap();
    }
    assert_eq!(commit(store, named(1)), 2, "the newest are remembered");
    assert_eq!(commit(store, named(count - 1)), count);
    assert_eq!(commit(store, named(0)), count + 1, "the oldest is forgotten");
    assert_eq!(commit(store, named(1)), count + 2, "and so is the next oldest now");
}

fn refuses_what_is_malformed(store: &dyn Store) {
    let event = |kind: &str, at, data: &str| Txn::new().emit(NewEvent::new(kind, "s", at, data));
    let malformed = [
        Txn::new().put("", *b"1"),
        Txn::new().put("a\0b", *b"1"),
        Txn::new().put("fine", *b"1").delete("esc\u{1b}[2J"),
        Txn::new().put("k".repeat(limits::NAME_BYTES + 1), *b"1"),
        Txn::new().put("big", vec![0; limits::VALUE_BYTES + 1]),
        Txn::new().once(""),
        event("kind", 0, "{"),
        event("kind", 0, ""),
        event("", 0, "{}"),
        event("kind", u64::MAX, "{}"),
    ];
    for txn in malformed {
        let refusal = store.txn(txn).expect_err("it is malformed");
        assert!(matches!(refusal, StoreError::Invalid(_)), "{refusal}");
    }
    let mut mixed = Txn::new().put("big", vec![0; limits::VALUE_BYTES + 1]).put("fine", *b"1");
    mixed = mixed.emit(NewEvent::new("kind", "s", 0, "{")).emit(NewEvent::new("kind", "s", 0, "{}"));
    assert_eq!(mixed.drop_refused().len(), 2);
    assert_eq!(mixed, Txn::new().put("fine", *b"1").emit(NewEvent::new("kind", "s", 0, "{}")), "what may be stored is left");
    assert!(matches!(store.acquire_lease("", "h", 1, 0), Err(StoreError::Invalid(_))));
    assert!(matches!(store.acquire_lease("l", "\n", 1, 0), Err(StoreError::Invalid(_))));
    assert_eq!(store.revision().unwrap(), 0);
    // The edges themselves are fine.
    commit(store, Txn::new().put("k".repeat(limits::NAME_BYTES), vec![0; 1 << 20]));
}

fn commits_in_the_order_of_submission(store: &dyn Store) {
    let (told, outcomes) = mpsc::channel();
    for number in 1..=500_u64 {
        let told = told.clone();
        // Every third must fail: its neighbours in the group must not notice.
        let compare = if number % 3 == 0 { Compare::absent("last") } else { Compare::present("last") };
        let txn = if number == 1 { Txn::new() } else { Txn::new().compare(compare) };
        let txn = txn.put("last", number.to_string());
        store.submit(txn, Box::new(move |outcome| told.send((number, outcome)).expect("somebody listens")));
    }
    let mut revision = 0;
    for expected in 1..=500_u64 {
        let (number, outcome) = outcomes.recv().unwrap();
        assert_eq!(number, expected);
        if number % 3 == 0 {
            assert_eq!(outcome.unwrap(), Outcome::Conflict { key: "last".into() });
        } else {
            revision += 1;
            assert_eq!(outcome.unwrap(), Outcome::Committed { revision, first_event: None });
        }
    }
    assert_eq!(store.get("last").unwrap().unwrap().value, b"500");
}

fn serves_many_threads(store: &dyn Store) {
    const THREADS: u64 = 8;
    const EACH: u64 = 25;
    // A counter raised by compare and retry loses no increment.
    let raise = || loop {
        let found = store.get("count").unwrap();
        let (count, compare) = match &found {
            Some(entry) => (String::from_utf8(entry.value.clone()).unwrap().parse::<u64>().unwrap(), Compare::revision("count", entry.revision)),
            None => (0, Compare::absent("count")),
        };
        let event = NewEvent::new("raised", "count", 0, (count + 1).to_string());
        match store.txn(Txn::new().compare(compare).put("count", (count + 1).to_string()).emit(event)).unwrap() {
            Outcome::Committed { .. } => break,
            Outcome::Conflict { .. } => {}
            Outcome::Fenced => panic!("there is no fence"),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..EACH).for_each(|_| raise()));
        }
    });
    assert_eq!(store.get("count").unwrap().unwrap().value, (THREADS * EACH).to_string().into_bytes());
    let page = store.events(0, usize::MAX).unwrap();
    assert!(!page.gap);
    assert!(page.events.iter().map(|event| event.data.parse::<u64>().unwrap()).eq(1..=THREADS * EACH));
}

/// Written before it is durable; said at most once, and only of what was committed.
fn tells_what_is_written(store: &dyn Store) {
    let told = |txn: Txn| {
        let (tell, heard) = mpsc::channel();
        let done = tell.clone();
        store.submit_in_steps(txn, Box::new(move || tell.send(None).unwrap()), Box::new(move |outcome| done.send(Some(outcome)).unwrap()));
        heard.into_iter().collect::<Vec<_>>()
    };
    let committed = told(Txn::new().put("k", *b"1"));
    assert!(matches!(committed.last(), Some(Some(Ok(Outcome::Committed { revision: 1, .. })))), "{committed:?}");
    assert!(committed.len() <= 2 && committed[..committed.len() - 1].iter().all(Option::is_none), "{committed:?}");
    let refused = told(Txn::new().compare(Compare::absent("k")).put("k", *b"2"));
    assert!(matches!(refused.as_slice(), [Some(Ok(Outcome::Conflict { .. }))]), "{refused:?}");
    let invalid = told(Txn::new().put("", *b"2"));
    assert!(matches!(invalid.as_slice(), [Some(Err(StoreError::Invalid(_)))]), "{invalid:?}");
}

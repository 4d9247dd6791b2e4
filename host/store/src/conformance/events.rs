//! Events: gap-free numbers, or a gap that is told.

use super::{Story, commit};
use crate::{Event, EventPage, NewEvent, Outcome, Retention, Store, Txn};

pub(super) const STORIES: &[Story] = &[numbers_events_without_a_gap, pages_by_cursor, tells_what_compaction_took, knows_a_cursor_of_another_history];

fn happened(subjects: &[&str]) -> Txn {
    subjects.iter().fold(Txn::new(), |txn, subject| txn.emit(NewEvent::new("happened", *subject, 7, r#"{"x":[1]}"#)))
}

fn sequence(page: &EventPage) -> Vec<u64> {
    page.events.iter().map(|event| event.seq).collect()
}

fn numbers_events_without_a_gap(store: &dyn Store) {
    assert_eq!(store.events(0, 10).unwrap(), EventPage { events: vec![], gap: false, next: 0, last: 0 });
    assert_eq!(store.txn(happened(&["a", "b"])).unwrap(), Outcome::Committed { revision: 1, first_event: Some(1) });
    assert_eq!(store.txn(Txn::new().put("k", *b"")).unwrap(), Outcome::Committed { revision: 2, first_event: None });
    assert_eq!(store.txn(happened(&["c"])).unwrap(), Outcome::Committed { revision: 3, first_event: Some(3) });
    let page = store.events(2, 10).unwrap();
    let third = Event { seq: 3, revision: 3, kind: "happened".into(), subject: "c".into(), at_unix_ms: 7, data: r#"{"x":[1]}"#.into() };
    assert_eq!(page, EventPage { events: vec![third], gap: false, next: 3, last: 3 });
}

fn pages_by_cursor(store: &dyn Store) {
    commit(store, happened(&["e"; 10]));
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        let page = store.events(cursor, 4).unwrap();
        assert!(!page.gap && page.last == 10);
        if page.events.is_empty() {
            assert_eq!(page.next, 10);
            break;
        }
        seen.extend(sequence(&page));
        cursor = page.next;
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    assert_eq!(sequence(&store.events(3, 0).unwrap()), [4], "a page makes progress");
}

fn tells_what_compaction_took(store: &dyn Store) {
    commit(store, happened(&["e"; 10]));
    store.compact(Retention { events: 4, deletions: 0 }).unwrap();
    let page = store.events(2, 2).unwrap();
    assert_eq!((sequence(&page), page.gap, page.next), (vec![7, 8], true, 8));
    let page = store.events(6, 2).unwrap();
    assert_eq!((sequence(&page), page.gap), (vec![7, 8], false), "nothing is missing after 6");
    store.compact(Retention { events: 0, deletions: 0 }).unwrap();
    let page = store.events(9, 2).unwrap();
    assert_eq!((sequence(&page), page.gap, page.next, page.last), (vec![], true, 10, 10));
    assert!(!store.events(10, 2).unwrap().gap);
    assert_eq!(store.txn(happened(&["later"])).unwrap(), Outcome::Committed { revision: 2, first_event: Some(11) });
    assert!(!store.events(10, 2).unwrap().gap);
}

fn knows_a_cursor_of_another_history(store: &dyn Store) {
    commit(store, happened(&["only"]));
    let page = store.events(40, 2).unwrap();
    assert_eq!((sequence(&page), page.gap, page.next), (vec![], true, 1));
    assert!(store.events(u64::MAX, 2).unwrap().gap);
}

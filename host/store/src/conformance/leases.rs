//! Leases and fences.

use super::{Story, commit};
use crate::{Lease, LeaseAnswer, Outcome, Store, Txn};

pub(super) const STORIES: &[Story] =
    &[grants_a_lease_to_one_at_a_time, raises_the_epoch_with_every_grant, renews_until_somebody_takes_over, fences_out_who_lost_the_lease];

fn granted(answer: LeaseAnswer) -> Lease {
    match answer {
        LeaseAnswer::Granted(lease) => lease,
        LeaseAnswer::Refused { .. } => panic!("expected a grant, got {answer:?}"),
    }
}

fn refused_for(holder: &str, expires_ms: u64) -> LeaseAnswer {
    LeaseAnswer::Refused { holder: Some(holder.into()), expires_ms }
}

fn grants_a_lease_to_one_at_a_time(store: &dyn Store) {
    let lease = granted(store.acquire_lease("host", "a", 10, 100).unwrap());
    assert_eq!(lease, Lease { name: "host".into(), holder: "a".into(), epoch: 1, expires_ms: 110 });
    assert_eq!(store.acquire_lease("host", "b", 10, 109).unwrap(), refused_for("a", 110));
    assert_eq!(granted(store.acquire_lease("other", "b", 10, 109).unwrap()).epoch, 1);
    assert_eq!(granted(store.acquire_lease("host", "b", 10, 110).unwrap()).epoch, 2);
    assert_eq!(store.acquire_lease("host", "a", 10, 111).unwrap(), refused_for("b", 120));
    let forever = granted(store.acquire_lease("long", "a", u64::MAX, 5).unwrap());
    assert!(matches!(store.acquire_lease("long", "b", 1, forever.expires_ms - 1).unwrap(), LeaseAnswer::Refused { .. }));
}

fn raises_the_epoch_with_every_grant(store: &dyn Store) {
    let first = granted(store.acquire_lease("host", "a", 10, 0).unwrap());
    let again = granted(store.acquire_lease("host", "a", 10, 1).unwrap());
    assert_eq!((first.epoch, again.epoch), (1, 2), "a holder that starts again fences its own past");
    assert!(!store.release_lease(&first).unwrap(), "the past cannot release");
    assert!(store.release_lease(&again).unwrap());
    assert!(!store.release_lease(&again).unwrap());
    assert_eq!(granted(store.acquire_lease("host", "b", 10, 2).unwrap()).epoch, 3);
}

fn renews_until_somebody_takes_over(store: &dyn Store) {
    let lease = granted(store.acquire_lease("host", "a", 10, 0).unwrap());
    let renewed = granted(store.renew_lease(&lease, 10, 5).unwrap());
    assert_eq!(renewed, Lease { expires_ms: 15, ..lease.clone() });
    assert_eq!(granted(store.renew_lease(&lease, 10, 50).unwrap()).expires_ms, 60, "late, but nobody took it");
    store.acquire_lease("host", "b", 10, 60).unwrap();
    assert_eq!(store.renew_lease(&lease, 10, 61).unwrap(), refused_for("b", 70));
    let unknown = Lease { name: "unknown".into(), ..lease };
    assert_eq!(store.renew_lease(&unknown, 10, 61).unwrap(), LeaseAnswer::Refused { holder: None, expires_ms: 0 });
    assert!(!store.release_lease(&unknown).unwrap());
}

fn fences_out_who_lost_the_lease(store: &dyn Store) {
    let fenced = |epoch| Txn::new().fenced_by("host", epoch).put("k", *b"v");
    assert_eq!(store.txn(fenced(0)).unwrap(), Outcome::Fenced);
    assert_eq!(store.txn(fenced(1)).unwrap(), Outcome::Fenced);
    let old = granted(store.acquire_lease("host", "a", 10, 0).unwrap());
    assert_eq!(commit(store, fenced(old.epoch)), 1);
    let new = granted(store.acquire_lease("host", "b", 10, 10).unwrap());
    assert_eq!(store.txn(fenced(old.epoch)).unwrap(), Outcome::Fenced);
    assert_eq!(commit(store, fenced(new.epoch)), 2);
    store.release_lease(&new).unwrap();
    assert_eq!(store.txn(fenced(new.epoch)).unwrap(), Outcome::Fenced);
    assert_eq!(store.revision().unwrap(), 2);
}

//! A random walk of two stores that must answer alike.

use std::time::Duration;

use super::Scratch;
use crate::{Batch, Compare, Expect, Lease, LeaseAnswer, NewEvent, Next, Op, Retention, Store, Txn, Watch};

/// Numbers from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn number(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.number(from.len() as u64) as usize]
    }

    fn some<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.number(most + 1)).map(|_| make(self)).collect()
    }
}

const KEYS: &[&str] = &["a", "b", "s/a", "s/b", "s/b/c", "s/ä", "s0", "t\u{10ffff}"];
const PREFIXES: &[&str] = &["", "s", "s/", "s/b", "t", "t\u{10ffff}", "x"];
const LEASES: &[&str] = &["host", "leader"];

/// Two stores, what both were granted, and one watch on each.
struct Walk<'a> {
    stores: [&'a dyn Store; 2],
    watches: [Watch; 2],
    chance: Chance,
    leases: Vec<Lease>,
    scratch: Scratch,
    now_ms: u64,
    at: String,
}

pub(super) fn walk(left: &dyn Store, right: &dyn Store, seed: u64, steps: u32) {
    let watches = [left, right].map(|store| store.watch("s/", 0).expect("the store works"));
    let mut walk =
        Walk { stores: [left, right], watches, chance: Chance(seed), leases: Vec::new(), scratch: Scratch::new(), now_ms: 0, at: String::new() };
    for step in 0..steps {
        walk.at = format!("seed {seed}, step {step}");
        walk.step();
    }
    walk.at = format!("seed {seed}, at the end");
    walk.same("everything", |store| store.range("", None, usize::MAX));
    walk.same("all events", |store| store.events(0, usize::MAX));
    walk.same_watches();
}

impl Walk<'_> {
    fn step(&mut self) {
        self.now_ms += self.chance.number(8);
        match self.chance.number(100) {
            0..60 => self.transact(),
            60..75 => self.look(),
            75..90 => self.lease(),
            90..94 => self.compact(),
            94..97 => self.watch(),
            _ => self.go_back(),
        }
    }

    /// Asks both stores the same.
    fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, ask: impl Fn(&dyn Store) -> Result<T, crate::StoreError>) -> T {
        let [left, right] = self.stores.map(|store| ask(store).unwrap_or_else(|error| panic!("{}: {what}: {error}", self.at)));
        assert_eq!(left, right, "{}: {what}", self.at);
        left
    }

    fn transact(&mut self) {
        let txn = self.txn();
        let what = format!("{txn:?}");
        self.same(&what, |store| store.txn(txn.clone()));
        self.same("revision", |store| store.revision());
    }

    fn txn(&mut self) -> Txn {
        let revision = self.same("revision", |store| store.revision());
        let mut txn = Txn::new();
        txn.compare = if self.chance.number(3) == 0 { self.chance.some(2, |chance| compare(chance, revision)) } else { Vec::new() };
        txn.ops = self.chance.some(4, op);
        txn.events = self.chance.some(2, |chance| NewEvent::new("kind", chance.pick(KEYS), chance.number(99), chance.number(9).to_string()));
        txn.idempotency_key = (self.chance.number(5) == 0).then(|| format!("once-{}", self.chance.number(20)));
        if !self.leases.is_empty() && self.chance.number(3) == 0 {
            let lease = &self.leases[self.chance.number(self.leases.len() as u64) as usize];
            txn = txn.fenced_by(lease.name.clone(), lease.epoch);
        }
        txn
    }

    fn look(&mut self) {
        let (key, prefix) = (self.chance.pick(KEYS), self.chance.pick(PREFIXES));
        let after = (self.chance.number(2) == 0).then(|| self.chance.pick(KEYS));
        let limit = self.chance.number(5) as usize;
        self.same("get", |store| store.get(key));
        self.same("range", |store| store.range(prefix, after, limit));
        let cursor = self.chance.number(200);
        self.same("events", |store| store.events(cursor, limit));
    }

    fn lease(&mut self) {
        let (name, now_ms, ttl_ms) = (self.chance.pick(LEASES), self.now_ms, self.chance.number(30));
        let known = (!self.leases.is_empty()).then(|| self.leases[self.chance.number(self.leases.len() as u64) as usize].clone());
        let answer = match (self.chance.number(3), known) {
            (0, Some(lease)) => self.same("renew", |store| store.renew_lease(&lease, ttl_ms, now_ms)),
            (1, Some(lease)) => {
                self.same("release", |store| store.release_lease(&lease));
                return;
            }
            _ => {
                let holder = self.chance.pick(&["me", "you"]);
                self.same("acquire", |store| store.acquire_lease(name, holder, ttl_ms, now_ms))
            }
        };
        if let LeaseAnswer::Granted(lease) = answer {
            self.leases.push(lease);
        }
    }

    fn compact(&mut self) {
        let keep = Retention { events: self.chance.number(60), deletions: self.chance.number(60) };
        self.same("compact", |store| store.compact(keep));
    }

    /// Compares what was seen so far, and watches from somewhere else.
    fn watch(&mut self) {
        self.same_watches();
        let prefix = self.chance.pick(PREFIXES);
        let after = self.chance.number(300);
        self.watches = self.stores.map(|store| store.watch(prefix, after).expect("the store works"));
        self.same_watches();
    }

    fn same_watches(&mut self) {
        let [left, right] = &mut self.watches;
        assert_eq!(left.gap(), right.gap(), "{}: gap of a watch", self.at);
        assert_eq!(drain(left), drain(right), "{}: what a watch saw", self.at);
    }

    /// Takes a snapshot, or goes back to the last one; each engine has its own format.
    fn go_back(&mut self) {
        let files = ["left", "right"].map(|name| self.scratch.file(name));
        let restore = self.chance.number(3) == 0 && files[0].exists();
        for (store, file) in self.stores.iter().zip(&files) {
            let done = if restore { store.restore(file) } else { store.snapshot(file) };
            done.unwrap_or_else(|error| panic!("{}: snapshot: {error}", self.at));
        }
    }
}

fn op(chance: &mut Chance) -> Op {
    let key = chance.pick(KEYS).to_owned();
    match chance.number(3) {
        0 => Op::Delete { key },
        _ => Op::Put { key, value: chance.some(5, |chance| chance.number(4) as u8) },
    }
}

fn compare(chance: &mut Chance, revision: u64) -> Compare {
    let expect = match chance.number(4) {
        0 => Expect::Absent,
        1 => Expect::Present,
        2 => Expect::Revision(revision.saturating_sub(chance.number(6))),
        _ => Expect::Value(chance.some(1, |chance| chance.number(4) as u8)),
    };
    Compare { key: chance.pick(KEYS).to_owned(), expect }
}

/// What is there now, and whether that was the end. Both engines have told all of an acknowledged commit.
fn drain(watch: &mut Watch) -> (Vec<Batch>, bool) {
    let mut batches = Vec::new();
    loop {
        match watch.next(Duration::ZERO) {
            Next::Batch(batch) => batches.push(batch),
            Next::Quiet => return (batches, false),
            Next::Ended => return (batches, true),
        }
    }
}

//! A store's busy life: what a host does to it, and more of it at once.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use hostler_store::{Compare, Lease, LeaseAnswer, NewEvent, Outcome, Retention, Sqlite, Store, StoreError, Txn};

use crate::disk::{Disk, Op, files_named};
use crate::history::{Commit, History, LeaseStep, Note};
use crate::random::Random;
use crate::verify::{LEASE, LOG, SNAPSHOT, STORE};

/// What every compaction keeps.
const KEEP: Retention = Retention { events: 50, deletions: 20 };
/// Transactions of one thread in a short life, and in the long one at the end.
const SHORT: u64 = 12;
const LONG: u64 = 250;
/// So many commits, one after the other, empty any log.
const EMPTYING: u64 = 2000;

/// Lives through several openings of a store in an empty directory; tells what the disk saw and what was promised.
///
/// In the last one the log is written over from its beginning, and a tenth or more of the trace comes after that.
///
/// # Errors
/// When the store breaks a promise though nothing fails, or never empties its log.
pub fn live(directory: &Path, seed: u64) -> Result<(Vec<Op>, History), String> {
    let world = World { disk: Disk::watch(directory), commits: Mutex::default(), lease: Mutex::new(vec![LeaseStep { epoch: 0, expires_ms: None }]) };
    let world = Arc::new(world);
    let path = directory.join(STORE);
    let mut trace = Vec::new();
    for (round, length) in [SHORT, SHORT, SHORT, LONG].into_iter().enumerate() {
        let store = Sqlite::open(&path).map_err(|error| error.to_string())?;
        let seed = seed ^ (round as u64) << 32;
        thread::scope(|scope| {
            let (store, world) = (&store, &world);
            let writers: Vec<_> = (0..3).map(|number| scope.spawn(move || writes(store, world, round, number, length, seed))).collect();
            scope.spawn(move || holds(store, world, round, length / 3));
            scope.spawn(move || keeps_house(store, world, directory, length / 10 + 1));
            for writer in writers {
                writer.join().expect("a writer does not panic");
            }
        });
        if length == LONG {
            empties_the_log(&store, &world, &mut trace, seed)?;
        }
    }
    trace.extend(world.disk.take_trace());
    let commits = std::mem::take(&mut *world.commits.lock().expect("nobody panicked"));
    let lease = std::mem::take(&mut *world.lease.lock().expect("nobody panicked"));
    Ok((trace, History::new(commits, lease, KEEP.events)?))
}

struct World {
    disk: Disk,
    commits: Mutex<Vec<Commit>>,
    lease: Mutex<Vec<LeaseStep>>,
}

impl World {
    /// Submits, and writes down the acknowledgement in the moment it is given.
    fn submit(self: &Arc<Self>, store: &dyn Store, txn: Txn, told: &mpsc::Sender<Result<Outcome, StoreError>>) {
        let (world, told, asked) = (Arc::clone(self), told.clone(), txn.clone());
        let done = move |result: Result<Outcome, StoreError>| {
            if let Ok(Outcome::Committed { revision, first_event }) = result {
                world.disk.note(Note::Committed(revision));
                world.commits.lock().expect("nobody panicked").push(Commit { txn: asked, revision, first_event });
            }
            drop(told.send(result)); // nobody waits for a repetition
        };
        store.submit(txn, Box::new(done));
    }

    fn lease(&self, epoch: u64, expires_ms: Option<u64>) {
        let mut steps = self.lease.lock().expect("nobody panicked");
        steps.push(LeaseStep { epoch, expires_ms });
        self.disk.note(Note::Lease(steps.len() - 1));
    }
}

/// Writes in bursts: what one thread submits without waiting, and what others submit meanwhile, is committed as one group.
fn writes(store: &Sqlite, world: &Arc<World>, round: usize, writer: usize, length: u64, seed: u64) {
    let mut random = Random::new(seed + writer as u64);
    let mut number = 0;
    while number < length {
        let burst = [1, 1, 1, 2, 7][random.below(5)];
        let (told, outcomes) = mpsc::channel();
        for _ in 0..burst {
            number += 1;
            let txn = transaction(&format!("{round}/{writer}/{number}"), writer, &mut random);
            world.submit(store, txn, &told);
        }
        // Refused as a whole, a part of it must never be seen.
        let never = Txn::new().put("never", *b"written").compare(Compare::present("what is not there"));
        world.submit(store, never, &told);
        for outcome in outcomes.iter().take(burst + 1) {
            outcome.expect("nothing fails here");
        }
    }
}

/// How many commits the writers were, and so whether a log was emptied, is up to the machine: many were committed as one.
/// Here none is.
fn empties_the_log(store: &Sqlite, world: &Arc<World>, trace: &mut Vec<Op>, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    for number in 0..EMPTYING {
        trace.extend(world.disk.take_trace());
        if begun_anew(trace).is_some_and(|at| at < trace.len() / 10 * 9) {
            return Ok(());
        }
        let (told, outcome) = mpsc::channel();
        world.submit(store, transaction(&format!("alone/{number}"), 0, &mut random), &told);
        outcome.recv().expect("it is answered").expect("nothing fails here");
    }
    Err(format!("{EMPTYING} commits, one after the other, and the log was not begun anew"))
}

/// The first operation that writes over a log from its beginning.
fn begun_anew(trace: &[Op]) -> Option<usize> {
    let (logs, mut begun) = (files_named(trace, LOG), HashSet::new());
    trace.iter().position(|op| matches!(op, Op::Write { inode, offset: 0, .. } if logs.contains(inode) && !begun.insert(*inode)))
}

/// A few keys of its own and some that all writers share, so that states differ everywhere; mostly small values, some of several pages.
fn transaction(name: &str, writer: usize, random: &mut Random) -> Txn {
    let mut txn = Txn::new().once(name).put(format!("last/{writer}"), name);
    for _ in 0..random.below(4) {
        let key = [format!("own/{writer}/{}", random.below(20)), format!("shared/{}", random.below(8))][random.below(2)].clone();
        let bytes = [10, 200, 1500, 9000][random.below(4)];
        let bytes = 1 + random.below(bytes);
        txn = if random.chance(25) { txn.delete(key) } else { txn.put(key, name.bytes().cycle().take(bytes).collect::<Vec<_>>()) };
    }
    for event in 0..random.below(3) {
        txn = txn.emit(NewEvent::new("wrote", name, event as u64, format!("{{\"event\":{event}}}")));
    }
    txn
}

/// The life of a lease, and transactions that rely on it.
fn holds(store: &Sqlite, world: &Arc<World>, round: usize, times: u64) {
    for time in 0..times {
        let granted = |answer: Result<LeaseAnswer, StoreError>| -> Lease {
            match answer.expect("nothing fails here") {
                LeaseAnswer::Granted(lease) => lease,
                LeaseAnswer::Refused { .. } => panic!("nobody else wants the lease"),
            }
        };
        let clock = (round as u64 + 1) * 1_000_000 + time * 10;
        let lease = granted(store.acquire_lease(LEASE, "me", 1, clock));
        world.lease(lease.epoch, Some(lease.expires_ms));
        let (told, outcome) = mpsc::channel();
        world.submit(store, Txn::new().once(format!("held {clock}")).put("held", clock.to_string()).fenced_by(LEASE, lease.epoch), &told);
        let outcome = outcome.recv().expect("it is answered").expect("nothing fails here");
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        let lease = granted(store.renew_lease(&lease, 1, clock + 1));
        world.lease(lease.epoch, Some(lease.expires_ms));
        if time % 3 == 2 {
            assert!(store.release_lease(&lease).expect("nothing fails here"));
            world.lease(lease.epoch, None);
        }
    }
}

/// Compacts and takes snapshots, between commits that wake it.
fn keeps_house(store: &Sqlite, world: &Arc<World>, directory: &Path, times: u64) {
    for time in 0..times {
        let (told, outcome) = mpsc::channel();
        world.submit(store, Txn::new().once(format!("kept house {time} after {}", store.revision().expect("reads"))), &told);
        outcome.recv().expect("it is answered").expect("nothing fails here");
        store.compact(KEEP).expect("nothing fails here");
        let page = store.events(0, 1).expect("reads");
        world.disk.note(Note::Compacted(page.events.first().map_or(page.last + 1, |event| event.seq)));
        if time % 2 == 0 {
            let at_least = store.revision().expect("reads");
            store.snapshot(&directory.join(SNAPSHOT)).expect("nothing fails here");
            world.disk.note(Note::Snapshot(at_least));
        }
    }
}

//! Every call on a file fails in its turn, once or until it is mended: with an I/O error, or for want of space.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

use hostler_disk::disk::{Disk, Errno, Fault, Op};
use hostler_disk::image::{Left, Platter};
use hostler_disk::random::Random;
use hostler_disk::scratch;
use hostler_disk::verify::STORE;
use hostler_store::{NewEvent, Outcome, Retention, Sqlite, Store, StoreError, Txn};

/// What was answered to the transaction that put a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Committed,
    /// Nothing was changed.
    Refused,
    /// It is there or not: that is only known once the store was opened anew.
    Unknown,
}

type Answers = BTreeMap<String, Answer>;

#[test]
fn an_error_of_the_device_is_told_as_it_is() {
    for lasts in [false, true] {
        everywhere(Errno::IO, lasts);
    }
}

#[test]
fn a_full_disk_is_told_as_it_is() {
    for lasts in [false, true] {
        everywhere(Errno::NO_SPACE, lasts);
    }
}

/// A short life with the fault at the first call that it can hit, at the second, and so on until there is none left.
fn everywhere(errno: Errno, lasts: bool) {
    for at in 1.. {
        let fault = Fault { at, errno, lasts };
        let calls = one(fault).unwrap_or_else(|reason| panic!("{fault:?}: {reason}"));
        if calls < at {
            assert!(at > 100, "a life is only {calls} calls long");
            println!("{errno:?}, lasting: {lasts}: failed each of {calls} calls");
            return;
        }
    }
}

/// Tells how many calls could have failed.
fn one(fault: Fault) -> Result<usize, String> {
    let place = scratch().unwrap();
    let disk = Disk::watch(place.path());
    let (mut answers, mut errors) = (Answers::new(), Vec::new());
    disk.fail(fault);
    let store = lives(place.path(), &mut answers, &mut errors);
    let trace = disk.take_trace();
    let (calls, hit) = disk.mend();
    let hit = hit.unwrap_or_default();
    let held = cut(&trace, fault, &answers)
        .and_then(|()| goes_on(store, fault, &mut answers))
        .and_then(|()| reopened(place.path(), &answers))
        .and_then(|()| errors.iter().try_for_each(|error| right(error, fault, &hit)));
    held.map(|()| calls).map_err(|reason| format!("{hit}: {reason}\n{errors:#?}"))
}

/// Two lives, one after the other; the store of the second is still open.
fn lives(directory: &Path, answers: &mut Answers, errors: &mut Vec<StoreError>) -> Option<Sqlite> {
    let path = directory.join(STORE);
    if let Some(store) = live(&path, "first", answers, errors) {
        errors.extend(store.snapshot(&directory.join("snapshot.db")).err());
    }
    live(&path, "second", answers, errors)
}

/// The power goes while the disk fails: what was acknowledged until then is there all the same.
fn cut(trace: &[Op], fault: Fault, answers: &Answers) -> Result<(), String> {
    let mut platter = Platter::new(trace);
    (0..trace.len()).for_each(|at| platter.play(at));
    for left in [Left::Nothing, Left::Some] {
        let place = scratch().unwrap();
        platter.image(left, &mut Random::new(fault.at as u64)).write(place.path()).unwrap();
        reopened(place.path(), answers).map_err(|reason| format!("power cut with {left:?} left: {reason}"))?;
    }
    Ok(())
}

/// Opens, writes in several ways and reads; nothing when it does not even open.
fn live(path: &Path, name: &str, answers: &mut Answers, errors: &mut Vec<StoreError>) -> Option<Sqlite> {
    let store = Sqlite::open(path).map_err(|error| errors.push(error)).ok()?;
    for (number, bytes) in [10, 9000, 50].into_iter().enumerate() {
        let key = format!("{name}/{number}");
        let told = answer(store.txn(txn(&key, bytes)), errors);
        answers.insert(key, told);
    }
    errors.extend(store.acquire_lease("host", name, 1, 0).err());
    let (told, outcomes) = mpsc::channel();
    for number in 0..3 {
        let (told, key) = (told.clone(), format!("{name}/group/{number}"));
        store.submit(txn(&key, 100), Box::new(move |outcome| told.send((key, outcome)).unwrap()));
    }
    for (key, outcome) in outcomes.iter().take(3) {
        let answer = answer(outcome, errors);
        answers.insert(key, answer);
    }
    errors.extend(store.compact(Retention { events: 1000, deletions: 0 }).err());
    errors.extend(store.range("", None, 999).err());
    errors.extend(store.events(0, 999).err());
    Some(store)
}

fn txn(key: &str, bytes: usize) -> Txn {
    Txn::new().put(key, vec![7; bytes]).emit(NewEvent::new("put", key, 0, "{}"))
}

fn answer(outcome: Result<Outcome, StoreError>, errors: &mut Vec<StoreError>) -> Answer {
    match outcome {
        Ok(Outcome::Committed { .. }) => Answer::Committed,
        Ok(other) => panic!("nothing was asked: {other:?}"),
        Err(error) => {
            let unknown = matches!(error, StoreError::Engine { .. });
            errors.push(error);
            if unknown { Answer::Unknown } else { Answer::Refused }
        }
    }
}

/// Does the error say what happened, and not more? SQLite does not tell all that the system told it; the store asks again, and
/// after a single failure the system knows of none.
fn right(error: &StoreError, fault: Fault, hit: &str) -> Result<(), String> {
    let is_right = match error {
        StoreError::Full { .. } => fault.errno == Errno::NO_SPACE,
        StoreError::Engine { .. } | StoreError::Closed => fault.errno == Errno::IO || (!fault.lasts && hit.ends_with("-shm")),
        StoreError::Unwritable { .. } => !fault.lasts && ["creating", "opening"].iter().any(|doing| hit.starts_with(doing)),
        StoreError::Corrupt { .. } => !fault.lasts && hit.starts_with("reading"),
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("this is not what happened: {error:?}")) }
}

/// After a full disk the same store goes on; after an error of the device it may, or must be opened anew.
fn goes_on(store: Option<Sqlite>, fault: Fault, answers: &mut Answers) -> Result<(), String> {
    let Some(store) = store else { return Ok(()) };
    let mut errors = Vec::new();
    let last = answer(store.txn(txn("last", 9000)), &mut errors);
    answers.insert("last".to_owned(), last);
    match errors.first() {
        None => Ok(()),
        Some(StoreError::Closed) if fault.errno == Errno::IO => Ok(()),
        Some(error) => Err(format!("mended, and still: {error:?}")),
    }
}

/// Everything that was acknowledged is there, nothing that was refused, and nothing by half; and it can be written.
fn reopened(directory: &Path, answers: &Answers) -> Result<(), String> {
    let store = Sqlite::open(directory.join(STORE)).map_err(|error| format!("reopening: {error:?}"))?;
    let keys: Vec<String> = store.range("", None, 999).unwrap().into_iter().map(|(key, _)| key).collect();
    let page = store.events(0, 999).unwrap();
    let mut told: Vec<String> = page.events.iter().map(|event| event.subject.clone()).collect();
    told.sort();
    if page.gap || keys != told || store.revision().unwrap() != keys.len() as u64 {
        return Err(format!("there is a half: keys {keys:?}, events {told:?}, revision {}", store.revision().unwrap()));
    }
    let wrong = answers.iter().find(|(key, answer)| match answer {
        Answer::Committed => !keys.contains(key),
        Answer::Refused => keys.contains(key),
        Answer::Unknown => false,
    });
    if let Some((key, answer)) = wrong {
        return Err(format!("{key} was {answer:?}; there are {keys:?}"));
    }
    store.txn(txn("after", 10)).map(drop).map_err(|error| format!("writing after reopening: {error:?}"))
}

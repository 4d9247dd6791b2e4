//! What was acknowledged is there after kill -9.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, mpsc};
use std::{fs, io};

use hostler_store::{NewEvent, Options, Outcome, Sqlite, Store, StoreError, Txn};

use crate::{child, commit, stage};

#[test]
fn acknowledged_commits_survive_kill_9() {
    let state = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..4 {
        let mut writer = child("durability::part_commits_until_killed", state.path()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut news = 0;
        for line in lines {
            let Some(told) = line.strip_prefix("acknowledged ") else { continue };
            let (revision, key) = told.split_once(' ').unwrap();
            acknowledged.push((revision.parse().unwrap(), key.to_owned()));
            news += 1;
            if news == 50 + 100 * round {
                // Killed while it writes; what it said before still comes out of the pipe.
                writer.kill().unwrap();
            }
        }
        writer.wait().unwrap();
        assert!(news >= 50 + 100 * round, "the child was killed by us and not by an error");

        let store = Sqlite::open(state.path().join("store.db")).unwrap();
        let events = store.events(0, usize::MAX).unwrap();
        for (revision, key) in &acknowledged {
            let entry = store.get(key).unwrap().unwrap_or_else(|| panic!("round {round}: {key} of revision {revision} is lost"));
            assert_eq!(entry.revision, *revision);
        }
        let expected = 1..=store.revision().unwrap();
        assert!(!events.gap && events.events.iter().map(|event| (event.seq, event.revision)).eq(expected.map(|n| (n, n))));
    }
}

/// A child: commits from several threads at once, telling what was acknowledged, until it is killed.
#[test]
fn part_commits_until_killed() {
    let Some(stage) = stage() else { return };
    let store = Sqlite::open(stage.join("store.db")).unwrap();
    let from = store.revision().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0_u64.. {
                    let key = format!("{from}/{thread}/{number}");
                    let revision = commit(store, Txn::new().put(&*key, key.as_bytes()).emit(NewEvent::new("put", &*key, 0, "{}")));
                    writeln!(io::stdout(), "acknowledged {revision} {key}").unwrap();
                }
            });
        }
    });
}

#[test]
fn a_log_torn_by_a_crash_loses_only_its_end() {
    const COMMITS: u64 = 40;
    let state = tempfile::tempdir().unwrap();
    let store = Sqlite::open(state.path().join("store.db")).unwrap();
    for number in 1..=COMMITS {
        commit(&store, Txn::new().put(format!("k{number:02}"), vec![7; 900]).emit(NewEvent::new("put", "k", 0, "{}")));
    }
    // What a crash would leave: the files as they are now, without a clean end.
    let (database, log) = (fs::read(state.path().join("store.db")).unwrap(), fs::read(state.path().join("store.db-wal")).unwrap());
    let mut revisions = Vec::new();
    for part in (0..=20).rev() {
        let crashed = tempfile::tempdir().unwrap();
        fs::write(crashed.path().join("store.db"), &database).unwrap();
        fs::write(crashed.path().join("store.db-wal"), &log[..log.len() * part / 20]).unwrap();
        let store = Sqlite::open(crashed.path().join("store.db")).unwrap();
        let revision = store.revision().unwrap();
        let entries = store.range("", None, usize::MAX).unwrap();
        assert!(entries.into_iter().map(|(key, _)| key).eq((1..=revision).map(|number| format!("k{number:02}"))));
        assert_eq!(store.events(0, usize::MAX).unwrap().events.len() as u64, revision);
        assert_eq!(commit(&store, Txn::new()), revision + 1);
        revisions.push(revision);
    }
    assert_eq!((revisions[0], revisions[20]), (COMMITS, 0), "all of it is in the log: {revisions:?}");
    assert!(revisions.is_sorted_by(|longer, shorter| longer >= shorter), "{revisions:?}");
}

#[test]
fn everything_is_there_when_opened_again() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("store.db");
    let store = Sqlite::open(&path).unwrap();
    commit(&store, Txn::new().put("a", *b"1").once("only").emit(NewEvent::new("k", "s", 1, "[]")));
    store.acquire_lease("host", "me", 10, 0).unwrap();
    commit(&store, Txn::new().put("b", *b"2").delete("a"));
    drop(store);
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.revision().unwrap(), 2);
    assert_eq!(commit(&store, Txn::new().once("only")), 1);
    assert!(!store.watch("", 1).unwrap().gap(), "the deletion is still known");
    let outcome = store.txn(Txn::new().fenced_by("host", 1).emit(NewEvent::new("k", "s", 1, "[]"))).unwrap();
    assert_eq!(outcome, Outcome::Committed { revision: 3, first_event: Some(2) });
}

#[test]
fn dropping_the_store_finishes_what_is_queued() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("store.db");
    let store = Arc::new(Sqlite::open(&path).unwrap());
    let (told, outcomes) = mpsc::channel();
    for number in 0..300 {
        let (told, last) = (told.clone(), Arc::clone(&store));
        let done = move |outcome: Result<Outcome, StoreError>| {
            // Whoever drops the last reference, the writer itself included, must not wait for ever.
            drop(last);
            told.send(outcome).expect("the test listens");
        };
        store.submit(Txn::new().put(format!("k{number}"), *b""), Box::new(done));
    }
    drop((store, told));
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Committed { .. }))).count(), 300);
}

#[test]
fn a_listener_that_panics_does_not_take_the_store_along() {
    let state = tempfile::tempdir().unwrap();
    let store = Sqlite::open(state.path().join("store.db")).unwrap();
    store.submit(Txn::new().put("a", *b"1"), Box::new(|_| panic!("a listener's own fault, on purpose")));
    assert_eq!(commit(&store, Txn::new().put("b", *b"2")), 2);
}

#[test]
fn one_process_has_the_store_at_a_time() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("store.db");
    let first = Sqlite::open(&path).unwrap();
    let refusal = Sqlite::open(&path).unwrap_err();
    let told = format!("{} is in use by another process (pid {})", path.display(), std::process::id());
    assert_eq!(refusal.to_string(), told);
    assert!(refusal.hint().unwrap().contains("stop the other host"));
    commit(&first, Txn::new().put("still", *b"fine"));
    drop(first);
    Sqlite::open(&path).unwrap();
}

#[test]
fn files_are_for_their_owner_only() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("store.db");
    drop(Sqlite::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = Sqlite::open_with(&path, Options::default()).unwrap();
    commit(&store, Txn::new().put("a", *b"1"));
    assert!(store.get("a").unwrap().is_some());
    let modes: Vec<String> = fs::read_dir(state.path())
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| format!("{:o} {}", file.metadata().unwrap().permissions().mode() & 0o777, file.file_name().to_string_lossy()))
        .collect();
    assert_eq!(modes.len(), 4, "{modes:?}");
    assert!(modes.iter().all(|mode| mode.starts_with("600 ")), "{modes:?}");
}

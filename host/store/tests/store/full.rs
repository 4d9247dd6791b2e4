//! A full disk: a clear error, the old state, and life goes on when there is space again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use hostler_store::{NewEvent, Options, Retention, Sqlite, Store, StoreError, Txn};

use crate::{STAGE, commit, part, stage};

/// Puts until there is no space; tells how many are in the store.
fn fill(store: &Sqlite) -> u64 {
    for number in 0..10_000 {
        let txn = Txn::new().put(format!("k{number:05}"), vec![7; 10_000]).emit(NewEvent::new("put", "k", 0, "{}"));
        match store.txn(txn) {
            Ok(_) => {}
            Err(StoreError::Full { .. }) => return number,
            Err(other) => panic!("expected `Full`, got {other}"),
        }
    }
    panic!("the disk never gets full");
}

/// All of `count` puts are there, and nothing of the one that failed.
fn check_whole(store: &Sqlite, count: u64) {
    let entries = store.range("k", None, usize::MAX).unwrap();
    assert!(entries.iter().map(|(key, _)| key.clone()).eq((0..count).map(|number| format!("k{number:05}"))));
    assert!(entries.iter().all(|(_, entry)| entry.value == [7; 10_000]));
    assert_eq!((store.revision().unwrap(), store.events(0, 1).unwrap().last), (count, count));
}

#[test]
fn keeps_the_old_state_at_its_size_limit() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("store.db");
    let store = Sqlite::open_with(&path, Options { max_pages: Some(100) }).unwrap();
    let count = fill(&store);
    assert!(count > 10);
    check_whole(&store, count);
    let refusal = store.txn(Txn::new().put("big", vec![7; 100_000])).unwrap_err();
    assert!(refusal.to_string().starts_with(&format!("the disk under {} is full (", path.display())), "{refusal}");
    assert!(refusal.hint().unwrap().starts_with("free some space"));
    // Space made inside the store serves as well.
    commit(&store, Txn::new().delete("k00000").delete("k00001"));
    store.compact(Retention { events: 0, deletions: 0 }).unwrap();
    assert_eq!(commit(&store, Txn::new().put("more", vec![7; 10_000])), count + 2);
    drop(store);
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.range("", None, usize::MAX).unwrap().len() as u64, count - 1);
    commit(&store, Txn::new().put("big", vec![7; 100_000]));
}

#[test]
fn one_that_is_too_big_does_not_fail_its_group() {
    let state = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(state.path().join("store.db"), Options { max_pages: Some(100) }).unwrap();
    let (told, outcomes) = mpsc::channel();
    for number in 0..60 {
        let told = told.clone();
        let value = if number % 10 == 5 { vec![7; 1_000_000] } else { vec![7; 10] };
        store.submit(Txn::new().put(format!("k{number}"), value), Box::new(move |outcome| told.send((number, outcome)).unwrap()));
    }
    for (number, outcome) in outcomes.iter().take(60) {
        match outcome {
            Ok(_) => assert_ne!(number % 10, 5),
            Err(StoreError::Full { .. }) => assert_eq!(number % 10, 5),
            Err(other) => panic!("{number}: {other}"),
        }
    }
    assert_eq!((store.revision().unwrap(), store.range("", None, 99).unwrap().len()), (54, 54));
}

#[test]
fn keeps_the_old_state_on_a_full_disk() {
    let disk = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=4m none "$STAGE" || exit 77; exec "$0" "$@""#.replace("$STAGE", &format!("${STAGE}"));
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(std::env::current_exe().unwrap());
    let output = command.args(part("full::part_on_a_small_disk")).env(STAGE, disk.path()).output();
    let told = output.as_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr));
    match &output {
        Ok(output) if output.status.success() => assert!(told.unwrap().contains("recovered on the same disk")),
        // CI must be able to; elsewhere a machine may forbid it.
        Ok(output) if output.status.code() == Some(77) || told.as_ref().unwrap().contains("unshare:") => skip(&told.unwrap()),
        Ok(_) => panic!("{}", told.unwrap()),
        Err(error) => skip(&error.to_string()),
    }
}

fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "keeps_the_old_state_on_a_full_disk cannot run: {why}");
    eprintln!("skipped: keeps_the_old_state_on_a_full_disk: no private mount: {why}");
}

/// A child, alone on a file system of 4 MB.
#[test]
fn part_on_a_small_disk() {
    let Some(stage) = stage() else { return };
    let path = stage.join("store.db");
    let store = Sqlite::open(&path).unwrap();
    let ballast = stage.join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let count = fill(&store);
    assert!(count > 10);
    use_up(&ballast);
    assert!(matches!(store.txn(Txn::new().put("b", vec![1; 50_000])), Err(StoreError::Full { .. })));
    assert!(matches!(store.snapshot(&stage.join("snapshot")), Err(StoreError::Full { .. })));
    assert!(!stage.join("snapshot").exists());
    check_whole(&store, count);
    drop(store);

    // Opening needs a little space too.
    use_up(&ballast);
    match Sqlite::open(&path) {
        Ok(store) => check_whole(&store, count),
        Err(refusal) => assert!(matches!(refusal, StoreError::Full { .. }), "{refusal:?}"),
    }
    let new = Sqlite::open(stage.join("new.db")).expect_err("there is no space for a new store");
    assert!(matches!(new, StoreError::Full { .. }), "{new:?}");
    assert!(!stage.join("new.db").exists());

    fs::remove_file(&ballast).unwrap();
    let store = Sqlite::open(&path).unwrap();
    check_whole(&store, count);
    use_up(&ballast);
    assert!(matches!(store.txn(Txn::new().put("b", vec![1; 50_000])), Err(StoreError::Full { .. })));
    fs::remove_file(&ballast).unwrap();
    assert_eq!(commit(&store, Txn::new().put("b", vec![1; 50_000])), count + 1, "the same store goes on");
    println!("recovered on the same disk");
}

/// Grows a file until nothing fits any more.
fn use_up(ballast: &Path) {
    let mut file = File::options().append(true).create(true).open(ballast).unwrap();
    for bytes in [65_536, 4096, 1] {
        loop {
            match file.write(&vec![0; bytes]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

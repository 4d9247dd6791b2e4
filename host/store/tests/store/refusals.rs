//! Files that are not sound: a refusal that names file, reason and way out; never a silent reset.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_store::{Sqlite, Store, StoreError, Txn};
use tempfile::TempDir;

use crate::{STAGE, commit, part, stage};

/// A closed store of 300 keys, and a snapshot of it.
fn sound() -> (TempDir, PathBuf) {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("it's a store.db");
    let store = Sqlite::open(&path).unwrap();
    commit(&store, (0..300).fold(Txn::new(), |txn, number| txn.put(format!("k{number}"), vec![b'v'; 300])));
    store.snapshot(&state.path().join("snapshot")).unwrap();
    (state, path)
}

fn cut(path: &Path, bytes: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// Bytes without meaning, always the same.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

fn sql(path: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(statement).unwrap();
}

/// Damages a store and expects the refusal, everything as it was, and the way out to lead out.
fn check(damage: impl Fn(&Path), reason: &str) {
    let (state, path) = sound();
    damage(&path);
    let before = files(&state);
    let refusal = Sqlite::open(&path).expect_err(reason);
    assert!(matches!(refusal, StoreError::Corrupt { .. } | StoreError::TooNew { .. }), "{refusal:?}");
    let told = refusal.to_string();
    assert!(told.starts_with(&path.display().to_string()) && told.contains(reason), "{told}");
    assert_eq!(files(&state), before, "{reason}: a refused store is left as it is");

    let hint = refusal.hint().unwrap();
    let commands: String = hint.lines().filter(|line| line.starts_with("  ")).map(|line| line.to_owned() + "\n").collect();
    let copy = tempfile::tempdir().unwrap();
    fs::copy(state.path().join("snapshot"), copy.path().join(path.file_name().unwrap())).unwrap();
    let commands = commands.replace("COPY", &copy.path().display().to_string());
    let played = Command::new("sh").args(["-ec", &commands]).current_dir(&state).status();
    assert!(played.unwrap().success(), "{hint}");
    let store = Sqlite::open(&path).unwrap_or_else(|error| panic!("{reason}: {error}"));
    assert_eq!(store.range("k", None, usize::MAX).unwrap().len(), 300, "{reason}");
}

/// Names and contents, but for the lock.
fn files(state: &TempDir) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let paths = fs::read_dir(state).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_none_or(|name| name != "lock")).map(|path| (path.clone(), fs::read(&path).ok())).collect();
    files.sort();
    files
}

#[test]
fn refuses_a_damaged_file() {
    check(|path| overwrite(path, 0, &noise(1, 100)), "its header is damaged, or it is not a database");
    check(|path| overwrite(path, 16, &noise(2, 44)), "cannot be used as a store");
    check(|path| overwrite(path, 100, &noise(3, 3000)), "malformed");
    check(|path| overwrite(path, fs::metadata(path).unwrap().len() / 2 / 4096 * 4096, &noise(4, 4096)), "Tree");
    check(|path| cut(path, 0), "cut off within its first 100 bytes");
    check(|path| cut(path, 99), "cut off within its first 100 bytes");
    check(|path| cut(path, 4096), "malformed");
    check(|path| cut(path, fs::metadata(path).unwrap().len() / 2 + 77), "malformed");
    check(|path| fs::write(path, "wanted:\n  db: {}\n".repeat(99)).unwrap(), "it is not a database");
}

/// A store as a crash leaves it: what was committed last, and grew it, is only in its write-ahead log.
fn crashed() -> (TempDir, PathBuf) {
    let (state, path) = sound();
    let (crashed, store) = (tempfile::tempdir().unwrap(), Sqlite::open(&path).unwrap());
    commit(&store, Txn::new().put("late", vec![b'v'; 50_000]));
    for (file, content) in files(&state) {
        fs::write(crashed.path().join(file.file_name().unwrap()), content.unwrap()).unwrap();
    }
    let path = crashed.path().join(path.file_name().unwrap());
    (crashed, path)
}

#[test]
fn a_refused_store_keeps_its_log() {
    let (state, path) = crashed();
    overwrite(&path, fs::metadata(&path).unwrap().len() / 2 / 4096 * 4096, &noise(4, 4096));
    let kept = |(file, _): &(PathBuf, Option<Vec<u8>>)| !file.to_str().unwrap().ends_with("-shm");
    let before: Vec<_> = files(&state).into_iter().filter(kept).collect();
    let refusal = Sqlite::open(&path).unwrap_err();
    assert!(matches!(refusal, StoreError::Corrupt { .. }), "{refusal:?}");
    assert!(files(&state).into_iter().filter(kept).eq(before), "nothing was changed, as it says");
}

#[test]
fn a_header_torn_in_a_checkpoint_is_healed_by_the_log() {
    let (_state, path) = crashed();
    overwrite(&path, 0, &[0; 512]);
    let store = Sqlite::open(&path).unwrap();
    assert_eq!((store.revision().unwrap(), store.range("", None, 999).unwrap().len()), (2, 301));
    drop(store);
    let (_state, path) = crashed();
    overwrite(&path, 0, &[0; 512]);
    let log = path.with_file_name("it's a store.db-wal");
    fs::write(&log, noise(5, 5000)).unwrap();
    let refusal = Sqlite::open(&path).unwrap_err();
    assert!(matches!(refusal, StoreError::Corrupt { .. }), "without a page in the log it stays damaged: {refusal:?}");
    assert_eq!(fs::read(&log).unwrap(), noise(5, 5000));
}

#[test]
fn refuses_what_is_not_its_own() {
    check(|path| sql(path, "PRAGMA application_id = 7"), "a database of another program");
    check(|path| sql(path, "PRAGMA user_version = 2"), "has schema version 2, this Hostler knows up to 1");
    check(|path| sql(path, "PRAGMA user_version = 0"), "its schema version 0 never existed");
    check(|path| sql(path, "DROP TABLE meta"), "no such table: meta");
    check(|path| sql(path, "DELETE FROM meta"), "Query returned no rows");
    check(|path| sql(path, "DROP TABLE leases"), "no such table: leases");
    check(|path| sql(path, "DELETE FROM entries WHERE key = 'k7'"), "some of its entries are missing");
    check(|path| sql(path, "UPDATE entries SET value = x'00' WHERE key = 'k7'"), "an entry does not match its digest");
    check(
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "it is not a regular file",
    );
    check(
        |path| {
            fs::rename(path, path.with_extension("real")).unwrap();
            symlink(path.with_extension("real"), path).unwrap();
        },
        "it is not a regular file",
    );
    check(
        |path| {
            fs::remove_file(path).unwrap();
            fs::write(path.with_file_name("it's a store.db-wal"), noise(5, 5000)).unwrap();
        },
        "it is gone, but its write-ahead log",
    );
}

#[test]
fn random_damage_never_panics_and_never_resets() {
    let (_state, path) = sound();
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for seed in 1..=200 {
        fs::write(&path, &whole).unwrap();
        let dice = noise(seed, 16);
        let at = u64::from_be_bytes([0, 0, 0, 0, 0, dice[0], dice[1], dice[2]]) % whole.len() as u64;
        overwrite(&path, at, &noise(seed + 1000, 1 + usize::from(dice[3])));
        match Sqlite::open(&path) {
            Err(StoreError::Corrupt { .. } | StoreError::TooNew { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}: {other:?}"),
            // The damage hit nothing that is in use.
            Ok(store) => {
                let entries = store.range("", None, usize::MAX).unwrap();
                assert_eq!(entries.len(), 300, "seed {seed}");
                assert!(entries.iter().all(|(_, entry)| entry.value == [b'v'; 300]), "seed {seed}");
            }
        }
    }
    assert!(refused > 100, "damage is noticed: {refused}");
}

#[test]
fn notices_damage_while_it_runs() {
    let (_state, path) = sound();
    let store = Sqlite::open(&path).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    for page in 1..length / 4096 {
        overwrite(&path, page * 4096, &noise(page, 4096));
    }
    let error = store.range("", None, usize::MAX).map(|entries| entries.len()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("cp COPY/"));
}

#[test]
fn restores_only_from_a_sound_snapshot() {
    let (state, path) = sound();
    let store = Sqlite::open(&path).unwrap();
    let bad = state.path().join("bad");
    let refused = |reason: &str| {
        let refusal = store.restore(&bad).unwrap_err();
        assert!(matches!(refusal, StoreError::Snapshot { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains(reason) && refusal.to_string().contains(&bad.display().to_string()), "{refusal}");
        assert_eq!((store.revision().unwrap(), store.range("", None, 999).unwrap().len()), (1, 300));
    };
    let snapshot = fs::read(state.path().join("snapshot")).unwrap();
    fs::write(&bad, &snapshot[..snapshot.len() / 2]).unwrap();
    refused("malformed");
    fs::write(&bad, &snapshot).unwrap();
    sql(&bad, "PRAGMA user_version = 9");
    refused("schema version 9");
    fs::write(&bad, &snapshot).unwrap();
    sql(&bad, "DROP TABLE events");
    refused("no such table");
    commit(&store, Txn::new().put("still", *b"works"));
    assert!(matches!(store.snapshot(&path), Err(StoreError::Invalid(_))), "a snapshot may not replace the store");
    store.restore(&state.path().join("snapshot")).unwrap();
    assert_eq!(store.revision().unwrap(), 3);
}

#[test]
fn says_what_cannot_be_written() {
    let state = tempfile::tempdir().unwrap();
    let missing = state.path().join("missing/store.db");
    let refusal = Sqlite::open(&missing).unwrap_err();
    assert!(matches!(refusal, StoreError::Unwritable { .. }), "{refusal:?}");

    // Root may write everywhere: the part is played by somebody else, from a place where he may read.
    let program = state.path().join("test");
    // Not copied here: children of other tests would inherit the open file, and what is written cannot be run.
    assert!(Command::new("cp").arg("-p").args([&std::env::current_exe().unwrap(), &program]).status().unwrap().success());
    let nobody = rustix::process::geteuid().is_root().then_some(65_534);
    for (directory, mode) in [("read-only", 0o555), ("read-only-file", 0o777)] {
        fs::create_dir(state.path().join(directory)).unwrap();
        drop(Sqlite::open(state.path().join(directory).join("store.db")).unwrap());
        fs::remove_file(state.path().join(directory).join("store.lock")).unwrap();
        fs::set_permissions(state.path().join(directory).join("store.db"), fs::Permissions::from_mode(0o444)).unwrap();
        chown(state.path().join(directory).join("store.db"), nobody, nobody).unwrap();
        fs::set_permissions(state.path().join(directory), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(part("refusals::part_without_rights")).env(STAGE, state.path());
    if let Some(nobody) = nobody {
        command.uid(nobody).gid(nobody);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("read-only/store.lock cannot be written: Permission denied"), "{told}");
    assert!(told.contains("read-only-file/store.db cannot be written: the file is read-only"), "{told}");
}

/// A child, without the right to write.
#[test]
fn part_without_rights() {
    let Some(stage) = stage() else { return };
    for directory in ["read-only", "read-only-file"] {
        let refusal = Sqlite::open(stage.join(directory).join("store.db")).unwrap_err();
        assert!(matches!(refusal, StoreError::Unwritable { .. }), "{refusal:?}");
        println!("{refusal}\n{}", refusal.hint().unwrap());
    }
}

//! The keeper's disk is full, and then it is not.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use hostler_keeper::protocol::{ErrorKind, State};

use crate::house::{House, command, exit_of, lines, shell, texts, until};
use crate::lifecycle::refusal;

/// A file system of very few pages, mounted for one test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing where we may not mount.
    fn mount(kib: u32) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().expect("tempdir");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=700"), "tmpfs"]).arg(dir.path()).status();
        mounted.is_ok_and(|status| status.success()).then(|| SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes until there is no space left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.path().join("filler")).expect("creates");
        while file.write(&[0; 512]).is_ok_and(|written| written > 0) {}
    }

    /// Makes room again for so many bytes.
    fn free(&self, bytes: u64) {
        let file = std::fs::OpenOptions::new().write(true).open(self.path().join("filler")).expect("opens");
        file.set_len(file.metadata().expect("there").len() - bytes).expect("cuts");
    }

    fn clear(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("removes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_what_is_new_and_loses_no_exit() {
    let Some(disk) = SmallDisk::mount(256) else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let mut house = House::at(disk.path().to_owned(), &[]);
    let mut client = house.client();
    let talker =
        "echo before; while [ ! -e go ]; do sleep 0.01; done; echo while full; while [ ! -e on ]; do sleep 0.01; done; echo after; exec sleep 1000";
    let signals = tempfile::tempdir().expect("tempdir");
    let directory = signals.path().to_str().map(str::to_owned);
    client.spawn("talker", "plugin", hostler_keeper::protocol::Command { directory, ..shell(talker) }).expect("spawns");
    lines(&mut client, "talker", 1);

    disk.fill();
    let sleep = || command("/bin/sleep", &["1000"]);
    let mut held = Vec::new();
    let refused = until("a refusal", || {
        let key = format!("p{}", held.len());
        let spawned = client.spawn(&key, "plugin", sleep());
        if spawned.is_err() {
            return Some(refusal(spawned));
        }
        held.push(key);
        None
    });
    assert_eq!(refused.0, ErrorKind::Unavailable, "{}", refused.1);
    assert!(refused.1.contains("No space left"), "{}", refused.1);
    assert_eq!(client.list(None).expect("lists").len(), held.len() + 1, "what was refused does not exist");
    std::fs::write(signals.path().join("go"), "").expect("writes");
    for key in &held {
        client.signal(key, "KILL").expect("signals");
        assert_eq!(exit_of(&mut client, key).signal.as_deref(), Some("SIGKILL"), "still told");
    }

    disk.clear();
    std::fs::write(signals.path().join("on"), "").expect("writes");
    until("space is used again", || client.spawn("late", "plugin", sleep()).ok());
    until("the last line", || {
        let texts = texts(&lines(&mut client, "talker", 2));
        (texts.last().map(String::as_str) == Some("after")).then_some(())
    });
    house.kill();
    house.start();
    let mut client = house.client();
    for key in &held {
        let State::Exited(exit) = client.inspect(key).expect("inspects").expect("known").state else { panic!("{key} was forgotten") };
        assert_eq!(exit.signal.as_deref(), Some("SIGKILL"));
    }
}

#[test]
fn a_journal_that_cannot_be_compacted_goes_on_and_leaves_no_half_file_behind() {
    let Some(disk) = SmallDisk::mount(2048) else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let house = House::at(disk.path().to_owned(), &[]);
    let mut client = house.client();
    let journal = || disk.path().join("journal").metadata().expect("there");
    let mut spawned = 0;
    let mut grow_to = |kib: u64| {
        while journal().len() < kib * 1024 {
            spawned += 1;
            let labels = vec![("weight".to_owned(), "x".repeat(16 * 1024))];
            client.spawn(&format!("p{spawned}"), "plugin", hostler_keeper::protocol::Command { labels, ..shell("exit 0") }).expect("spawns");
        }
        client.list(None).expect("answers when the turn is over").len()
    };
    let first = journal().ino();
    grow_to(224);
    disk.fill();
    disk.free(96 * 1024);
    grow_to(288);
    assert_eq!(journal().ino(), first, "there is no room for a second file");
    assert!(!disk.path().join("journal.new").exists(), "nor is there a half one");
    disk.clear();
    let held = grow_to(640);
    assert_ne!(journal().ino(), first, "tried again, once it has doubled");
    assert_eq!(held, spawned);
}

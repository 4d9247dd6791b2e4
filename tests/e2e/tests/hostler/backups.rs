//! All that a host remembers, as one file, and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hostler_e2e::{Yard, alive, until};

use crate::sleeper;

fn leave(yard: &Yard) {
    let pid = yard.host_pid();
    hostler_e2e::signal(pid, hostler_e2e::Signal::TERM);
    until("the host has left", || !alive(pid));
}

#[test]
fn what_was_wanted_then_is_wanted_again_and_what_runs_goes_on() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "dependencies = [\"db\"]")));
    let pids = [yard.pid("db"), yard.pid("web")];
    let backup = yard.file("then.db");
    assert!(yard.run("backup then.db").ok().contains("bytes"));
    assert_eq!(fs::metadata(&backup).expect("it was written").permissions().mode() & 0o777, 0o600);
    let then = yard.get("/host").expect("it answers")["last_event"].as_u64();

    // What comes after it: one less, one more.
    yard.config(&(sleeper("db", "") + &sleeper("later", "")));
    yard.run("apply").ok();
    let later = yard.pid("later");
    until("web is gone", || yard.get("/services/web").is_none() && !alive(pids[1]));
    let since = yard.get("/host").expect("it answers")["last_event"].as_u64();
    assert!(since > then);
    let busy = yard.run("restore then.db").fails(1);
    assert!(busy.contains(&yard.host_pid().to_string()), "a host that runs is not robbed of its store: {busy}");

    leave(&yard);
    assert!(yard.run("restore then.db").ok().contains("then.db"));
    yard.serve();
    assert_eq!(yard.pid("db"), pids[0], "what the backup knows and runs is taken up");
    yard.until_status("web", "running");
    assert!(yard.get("/services/later").is_none() && alive(later), "nobody asked for its end");
    until("what the backup does not know is shown", || yard.run("strangers").ok().contains("later"));
    assert!(yard.get("/host").expect("it answers")["last_event"].as_u64() > since, "no number is given twice");
    let runs = |name: &str| yard.detail(name)["replicas"][0]["run"].as_u64();
    assert!(runs("web") > Some(1 << 20), "the number of a life neither: {:?}", runs("web"));
    let stranger = yard.run("strangers --json").json()["strangers"][0]["name"].as_str().expect("it has an id").to_owned();
    yard.run(&format!("strangers kill {stranger}")).ok();
    until("it has ended", || !alive(later));
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let pid = yard.pid("db");
    leave(&yard);
    fs::write(yard.file("odd.db"), "nothing of the kind").expect("it can be written");
    fs::write(yard.file("empty.db"), "").expect("it can be written");
    for file in ["odd.db", "empty.db", "missing.db", "."] {
        let told = yard.run(&format!("restore {file}")).fails(1);
        assert!(told.contains("error") || told.contains(file), "{told}");
    }
    yard.serve();
    assert_eq!(yard.pid("db"), pid);
    let full = yard.run("backup /proc/nowhere/then.db").fails(1);
    assert!(full.contains("/proc/nowhere/then.db"), "{full}");
}

#[test]
fn many_backups_at_once_leave_nothing_behind() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    std::thread::scope(|scope| {
        for n in 0..6 {
            let yard = &yard;
            scope.spawn(move || yard.run(&format!("backup b{n}.db")).ok());
        }
    });
    let sizes: Vec<u64> = (0..6).map(|n| fs::metadata(yard.file(&format!("b{n}.db"))).expect("it was written").len()).collect();
    assert!(sizes.iter().all(|size| *size > 4096), "{sizes:?}");
    let cache = fs::read_dir(yard.state().join("cache")).expect("the cache");
    let left: Vec<String> = cache.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(left.iter().all(|name| !name.contains("snapshot")), "{left:?}");
}

//! Limits where the machine can apply them, and a note where it cannot.

use hostler_keeper::protocol::Command;

use crate::house::{House, LONG, command, exit_of, lines, shell, until};

const MIB: u64 = 1024 * 1024;

/// Eats memory without end.
fn glutton() -> Command {
    Command { memory_bytes: Some(24 * MIB), ..shell("x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done") }
}

#[test]
fn a_memory_limit_kills_and_the_exit_says_why_or_the_note_says_why_not() {
    let house = House::new();
    let mut client = house.client();
    let cgroup = client.greeting().cgroup.clone();
    if !cgroup.usable {
        eprintln!("limits cannot be applied here: {}", cgroup.why);
        let process = client.spawn("a", "plugin", Command { memory_bytes: Some(24 * MIB), ..shell("exit 0") }).expect("spawns");
        assert!(process.notes.iter().any(|note| note.contains("not applied")), "{:?}", process.notes);
        return;
    }
    let process = client.spawn("a", "plugin", glutton()).expect("spawns");
    assert!(process.notes.is_empty(), "{:?}", process.notes);
    let exit = exit_of(&mut client, "a");
    assert_eq!((exit.signal.as_deref(), exit.out_of_memory), (Some("SIGKILL"), true));

    // a kill of another kind is no lack of memory
    client.spawn("b", "plugin", Command { memory_bytes: Some(64 * MIB), cpu_millis: Some(200), ..command("/bin/sleep", &["1000"]) }).expect("spawns");
    let usage = client.measure("b").expect("measures").expect("runs");
    assert_eq!((usage.memory_limit_bytes, usage.processes), (Some(64 * MIB), Some(1)));
    let exit = client.stop("b", "KILL", LONG).expect("stops");
    assert!(!exit.out_of_memory);
    client.forget("b").expect("forgets");
    client.stop("a", "KILL", LONG).expect("verifies");
    client.forget("a").expect("forgets");
    let left = until("the cgroups are gone", || Some(cgroups_left(&cgroup.why)).filter(Vec::is_empty));
    assert!(left.is_empty());
}

/// Directories of tasks below the keeper's own in every hierarchy that its report names.
fn cgroups_left(report: &str) -> Vec<std::path::PathBuf> {
    let parents = report.split("; ").filter_map(|part| part.split_once(": ")).map(|(_, dir)| dir);
    let children = parents.flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
    children.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[test]
fn without_cgroups_a_limit_is_a_note_and_the_process_runs() {
    let house = House::with(&["--no-cgroups"]);
    let mut client = house.client();
    assert!(!client.greeting().cgroup.usable);
    let limited = Command { memory_bytes: Some(64 * MIB), cpu_millis: Some(500), ..command("/bin/sleep", &["1000"]) };
    let process = client.spawn("a", "plugin", limited).expect("spawns");
    assert_eq!(process.notes.len(), 2, "{:?}", process.notes);
    assert!(process.notes[0].starts_with("memory limit not applied: ") && process.notes[1].starts_with("cpu limit not applied: "));
    // In the instant in which it becomes its program it has no memory yet.
    until("it uses memory", || {
        let usage = client.measure("a").expect("measures").expect("runs");
        assert_eq!(usage.memory_limit_bytes, None);
        usage.memory_bytes.filter(|bytes| *bytes > 0)
    });
}

#[test]
fn a_measure_counts_the_whole_tree_and_nothing_that_ended() {
    for args in [&[][..], &["--no-cgroups"]] {
        let house = House::with(args);
        let mut client = house.client();
        client.spawn("a", "plugin", shell("sleep 1000 & sleep 1000 & echo ready; i=0; while :; do i=$((i+1)); done")).expect("spawns");
        lines(&mut client, "a", 1);
        let first = client.measure("a").expect("measures").expect("runs");
        assert_eq!(first.processes, Some(3));
        until("the time counts up", || {
            let later = client.measure("a").expect("measures").expect("runs");
            assert!(later.cpu_nanos >= first.cpu_nanos);
            (later.cpu_nanos > first.cpu_nanos).then_some(())
        });
        client.stop("a", "KILL", LONG).expect("stops");
        assert_eq!(client.measure("a").expect("answers"), None);
        assert_eq!(client.measure("b").expect("answers"), None);
    }
}

#[test]
fn a_cpu_limit_holds() {
    let house = House::new();
    let mut client = house.client();
    if !client.greeting().cgroup.usable {
        eprintln!("skipped: {}", client.greeting().cgroup.why);
        return;
    }
    let busy = || shell("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done");
    let mut ended = |key: &str, command: Command| {
        let begun = std::time::Instant::now();
        client.spawn(key, "plugin", command).expect("spawns");
        assert_eq!(exit_of(&mut client, key).code, Some(0));
        begun.elapsed()
    };
    let free = (0..3).map(|run| ended(&format!("free-{run}"), busy())).min().expect("three runs");
    let limited = ended("limited", Command { cpu_millis: Some(50), ..busy() });
    assert!(limited > free * 3, "free {free:?}, limited {limited:?}");
}

//! The keeper is killed and another takes its place.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use hostler_keeper::client::Client;
use hostler_keeper::protocol::{ErrorKind, State};
use rustix::process::{Pid, Signal, kill_process};

use crate::house::{House, LONG, command, exit_of, is_alive, lines, shell, texts, until};
use crate::lifecycle::refusal;

#[test]
fn children_outlive_a_killed_keeper_and_are_taken_up_with_the_same_pids() {
    let mut house = House::new();
    let mut client = house.client();
    client.spawn("done", "plugin", shell("exit 9")).expect("spawns");
    let done = exit_of(&mut client, "done");
    let script = "echo before; while [ ! -e stop ]; do sleep 0.02; done; echo after; echo more >&2; exit 6";
    let with_directory = hostler_keeper::protocol::Command { directory: house.dir().to_str().map(str::to_owned), ..shell(script) };
    let before = client.spawn("a", "plugin", with_directory.clone()).expect("spawns");
    lines(&mut client, "a", 1);
    for _ in 0..3 {
        house.kill();
        house.start();
    }
    let mut client = house.client();
    assert_eq!(client.inspect("done").expect("inspects").expect("known").state, State::Exited(done), "an exit is never lost");
    let after = client.spawn("a", "plugin", with_directory).expect("finds it, and starts nothing");
    assert_eq!((after.pid, after.state.clone(), after.started_at), (before.pid, State::Running, before.started_at));
    assert!(after.notes.iter().any(|note| note.contains("restarted")), "{:?}", after.notes);
    assert!(is_alive(before.pid.expect("pid")));

    std::fs::write(house.dir().join("stop"), "").expect("writes");
    let exit = exit_of(&mut client, "a");
    assert_eq!((exit.code, exit.signal), (None, None), "nobody was told how, and nothing is invented");
    let mut texts = texts(&lines(&mut client, "a", 3));
    texts[1..].sort();
    assert_eq!(texts, ["before", "after", "more"]);
}

#[test]
fn what_is_written_while_no_keeper_runs_is_in_the_log() {
    let mut house = House::new();
    let mut client = house.client();
    let marker = house.dir().join("wrote");
    let script = format!(
        "read -r x </dev/null; while [ ! -e {0}.go ]; do sleep 0.02; done; echo while away; printf half; : >{0}; while [ ! -e {0}.on ]; do sleep 0.02; done; echo ' line'; exec sleep 1000",
        marker.display()
    );
    client.spawn("a", "plugin", shell(&script)).expect("spawns");
    house.kill();
    std::fs::write(marker.with_extension("go"), "").expect("writes");
    until("the child has written", || marker.exists().then_some(()));
    assert!(is_alive(pid_of_marker(&house)), "no broken pipe");
    house.start();
    std::fs::write(marker.with_extension("on"), "").expect("writes");
    assert_eq!(texts(&lines(&mut house.client(), "a", 2)), ["while away", "half line"]);
}

fn pid_of_marker(house: &House) -> u32 {
    let journal = std::fs::read_to_string(house.dir().join("journal")).expect("reads");
    let (_, rest) = journal.rsplit_once(r#""pid":"#).expect("a pid");
    rest.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|pid| pid.parse().ok()).expect("a number")
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("it is ours");
}

#[test]
fn an_end_that_no_keeper_saw_is_unknown_and_never_a_success() {
    let mut house = House::new();
    let mut client = house.client();
    let pid = client.spawn("a", "plugin", command("/bin/sleep", &["1000"])).expect("spawns").pid.expect("pid");
    house.kill();
    signal(pid, Signal::KILL);
    until("it is dead", || (!is_alive(pid)).then_some(()));
    house.start();
    let mut client = house.client();
    let State::Unknown(text) = client.inspect("a").expect("inspects").expect("known").state else { panic!("not unknown") };
    assert!(text.contains("nobody saw"), "{text}");
    assert_eq!(refusal(client.stop("a", "TERM", LONG)).0, ErrorKind::NotFound);
    client.forget("a").expect("forgets");
}

#[test]
fn nothing_of_a_tree_is_alive_when_an_end_that_no_keeper_saw_is_told() {
    for args in [&[][..], &["--no-cgroups"]] {
        let mut house = House::with(args);
        let mut client = house.client();
        let leader = client.spawn("a", "plugin", shell("sleep 1000 & echo $!; wait")).expect("spawns").pid.expect("pid");
        let worker: u32 = texts(&lines(&mut client, "a", 1))[0].parse().expect("a pid");
        house.kill();
        signal(leader, Signal::KILL);
        until("the leader is dead", || (!is_alive(leader)).then_some(()));
        assert!(is_alive(worker), "it outlives its leader for as long as there is no keeper");
        house.start();
        let mut client = house.client();
        until("the end is told", || matches!(client.inspect("a").expect("inspects").expect("known").state, State::Unknown(_)).then_some(()));
        assert!(!is_alive(worker), "{args:?}");
        client.forget("a").expect("forgets: nothing is left");
    }
}

/// A process of our own that no keeper may touch.
struct Stranger(Child);

impl Stranger {
    fn new() -> Stranger {
        Stranger(std::process::Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn().expect("spawns"))
    }

    fn start_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("reads");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        fields.split(' ').nth(19).and_then(|field| field.parse().ok()).expect("a start time")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// Rewrites the journal, line by line; the checksums are made to fit.
fn rewrite(house: &House, edit: impl Fn(&str) -> Option<String>) {
    let path = house.dir().join("journal");
    let text = std::fs::read_to_string(&path).expect("reads");
    let lines = text.lines().filter_map(|line| edit(&line[9..])).map(|json| format!("{:08x} {json}\n", crc32(json.as_bytes())));
    std::fs::write(path, lines.collect::<String>()).expect("writes");
}

#[test]
fn a_stranger_with_a_recorded_pid_is_not_touched() {
    let mut house = House::new();
    let mut client = house.client();
    let process = client.spawn("a", "plugin", command("/bin/sleep", &["1000"])).expect("spawns");
    client.signal("a", "KILL").expect("kills");
    exit_of(&mut client, "a");
    house.kill();
    // as if the keeper had missed the end, and the pid were now somebody else's
    let recorded = std::fs::read_to_string(house.dir().join("journal")).expect("reads");
    let mut stranger = until("a process of another start time", || {
        let stranger = Stranger::new();
        (!recorded.contains(&format!("\"start_time\":{}}}", stranger.start_time()))).then_some(stranger)
    });
    let (old, new) = (process.pid.expect("pid"), stranger.0.id());
    rewrite(&house, |json| (!json.contains("\"ended\"")).then(|| json.replace(&format!("\"pid\":{old}"), &format!("\"pid\":{new}"))));
    house.start();
    let mut client = house.client();
    assert!(matches!(client.inspect("a").expect("inspects").expect("known").state, State::Unknown(_)));
    assert_eq!(refusal(client.signal("a", "KILL")).0, ErrorKind::NotFound);
    assert_eq!(refusal(client.stop("a", "KILL", LONG)).0, ErrorKind::NotFound);
    assert!(stranger.0.try_wait().expect("waits").is_none(), "the stranger lives");
}

#[test]
fn a_start_that_was_interrupted_is_found_by_its_marker() {
    let mut house = House::new();
    let mut client = house.client();
    let process = client.spawn("a", "plugin", command("/bin/sleep", &["1000"])).expect("spawns");
    client.spawn("b", "plugin", command("/bin/sleep", &["0"])).expect("spawns");
    exit_of(&mut client, "b");
    house.kill();
    // as if the keeper had died between the intent and the pid
    rewrite(&house, |json| (json.contains("\"intent\"") || json.contains("instance")).then(|| json.to_owned()));
    house.start();
    let mut client = house.client();
    let found = client.inspect("a").expect("inspects").expect("known");
    assert_eq!((found.pid, found.state), (process.pid, State::Running));
    let State::Unknown(text) = client.inspect("b").expect("inspects").expect("known").state else { panic!("not unknown") };
    assert!(text.contains("being started"), "{text}");
    assert_eq!(client.list(None).expect("lists").len(), 2);
}

#[test]
fn a_torn_record_is_cut_off_and_kept_beside() {
    let mut house = House::new();
    let mut client = house.client();
    let process = client.spawn("a", "plugin", command("/bin/sleep", &["1000"])).expect("spawns");
    house.kill();
    let path = house.dir().join("journal");
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes.extend_from_slice(b"0123abcd {\"gone\":{\"ke");
    std::fs::write(&path, bytes).expect("writes");
    house.start();
    assert_eq!(house.client().inspect("a").expect("inspects").expect("known").pid, process.pid);
    assert!(house.dir().join("journal.torn").exists());
}

#[test]
fn a_damaged_journal_is_refused_and_nothing_is_touched() {
    let mut house = House::new();
    let mut client = house.client();
    let pids: Vec<u32> =
        ["a", "b", "c"].map(|key| client.spawn(key, "plugin", command("/bin/sleep", &["1000"])).expect("spawns").pid.expect("pid")).to_vec();
    house.kill();
    let path = house.dir().join("journal");
    let good = std::fs::read(&path).expect("reads");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&path, &bad).expect("writes");
    let output = house.command().output().expect("runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("damaged at byte") && said.contains("journal"), "{said}");
    assert_eq!(std::fs::read(&path).expect("reads"), bad, "never reset");
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    std::fs::write(&path, good).expect("restores");
    house.start();
    assert_eq!(house.client().list(None).expect("lists").iter().filter(|process| process.state == State::Running).count(), 3);
}

#[test]
fn sigterm_ends_a_keeper_only_when_it_holds_nothing() {
    let mut house = House::new();
    let mut client = house.client();
    client.spawn("a", "plugin", command("/bin/sleep", &["1000"])).expect("spawns");
    let terminate = |house: &House| signal(house.pid(), Signal::TERM);
    terminate(&house);
    client.inspect("a").expect("still answers").expect("still holds it");
    client.stop("a", "KILL", LONG).expect("stops");
    terminate(&house);
    until("the keeper ends", || Client::connect(&house.dir(), "test", false).is_err().then_some(()));
    house.kill();
}

#[test]
fn ensure_starts_one_keeper_however_many_ask() {
    let dir = tempfile::tempdir().expect("tempdir");
    let dir = dir.path().join("a-directory-with-a-rather-long-name-so-that-its-socket-would-not-fit-into-an-address/".repeat(2));
    let exe = std::path::Path::new(env!("CARGO_BIN_EXE_hostler-keeper"));
    let ensured: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| hostler_keeper::client::ensure(&dir, exe, LONG))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    for socket in ensured {
        assert!(socket.expect("ensured").ends_with("keeper.sock"));
    }
    let mut client = Client::connect(&dir, "test", false).expect("connects");
    let pid = client.greeting().pid;
    hostler_keeper::client::ensure(&dir, exe, LONG).expect("finds it");
    assert_eq!(Client::connect(&dir, "test", false).expect("connects").greeting().pid, pid);
    client.shutdown(true).expect("shuts down");
    // it answers before it is gone, and its socket takes connections until it is
    until("nobody answers", || hostler_keeper::client::connect_stream(&dir).is_err().then_some(()));
    let failed = hostler_keeper::client::ensure(&dir, std::path::Path::new("/bin/false"), LONG).expect_err("no keeper");
    assert!(failed.to_string().contains("did not start"), "{failed}");
}

#[test]
fn one_that_has_taken_the_lock_and_not_said_so_yet_is_waited_for() {
    let dir = tempfile::tempdir().expect("tempdir");
    let dir = dir.path();
    // A keeper that the processor was taken from between the lock and its pid.
    let lock = std::fs::File::create(dir.join("keeper.lock")).expect("creates");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("it is ours alone");
    // Whoever is started meanwhile gives up at once. A real one would do so as well, unless it is late itself, and then it would stay.
    let exe = std::path::Path::new("/bin/false");
    let (patience, begun) = (std::time::Duration::from_millis(500), std::time::Instant::now());
    hostler_keeper::client::ensure(dir, exe, patience).expect_err("nobody answers");
    assert!(begun.elapsed() >= patience, "it was given up after {:?}", begun.elapsed());
    std::thread::scope(|scope| {
        let ensured = scope.spawn(|| hostler_keeper::client::ensure(dir, exe, LONG));
        let listener = std::os::unix::net::UnixListener::bind(dir.join("keeper.sock")).expect("binds");
        ensured.join().expect("no panic").expect("it answers now");
        drop(listener);
    });
}

#[test]
fn what_a_lost_directory_left_behind_is_removed_by_the_next_keeper() {
    let mut house = House::new();
    let mut client = house.client();
    client.spawn("a", "plugin", shell("exit 0")).expect("spawns");
    exit_of(&mut client, "a");
    let journal = std::fs::read_to_string(house.dir().join("journal")).expect("reads");
    let instance = journal.split("\"instance\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name").to_owned();
    let places = ["/dev/shm", "/sys/fs/cgroup"].map(|place| move |name: &str| find(std::path::Path::new(place), name, 4));
    let left = || places.iter().flat_map(|place| place(&instance)).collect::<Vec<_>>();
    house.kill();
    let kept = left();
    drop(House::new());
    assert_eq!(left(), kept, "a directory that is there may get its keeper back");
    std::fs::remove_dir_all(house.dir()).expect("removes");
    drop(House::new());
    assert_eq!(left(), Vec::<std::path::PathBuf>::new(), "of {kept:?}");
}

/// Directories whose name ends with that, so many levels down.
fn find(place: &std::path::Path, name: &str, levels: usize) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    let visit = |dir: std::path::PathBuf| {
        let below = if levels > 1 { find(&dir, name, levels - 1) } else { Vec::new() };
        let itself = dir.to_string_lossy().ends_with(name).then_some(dir);
        itself.into_iter().chain(below).collect::<Vec<_>>()
    };
    dirs.flat_map(visit).collect()
}

/// A keeper that was killed during a sync holds its lock until the disk answers, with its main thread dead: played here by a program
/// whose main thread ends alone.
#[test]
fn whoever_is_dead_keeps_no_lock() {
    let mut house = House::new();
    house.kill();
    let script = "
import ctypes, fcntl, sys, threading
lock = open(sys.argv[1], 'a')
fcntl.flock(lock, fcntl.LOCK_EX)
threading.Thread(target=sys.stdin.readline).start()
print('locked', flush=True)
sys.stdin.readline() if sys.argv[2] == 'alive' else ctypes.CDLL(None).syscall(60, 0)
";
    let lock = house.dir().join("keeper.lock");
    let holder = |how: &str| {
        let mut holder = std::process::Command::new("/usr/bin/python3")
            .args(["-c", script, lock.to_str().expect("UTF-8"), how])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).expect("says so");
        assert_eq!(line, "locked\n");
        holder
    };
    let mut alive = holder("alive");
    let refused = house.command().stderr(Stdio::piped()).output().expect("runs");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains(&format!("process {}", alive.id())), "{why}");
    drop(alive.stdin.take());
    alive.wait().expect("ends");

    let mut dead = holder("dead");
    until("its main thread is dead", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", dead.id())).expect("it is there");
        stat.contains(") Z ").then_some(())
    });
    house.start();
    let second = house.command().stderr(Stdio::piped()).output().expect("runs");
    assert!(!second.status.success(), "the lock that was taken over is a lock");
    drop(dead.stdin.take());
    dead.wait().expect("ends");
}

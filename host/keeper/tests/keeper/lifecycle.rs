//! From spawn to forget.

use std::collections::BTreeSet;
use std::time::Duration;

use hostler_keeper::client::ClientError;
use hostler_keeper::protocol::{Command, ErrorKind, Event, Request, Response, State};

use crate::house::{House, LONG, command, exit_of, is_alive, lines, shell, texts, until};

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (ErrorKind, String) {
    match result {
        Err(ClientError::Refused(refusal)) => (refusal.kind, refusal.text),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn the_same_key_and_command_is_the_same_process() {
    let house = House::new();
    let mut client = house.client();
    let sleep = || command("/bin/sleep", &["1000"]);
    let first = client.spawn("a", "plugin", sleep()).expect("spawns");
    assert!(is_alive(first.pid.expect("a pid")));
    let second = house.client().spawn("a", "plugin", sleep()).expect("finds");
    assert_eq!(first, second);
    assert_eq!(refusal(client.spawn("a", "plugin", command("/bin/sleep", &["1001"]))).0, ErrorKind::Conflict);
    assert_eq!(refusal(client.spawn("a", "other", sleep())).0, ErrorKind::Conflict);
    assert_eq!(client.list(None).expect("lists").len(), 1);

    let exit = client.stop("a", "SIGTERM", LONG).expect("stops");
    assert_eq!(exit.signal.as_deref(), Some("SIGTERM"));
    let ended = client.spawn("a", "plugin", sleep()).expect("finds the ended one");
    assert_eq!(ended.state, State::Exited(exit));
    client.forget("a").expect("forgets");
    client.forget("a").expect("of what is gone it succeeds");
    assert_eq!(client.inspect("a").expect("inspects"), None);
    let anew = client.spawn("a", "plugin", sleep()).expect("spawns anew");
    assert_ne!(anew.pid, first.pid);
}

#[test]
fn each_end_is_told_as_it_was() {
    let house = House::new();
    let mut client = house.client();
    client.subscribe().expect("subscribes");
    for (key, script, code, signal) in [
        ("zero", "exit 0", Some(0), None),
        ("seven", "exit 7", Some(7), None),
        ("killed", "kill -9 $$", None, Some("SIGKILL")),
        ("segv", "kill -SEGV $$", None, Some("SIGSEGV")),
    ] {
        client.spawn(key, "plugin", shell(script)).expect("spawns");
        let Some(Event::Exited { key: ended, owner, exit, process }) = client.next_event(LONG).expect("hears") else { panic!("no event") };
        assert_eq!((ended.as_str(), owner.as_str()), (key, "plugin"));
        assert_eq!((exit.code, exit.signal.as_deref(), exit.out_of_memory), (code, signal, false));
        let inspected = client.inspect(key).expect("inspects").expect("known");
        assert_eq!(inspected.state, State::Exited(exit));
        assert_eq!(process.as_deref(), Some(&inspected), "whoever hears of an end need not ask");
    }
}

#[test]
fn a_program_that_is_just_being_replaced_may_be_tried_again() {
    let house = House::new();
    let mut client = house.client();
    let scratch = tempfile::tempdir().expect("tempdir");
    let program = scratch.path().join("sleep");
    std::fs::copy("/bin/sleep", &program).expect("copies");
    let sleep = || command(program.to_str().expect("text"), &["1000"]);
    let writer = std::fs::OpenOptions::new().write(true).open(&program).expect("opens");
    let (kind, text) = refusal(client.spawn("a", "plugin", sleep()));
    assert_eq!(kind, ErrorKind::Other, "{text}");
    drop(writer);
    // a child of another test may hold the writer between its fork and its exec
    until("it starts", || client.spawn("a", "plugin", sleep()).ok());
}

#[test]
fn what_cannot_run_is_refused_and_leaves_nothing() {
    let house = House::new();
    let mut client = house.client();
    let scratch = tempfile::tempdir().expect("tempdir");
    let file = |name: &str, content: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, content).expect("writes");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
        path.to_str().expect("text").to_owned()
    };
    let (orphan, text) = (file("orphan", "#!/no/such/interpreter\n"), file("text", "echo never by a shell\n"));
    let cases = [
        (command("/no/such/program", &[]), "not found"),
        (command("sleep", &[]), "absolute"),
        (command("/etc/passwd", &[]), "not executable"),
        (command(&text, &[]), "#!"),
        (command(&orphan, &[]), "did not start"),
        (Command { directory: Some("/no/such/place".into()), ..command("/bin/true", &[]) }, "/no/such/place"),
        (Command { user: Some("no-such-user".into()), ..command("/bin/true", &[]) }, "no-such-user"),
        (Command { log_name: Some("../escape".into()), ..command("/bin/true", &[]) }, "log name"),
    ];
    for (command, expected) in cases {
        let (kind, text) = refusal(client.spawn("a", "plugin", command));
        assert_eq!(kind, ErrorKind::Invalid, "{text}");
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(refusal(client.spawn("../a", "plugin", command("/bin/true", &[]))).0, ErrorKind::Invalid);
    assert!(client.list(None).expect("lists").is_empty());
    assert_eq!(std::fs::read_dir(house.dir().join("logs")).expect("lists").count(), 0);
}

#[test]
fn a_child_gets_its_environment_its_session_and_nothing_of_the_keeper() {
    let house = House::new();
    let mut client = house.client();
    let script = "env; cd /proc/self; pwd >/dev/null; read -r stat </proc/$$/stat; echo stat $$ $stat; umask; pwd -P";
    let env = vec![("PATH".into(), "/usr/bin:/bin".into()), ("EMPTY".into(), String::new()), ("TEXT".into(), "a b\nc=d".into())];
    client.spawn("a", "plugin", Command { env, directory: Some("/usr".into()), ..shell(script) }).expect("spawns");
    assert_eq!(exit_of(&mut client, "a").code, Some(0));
    let texts = texts(&lines(&mut client, "a", 9));
    let find = |prefix: &str| texts.iter().find(|text| text.starts_with(prefix)).unwrap_or_else(|| panic!("no {prefix} in {texts:?}"));
    assert_eq!(find("EMPTY="), "EMPTY=");
    assert!(find("HOSTLER_TASK=").ends_with("-a"));
    assert_eq!((find("TEXT=").as_str(), find("c=").as_str()), ("TEXT=a b", "c=d"));
    assert!(texts.iter().all(|text| !text.starts_with("HOME=") && !text.starts_with("CARGO")), "{texts:?}");
    let stat: Vec<&str> = find("stat ").split(' ').collect();
    assert_eq!((stat[1], stat[1], stat[1]), (stat[2], stat[6], stat[7]), "leads its group and session: {stat:?}");
    assert_eq!(find("00"), "0022");

    // the third is the listing's own
    client.spawn("c", "plugin", command("/bin/ls", &["/proc/self/fd"])).expect("spawns");
    assert_eq!(crate::house::texts(&lines(&mut client, "c", 4)), ["0", "1", "2", "3"]);

    // without a shell, which has a mask of its own while it forks
    client.spawn("b", "plugin", command("/bin/grep", &["-E", "^Sig(Blk|Ign)", "/proc/self/status"])).expect("spawns");
    let masks = crate::house::texts(&lines(&mut client, "b", 2));
    // what has no name below is the machinery's that runs the test, and not ours to reset
    let standard = |mask: &String| u64::from_str_radix(mask.rsplit('\t').next().expect("a mask"), 16).expect("hex") & 0x7fff_ffff;
    assert!(masks.iter().all(|mask| standard(mask) == 0), "{masks:?}");
}

#[test]
fn two_hundred_at_once_all_end_and_are_all_told() {
    let house = House::new();
    let mut client = house.client();
    client.subscribe().expect("subscribes");
    let spawns: Vec<u64> = (0..200)
        .map(|number| {
            let command = shell(&format!("echo {number}; exit {}", number % 100));
            client.send(&Request::Spawn { key: format!("p{number}"), owner: "plugin".into(), command }).expect("sends")
        })
        .collect();
    for id in spawns {
        assert!(matches!(client.wait(id).expect("spawns").0, Response::Process(_)));
    }
    let mut ended = BTreeSet::new();
    while ended.len() < 200 {
        let Some(Event::Exited { key, exit, .. }) = client.next_event(LONG).expect("hears") else { panic!("{} ended", ended.len()) };
        let number: i32 = key[1..].parse().expect("a number");
        assert_eq!(exit.code, Some(number % 100));
        assert!(ended.insert(number), "told twice: {number}");
    }
    for number in 0..200 {
        assert_eq!(texts(&lines(&mut client, &format!("p{number}"), 1)), [number.to_string()]);
    }
}

#[test]
fn signals_go_by_name_to_what_runs() {
    let house = House::new();
    let mut client = house.client();
    client.spawn("a", "plugin", shell("trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done")).expect("spawns");
    lines(&mut client, "a", 1);
    client.signal("a", "hup").expect("signals");
    // the shell may also say that the sleep in its group was hung up
    until("the trap ran", || texts(&lines(&mut client, "a", 2)).contains(&"hup".to_owned()).then_some(()));
    assert_eq!(refusal(client.signal("a", "SIGNOPE")).0, ErrorKind::Invalid);
    assert_eq!(refusal(client.signal("b", "HUP")).0, ErrorKind::NotFound);
    client.signal("a", "KILL").expect("kills");
    assert_eq!(exit_of(&mut client, "a").signal.as_deref(), Some("SIGKILL"));
    assert_eq!(refusal(client.signal("a", "HUP")).0, ErrorKind::NotFound);
}

#[test]
fn each_owner_sees_its_own_and_what_runs_is_not_forgotten() {
    let house = House::new();
    let mut client = house.client();
    for (key, owner) in [("a", "one"), ("b", "one"), ("c", "two")] {
        client.spawn(key, owner, command("/bin/sleep", &["1000"])).expect("spawns");
    }
    let keys = |processes: Vec<hostler_keeper::protocol::Process>| processes.into_iter().map(|process| process.key).collect::<Vec<_>>();
    assert_eq!(keys(client.list(Some("one")).expect("lists")), ["a", "b"]);
    assert_eq!(keys(client.list(None).expect("lists")), ["a", "b", "c"]);
    assert_eq!(refusal(client.forget("a")).0, ErrorKind::Conflict);
    assert_eq!(refusal(client.drop_log("a")).0, ErrorKind::Conflict);
    assert_eq!(refusal(client.shutdown(true)).0, ErrorKind::Conflict);
}

#[test]
fn a_second_keeper_is_refused_by_the_pid_of_the_first() {
    let house = House::new();
    let output = house.command().output().expect("runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&house.pid().to_string()) && said.contains("another keeper"), "{said}");
    house.client();
}

#[test]
fn a_user_is_switched_to_with_its_groups() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let house = House::new();
    let mut client = house.client();
    let script = "id -u; id -g; id -G; echo again >/dev/stdout";
    client.spawn("a", "plugin", Command { user: Some("nobody".into()), ..shell(script) }).expect("spawns");
    assert_eq!(exit_of(&mut client, "a").code, Some(0));
    let nobody = std::fs::read_to_string("/etc/passwd").expect("reads");
    let entry: Vec<&str> = nobody.lines().find(|line| line.starts_with("nobody:")).expect("nobody").split(':').collect();
    assert_eq!(texts(&lines(&mut client, "a", 4)), [entry[2], entry[3], entry[3], "again"]);
    client.spawn("b", "plugin", Command { user: Some("1234:4321".into()), ..shell("id -u; id -G") }).expect("spawns");
    assert_eq!(texts(&lines(&mut client, "b", 2)), ["1234", "4321"]);
}

#[test]
fn a_shutdown_stops_everything_and_leaves_no_process() {
    let mut house = House::new();
    let mut client = house.client();
    client.spawn("last", "plugin", shell("trap 'echo bye; printf bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")).expect("spawns");
    lines(&mut client, "last", 1);
    let pids: Vec<u32> = (0..5)
        .map(|number| client.spawn(&format!("p{number}"), "plugin", command("/bin/sleep", &["1000"])).expect("spawns").pid.expect("pid"))
        .collect();
    client.shutdown(false).expect("shuts down");
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert!(client.next_event(Duration::from_secs(10)).is_err(), "the connection closes");
    house.kill();
    house.start();
    let said = texts(&lines(&mut house.client(), "last", 3));
    assert_eq!(said.iter().filter(|text| *text == "bye").count(), 2, "its last words are kept: {said:?}");
}

#[test]
fn descriptors_and_memory_are_flat_over_many_restarts() {
    let house = House::new();
    let mut client = house.client();
    client.subscribe().expect("subscribes");
    let round = |client: &mut hostler_keeper::client::Client, rounds: usize| {
        for _ in 0..rounds {
            client.spawn("a", "plugin", command("/bin/true", &[])).expect("spawns");
            client.next_event(LONG).expect("hears").expect("ends");
            client.stop("a", "TERM", LONG).expect("verifies");
            client.forget("a").expect("forgets");
        }
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", house.pid())).expect("lists").count();
        let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).expect("reads");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        (descriptors, resident.trim().trim_end_matches(" kB").parse::<u64>().expect("kB"))
    };
    let (before, resident_before) = round(&mut client, 200);
    let (after, resident_after) = round(&mut client, 800);
    assert!(after <= before + 4, "descriptors: {before}, then {after}");
    assert!(resident_after <= resident_before + 1024, "kB resident: {resident_before}, then {resident_after}");
}

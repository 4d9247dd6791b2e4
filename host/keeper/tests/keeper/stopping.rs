//! Nothing is alive when a stop returns: with cgroups, and with nothing but `/proc`.

use std::time::{Duration, Instant};

use hostler_keeper::protocol::{ErrorKind, Request, Response, State};

use rustix::process::Signal;

use crate::house::{House, LONG, command, exit_of, is_alive, lines, shell, texts, until};
use crate::lifecycle::refusal;

/// Both ways in which a tree is known.
fn each_way(test: impl Fn(House)) {
    for args in [&[][..], &["--no-cgroups"]] {
        eprintln!("keeper arguments: {args:?}");
        test(House::with(args));
    }
}

/// Runs the script under the key `a` and reads the pids that it and its descendants print, one a line.
fn pids(house: &House, script: &str, count: usize) -> Vec<u32> {
    let mut client = house.client();
    let leader = client.spawn("a", "plugin", shell(script)).expect("spawns").pid.expect("pid");
    let printed = texts(&lines(&mut client, "a", count));
    let mut pids: Vec<u32> = printed.iter().map(|text| text.trim().parse().expect("a pid")).collect();
    pids.push(leader);
    pids
}

fn assert_none_alive(pids: &[u32]) {
    let alive: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(alive.is_empty(), "still alive after stop: {alive:?} of {pids:?}");
}

#[test]
fn a_grandchild_that_ignores_term_dies_though_its_leader_went_at_once() {
    each_way(|house| {
        let pids = pids(&house, r#"sh -c 'trap "" TERM; echo $$; while :; do sleep 0.05; done' & wait"#, 1);
        let mut client = house.client();
        let exit = client.stop("a", "SIGTERM", Duration::from_secs(1)).expect("stops");
        assert_eq!(exit.signal.as_deref(), Some("SIGTERM"), "the leader's own end is what is told");
        assert_none_alive(&pids);
    });
}

#[test]
fn daemons_in_sessions_of_their_own_die_too() {
    each_way(|house| {
        let daemon = |environment: &str| format!(r#"( {environment} setsid sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 0.05; done' & ) ;"#);
        let script = format!("{} {} exec sleep 1000", daemon(""), daemon("MORE=1"));
        let pids = pids(&house, &script, 2);
        house.client().stop("a", "SIGTERM", Duration::from_millis(200)).expect("stops");
        assert_none_alive(&pids);
    });
}

#[test]
fn a_daemon_that_wiped_its_environment_is_found_by_its_cgroup() {
    let house = House::new();
    if !house.client().greeting().cgroup.why.contains("members: /") {
        eprintln!("skipped: no cgroups here: {}", house.client().greeting().cgroup.why);
        return;
    }
    let script = r#"( env -i PATH=/usr/bin:/bin setsid sh -c 'trap "" TERM HUP; echo $$; while :; do sleep 0.05; done' & ) ; exec sleep 1000"#;
    let pids = pids(&house, script, 1);
    let mut client = house.client();
    assert!(is_alive(pids[0]));
    client.stop("a", "SIGTERM", Duration::from_millis(100)).expect("stops");
    assert_none_alive(&pids);
}

#[test]
fn a_leader_that_ignores_term_is_killed_after_its_grace_and_not_before() {
    each_way(|house| {
        let pids = pids(&house, r#"trap "" TERM; echo $$; while :; do sleep 0.05; done"#, 1);
        let begun = Instant::now();
        let exit = house.client().stop("a", "TERM", Duration::from_millis(400)).expect("stops");
        assert_eq!(exit.signal.as_deref(), Some("SIGKILL"));
        assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
        assert_none_alive(&pids);
    });
}

#[test]
fn what_outlives_its_leader_is_killed_before_the_end_is_told() {
    each_way(|house| {
        let pids = pids(&house, "sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & exec sleep 1000", 1);
        let mut client = house.client();
        client.signal("a", "TERM").expect("the leader ends of it, the other one does not care");
        assert_eq!(exit_of(&mut client, "a").signal.as_deref(), Some("SIGTERM"));
        assert_none_alive(&pids);
        let exit = client.stop("a", "TERM", LONG).expect("there is nothing left to stop");
        assert_eq!(exit.signal.as_deref(), Some("SIGTERM"), "and it tells how the leader had ended");
        client.forget("a").expect("forgets");
    });
}

#[test]
fn a_second_stop_joins_the_first_and_may_shorten_it() {
    let house = House::new();
    let pids = pids(&house, r#"trap "" TERM; echo $$; while :; do sleep 0.05; done"#, 1);
    let (mut first, mut second) = (house.client(), house.client());
    let stop = |grace_ms| Request::Stop { key: "a".into(), signal: "TERM".into(), grace_ms };
    let patient = first.send(&stop(3_600_000)).expect("sends");
    first.inspect("a").expect("answers while a stop runs");
    let Response::Exit(short) = second.ask(&stop(50)).expect("stops").0 else { panic!("no exit") };
    let Response::Exit(long) = first.wait(patient).expect("stops").0 else { panic!("no exit") };
    assert_eq!(short, long);
    assert_none_alive(&pids);
    assert_eq!(second.stop("a", "TERM", LONG).expect("again succeeds"), short);
}

#[test]
fn a_grace_goes_on_without_the_client_and_across_keepers() {
    let mut house = House::new();
    let pids = pids(&house, r#"trap "" TERM; echo $$; while :; do sleep 0.05; done"#, 1);
    let mut client = house.client();
    client.send(&Request::Stop { key: "a".into(), signal: "TERM".into(), grace_ms: 6_000 }).expect("sends");
    client.inspect("a").expect("the stop was heard");
    drop(client);
    house.kill();
    house.start();
    let mut client = house.client();
    assert_eq!(client.inspect("a").expect("inspects").expect("known").state, State::Running);
    let begun = Instant::now();
    // joined: the hour asked here does not start it again
    client.stop("a", "TERM", Duration::from_secs(3600)).expect("stops");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_none_alive(&pids);
}

#[test]
fn a_tree_that_keeps_forking_is_killed_whole() {
    each_way(|house| {
        let script = r#"trap "" TERM; echo $$; f() { trap "" TERM; while :; do (sleep 0.3) & sleep 0.003; done; }; f & f & f & wait"#;
        pids(&house, script, 1);
        let mut client = house.client();
        client.stop("a", "TERM", Duration::from_millis(200)).expect("stops");
        let marker = format!("HOSTLER_TASK={}", marker_of(&house));
        let survivors = until("an empty machine", || Some(marked(&marker)));
        assert!(survivors.is_empty(), "{survivors:?}");
    });
}

fn marker_of(house: &House) -> String {
    let journal = std::fs::read_to_string(house.dir().join("journal")).expect("reads");
    let (_, rest) = journal.split_once(r#""instance":""#).expect("a header");
    format!("{}/1-a", rest.split('"').next().expect("a name"))
}

/// Living processes with that in their environment.
fn marked(marker: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("lists").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes())
    };
    pids.filter(has).filter(|pid| is_alive(*pid)).collect()
}

#[test]
fn a_keeper_that_was_told_to_end_does_when_its_last_process_has() {
    let mut house = House::new();
    let mut client = house.client();
    for key in ["a", "b"] {
        client.spawn(key, "plugin", command("/bin/sleep", &["1000"])).expect("spawns");
    }
    house.signal(Signal::TERM);
    client.stop("a", "TERM", LONG).expect("one of two has ended, and it goes on");
    assert_eq!(client.inspect("b").expect("answers").expect("known").state, State::Running);
    client.spawn("c", "plugin", shell("exit 3")).expect("it still starts what it is asked for");
    exit_of(&mut client, "c");
    client.send(&Request::Stop { key: "b".into(), signal: "TERM".into(), grace_ms: 60_000 }).expect("sends");
    assert!(house.ended().success(), "in good order");
    // How they ended was written down.
    house.start();
    assert_eq!(exit_of(&mut house.client(), "b").signal.as_deref(), Some("SIGTERM"));
    assert_eq!(exit_of(&mut house.client(), "c").code, Some(3));
}

#[test]
fn stopping_what_is_not_there_says_so() {
    let house = House::new();
    let mut client = house.client();
    assert_eq!(refusal(client.stop("a", "TERM", LONG)).0, ErrorKind::NotFound);
    client.spawn("a", "plugin", shell("exit 1")).expect("spawns");
    assert_eq!(refusal(client.stop("a", "SIGNOPE", LONG)).0, ErrorKind::Invalid);
    assert_eq!(client.stop("a", "TERM", LONG).expect("of what has exited it tells the exit").code, exit_of(&mut client, "a").code);
}

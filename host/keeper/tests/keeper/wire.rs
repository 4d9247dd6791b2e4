//! What clients may do to the keeper, and what they may not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hostler_keeper::client::{Client, ClientError};
use hostler_keeper::protocol::{Decoder, ErrorKind, PROTOCOL, Request, Response, encode};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::house::{House, LONG, command, state_of, until};
use crate::lifecycle::refusal;

fn connect(house: &House) -> UnixStream {
    let stream = UnixStream::connect(house.dir().join("keeper.sock")).expect("connects");
    stream.set_read_timeout(Some(LONG)).expect("sets");
    stream
}

fn answer(stream: &mut UnixStream) -> (u64, Response) {
    let mut decoder = Decoder::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).expect("reads");
        assert!(read > 0, "closed");
        decoder.push(&buffer[..read]);
        if let Some(frame) = decoder.next_frame().expect("a frame") {
            return (frame.id, frame.message().expect("a response"));
        }
    }
}

#[test]
fn the_new_host_fences_the_old_one() {
    let house = House::new();
    let mut old = Client::connect(&house.dir(), "old", true).expect("connects");
    let mut bystander = house.client();
    let mut new = Client::connect(&house.dir(), "new", true).expect("takes over");
    // whatever the old one still wants is not done
    let spawned = old.spawn("late", "plugin", command("/bin/sleep", &["1000"]));
    assert!(matches!(spawned, Err(ClientError::Io { .. })), "{spawned:?}");
    assert_eq!(new.inspect("late").expect("inspects"), None);
    bystander.list(None).expect("others are left alone");
}

#[test]
fn requests_of_the_old_host_that_were_not_read_yet_are_dropped() {
    let house = House::new();
    for round in 0..20 {
        let mut old = Client::connect(&house.dir(), "old", true).expect("connects");
        let key = |number: usize| format!("r{round}-{number}");
        for number in 0..100 {
            // the new host's hello may come while these are still in the socket
            let _ = old.send(&Request::Spawn { key: key(number), owner: "old".into(), command: command("/bin/true", &[]) });
        }
        let mut new = Client::connect(&house.dir(), "new", true).expect("takes over");
        let first = new.list(Some("old")).expect("lists").len();
        let second = new.list(Some("old")).expect("lists").len();
        assert_eq!(first, second, "after the hello's answer nothing of the old host happens");
    }
}

#[test]
fn what_is_no_request_is_answered_and_harms_nobody() {
    let house = House::new();
    let mut stream = connect(&house);
    stream.write_all(&encode(5, &Request::Subscribe, &[])).expect("writes");
    let (id, Response::Error(refusal)) = answer(&mut stream) else { panic!("no refusal") };
    assert_eq!((id, refusal.kind), (5, ErrorKind::Invalid));
    assert!(refusal.text.contains("hello"), "{}", refusal.text);
    let hello = Request::Hello { protocol: PROTOCOL, client: "raw".into(), exclusive: false };
    stream.write_all(&encode(6, &hello, &[])).expect("writes");
    assert!(matches!(answer(&mut stream), (6, Response::Hello(_))));
    stream.write_all(&encode(7, &serde_json::json!({"levitate": {"height": 3}}), b"body")).expect("writes");
    let (7, Response::Error(refusal)) = answer(&mut stream) else { panic!("no refusal") };
    assert_eq!(refusal.kind, ErrorKind::Invalid);
    assert!(refusal.text.contains("levitate"), "{}", refusal.text);
    stream.write_all(&encode(8, &serde_json::json!({"inspect": {"keys": ["a"], "newer": 1}}), &[])).expect("writes");
    assert_eq!(answer(&mut stream), (8, Response::Processes(vec![None])));
}

#[test]
fn random_bytes_close_one_connection_and_no_other() {
    let house = House::new();
    let mut client = house.client();
    let mut seed: u64 = 42;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    for round in 0..300 {
        let mut stream = connect(&house);
        let mut bytes: Vec<u8> = (0..256).map(|_| random()).collect();
        match round % 3 {
            // too long, cut short, or right lengths around nonsense
            0 => bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes()),
            1 => bytes.truncate(usize::from(random()) % 12),
            _ => bytes[..8].copy_from_slice(&[252, 0, 0, 0, 100, 0, 0, 0]),
        }
        let _ = stream.write_all(&bytes);
    }
    assert!(client.list(None).expect("still answers").is_empty());
    until("its descriptors are closed", || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", house.pid())).expect("lists").count();
        (open < 40).then_some(())
    });
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for() {
    let house = House::with(&["--log-segment-bytes", "8000000"]);
    let mut client = house.client();
    client.spawn("a", "plugin", command("/usr/bin/yes", &["many lines of output for a page"])).expect("spawns");
    until("a long log", || {
        let lines = client.read_log("a", None, None, 4_000_000).expect("reads");
        (lines.lines.len() > 100_000).then_some(())
    });
    client.stop("a", "KILL", LONG).expect("stops");
    let mut lazy = connect(&house);
    lazy.set_write_timeout(Some(Duration::from_millis(200))).expect("sets");
    let hello = Request::Hello { protocol: PROTOCOL, client: "lazy".into(), exclusive: false };
    lazy.write_all(&encode(1, &hello, &[])).expect("writes");
    for id in 2..200 {
        let read = Request::ReadLog { log_name: "a".into(), cursor: None, tail: None, max_bytes: u32::MAX };
        let _ = lazy.write_all(&encode(id, &read, &[]));
    }
    client.inspect("a").expect("still answers");
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a size");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("kB");
    assert!(peak < 200 * 1024, "kB at most: {peak}");
}

#[test]
fn the_directory_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new();
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(house.dir()), 0o700);
    assert_eq!(mode(house.dir().join("keeper.sock")), 0o600);
    assert_eq!(mode(house.dir().join("journal")), 0o600);
    assert_eq!(refusal(house.client().drop_log("../journal")).0, ErrorKind::Invalid);
}

#[test]
fn a_keeper_without_a_free_descriptor_rests_and_lets_clients_in_once_there_is_one() {
    let house = House::new();
    let few = Rlimit { current: Some(40), maximum: Some(40) };
    prlimit(Pid::from_raw(house.pid().cast_signed()), Resource::Nofile, few).expect("limits");
    let crowd: Vec<UnixStream> = (0..60).map(|_| connect(&house)).collect();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", house.pid())).expect("reads").count();
    until("none is free", || (open() == 40).then_some(()));
    let mut at_rest = 0;
    until("it rests", || {
        at_rest = if state_of(house.pid()) == Some('S') { at_rest + 1 } else { 0 };
        (at_rest == 100).then_some(())
    });
    drop(crowd);
    house.client().list(None).expect("answers");
}

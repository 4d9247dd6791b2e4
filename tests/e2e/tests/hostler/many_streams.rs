//! Ten thousand who listen: they cost little, all of them hear, and who asks is answered beside them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use hostler_e2e::{Yard, raw, request, until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sleeper;

/// As many as there are to be, where the machine allows it.
const MANY: usize = 10_000;
/// What the host may have in memory beside them, in bytes.
const IN_ALL: u64 = 300_000_000;

/// How many files a process may have open; the host that it starts has the same.
fn files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // What may be is asked for; where it may not, there are fewer.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(2 * MANY)
}

fn listen(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the host listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time can be set");
    stream.write_all(b"GET /api/v1/events?kinds=signal-sent HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n").expect("it listens");
    stream
}

/// Reads up to these words.
fn hears(stream: &mut UnixStream, words: &str) -> Result<(), String> {
    let (mut heard, mut bytes) = (String::new(), [0; 512]);
    while !heard.contains(words) {
        match stream.read(&mut bytes) {
            Ok(read) if read > 0 => heard.push_str(&String::from_utf8_lossy(&bytes[..read])),
            other => return Err(format!("{other:?} after {heard:?}")),
        }
    }
    Ok(())
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

#[test]
fn ten_thousand_idle_streams_cost_less_than_300_mb_and_all_hear_the_next_event() {
    let files = files();
    let places = (files / 2).min(16_384);
    let count = MANY.min(places).min(files.saturating_sub(2_000));
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let socket = yard.socket();
    let mut streams: Vec<UnixStream> = (0..count).map(|_| listen(&socket)).collect();
    for stream in &mut streams {
        hears(stream, "retry: 1000\n\n").expect("it is answered");
    }
    let used = resident(yard.host_pid());
    println!("{count} streams, {used} bytes: {} each with the host itself", used / count as u64);
    assert!(used < IN_ALL, "{used} bytes with {count} streams");
    // Who asks is answered as before, and one more than there are places is told so.
    let begun = Instant::now();
    assert!(request(&socket, "GET", "/api/v1/services", b"").is_some_and(|answer| answer.status == 200));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    if count == places {
        let asks = b"GET /api/v1/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n";
        let answer = raw(&socket, &[&asks[..asks.len() - 2], b"connection: close\r\n\r\n"].concat()).expect("it is answered");
        assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("unavailable")));
    }
    let signal = request(&socket, "POST", "/api/v1/services/db/signal", br#"{"signal": "SIGWINCH"}"#);
    assert!(signal.is_some_and(|answer| answer.status == 200));
    for (place, stream) in streams.iter_mut().enumerate() {
        hears(stream, "event: signal-sent\n").unwrap_or_else(|why| panic!("the {place}th: {why}"));
    }
    let after = resident(yard.host_pid());
    assert!(after < IN_ALL, "{after} bytes once all have heard");
    drop(streams);
    until("their places are free again", || {
        let fds = fs::read_dir(format!("/proc/{}/fd", yard.host_pid())).map_or(usize::MAX, Iterator::count);
        fds < 200
    });
}

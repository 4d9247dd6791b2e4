//! Events as they happen: nothing lost and nothing twice, whoever dies in between; and nobody waits for a slow reader.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use hostler_e2e::{Frame, Live, Message, Socket, Stream, Value, Yard, fixture, json, request, until};
use hostler_store::{Retention, Sqlite, Store};

use crate::{listening, sleeper, token};

const SSE: &str = "accept: text/event-stream";
/// More events, each a commit of its own, than all buffers between host and reader and the ring behind them hold.
const MANY: usize = 4_000;

fn host(services: &[&str]) -> Yard {
    let yard = Yard::new();
    yard.up(&services.iter().map(|name| sleeper(name, "")).collect::<String>());
    yard
}

/// One that notes so many events within the half minute in which whoever takes nothing is hung up on, however slow the disk is.
fn quick_host() -> Yard {
    let yard = Yard::new();
    yard.up(&format!("[settings]\nstore = {{ type = \"memory\" }}\n{}", sleeper("db", "")));
    yard
}

/// The numbers of everything that happened.
#[track_caller]
fn numbers(yard: &Yard) -> Vec<u64> {
    yard.events().iter().filter_map(|event| event["seq"].as_u64()).collect()
}

#[track_caller]
fn last(yard: &Yard) -> u64 {
    numbers(yard).last().copied().expect("something happened")
}

/// Makes an event: a signal that `sleep` does not care for.
fn note(socket: &Path) {
    let answer = request(socket, "POST", "/api/v1/services/db/signal", br#"{"signal": "SIGWINCH"}"#).expect("the host answers");
    assert_eq!(answer.status, 200, "{}", answer.json());
}

/// Hears events up to one of this kind.
fn frames_until(stream: &mut Stream, kind: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Frame| frame.event != kind) {
        frames.push(stream.frame().unwrap_or_else(|| panic!("it ends before there is `{kind}`: {frames:?}")));
    }
    frames
}

#[test]
fn who_comes_again_misses_nothing_and_hears_nothing_twice() {
    let yard = host(&["db", "web"]);
    let mut heard = Vec::new();
    let mut stream = Stream::open(&yard.socket(), "/api/v1/events", &[SSE]);
    heard.extend(frames_until(&mut stream, "started"));
    let before = heard.last().and_then(|frame| frame.id).expect("an event has its number");
    yard.kill_host();
    yard.serve();
    let again = format!("last-event-id: {before}");
    // A browser asks for the same address again.
    let mut stream = Stream::open(&yard.socket(), "/api/v1/events?after=0", &[SSE, &again]);
    yard.run("stop web").ok();
    let end = last(&yard);
    while heard.last().and_then(|frame| frame.id) < Some(end) {
        heard.push(stream.frame().expect("it goes on"));
    }
    let ids: Vec<u64> = heard.iter().filter_map(|frame| frame.id).collect();
    assert_eq!(ids, (1..=end).collect::<Vec<u64>>());
    let kinds: Vec<&str> = heard.iter().map(|frame| frame.event.as_str()).collect();
    assert!(kinds.contains(&"adopted") && kinds.contains(&"stopped"), "{kinds:?}");
    assert!(heard.iter().all(|frame| frame.json()["seq"].as_u64() == frame.id && frame.json()["kind"] == *frame.event));
}

#[test]
fn a_stream_ends_with_its_host() {
    let yard = host(&["db"]);
    let mut frames = Stream::open(&yard.socket(), "/api/v1/events", &[SSE]);
    let mut lines = Stream::open(&yard.socket(), "/api/v1/events?follow=true", &[]);
    let mut socket = Socket::open(&yard.socket(), "/api/v1/events/socket");
    yard.run("down").ok();
    assert_eq!(frames_until(&mut frames, "removed").last().map(|frame| frame.json()["service"].clone()), Some(json!("db")));
    while frames.frame().is_some() {}
    while lines.line().is_some() {}
    let mut messages = std::iter::from_fn(|| socket.message());
    assert_eq!(messages.find(|message| matches!(message, Message::Close(..))), Some(Message::Close(1001, "the host ends".to_owned())));
}

#[test]
fn what_is_not_kept_any_more_is_a_gap() {
    let yard = host(&["db"]);
    yard.run("restart db").ok();
    let end = last(&yard);
    yard.kill_host();
    until("the store is free", || Sqlite::open(yard.state().join("store.db")).is_ok());
    let store = Sqlite::open(yard.state().join("store.db")).expect("nobody has it");
    store.compact(Retention { events: 2, deletions: 2 }).expect("it can forget");
    drop(store);
    yard.serve();
    let gap = json!({ "type": "gap", "version": 1, "next": end - 1 });
    let mut frames = Stream::open(&yard.socket(), "/api/v1/events", &[SSE, "last-event-id: 1"]);
    let first = frames.frame().expect("something is said");
    assert_eq!((first.event.as_str(), first.id, first.json()), ("gap", Some(end - 2), gap.clone()));
    assert_eq!(frames.frame().and_then(|frame| frame.id), Some(end - 1));
    assert_eq!(Stream::open(&yard.socket(), "/api/v1/events?after=1", &[]).item(), Some(gap.clone()));
    assert_eq!(Socket::open(&yard.socket(), "/api/v1/events/socket?after=1").item(), gap);
    // A number that was never given is of another history.
    let later = last(&yard) + 1;
    let mut frames = Stream::open(&yard.socket(), "/api/v1/events?after=999999", &[SSE]);
    assert_eq!(frames.frame().map(|frame| frame.json()["next"].clone()), Some(json!(later)));
    note(&yard.socket());
    assert_eq!(frames.frame().and_then(|frame| frame.id), Some(later));
}

#[test]
fn a_reader_hears_what_it_chose() {
    let yard = host(&["db", "web"]);
    yard.run("stop web").ok();
    let all = |path: &str| {
        let mut stream = Stream::open(&yard.socket(), path, &[]);
        let items: Vec<Value> = std::iter::from_fn(|| stream.item()).collect();
        items.iter().map(|item| format!("{} {}", item["service"].as_str().unwrap_or("-"), item["kind"].as_str().unwrap_or("-"))).collect::<Vec<_>>()
    };
    assert_eq!(all("/api/v1/events?kinds=started,stopped&services=web"), ["web started", "web stopped"]);
    assert_eq!(all("/api/v1/services/web/events?kinds=stopped"), ["web stopped"]);
    assert_eq!(all("/api/v1/events?kinds=started&limit=1").len(), 1);
    assert_eq!(yard.run("events --kinds stopped").ok().lines().count(), 1);
    let mut socket = Socket::open(&yard.socket(), "/api/v1/events/socket?kinds=stopped");
    assert_eq!(socket.item()["service"], "web");
    let refused = |path: &str, headers: &str| {
        let bytes = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        let answer = hostler_e2e::raw(&yard.socket(), bytes.as_bytes()).expect("it answers");
        (
            answer.status,
            answer.json()["message"].as_str().unwrap_or_default().to_owned(),
            answer.json()["hint"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let odd = refused("/api/v1/events?kinds=stoped", "");
    assert_eq!(odd, (400, "there is no kind of event `stoped`".to_owned(), "did you mean `stopped`?".to_owned()));
    assert_eq!(refused("/api/v1/services/nobody/events", "").0, 404);
    for (path, headers) in [
        ("/api/v1/events", "accept: text/event-stream\r\nlast-event-id: soon\r\n"),
        ("/api/v1/events?limit=1", "accept: text/event-stream\r\n"),
        ("/api/v1/events?follow=true&wait_ms=1", ""),
        ("/api/v1/events/socket", ""),
        ("/api/v1/services/web/events?services=db", ""),
    ] {
        assert_eq!(refused(path, headers).0, 400, "{path}");
    }
}

#[test]
fn who_waits_is_answered_by_the_next_event_or_by_where_to_go_on() {
    let yard = host(&["db"]);
    let socket = yard.socket();
    let poll = |after: u64, more: &str| {
        let mut stream = Stream::open(&socket, &format!("/api/v1/events?after={after}{more}"), &[]);
        std::iter::from_fn(|| stream.item()).collect::<Vec<Value>>()
    };
    let end = last(&yard);
    let begun = Instant::now();
    assert_eq!(poll(end, "&wait_ms=300"), [json!({ "type": "cursor", "version": 1, "after": end })]);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // What it does not want moves it on, and does not end its wait.
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(end, "&wait_ms=30000&kinds=stopped"));
        note(&socket);
        yard.run("stop db").ok();
        waiting.join().expect("it is answered")
    });
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert_eq!((&waiting[0]["kind"], &waiting[1]["type"]), (&json!("stopped"), &json!("cursor")));
    // Page by page it is the whole.
    let (mut after, mut heard) = (0, Vec::new());
    while after < last(&yard) {
        let page = poll(after, "&wait_ms=0&limit=2");
        let (cursor, events) = page.split_last().expect("a cursor comes in any case");
        assert!(events.len() <= 2);
        heard.extend(events.iter().filter_map(|event| event["seq"].as_u64()));
        after = cursor["after"].as_u64().expect("it is a number");
    }
    assert_eq!(heard, numbers(&yard));
}

#[test]
fn whoever_listens_hears_of_his_own_workspace_alone() {
    let (yard, port) = listening("");
    yard.run("workspace create acme --plugin process").ok();
    let follow = |workspace: &str| {
        let token = token(&yard, workspace, &format!("viewer --workspace {workspace}"));
        let mut command = yard.command(&format!("events -f --json --workspace {workspace}"));
        Live::piped(command.env("HOSTLER_HOST", format!("http://127.0.0.1:{port}")).env("HOSTLER_TOKEN", token))
    };
    let after = last(&yard);
    let followers = [(follow("default"), "ours", "theirs"), (follow("acme"), "theirs", "ours")];
    let path = |what: &str, workspace: &str| format!("/api/v1/events{what}?workspace={workspace}&after={after}");
    let streams = ["default", "acme"].map(|workspace| Stream::open(&yard.socket(), &path("", workspace), &[SSE]));
    let sockets = ["default", "acme"].map(|workspace| Socket::open(&yard.socket(), &path("/socket", workspace)));
    let put = |workspace: &str, name: &str| {
        let service = json!({ "service": { "backend": { "type": "process", "binary": "sleep", "args": ["1000"] } } });
        let path = format!("/api/v1/services/{name}?workspace={workspace}");
        let answer = request(&yard.socket(), "PUT", &path, service.to_string().as_bytes()).expect("the host answers");
        assert_eq!(answer.status, 200, "{}", answer.json());
    };
    // Each has somebody else's before his own, and after.
    for (workspace, name) in [("acme", "theirs"), ("default", "ours"), ("acme", "theirs-too"), ("default", "ours-too")] {
        put(workspace, name);
    }
    for (live, own, others) in followers {
        live.says(&format!("{own}-too"));
        assert!(live.said().contains(own) && !live.said().contains(others), "{}", live.said());
    }
    let is_last = |data: &str, own: &str| data.contains(&format!("{own}-too")) && data.contains("\"started\"");
    for ((mut stream, mut socket), (own, others)) in streams.into_iter().zip(sockets).zip([("ours", "theirs"), ("theirs", "ours")]) {
        loop {
            let frame = stream.frame().expect("it goes on");
            assert!(!frame.data.contains(others), "{own}: {frame:?}");
            if is_last(&frame.data, own) {
                break;
            }
        }
        loop {
            let item = socket.item().to_string();
            assert!(!item.contains(others), "{own}: {item}");
            if is_last(&item, own) {
                break;
            }
        }
    }
}

#[test]
fn a_socket_tells_what_happens() {
    let yard = host(&["db"]);
    let end = last(&yard);
    let mut socket = Socket::open(&yard.socket(), &format!("/api/v1/events/socket?after={}", end - 1));
    assert_eq!(socket.item()["seq"], end);
    note(&yard.socket());
    let item = socket.item();
    assert_eq!((&item["type"], &item["kind"], &item["seq"]), (&json!("event"), &json!("signal-sent"), &json!(end + 1)));
    socket.close();
    assert!(matches!(socket.message(), Some(Message::Close(..)) | None));
}

#[test]
fn escapes_arrive_escaped() {
    let yard = Yard::new();
    let odd = "\\u001b[2J\\u009b2J\\u007f\\nevent: forged\\n\\n<b>";
    let check =
        format!("health_check = {{ type = \"always\", verdict = \"fail\", message = \"{odd}\", interval = \"50ms\", auto_recovery = false }}");
    yard.config(&format!("[plugins.always]\nsource = \"{}\"\n{}", fixture("always").display(), sleeper("db", &check)));
    yard.run("up --detach").fails(1);
    let path = "/api/v1/events?kinds=health-changed";
    let frame = Stream::open(&yard.socket(), path, &[SSE]).frame().expect("it is told");
    assert!(!frame.data.chars().any(char::is_control), "{:?}", frame.data);
    assert_eq!(frame.event, "health-changed");
    assert!(frame.json()["message"].as_str().is_some_and(|message| message.contains("[2J")), "{:?}", frame.data);
    let line = Stream::open(&yard.socket(), path, &[]).line().expect("it is told");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    let shown = yard.run("events --kinds health-changed").ok();
    assert!(!shown.replace('\n', "").chars().any(char::is_control), "{shown:?}");
}

/// What a slow reader found when it looked again: the last number it heard, and whether it was told that it was cut.
fn catch_up(stream: &mut Stream) -> (u64, bool) {
    let mut after = 0;
    loop {
        match stream.try_frame() {
            Ok(Some(frame)) if frame.event == "cut" => {
                assert_eq!((frame.id, frame.json()["after"].as_u64()), (Some(after), Some(after)));
                assert!(matches!(stream.try_frame(), Ok(None) | Err(_)), "nothing comes after it");
                return (after, true);
            }
            Ok(Some(frame)) => {
                let id = frame.id.expect("an event has its number");
                assert!(after == 0 || id == after + 1, "{id} comes after {after}");
                after = id;
            }
            Ok(None) | Err(_) => return (after, false),
        }
    }
}

#[test]
fn a_slow_reader_is_cut_and_delays_nobody() {
    let yard = quick_host();
    let socket = yard.socket();
    let from = last(&yard);
    let path = format!("/api/v1/events?after={from}");
    let mut slow = Stream::open(&socket, &path, &[SSE]);
    let mut lines = Stream::open(&socket, &format!("{path}&follow=true"), &[]);
    let mut messages = Socket::open(&socket, &format!("/api/v1/events/socket?after={from}"));
    let mut fast = Stream::open(&socket, &path, &[SSE]);
    let (going, over) = mpsc::channel::<()>();
    let so_far = AtomicUsize::new(0);
    let heard = thread::scope(|scope| {
        let heard = scope.spawn(|| {
            let mut heard = Vec::new();
            while heard.last().is_none_or(|event: &Value| event["kind"] != "stopped") {
                heard.push(fast.frame().expect("who reads is not cut").json());
                so_far.store(heard.len(), Ordering::Relaxed);
            }
            heard
        });
        let slow = &mut slow;
        scope.spawn(move || {
            // A byte a second, until the other end of the channel is dropped.
            while over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                slow.byte();
            }
        });
        for noted in 0..MANY {
            // The one who reads does so by the byte: he is given the time.
            if noted % 64 == 0 {
                until("who reads has heard nearly all", || so_far.load(Ordering::Relaxed) + 64 >= noted);
            }
            note(&socket);
        }
        let begun = Instant::now();
        let stop = request(&socket, "POST", "/api/v1/services/stop", br#"{"services": ["db"]}"#);
        assert!(stop.is_some_and(|answer| answer.status == 200));
        assert!(request(&socket, "GET", "/api/v1/host", b"").is_some_and(|answer| answer.status == 200));
        drop(going);
        let heard = heard.join().expect("it heard all");
        // Whoever takes nothing is hung up on after 30 s.
        assert!(begun.elapsed() < Duration::from_secs(25), "the last one took {:?}", begun.elapsed());
        heard
    });
    let all: Vec<u64> = heard.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(all, (from + 1..=from + all.len() as u64).collect::<Vec<u64>>());
    let end = all.last().copied().expect("it heard something");
    // The one that took a byte now and then has lost where a frame begins; the others know where they are.
    let rest = slow.rest();
    assert!(String::from_utf8_lossy(&rest).contains("event: cut\ndata: {\"type\":\"cut\""), "{} bytes", rest.len());
    let mut cut = None;
    let mut after = from;
    while let Some(item) = lines.try_line().ok().flatten().map(|line| hostler_e2e::parse::<Value>(&line).expect("it is a document")) {
        match item["type"].as_str() {
            Some("cut") => cut = item["after"].as_u64(),
            _ => after = item["seq"].as_u64().expect("an event"),
        }
    }
    assert_eq!(cut, Some(after), "lines");
    let mut again = Stream::open(&socket, &format!("/api/v1/events?after={after}&limit=100000"), &[]);
    assert_eq!(
        std::iter::from_fn(|| again.item()).filter_map(|item| item["seq"].as_u64()).collect::<Vec<_>>(),
        (after + 1..=end).collect::<Vec<_>>()
    );
    let mut after = from;
    let close = loop {
        match messages.message() {
            Some(Message::Text(text)) => after = hostler_e2e::parse::<Value>(&text).expect("it is a document")["seq"].as_u64().expect("an event"),
            Some(Message::Ping) => {}
            other => break other,
        }
    };
    assert_eq!(close, Some(Message::Close(1013, format!("too slow; after={after}"))), "messages");
    assert!(after < end);
}

#[test]
fn who_stops_reading_frames_is_told_where_to_go_on() {
    let yard = quick_host();
    let socket = yard.socket();
    let from = last(&yard);
    let mut slow = Stream::open(&socket, &format!("/api/v1/events?after={from}"), &[SSE]);
    for _ in 0..MANY {
        note(&socket);
    }
    let (after, cut) = catch_up(&mut slow);
    let end = last(&yard);
    assert!(cut && after < end, "cut: {cut}, at {after} of {end}");
    let again = format!("last-event-id: {after}");
    let mut stream = Stream::open(&socket, "/api/v1/events", &[SSE, &again]);
    assert_eq!((after + 1..=end).find(|id| stream.frame().and_then(|frame| frame.id) != Some(*id)), None);
}

#[test]
fn who_has_nothing_to_hear_hears_that_the_host_is_there() {
    let yard = host(&["db"]);
    let end = last(&yard);
    let mut frames = Stream::open(&yard.socket(), &format!("/api/v1/events?after={end}&kinds=failed"), &[SSE]);
    let mut messages = Socket::open(&yard.socket(), &format!("/api/v1/events/socket?after={end}"));
    note(&yard.socket());
    assert_eq!(messages.item()["kind"], "signal-sent");
    assert_eq!(messages.message(), Some(Message::Ping));
    let lines: Vec<String> = std::iter::from_fn(|| frames.line()).take(5).collect();
    // A comment, and the number of what it did not want: coming again, it need not be passed over once more.
    assert_eq!(lines, ["retry: 1000", "", ":", format!("id: {}", end + 1).as_str(), ""]);
}

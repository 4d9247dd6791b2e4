//! One host and several programs, one program and a host that is odd.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use futures_util::future::join3;
use hostler_e2e::{Yard, json, program, until};
use hostler_orchestrator::{Error, EventSubscriber, Orchestrator, OrchestratorConfig, OrchestratorEvent};

#[test]
fn of_several_that_ask_for_a_host_at_once_all_have_the_same() {
    // Without a cache: it compiles every plugin before it answers.
    let yard = Yard::bare();
    let ask = || Orchestrator::with_program(OrchestratorConfig::new(yard.state()), program());
    smol::block_on(async {
        let (one, other, third) = join3(ask(), ask(), ask()).await;
        for asked in [&one, &other, &third] {
            let asked = asked.as_ref().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(asked.list_services().await.expect("it answers"), []);
        }
        one.expect("it was there").shutdown().await.expect("it ends");
    });
    until("it has ended", || yard.processes().is_empty());
}

#[test]
fn a_program_that_is_no_host_is_told_at_once_with_what_it_said() {
    let yard = Yard::bare();
    let error = smol::block_on(Orchestrator::with_program(OrchestratorConfig::new(yard.state()), "/bin/false"));
    assert!(matches!(error, Err(Error::NotStarted { program, .. }) if program == "/bin/false"));
    let odd = yard.script("odd", "echo 'no such thing' >&2; exit 1");
    let error = smol::block_on(Orchestrator::with_program(OrchestratorConfig::new(yard.state()), odd)).expect_err("it is no host");
    assert!(error.to_string().contains("no such thing"), "{error}");
}

/// Says these answers one after the other, each on a connection of its own, and writes down what was asked.
fn odd_host(yard: &Yard, answers: Vec<String>) -> Arc<Mutex<Vec<String>>> {
    std::fs::create_dir_all(yard.state()).expect("the yard is ours");
    let listener = UnixListener::bind(yard.socket()).expect("nobody is there");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let target = target(&stream);
            heard.lock().expect("nobody panics with it").push(target);
            stream.write_all(answer.as_bytes()).expect("somebody listens");
        }
    });
    asked
}

/// Reads one request, and says what it asks for.
fn target(stream: &UnixStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let target = line.split(' ').nth(1).expect("a target").to_owned();
    let mut length = 0;
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let last = line.lines().last().unwrap_or_default().to_ascii_lowercase();
        length = last.strip_prefix("content-length: ").and_then(|number| number.parse().ok()).unwrap_or(length);
    }
    reader.read_exact(&mut vec![0; length]).expect("its body");
    target
}

fn whole(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A stream with these lines, which ends in order or breaks off.
fn lines(items: &[String], in_order: bool) -> String {
    let chunk = |item: &String| format!("{:x}\r\n{item}\n\r\n", item.len() + 1);
    let end = if in_order { "0\r\n\r\n" } else { "20\r\n{\"type\":\"ev" };
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}{end}", items.iter().map(chunk).collect::<String>())
}

fn event(seq: u64) -> String {
    let record = json!({
        "type": "event", "version": 1, "seq": seq, "at": "2026-01-01T00:00:00Z", "kind": "stopped", "service": format!("s{seq}"),
        "replica": 0, "run": 1, "message": "stopped", "data": {},
    });
    record.to_string()
}

async fn stopped(events: &mut EventSubscriber) -> String {
    match events.recv().await {
        Ok(OrchestratorEvent::ServiceStopped { name, .. }) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_is_cut_off_goes_on_where_he_was() {
    let yard = Yard::bare();
    let refused = json!({ "version": 1, "code": "denied", "message": "not you", "hint": "ask another", "where": null, "problems": [] });
    let answers = vec![
        whole("200 OK", "{}"),
        whole("200 OK", r#"{"last_event":3}"#),
        lines(&[event(4), json!({ "type": "cut", "version": 1, "after": 6 }).to_string()], true),
        lines(&[event(7)], false),
        lines(&[event(8), json!({ "type": "error", "version": 1, "message": "the disk is gone" }).to_string()], true),
        whole("403 Forbidden", &refused.to_string()),
        lines(&[json!({ "type": "gap", "version": 1, "next": 20 }).to_string()], false),
        lines(&[event(20)], true),
    ];
    let asked = odd_host(&yard, answers);
    smol::block_on(async {
        let orchestrator = Orchestrator::new(OrchestratorConfig::new(yard.state())).await.expect("it answers");
        let mut events = orchestrator.subscribe().await.expect("it answers");
        assert_eq!(stopped(&mut events).await, "s4");
        assert_eq!(stopped(&mut events).await, "s7", "behind what it was too slow for");
        assert_eq!(stopped(&mut events).await, "s8", "behind what broke off");
        assert!(matches!(events.recv().await, Err(Error::Refused(failure)) if failure.message == "the disk is gone"));
        let Err(Error::Refused(failure)) = events.recv().await else { panic!("it is refused") };
        assert_eq!((failure.message.as_str(), failure.hint.as_deref()), ("not you", Some("ask another")));
        assert_eq!(events.recv().await.expect("it answers"), OrchestratorEvent::Missed { next: 20 });
        assert_eq!(stopped(&mut events).await, "s20");
        assert_eq!(events.last(), 20);
        assert!(matches!(events.recv().await, Err(Error::Ended)), "nobody is there any more");
    });
    let after = |seq: u64| format!("/api/v1/events?after={seq}&follow=true");
    let host = || "/api/v1/host".to_owned();
    let expected = [host(), host(), after(3), after(6), after(7), after(8), after(8), after(19)];
    assert_eq!(*asked.lock().expect("nobody panics with it"), expected);
}

//! `Idempotency-Key`: what is sent twice is done once, and answered twice.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use hostler_e2e::{Answer, Signal, Value, Yard, json, request_with, signal, until};

use crate::operations::{over, standing};
use crate::{listening, script, sleeper, token};

#[track_caller]
fn send(yard: &Yard, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let sent = request_with(&yard.socket(), method, &format!("/api/v1{path}"), &[("idempotency-key", key)], body.to_string().as_bytes());
    sent.unwrap_or_else(|| panic!("{method} {path}: no answer"))
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// A service that counts its starts.
fn counting(yard: &Yard, name: &str, more: &str) -> String {
    script(yard, name, &format!("echo start >> {name}.starts; exec sleep 1000"), more)
}

fn starts(yard: &Yard, name: &str) -> usize {
    yard.read(&format!("{name}.starts")).lines().count()
}

#[test]
fn the_same_is_done_once_and_answered_again_also_by_the_next_host() {
    let yard = Yard::new();
    yard.up(&counting(&yard, "db", ""));
    let restart = || send(&yard, "k1", "POST", "/services/restart", &json!({ "services": ["db"], "wait_ms": 20_000 }));
    let first = restart();
    assert!(first.status == 200 && !is_replayed(&first), "{first:?}");
    until("it is up again", || starts(&yard, "db") == 2);
    let pid = yard.pid("db");
    let second = restart();
    assert_eq!((second.status, second.json(), is_replayed(&second)), (200, first.json(), true));
    yard.kill_host();
    yard.serve();
    let third = restart();
    assert_eq!((third.status, third.json(), is_replayed(&third)), (200, first.json(), true));
    assert_eq!((yard.pid("db"), starts(&yard, "db")), (pid, 2));
    // With another key it is another request.
    assert_eq!(send(&yard, "k2", "POST", "/services/restart", &json!({ "services": ["db"], "wait_ms": 20_000 })).status, 200);
    until("it is up again", || starts(&yard, "db") == 3);
}

#[test]
fn a_refusal_is_answered_again_too_and_headers_are_kept() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let body = json!({ "service": { "backend": { "type": "process", "binary": "/bin/sleep", "args": ["1000"] } }, "start": false });
    let [first, second] = [0, 1].map(|_| send(&yard, "put", "PUT", "/services/beside", &body));
    assert_eq!((first.status, first.header("etag"), first.json()), (200, second.header("etag"), second.json()));
    assert!(first.header("etag").is_some() && is_replayed(&second));
    let [first, second] = [0, 1].map(|_| send(&yard, "gone", "DELETE", "/services/nobody", &Value::Null));
    assert_eq!((first.status, second.status, is_replayed(&second)), (404, 404, true));
    assert_eq!(second.header("content-type"), Some("application/problem+json"));
}

#[test]
fn a_key_is_for_one_request_of_one_caller() {
    let (yard, port) = listening("");
    let stop = json!({ "services": ["db"] });
    assert_eq!(send(&yard, "k", "POST", "/services/stop", &stop).status, 200);
    for (method, path, body) in [
        ("POST", "/services/stop", json!({ "services": ["db"], "force": true })),
        ("POST", "/services/start", stop.clone()),
        ("POST", "/services/stop?async=true", stop.clone()),
        ("DELETE", "/services/db", Value::Null),
    ] {
        let misused = send(&yard, "k", method, path, &body);
        assert_eq!((misused.status, &misused.json()["code"]), (422, &json!("invalid")), "{method} {path}");
    }
    assert_eq!(yard.status("db"), "stopped");
    yard.run("start db").ok();
    // The key of somebody else is another one.
    let operator = token(&yard, "o", "operator");
    let body = stop.to_string();
    let head = format!("POST /api/v1/services/stop HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {operator}\r\nidempotency-key: k\r\n");
    let bytes = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let theirs = hostler_e2e::raw_tcp(port, bytes.as_bytes()).expect("it answers");
    assert!(theirs.status == 200 && !is_replayed(&theirs), "{theirs:?}");
    for odd in ["", "a b", &"x".repeat(256), "schl\u{fc}ssel"] {
        assert_eq!(send(&yard, odd, "POST", "/services/stop", &stop).status, 400, "{odd:?}");
    }
    // A read needs none.
    assert!(!is_replayed(&send(&yard, "k", "GET", "/services", &Value::Null)));
}

#[test]
fn two_at_once_are_one() {
    let yard = Yard::new();
    yard.up(&counting(&yard, "db", "health_check = { type = \"command\", command = \"sleep\", args = [\"0.3\"], interval = \"1s\" }"));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || send(&yard, "both", "POST", "/services/restart", &json!({ "services": ["db"], "wait_ms": 20_000 }));
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join().expect("it does not break")).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert_eq!((starts(&yard, "db"), yard.service("db")["restart_count"].clone()), (2, json!(1)));
}

#[test]
fn whoever_goes_away_may_come_back_for_the_answer() {
    let yard = Yard::new();
    yard.up(&counting(&yard, "db", "health_check = { type = \"command\", command = \"sleep\", args = [\"0.3\"], interval = \"1s\" }"));
    let body = json!({ "services": ["db"], "wait_ms": 20_000 });
    let text = body.to_string();
    let head = "POST /api/v1/services/restart HTTP/1.1\r\nhost: hostler\r\nidempotency-key: away\r\n";
    let mut stream = UnixStream::connect(yard.socket()).expect("it listens");
    write!(stream, "{head}content-length: {}\r\n\r\n{text}", text.len()).expect("it listens");
    until("it is on its way", || yard.service("db")["restart_count"] == 1 || yard.status("db") != "running");
    drop(stream);
    let answer = send(&yard, "away", "POST", "/services/restart", &body);
    assert_eq!((answer.status, is_replayed(&answer), &answer.json()["settled"]), (200, true, &json!(true)));
    assert_eq!(starts(&yard, "db"), 2);
}

#[test]
fn what_a_host_dies_with_is_not_done_twice() {
    let yard = Yard::new();
    let stubborn = "trap '' TERM; echo start >> db.starts; while :; do sleep 0.05; done";
    yard.up(&script(&yard, "db", stubborn, "stop = { grace = \"10s\" }"));
    until("it has begun", || starts(&yard, "db") == 1);
    let body = json!({ "services": ["db"], "wait_ms": 20_000 });
    let text = body.to_string();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| request_with(&yard.socket(), "POST", "/api/v1/services/restart", &[("idempotency-key", "k")], text.as_bytes()));
        yard.until_status("db", "stopping");
        yard.kill_host();
        assert!(asking.join().expect("it does not break").is_none(), "nobody was answered");
    });
    yard.serve();
    let answer = send(&yard, "k", "POST", "/services/restart", &body);
    assert!(answer.status == 200 && answer.json()["generation"].is_u64(), "it was made, and that is known: {answer:?}");
    yard.until_status("db", "running");
    until("it has begun again", || starts(&yard, "db") == 2);
    let again = send(&yard, "k", "POST", "/services/restart", &body);
    assert_eq!((again.status, again.json()), (200, answer.json()));
    assert_eq!((starts(&yard, "db"), yard.service("db")["restart_count"].clone()), (2, json!(1)));
}

#[test]
fn what_was_done_when_its_host_ended_is_no_failure_and_not_done_again() {
    let yard = Yard::new();
    let check = "health_check = { type = \"command\", command = \"false\", interval = \"50ms\", failure_threshold = 1000 }";
    yard.config("");
    yard.run("serve --detach").ok();
    yard.config(&counting(&yard, "db", check));
    yard.run("apply --no-wait").ok();
    until("it has begun", || starts(&yard, "db") == 1);
    let restart = || send(&yard, "k", "POST", "/services/restart", &json!({ "services": ["db"], "wait_ms": 60_000 }));
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(restart);
        until("it has begun again", || starts(&yard, "db") == 2);
        signal(yard.host_pid(), Signal::TERM);
        asking.join().expect("it does not break")
    });
    assert_eq!((answer.status, &answer.json()["settled"]), (200, &json!(false)), "{answer:?}");
    until("the host has ended", || yard.get("/host").is_none());
    yard.serve();
    let again = restart();
    assert_eq!((again.status, is_replayed(&again), &again.json()["generation"]), (200, true, &answer.json()["generation"]));
    assert_eq!(starts(&yard, "db"), 2);
}

#[test]
fn a_restart_of_a_document_that_a_host_dies_with_is_told_in_its_words() {
    let yard = Yard::new();
    let stubborn = "trap '' TERM; echo start >> db.starts; while :; do sleep 0.05; done";
    yard.up(&script(&yard, "db", stubborn, "stop = { grace = \"10s\" }"));
    until("it has begun", || starts(&yard, "db") == 1);
    let ask = || request_with(&yard.socket(), "POST", "/api/orchestration/restart/db", &[("idempotency-key", "k")], b"{}");
    std::thread::scope(|scope| {
        let asking = scope.spawn(ask);
        yard.until_status("db", "stopping");
        yard.kill_host();
        assert!(asking.join().expect("it does not break").is_none(), "nobody was answered");
    });
    yard.serve();
    let [answer, again] = [0, 1].map(|_| ask().expect("it answers"));
    let told = answer.json();
    assert_eq!((answer.status, &told["success"], &told["service"], &told["status"]), (200, &json!(true), &json!("db"), &json!("running")), "{told}");
    assert_eq!((again.status, again.json(), is_replayed(&again)), (200, told, true));
    assert_eq!((starts(&yard, "db"), yard.service("db")["restart_count"].clone()), (2, json!(1)));
}

#[test]
fn what_may_have_been_done_is_told_as_that() {
    let yard = Yard::new();
    yard.up(&script(&yard, "db", "trap 'echo got >> got' USR1; while :; do sleep 0.02; done", ""));
    let (body, keeper) = (json!({ "signal": "USR1" }), yard.keeper_pid());
    let text = body.to_string();
    // Nobody answers the host, which is killed while it waits.
    signal(keeper, Signal::STOP);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| request_with(&yard.socket(), "POST", "/api/v1/services/db/signal", &[("idempotency-key", "k")], text.as_bytes()));
        until("it is begun", || {
            let log = std::fs::read(yard.state().join("store.db-wal")).unwrap_or_default();
            log.windows(12).any(|window| window == b"idempotency/")
        });
        yard.kill_host();
        assert!(asking.join().expect("it does not break").is_none(), "nobody was answered");
    });
    signal(keeper, Signal::CONT);
    yard.serve();
    let sent = || send(&yard, "k", "POST", "/services/db/signal", &body);
    for answer in [sent(), sent()] {
        assert_eq!((answer.status, &answer.json()["code"]), (520, &json!("unknown")), "{answer:?}");
    }
    assert!(yard.read("got").lines().count() <= 1, "it is not done twice");
    assert_eq!(send(&yard, "another", "POST", "/services/db/signal", &body).status, 200);
}

#[test]
fn an_operation_is_the_same_one_when_it_is_asked_for_again() {
    let yard = standing(&sleeper("db", ""));
    let deploy = || send(&yard, "ship-1", "POST", "/services/db/deploy", &json!({ "restart": true }));
    let (first, second) = (deploy(), deploy());
    assert_eq!((first.status, second.status, &first.json()["id"]), (202, 202, &second.json()["id"]));
    assert_eq!(first.header("location"), second.header("location"));
    over(&yard, &first.json(), "succeeded");
    yard.kill_host();
    yard.serve();
    assert_eq!(deploy().json()["id"], first.json()["id"], "also when it is long over");
    assert_eq!(yard.get("/operations").expect("it answers")["operations"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_secret_is_told_once_and_not_kept() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let create = || send(&yard, "t", "POST", "/tokens", &json!({ "name": "ci", "role": "viewer" }));
    let made = create();
    assert_eq!(made.status, 200);
    let secret = made.json()["secret"].as_str().expect("a token is told once").to_owned();
    let again = create();
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("conflict")));
    assert_eq!(yard.get("/tokens").expect("it answers")["tokens"].as_array().map(Vec::len), Some(1));
    let part = secret.rsplit('_').nth(1).expect("the secret part").as_bytes().to_vec();
    for file in ["store.db", "store.db-wal"] {
        let bytes = std::fs::read(yard.state().join(file)).unwrap_or_default();
        assert!(!bytes.windows(part.len()).any(|window| window == part), "{file} has the token");
    }
}

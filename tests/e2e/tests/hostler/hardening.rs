//! What is tried at an open door: slow and endless requests, crowds, foreign pages, odd paths; and what is written down of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hostler_e2e::{Answer, Value, Yard, ask, hear, json, raw_tcp, request, until};

use crate::{listening, token};

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
    stream
}

/// A head with these lines beside what is needed.
fn with(port: u16, token: &str, method: &str, path: &str, lines: &[&str]) -> Option<Answer> {
    let more: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let host = if lines.iter().any(|line| line.starts_with("host:")) { String::new() } else { format!("host: localhost:{port}\r\n") };
    let head = format!("{method} {path} HTTP/1.1\r\n{host}connection: close\r\nauthorization: Bearer {token}\r\n{more}\r\n");
    raw_tcp(port, head.as_bytes())
}

fn audit(yard: &Yard) -> Vec<Value> {
    let page = request(&yard.socket(), "GET", "/api/v1/audit?limit=1000", b"").expect("it answers").json();
    page["entries"].as_array().cloned().unwrap_or_default()
}

/// Sends a byte each second until the host hangs up; how long that took, and what it said.
fn trickle(mut stream: TcpStream, bytes: &[u8], longest: Duration) -> (Duration, Vec<u8>) {
    let begun = Instant::now();
    let deadline = begun + longest;
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("it is a socket");
    let mut said = Vec::new();
    for byte in bytes.iter().cycle() {
        assert!(Instant::now() < deadline, "the host listens for ever");
        let mut buffer = [0; 4_096];
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        // Waits for the rest of the second where nothing is said.
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(_) => {}
        }
    }
    (begun.elapsed(), said)
}

#[test]
fn who_sends_a_byte_a_second_is_not_waited_for() {
    let (yard, port) = listening("");
    let token = token(&yard, "slow", "operator");
    let head = format!("POST /api/v1/services/stop HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 1000\r\n\r\n");
    thread::scope(|scope| {
        let slow_head = scope.spawn(|| trickle(connect(port), b"GET /api/v1/host HTTP/1.1 and so on ", Duration::from_secs(25)).0);
        let slow_body = scope.spawn(|| {
            let mut stream = connect(port);
            stream.write_all(head.as_bytes()).expect("it hears");
            trickle(stream, b" ", Duration::from_secs(50)).1
        });
        let silent = scope.spawn(|| {
            let begun = Instant::now();
            connect(port).read_to_end(&mut Vec::new()).ok();
            begun.elapsed()
        });
        let kept = scope.spawn(|| {
            let mut stream = connect(port);
            stream
                .write_all(format!("GET /api/v1/host HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes())
                .expect("it hears");
            let begun = Instant::now();
            stream.read_to_end(&mut Vec::new()).ok();
            begun.elapsed()
        });
        let others = scope.spawn(|| assert!(yard.run("ps").ok().contains("running")));
        others.join().expect("nobody else waits");
        assert!(slow_head.join().expect("it was hung up on") < Duration::from_secs(20));
        assert!(silent.join().expect("it was hung up on") < Duration::from_secs(20));
        assert!(kept.join().expect("it was hung up on") < Duration::from_secs(20), "a kept connection is closed when nothing comes");
        let said = String::from_utf8_lossy(&slow_body.join().expect("it was answered")).into_owned();
        assert!(said.contains(" 504 ") && said.contains("did not arrive within"), "{said}");
    });
    assert_eq!(yard.status("db"), "running");
}

/// KiB of memory that a process has.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("every process has it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_body_of_100_mb_is_refused_before_it_is_read() {
    let (yard, port) = listening("");
    let token = token(&yard, "big", "admin");
    let before = memory(yard.host_pid());
    // Said in the head: the answer comes before the body.
    for path in ["/api/v1/apply", "/api/v1/services/stop"] {
        let answer = with(port, &token, "POST", path, &["content-length: 104857600"]).expect("it answers");
        assert_eq!((answer.status, answer.json()["code"].as_str()), (413, Some("invalid")), "{path}");
    }
    // A route takes no more than it needs.
    let two_mb = [b"{\"services\": [], \"x\": \"".to_vec(), vec![b'x'; 2 << 20]].concat();
    assert_eq!(ask(port, Some(&token), "POST", "/api/v1/services/stop", &two_mb).map(|answer| answer.status), Some(413));
    // Not said: it ends where it becomes too long.
    let mut stream = connect(port);
    let head = format!(
        "POST /api/v1/apply HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it hears");
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    let sent = (0..100).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 60, "{sent} MB were taken");
    if let Some(answer) = hear(&mut stream) {
        assert_eq!(answer.status, 400);
    }
    let after = memory(yard.host_pid());
    assert!(after < before + 96 * 1_024, "{before} KiB became {after}");
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn what_is_nested_too_deep_or_has_too_many_headers_is_refused() {
    let (yard, port) = listening("");
    let token = token(&yard, "deep", "admin");
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = format!("{{\"document\": {}1{}, \"base_dir\": \"/\"}}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(ask(port, Some(&token), "POST", "/api/v1/plan", body.as_bytes()).map(|answer| answer.status), Some(400));
    }
    let many: Vec<String> = (0..200).map(|number| format!("x-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(with(port, &token, "GET", "/api/v1/host", &many).is_none_or(|answer| answer.status == 431));
    let long = format!("x: {}", "x".repeat(200_000));
    assert!(with(port, &token, "GET", "/api/v1/host", &[&long]).is_none_or(|answer| answer.status == 431));
    assert_eq!(with(port, &token, "GET", "/api/v1/host", &[]).map(|answer| answer.status), Some(200));
}

#[test]
fn foreign_names_and_pages_are_refused() {
    let (yard, port) = listening("allowed_hosts = [\"hostler.example\"]\nallowed_origins = [\"https://console.example\"]");
    let token = token(&yard, "browser", "admin");
    let status = |method: &str, lines: &[&str]| with(port, &token, method, "/api/v1/services/stop", lines).map_or(0, |answer| answer.status);
    let get = |lines: &[&str]| with(port, &token, "GET", "/api/v1/host", lines).map_or(0, |answer| answer.status);
    for good in ["host: localhost", "host: 127.0.0.1:1", "host: [::1]", "host: hostler.example"] {
        assert_eq!(get(&[good]), 200, "{good}");
    }
    for evil in ["host: evil.example", "host: 127.0.0.1.evil.example", "host: 10.0.0.1", "host: "] {
        assert_eq!(get(&[evil]), 403, "{evil}");
    }
    assert_eq!(get(&["host: localhost", "host: evil.example"]), 403);
    assert_eq!(with(port, &token, "GET", "http://evil.example/api/v1/host", &[]).map(|answer| answer.status), Some(403));
    let own = format!("origin: http://localhost:{port}");
    let body = "content-length: 0";
    assert_eq!(status("POST", &["origin: https://evil.example", body]), 403);
    assert_eq!(status("POST", &["origin: null", body]), 403);
    assert_eq!(get(&["sec-fetch-site: cross-site"]), 403);
    assert_eq!(yard.status("db"), "running");
    for good in [own.as_str(), "origin: https://console.example"] {
        assert_eq!(status("POST", &[good, body]), 200, "{good}");
    }
    // A browser is never told that another page may read this, and to take nothing from here for a page.
    let answer = with(port, &token, "GET", "/api/v1/host", &["origin: https://console.example"]).expect("it answers");
    for header in
        ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "cache-control: no-store", "referrer-policy: no-referrer"]
    {
        assert!(answer.head.contains(header), "{header}: {}", answer.head);
    }
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
    let refused = with(port, &token, "GET", "/nowhere", &[]).expect("it answers");
    assert!(refused.status == 404 && refused.head.contains("nosniff"), "{}", refused.head);
    let denied: Vec<Value> = audit(&yard).into_iter().filter(|entry| entry["status"] == 403).collect();
    assert!(!denied.is_empty() && denied.iter().all(|entry| entry["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:"))), "{denied:?}");
}

#[test]
fn a_crowd_from_one_address_locks_out_nobody_else() {
    let (yard, port) = listening("");
    let crowd: Vec<TcpStream> = (0..2_000).map_while(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).collect();
    assert!(crowd.len() > 1_000, "{}", crowd.len());
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(request(&yard.socket(), "GET", "/api/v1/services", b"").map(|answer| answer.status), Some(200));
        // Whoever says nothing is hung up on after 10 s, and who waits behind him is answered then.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
    assert!(yard.run("ps").ok().contains("running"));
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", yard.host_pid())).expect("it is there").count();
    assert!(descriptors < 600, "{descriptors}");
    drop(crowd);
    until("there is room again", || ask(port, None, "GET", "/api/v1/host", b"").is_some_and(|answer| answer.status == 401));
}

/// Many requests over one connection: how many were answered with which status, and the last head that refused.
fn hammer(port: u16, token: &str, count: usize) -> (usize, usize, String) {
    let mut stream = connect(port);
    let one = format!("GET /api/v1/host HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    let last = one.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let mut writing = stream.try_clone().expect("descriptors are left");
    let sender = thread::spawn(move || {
        for _ in 1..count {
            if writing.write_all(one.as_bytes()).is_err() {
                return;
            }
        }
        let _ = writing.write_all(last.as_bytes());
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("it answers all of them");
    sender.join().expect("it sends");
    let text = String::from_utf8_lossy(&heard).to_lowercase();
    let refused = text.split("http/1.1 429").nth(1).and_then(|rest| rest.split("\r\n\r\n").next()).unwrap_or_default().to_owned();
    (text.matches("http/1.1 200").count(), text.matches("http/1.1 429").count(), refused)
}

#[test]
fn a_token_that_asks_too_often_waits_and_others_do_not() {
    let (yard, port) = listening("store = { type = \"memory\" }");
    let (busy, calm) = (token(&yard, "busy", "viewer"), token(&yard, "calm", "viewer"));
    let (answered, refused, head) = hammer(port, &busy, 2_000);
    assert!(answered >= 300 && refused > 0, "{answered} and {refused}");
    assert!(head.contains("retry-after: "), "{head}");
    assert_eq!(ask(port, Some(&calm), "GET", "/api/v1/host", b"").map(|answer| answer.status), Some(200));
    until("it may ask again", || ask(port, Some(&busy), "GET", "/api/v1/host", b"").is_some_and(|answer| answer.status == 200));
    // Whoever guesses is slowed down, too, and does not fill the audit log.
    let guesses: Vec<u16> = (0..400).map(|_| ask(port, Some("hst_guess"), "GET", "/api/v1/host", b"").map_or(0, |answer| answer.status)).collect();
    assert!(guesses.contains(&429) && guesses.iter().all(|status| matches!(status, 401 | 429)), "{guesses:?}");
    let told = || audit(&yard).iter().filter(|entry| entry["caller"] == "nobody").map(|entry| 1 + entry["more"].as_u64().unwrap_or(0)).sum::<u64>();
    until("each of them is counted", || told() == 400);
    assert!(audit(&yard).len() < 200, "{}", audit(&yard).len());
}

#[test]
fn odd_paths_lead_nowhere_and_are_written_down() {
    let (yard, port) = listening("");
    let token = token(&yard, "odd", "admin");
    let paths = [
        "/api/v1/../v1/host",
        "/api/v1/%2e%2e/v1/host",
        "/api/v1/services/../host",
        "/api/v1/services/%2e%2e%2f%2e%2e%2fhost",
        "//api/v1/host",
        "/api//v1/host",
        "/api/v1/host/",
        "/api/v1/services/a%00b",
        "/api/v1/services/..%5c..",
        "/api/v1/system.shutdown",
        "/RPC2",
        "/api/v1/__proto__",
    ];
    for path in paths {
        let answer = with(port, &token, "GET", path, &[]).expect("it answers");
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("not-found")), "{path}");
    }
    let entries = audit(&yard);
    let found = entries.iter().filter(|entry| entry["status"] == 404 && entry["route"].is_null());
    assert_eq!(found.count(), paths.len(), "{entries:?}");
}

#[test]
fn the_audit_log_says_who_did_what_and_what_became_of_it() {
    let (yard, port) = listening("");
    let (admin, viewer) = (token(&yard, "admin", "admin"), token(&yard, "viewer", "viewer"));
    assert_eq!(ask(port, Some(&admin), "POST", "/api/v1/services/stop", br#"{"services": ["db"]}"#).map(|answer| answer.status), Some(200));
    assert_eq!(
        ask(port, Some(&admin), "POST", "/api/v1/services/db/signal", br#"{"signal": "HUP", "x": "hunter2"}"#).map(|answer| answer.status),
        Some(400)
    );
    assert_eq!(ask(port, Some(&viewer), "POST", "/api/v1/services/start", b"{}").map(|answer| answer.status), Some(403));
    assert_eq!(ask(port, Some(&viewer), "GET", "/api/v1/audit", b"").map(|answer| answer.status), Some(403));
    assert_eq!(ask(port, None, "DELETE", "/api/v1/tokens/x", b"").map(|answer| answer.status), Some(401));
    assert_eq!(ask(port, Some(&viewer), "GET", "/api/v1/services", b"").map(|answer| answer.status), Some(200));
    // Written before the answer: a host that is killed now has told nothing that it forgets.
    yard.kill_host();
    yard.run("serve --detach").ok();
    let entries = audit(&yard);
    let told: Vec<[Value; 6]> =
        entries.iter().map(|entry| ["caller", "method", "route", "subject", "status", "code"].map(|key| entry[key].clone())).collect();
    let uid = format!("local:{}", std::fs::metadata(yard.state()).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).expect("it is there"));
    let expected = [
        json!([uid, "POST", "/api/v1/tokens", null, 200, "ok"]),
        json!([uid, "POST", "/api/v1/tokens", null, 200, "ok"]),
        json!(["admin", "POST", "/api/v1/services/stop", null, 200, "ok"]),
        json!(["admin", "POST", "/api/v1/services/{name}/signal", "db", 400, "invalid"]),
        json!(["viewer", "POST", "/api/v1/services/start", null, 403, "denied"]),
        json!(["viewer", "GET", "/api/v1/audit", null, 403, "denied"]),
        json!(["nobody", "DELETE", "/api/v1/tokens/{name}", "x", 401, "unauthenticated"]),
    ];
    assert_eq!(told.iter().map(|entry| json!(entry)).collect::<Vec<_>>(), expected);
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<_>>());
    assert!(!json!(entries).to_string().contains("hunter2"));
    // Somebody who goes away before he is answered has asked all the same.
    let mut stream = connect(port);
    let body = br#"{"services": ["db"], "wait_ms": 3600000}"#;
    let head = format!(
        "POST /api/v1/services/restart HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {admin}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("it hears");
    // Heard, and not answered as long as he waits.
    yard.until_status("db", "running");
    drop(stream);
    until("it is written down", || audit(&yard).iter().any(|entry| entry["route"] == "/api/v1/services/restart" || entry["code"] == "cut-off"));
    let text = yard.run("audit --after 2 --limit 2").ok();
    assert!(text.contains("admin (") && text.lines().count() == 3, "{text}");
}

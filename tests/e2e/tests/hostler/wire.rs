//! The socket, byte by byte: a closed list of routes, limits, and refusals that are documents.

use hostler_e2e::{Yard, json, raw, request};

use crate::sleeper;

fn host() -> Yard {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard
}

#[track_caller]
fn refuses(yard: &Yard, method: &str, path: &str, body: &[u8], status: u16, code: &str) {
    let answer = request(&yard.socket(), method, path, body).unwrap_or_else(|| panic!("{method} {path}: no answer"));
    assert_eq!(answer.status, status, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
    assert!(answer.head.contains("content-type: application/problem+json"), "{method} {path}: {}", answer.head);
    let document = answer.json();
    assert_eq!([&document["version"], &document["code"]], [&json!(1), &json!(code)], "{method} {path}: {document}");
    assert!(document["message"].as_str().is_some_and(|message| !message.is_empty()));
}

#[test]
fn every_unknown_route_is_404() {
    let yard = host();
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/services",
        "/api/v1/services/db/shell",
        "/api/v1/services/db/../../host",
        "/metrics/",
        "/api/v1/hosts",
        "//api/v1/host",
        "/api/v1/host/",
    ] {
        refuses(&yard, "GET", path, b"", 404, "not-found");
    }
    for name in ["nobody", "..%2F..%2Fetc%2Fpasswd", "%00", "%1b%5b2J", "db%2F..", "DB"] {
        for route in ["", "/explain", "/logs"] {
            refuses(&yard, "GET", &format!("/api/v1/services/{name}{route}"), b"", 404, "not-found");
        }
        for (route, body) in [("signal", &br#"{"signal": "HUP"}"#[..]), ("exec", br#"{"command": ["true"]}"#)] {
            refuses(&yard, "POST", &format!("/api/v1/services/{name}/{route}"), body, 404, "not-found");
        }
        refuses(&yard, "GET", &format!("/api/v1/plugins/{name}"), b"", 404, "not-found");
    }
}

#[test]
fn a_route_takes_its_own_method_only() {
    let yard = host();
    for (method, path) in [
        ("POST", "/api/v1/host"),
        ("PATCH", "/api/v1/services/db"),
        ("GET", "/api/v1/apply"),
        ("GET", "/api/v1/services/db/exec"),
        ("PUT", "/api/v1/services/stop"),
        ("GET", "/api/v1/shutdown"),
    ] {
        refuses(&yard, method, path, b"", 405, "invalid");
    }
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn a_body_that_is_no_request_is_refused() {
    let yard = host();
    for path in ["services/start", "services/stop", "services/restart", "apply", "plan", "down", "shutdown", "health/check-now"] {
        for body in ["{", "[]", "\"x\"", "{\"frobnicate\": 1}", "\u{0}", "{} {}", "nonsense"] {
            refuses(&yard, "POST", &format!("/api/v1/{path}"), body.as_bytes(), 400, "invalid");
        }
    }
    refuses(&yard, "POST", "/api/v1/services/stop", br#"{"services": ["../x"]}"#, 400, "invalid");
    refuses(&yard, "POST", "/api/v1/services/stop", br#"{"services": ["nobody"]}"#, 404, "not-found");
    refuses(&yard, "POST", "/api/v1/apply", br#"{"document": {"version": "1.0"}, "base_dir": "relative"}"#, 400, "invalid");
    refuses(&yard, "POST", "/api/v1/apply", br#"{"document": {"servces": {}}, "base_dir": "/"}"#, 422, "config");
    refuses(&yard, "GET", "/api/v1/events?after=soon", b"", 400, "invalid");
    refuses(&yard, "GET", "/api/v1/services?frobnicate=1", b"", 400, "invalid");
    refuses(&yard, "GET", "/api/v1/services/db/logs?tail=-1", b"", 400, "invalid");
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn a_body_without_end_is_refused() {
    let yard = host();
    let large = vec![b' '; 18 << 20];
    let answer = request(&yard.socket(), "POST", "/api/v1/apply", &large).expect("it answers");
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert_eq!(answer.json()["code"], "invalid");
    let deep = "[".repeat(100_000);
    refuses(&yard, "POST", "/api/v1/plan", format!("{{\"document\": {deep}").as_bytes(), 400, "invalid");
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn what_is_no_http_ends_only_its_own_connection() {
    let yard = host();
    let socket = yard.socket();
    for bytes in
        [&b"\x16\x03\x01 hello\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"GET  /\r\n\r\n", b"\r\n\r\n\r\n", b"GET / HTTP/1.1\r\nx: \x00\r\n\r\n"]
    {
        let answer = raw(&socket, bytes);
        assert!(answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)), "{answer:?}");
    }
    let many = format!("GET /api/v1/host HTTP/1.1\r\nhost: x\r\n{}\r\n", (0..500).map(|number| format!("x-{number}: 1\r\n")).collect::<String>());
    assert!(raw(&socket, many.as_bytes()).is_none_or(|answer| (400..500).contains(&answer.status)));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(1 << 20));
    assert!(raw(&socket, long.as_bytes()).is_none_or(|answer| (400..500).contains(&answer.status)));
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn many_callers_at_once_are_answered() {
    let yard = host();
    let socket = yard.socket();
    let open: Vec<_> = (0..200).map(|_| std::os::unix::net::UnixStream::connect(&socket).expect("it listens")).collect();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let answer = request(&socket, "GET", "/api/v1/services", b"").expect("it answers");
                    assert_eq!((answer.status, answer.json()["version"].as_u64()), (200, Some(1)));
                }
            });
        }
    });
    drop(open);
}

#[test]
fn every_document_has_the_version_of_its_shape() {
    let yard = host();
    for path in ["host", "services", "services/db", "services/db/explain", "graph", "health", "plugins", "plugins/process"] {
        let document = yard.get(&format!("/{path}")).unwrap_or_else(|| panic!("{path}: no answer"));
        assert_eq!(document["version"], 1, "{path}");
    }
    for path in ["events", "services/db/logs"] {
        let answer = request(&yard.socket(), "GET", &format!("/api/v1/{path}"), b"").expect("it answers");
        assert!(answer.status == 200 && answer.head.contains("application/x-ndjson"), "{path}: {}", answer.head);
    }
}

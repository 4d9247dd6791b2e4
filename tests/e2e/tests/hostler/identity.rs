//! Tokens over TCP: who comes in, and what he may.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hostler_api::access::{Access, Role};
use hostler_api::routes::{self, Method, Route};
use hostler_e2e::{Answer, Ran, Yard, ask, can, free_port, is_root, json, request, until, until_some};

use crate::{listening, sleeper, token};

fn status(port: u16, token: Option<&str>, path: &str) -> u16 {
    ask(port, token, "GET", path, b"").map_or(0, |answer| answer.status)
}

#[test]
fn the_set_up_token_makes_the_first_admin_and_nothing_else_and_once() {
    let (yard, port) = listening("");
    let file = yard.state().join("setup-token");
    let set_up = std::fs::read_to_string(&file).expect("nobody could come in otherwise").trim().to_owned();
    assert_eq!(file.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    let log = std::fs::read_to_string(yard.state().join("host.log")).expect("it is in the background");
    assert!(log.contains(&file.display().to_string()) && !log.contains(&set_up), "{log}");
    let make = |token: &str, body: &str| ask(port, Some(token), "POST", "/api/v1/tokens", body.as_bytes()).expect("it answers");
    for path in ["/api/v1/services", "/api/v1/host", "/api/v1/tokens", "/api/v1/audit"] {
        assert_eq!(status(port, Some(&set_up), path), 403, "{path}");
    }
    assert_eq!(make(&set_up, r#"{"name": "x", "role": "operator"}"#).status, 400);
    assert_eq!(make(&set_up, r#"{"name": "x", "workspaces": {"default": "admin"}}"#).status, 400);
    let made = make(&set_up, r#"{"name": "first", "role": "admin"}"#);
    assert_eq!((made.status, &made.json()["token"]["created_by"]), (200, &json!("set-up")));
    assert!(!file.exists());
    assert_eq!(make(&set_up, r#"{"name": "second", "role": "admin"}"#).status, 401);
    let first = made.json()["secret"].as_str().expect("it is told").to_owned();
    assert_eq!(status(port, Some(&first), "/api/v1/services"), 200);
    // The next host needs none, and knows the token.
    yard.kill_host();
    yard.run("serve --detach").ok();
    assert!(!file.exists());
    assert_eq!(status(port, Some(&first), "/api/v1/services"), 200);
}

#[test]
fn without_a_way_in_the_door_stays_closed() {
    let (yard, port) = (Yard::new(), free_port());
    // Where a directory is, no file can be written.
    let in_the_way = yard.state().join("setup-token/x");
    std::fs::create_dir_all(&in_the_way).expect("the state directory is ours");
    yard.up(&format!("[settings]\nlisten = {port}\n{}", sleeper("db", "")));
    let door = yard.get("/host").expect("the socket answers")["listening"].clone();
    assert!(door["open"] == false && door["trouble"].as_str().is_some_and(|why| why.contains("setup-token")), "{door}");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(yard.run("status").ok().contains("not on 127.0.0.1"));
    std::fs::remove_dir_all(in_the_way.parent().expect("it has one")).expect("it is ours");
    until("it opens as soon as somebody could come in", || status(port, None, "/api/v1/host") == 401);
}

#[test]
fn what_others_can_reach_needs_tls() {
    let yard = Yard::with(&format!("[settings]\nlisten = \"0.0.0.0:{}\"\n{}", free_port(), sleeper("db", "")));
    let refused = yard.run("up --detach").fails(3);
    assert!(refused.contains("tokens would travel in the clear") && refused.contains("write tls = {"), "{refused}");
}

/// Somebody, and the roles that he has: on the host, and in the workspace `default`; nothing of both is somebody of another workspace.
struct Somebody {
    token: String,
    on_host: Option<Role>,
    here: Option<Role>,
}

/// What every route must answer to him, seen from its policy alone.
fn expected(route: &Route, who: &Somebody) -> &'static [u16] {
    // Also what a document says of what is not there: it could not be reconciled.
    const IN: &[u16] = &[200, 202, 400, 404, 409, 422, 500, 501, 502, 503];
    match route.access {
        Access::Anybody | Access::Known => IN,
        // In `default` it is the host's own.
        Access::Document if who.on_host.max(who.here).is_none() => &[404],
        Access::Document if who.on_host >= Some(Role::Admin) => IN,
        Access::Document => &[403],
        Access::Host(role) if who.on_host >= Some(role) => IN,
        Access::Host(_) => &[403],
        Access::Workspace(role) if who.on_host.max(who.here) >= Some(role) => IN,
        // He must not even learn that it is there.
        Access::Workspace(_) if who.on_host.max(who.here).is_none() => &[404],
        Access::Workspace(_) => &[403],
    }
}

fn try_route(port: u16, token: Option<&str>, route: &Route) -> Answer {
    let method = match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    // Nobody is called so, and no route takes such a body: whoever is let in changes nothing.
    let body: &[u8] = if route.method == Method::Get { b"" } else { br#"{"frobnicate": 1}"# };
    let nobody = if routes::names_workspace(route.path) { "default" } else { "nobody" };
    let named = |part: &str| if part.starts_with('{') { nobody } else { part }.to_owned();
    let path = route.path.split('/').map(named).collect::<Vec<_>>().join("/");
    // Whoever tries all of them without a good token is told to wait now and then.
    until_some("it is not too often", || {
        let answer = ask(port, token, method, &path, body).unwrap_or_else(|| panic!("{method} {path}: no answer"));
        Some(answer).filter(|answer| answer.status != 429)
    })
}

#[test]
fn every_route_is_open_to_whom_its_policy_names_and_to_nobody_else() {
    let (yard, port) = listening("");
    let mut people = Vec::new();
    for role in Role::ALL {
        let word = role.as_str();
        people.push(Somebody { token: token(&yard, &format!("host-{word}"), word), on_host: Some(role), here: None });
        let here = token(&yard, &format!("here-{word}"), &format!("{word} --workspace default"));
        people.push(Somebody { token: here, on_host: None, here: Some(role) });
    }
    yard.run("workspace create other").ok();
    let far = token(&yard, "far", "admin --workspace other");
    people.push(Somebody { token: far, on_host: None, here: None });
    for route in routes::every() {
        for who in &people {
            let answer = try_route(port, Some(&who.token), route);
            // Each API has a form of its own for failures.
            let said = String::from_utf8_lossy(&answer.body);
            let hidden = answer.status == 404 && said.contains("no workspace");
            let may = expected(route, who);
            let should_hide = may == [404];
            assert!(
                may.contains(&answer.status) && hidden == should_hide,
                "{route:?} of host {:?}, here {:?}: {} {said}",
                who.on_host,
                who.here,
                answer.status
            );
        }
        let answer = try_route(port, None, route);
        match route.access {
            Access::Anybody => assert_eq!(answer.status, 200, "{route:?}"),
            _ => assert!(answer.status == 401 && answer.head.contains("www-authenticate: bearer"), "{route:?}: {}", answer.head),
        }
        assert_eq!(try_route(port, Some("hst_nobody"), route).status, 401, "{route:?}");
    }
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn bad_tokens_of_every_kind_get_the_same_answer() {
    let (yard, port) = listening("");
    let good = token(&yard, "good", "viewer");
    let revoked = token(&yard, "revoked", "viewer");
    yard.run("token revoke revoked").ok();
    let expired = token(&yard, "expired", "viewer --expires 50ms");
    until("it expires", || status(port, Some(&expired), "/api/v1/host") == 401);
    let mut typo = good.clone();
    typo.replace_range(20..21, if &good[20..21] == "a" { "b" } else { "a" });
    let answers: Vec<Answer> = [&revoked, &expired, &typo, "hst_x", "", "hunter2", &"x".repeat(9_000)]
        .into_iter()
        .map(|bad| ask(port, Some(bad), "GET", "/api/v1/host", b"").expect("it answers"))
        .collect();
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (401, &answers[0].body));
    }
    assert_eq!(status(port, Some(&good), "/api/v1/host"), 200);
    let listed = yard.run("token ls").ok();
    for line in ["good", "revoked", "expired"] {
        assert!(listed.lines().any(|text| text.contains(line)), "{listed}");
    }
    assert!(!listed.contains(good.split('_').nth(2).expect("the secret")), "{listed}");
    assert!(yard.run("token create good --role viewer").fails(1).contains("already"));
    assert!(yard.run("token create x --role root").fails(2).contains("viewer, operator or admin"));
    assert!(yard.run("token revoke nobody").fails(1).contains("there is no token"));
}

#[test]
fn a_token_that_is_taken_back_ends_what_it_began() {
    let (yard, port) = listening("");
    let token = token(&yard, "reader", "viewer");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it is a socket");
    let head = format!("GET /api/v1/events?follow=true HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it hears");
    let mut first = [0_u8; 12];
    stream.read_exact(&mut first).expect("it answers");
    assert_eq!(&first, b"HTTP/1.1 200");
    yard.run("token revoke reader").ok();
    assert_eq!(status(port, Some(&token), "/api/v1/host"), 401);
    // It was following, and is cut: the end comes without another event.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
    until("the connection is closed", || stream.write_all(b"x").is_err());
}

#[test]
fn a_token_that_is_taken_back_closes_its_web_sockets() {
    let (yard, port) = listening("");
    let token = token(&yard, "reader", "viewer");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it is a socket");
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let path = "/api/v1/events/socket?after=1000000";
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{upgrade}\r\n");
    stream.write_all(head.as_bytes()).expect("it hears");
    let mut first = [0_u8; 12];
    stream.read_exact(&mut first).expect("it answers");
    assert_eq!(&first, b"HTTP/1.1 101");
    yard.run("token revoke reader").ok();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it comes to its end");
    assert!(String::from_utf8_lossy(&rest).ends_with("the token is good no more"), "{rest:?}");
}

#[test]
fn the_command_line_asks_a_host_over_tcp() {
    let (yard, port) = listening("");
    let (admin, viewer) = (token(&yard, "admin", "admin"), token(&yard, "viewer", "viewer"));
    let run =
        |token: &str, line: &str| Ran::of(yard.command(line).env("HOSTLER_HOST", format!("http://127.0.0.1:{port}")).env("HOSTLER_TOKEN", token));
    assert!(run(&viewer, "ps").ok().contains("db"));
    assert!(run(&viewer, "stop db").fails(5).contains("takes the role operator"));
    run(&admin, "stop db").ok();
    assert_eq!(yard.status("db"), "stopped");
    run(&admin, "apply").ok();
    assert!(run(&admin, "up --detach").fails(2).contains("on this machine"));
    assert!(run(&admin, "down").fails(2).contains("on this machine"));
    assert!(run(&admin.replace("hst_", "hst_x"), "ps").fails(5).contains("typo"));
    let file = yard.write("token", format!("{viewer}\n"));
    let from_file = yard.run(&format!("ps --host http://localhost:{port} --token-file {}", file.display()));
    assert!(from_file.ok().contains("db"));
    assert!(yard.run(&format!("ps --host http://localhost:{port}")).fails(5).contains("token"));
    assert!(yard.run(&format!("ps --host http://localhost:{}", free_port())).fails(4).contains("cannot reach the host"));
    // A door that is not wanted any more is closed.
    yard.config(&sleeper("db", ""));
    yard.run("apply").ok();
    until("the door is closed", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

/// Sends one request over the socket and prints the first line of the answer.
const KNOCK: &str = "import socket,sys
s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b'GET /api/v1/host HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')
print(s.recv(4096).split(b'\\r\\n')[0].decode())";

#[test]
fn another_user_is_refused_on_the_socket_even_where_its_mode_lets_him_in() {
    if !can("a root that may become somebody else with setpriv", is_root() && std::path::Path::new("/usr/bin/setpriv").exists()) {
        return;
    }
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let open = |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    open(yard.state(), 0o755);
    open(&yard.socket(), 0o666);
    let mut knock = std::process::Command::new("setpriv");
    knock.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", KNOCK]).arg(yard.socket()).current_dir("/");
    let answer = Ran::of(&mut knock).ok();
    assert!(answer.contains("403"), "{answer}");
    assert_eq!(request(&yard.socket(), "GET", "/api/v1/host", b"").map(|answer| answer.status), Some(200));
    let audit = yard.run("audit --json").ok();
    assert!(audit.contains("\"status\":403"), "{audit}");
}

#[test]
fn a_tokens_secret_is_told_once_and_stands_nowhere() {
    let (yard, port) = (Yard::with(""), free_port());
    yard.config(&format!("[settings]\nlisten = {port}\n{}", sleeper("db", "")));
    Ran::of(yard.command("up --detach").env("HOSTLER_LOG", "debug")).ok();
    let token = token(&yard, "canary", "admin");
    let secret = token.split('_').nth(2).expect("its third part").to_owned();
    // Used well, and in every wrong place.
    for path in [
        "/api/v1/host",
        &format!("/api/v1/{token}"),
        &format!("/api/v1/services/{token}"),
        &format!("/api/v1/host?token={token}"),
        &format!("/api/v1/events?services={token}"),
    ] {
        ask(port, Some(&token), "GET", path, b"");
        ask(port, Some(&format!("{token}x")), "GET", path, b"");
    }
    ask(port, Some(&token), "DELETE", &format!("/api/v1/tokens/{token}"), b"");
    ask(port, Some(&token), "POST", "/api/v1/services/stop", format!("{{\"services\": [\"{token}\"]}}").as_bytes());
    ask(port, Some(&token), &token, "/api/v1/host", b"");
    let mut following = yard.command("events -f");
    let live = hostler_e2e::Live::piped(following.env("HOSTLER_HOST", format!("http://127.0.0.1:{port}")).env("HOSTLER_TOKEN", &token));
    live.says("started");
    for pid in yard.processes() {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&words).contains(&secret), "pid {pid}");
    }
    yard.run("token revoke canary").ok();
    ask(port, Some(&token), "GET", "/api/v1/host", b"");
    for line in ["events --json", "audit --limit 1000 --json", "token ls --json", "status --json", "ps --json"] {
        let said = yard.run(line).ok();
        assert!(!said.contains(&secret), "{line}: {said}");
    }
    yard.kill_host();
    let mut looked_at = 0;
    let mut folders = vec![yard.state().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("it is ours").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("it is there"));
            if kind.is_dir() && entry.file_name() != "cache" {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).expect("it is ours");
                assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 4, "{looked_at}");
}

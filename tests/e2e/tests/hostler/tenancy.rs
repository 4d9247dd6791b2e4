//! Workspaces: what is of one is nobody's in another, and a workspace takes no more of the host than it was given.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use hostler_api::access::{Access, Role};
use hostler_api::routes::{self, Method, Route};
use hostler_e2e::{Answer, Ran, Yard, ask, json, request, until, until_some};
use serde_json::Value;

use crate::{listening, sleeper, token};

/// One request over the socket, as whoever runs the host.
fn own(yard: &Yard, method: &str, path: &str, body: &Value) -> Answer {
    request(&yard.socket(), method, path, body.to_string().as_bytes()).expect("the host answers")
}

/// A service that only waits, as a request has it.
fn waits(more: &Value) -> Value {
    let mut service = json!({ "backend": { "type": "process", "binary": "/bin/sleep", "args": ["1000"] } });
    let more = more.as_object().cloned().unwrap_or_default();
    service.as_object_mut().expect("it is a table").extend(more);
    json!({ "service": service })
}

fn put(yard: &Yard, workspace: &str, name: &str, more: &Value) -> Answer {
    own(yard, "PUT", &format!("/api/v1/services/{name}?workspace={workspace}"), &waits(more))
}

fn names(list: &Value) -> Vec<String> {
    let full = |service: &Value| match service["workspace"].as_str() {
        Some(workspace) => format!("{workspace}/{}", service["name"].as_str().unwrap_or_default()),
        None => service["name"].as_str().unwrap_or_default().to_owned(),
    };
    list["services"].as_array().into_iter().flatten().map(full).collect()
}

fn list(yard: &Yard, workspace: &str) -> Vec<String> {
    names(&own(yard, "GET", &format!("/api/v1/services?workspace={workspace}"), &json!({})).json())
}

fn status_in(yard: &Yard, workspace: &str, name: &str) -> String {
    let answer = own(yard, "GET", &format!("/api/v1/services/{name}?workspace={workspace}"), &json!({})).json();
    answer["service"]["status"].as_str().unwrap_or("not there").to_owned()
}

#[test]
fn two_workspaces_have_services_of_one_name_and_neither_touches_the_others() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    assert!(yard.run("workspace create acme --plugin process").ok().lines().any(|line| line.starts_with("services ") && line.ends_with(" 0")));
    for name in ["db", "web"] {
        let more = if name == "web" { json!({ "dependencies": ["db"], "env": { "DB": "x" } }) } else { json!({}) };
        let answer = put(&yard, "acme", name, &more);
        assert_eq!((answer.status, &answer.json()["services"]), (200, &json!([name])), "{}", answer.json());
    }
    until("they run", || status_in(&yard, "acme", "web") == "running");
    assert_eq!((list(&yard, "default"), list(&yard, "acme")), (vec!["db".to_owned()], vec!["acme/db".to_owned(), "acme/web".to_owned()]));
    assert_eq!(list(&yard, "*"), ["acme/db", "acme/web", "db"]);
    let web = own(&yard, "GET", "/api/v1/services/web?workspace=acme", &json!({})).json();
    assert_eq!((&web["dependencies"][0]["service"], &web["service"]["workspace"]), (&json!("db"), &json!("acme")));
    let graph = own(&yard, "GET", "/api/v1/graph?workspace=acme", &json!({})).json();
    assert_eq!(graph["start_order"], json!(["db", "web"]));
    let ps = yard.run("ps --workspace acme").ok();
    assert!(ps.contains("acme/web") && !ps.lines().any(|line| line.starts_with("db ")), "{ps}");
    // What is asked of all of one is nothing to the other.
    yard.run("stop --workspace acme").ok();
    assert_eq!((status_in(&yard, "acme", "db"), yard.status("db")), ("stopped".to_owned(), "running".to_owned()));
    yard.run("start --workspace acme").ok();
    yard.run("stop").ok();
    assert_eq!((status_in(&yard, "acme", "db"), yard.status("db")), ("running".to_owned(), "stopped".to_owned()));
    // Neither is the host's own configuration, nor its end.
    yard.config(&sleeper("other", ""));
    yard.run("apply").ok();
    until("the host has what its file says", || list(&yard, "default") == ["other"]);
    assert_eq!(list(&yard, "acme"), ["acme/db", "acme/web"]);
    yard.kill_host();
    yard.run("serve --detach").ok();
    until("it is as it was", || status_in(&yard, "acme", "web") == "running");
    // A document of a workspace is of its services alone; what was asked for by name stays beside it.
    let document = json!({ "services": { "cache": waits(&json!({}))["service"], "front": waits(&json!({ "dependencies": ["cache"] }))["service"] } });
    let applied = own(&yard, "POST", "/api/v1/apply?workspace=acme", &json!({ "base_dir": "/", "document": document }));
    assert_eq!(applied.status, 200, "{}", applied.json());
    assert_eq!(list(&yard, "acme"), ["acme/cache", "acme/db", "acme/front", "acme/web"]);
    let fewer = json!({ "services": { "cache": waits(&json!({}))["service"] } });
    let plan = own(&yard, "POST", "/api/v1/plan?workspace=acme", &json!({ "base_dir": "/", "document": fewer })).json();
    let front = plan["changes"].as_array().into_iter().flatten().find(|change| change["service"] == "front");
    assert_eq!(front.map(|change| &change["change"]), Some(&json!("remove")), "{plan}");
    assert_eq!(own(&yard, "POST", "/api/v1/apply?workspace=acme", &json!({ "base_dir": "/", "document": fewer })).status, 200);
    until("it is gone", || list(&yard, "acme") == ["acme/cache", "acme/db", "acme/web"]);
    assert_eq!(list(&yard, "default"), ["other"]);
    yard.run("down --workspace acme").ok();
    assert_eq!((list(&yard, "acme"), list(&yard, "default")), (Vec::<String>::new(), vec!["other".to_owned()]));
}

#[test]
fn a_workspace_writes_nothing_of_the_host_and_uses_only_what_is_listed() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.run("workspace create acme --plugin process").ok();
    let apply = |document: Value| own(&yard, "POST", "/api/v1/apply?workspace=acme", &json!({ "base_dir": "/", "document": document }));
    let service = waits(&json!({}))["service"].clone();
    let document = json!({
        "settings": { "max_parallel": 1 },
        "plugins": { "mine": { "source": "/tmp/x.wasm" } },
        "secrets": { "password": { "file": "/etc/shadow" } },
        "services": { "a": service },
    });
    let refused = apply(document);
    let said = refused.json();
    let places: Vec<&str> = said["problems"].as_array().into_iter().flatten().filter_map(|problem| problem["at"].as_str()).collect();
    assert_eq!((refused.status, places), (422, vec!["/settings", "/plugins", "/secrets"]), "{}", refused.json());
    // A plugin that there is, and one that there is not, are refused in the same words.
    for plugin in ["docker", "nosuch"] {
        let refused = apply(json!({ "services": { "a": { "backend": { "type": plugin } } } }));
        assert_eq!(refused.status, 422);
        assert_eq!(refused.json()["problems"][0]["message"], format!("workspace `acme` may not use a plugin `{plugin}`"));
    }
    let checked = put(&yard, "acme", "a", &json!({ "health_check": { "type": "command", "command": ["/bin/true"] } }));
    assert_eq!((checked.status, &checked.json()["problems"][0]["at"]), (422, &json!("/services/a/health_check/type")));
    let secret = put(&yard, "acme", "a", &json!({ "secrets": { "SHADOW": "/etc/shadow" } }));
    assert_eq!((secret.status, &secret.json()["problems"][0]["at"]), (422, &json!("/services/a/secrets")));
    // Nobody depends on somebody of another workspace, whatever he calls him.
    for other in ["db", "default.db", "acme.db"] {
        assert_eq!(put(&yard, "acme", "a", &json!({ "dependencies": [other] })).status, 422, "{other}");
    }
    assert_eq!(list(&yard, "acme"), Vec::<String>::new());
    yard.run("workspace set acme --plugin process --plugin command").ok();
    assert_eq!(put(&yard, "acme", "a", &json!({ "health_check": { "type": "command", "command": ["/bin/true"] } })).status, 200);
    assert_eq!(own(&yard, "GET", "/api/v1/plugins?workspace=acme", &json!({})).json()["plugins"].as_array().map(Vec::len), Some(2));
    let process = own(&yard, "GET", "/api/v1/plugins/process?workspace=acme", &json!({})).json();
    assert_eq!((&process["plugin"]["used_by"], &process["plugin"]["grants"]), (&json!(["a"]), &json!({})), "{process}");
    assert_eq!(own(&yard, "GET", "/api/v1/plugins/docker?workspace=acme", &json!({})).status, 404);
}

#[test]
fn a_quota_holds_however_many_ask_at_once() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.run("workspace create acme --plugin process --quota services=3 --quota replicas=5 --quota cpu-millis=1000").ok();
    let more = json!({ "resources": { "cpu": "100m" }, "replicas": { "min": 1, "max": 9, "count": 1 } });
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asking: Vec<_> = (0..9)
            .map(|number| (number, &yard, &more))
            .map(|(number, yard, more)| scope.spawn(move || put(yard, "acme", &format!("s{number}"), more)))
            .collect();
        asking.into_iter().map(|asking| asking.join().expect("nobody panics")).collect()
    });
    let good = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(good, 3, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        let said = refused.json();
        assert_eq!((refused.status, &said["code"], &said["problems"][0]["at"]), (409, &json!("quota"), &json!("/quotas/services")), "{said}");
        assert_eq!(said["message"], "workspace `acme` may have 3 services, has 3, and would have 4");
    }
    let theirs: Vec<String> = list(&yard, "acme").iter().map(|name| name.trim_start_matches("acme/").to_owned()).collect();
    let scaled = |name: &str, count: u64| own(&yard, "POST", "/api/v1/services/scale?workspace=acme", &json!({ "services": { name: count } }));
    assert_eq!(scaled(&theirs[0], 3).status, 200);
    let refused = scaled(&theirs[1], 2).json();
    assert_eq!((&refused["code"], &refused["problems"][0]["message"]), (&json!("quota"), &json!("limit 5, used 5, asked 6")), "{refused}");
    let vague = put(&yard, "acme", &theirs[2], &json!({}));
    assert!(vague.status == 409 && vague.json()["message"].as_str().is_some_and(|why| why.contains("how much cpu")), "{}", vague.json());
    let shown = own(&yard, "GET", "/api/v1/workspaces/acme", &json!({})).json()["workspace"].clone();
    assert_eq!(
        (&shown["used"]["services"], &shown["used"]["replicas"], &shown["used"]["cpu_millis"]),
        (&json!(3), &json!(5), &json!(500)),
        "{shown}"
    );
    // Who is beyond a quota that became smaller may have less, and not more.
    yard.run("workspace set acme --quota replicas=2").ok();
    assert_eq!((scaled(&theirs[0], 2).status, scaled(&theirs[0], 3).status), (200, 409));
    assert_eq!(own(&yard, "DELETE", &format!("/api/v1/services/{}?workspace=acme", theirs[2]), &json!({})).status, 200);
    // Of what nobody knows how much it takes, a quota that came later lets nobody have more.
    yard.run("workspace create vague --plugin process").ok();
    assert_eq!(put(&yard, "vague", "s", &json!({ "replicas": { "min": 1, "max": 9, "count": 2 } })).status, 200);
    yard.run("workspace set vague --quota cpu-millis=100").ok();
    let scaled = |count: u64| own(&yard, "POST", "/api/v1/services/scale?workspace=vague", &json!({ "services": { "s": count } })).status;
    assert_eq!((scaled(3), scaled(1), scaled(2)), (409, 200, 409));
    // A plan says what an apply would be told.
    yard.write("vague.toml", sleeper("t", ""));
    let planned = yard.run("plan --workspace vague vague.toml").fails(1);
    let applied = yard.run("apply --workspace vague vague.toml").fails(1);
    assert!([&planned, &applied].iter().all(|said| said.contains("service `t` does not say how much cpu")), "{planned}\n{applied}");
    yard.run("validate --workspace vague vague.toml").ok();
    // The host's own is not among them.
    yard.config(&format!("{}{}{}{}", sleeper("db", ""), sleeper("b", ""), sleeper("c", ""), sleeper("d", "")));
    yard.run("apply").ok();
}

#[test]
fn checks_at_once_have_what_the_intervals_leave_of_a_quota() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.run("workspace create acme --plugin process --plugin tcp --quota checks-per-minute=3").ok();
    let each_minute = json!({ "health_check": { "type": "tcp", "host": "127.0.0.1", "port": 1, "interval": "60s" } });
    assert_eq!(put(&yard, "acme", "a", &each_minute).status, 200);
    let checked = || {
        let told = yard.get("/services/a/history?workspace=acme").unwrap_or_default();
        told["results"].as_array().into_iter().flatten().filter_map(|result| result["replica"].as_u64()).collect::<BTreeSet<u64>>().len()
    };
    until("it was checked at its interval", || checked() == 1);
    let check = |services: &[&str]| own(&yard, "POST", "/api/v1/health/check-now?workspace=acme", &json!({ "services": services }));
    assert_eq!((check(&["a"]).status, check(&[]).status), (200, 200));
    let refused = check(&["a"]);
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too-many")), "{}", refused.json());
    let scaled = json!({ "services": { "a": 2 } });
    assert_eq!(put(&yard, "acme", "a", &json!({ "health_check": each_minute["health_check"], "replicas": { "count": 2, "max": 2 } })).status, 200);
    assert_eq!(own(&yard, "POST", "/api/v1/services/scale?workspace=acme", &scaled).status, 200);
    until("both were", || checked() == 2);
    let never = check(&["a"]);
    assert_eq!((never.status, &never.json()["problems"][0]["at"]), (409, &json!("/quotas/checks_per_minute")), "{}", never.json());
    assert_eq!(own(&yard, "POST", "/api/orchestration/health/check-now?workspace=acme", &json!({})).status, 409);
    assert_eq!(own(&yard, "POST", "/api/v1/health/check-now", &json!({})).status, 200, "the host has no limit");
}

#[test]
fn events_beyond_their_rate_are_counted_and_told() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.run("workspace create acme --plugin process --quota events-per-second=1").ok();
    let crash = json!({ "service": { "backend": { "type": "process", "binary": "/bin/false" }, "restart": { "policy": "always", "max_attempts": 1000, "backoff": { "initial": "50ms", "max": "50ms" } } } });
    assert_eq!(own(&yard, "PUT", "/api/v1/services/storm?workspace=acme", &crash).status, 200);
    let events = |yard: &Yard| String::from_utf8_lossy(&own(yard, "GET", "/api/v1/events?workspace=acme", &json!({})).body).into_owned();
    until("some were left out and that is told", || events(&yard).contains("\"kind\":\"events-left-out\""));
    let left_out = |yard: &Yard| own(yard, "GET", "/api/v1/workspaces/acme", &json!({})).json()["workspace"]["used"]["events_left_out"].as_u64();
    assert!(left_out(&yard) > Some(0));
    let told = own(&yard, "GET", "/api/v1/events", &json!({}));
    assert!(!String::from_utf8_lossy(&told.body).contains("storm"), "nobody else hears of it");
    own(&yard, "POST", "/api/v1/services/stop?workspace=acme", &json!({ "services": ["storm"], "force": true }));
}

#[test]
fn what_is_asked_of_a_workspace_is_told_to_its_own_people() {
    let (yard, port) = listening("");
    yard.run("workspace create acme --plugin process --plugin tcp").ok();
    let theirs = token(&yard, "theirs", "operator --workspace acme");
    let (own_viewer, host_viewer) = (token(&yard, "own", "viewer --workspace default"), token(&yard, "host", "viewer"));
    let unreached = json!({ "health_check": { "type": "tcp", "host": "127.0.0.1", "port": 1, "interval": "100ms" } });
    for name in ["one", "two"] {
        assert_eq!(put(&yard, "acme", name, &unreached).status, 200);
    }
    let hears = |token: &str, workspace: &str| {
        let heard = ask(port, Some(token), "GET", &format!("/api/v1/events?workspace={workspace}"), b"").expect("it answers");
        assert_eq!(heard.status, 200);
        String::from_utf8_lossy(&heard.body).into_owned()
    };
    until("a plugin was refused", || hears(&theirs, "acme").contains("\"plugin-denied\""));
    let path = "/api/v1/services/stop?workspace=acme&async=true";
    let stop = ask(port, Some(&theirs), "POST", path, br#"{"services": ["one", "two", "one"]}"#).expect("it answers");
    assert_eq!((stop.status, &stop.json()["services"]), (202, &json!(["one", "two"])));
    let id = stop.json()["id"].as_str().expect("an id").to_owned();
    until("it is done", || hears(&theirs, "acme").contains(&format!("operation {id}, stop of one, two, is done")));
    for (token, what) in [(&own_viewer, "whoever is of `default`"), (&host_viewer, "whoever looks at `default`")] {
        let heard = hears(token, "default");
        assert!(!heard.contains(&id) && !heard.contains("\"plugin-denied\""), "{what}: {heard}");
    }
    // What plugins do for the host itself is nothing to who has no role on it.
    yard.run("workspace set default --deny 127.0.0.0/8").ok();
    assert_eq!(put(&yard, "default", "three", &unreached).status, 200);
    until("one was refused there, too", || hears(&host_viewer, "default").contains("\"plugin-denied\""));
    assert!(!hears(&own_viewer, "default").contains("\"plugin-"));
    // Nor does anybody but the host's people go before all others.
    let path = "/api/v1/services/start?workspace=acme&async=true&priority=";
    let start = |priority: &str| ask(port, Some(&theirs), "POST", &format!("{path}{priority}"), br#"{"services": ["one"]}"#).expect("it answers");
    assert_eq!((start("1").status, start("1").json()["code"].clone(), start("0").status), (403, json!("denied"), 202));
}

#[test]
fn who_is_in_a_team_has_its_role_in_its_workspaces_until_he_is_not() {
    let (yard, port) = listening("");
    yard.run("workspace create elsewhere").ok();
    let ann = token(&yard, "ann", "viewer --workspace elsewhere");
    yard.run("team create ours --member ann=operator").ok();
    yard.run("workspace create acme --plugin process --team ours").ok();
    assert_eq!(put(&yard, "acme", "db", &json!({})).status, 200);
    let asked = |method: &str, path: &str, body: &[u8]| ask(port, Some(&ann), method, path, body).map_or(0, |answer| answer.status);
    assert_eq!(asked("GET", "/api/v1/services/db?workspace=acme", b""), 200);
    assert_eq!(asked("POST", "/api/v1/services/restart?workspace=acme", br#"{"services": ["db"]}"#), 200);
    assert_eq!(asked("DELETE", "/api/v1/services/db?workspace=acme", b""), 403);
    let seen = ask(port, Some(&ann), "GET", "/api/v1/workspaces", b"").expect("it answers").json();
    let seen: Vec<(&str, &str)> =
        seen["workspaces"].as_array().into_iter().flatten().filter_map(|one| Some((one["name"].as_str()?, one["role"].as_str()?))).collect();
    assert_eq!(seen, [("acme", "operator"), ("elsewhere", "viewer")]);
    assert_eq!(ask(port, Some(&ann), "GET", "/api/v1/teams/ours", b"").expect("it answers").json()["team"]["workspaces"], json!(["acme"]));
    assert!(yard.run("team rm ours").fails(1).contains("has the workspace `acme`"));
    assert!(yard.run("team create bad --member nobody-there=viewer").fails(2).contains("no token"));
    // What follows is cut when he is in it no more.
    let mut command = yard.command("events -f --workspace acme");
    let live = hostler_e2e::Live::piped(command.env("HOSTLER_HOST", format!("http://127.0.0.1:{port}")).env("HOSTLER_TOKEN", &ann));
    live.says("started");
    yard.run("team set ours").ok();
    assert_eq!(asked("GET", "/api/v1/services/db?workspace=acme", b""), 404);
    assert_eq!(asked("GET", "/api/v1/teams/ours", b""), 404);
    live.ends();
}

#[test]
fn a_workspace_that_is_removed_leaves_nothing_to_the_next_of_its_name() {
    let (yard, port) = listening("");
    yard.run("workspace create acme --plugin process").ok();
    let (old, both) = (token(&yard, "old", "admin --workspace acme"), token(&yard, "both", "viewer --workspace acme --workspace default"));
    assert_eq!(put(&yard, "acme", "canary", &json!({})).status, 200);
    until("it runs", || status_in(&yard, "acme", "canary") == "running");
    // A silence, an operation that is over, and one that would go on with whoever comes next.
    let post = |path: &str, body: &Value| own(&yard, "POST", &format!("/api/v1{path}workspace=acme"), body).status;
    assert_eq!(post("/silences?", &json!({ "rule": "*", "for_ms": 3_600_000 })), 200);
    assert_eq!(post("/services/restart?async=true&", &json!({ "services": ["canary"] })), 202);
    let check = json!({ "health_check": { "type": "command", "command": ["/bin/false"], "interval": "50ms", "failure_threshold": 1000 } });
    yard.run("workspace set acme --plugin process --plugin command").ok();
    assert_eq!(put(&yard, "acme", "endless", &check).status, 200);
    assert_eq!(post("/services/endless/deploy?", &json!({ "restart": true })), 202);
    let kept = |what: &str| own(&yard, "GET", &format!("/api/v1/{what}?workspace=acme"), &json!({})).json()[what].as_array().map(Vec::len);
    assert_eq!((kept("silences"), kept("operations")), (Some(1), Some(2)));
    assert!(yard.run("workspace rm acme").fails(1).contains("has 2 services"));
    assert!(yard.run("workspace rm default --force").fails(1).contains("stays"));
    assert!(yard.run("workspace rm acme --force").ok().contains("canary"));
    let asked = |token: &str, path: &str| ask(port, Some(token), "GET", path, b"").map_or(0, |answer| answer.status);
    assert_eq!((asked(&old, "/api/v1/workspaces"), asked(&both, "/api/v1/services")), (401, 200));
    until("the name is free", || yard.run("workspace create acme --plugin process").code == 0);
    assert_eq!((asked(&both, "/api/v1/services?workspace=acme"), list(&yard, "acme")), (404, Vec::new()));
    assert_eq!((kept("silences"), kept("operations")), (Some(0), Some(0)));
    let next = token(&yard, "next", "admin --workspace acme");
    for path in ["/api/v1/events?workspace=acme", "/api/v1/events?workspace=acme&after=1"] {
        let heard = ask(port, Some(&next), "GET", path, b"").expect("it answers");
        assert!(heard.status == 200 && !String::from_utf8_lossy(&heard.body).contains("canary"), "{path}");
    }
    assert!(yard.processes().iter().all(|pid| !std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains("canary")));
    assert!(yard.run("token create stray --role viewer --workspace nosuch").fails(2).contains("no workspace"));
    yard.kill_host();
    yard.serve();
    assert_eq!((kept("silences"), kept("operations")), (Some(0), Some(0)), "nor does the store have any");
}

#[test]
fn checks_of_a_workspace_reach_only_what_its_policy_lists() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.run("workspace create acme --plugin process --plugin tcp --plugin http").ok();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    // Whoever comes is answered, and counted.
    let (came, coming) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::{Read, Write};
            let (mut stream, mut head) = (stream, [0_u8; 1024]);
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(200)));
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = came.send(());
        }
    });
    let every = json!({ "interval": "200ms", "failure_threshold": 1, "recovery_threshold": 1, "auto_recovery": false });
    let with = |check: Value| {
        let mut check = check;
        check.as_object_mut().expect("a table").extend(every.as_object().cloned().expect("a table"));
        json!({ "health_check": check })
    };
    assert_eq!(put(&yard, "acme", "plain", &with(json!({ "type": "tcp", "host": "127.0.0.1", "port": port }))).status, 200);
    assert_eq!(put(&yard, "acme", "named", &with(json!({ "type": "tcp", "host": "localhost", "port": port }))).status, 200);
    let web = with(json!({ "type": "http", "url": format!("http://localhost:{port}/"), "expected_status": [302] }));
    let web_answer = put(&yard, "acme", "web", &web);
    assert_eq!(web_answer.status, 200, "{}", web_answer.json());
    let verdict = |name: &str| {
        let detail = own(&yard, "GET", &format!("/api/v1/services/{name}?workspace=acme"), &json!({})).json();
        detail["checks"][0]["history"].as_array().and_then(|all| all.last()).and_then(|last| last["verdict"].as_str()).map(str::to_owned)
    };
    let all = ["plain", "named", "web"];
    for name in all {
        let said = until_some("it was judged", || verdict(name));
        assert_ne!(said, "pass", "{name}");
    }
    assert!(coming.try_recv().is_err(), "nobody came through");
    // By an address of the list, both of `localhost`'s, it is reached; a redirect is told, and not followed.
    yard.run("workspace set acme --allow 127.0.0.0/8 --allow ::1").ok();
    for name in all {
        until("it is reached", || verdict(name).as_deref() == Some("pass"));
    }
    // A connection that was kept is none of the new rules.
    let deny = yard.run(&format!("workspace set acme --deny 127.0.0.1 --port {port}"));
    deny.ok();
    for name in all {
        until("it is not reached any more", || verdict(name).as_deref() != Some("pass"));
    }
    assert!(yard.run("workspace set acme --allow example.com").fails(2).contains("range of addresses"));
    assert!(yard.run("workspace set acme --port 0").fails(2).contains("no port"));
    // The host's own services are checked as before.
    let own_check = format!("health_check = {{ type = \"tcp\", port = {port}, interval = \"200ms\" }}");
    yard.config(&sleeper("db", &own_check));
    yard.run("apply").ok();
    until("the host's is healthy", || yard.get("/services/db").is_some_and(|detail| detail["service"]["health"] == "healthy"));
}

/// Fills in a pattern, and asks it of a workspace.
fn try_in(port: u16, token: &str, route: &Route, workspace: Option<&str>, name: &str) -> Answer {
    let method = match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    let named = if routes::names_workspace(route.path) { workspace.unwrap_or("default") } else { name };
    let filled = |part: &str| if part.starts_with('{') { named } else { part }.to_owned();
    let mut path = route.path.split('/').map(filled).collect::<Vec<_>>().join("/");
    if let Some(workspace) = workspace.filter(|_| !routes::names_workspace(route.path)) {
        path = routes::of_workspace(&path, workspace);
    }
    // No route takes such a body: whoever is let in changes nothing.
    let body: &[u8] = if route.method == Method::Get { b"" } else { br#"{"frobnicate": 1}"# };
    until_some("it is not too often", || {
        let answer = ask(port, Some(token), method, &path, body).unwrap_or_else(|| panic!("{method} {path}: no answer"));
        Some(answer).filter(|answer| answer.status != 429)
    })
}

fn is_of_a_workspace(route: &Route) -> bool {
    matches!(route.access, Access::Workspace(_) | Access::Document)
}

/// What must be answered by a route that is let through, seen from its policy alone.
const IN: &[u16] = &[200, 202, 400, 404, 409, 422, 500, 501, 502, 503];

#[test]
fn every_route_is_closed_to_who_is_of_another_workspace_as_if_there_were_none() {
    let (yard, port) = listening("");
    for name in ["acme", "beta"] {
        yard.run(&format!("workspace create {name} --plugin process")).ok();
        assert_eq!(put(&yard, name, &format!("{name}-db"), &json!({})).status, 200);
    }
    let roles = Role::ALL.map(|role| (role, token(&yard, &format!("acme-{}", role.as_str()), &format!("{} --workspace acme", role.as_str()))));
    for route in routes::every().filter(|route| is_of_a_workspace(route)) {
        for (role, token) in &roles {
            let hidden = |workspace: Option<&str>| {
                let answer = try_in(port, token, route, workspace, "nobody");
                // Each API has a form of its own for failures.
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(answer.status == 404 && said.contains("no workspace"), "{route:?} {role:?} {workspace:?}: {} {said}", answer.status);
                said
            };
            // Somebody else's, and one that is not there, and one that cannot be: the same but for the name.
            let (foreign, missing) = (hidden(Some("beta")), hidden(Some("nosuch")));
            assert_eq!(foreign.replace("beta", "X"), missing.replace("nosuch", "X"), "{route:?}");
            hidden(None);
            if !routes::names_workspace(route.path) {
                hidden(Some("../acme"));
                hidden(Some("Acme"));
            }
            let every = try_in(port, token, route, Some("*"), "nobody");
            assert!(matches!(every.status, 403 | 404), "{route:?} {role:?} of all: {}", every.status);
            let demanded = if let Access::Workspace(demanded) = route.access { demanded } else { Role::Admin };
            let answer = try_in(port, token, route, Some("acme"), "nobody");
            let may = if *role >= demanded { IN } else { &[403][..] };
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(may.contains(&answer.status) && !said.contains("no workspace"), "{route:?} {role:?} of acme: {} {said}", answer.status);
        }
    }
    let audit = own(&yard, "GET", "/api/v1/audit?limit=1000", &json!({})).json();
    let turned = audit["entries"].as_array().into_iter().flatten().filter(|entry| entry["code"] == "not-found" && entry["caller"] == "acme-admin");
    let foreign = turned.filter(|entry| entry["workspace"] == "beta");
    assert!(foreign.count() > 0, "who asked for what is not his is written down, and of whom");
}

#[test]
fn heartbeats_of_another_workspace_are_not_counted() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    for name in ["acme", "beta"] {
        yard.run(&format!("workspace create {name} --plugin process")).ok();
        assert_eq!(put(&yard, name, "web", &json!({})).status, 200);
    }
    let beat = own(&yard, "POST", "/api/v1/services/web/heartbeat?workspace=acme", &json!({ "ttl_ms": 60_000 }));
    assert_eq!(beat.status, 200, "{}", beat.json());
    let counted = |workspace: &str| {
        let told = own(&yard, "GET", &format!("/api/orchestration/metrics?workspace={workspace}"), &Value::Null).json();
        told["registry_stats"]["heartbeats"]["services"].clone()
    };
    assert_eq!(["acme", "beta", "default"].map(counted), [1, 0, 0]);
}

#[test]
fn a_service_of_another_workspace_is_not_found_by_any_name() {
    let (yard, port) = listening("");
    for name in ["acme", "beta"] {
        yard.run(&format!("workspace create {name} --plugin process")).ok();
    }
    assert_eq!(put(&yard, "acme", "secret-service", &json!({})).status, 200);
    let beta = token(&yard, "beta-admin", "admin --workspace beta");
    let theirs = ["acme.secret-service", "secret-service", "acme/secret-service", "acme%2Fsecret-service", "acme%2Esecret-service"];
    // In a path: of every route that takes a name, whatever it is a name of.
    let named = routes::every().filter(|route| is_of_a_workspace(route) && route.path.contains('{') && !routes::names_workspace(route.path));
    for route in named {
        for name in theirs.iter().filter(|name| !name.contains('/')) {
            let answer = try_in(port, &beta, route, Some("beta"), name);
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            let is_empty_list = answer.status == 200 && route.path.contains("images");
            assert!(matches!(answer.status, 400 | 404 | 405 | 422 | 500 | 501) || is_empty_list, "{route:?} {name}: {} {said}", answer.status);
            assert!(!said.contains("did you mean"), "{route:?} {name}: {said}");
        }
    }
    // In a body, and in a query.
    for name in theirs {
        // What is a name nowhere is no request.
        let not_found = if name.contains(['/', '%']) { 400 } else { 404 };
        for path in ["start", "stop", "restart"] {
            let body = json!({ "services": [name] }).to_string();
            let answer = ask(port, Some(&beta), "POST", &format!("/api/v1/services/{path}?workspace=beta"), body.as_bytes()).expect("it answers");
            assert_eq!(answer.status, not_found, "{path} {name}: {}", answer.json());
        }
        let scale = json!({ "services": { name: 0 } }).to_string();
        assert_eq!(
            ask(port, Some(&beta), "POST", "/api/v1/services/scale?workspace=beta", scale.as_bytes()).expect("it answers").status,
            not_found,
            "{name}"
        );
        let check = json!({ "services": [name] }).to_string();
        let checked = ask(port, Some(&beta), "POST", "/api/v1/health/check-now?workspace=beta", check.as_bytes()).expect("it answers");
        assert_eq!(checked.status, not_found, "{name}");
        for path in ["/api/v1/services", "/api/v1/stats"] {
            let path = routes::with(path, &[("names", Some(name.to_owned())), ("workspace", Some("beta".to_owned()))]);
            assert_eq!(ask(port, Some(&beta), "GET", &path, b"").expect("it answers").status, 404, "{path}");
        }
        let path = routes::with("/api/v1/events", &[("services", Some(name.to_owned())), ("workspace", Some("beta".to_owned()))]);
        let heard = ask(port, Some(&beta), "GET", &path, b"").expect("it answers");
        assert!(heard.status == 200 && heard.body.is_empty(), "{path}: {}", String::from_utf8_lossy(&heard.body));
    }
    assert_eq!(status_in(&yard, "acme", "secret-service"), "running");
    // Numbers are everybody's, and say nothing: from any of them on, only what is his is heard.
    assert_eq!(put(&yard, "beta", "mine", &json!({})).status, 200);
    until("it runs", || status_in(&yard, "beta", "mine") == "running");
    for after in [0, 1, 5] {
        let heard = ask(port, Some(&beta), "GET", &format!("/api/v1/events?workspace=beta&after={after}"), b"").expect("it answers");
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        assert!(text.contains("\"service\":\"mine\"") && !text.contains("secret-service") && !text.contains("acme"), "{after}: {text}");
    }
    let document = json!({ "base_dir": "/", "document": { "services": { "acme.secret-service": waits(&json!({}))["service"] } } }).to_string();
    assert_eq!(ask(port, Some(&beta), "POST", "/api/v1/apply?workspace=beta", document.as_bytes()).expect("it answers").status, 422);
    for path in ["/api/v1/host", "/api/v1/health", "/api/v1/graph", "/api/v1/stats", "/api/v1/containers", "/api/v1/images", "/api/v1/plugins"] {
        let answer = ask(port, Some(&beta), "GET", &format!("{path}?workspace=beta"), b"").expect("it answers");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let state = yard.state().display().to_string();
        assert!(answer.status == 200 && !text.contains("secret-service") && !text.contains("acme") && !text.contains(&state), "{path}: {text}");
    }
}

#[test]
fn the_command_line_names_a_workspace_by_option_or_environment() {
    let (yard, port) = listening("");
    yard.run("workspace create acme --plugin process --environment staging --registry-url https://registry.example").ok();
    assert_eq!(put(&yard, "acme", "web", &json!({})).status, 200);
    until("it runs", || status_in(&yard, "acme", "web") == "running");
    assert!(yard.run("explain web --workspace acme").ok().contains("web"));
    assert!(Ran::of(yard.command("status web").env("HOSTLER_WORKSPACE", "acme")).ok().contains("running"));
    assert!(yard.run("explain web").fails(1).contains("no service `web`"));
    let shown = yard.run("workspace show acme").ok();
    assert!(shown.contains("staging") && shown.contains("https://registry.example") && shown.contains("public addresses only"), "{shown}");
    let admin = token(&yard, "theirs", "admin --workspace acme");
    let mut set = yard.command("workspace set acme --environment production");
    let theirs =
        |command: &mut std::process::Command| Ran::of(command.env("HOSTLER_HOST", format!("http://127.0.0.1:{port}")).env("HOSTLER_TOKEN", &admin));
    assert!(theirs(&mut set).ok().contains("production"));
    // What a workspace may take of the host is not its own to say.
    for more in ["--plugin docker", "--quota services=100", "--allow 10.0.0.0/8", "--team none"] {
        assert!(theirs(&mut yard.command(&format!("workspace set acme {more}"))).fails(5).contains("on the host"), "{more}");
    }
    assert!(theirs(&mut yard.command("workspace create another")).fails(5).contains("on the host"));
    assert!(theirs(&mut yard.command("workspace ls")).ok().contains("acme"));
    assert!(yard.run("workspace create acme").fails(1).contains("already"));
    assert!(yard.run("workspace create Bad_Name").fails(2).contains("workspace name"));
}

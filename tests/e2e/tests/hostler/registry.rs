//! Who is where, and who says himself that he is alive.

use std::time::{Duration, Instant};

use hostler_api::Timestamp;
use hostler_e2e::{Signal, Value, Yard, ask, free_port, json, request, signal, until, until_some};

use crate::{listening, sleeper, token};

/// Sends one heartbeat.
fn beats(yard: &Yard, name: &str, body: &Value) -> (u16, Value) {
    let path = format!("/api/v1/services/{name}/heartbeat");
    let answer = request(&yard.socket(), "POST", &path, body.to_string().as_bytes()).expect("the host answers");
    (answer.status, answer.json())
}

fn found(yard: &Yard, query: &str) -> Vec<String> {
    let registry = yard.get(&format!("/registry{query}")).expect("the host answers");
    let services = registry["services"].as_array().expect("a list").clone();
    services.iter().filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect()
}

fn entry(yard: &Yard, name: &str) -> Value {
    let registry = yard.get("/registry").expect("the host answers");
    let services = registry["services"].as_array().expect("a list").clone();
    services.into_iter().find(|entry| entry["name"] == name).expect("it is there")
}

fn pulse(yard: &Yard, name: &str) -> String {
    entry(yard, name)["heartbeat"]["pulse"].as_str().unwrap_or("none").to_owned()
}

/// How often this happened to a service.
fn times(yard: &Yard, name: &str, kind: &str) -> usize {
    yard.events().iter().filter(|event| event["service"] == name && event["kind"] == kind).count()
}

/// When each life of a service has begun.
fn births(yard: &Yard, name: &str) -> Vec<Timestamp> {
    let events = yard.events();
    let started = events.iter().filter(|event| event["service"] == name && event["kind"] == "started");
    started.filter_map(|event| event["at"].as_str()?.parse().ok()).collect()
}

/// For so long this holds, at every look.
#[track_caller]
fn stays(ms: u64, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    until("its time is over", || {
        assert!(holds(), "it does not stay so");
        begun.elapsed() >= Duration::from_millis(ms)
    });
}

#[test]
fn a_heartbeat_that_stays_away_is_missed_once_and_told_when_it_is_back() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    assert_eq!(pulse(&yard, "db"), "none");
    let (status, told) = beats(&yard, "db", &json!({ "ttl_ms": 1_000, "metadata": { "region": "eu" } }));
    assert_eq!((status, &told["pulse"], &told["ttl_ms"], &told["received"]), (200, &json!("alive"), &json!(1_000), &json!(1)));
    // What is not said anew stays, and whoever is heard is not missed.
    stays(3_500, || beats(&yard, "db", &json!({})).1["metadata"]["region"] == "eu");
    assert_eq!(times(&yard, "db", "heartbeat-missed"), 0);
    until("it is missed", || pulse(&yard, "db") == "missed");
    until("it is told", || times(&yard, "db", "heartbeat-missed") == 1);
    let gone = entry(&yard, "db");
    assert_eq!((&gone["healthy"], &gone["heartbeat"]["missed"], &gone["status"]), (&json!(false), &json!(1), &json!("running")));
    assert_eq!(found(&yard, "?healthy=true"), ["web"]);
    assert_eq!(found(&yard, "?pulse=missed"), ["db"]);
    beats(&yard, "db", &json!({}));
    assert_eq!(pulse(&yard, "db"), "alive");
    until("it is told, too", || beats(&yard, "db", &json!({})).0 == 200 && times(&yard, "db", "heartbeat-back") == 1);
    assert_eq!(found(&yard, "?healthy=true"), ["db", "web"]);

    // Whoever is stopped owes nothing. Until it is, it has time.
    beats(&yard, "db", &json!({ "ttl_ms": 60_000 }));
    yard.run("stop db").ok();
    yard.until_status("db", "stopped");
    beats(&yard, "db", &json!({ "ttl_ms": 1_000 }));
    stays(4_500, || pulse(&yard, "db") == "unknown" && times(&yard, "db", "heartbeat-missed") == 1);
    yard.run("start db").ok();
    until("it has had its time after the start", || pulse(&yard, "db") == "missed" && times(&yard, "db", "heartbeat-missed") == 2);
    let statistics = yard.get("/registry/statistics").expect("the host answers");
    assert_eq!(statistics["heartbeats"]["services"], 1);
    assert_eq!((&statistics["heartbeats"]["missed"], &statistics["heartbeats"]["missed_total"]), (&json!(1), &json!(2)));
    assert_eq!((&statistics["services"], &statistics["by_status"]["running"], &statistics["healthy"]), (&json!(2), &json!(2), &json!(1)));
    assert!(statistics["dependency_resolution_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{statistics}");
}

#[test]
fn nobody_is_missed_because_the_host_was_away() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    beats(&yard, "db", &json!({ "ttl_ms": 2_000, "metadata": { "tier": "1" } }));
    beats(&yard, "web", &json!({ "ttl_ms": 100 }));
    until("web is missed, and told so", || times(&yard, "web", "heartbeat-missed") == 1);
    yard.kill_host();
    // Longer than db may be silent.
    stays(6_500, || true);
    yard.serve();
    let known = entry(&yard, "db");
    assert_eq!((&known["heartbeat"]["pulse"], &known["heartbeat"]["metadata"]["tier"]), (&json!("unknown"), &json!("1")));
    assert_eq!(times(&yard, "db", "heartbeat-missed"), 0);
    until("web is still missed", || pulse(&yard, "web") == "missed");
    assert_eq!(times(&yard, "web", "heartbeat-missed"), 1, "told once");
    beats(&yard, "db", &json!({}));
    assert_eq!((pulse(&yard, "db").as_str(), times(&yard, "db", "heartbeat-missed")), ("alive", 0));
    // Then the time counts.
    until("db is missed", || times(&yard, "db", "heartbeat-missed") == 1);
    assert_eq!(entry(&yard, "db")["heartbeat"]["ttl_ms"], 2_000);
}

#[test]
fn nobody_is_missed_because_the_host_slept() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    beats(&yard, "db", &json!({ "ttl_ms": 1_500 }));
    let host = yard.host_pid();
    // It looks every 1.5 s: this is far longer than db may be silent, and than a busy host is late.
    signal(host, Signal::STOP);
    stays(8_000, || true);
    signal(host, Signal::CONT);
    stays(1_000, || pulse(&yard, "db") != "missed" && times(&yard, "db", "heartbeat-missed") == 0);
    until("then its time counts", || times(&yard, "db", "heartbeat-missed") == 1);
}

#[test]
fn whoever_bears_the_name_of_one_who_is_gone_begins_anew() {
    let yard = Yard::new();
    let both = sleeper("db", "") + &sleeper("web", "");
    yard.up(&both);
    beats(&yard, "db", &json!({ "ttl_ms": 60_000, "metadata": { "region": "eu" } }));
    yard.config(&sleeper("web", ""));
    yard.run("apply").ok();
    until("db is gone", || yard.get("/services/db").is_none());
    yard.up(&both);
    assert_eq!(pulse(&yard, "db"), "none");
    yard.kill_host();
    yard.serve();
    assert_eq!(pulse(&yard, "db"), "none", "it is not written down either");
}

#[test]
fn services_are_found_by_what_they_are_and_where_they_listen() {
    let yard = Yard::new();
    let (open, shut) = (free_port(), free_port());
    let listener = std::net::TcpListener::bind(("127.0.0.1", open)).expect("a free port");
    let check = |port: u16| {
        format!("health_check = {{ type = \"tcp\", port = {port}, interval = \"200ms\", failure_threshold = 1, auto_recovery = false }}\n")
    };
    let config = sleeper("db", &format!("category = \"infrastructure\"\nlabels = {{ region = \"eu\" }}\n{}", check(open)))
        + &sleeper("model", &format!("category = \"ai\"\n{}", check(shut)))
        + &sleeper("web", "");
    yard.config(&config);
    yard.run("up --detach --timeout 10s");
    yard.until_service("db", "it is healthy", |service| service["health"] == "healthy");
    yard.until_service("model", "it is unhealthy", |service| service["health"] == "unhealthy");
    assert_eq!(found(&yard, ""), ["db", "model", "web"]);
    assert_eq!(found(&yard, "?category=infrastructure"), ["db"]);
    assert_eq!(found(&yard, "?healthy=true"), ["db", "web"]);
    assert_eq!(found(&yard, "?healthy=false"), ["model"]);
    assert_eq!(found(&yard, "?category=ai&healthy=true"), Vec::<String>::new());
    assert_eq!(found(&yard, "?metadata=region%3Deu"), ["db"]);
    beats(&yard, "web", &json!({ "metadata": { "region": "eu", "tier": "2" } }));
    assert_eq!(found(&yard, "?metadata=region%3Deu"), ["db", "web"]);
    assert_eq!(found(&yard, "?metadata=region%3Deu%2Ctier%3D2"), ["web"]);
    let endpoint = json!([{ "replica": 0, "healthy": true, "source": "check", "name": "tcp", "host": "127.0.0.1", "port": open, "protocol": "tcp" }]);
    assert_eq!(entry(&yard, "db")["endpoints"], endpoint);
    for (query, status) in [("?category=cobol", 400), ("?healthy=maybe", 400), ("?metadata=region", 400), ("?colour=red", 400)] {
        let answer = request(&yard.socket(), "GET", &format!("/api/v1/registry{query}"), b"").expect("it answers");
        assert_eq!(answer.status, status, "{query}");
    }

    let shown = yard.run("registry --healthy --category infrastructure").ok();
    assert!(shown.contains(&format!("127.0.0.1:{open}")) && !shown.contains("web"), "{shown}");
    let said = yard.run("heartbeat web --ttl 1s --metadata tier=3").ok();
    assert!(said.contains("the next one within 1s, missed after 3s"), "{said}");
    assert_eq!(found(&yard, "?metadata=tier%3D3"), ["web"]);
    assert!(yard.run("registry --statistics").ok().contains("1 infrastructure"));
    assert_eq!(yard.run("heartbeat nobody").code, 1);
    // The document of the registry speaks from the same.
    let fog = request(&yard.socket(), "GET", "/api/orchestration/metrics", b"").expect("it answers").json();
    assert_eq!(fog["registry_stats"]["heartbeats"]["services"], 1);
    let fog = request(&yard.socket(), "GET", "/api/orchestration/service/web", b"").expect("it answers").json();
    assert!(fog["registry_metadata"]["last_heartbeat"].is_string(), "{fog}");
    drop(listener);
}

#[test]
fn a_check_for_heartbeats_fails_when_they_stay_away_and_a_new_life_has_its_time() {
    let yard = Yard::new();
    let check = "health_check = { type = \"heartbeat\", interval = \"100ms\", failure_threshold = 2, recovery_threshold = 1 }";
    let restart = "restart = { backoff = { initial = \"10ms\", jitter = 0 } }";
    yard.config(&sleeper("db", &format!("{check}\n{restart}")));
    yard.run("up --detach --timeout 1s");
    yard.until_service("db", "it is up", |service| service["pid"].is_u64());
    assert_eq!((yard.status("db").as_str(), &yard.service("db")["health"]), ("starting", &json!("unknown")), "it has sent none");
    until("it is healthy", || beats(&yard, "db", &json!({ "ttl_ms": 1_000 })).0 == 200 && yard.service("db")["health"] == "healthy");
    // Nothing more is sent: it is restarted, and its new life is not judged before its time.
    let begun = until_some("it is restarted twice", || Some(births(&yard, "db")).filter(|births| births.len() >= 3));
    assert!(begun[2].0.saturating_sub(begun[1].0) > 1_200, "{begun:?}");
}

#[test]
fn what_no_service_may_say_of_itself_changes_nothing() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    beats(&yard, "db", &json!({ "metadata": { "a": "1" } }));
    let many: serde_json::Map<String, Value> = (0..33).map(|number| (number.to_string(), json!("x"))).collect();
    for odd in [
        json!({ "ttl_ms": 99 }),
        json!({ "ttl_ms": 86_400_001_u64 }),
        json!({ "ttl_ms": -1 }),
        json!({ "ttl_ms": "60s" }),
        json!({ "metadata": many }),
        json!({ "metadata": { "": "x" } }),
        json!({ "metadata": { "a b": "x" } }),
        json!({ "metadata": { "../x": "x" } }),
        json!({ "metadata": { "a": "\u{1b}[2J" } }),
        json!({ "metadata": { "a": "t".repeat(257) } }),
        json!({ "metadata": { "a": 1 } }),
        json!({ "metadata": [] }),
        json!({ "colour": "red" }),
        json!([]),
    ] {
        let (status, failure) = beats(&yard, "db", &odd);
        assert_eq!((status, &failure["code"]), (400, &json!("invalid")), "{odd}");
    }
    for name in ["nobody", "acme.db", "UP", "%2e%2e"] {
        assert_eq!(beats(&yard, name, &json!({})).0, 404, "{name}");
    }
    let beat = &entry(&yard, "db")["heartbeat"];
    assert_eq!((&beat["received"], &beat["metadata"], &beat["ttl_ms"]), (&json!(1), &json!({ "a": "1" }), &json!(60_000)));
    // What is forgotten is forgotten whole.
    yard.config(&sleeper("other", ""));
    yard.run("apply").ok();
    until("db is gone", || yard.get("/services/db").is_none());
    until("its heartbeats are, too", || yard.get("/registry/statistics").is_some_and(|told| told["heartbeats"]["services"] == 0));
}

#[test]
fn heartbeats_take_an_operator_and_only_refused_ones_stand_in_the_audit_log() {
    let (yard, port) = listening("");
    let (viewer, operator) = (token(&yard, "looks", "viewer"), token(&yard, "works", "operator"));
    let path = "/api/v1/services/db/heartbeat";
    let beat = |token: &str| ask(port, Some(token), "POST", path, b"{}").map(|answer| answer.status);
    assert_eq!((beat(&viewer), beat(&operator)), (Some(403), Some(200)));
    assert_eq!(ask(port, Some(&viewer), "GET", "/api/v1/registry", b"").map(|answer| answer.status), Some(200));
    let audit = yard.get("/audit").expect("it answers");
    let own: Vec<u64> = audit["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["route"] == "/api/v1/services/{name}/heartbeat")
        .filter_map(|entry| entry["status"].as_u64())
        .collect();
    assert_eq!(own, [403]);
}

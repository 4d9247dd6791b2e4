//! Operations: what is put off is done, told, called off, and outlives the host.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hostler_e2e::{Answer, Value, Yard, json, request, request_with, until};

use crate::{listening, script, sleeper, token};

/// Is on its way for ever: its check never passes, and never fails often enough.
pub(crate) fn endless(name: &str) -> String {
    let check = "{ type = \"command\", command = \"false\", interval = \"50ms\", failure_threshold = 1000 }";
    sleeper(name, &format!("health_check = {check}"))
}

/// A host with these services, none of which is started.
pub(crate) fn standing(config: &str) -> Yard {
    let yard = Yard::new();
    yard.config("");
    yard.run("serve --detach").ok();
    yard.config(config);
    yard.run("apply --no-start --no-wait").ok();
    yard
}

#[track_caller]
pub(crate) fn post(yard: &Yard, path: &str, body: &Value) -> Answer {
    request(&yard.socket(), "POST", &format!("/api/v1{path}"), body.to_string().as_bytes()).unwrap_or_else(|| panic!("POST {path}: no answer"))
}

/// Asks for something, and answers the operation that it became.
#[track_caller]
pub(crate) fn put_off(yard: &Yard, path: &str, body: &Value) -> Value {
    let separator = if path.contains('?') { '&' } else { '?' };
    let answer = post(yard, &format!("{path}{separator}async=true"), body);
    assert_eq!(answer.status, 202, "{path}: {}", String::from_utf8_lossy(&answer.body));
    let operation = answer.json();
    let id = operation["id"].as_str().expect("an operation has an id");
    assert_eq!(answer.header("location"), Some(format!("/api/v1/operations/{id}").as_str()));
    operation
}

#[track_caller]
pub(crate) fn told(yard: &Yard, operation: &Value) -> Value {
    let id = operation["id"].as_str().expect("an operation has an id");
    yard.get(&format!("/operations/{id}")).unwrap_or_else(|| panic!("operation {id} is not told"))
}

/// As it is when it is over.
#[track_caller]
pub(crate) fn over(yard: &Yard, operation: &Value, status: &str) -> Value {
    let id = operation["id"].as_str().expect("an operation has an id");
    let over = yard.get(&format!("/operations/{id}?wait_ms=30000")).unwrap_or_else(|| panic!("operation {id} is not told"));
    assert_eq!(over["status"], status, "{over:#}");
    over
}

#[track_caller]
pub(crate) fn until_it_is(yard: &Yard, operation: &Value, status: &str) {
    until(&format!("{} is {status}", operation["id"]), || told(yard, operation)["status"] == status);
}

/// The words that events of this operation say of it, in order.
pub(crate) fn states(yard: &Yard, operation: &Value) -> Vec<String> {
    let of_it = |event: &&Value| event["kind"] == "operation" && event["data"]["operation"] == operation["id"];
    let state = |event: &Value| event["data"]["state"].as_str().unwrap_or_default().to_owned();
    yard.events().iter().filter(of_it).map(state).collect()
}

#[test]
fn what_is_put_off_is_done_and_told() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    let pid = yard.pid("db");
    let answer = request_with(&yard.socket(), "POST", "/api/v1/services/stop", &[("prefer", "wait=5, respond-async")], br#"{"services": ["db"]}"#);
    let answer = answer.expect("it answers");
    assert_eq!((answer.status, answer.header("preference-applied")), (202, Some("respond-async")));
    let stop = answer.json();
    assert_eq!([&stop["kind"], &stop["queue"], &stop["services"]], [&json!("stop"), &json!("deployment"), &json!(["db"])]);
    let done = over(&yard, &stop, "succeeded");
    assert_eq!(yard.status("db"), "stopped");
    assert!(!hostler_e2e::alive(pid));
    assert_eq!([&done["result"]["settled"], &done["result"]["services"]], [&json!(true), &json!(["db"])]);
    assert_eq!([&done["progress"]["done"], &done["progress"]["of"], &done["attempts"]], [2, 2, 1]);
    assert!(done["duration_ms"].is_u64() && done["ended_at"].is_string() && done["deadline_at"].is_null(), "{done:#}");
    assert_eq!(states(&yard, &stop), ["queued", "started", "succeeded"]);
    let generation = done["result"]["generation"].as_u64();

    for (path, body, kind) in [
        ("/services/start", json!({ "services": ["db"] }), "start"),
        ("/services/restart", json!({ "services": ["db"] }), "restart"),
        (
            "/apply",
            json!({ "document": { "version": "1.0", "services": { "db": { "backend": { "type": "process", "binary": "sleep", "args": ["1000"] } } } }, "base_dir": "/" }),
            "apply",
        ),
        ("/services/scale", json!({ "services": { "db": 1 } }), "scale"),
        ("/health/check-now", json!({}), "check"),
        ("/down", json!({}), "down"),
    ] {
        let operation = put_off(&yard, path, &body);
        assert_eq!(operation["kind"], kind);
        let done = over(&yard, &operation, "succeeded");
        assert!(done["result"].is_object(), "{kind} answers what it does at once, too: {done:#}");
    }
    assert!(generation.is_some());
    assert_eq!(yard.get("/services").expect("it answers")["services"], json!([]));
    // What is not put off is answered as ever.
    assert_eq!(post(&yard, "/down", &json!({})).status, 200);
    assert_eq!(post(&yard, "/down?async=false", &json!({})).status, 200);
}

#[test]
fn a_list_is_told_page_by_page_and_by_what_is_asked() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    let mut ids = Vec::new();
    for name in ["db", "web", "db"] {
        let operation = put_off(&yard, "/services/restart", &json!({ "services": [name] }));
        over(&yard, &operation, "succeeded");
        ids.push(operation["id"].clone());
    }
    let list = |query: &str| {
        let list = yard.get(&format!("/operations{query}")).expect("it answers");
        let found: Vec<Value> = list["operations"].as_array().expect("a list").iter().map(|operation| operation["id"].clone()).collect();
        (found, list["next"].clone())
    };
    assert_eq!(list(""), (ids.clone(), Value::Null));
    assert_eq!(list("?service=db"), (vec![ids[0].clone(), ids[2].clone()], Value::Null));
    assert_eq!(list("?status=failed"), (vec![], Value::Null));
    assert_eq!(list("?limit=2"), (ids[..2].to_vec(), ids[1].clone()));
    assert_eq!(list(&format!("?after={}", ids[1].as_str().expect("an id"))), (ids[2..].to_vec(), Value::Null));
    let text = yard.run("operations").ok();
    assert!(ids.iter().all(|id| text.contains(id.as_str().expect("an id"))) && text.contains("succeeded"), "{text}");
    let shown = yard.run(&format!("operations show {}", ids[0].as_str().expect("an id"))).ok();
    assert!(shown.contains("restart of db") && shown.contains("2 of 2 steps"), "{shown}");
    assert!(yard.run("operations show nobody").fails(1).contains("there is no operation `nobody`"));
}

#[test]
fn what_makes_no_sense_is_refused_before_it_is_queued() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    for (path, body, status) in [
        ("/services/stop", json!({ "services": ["nobody"] }), 404),
        ("/services/stop", json!({ "services": ["../x"] }), 400),
        ("/services/stop", json!({ "frobnicate": 1 }), 400),
        ("/services/scale", json!({}), 400),
        ("/services/scale", json!({ "services": {} }), 400),
        ("/apply", json!({ "document": { "servces": {} }, "base_dir": "/" }), 422),
        ("/services/nobody/deploy", json!({}), 404),
        ("/services/new/deploy", json!({ "service": { "backend": { "type": "process", "binry": "x" } } }), 422),
        ("/services/new/deploy", json!({ "service": {}, "base_dir": "relative" }), 400),
        ("/services/db/deploy", json!({ "service": { "backend": { "type": "process", "binary": "x" } } }), 409),
    ] {
        let answer = post(&yard, &format!("{path}?async=true"), &body);
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    for query in ["priority=101", "deadline_ms=0", "max_attempts=0", "max_attempts=x", "unique_key=", "async=perhaps"] {
        assert_eq!(post(&yard, &format!("/services/db/deploy?{query}"), &json!({})).status, 400, "{query}");
    }
    assert_eq!(yard.get("/operations").expect("it answers")["operations"], json!([]));
}

#[test]
fn five_are_under_way_and_the_next_is_the_one_with_the_highest_priority() {
    let names: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    let yard = standing(&names.iter().map(|name| endless(name)).collect::<String>());
    let deploy = |number: usize, priority: i32| put_off(&yard, &format!("/services/s{number}/deploy?priority={priority}"), &json!({}));
    let first: Vec<Value> = (0..5).map(|number| deploy(number, 0)).collect();
    first.iter().for_each(|operation| until_it_is(&yard, operation, "running"));
    let (low, middle, high) = (deploy(5, -3), deploy(6, 0), deploy(7, 7));
    // A queue of its own: it waits for none of them.
    over(&yard, &put_off(&yard, "/health/check-now", &json!({ "services": ["s6"] })), "succeeded");
    for operation in [&low, &middle, &high] {
        assert_eq!(told(&yard, operation)["status"], "queued");
    }
    assert_eq!(["s5", "s6", "s7"].map(|name| yard.status(name)), ["stopped"; 3], "nothing of what waits is done");
    for (place, next) in [&high, &middle, &low].into_iter().enumerate() {
        let id = first[place]["id"].as_str().expect("an id");
        yard.run(&format!("operations cancel {id}")).ok();
        over(&yard, &first[place], "cancelled");
        until_it_is(&yard, next, "running");
    }
}

#[test]
fn what_is_called_off_stops_where_it_is() {
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let yard = standing(&names.iter().map(|name| endless(name)).collect::<String>());
    let all: Vec<Value> = names.iter().map(|name| put_off(&yard, &format!("/services/{name}/deploy"), &json!({}))).collect();
    until_it_is(&yard, &all[4], "running");
    let cancel = |operation: &Value| post(&yard, &format!("/operations/{}/cancel", operation["id"].as_str().expect("an id")), &json!({}));
    let cancelled = cancel(&all[5]).json();
    assert_eq!(cancelled["status"], "cancelled", "what waits is over at once");
    assert!(cancelled["progress"]["message"].as_str().is_some_and(|text| text.ends_with("nothing was changed")), "{cancelled}");
    assert_eq!(yard.status("s5"), "stopped");
    yard.until_status("s0", "starting");
    assert_eq!(cancel(&all[0]).status, 200);
    let over = over(&yard, &all[0], "cancelled");
    assert!(over["progress"]["message"].as_str().is_some_and(|text| text.contains("what it has made wanted stays so")), "{over}");
    assert_eq!([yard.status("s0"), yard.status("s5")], ["starting", "stopped"]);
    assert_eq!(cancel(&all[0]).json()["status"], "cancelled", "a second time changes nothing");
    assert_eq!(states(&yard, &all[0]), ["queued", "started", "cancelled"]);
    let done = put_off(&yard, "/services/stop", &json!({ "services": ["s0"] }));
    crate::operations::over(&yard, &done, "succeeded");
    assert_eq!(cancel(&done).status, 409);
    assert_eq!(cancel(&json!({ "id": "nobody" })).status, 404);
}

#[test]
fn what_is_out_of_time_is_given_up_also_while_it_waits() {
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let yard = standing(&names.iter().map(|name| endless(name)).collect::<String>());
    for name in &names[..5] {
        until_it_is(&yard, &put_off(&yard, &format!("/services/{name}/deploy"), &json!({})), "running");
    }
    let waits = put_off(&yard, "/services/s5/deploy?deadline_ms=300", &json!({}));
    let late = over(&yard, &waits, "failed");
    assert_eq!([&late["problem"]["code"], &late["attempts"]], [&json!("timeout"), &json!(0)]);
    assert_eq!(late["problem"]["hint"], "nothing was changed");
    assert_eq!(yard.status("s5"), "stopped");
    yard.run(&format!("operations cancel {}", told_first(&yard)["id"].as_str().expect("an id"))).ok();
    let begun = put_off(&yard, "/services/s5/deploy?deadline_ms=15000", &json!({}));
    let late = over(&yard, &begun, "failed");
    assert_eq!([&late["problem"]["code"], &late["attempts"]], [&json!("timeout"), &json!(1)]);
    assert!(late["problem"]["message"].as_str().is_some_and(|text| text.contains("service `s5` is starting")), "{late}");
    assert_eq!(yard.status("s5"), "starting", "what it has made wanted stays so");
}

fn told_first(yard: &Yard) -> Value {
    yard.get("/operations").expect("it answers")["operations"][0].clone()
}

#[test]
fn what_fails_is_tried_again_and_rests_longer_each_time() {
    let yard = Yard::new();
    yard.config("");
    yard.run("serve --detach").ok();
    let fails = script(&yard, "bad", "echo start >> bad.starts; exit 3", "kind = \"oneshot\"\nrestart = \"never\"");
    let text = "echo start >> late.starts; [ $(wc -l < late.starts) -ge 3 ]";
    let late = script(&yard, "late", text, "kind = \"oneshot\"\nrestart = \"never\"");
    yard.config(&(fails + &late));
    yard.run("apply --no-start --no-wait").ok();
    let begun = Instant::now();
    let bad = put_off(&yard, "/services/bad/deploy?max_attempts=3&backoff_ms=200", &json!({}));
    let failed = over(&yard, &bad, "failed");
    assert!(begun.elapsed().as_millis() >= 600, "it rests 200 ms, and then 400");
    assert_eq!([&failed["attempts"], &failed["problem"]["code"]], [&json!(3), &json!("failed")]);
    assert!(failed["problem"]["message"].as_str().is_some_and(|text| text.contains("exited with code 3")), "{failed}");
    assert_eq!(yard.read("bad.starts").lines().count(), 3);
    assert_eq!(states(&yard, &bad), ["queued", "started", "failed-attempt", "started", "failed-attempt", "started", "failed"]);
    let late = put_off(&yard, "/services/late/deploy?max_attempts=5&backoff_ms=50", &json!({}));
    assert_eq!(over(&yard, &late, "succeeded")["attempts"], 3);
    let once = put_off(&yard, "/services/bad/deploy?max_attempts=1", &json!({}));
    assert_eq!(over(&yard, &once, "failed")["attempts"], 1);
    assert_eq!(yard.read("bad.starts").lines().count(), 4);
}

#[test]
fn a_key_belongs_to_one_unfinished_operation() {
    let yard = standing(&(endless("slow") + &sleeper("db", "")));
    let first = put_off(&yard, "/services/slow/deploy", &json!({}));
    assert_eq!(put_off(&yard, "/services/slow/deploy", &json!({}))["id"], first["id"], "the same is the same operation");
    let refused = post(&yard, "/services/slow/deploy", &json!({ "restart": true }));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("conflict")));
    assert!(refused.json()["message"].as_str().is_some_and(|text| text.contains(first["id"].as_str().expect("an id"))));
    let keyed = put_off(&yard, "/services/db/deploy?unique_key=nightly", &json!({}));
    over(&yard, &keyed, "succeeded");
    let next = put_off(&yard, "/services/db/deploy?unique_key=nightly", &json!({}));
    assert_ne!(next["id"], keyed["id"], "once it is over, the key is free");
    over(&yard, &next, "succeeded");
    yard.run(&format!("operations cancel {}", first["id"].as_str().expect("an id"))).ok();
    over(&yard, &first, "cancelled");
    assert_ne!(put_off(&yard, "/services/slow/deploy", &json!({ "restart": true }))["id"], first["id"]);
}

#[test]
fn what_was_asked_for_is_done_whole_although_nobody_waits_for_the_answer() {
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let yard = standing(&(names.iter().map(|name| endless(name)).collect::<String>() + &endless("last")));
    for name in &names {
        let mut stream = UnixStream::connect(yard.socket()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(5))).expect("it is no zero");
        let head = format!("POST /api/v1/services/{name}/deploy HTTP/1.1\r\nhost: hostler\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(head.as_bytes()).expect("it hears");
        // Long enough to be heard, and sometimes to be answered, too.
        stream.read_exact(&mut [0; 1]).ok();
    }
    // One whose caller had gone before it was heard is not done at all, and has no answer.
    let known = || yard.get("/operations").and_then(|list| list["operations"].as_array().map(Vec::len)).unwrap_or_default();
    let audit = || yard.get("/audit?limit=1000").expect("it answers")["entries"].clone();
    let is_told = |entry: &&Value| entry["route"] == "/api/v1/services/{name}/deploy" && entry["status"] == 202;
    let told = || audit().as_array().into_iter().flatten().filter(is_told).count();
    // The host hears one after the other: once this one is answered, it has heard all of those.
    put_off(&yard, "/services/last/deploy", &json!({}));
    // One that is heard late is told late: it is over when nothing more has come for a while.
    let mut last = (0, Instant::now());
    until("each that is known is written down as what became of it", || {
        let now = known();
        if now != last.0 {
            last = (now, Instant::now());
        }
        now > 0 && now == told() && last.1.elapsed() > Duration::from_secs(2)
    });
    yard.kill_host();
    yard.serve();
    until("the store has no other", || known() == told());
}

#[test]
fn whoever_is_overtaken_is_told() {
    let yard = standing(&endless("slow"));
    let deploy = put_off(&yard, "/services/slow/deploy", &json!({}));
    yard.until_status("slow", "starting");
    until("it waits for it", || told(&yard, &deploy)["progress"]["message"].as_str().is_some_and(|text| text.contains("`slow` is starting")));
    yard.run("stop slow").ok();
    let failed = over(&yard, &deploy, "failed");
    assert_eq!(failed["problem"]["message"], "service `slow` was stopped by somebody meanwhile");
    assert_eq!(failed["attempts"], 1, "that is nothing to try again");
}

#[test]
fn what_a_host_dies_with_goes_on_once() {
    let yard = standing(&sleeper("db", ""));
    let gate = script(&yard, "gate", "echo start >> gate.starts; exec sleep 1000", "");
    let check = script(&yard, "check", "[ -f go ]", "");
    drop(check);
    let healthy = "health_check = { type = \"command\", command = \"./check.sh\", interval = \"50ms\", failure_threshold = 1000 }\n";
    yard.config(&(sleeper("db", "") + &gate + healthy + &endless("a") + &endless("b") + &endless("c") + &endless("d")));
    yard.run("apply --no-start --no-wait").ok();
    let first = put_off(&yard, "/services/gate/deploy", &json!({}));
    let others: Vec<Value> = ["a", "b", "c", "d"].iter().map(|name| put_off(&yard, &format!("/services/{name}/deploy"), &json!({}))).collect();
    let waits = put_off(&yard, "/services/db/deploy", &json!({}));
    until("it is started", || yard.read("gate.starts") == "start\n");
    until("all of them are under way", || others.iter().all(|operation| told(&yard, operation)["status"] == "running"));
    assert_eq!(told(&yard, &waits)["status"], "queued");
    let pid = yard.pid("gate");
    for _ in 0..3 {
        yard.kill_host();
        yard.serve();
        until("it is under way again", || told(&yard, &first)["status"] == "running");
    }
    assert_eq!(told(&yard, &waits)["status"], "queued");
    yard.write("go", "");
    let done = over(&yard, &first, "succeeded");
    assert_eq!((yard.read("gate.starts").as_str(), yard.pid("gate")), ("start\n", pid));
    assert_eq!(done["attempts"], 1, "the death of a host is no attempt");
    assert_eq!(states(&yard, &first), ["queued", "started", "succeeded"]);
    let kinds: Vec<String> = yard.story("gate").into_iter().filter(|line| line.starts_with("deployment-")).collect();
    assert!(kinds.len() == 2 && kinds[0].starts_with("deployment-started") && kinds[1].starts_with("deployment-completed"), "{kinds:?}");
    over(&yard, &waits, "succeeded");
}

#[test]
fn a_restart_that_a_host_dies_with_is_done_once() {
    let yard = Yard::new();
    // The host is to die within its grace.
    yard.up(&script(&yard, "again", "trap '' TERM; echo start >> again.starts; while :; do sleep 0.05; done", "stop = { grace = \"8s\" }"));
    until("it has begun", || yard.read("again.starts") == "start\n");
    let restart = put_off(&yard, "/services/restart", &json!({ "services": ["again"] }));
    yard.until_status("again", "stopping");
    yard.kill_host();
    yard.serve();
    let done = over(&yard, &restart, "succeeded");
    assert_eq!(done["result"]["services"], json!(["again"]));
    until("it has begun again", || yard.read("again.starts") == "start\nstart\n");
    assert_eq!(yard.service("again")["restart_count"], 1);
}

#[test]
fn whoever_may_not_ask_for_it_may_not_call_it_off() {
    let (yard, port) = listening("");
    let (viewer, operator) = (token(&yard, "v", "viewer"), token(&yard, "o", "operator"));
    let ask = |token: &str, method: &str, path: &str| {
        hostler_e2e::ask(port, Some(token), method, &format!("/api/v1{path}"), b"{}").expect("it answers").status
    };
    assert_eq!([ask(&viewer, "POST", "/services/db/deploy"), ask(&operator, "POST", "/services/db/deploy")], [403, 403]);
    yard.config(&(format!("[settings]\nlisten = {port}\n") + &sleeper("db", "") + &endless("slow")));
    yard.run("apply --no-start --no-wait").ok();
    let deploy = put_off(&yard, "/services/slow/deploy", &json!({}));
    let path = format!("/operations/{}", deploy["id"].as_str().expect("an id"));
    assert_eq!([ask(&viewer, "GET", &path), ask(&viewer, "GET", "/operations")], [200, 200]);
    let cancel = format!("{path}/cancel");
    assert_eq!([ask(&viewer, "POST", &cancel), ask(&operator, "POST", &cancel)], [403, 403]);
    assert_eq!(ask(&token(&yard, "a", "admin"), "POST", &cancel), 200);
    assert_eq!(ask(&operator, "POST", "/services/stop?async=true"), 202);
}

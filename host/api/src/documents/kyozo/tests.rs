use hostler_core::Problem;
use serde_json::{Value, json};

use super::*;
use crate::failure::Failure;
use crate::wire::EventRecord;

fn asked(more: Value) -> Asked {
    let mut body =
        json!({ "name": "API", "folder_path": "/srv/api", "service_type": "nodejs", "deployment_config": { "command": "node server.js" } });
    for (key, value) in more.as_object().expect("a table") {
        body[key] = value.clone();
    }
    Asked::read(body.to_string().as_bytes()).expect("it is well written")
}

fn places(problems: Vec<Problem>) -> Vec<String> {
    problems.into_iter().map(|problem| problem.at).collect()
}

#[test]
fn a_body_is_read_in_both_forms() {
    let attributes = json!({ "name": "API", "folder_path": "/srv/api", "service_type": "rust" });
    let plain = Asked::read(attributes.to_string().as_bytes()).expect("plain");
    let formal = json!({ "data": { "type": "service_instances", "attributes": attributes } });
    assert_eq!(Asked::read(formal.to_string().as_bytes()), Ok(plain.clone()));
    assert_eq!(plain.asked["environment_variables"], json!({}));
    assert_eq!(replica_count(br#"{"replica_count": 3}"#), Ok(3));
    assert_eq!(replica_count(br#"{"data": {"attributes": {"replica_count": "3"}}}"#), Ok(3));
}

#[test]
fn every_mistake_stands_at_its_attribute() {
    let body =
        json!({ "data": { "attributes": { "name": " ", "service_type": "cobol", "environment_variables": [], "colour": 1, "status": "running" } } });
    let found = places(Patch::read(body.to_string().as_bytes()).expect_err("four mistakes"));
    let at = |key: &str| format!("/data/attributes/{key}");
    assert_eq!(found, [at("colour"), at("environment_variables"), at("name"), at("service_type")]);
    assert_eq!(places(Asked::read(b"{}").expect_err("nothing is said")), [at("name"), at("folder_path"), at("service_type")]);
    assert_eq!(places(Asked::read(b"[]").expect_err("a list")), [""]);
    assert_eq!(places(Asked::read(b"{").expect_err("no JSON")), [""]);
    assert_eq!(places(Patch::read(br#"{"data": {"type": "files"}}"#).expect_err("another type")), ["/data/type"]);
    assert_eq!(places(replica_count(br#"{"replica_count": -1}"#).expect_err("a count")), [at("replica_count")]);
}

#[test]
fn a_command_runs_in_its_folder_and_no_shell_reads_it() {
    let service = definition(&asked(json!({ "deployment_config": { "command": "./run 'a b' $(id) \"\"", "args": [8080] } }))).expect("a service");
    let backend = json!({ "type": "process", "binary": "/srv/api/./run", "args": ["a b", "$(id)", "", 8080], "working_dir": "/srv/api" });
    assert_eq!(service["backend"], backend);
    assert_eq!(service["resources"], json!({ "memory": "512Mi", "cpu": "0.5" }), "a default amount of storage is held by nobody");
    let of = |more: Value| places(definition(&asked(more)).expect_err("it cannot be"));
    assert_eq!(of(json!({ "deployment_config": { "command": "'open" } })), ["/data/attributes/deployment_config/command"]);
    assert_eq!(of(json!({ "deployment_config": {} })), ["/data/attributes/deployment_config/command"]);
    assert_eq!(of(json!({ "folder_path": "api" })), ["/data/attributes/folder_path"]);
    assert_eq!(of(json!({ "service_type": "containerized" })), ["/data/attributes/deployment_config/image"]);
    assert_eq!(of(json!({ "service_type": "compose_stack" })), ["/data/attributes/service_type"]);
    assert_eq!(of(json!({ "scaling_config": { "min_replicas": 3, "max_replicas": 2 } })), ["/data/attributes/scaling_config"]);
}

#[test]
fn an_image_is_a_container_with_its_ports_and_its_check() {
    let service = definition(&asked(json!({
        "service_type": "proxy",
        "deployment_config": { "image": "nginx:alpine" },
        "port_mappings": { "80/tcp": 8080 },
        "health_check_config": { "path": "health", "interval": 15_000, "retries": 2 },
        "scaling_config": { "max_replicas": 4, "target_replicas": 2 },
        "resource_limits": { "storage": "2Gi" },
    })))
    .expect("a service");
    assert_eq!(service["backend"], json!({ "type": "docker", "image": "nginx:alpine", "ports": { "80/tcp": 8080 } }));
    let check = json!({ "type": "http", "url": "http://127.0.0.1:8080/health", "interval": "15000ms", "timeout": "10s", "retries": 2 });
    assert_eq!(service["health_check"], check);
    assert_eq!((&service["replicas"], &service["resources"]["storage"]), (&json!({ "min": 0, "max": 4, "count": 2 }), &json!("2Gi")));
}

#[test]
fn limits_that_nobody_said_are_not_said_by_whoever_sends_them_back() {
    let image = |more: Value| {
        let mut all = json!({ "service_type": "containerized", "deployment_config": { "image": "nginx:alpine" } });
        all["resource_limits"] = more;
        asked(all)
    };
    let patch = |kept: &Asked, limits: Value| {
        let body = json!({ "resource_limits": limits }).to_string();
        let patched = kept.patched(Patch::read(body.as_bytes()).expect("it is well written").asked);
        definition(&patched).expect("a service")["resources"].clone()
    };
    let bare = image(json!({}));
    assert_eq!(patch(&bare, Value::Object(bare.limits())), json!({ "memory": "512Mi", "cpu": "0.5" }));
    assert_eq!(patch(&bare, json!({ "memory": "1Gi", "cpu": "0.5", "storage": "1Gi" })), json!({ "memory": "1Gi", "cpu": "0.5" }));
    assert_eq!(patch(&bare, json!({ "storage": "2Gi" })), json!({ "memory": "512Mi", "cpu": "0.5", "storage": "2Gi" }));
    let said = image(json!({ "storage": "1Gi" }));
    assert_eq!(patch(&said, Value::Object(said.limits()))["storage"], "1Gi", "what was said stays so");
}

#[test]
fn what_was_hidden_is_kept_when_it_is_sent_back() {
    let kept = asked(json!({ "deployment_config": { "command": ["a", "hunter2"], "token": "hunter2", "size": 1 } }));
    let shown = asked(json!({ "deployment_config": { "command": ["a", "[redacted]"], "token": "[redacted]", "size": 1 } }));
    let sends = |config: Value| {
        let body = json!({ "deployment_config": config, "name": "B" }).to_string();
        let sent = Patch::read(body.as_bytes()).expect("it is well written").asked;
        sent.revealed(&kept, &shown, "[redacted]").map(|asked| asked.asked["deployment_config"].clone()).map_err(places)
    };
    let config = kept.asked["deployment_config"].clone();
    assert_eq!(sends(shown.asked["deployment_config"].clone()), Ok(config));
    let other = json!({ "command": ["b", "[redacted]"], "token": "[redacted]", "size": 2 });
    assert_eq!(sends(other), Ok(json!({ "command": ["b", "hunter2"], "token": "hunter2", "size": 2 })));
    assert_eq!(sends(json!({ "token": "new" })), Ok(json!({ "token": "new" })));
    let at = |rest: &str| format!("/data/attributes/deployment_config/{rest}");
    assert_eq!(sends(json!({ "command": ["[redacted]", "a"] })), Err(vec![at("command/0")]));
    assert_eq!(sends(json!({ "other": "x [redacted]" })), Err(vec![at("other")]));
}

#[test]
fn links_to_other_parts_of_a_list_keep_what_was_asked_for() {
    let pairs = [("filter[name]", "a b&c"), ("page[limit]", "1"), ("workspace", "acme"), ("colour", "x")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let told = collection(&[], Page { offset: 1, limit: 1, total: 3 }, &pairs);
    let at = |offset: u32| format!("/api/v1/service_instances?page[offset]={offset}&page[limit]=1&filter[name]=a%20b%26c&workspace=acme");
    assert_eq!(told["links"], json!({ "self": at(1), "first": at(0), "prev": at(0), "next": at(2) }));
}

#[test]
fn a_mistake_of_a_service_stands_at_the_attribute_it_came_from() {
    let cases = [
        ("/services/api/env/A=B", "/data/attributes/environment_variables/A=B"),
        ("/services/api/backend/ports/80~1tcp", "/data/attributes/port_mappings/80~1tcp"),
        ("/services/api/backend/portsx", "/data/attributes/deployment_config/portsx"),
        ("/services/api/backend/args/3", "/data/attributes/deployment_config/command"),
        ("/services/api/backend/binary", "/data/attributes/deployment_config/command"),
        ("/services/api/health_check/url", "/data/attributes/health_check_config/url"),
        ("/services/api/resources/cpu", "/data/attributes/resource_limits/cpu"),
        ("/services/api", "/data/attributes"),
        ("", "/data/attributes"),
    ];
    for (at, attribute) in cases {
        assert_eq!(pointer(at), attribute, "{at}");
    }
}

#[test]
fn an_event_takes_as_long_as_since_its_beginning() {
    let event = |seq: u64, at: u64, kind: &str, run: Option<u64>, message: &str| EventRecord {
        version: crate::wire::Shape,
        seq,
        at: Timestamp(at),
        kind: kind.to_owned(),
        service: Some("api".to_owned()),
        workspace: None,
        replica: run.map(|_| 0),
        run,
        message: message.to_owned(),
        data: json!({ "duration_ms": 9 }),
    };
    let events = [
        event(1, 1_000, "starting", Some(7), "a start was begun"),
        event(2, 1_250, "started", Some(7), "is up"),
        event(3, 1_300, "health-changed", Some(7), "degraded -> unhealthy: no answer"),
        event(4, 1_400, "stopping", Some(7), "is stopped"),
        event(5, 1_900, "stopped", Some(7), "is gone"),
        event(6, 2_000, "deployment-failed", None, "it did not come up"),
        event(7, 2_100, "updated", Some(8), "it was changed"),
    ];
    let told = deployment_events(&events);
    let lines: Vec<_> = told.iter().map(|event| (event.kind.as_str(), event.duration_ms, event.error.is_some())).collect();
    let expected = [
        ("service_started", Some(250), false),
        ("health_check_failed", Some(9), true),
        ("service_stopped", Some(500), false),
        ("deployment_failed", Some(9), true),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_failure_is_an_error_for_each_mistake() {
    let mistakes = vec![Problem::new("/data/attributes/name", "name is empty"), Problem::new("", "it is odd").hint("write another")];
    let told = errors(&faults(&Failure::config(mistakes), 422));
    assert_eq!(told["errors"][0]["source"]["pointer"], "/data/attributes/name");
    assert_eq!((&told["errors"][1]["meta"]["hint"], &told["errors"][1]["status"]), (&json!("write another"), &json!("422")));
    let denied = faults(&Failure::new(crate::Code::Denied, "no").at("?limit"), 403);
    assert_eq!((denied.len(), denied[0].title.as_str(), denied[0].source.clone()), (1, "Forbidden", Some(json!({ "parameter": "limit" }))));
}

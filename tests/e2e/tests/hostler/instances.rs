//! Service instances that several change at once, that hide something, and that are asked about from elsewhere.

use std::thread;

use hostler_e2e::{Answer, Value, Yard, ask, fixture, json, request, until};

use crate::{listening, sleeper, token};

const INSTANCES: &str = "/api/v1/service_instances";

/// One request over the socket, as whoever runs the host.
#[track_caller]
fn own(yard: &Yard, method: &str, path: &str, body: &Value) -> Answer {
    request(&yard.socket(), method, path, body.to_string().as_bytes()).unwrap_or_else(|| panic!("{method} {path}: no answer"))
}

/// Makes an instance that waits; its attributes are set besides.
#[track_caller]
fn make(yard: &Yard, name: &str, more: &Value) -> Value {
    let mut body = json!({ "name": name, "folder_path": format!("/tmp/{name}"), "service_type": "rust" });
    body["deployment_config"] = json!({ "command": "sleep 1000", "working_dir": "/tmp" });
    body.as_object_mut().expect("it is a table").extend(more.as_object().cloned().unwrap_or_default());
    let made = own(yard, "POST", INSTANCES, &body);
    assert_eq!(made.status, 201, "{}", made.json());
    made.json()["data"].clone()
}

fn place(instance: &Value) -> String {
    format!("{INSTANCES}/{}", instance["id"].as_str().expect("it has an id"))
}

fn attributes(yard: &Yard, instance: &Value) -> Value {
    own(yard, "GET", &place(instance), &Value::Null).json()["data"]["attributes"].clone()
}

#[track_caller]
fn patch(yard: &Yard, instance: &Value, attributes: &Value) -> Value {
    let answer = own(yard, "PATCH", &place(instance), attributes);
    assert_eq!(answer.status, 200, "{attributes}: {}", answer.json());
    answer.json()["data"]["attributes"].clone()
}

#[test]
fn what_several_change_at_once_is_all_changed() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let instance = make(&yard, "api", &json!({}));
    let changes = |round: u32| {
        [
            json!({ "environment_variables": { "ROUND": round.to_string() } }),
            json!({ "resource_limits": { "memory": format!("{}Mi", 100 + round) } }),
            json!({ "scaling_config": { "max_replicas": 10 + round } }),
            json!({ "team_id": format!("team-{round}") }),
            json!({ "topology_detection_id": format!("detection-{round}") }),
            json!({ "name": format!("API {round}") }),
        ]
    };
    for round in 0..5 {
        thread::scope(|scope| {
            for change in changes(round) {
                let (yard, instance) = (&yard, &instance);
                scope.spawn(move || patch(yard, instance, &change));
            }
            // Whoever deploys it meanwhile takes nothing back either.
            let deployed = scope.spawn(|| own(&yard, "POST", &format!("{}/deploy", place(&instance)), &Value::Null).status);
            assert_eq!(deployed.join().expect("it does not break"), 202);
        });
        let now = attributes(&yard, &instance);
        for change in changes(round) {
            let (key, value) = change.as_object().and_then(|change| change.iter().next()).expect("each changes one");
            let is_there = match value.as_object().and_then(|table| table.iter().next()) {
                Some((inner, value)) => now[key][inner] == *value,
                None => now[key] == *value,
            };
            assert!(is_there, "{key} of round {round} was acknowledged: {now:#}");
        }
    }
}

#[test]
fn an_instance_whose_parent_is_gone_has_none_and_is_changed_and_deployed() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let parent = make(&yard, "parent", &json!({}));
    let child = make(&yard, "child", &json!({ "parent_service_id": parent["id"] }));
    assert_eq!(attributes(&yard, &child)["parent_service_id"], parent["id"]);
    assert_eq!(own(&yard, "DELETE", &place(&parent), &Value::Null).status, 204);
    assert_eq!(attributes(&yard, &child)["parent_service_id"], Value::Null);
    assert_eq!(patch(&yard, &child, &json!({ "name": "Child" }))["parent_service_id"], Value::Null);
    assert_eq!(own(&yard, "POST", &format!("{}/deploy", place(&child)), &Value::Null).status, 202);
    let refused = own(&yard, "PATCH", &place(&child), &json!({ "parent_service_id": parent["id"] }));
    assert_eq!((refused.status, &refused.json()["errors"][0]["source"]["pointer"]), (422, &json!("/data/attributes/parent_service_id")));
}

#[test]
fn a_secret_setting_is_shown_to_nobody_and_kept_when_it_is_sent_back() {
    let yard = Yard::new();
    yard.up(&format!("[plugins.always]\nsource = \"{}\"\n{}", fixture("always").display(), sleeper("db", "")));
    let check = |tone: &str, message: &str| json!({ "type": "always", "verdict": "pass", "tone": tone, "message": message });
    let instance = make(&yard, "api", &json!({ "health_check_config": check("canary-7", "well") }));
    assert_eq!(instance["attributes"]["health_check_config"], check("[redacted]", "well"));
    let list = own(&yard, "GET", INSTANCES, &Value::Null);
    assert!(!String::from_utf8_lossy(&list.body).contains("canary"), "{}", list.json());
    // All that was read is sent back, but for one word.
    let mut all = attributes(&yard, &instance);
    all["health_check_config"]["message"] = json!("very well");
    assert_eq!(patch(&yard, &instance, &all)["health_check_config"], check("[redacted]", "very well"));
    let kept = std::fs::read(yard.state().join("store.db-wal")).expect("the store writes it first");
    let has = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("canary-7") && !has("\"tone\":\"[redacted]\"") && !has("\\\"tone\\\":\\\"[redacted]"), "the secret is kept, and not its mark");
    let refused =
        own(&yard, "PATCH", &place(&instance), &json!({ "health_check_config": { "type": "always", "verdict": "pass", "message": "[redacted]" } }));
    assert_eq!((refused.status, &refused.json()["errors"][0]["source"]["pointer"]), (422, &json!("/data/attributes/health_check_config/message")));
}

#[test]
fn the_team_of_an_instance_is_that_of_its_workspace() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    for body in [json!({ "name": "acme", "plugins": ["process"] }), json!({ "name": "free", "plugins": ["process"] })] {
        assert_eq!(own(&yard, "POST", "/api/v1/workspaces", &body).status, 200);
    }
    yard.run("team create ours").ok();
    yard.run("team create theirs").ok();
    yard.run("workspace set acme --team ours").ok();
    let instance = make(&yard, "api", &json!({ "workspace_id": "acme" }));
    assert_eq!(instance["attributes"]["team_id"], "ours");
    let refused = own(&yard, "PATCH", &place(&instance), &json!({ "team_id": "theirs" }));
    assert_eq!((refused.status, &refused.json()["errors"][0]["source"]["pointer"]), (422, &json!("/data/attributes/team_id")));
    let all = instance["attributes"].clone();
    assert_eq!(patch(&yard, &instance, &all)["team_id"], "ours", "what was read can be sent back");
    yard.run("workspace set acme --team theirs").ok();
    assert_eq!(attributes(&yard, &instance)["team_id"], "theirs");
    assert_eq!(make(&yard, "other", &json!({ "workspace_id": "free", "team_id": "t1" }))["attributes"]["team_id"], "t1", "that one has no team");
}

#[test]
fn every_place_that_is_told_is_found_as_it_stands() {
    let (yard, port) = listening("");
    yard.run("workspace create acme --plugin process").ok();
    let tenant = yard.run("token create own --role admin --workspace acme").ok().trim().to_owned();
    let asks = |method: &str, path: &str, body: &Value| ask(port, Some(&tenant), method, path, body.to_string().as_bytes()).expect("it answers");
    let body = |name: &str| json!({ "name": name, "folder_path": format!("/tmp/{name}"), "service_type": "rust", "workspace_id": "acme", "deployment_config": { "command": "sleep 1000", "working_dir": "/tmp" } });
    for name in ["web", "api", "db"] {
        let made = asks("POST", &format!("{INSTANCES}?workspace=acme"), &body(name));
        assert_eq!(made.status, 201, "{}", made.json());
        let own = made.json()["data"]["links"]["self"].as_str().expect("a link").to_owned();
        assert_eq!(made.header("location"), Some(own.as_str()));
        assert_eq!(asks("GET", &own, &Value::Null).json()["data"]["attributes"]["name"], name);
    }
    // Part by part, as the links lead.
    let (mut next, mut names) = (json!(format!("{INSTANCES}?workspace=acme&filter[service_type]=rust&page[limit]=1")), Vec::new());
    while let Some(path) = next.as_str() {
        let part = asks("GET", path, &Value::Null);
        assert_eq!(part.status, 200, "{path}: {}", part.json());
        assert!(path.contains("filter[service_type]=rust"), "{path}");
        names.extend(part.json()["data"].as_array().into_iter().flatten().map(|one| one["attributes"]["name"].clone()));
        next = part.json()["links"]["next"].clone();
    }
    assert_eq!(names, ["web", "api", "db"]);
    let put_off = asks("POST", "/api/v1/services/web/deploy?workspace=acme", &json!({}));
    assert_eq!(put_off.status, 202, "{}", put_off.json());
    let location = put_off.header("location").expect("it is told where").to_owned();
    assert_eq!(asks("GET", &location, &Value::Null).json()["id"], put_off.json()["id"]);
}

#[test]
fn whoever_asks_for_what_is_none_of_his_is_written_down_with_whose_it_is() {
    let (yard, port) = listening("");
    for name in ["acme", "beta"] {
        yard.run(&format!("workspace create {name} --plugin process")).ok();
    }
    let instance = make(&yard, "api", &json!({ "workspace_id": "acme" }));
    let deployed = own(&yard, "POST", &format!("{}/deploy?workspace=beta", place(&instance)), &Value::Null);
    assert_eq!(deployed.status, 202, "{}", deployed.json());
    let put_off = own(&yard, "POST", "/api/v1/services/stop?workspace=acme&async=true", &json!({ "services": ["api"] }));
    assert_eq!(put_off.status, 202, "{}", put_off.json());
    let operation = format!("/api/v1/operations/{}", put_off.json()["id"].as_str().expect("an operation has an id"));
    let beta = token(&yard, "prober", "admin --workspace beta");
    let probes = [place(&instance), format!("{}/logs", place(&instance)), operation];
    for path in &probes {
        let answer = ask(port, Some(&beta), "GET", &format!("{path}?workspace=beta"), b"").expect("it answers");
        assert_eq!(answer.status, 404, "{path}");
    }
    let missing = ask(port, Some(&beta), "GET", &format!("{INSTANCES}/nobody?workspace=beta"), b"").expect("it answers");
    assert_eq!(missing.status, 404);
    let entries = || own(&yard, "GET", "/api/v1/audit?limit=1000", &Value::Null).json()["entries"].as_array().cloned().unwrap_or_default();
    let told = |caller: &str, route: &str| {
        let of = |entry: &&Value| entry["caller"] == caller && entry["route"].as_str().is_some_and(|own| own.ends_with(route));
        entries().iter().filter(of).map(|entry| (entry["status"].clone(), entry["workspace"].clone())).collect::<Vec<_>>()
    };
    until("it is written down", || !told("prober", "/operations/{name}").is_empty());
    for route in ["/service_instances/{name}", "/service_instances/{name}/logs", "/operations/{name}"] {
        assert_eq!(told("prober", route), [(json!(404), json!("acme"))], "{route}");
    }
    let local = entries().iter().find(|entry| entry["route"].as_str().is_some_and(|own| own.ends_with("/service_instances/{name}/deploy"))).cloned();
    assert_eq!(local.expect("each change is written down")["workspace"], "acme", "it is of the instance's, whatever the query said");
}

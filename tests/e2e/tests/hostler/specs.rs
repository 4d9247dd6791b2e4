//! One service at a time, beside the configuration: written, read as it was written, removed.

use hostler_e2e::{Answer, Value, Yard, json, request_with, until};

use crate::sleeper;

const BESIDE: &str = "/api/v1/services/beside";

fn ask(yard: &Yard, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request_with(&yard.socket(), method, path, headers, body.as_bytes()).unwrap_or_else(|| panic!("{method} {path}: no answer"))
}

#[track_caller]
fn is(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

fn tag(yard: &Yard) -> String {
    ask(yard, "GET", "/api/v1/services/beside/spec", &[], &Value::Null).header("etag").expect("a spec has a tag").to_owned()
}

fn waits(seconds: u32) -> Value {
    json!({ "service": { "backend": { "type": "process", "binary": "/bin/sleep", "args": [seconds.to_string()] } } })
}

#[test]
fn a_service_is_wanted_beside_the_configuration_and_outlives_the_host() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    // It may depend on what the configuration says.
    let standing = json!({ "service": { "backend": waits(1000)["service"]["backend"], "dependencies": ["db"] }, "start": false });
    let put = ask(&yard, "PUT", BESIDE, &[], &standing);
    let first = put.header("etag").expect("what was written has a tag").to_owned();
    is(&put, 200);
    assert_eq!(yard.status("beside"), "stopped");
    let spec = is(&ask(&yard, "GET", "/api/v1/services/beside/spec", &[], &Value::Null), 200);
    assert_eq!([&spec["asked_by"], &spec["service"]], [&json!("request"), &standing["service"]]);
    assert!(spec["created_by"].as_str().is_some_and(|by| by.starts_with("local:")), "{spec}");
    assert_eq!(is(&ask(&yard, "GET", "/api/v1/services/db/spec", &[], &Value::Null), 200)["asked_by"], "configuration");

    yard.run("start beside").ok();
    let (pid, generation) = (yard.pid("beside"), yard.service("beside")["generation"].clone());
    is(&ask(&yard, "PUT", BESIDE, &[], &standing), 200);
    assert_eq!((yard.pid("beside"), tag(&yard)), (pid, first), "the same again changes nothing");
    assert_eq!(yard.detail("beside")["dependencies"][0]["service"], "db");
    yard.run("apply").ok();
    assert_eq!(yard.pid("beside"), pid, "an apply leaves it alone");
    yard.kill_host();
    yard.serve();
    assert_eq!((yard.pid("beside"), yard.service("beside")["generation"].clone()), (pid, generation));

    is(&ask(&yard, "PUT", BESIDE, &[], &waits(2000)), 200);
    yard.until_again("beside", pid);
    is(&ask(&yard, "DELETE", BESIDE, &[], &Value::Null), 200);
    until("it is gone", || yard.get("/services/beside").is_none());
    assert_eq!(ask(&yard, "GET", BESIDE, &[], &Value::Null).status, 404);
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn whoever_changes_what_he_has_not_read_is_told() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    is(&ask(&yard, "PUT", BESIDE, &[("if-none-match", "*")], &waits(1000)), 200);
    let first = tag(&yard);
    let pid = yard.until_status("beside", "running")["pid"].clone();
    assert_eq!(is(&ask(&yard, "PUT", BESIDE, &[("if-none-match", "*")], &waits(1)), 412)["code"], "changed");
    is(&ask(&yard, "PUT", BESIDE, &[("if-match", &first)], &waits(2000)), 200);
    yard.until_service("beside", "another process", |service| service["status"] == "running" && service["pid"] != pid);
    let second = tag(&yard);
    assert_ne!(first, second);
    for method in ["PUT", "DELETE"] {
        let body = if method == "PUT" { waits(3000) } else { Value::Null };
        let refused = is(&ask(&yard, method, BESIDE, &[("if-match", &first)], &body), 412);
        assert!(refused["message"].as_str().is_some_and(|text| text.contains("was changed since it was read")), "{refused}");
        is(&ask(&yard, method, BESIDE, &[("if-match", "no-quotes")], &body), 400);
    }
    assert_eq!(tag(&yard), second, "nothing was changed");
    is(&ask(&yard, "DELETE", &format!("{BESIDE}?force=true"), &[("if-match", &second)], &Value::Null), 200);
    is(&ask(&yard, "PUT", BESIDE, &[("if-match", "*")], &waits(1)), 412);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_changed() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let refused = is(&ask(&yard, "PUT", "/api/v1/services/db", &[], &waits(1)), 409);
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("stands in the configuration")), "{refused}");
    is(&ask(&yard, "DELETE", "/api/v1/services/db", &[], &Value::Null), 409);
    is(&ask(&yard, "DELETE", "/api/v1/services/nobody", &[], &Value::Null), 404);
    is(&ask(&yard, "PUT", "/api/v1/services/acme.db", &[], &waits(1)), 400);
    is(&ask(&yard, "PUT", "/api/v1/services/UP", &[], &waits(1)), 400);
    let mistaken = json!({ "service": { "backend": { "type": "process", "binry": "/bin/true" }, "dependences": [] } });
    let refused = is(&ask(&yard, "PUT", BESIDE, &[], &mistaken), 422);
    let places: Vec<&str> = refused["problems"].as_array().into_iter().flatten().filter_map(|problem| problem["at"].as_str()).collect();
    assert!(places.iter().any(|at| at.starts_with("/services/beside/")), "{refused}");
    let lonely = json!({ "service": { "backend": waits(1)["service"]["backend"], "dependencies": ["nobody"] } });
    is(&ask(&yard, "PUT", BESIDE, &[], &lonely), 422);
    assert_eq!(yard.get("/services").expect("it answers")["services"].as_array().map(Vec::len), Some(1));
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn services_beside_the_configuration_have_its_networks_and_timeouts_and_go_together() {
    let yard = Yard::new();
    let settings = "[settings]\ndefault_timeout = \"7s\"\n[networks.lan]\ntype = \"lan\"\nsubnet = \"192.168.1.0/24\"\n";
    yard.up(&(settings.to_owned() + &sleeper("db", "") + &sleeper("web", "network = \"lan\"")));
    let with = |more: Value| {
        let mut service = waits(1000);
        service["service"].as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
        service
    };
    let put = |name: &str, more: Value| ask(&yard, "PUT", &format!("/api/v1/services/{name}"), &[], &with(more));
    let remove = |name: &str| ask(&yard, "DELETE", &format!("/api/v1/services/{name}"), &[], &Value::Null);
    is(&put("a", json!({ "network": "lan" })), 200);
    let problems = is(&put("b", json!({ "network": "wan", "dependencies": ["a", "aa"] })), 422)["problems"].clone();
    assert_eq!(problems[0]["at"], "/services/b/network", "{problems:#}");
    let problems = is(&put("b", json!({ "dependencies": ["a", "aa"] })), 422)["problems"].clone();
    assert_eq!([&problems[0]["at"], &problems[0]["hint"]], ["/services/b/dependencies/1", "did you mean `a`?"], "{problems:#}");

    is(&put("b", json!({ "dependencies": ["a", "db"] })), 200);
    let problems = is(&put("a", json!({ "dependencies": ["b"] })), 422)["problems"].clone();
    assert_eq!(problems[0]["message"], "dependency cycle: a -> b -> a", "{problems:#}");
    let told = is(&remove("a"), 409);
    assert_eq!(told["message"], "service `b` depends on `a`, and stands in no configuration");
    yard.config(&(settings.to_owned() + &sleeper("web", "network = \"lan\"")));
    assert!(yard.run("apply").fails(1).contains("`b` depends on `db`"));
    assert_eq!((yard.status("db").as_str(), yard.status("a").as_str()), ("running", "running"), "nothing was changed");

    yard.kill_host();
    yard.serve();
    is(&put("c", json!({ "network": "lan" })), 200);
    is(&remove("b"), 200);
    is(&remove("a"), 200);
    yard.run("apply").ok();
    until("the one that nobody needs any more is gone", || yard.get("/services/db").is_none());
}

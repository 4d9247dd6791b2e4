//! Service instances in JSON:API's form, asked by a client that knows nothing but their document, and by others.

use std::fs;

use hostler_e2e::{Value, Yard, ask, json, until};

use crate::{listening, sleeper, token};

const INSTANCES: &str = "/api/v1/service_instances";

fn yard() -> (Yard, String) {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let folder = yard.file("api");
    fs::create_dir_all(&folder).expect("it is ours");
    (yard, folder.to_string_lossy().into_owned())
}

fn plays(part: &str) {
    let (yard, folder) = yard();
    yard.plays("kyozo_client.py", part, &[&folder]);
    assert_eq!(yard.status("db"), "running", "nobody touched it");
}

#[test]
fn a_client_of_the_instance_document_makes_deploys_scales_stops_and_deletes() {
    plays("life");
}

#[test]
fn a_client_of_the_instance_document_reads_and_follows_logs() {
    plays("logs");
}

#[test]
fn a_client_of_the_instance_document_is_refused_as_it_says() {
    plays("refusals");
}

#[test]
fn a_client_of_the_instance_document_deploys_and_stops_a_workspace() {
    plays("workspaces");
}

#[test]
fn a_client_of_the_instance_document_learns_of_trouble() {
    plays("broken");
}

#[test]
fn an_instance_outlives_the_host_and_is_one_service_with_its_own_name() {
    let (yard, folder) = yard();
    yard.plays("kyozo_client.py", "deployed", &[&folder]);
    let pid = yard.pid("api");
    let spec = yard.get("/services/api/spec").expect("an instance is a service");
    assert_eq!((&spec["asked_by"], &spec["service"]["backend"]["working_dir"]), (&json!("instance"), &json!(folder)));
    yard.run("apply").ok();
    yard.kill_host();
    yard.serve();
    assert_eq!(yard.pid("api"), pid, "an apply and another host leave it alone");
    yard.plays("kyozo_client.py", "kept", &[&folder]);
    // What one API removes is gone from the other.
    let refused =
        hostler_e2e::request(&yard.socket(), "PUT", "/api/v1/services/api", br#"{"service":{"backend":{"type":"process","binary":"true"}}}"#);
    assert_eq!(refused.map(|answer| answer.status), Some(409));
    let gone = hostler_e2e::request(&yard.socket(), "DELETE", "/api/v1/services/api", b"");
    assert_eq!(gone.map(|answer| answer.status), Some(200));
    let list = hostler_e2e::request(&yard.socket(), "GET", INSTANCES, b"").expect("the host answers").json();
    assert_eq!(list["data"], json!([]));
    until("it is gone", || yard.get("/services/api").is_none());
}

#[test]
fn an_instance_is_of_its_workspace_and_nobody_elses() {
    let (yard, port) = listening("");
    let host = |method: &str, path: &str, body: Value| {
        let answer = hostler_e2e::request(&yard.socket(), method, path, body.to_string().as_bytes()).expect("it answers");
        (answer.status, answer.json())
    };
    assert_eq!(host("POST", "/api/v1/workspaces", json!({ "name": "acme", "plugins": ["process"] })).0, 200);
    assert_eq!(host("POST", "/api/v1/workspaces", json!({ "name": "other", "plugins": [] })).0, 200);
    let body = |workspace: &str| json!({ "name": "API", "folder_path": "/tmp", "service_type": "rust", "workspace_id": workspace, "deployment_config": { "command": "sleep 1000" } });
    let (status, made) = host("POST", INSTANCES, body("acme"));
    assert_eq!((status, &made["data"]["attributes"]["workspace_id"]), (201, &json!("acme")), "{made}");
    assert_eq!(host("POST", INSTANCES, body("default")).0, 201, "folders are told apart by workspace");
    let (status, refused) = host("POST", INSTANCES, body("other"));
    assert_eq!((status, &refused["errors"][0]["source"]["pointer"]), (422, &json!("/data/attributes/service_type")));
    assert_eq!(host("POST", INSTANCES, body("nobody")).0, 404);

    let tenant = |name: &str, workspace: &str| yard.run(&format!("token create {name} --role admin --workspace {workspace}")).ok().trim().to_owned();
    let (own, foreign) = (tenant("own", "acme"), tenant("foreign", "other"));
    let link = made["data"]["links"]["self"].as_str().expect("it has a link");
    let place = link.strip_suffix("?workspace=acme").expect("it leads there as it stands");
    let asks = |token: &str, method: &str, path: &str| {
        let answer = ask(port, Some(token), method, path, b"").expect("it answers");
        (answer.status, answer.json())
    };
    assert_eq!(asks(&own, "POST", &format!("{place}/deploy?workspace=acme")).0, 202);
    until("it runs", || asks(&own, "GET", &format!("{place}?workspace=acme")).1["data"]["attributes"]["status"] == "running");
    for path in [place.to_owned(), format!("{place}?workspace=other"), format!("{place}/logs?workspace=other")] {
        assert_eq!(asks(&foreign, "GET", &path).0, 404, "{path}");
    }
    for (method, action) in [("POST", "/deploy"), ("POST", "/stop"), ("DELETE", "")] {
        assert_eq!(asks(&foreign, method, &format!("{place}{action}?workspace=other")).0, 404, "{action}");
    }
    assert_eq!(asks(&foreign, "GET", &format!("{INSTANCES}?workspace=other")).1["data"], json!([]));
    assert_eq!(asks(&own, "GET", &format!("{INSTANCES}?workspace=acme")).1["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(asks(&foreign, "POST", "/api/v1/workspaces/acme/stop_services").0, 404);
    let (status, stopped) = asks(&own, "POST", "/api/v1/workspaces/acme/stop_services");
    assert_eq!((status, &stopped["data"][0]["attributes"]["status"]), (200, &json!("stopped")));
    assert_eq!(asks(&own, "GET", "/api/v1/workspaces/acme/service_status").1["data"]["total_services"], 1);
}

#[test]
fn whoever_may_not_is_told_so_in_the_words_of_the_document() {
    let (yard, port) = listening("");
    let (viewer, operator) = (token(&yard, "looks", "viewer"), token(&yard, "works", "operator"));
    let body = json!({ "name": "API", "folder_path": "/tmp", "service_type": "rust", "deployment_config": { "command": "sleep 1000" } });
    let asks = |token: Option<&str>, method: &str, path: &str, body: &Value| {
        let answer = ask(port, token, method, path, body.to_string().as_bytes()).expect("it answers");
        assert_eq!(answer.header("content-type"), Some("application/vnd.api+json"), "{method} {path}");
        (answer.status, answer.json()["errors"][0]["status"].clone())
    };
    assert_eq!(asks(None, "GET", INSTANCES, &json!({})), (401, json!("401")));
    assert_eq!(asks(Some("hst_nobody"), "GET", INSTANCES, &json!({})), (401, json!("401")));
    assert_eq!(asks(Some(&operator), "POST", INSTANCES, &body), (403, json!("403")));
    assert_eq!(asks(Some(&viewer), "GET", INSTANCES, &json!({})), (200, Value::Null));
    let made = hostler_e2e::request(&yard.socket(), "POST", INSTANCES, body.to_string().as_bytes()).expect("it answers");
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    let place = made.json()["data"]["links"]["self"].as_str().expect("it has a link").to_owned();
    assert_eq!(made.header("location"), Some(place.as_str()));
    assert_eq!(asks(Some(&viewer), "POST", &format!("{place}/deploy"), &json!({})), (403, json!("403")));
    assert_eq!(asks(Some(&operator), "POST", &format!("{place}/deploy"), &json!({})), (202, Value::Null));
    assert_eq!(asks(Some(&operator), "DELETE", &place, &json!({})), (403, json!("403")));
    assert_eq!(asks(Some(&viewer), "GET", &place, &json!({})), (200, Value::Null));
}

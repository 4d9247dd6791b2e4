//! `deploy`: a service is brought into force, started after what it needs, and waited for until it is well.

use hostler_e2e::{Value, Yard, json, until};

use crate::operations::{over, post, put_off, standing};
use crate::{script, sleeper};

fn sleeps(seconds: u32) -> Value {
    json!({ "backend": { "type": "process", "binary": "/bin/sleep", "args": [seconds.to_string()] } })
}

fn deployments(yard: &Yard, name: &str) -> Vec<(String, Value)> {
    let events = yard.events();
    let of_it = events.iter().filter(|event| event["service"] == name);
    let told = of_it.filter_map(|event| Some((event["kind"].as_str()?.strip_prefix("deployment-")?.to_owned(), event["data"].clone())));
    told.collect()
}

#[test]
fn a_new_service_is_up_and_well_when_its_deployment_is_done() {
    let yard = standing(&sleeper("db", ""));
    yard.script("check.sh", "echo asked >> asked; [ $(wc -l < asked) -ge 3 ]");
    let mut service = sleeps(1000);
    service["dependencies"] = json!(["db"]);
    let check = yard.file("check.sh").display().to_string();
    service["health_check"] = json!({ "type": "command", "command": check, "interval": "50ms", "failure_threshold": 1000 });
    let deploy = put_off(&yard, "/services/web/deploy", &json!({ "service": service, "base_dir": yard.path() }));
    let done = over(&yard, &deploy, "succeeded");
    assert_eq!([yard.status("db"), yard.status("web")], ["running", "running"], "what it needs is started, too");
    assert_eq!(yard.service("web")["health"], "healthy");
    assert_eq!([&done["progress"]["done"], &done["progress"]["of"]], [3, 3]);
    let told = deployments(&yard, "web");
    assert_eq!(told.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["started", "completed"]);
    assert_eq!(told[1].1["duration_ms"], done["duration_ms"]);
    assert!(done["duration_ms"].as_u64().is_some_and(|ms| ms >= 100), "two checks failed before: {done:#}");

    // The same again finds everything as it is to be.
    let pid = yard.pid("web");
    over(&yard, &put_off(&yard, "/services/web/deploy", &json!({ "service": service, "base_dir": yard.path() })), "succeeded");
    over(&yard, &put_off(&yard, "/services/web/deploy", &json!({})), "succeeded");
    assert_eq!(yard.pid("web"), pid);
    // Another one replaces it, and the same can be asked to begin anew.
    service["backend"]["args"] = json!(["2000"]);
    over(&yard, &put_off(&yard, "/services/web/deploy", &json!({ "service": service, "base_dir": yard.path() })), "succeeded");
    let second = yard.pid("web");
    assert_ne!(second, pid);
    over(&yard, &put_off(&yard, "/services/web/deploy", &json!({ "restart": true })), "succeeded");
    assert_ne!(yard.pid("web"), second);
    assert_eq!(yard.service("web")["health"], "healthy");
}

#[test]
fn one_that_does_not_come_up_is_told_with_why() {
    let yard = standing("");
    let service = json!({ "kind": "oneshot", "backend": { "type": "process", "binary": "/bin/false" }, "restart": "never" });
    let deploy = put_off(&yard, "/services/bad/deploy?max_attempts=1", &json!({ "service": service }));
    let failed = over(&yard, &deploy, "failed");
    assert!(failed["problem"]["message"].as_str().is_some_and(|text| text.contains("exited with code 1")), "{failed}");
    let told = deployments(&yard, "bad");
    assert_eq!(told.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["started", "failed"]);
    assert_eq!(told[1].1["error"], failed["problem"]["message"]);
    assert!(told[1].1["duration_ms"].is_u64());
    // One whose need does not come up waits for nothing that could come.
    let needs = json!({ "backend": sleeps(1000)["backend"], "dependencies": [{ "service": "bad", "condition": "completed" }] });
    let deploy = put_off(&yard, "/services/web/deploy?max_attempts=1", &json!({ "service": needs }));
    let failed = over(&yard, &deploy, "failed");
    assert!(failed["problem"]["message"].as_str().is_some_and(|text| text.contains("web") && text.contains("bad")), "{failed}");
}

#[test]
fn what_was_removed_meanwhile_is_not_waited_for() {
    let yard = standing("");
    let mut service = sleeps(1000);
    service["health_check"] = json!({ "type": "command", "command": "false", "interval": "50ms", "failure_threshold": 1000 });
    let deploy = put_off(&yard, "/services/web/deploy", &json!({ "service": service }));
    yard.until_status("web", "starting");
    let gone = hostler_e2e::request(&yard.socket(), "DELETE", "/api/v1/services/web?force=true", b"").expect("it answers");
    assert_eq!(gone.status, 200);
    let failed = over(&yard, &deploy, "failed");
    assert_eq!(failed["problem"]["message"], "service `web` was removed meanwhile");
}

#[test]
fn a_person_deploys_from_a_file_and_sees_the_end_of_it() {
    let yard = standing(&sleeper("db", ""));
    // A path of its own directory.
    std::fs::create_dir(yard.file("app")).expect("the yard is ours");
    yard.write("app/run.sh", "#!/bin/sh\nexec sleep 1000\n");
    std::fs::set_permissions(yard.file("app/run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it was just written");
    yard.write("app/app.toml", "version = \"1.0\"\n[services.web]\nbackend = { type = \"process\", binary = \"./run.sh\" }\n");
    let said = yard.run("deploy web -f app/app.toml").ok();
    assert!(said.contains("deploy of web is done"), "{said}");
    assert_eq!([yard.status("web"), yard.status("db")], ["running", "stopped"]);
    let said = yard.run("deploy db").ok();
    assert!(said.contains("deploy of db is done") && yard.status("db") == "running", "{said}");
    assert!(yard.run("deploy nobody -f app/app.toml").fails(2).contains("has no service `nobody`"));
    assert!(yard.run("deploy nobody").fails(1).contains("there is no service `nobody`"));
    yard.write(
        "app/app.toml",
        "version = \"1.0\"\n[services.bad]\nkind = \"oneshot\"\nrestart = \"never\"\nbackend = { type = \"process\", binary = \"/bin/false\" }\n",
    );
    let why = yard.run("deploy bad -f app/app.toml --timeout 20s").fails(1);
    assert!(why.contains("exited with code 1"), "{why}");
    let document = yard.run("deploy db --no-wait --json").json();
    let id = document["id"].as_str().expect("an id");
    assert_eq!(yard.run(&format!("operations wait {id} --json")).json()["status"], "succeeded");
}

#[test]
fn one_beside_another_is_deployed_by_five_hands() {
    let config: String = (0..12).map(|number| sleeper(&format!("s{number}"), "")).collect();
    let yard = standing(&config);
    let all: Vec<Value> = (0..12).map(|number| put_off(&yard, &format!("/services/s{number}/deploy"), &json!({}))).collect();
    all.iter().for_each(|operation| drop(over(&yard, operation, "succeeded")));
    assert!((0..12).all(|number| yard.status(&format!("s{number}")) == "running"));
}

#[test]
fn a_host_that_is_told_to_end_leaves_its_deployments_to_the_next() {
    let yard = standing("");
    let text = "echo start >> web.starts; exec sleep 1000";
    yard.script("check.sh", "[ -f go ]");
    yard.config(&script(
        &yard,
        "web",
        text,
        "health_check = { type = \"command\", command = \"./check.sh\", interval = \"50ms\", failure_threshold = 1000 }",
    ));
    yard.run("apply --no-start --no-wait").ok();
    let deploy = put_off(&yard, "/services/web/deploy", &json!({}));
    until("it is started", || yard.read("web.starts") == "start\n");
    let pid = yard.host_pid();
    assert_eq!(post(&yard, "/shutdown", &json!({ "stop_services": true })).status, 200);
    until("the host has ended", || !hostler_e2e::alive(pid));
    yard.write("go", "");
    yard.serve();
    let done = over(&yard, &deploy, "succeeded");
    assert_eq!(done["attempts"], 1);
    until("it has begun again: it was stopped with its host", || yard.read("web.starts") == "start\nstart\n");
}

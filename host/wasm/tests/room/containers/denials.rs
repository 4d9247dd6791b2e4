//! What a grant does not have is refused, on the record, and no engine hears of it.

use serde_json::{Value, json};

use super::yard::{IMAGE, SOCKET, Yard, docker};
use crate::support::{Host, fixture};

/// Nobody listens there.
const NOWHERE: &str = "unix:///nowhere/engine.sock";

fn create(more: Value) -> Value {
    let mut make = json!({ "image": "postgres:16" });
    for (key, value) in more.as_object().into_iter().flatten() {
        make[key] = value.clone();
    }
    json!({ "create": ["web", make] })
}

#[tokio::test]
async fn a_container_gets_nothing_that_was_not_granted() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().canonicalize().expect("it is there").join("data");
    std::fs::create_dir(&data).expect("a directory");
    std::os::unix::fs::symlink("/etc", data.join("out")).expect("a link");
    let data = data.to_str().expect("text");
    let grant = json!({ "images": ["postgres"], "mounts": [data], "volumes": false, "network_modes": ["back", "*"] });
    let yard = Yard::at(NOWHERE, grant).await;
    let refused = [
        (create(json!({ "image": "evil/postgres" })), "image `evil/postgres`"),
        (create(json!({ "image": "postgres.evil.com/postgres" })), "image"),
        (create(json!({ "privileged": true })), "privileged"),
        (create(json!({ "capabilities": ["SYS_ADMIN"] })), "capability `SYS_ADMIN`"),
        (create(json!({ "security": ["seccomp=unconfined"] })), "seccomp=unconfined"),
        (create(json!({ "security": ["apparmor=unconfined"] })), "apparmor=unconfined"),
        (create(json!({ "network": "host" })), "network `host`"),
        (create(json!({ "network": "container:db" })), "network `container:db`"),
        (create(json!({ "networks": ["host"] })), "network `host`"),
        (create(json!({ "volumes": ["data:/var"] })), "volume `data`"),
        (create(json!({ "binds": ["/etc:/mnt"] })), "mount of `/etc`"),
        (create(json!({ "binds": ["/var/run/docker.sock:/mnt"] })), "docker.sock"),
        (create(json!({ "binds": [format!("{data}/out:/mnt")] })), "which is /etc"),
        (create(json!({ "binds": [format!("{data}-of-others:/mnt")] })), "-of-others"),
        (json!({ "pull": "evil/postgres" }), "image `evil/postgres`"),
    ];
    let steps: Value = refused.iter().map(|(step, _)| step.clone()).collect();
    let answers = yard.does(steps).await;
    for ((step, words), answer) in refused.iter().zip(&answers) {
        assert!(answer.starts_with("denied: ") && answer.contains(words), "{step}: {answer}");
    }
    let denied = yard.host.heard.denied();
    assert_eq!(denied.len(), refused.len(), "each stands on the record: {denied:?}");
    for wrong in [format!("{data}/../../etc:/mnt"), "data:/mnt".to_owned(), format!("{data}/absent:/mnt")] {
        let answer = yard.does_one(create(json!({ "binds": [wrong] }))).await;
        assert!(answer.starts_with("invalid: "), "{wrong}: {answer}");
    }
    let fine = yard.does_one(create(json!({ "binds": [format!("{data}:/mnt")] }))).await;
    assert!(fine.starts_with("unavailable: "), "only what is granted is tried: {fine}");
}

#[tokio::test]
async fn verbs_and_engines_have_to_be_granted() {
    let yard = Yard::at(NOWHERE, json!({ "verbs": ["look"] })).await;
    let steps = [
        create(json!({})),
        json!({ "start": "web" }),
        json!({ "stop": ["web", "SIGTERM", 1] }),
        json!({ "signal": ["web", "SIGHUP"] }),
        json!({ "remove": ["web", true] }),
        json!({ "update": ["web", 1, 1] }),
        json!({ "log": ["web", 1] }),
        json!({ "exec": ["web", ["/bin/true"], "", 1_000] }),
        json!({ "pull": "postgres" }),
        json!({ "network": "back" }),
        json!({ "list": "all" }),
        json!({ "list": "tagged" }),
    ];
    let answers = yard.does(steps.iter().cloned().collect()).await;
    for (step, answer) in steps.iter().zip(&answers) {
        assert!(answer.starts_with("denied: "), "{step}: {answer}");
    }
    for step in [json!({ "info": null }), json!({ "look": "web" }), json!({ "list": "ours" })] {
        let step = if step.get("info").is_some() { json!("info") } else { step };
        let answer = yard.does_one(step.clone()).await;
        assert!(answer.starts_with("unavailable: "), "{step}: {answer}");
    }
    let other = crate::checks::judge(&yard.plugin, crate::support::call(), json!({ "engine": "other", "do": ["info"] })).await.expect("judged");
    assert!(other.details[0].1.contains("engine `other`"), "{other:?}");
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_does_not_load() {
    let host = Host::new();
    let check = async |engine: Value, words: &str| {
        let grants = json!({ "containers": { "default": engine }, "secrets": ["token"] });
        let error = host.try_load("stevedore", fixture("stevedore"), &grants.to_string()).await.expect_err(words).to_string();
        assert!(error.contains(words) && error.contains("containers"), "{error}");
    };
    check(json!({ "endpoint": "docker.sock" }), "no scheme").await;
    check(json!({ "endpoint": "tcp://10.0.0.1" }), "no port").await;
    check(json!({ "endpoint": "ssh://-oProxyCommand=x" }), "user@host").await;
    check(json!({ "endpoint": "unix:///x", "ca": "/x" }), "tcp").await;
    check(json!({ "endpoint": "unix:///x", "mounts": ["/srv/../etc"] }), "/srv/../etc").await;
    let bare = host.try_load("stevedore", fixture("stevedore"), r#"{ "secrets": ["token"] }"#).await.expect_err("it imports containers").to_string();
    assert!(bare.contains("containers = { default = { endpoint = "), "{bare}");
}

#[tokio::test]
async fn validation_touches_no_engine() {
    let yard = Yard::at(NOWHERE, Value::Null).await;
    let check = yard.plugin.health_check().expect("a check");
    let problems = check.validate(crate::support::call(), r#"{ "early": true, "do": ["info"] }"#).await;
    assert!(format!("{problems:?}").contains("touches nothing outside"), "{problems:?}");
}

#[tokio::test]
async fn strangers_are_not_there_until_they_are_granted() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let (stranger, tagged) = (yard.name("stranger"), yard.name("tagged"));
    docker(&["run", "--detach", "--network", "none", "--name", &stranger, IMAGE, "/bin/sleep", "1000"]);
    docker(&["run", "--detach", "--network", "none", "--name", &tagged, "--label", "hostler.owner=somebody-else", IMAGE, "/bin/sleep", "1000"]);
    let ours = yard.runs("ours", "sleep 1000").await;
    let listed = async |yard: &Yard, whose: &str| yard.does_one(json!({ "list": whose })).await;
    assert!(listed(&yard, "ours").await.contains(&ours));
    for name in [&stranger, &tagged] {
        assert_eq!(yard.does(json!([{ "look": name }, { "measure": name }])).await, ["absent", "nothing"]);
        assert_eq!(yard.does_one(json!({ "log": [name, 1_000] })).await, "not-found");
        for step in [json!({ "stop": [name, "SIGKILL", 0] }), json!({ "remove": [name, true] }), json!({ "exec": [name, ["/bin/true"], "", 1_000] })]
        {
            let answer = yard.does_one(step).await;
            assert!(answer.starts_with("denied: "), "{answer}");
        }
    }
    let others = Yard::at(SOCKET, json!({ "strangers": "tagged" })).await;
    assert!(listed(&others, "tagged").await.contains(&tagged));
    assert!(listed(&others, "all").await.starts_with("denied: "));
    assert_eq!(others.does_one(json!({ "look": stranger })).await, "absent");
    let seeing = Yard::at(SOCKET, json!({ "strangers": "see" })).await;
    assert!(listed(&seeing, "all").await.contains(&stranger));
    assert!(seeing.does_one(json!({ "look": stranger })).await.starts_with("running, owner nobody"));
    assert!(seeing.does_one(json!({ "stop": [stranger, "SIGKILL", 0] })).await.starts_with("denied: "));
    let taking = Yard::at(SOCKET, json!({ "strangers": "take" })).await;
    assert!(taking.does_one(json!({ "stop": [stranger, "SIGKILL", 0] })).await.starts_with("exited 137"));
    assert_eq!(taking.does_one(json!({ "remove": [stranger, false] })).await, "done");
}

#[tokio::test]
async fn what_was_admitted_is_not_swapped_for_something_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().canonicalize().expect("it is there").join("data");
    std::fs::create_dir_all(data.join("db")).expect("a directory");
    let Some(yard) = Yard::real(json!({ "mounts": [data] })).await else { return };
    let name = yard.name("db");
    let make = json!({ "image": IMAGE, "command": ["/bin/sleep", "1000"], "binds": [format!("{}:/mnt", data.join("db").display())] });
    yard.does_one(json!({ "create": [name, make] })).await;
    std::fs::remove_dir(data.join("db")).expect("empty");
    std::os::unix::fs::symlink("/etc", data.join("db")).expect("a link");
    let answer = yard.does_one(json!({ "start": name })).await;
    assert!(answer.starts_with("denied: ") && answer.contains("leads elsewhere"), "{answer}");
}

#[tokio::test]
async fn a_volume_made_of_a_directory_is_a_mount_of_it() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let volume = yard.name("volume");
    docker(&["volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/etc", &volume]);
    let make = json!({ "image": IMAGE, "command": ["/bin/true"], "volumes": [format!("{volume}:/mnt")] });
    let answer = yard.does_one(json!({ "create": [yard.name("web"), make] })).await;
    docker(&["volume", "rm", "--force", &volume]);
    assert!(answer.starts_with("denied: ") && answer.contains("/etc"), "{answer}");
}

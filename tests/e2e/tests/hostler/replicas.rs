//! How many there are of a service: asked for by hand, remembered, waited for, measured.

use hostler_e2e::{Value, Yard, until};

use crate::{script, sleeper};

/// The indices of the replicas that run, with their processes.
fn running(yard: &Yard, name: &str) -> Vec<(u64, u64)> {
    let detail = yard.run(&format!("status {name} --json")).json();
    let parts = detail["replicas"].as_array().cloned().unwrap_or_default();
    let up = parts.iter().filter(|part| part["status"] == "running");
    up.filter_map(|part| Some((part["replica"].as_u64()?, part["pid"].as_u64()?))).collect()
}

fn counts(yard: &Yard, name: &str) -> Value {
    yard.service(name)["replicas"].clone()
}

#[test]
fn a_number_asked_for_holds_until_another_one_is() {
    let yard = Yard::new();
    let config = |count: u32| sleeper("web", &format!("replicas = {{ min = 1, max = 4, count = {count} }}"));
    yard.up(&config(2));
    let first = running(&yard, "web");
    assert_eq!(first.len(), 2);

    yard.run("scale web 4").ok();
    let four = running(&yard, "web");
    assert!(four.len() == 4 && first.iter().all(|part| four.contains(part)), "{first:?} {four:?}");
    let text = yard.run("ps").ok();
    assert!(text.contains("running 4/4"), "{text}");
    assert!(yard.story("web").contains(&"scaled: scaled from 2 to 4".to_owned()), "{:?}", yard.story("web"));

    // Neither the end of the host nor the same file takes it back; another number in the file does.
    yard.kill_host();
    yard.serve();
    assert_eq!(running(&yard, "web"), four);
    yard.run("apply").ok();
    assert_eq!(running(&yard, "web"), four);
    yard.config(&config(3));
    let plan = yard.run("plan").ok();
    assert!(plan.contains("replicas.count 2 → 3"), "{plan}");
    yard.run("apply").ok();
    until("one has gone", || running(&yard, "web").len() == 3);
    assert_eq!(running(&yard, "web"), four[..3], "the newest has gone");

    // A stopped service stays stopped, and remembers the number.
    yard.run("stop web").ok();
    yard.run("scale web=1").ok();
    assert_eq!(yard.status("web"), "stopped");
    yard.run("start web").ok();
    assert_eq!(running(&yard, "web").len(), 1);
}

#[test]
fn what_is_beyond_the_bounds_is_refused_and_changes_nothing() {
    let yard = Yard::new();
    yard.up(&(sleeper("web", "replicas = { min = 1, max = 2 }") + &sleeper("api", "")));
    let text = yard.run("scale web 3").fails(2);
    assert!(text.contains("service `web` cannot be scaled to 3: 3 is more than its `max` of 2"), "{text}");
    assert!(text.contains("hint: its configuration sets the bounds"), "{text}");
    let text = yard.run("scale web 0").fails(2);
    assert!(text.contains("0 is fewer than its `min` of 1"), "{text}");
    // All or none.
    yard.run("scale web=2 api=2").fails(2);
    assert_eq!(counts(&yard, "web")["wanted"], 1);
    let text = yard.run("scale wep 1").fails(1);
    assert!(text.contains("did you mean `web`?"), "{text}");
    let text = yard.run("scale web").fails(2);
    assert!(text.contains("names no number of replicas"), "{text}");
}

#[test]
fn the_unwell_go_first_and_the_lowest_free_index_comes_back() {
    let yard = Yard::new();
    // The one that finds the mark ends, and is parked.
    let text = "if mkdir first 2>/dev/null; then while [ ! -f end ]; do sleep 0.02; done; exit 3; fi; exec sleep 1000";
    yard.up(&script(&yard, "web", text, "replicas = { min = 0, max = 3, count = 3 }\nrestart = \"never\""));
    yard.write("end", "");
    yard.until_status("web", "failed");
    let left = running(&yard, "web");
    assert_eq!(left.len(), 2);

    yard.run("scale web 2").ok();
    assert_eq!((running(&yard, "web"), yard.status("web").as_str()), (left.clone(), "running"), "what was well stayed as it was");
    yard.run("scale web 3").ok();
    let three = running(&yard, "web");
    assert_eq!(three.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(left.iter().all(|part| three.contains(part)), "{left:?} {three:?}");

    yard.run("scale web 0").ok();
    let text = yard.run("explain web").ok();
    assert!(text.contains("no replica of it is wanted") && text.contains("hostler scale web 1"), "{text}");
    assert!(yard.processes().len() < 4, "only host and keeper are left");
}

#[test]
fn a_dependent_starts_with_as_many_as_its_edge_says() {
    let yard = Yard::new();
    let check =
        "health_check = { type = \"command\", command = \"test\", args = [\"-f\", \"ready\"], interval = \"50ms\", failure_threshold = 1000 }";
    let db = sleeper("db", &format!("replicas = 3\n{check}"));
    let edge = |name: &str, quorum: &str| sleeper(name, &format!("dependencies = [{{ service = \"db\", condition = \"started\"{quorum} }}]"));
    let waits = sleeper("waits", "dependencies = [{ service = \"db\", healthy = 2 }]");
    yard.config(&(db + &edge("all", "") + &edge("one", ", healthy = \"any\"") + &waits));
    yard.run("up --detach --timeout 1s").fails(1);
    yard.until_status("one", "running");
    yard.until_status("all", "running");
    let text = yard.run("explain waits").ok();
    assert!(text.contains("waits for db: 0 of 3 healthy, and 2 must be"), "{text}");
    yard.write("ready", "");
    yard.until_status("waits", "running");
    let text = yard.run("status waits").ok();
    assert!(text.contains("db (2 replicas are enough)"), "{text}");

    let refused = sleeper("db", "replicas = 2") + &sleeper("app", "dependencies = [{ service = \"db\", healthy = 3 }]");
    yard.config(&refused);
    let text = yard.run("validate").fails(3);
    assert!(text.contains("waits for 3 replicas of `db`, which has at most 2"), "{text}");
}

#[test]
fn what_each_replica_uses_is_measured() {
    let yard = Yard::new();
    let busy = script(&yard, "busy", "while :; do :; done", "replicas = 2");
    yard.up(&(busy + &sleeper("idle", "")));
    let stats = yard.run("stats --json").json();
    let of = |name: &str| -> Vec<Value> {
        let all = stats["replicas"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|one| one["service"] == name).collect()
    };
    assert_eq!((of("busy").len(), of("idle").len()), (2, 1), "{stats}");
    for one in of("busy") {
        assert!(one["cpu_percent"].as_f64().is_some_and(|percent| percent > 5.0), "{one}");
        assert!(one["usage"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{one}");
    }
    let idle = &of("idle")[0];
    assert!(idle["cpu_percent"].as_f64().is_some_and(|percent| percent < 5.0), "{idle}");
    assert!(idle["usage"]["disk_free_bytes"].is_null(), "a process has no disk of its own: {idle}");
    let text = yard.run("stats busy").ok();
    assert!(text.contains("busy/0") && text.contains("busy/1") && !text.contains("idle"), "{text}");
    let text = yard.run("stats nobody").fails(1);
    assert!(text.contains("there is no service `nobody`"), "{text}");

    let live = yard.stay("stats idle -f --interval 1s");
    until("a second picture follows the first", || live.said().matches("NAME").count() >= 2);
}

#[test]
fn a_load_brings_more_replicas_and_its_end_fewer() {
    let yard = Yard::new();
    let text = "while :; do if [ -f busy ]; then i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; else sleep 0.1; fi; done";
    let policy = "replicas = { min = 1, max = 3, autoscale = { cpu = \"15%\", cooldown_up = \"1s\", cooldown_down = \"3s\", interval = \"1s\" } }";
    yard.up(&script(&yard, "web", text, policy));
    let wanted = || counts(&yard, "web")["wanted"].as_u64();
    until("it is measured", || yard.run("explain web").ok().contains("1 replica, 1 to 3 by load: cpu is at "));
    assert_eq!(wanted(), Some(1));
    yard.write("busy", "");
    until("there are more", || wanted() == Some(3) && running(&yard, "web").len() == 3);
    std::fs::remove_file(yard.file("busy")).expect("it was just written");
    until("there is one again", || wanted() == Some(1) && running(&yard, "web").len() == 1);
    let story = yard.story("web");
    let scaled: Vec<&String> = story.iter().filter(|line| line.starts_with("scaled: ")).collect();
    assert!(scaled.len() >= 2 && scaled.iter().all(|line| line.contains(": cpu is at ") && line.ends_with(" of 15 %")), "{scaled:?}");

    let config = yard.read("hostler.toml");
    let refused = |from: &str, to: &str, message: &str| {
        yard.write("hostler.toml", config.replace(from, to));
        let text = yard.run("validate").fails(3);
        assert!(text.contains(message), "{text}");
    };
    refused("cpu = \"15%\"", "memory = \"80%\"", "is a share of a limit, and there is none");
    refused("cpu = \"15%\", ", "", "has no target");
    refused("cpu = \"15%\"", "cpu = 15", "a share between `1%` and `1000%`");
    refused("min = 1", "min = 0", "nothing can be measured of no replica");
}

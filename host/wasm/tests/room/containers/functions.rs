//! Each function on the engine of this machine.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::yard::{IMAGE, Yard, docker};

#[tokio::test]
async fn a_container_lives_and_is_gone() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let name = yard.name("web");
    let make = json!({ "image": IMAGE, "command": ["/bin/sh", "-c", "trap 'exit 7' TERM; touch /ready; while :; do sleep 0.05; done"], "ports": [80],
        "labels": [["hostler.owner", "somebody-else"], ["hostler.plugin", "another"]] });
    let made = yard
        .does(json!([
            "info", { "look": name }, { "create": [name, make] }, { "create": [name, make] }, { "look": name }, { "start": name }, { "start": name },
            { "exec": [name, ["/bin/sh", "-c", "until [ -e /ready ]; do sleep 0.01; done"], "", 20_000] }, { "look": name },
        ]))
        .await;
    // An engine that has much to do answers zeros at first, which is nothing.
    let measured = async {
        loop {
            let said = yard.does_one(json!({ "measure": name })).await;
            if said != "nothing" {
                return said;
            }
        }
    };
    let measured = tokio::time::timeout(Duration::from_secs(20), measured).await.expect("it uses something");
    let ended = yard
        .does(json!([
            { "update": [name, 64 << 20, 500] }, { "measure": name },
            { "stop": [name, "SIGTERM", 10_000] }, { "stop": [name, "SIGTERM", 0] }, { "measure": name }, { "signal": [name, "SIGHUP"] },
            { "remove": [name, false] }, { "remove": [name, false] }, { "look": name }, { "start": name },
        ]))
        .await;
    let answers = [made, vec![measured], ended].concat();
    assert!(answers[0].starts_with("Docker ") && answers[0].contains(" api 1."), "{}", answers[0]);
    assert_eq!(answers[1], "absent");
    assert!(answers[3].starts_with("conflict: "), "{}", answers[3]);
    assert!(answers[4].starts_with("created, owner test-host, plugin stevedore, restart no"), "the host's labels stand: {}", answers[4]);
    assert_eq!(answers[5..7], ["done", "done"]);
    assert!(answers[8].starts_with("running") && answers[8].ends_with("->80") && !answers[8].contains(" 0->"), "{}", answers[8]);
    assert!(answers[9].starts_with("cpu true memory true of ") && answers[9].ends_with("free true"), "{}", answers[9]);
    assert_eq!(answers[10], "done");
    assert!(answers[11].contains(&format!("of {} ", 64 << 20)), "{}", answers[11]);
    assert!(answers[12].starts_with("exited 7"), "{}", answers[12]);
    assert!(answers[13].starts_with("exited 7"), "{}", answers[13]);
    assert_eq!(answers[14..], ["nothing", "not-found", "done", "done", "absent", "not-found"]);
}

#[tokio::test]
async fn a_stop_takes_its_grace_and_no_more() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let deaf = yard.listens("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done").await;
    let begun = Instant::now();
    assert!(yard.does_one(json!({ "stop": [deaf, "SIGTERM", 700] })).await.starts_with("exited 137"));
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(8), "{took:?}");
    let paused = yard.listens("paused", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done").await;
    docker(&["pause", &paused]);
    assert!(yard.does_one(json!({ "look": paused })).await.starts_with("paused"));
    assert!(yard.does_one(json!({ "stop": [paused, "SIGTERM", 10_000] })).await.starts_with("exited 3"));
    let own = yard.name("own");
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--stop-signal",
        "SIGUSR1",
        "--name",
        &own,
        "--label",
        "hostler.owner=test-host",
        IMAGE,
        "/bin/sh",
        "-c",
        "trap 'exit 4' USR1; touch /ready; while :; do sleep 0.05; done",
    ]);
    crate::support::until("it listens", async || {
        yard.does_one(json!({ "exec": [own, ["/bin/test", "-e", "/ready"], "", 5_000] })).await.starts_with("0 ")
    })
    .await;
    assert!(yard.does_one(json!({ "stop": [own, "", 10_000] })).await.starts_with("exited 4"));
    let long = yard.listens("long", "trap '' TERM; echo ready; while :; do sleep 0.05; done").await;
    let answer = yard.does_late(Duration::from_secs(2), json!({ "stop": [long, "SIGTERM", 60_000] })).await;
    assert_eq!(answer, "timeout", "nothing is killed before its grace is over");
    assert!(yard.does_one(json!({ "look": long })).await.starts_with("running"));
    assert!(yard.does_one(json!({ "remove": [long, false] })).await.starts_with("conflict: "));
    assert_eq!(yard.does_one(json!({ "remove": [long, true] })).await, "done");
}

#[tokio::test]
async fn what_cannot_be_made_or_started_says_why() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let (first, second) = (yard.name("first"), yard.name("second"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let answers = yard
        .does(json!([
            { "create": [yard.name("absent"), { "image": "hostler-nobody-has-this:1" }] },
            { "image": "hostler-nobody-has-this:1" },
            { "create": [first, { "image": IMAGE, "command": ["/bin/no-such-program"], "network": "none" }] },
            { "start": first },
            { "create": [second, { "image": IMAGE, "command": ["/bin/sleep", "100"], "ports": [80], "host_port": port }] },
            { "start": second },
            { "create": [yard.name("lost"), { "image": IMAGE, "network": "hostler-no-such-network" }] },
            { "create": ["../../x", { "image": IMAGE }] },
            { "create": [yard.name("odd"), { "image": "../../x" }] },
        ]))
        .await;
    assert_eq!(answers[..2], ["not-found", "absent"]);
    assert!(answers[3].starts_with("invalid: ") && answers[3].contains("no-such-program"), "{}", answers[3]);
    assert!(answers[5].starts_with("conflict: "), "{}", answers[5]);
    for answer in &answers[6..] {
        assert!(answer.starts_with("invalid: "), "{answer}");
    }
}

#[tokio::test]
async fn how_it_ended_is_told() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let greedy = yard.name("greedy");
    let make = json!({ "image": IMAGE, "command": ["/bin/sh", "-c", "x=x; while :; do x=$x$x; done"], "memory": 16 << 20, "network": "none" });
    let quick = yard.runs("quick", "exit 143").await;
    yard.does(json!([{ "create": [greedy, make] }, { "start": greedy }])).await;
    for (name, expected) in [(&greedy, "exited 137 oom"), (&quick, "exited 143,")] {
        crate::support::until(expected, async || yard.does_one(json!({ "look": name })).await.starts_with(expected)).await;
    }
}

#[tokio::test]
async fn commands_run_inside_and_end_in_time() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let name = yard.runs("web", "sleep 1000").await;
    let answers = yard
        .does(json!([
            { "exec": [name, ["/bin/sh", "-c", "echo out; echo err >&2; exit 5"], "", 10_000] },
            { "exec": [name, ["/bin/cat"], "hello", 10_000] },
            { "exec": [name, ["/bin/printf", "\\377\\001"], "", 10_000] },
            { "exec": [name, ["/bin/no-such-program"], "", 10_000] },
            { "exec": [name, ["/bin/sh", "-c", "sleep 777 & setsid sleep 778 & sleep 779"], "", 700] },
            { "exec": [name, ["/bin/sh", "-c", "ps | grep -c '[s]leep 77'"], "", 10_000] },
        ]))
        .await;
    assert_eq!(answers[0], "5 out out\\n err err\\n");
    assert_eq!(answers[1], "0 out hello err ");
    assert_eq!(answers[2], "0 out \\xff\\x01 err ");
    assert_eq!(answers[3], "not-found");
    assert_eq!(answers[4], "timeout");
    assert_eq!(answers[5], "1 out 0\\n err ", "nothing of it is left");
    yard.does_one(json!({ "stop": [name, "SIGKILL", 0] })).await;
    assert!(yard.does_one(json!({ "exec": [name, ["/bin/true"], "", 10_000] })).await.starts_with("conflict: "));
}

#[tokio::test]
async fn a_secret_reaches_a_container_and_not_the_plugin() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let name = yard.name("web");
    let make =
        json!({ "image": IMAGE, "command": ["/bin/sh", "-c", "printf %s \"$SECRET\" | wc -c; sleep 1000"], "secret": "token", "network": "none" });
    yard.does(json!([{ "create": [name, make] }, { "start": name }])).await;
    crate::support::until("it has its secret", async || yard.does_one(json!({ "log": [name, 1_000] })).await.starts_with("13 in")).await;
    assert!(!yard.does_one(json!({ "look": name })).await.contains("canary"));
}

#[tokio::test]
async fn a_registry_that_is_away_is_no_fault_of_anybody() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let answer = yard.does_one(json!({ "pull": "127.0.0.1:1/hostler/none:1" })).await;
    assert!(answer.starts_with("unavailable: ") && answer.contains("refused"), "{answer}");
    assert!(!answer.contains("hunter2"), "{answer}");
}

#[tokio::test]
async fn a_network_is_made_once() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let (network, name) = (yard.name("net"), yard.name("web"));
    let make = json!({ "image": IMAGE, "command": ["/bin/sleep", "1000"], "networks": [network] });
    let answers = yard.does(json!([{ "network": network }, { "network": network }, { "create": [name, make] }, { "start": name }])).await;
    assert_eq!((answers[0].as_str(), answers[1].as_str(), answers[3].as_str()), ("true", "false", "done"), "{answers:?}");
    let inside = docker(&["inspect", "--format", "{{json .NetworkSettings.Networks}}", &name]);
    assert!(String::from_utf8_lossy(&inside.stdout).contains(&network));
    yard.does_one(json!({ "remove": [name, true] })).await;
    docker(&["network", "rm", &network]);
}

#[tokio::test]
async fn an_end_is_told_at_once() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let mut news = yard.host.runtime.engine_news();
    let name = yard.name("web");
    let make = json!({ "image": IMAGE, "command": ["/bin/sleep", "1000"], "labels": [["hostler.task", "task-1"]], "network": "none" });
    yard.does(json!([{ "create": [name, make] }, { "start": name }])).await;
    let told = async |news: &mut tokio::sync::broadcast::Receiver<hostler_wasm::EngineNews>| loop {
        let heard = news.recv().await.expect("the runtime is there");
        if heard.task.as_deref() == Some("task-1") && heard.plugin == "stevedore" {
            return;
        }
    };
    // the stream of news may have connected after the first start
    let mut starts = 1;
    while tokio::time::timeout(Duration::from_secs(5), told(&mut news)).await.is_err() {
        assert!(starts < 4, "its start is told");
        docker(&["restart", "--time", "0", &name]);
        starts += 1;
    }
    // whatever else is told of the start
    while tokio::time::timeout(Duration::from_millis(300), news.recv()).await.is_ok() {}
    docker(&["kill", &name]);
    tokio::time::timeout(Duration::from_secs(10), told(&mut news)).await.expect("its end is told");
}

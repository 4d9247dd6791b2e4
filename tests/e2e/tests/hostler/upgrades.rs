//! Plugins that change under live tasks.

use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use hostler_e2e::{Yard, fixture, json};

use crate::sleeper;

fn yard_with(names: &[&str]) -> Yard {
    let yard = Yard::new();
    yard.up(&names.iter().map(|name| sleeper(name, "")).collect::<String>());
    yard
}

fn kinds(yard: &Yard) -> Vec<String> {
    yard.events().iter().filter_map(|event| event["kind"].as_str()).filter(|kind| kind.starts_with("plugin-")).map(str::to_owned).collect()
}

#[test]
fn a_hundred_tasks_live_through_an_upgrade_and_a_rollback() {
    let yard = Yard::new();
    let names: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    yard.up(&names.iter().map(|name| sleeper(name, "")).collect::<String>());
    yard.upgrades_and_rolls_back("process", &fixture("process-next"), &names);
    assert_eq!(kinds(&yard), ["plugin-upgraded", "plugin-kept", "plugin-rolled-back"]);
    let process = yard.plugin("process");
    assert_eq!([&process["origin"], &process["upgraded"]], [&json!("built-in"), &json!(null)], "nothing is left of it");
    assert!(yard.run("plugin rollback process").fails(1).contains("nothing to go back to"));
}

#[test]
fn one_that_breaks_while_it_is_watched_is_rolled_back_by_itself() {
    let yard = yard_with(&["a", "b", "fuse"]);
    let names: Vec<String> = ["a", "b"].map(str::to_owned).into();
    let (before, old) = (yard.lives(&names), yard.plugin("process")["digest"].clone());
    yard.run(&format!("plugin upgrade process {} --no-wait", fixture("turncoat").display())).ok();
    assert!(yard.plugin("process")["digest"] != old);
    yard.run("stop fuse --no-wait").ok();
    hostler_e2e::until("it is rolled back", || yard.plugin("process")["digest"] == old);
    let note = yard.plugin("process")["note"].to_string();
    assert!(note.contains("rolled back by itself") && note.contains("the fuse is out"), "{note}");
    assert_eq!(kinds(&yard).last().map(String::as_str), Some("plugin-rolled-back"));
    hostler_e2e::until("its tasks are seen again", || names.iter().all(|name| yard.status(name) == "running"));
    assert_eq!(yard.lives(&names), before);
    yard.until_status("fuse", "stopped");
}

/// Authors build over the file that the configuration names.
#[test]
fn one_that_was_rolled_back_stays_away_when_its_file_is_the_configurations_own() {
    let yard = Yard::new();
    let built_in = hostler_e2e::root().join("target/plugins/process.wasm");
    fs::copy(&built_in, yard.file("own.wasm")).expect("the yard is ours");
    let task = |name: &str| format!("[services.{name}]\nbackend = {{ type = \"own\", binary = \"sleep\", args = [1000] }}\n");
    let plugin = "[plugins.own]\nsource = \"./own.wasm\"\ngrants = { processes = { programs = [\"*\"], users = [\"*\"] } }\n";
    yard.up(&(plugin.to_owned() + &task("a") + &task("fuse")));
    let (pid, old) = (yard.pid("a"), yard.plugin("own")["digest"].clone());
    fs::copy(fixture("turncoat"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("plugin upgrade own ./own.wasm --no-wait").ok();
    yard.run("stop fuse --no-wait").ok();
    hostler_e2e::until("it is rolled back", || yard.plugin("own")["digest"] == old);
    yard.run("apply").ok();
    assert_eq!(yard.plugin("own")["digest"], old, "the same file is no newer wish");
    yard.kill_host();
    yard.serve();
    assert_eq!([&yard.plugin("own")["digest"], &yard.plugin("own")["state"]], [&old, &json!("ok")], "nor is it one for the next host");
    assert_eq!(yard.pid("a"), pid);
    fs::copy(fixture("process-next"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("apply").ok();
    assert_eq!(yard.plugin("own")["plugin_version"], "0.2.0", "another one is");
}

#[test]
fn one_that_sees_live_tasks_otherwise_never_comes_into_force() {
    let yard = yard_with(&["liar", "web"]);
    let old = yard.plugin("process")["digest"].clone();
    let text = yard.run(&format!("plugin upgrade process {}", fixture("turncoat").display())).fails(1);
    assert!(text.contains("-liar-") && text.contains("was running, and would be exited with code 0"), "{text}");
    assert_eq!(yard.plugin("process")["digest"], old);
    assert!(kinds(&yard).is_empty(), "nothing happened");
}

#[test]
fn one_that_wants_more_waits_for_the_operator() {
    let yard = yard_with(&["web"]);
    let (pid, wider) = (yard.pid("web"), fixture("wider"));
    let text = yard.run(&format!("plugin upgrade process {}", wider.display())).fails(5);
    assert!(text.contains("+ imports hostler:host/state@") && text.contains("state = { bytes = \"1Mi\", keys = 256 }"), "{text}");
    assert!(text.contains("needs state: counts how often"), "what it says of it is shown before anybody agrees: {text}");
    assert!(yard.plugin("process")["upgraded"].is_null(), "it waits");
    let grant = json!({ "source": wider, "grants": { "state": { "bytes": 4096, "keys": 8 } } }).to_string();
    let answer = hostler_e2e::request(&yard.socket(), "POST", "/api/v1/plugins/process/upgrade", grant.as_bytes()).expect("a host answers").json();
    assert_eq!(answer["outcome"], "waits", "a grant alone accepts no new need: {answer:#}");
    assert_eq!(answer["difference"]["needs"][0]["what"], "state");
    yard.run(&format!("plugin upgrade process {} --yes --watch 1s", wider.display())).ok();
    let process = yard.plugin("process");
    assert_eq!(process["grants"]["state"]["keys"], 256);
    assert!(process["grants"]["processes"].is_object(), "what it had it keeps");
    assert_eq!(yard.pid("web"), pid);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_changes() {
    let yard = yard_with(&["web"]);
    let refused = |file: &str, code: i32, words: &str| {
        let text = yard.run(&format!("plugin upgrade process {}", fixture(file).display())).fails(code);
        assert!(text.contains(words), "{file}: `{words}` is missing:\n{text}");
    };
    refused("files/truncated", 1, "does not load");
    refused("always", 1, "it is a health check, and was a backend");
    refused("scratch", 5, "waits for you");
    let text = yard.run(&format!("plugin upgrade process {} --yes", fixture("scratch").display())).fails(1);
    assert!(text.contains("unknown key `binary`") || text.contains("settings"), "{text}");
    assert!(yard.run("plugin upgrade nobody /dev/null").fails(1).contains("there is no plugin `nobody`"));
    assert!(yard.run("plugin upgrade process ./not-there.wasm").fails(2).contains("not-there.wasm cannot be read"));
    assert!(yard.plugin("process")["upgraded"].is_null());
    assert_eq!(yard.status("web"), "running");
}

#[test]
fn another_component_in_the_configuration_is_a_newer_wish() {
    let yard = Yard::new();
    let task = "[services.task]\nbackend = { type = \"own\", binary = \"sleep\", args = [1000] }\n";
    let plugin = "[plugins.own]\nsource = \"./own.wasm\"\ngrants = { processes = { programs = [\"*\"], users = [\"*\"] } }\n";
    let built_in = hostler_e2e::root().join("target/plugins/process.wasm");
    fs::copy(&built_in, yard.file("own.wasm")).expect("the yard is ours");
    yard.up(&(plugin.to_owned() + task));
    let (pid, first) = (yard.pid("task"), yard.plugin("own")["digest"].clone());
    yard.run(&format!("plugin upgrade own {} --watch 1s", fixture("turncoat").display())).ok();
    let turncoat = yard.plugin("own")["digest"].clone();
    fs::copy(fixture("process-next"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("apply").ok();
    let now = yard.plugin("own");
    assert!(now["digest"] != turncoat && now["digest"] != first && now["upgraded"].is_null(), "{now:#}");
    assert_eq!(kinds(&yard).last().map(String::as_str), Some("plugin-reset"));
    assert_eq!(yard.pid("task"), pid);
    let pinned = plugin.replace("grants", &format!("digest = {}\ngrants", now["digest"]));
    yard.config(&(pinned + task));
    yard.run("apply").ok();
    let text = yard.run(&format!("plugin upgrade own {}", built_in.display())).fails(1);
    assert!(text.contains("pins plugin `own`"), "{text}");
}

#[test]
fn an_apply_does_not_end_the_watch() {
    let yard = Yard::new();
    let services = ["a", "fuse"].map(|name| sleeper(name, "")).concat();
    yard.up(&services);
    let (pid, old) = (yard.pid("a"), yard.plugin("process")["digest"].clone());
    yard.run(&format!("plugin upgrade process {} --no-wait --watch 60s", fixture("turncoat").display())).ok();
    yard.config(&format!("[plugins.process]\nlimits = {{ log_lines = 99 }}\n{services}"));
    yard.run("apply").ok();
    assert!(yard.plugin("process")["digest"] != old && yard.plugin("process")["upgraded"]["watched"] == true, "{:#}", yard.plugin("process"));
    yard.run("stop fuse --no-wait").ok();
    hostler_e2e::until("it is rolled back", || yard.plugin("process")["digest"] == old);
    assert_eq!(yard.pid("a"), pid);
}

#[test]
fn what_an_earlier_revision_was_granted_it_has_after_a_rollback_and_a_restart() {
    let yard = yard_with(&["web"]);
    let pid = yard.pid("web");
    let base = hostler_e2e::root().join("target/plugins/process.wasm");
    let more = "--grant state={keys=8} --yes --watch 1s";
    yard.run(&format!("plugin upgrade process {} {more}", base.display())).ok();
    yard.run(&format!("plugin upgrade process {} --watch 1s", fixture("process-next").display())).ok();
    yard.run("plugin rollback process").ok();
    assert_eq!(yard.plugin("process")["grants"]["state"]["keys"], 8);
    yard.kill_host();
    yard.serve();
    assert_eq!(yard.plugin("process")["grants"]["state"]["keys"], 8, "it is the revision that it was");
    assert_eq!(yard.pid("web"), pid);
}

/// Each try lets go of the host at another moment; among thirty, some go between the wish and the answer.
#[test]
fn an_upgrade_is_watched_though_whoever_asked_has_gone() {
    let yard = yard_with(&["web"]);
    let components = [fixture("process-next"), hostler_e2e::root().join("target/plugins/process.wasm")];
    let ask = |component: &std::path::Path| {
        let body = json!({ "source": component, "accept": true, "watch_ms": 1 }).to_string();
        let mut socket = std::os::unix::net::UnixStream::connect(yard.socket()).expect("a host listens");
        let head = format!("POST /api/v1/plugins/process/upgrade HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all((head + &body).as_bytes()).expect("it is taken");
        socket
    };
    let watched = || yard.plugin("process")["upgraded"]["watched"] == true;
    let mut took = Duration::ZERO;
    for component in [&components[0], &components[1], &components[0]] {
        let begun = Instant::now();
        ask(component).read_exact(&mut [0; 12]).expect("an answer");
        took = begun.elapsed();
        hostler_e2e::until("it was watched", || !watched());
    }
    for count in 1..=30 {
        let mut socket = ask(&components[count % 2]);
        socket.set_read_timeout(Some(took.mul_f64(0.5 + 0.02 * (count as f64)).max(Duration::from_millis(1)))).expect("a time");
        // until that moment there is no answer, or there is one: either is fine
        let _ = socket.read(&mut [0; 12]);
        drop(socket);
        hostler_e2e::until("it was watched", || !watched());
    }
}

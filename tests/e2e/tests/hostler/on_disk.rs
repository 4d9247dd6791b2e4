//! The operator's view on disk, and the logs.

use std::fs;
use std::process::Command;

use hostler_e2e::{Ran, Value, Yard, kill, program, until};

use crate::{script, sleeper};

#[test]
fn the_view_of_a_service_stands_on_disk_and_follows_it() {
    let yard = Yard::new();
    let check = "health_check = { type = \"command\", command = \"test\", args = [\"!\", \"-f\", \"ill\"], interval = \"50ms\", failure_threshold = 2 }\nrestart = { backoff = { initial = \"10ms\", jitter = 0 } }";
    yard.up(&sleeper("db", check));
    let file = |name: &str| yard.read(&format!("state/services/db/{name}"));
    let pid = yard.pid("db");
    until("the pid stands there", || file("pid").trim() == pid.to_string());
    until("the health stands there", || file("health.log").contains("unknown -> healthy"));
    let config = file("config.yaml");
    assert!(config.starts_with("services:\n  db:\n") && config.contains("binary: sleep"), "{config}");
    until("the state stands there", || {
        hostler_e2e::parse::<Value>(&file("state.json"))
            .is_ok_and(|state| state["service"]["status"] == "running" && state["service"]["health"] == "healthy")
    });

    yard.write("again.yaml", config);
    let plan = yard.run("plan again.yaml --json").json();
    assert_eq!(plan["changes"][0]["change"], "unchanged", "what stands there can be applied as it is: {plan:#}");

    kill(pid);
    let pid = yard.until_again("db", pid);
    until("the new pid stands there", || file("pid").trim() == pid.to_string());
    yard.run("stop db").ok();
    until("there is no pid any more", || file("pid").trim().is_empty());
    yard.run("down").ok();
    until("nothing of it is left", || !yard.state().join("services/db").exists());
}

#[test]
fn the_view_is_never_read_back() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let db = yard.pid("db");
    until("the pid stands there", || !yard.read("state/services/db/pid").is_empty());
    fs::write(yard.state().join("services/db/pid"), "1\n").expect("the state is ours");
    fs::write(yard.state().join("services/db/state.json"), "{").expect("the state is ours");
    fs::write(yard.state().join("services/db/config.yaml"), "services: {db: {enabled: false}}").expect("the state is ours");
    yard.kill_host();
    yard.serve();
    assert_eq!((yard.status("db").as_str(), yard.pid("db")), ("running", db));
    yard.run("restart db").ok();
    let again = yard.pid("db").to_string();
    until("it is written anew", || yard.read("state/services/db/pid").trim() == again);
}

/// Writes numbered lines to both outputs, and stays.
fn numbers(yard: &Yard) -> String {
    script(
        yard,
        "talk",
        "for n in 1 2 3 4 5 6 7 8 9 10; do echo line $n; done; echo trouble >&2; while [ ! -f more ]; do sleep 0.02; done; echo more; exec sleep 1000",
        "",
    )
}

#[test]
fn logs_have_a_tail_and_a_beginning() {
    let yard = Yard::new();
    yard.up(&(numbers(&yard) + &sleeper("calm", "")));
    until("all of it is written", || yard.log("talk").len() == 11);
    let text = yard.run("logs talk").ok();
    let mut lines: Vec<&str> = text.lines().filter(|line| *line != "trouble").collect();
    assert_eq!(lines, (1..=10).map(|number| format!("line {number}")).collect::<Vec<_>>());
    lines.clear();
    let tail = yard.run("logs talk --tail 3").ok();
    assert_eq!(tail.lines().count(), 3, "{tail}");
    assert!(tail.contains("line 10") && !tail.contains("line 7"), "{tail}");
    assert_eq!(yard.run("logs talk -n 0").ok(), "");
    assert_eq!(yard.run("logs talk --since 1h").ok(), text);
    assert_eq!(yard.run("logs talk --since 2099-01-01T00:00:00Z").ok(), "");
    yard.run("logs talk --since yesterday").fails(2);
    assert_eq!(yard.run("logs calm").ok(), "", "who says nothing has an empty log");
    let origins: Vec<Value> =
        yard.run("logs talk --json").documents().iter().filter(|item| item["text"] == "trouble").map(|item| item["origin"].clone()).collect();
    assert_eq!(origins, ["err"]);
    let stamped = yard.run("logs talk --timestamps --tail 1").ok();
    assert!(stamped.split_whitespace().count() > stamped.trim().split(' ').count().min(1), "{stamped}");
    let all = yard.run("logs").ok();
    assert!(all.lines().any(|line| line.contains("talk") && line.ends_with("line 1")), "several services are told apart: {all}");
}

#[test]
fn logs_of_more_services_than_there_are_descriptors_are_read_some_at_a_time() {
    let yard = Yard::new();
    let many: String = (0..150).map(|number| sleeper(&format!("s{number:03}"), "enabled = false")).collect();
    yard.up(&(script(&yard, "first", "echo hello", "restart = \"never\"") + &many + &script(&yard, "talk", "echo more; exec sleep 1000", "")));
    until("both have written", || yard.log("first").len() == 1 && yard.log("talk").len() == 1);
    let line = format!("ulimit -n 130; {} logs --state-dir {}", program().display(), yard.state().display());
    let text = Ran::of(Command::new("bash").args(["-c", &line])).ok();
    assert_eq!(text, "first | hello\ntalk  | more\n");
    let text = yard.run("logs -f").fails(2);
    assert!(text.contains("152 services are too many to follow") && text.contains("hint: name at most 100"), "{text}");
}

#[test]
fn the_hosts_own_log_keeps_one_old_one() {
    let yard = Yard::new();
    let full = 10 << 20;
    yard.write("state/host.log", vec![b'x'; full]);
    yard.up(&sleeper("db", ""));
    assert_eq!(yard.read("state/host.log.1").len(), full, "what was too long is put aside");
    let text = yard.read("state/host.log");
    assert!(text.contains("serves") && !text.starts_with('x'), "a new one was begun");

    yard.run("down").ok();
    yard.write("state/host.log", vec![b'y'; full - 1]);
    let mut command = yard.command("up --detach");
    Ran::of(command.env("HOSTLER_LOG", "debug")).ok();
    until("it is put aside by a host that writes", || yard.read("state/host.log.1").starts_with('y'));
    assert!(!yard.read("state/host.log").starts_with('y'), "and another one is begun");
}

#[test]
fn logs_are_followed_over_a_restart() {
    let yard = Yard::new();
    yard.up(&numbers(&yard));
    let live = yard.stay("logs talk -f");
    live.says("line 10");
    yard.write("more", "");
    live.says("more");
    yard.run("restart talk").ok();
    until("the second life is heard, too", || live.said().matches("line 10").count() == 2);
    yard.run("down").ok();
    let (code, said) = live.ends();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("line 3\n").count(), 2, "no line is doubled: {said}");
}

#[test]
fn events_are_followed_and_end_with_the_host() {
    let yard = Yard::new();
    yard.up(&sleeper("db", "restart = { backoff = { initial = \"10ms\", jitter = 0 } }"));
    let live = yard.stay("events --follow --json");
    live.says("\"kind\":\"started\"");
    kill(yard.pid("db"));
    live.says("\"kind\":\"restarting\"");
    until("it is started again", || live.said().matches("\"kind\":\"started\"").count() == 2);
    yard.run("down").ok();
    let (code, said) = live.ends();
    assert_eq!(code, 0, "{said}");
    let seqs: Vec<u64> = said.lines().filter_map(|line| hostler_e2e::parse::<Value>(line).ok()?["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<u64>>(), "{said}");
    assert!(said.contains("\"kind\":\"stopped\""), "the last stop is told: {said}");
}

#[test]
fn a_service_may_be_called_host() {
    let yard = Yard::new();
    yard.up(&(sleeper("host", "") + &sleeper("all", "dependencies = [\"host\"]")));
    assert_eq!([yard.status("host"), yard.status("all")], ["running", "running"]);
    assert!(yard.story("host").iter().any(|line| line.starts_with("started")), "{:#?}", yard.events());
}

#[test]
fn logs_rotate_and_the_rest_goes_on() {
    let yard = Yard::new();
    let text = "head -c 60000000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo the end; touch written; exec sleep 1000";
    yard.up(&script(&yard, "loud", text, ""));
    until("it has written", || yard.file("written").exists());
    until("its last line is kept", || yard.run("logs loud --tail 1").ok() == "the end\n");
    let logs = walk(&yard.state().join("keeper/logs"));
    assert!(logs <= 52 << 20, "five times 10 MiB and a little: {logs}");
}

fn walk(dir: &std::path::Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { entry.metadata().map_or(0, |about| about.len()) }).sum()
}

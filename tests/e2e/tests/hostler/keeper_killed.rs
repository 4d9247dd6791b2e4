//! `kill -9` of the keeper, which holds the processes: the rarest of accidents.

use hostler_e2e::{Yard, alive, children, descendants, kill, until};

use crate::{script, sleeper};

#[test]
fn children_go_on_and_nothing_is_doubled() {
    let yard = Yard::new();
    let text = "echo start >> db.starts; n=0; while :; do n=$((n + 1)); echo $n > db.tick; sleep 0.02; done";
    yard.up(&(script(&yard, "db", text, "") + &sleeper("web", "dependencies = [\"db\"]")));
    let (keeper, pids) = (yard.keeper_pid(), [yard.pid("db"), yard.pid("web")]);
    kill(keeper);
    until("there is another keeper", || yard.get("/host").is_some_and(|host| host["keeper"]["pid"].is_u64() && host["keeper"]["pid"] != keeper));
    until("both are known to run", || ["db", "web"].iter().all(|name| yard.status(name) == "running"));
    assert_eq!([yard.pid("db"), yard.pid("web")], pids, "the same processes");
    assert!(pids.into_iter().all(alive));
    assert_eq!(yard.read("db.starts"), "start\n");
    let before = yard.read("db.tick");
    until("it goes on", || yard.read("db.tick") != before);
    assert_eq!([&yard.service("db")["restart_count"], &yard.service("web")["restart_count"]], [0, 0]);

    yard.run("down").ok();
    until("nothing is left", || !pids.into_iter().any(alive) && yard.processes().is_empty());
}

#[test]
fn what_ends_without_a_keeper_is_noticed_and_restarted() {
    let yard = Yard::new();
    yard.up(&sleeper("db", "restart = { backoff = { initial = \"10ms\", jitter = 0 } }"));
    let db = yard.pid("db");
    kill(yard.keeper_pid());
    kill(db);
    let again = yard.until_again("db", db);
    until("the new one is held by the new keeper", || children(yard.keeper_pid()).contains(&again));
    assert_eq!(yard.service("db")["restart_count"], 1);
}

#[test]
fn host_and_keeper_at_once_cost_no_process() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    let (host, keeper, pids) = (yard.host_pid(), yard.keeper_pid(), [yard.pid("db"), yard.pid("web")]);
    kill(host);
    kill(keeper);
    assert!(pids.into_iter().all(alive));
    yard.serve();
    until("both are known to run", || ["db", "web"].iter().all(|name| yard.status(name) == "running"));
    assert_eq!([yard.pid("db"), yard.pid("web")], pids);
    yard.run("stop").ok();
    assert!(!pids.into_iter().any(alive));
}

#[test]
fn a_stop_reaches_a_tree_that_an_earlier_keeper_started() {
    let yard = Yard::new();
    yard.script("grandchild.sh", "trap '' TERM; echo $$ > grandchild.pid; while :; do sleep 0.05; done");
    yard.up(&script(&yard, "db", "./grandchild.sh & while :; do sleep 0.05; done", "stop = { grace = \"200ms\" }"));
    until("the grandchild is there", || yard.read("grandchild.pid").ends_with('\n'));
    let family: Vec<u32> = descendants(yard.pid("db")).into_iter().chain([yard.pid("db")]).collect();
    kill(yard.keeper_pid());
    until("there is another keeper", || yard.get("/host").is_some_and(|host| host["keeper"]["running"] == true));
    yard.until_status("db", "running");
    yard.run("stop db").ok();
    let grandchild: u32 = yard.read("grandchild.pid").trim().parse().expect("its pid");
    assert!(!alive(grandchild), "nothing alive when stop returns");
    until("nothing of it is left", || !family.iter().any(|pid| alive(*pid)));
}

#[test]
fn what_the_keeper_holds_is_not_asked_about_all_the_time() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let db = yard.pid("db");
    // A status would ask for what it uses.
    let has_run_for =
        |ms: u64| until("it has run for a while", || yard.get("/services").is_some_and(|list| list["services"][0]["uptime_ms"].as_u64() > Some(ms)));
    let calls = || yard.get("/plugins/process").and_then(|answer| answer["plugin"]["counters"]["calls"].as_u64()).expect("it is loaded");
    has_run_for(2_500);
    let before = calls();
    has_run_for(6_500);
    assert!(calls() <= before + 1, "{} calls in 4 s", calls() - before);
    kill(db);
    let again = yard.until_again("db", db);
    kill(yard.keeper_pid());
    kill(again);
    yard.until_again("db", again);
}

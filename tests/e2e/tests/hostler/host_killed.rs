//! `kill -9` of the host, at any moment: what it had promised is taken up by the next one.

use hostler_e2e::{Page, Yard, alive, kill, until};

use crate::{script, sleeper};

/// A service that counts its starts in a file, and time in its log.
fn counter(yard: &Yard, name: &str, more: &str) -> String {
    let text = format!("echo start >> {name}.starts; n=0; while :; do n=$((n + 1)); echo tick $n; echo $n > {name}.tick; sleep 0.02; done");
    script(yard, name, &text, more)
}

fn tick(yard: &Yard, name: &str) -> u64 {
    yard.read(&format!("{name}.tick")).trim().parse().unwrap_or(0)
}

/// The numbers in its log, which go up by one from 1.
#[track_caller]
fn holds_every_tick(yard: &Yard, name: &str) -> usize {
    let lines = yard.log(name);
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!(line, &format!("tick {number}"), "a line is lost or doubled");
    }
    lines.len()
}

#[test]
fn ten_kills_in_a_row_cost_nothing() {
    let yard = Yard::new();
    let page = Page::new(yard.path(), "page");
    let web = format!(
        "[services.web]\nbackend = {}\ndependencies = [\"db\"]\n\
         health_check = {{ type = \"http\", url = \"{}\", interval = \"200ms\", start_period = \"1m\" }}\n",
        page.backend(),
        page.url()
    );
    let done = script(&yard, "migrate", "echo start >> migrate.starts", "kind = \"oneshot\"");
    yard.up(&(counter(&yard, "db", "dependencies = [\"migrate\"]") + &counter(&yard, "worker", "dependencies = [\"db\"]") + &web + &done));
    let names = ["db", "worker", "web"];
    let (pids, keeper) = (names.map(|name| yard.pid(name)), yard.keeper_pid());
    let runs = names.map(|name| yard.detail(name)["replicas"][0]["run"].clone());
    for round in 0..10 {
        yard.kill_host();
        let seen = tick(&yard, "db");
        until("services go on without a host", || tick(&yard, "db") > seen);
        if round % 2 == 0 {
            yard.serve();
        } else {
            yard.run("up --detach").ok();
        }
        assert_eq!(names.map(|name| yard.pid(name)), pids, "after kill {round}");
    }
    assert_eq!(yard.keeper_pid(), keeper);
    assert_eq!(names.map(|name| yard.detail(name)["replicas"][0]["run"].clone()), runs);
    for name in ["db", "worker", "migrate"] {
        assert_eq!(yard.read(&format!("{name}.starts")), "start\n", "{name} was started once");
    }
    for name in names {
        let service = yard.service(name);
        assert_eq!([&service["restart_count"], &service["failure_count"]], [0, 0], "{service:#}");
    }
    assert_eq!(yard.status("migrate"), "completed");
    assert_eq!(yard.service("web")["health"], "healthy");
    let turns = yard.story("web").iter().filter(|line| line.starts_with("health-changed")).count();
    assert_eq!(turns, 1, "no healthy service turns unhealthy because of it: {:#?}", yard.story("web"));
    let ticks = [holds_every_tick(&yard, "db"), holds_every_tick(&yard, "worker")];
    assert!(ticks.into_iter().all(|count| count > 20), "{ticks:?}");
    let seqs: Vec<u64> = yard.events().iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<u64>>());
}

#[test]
fn ten_kills_in_the_middle_of_starting_start_nothing_twice() {
    let yard = Yard::new();
    let names: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    let chain = |number: usize| {
        let needs = if number == 0 { String::new() } else { format!("dependencies = [\"s{}\"]", number - 1) };
        counter(&yard, &names[number], &needs)
    };
    yard.config(&(0..8).map(chain).collect::<String>());
    let mut host = yard.stay("serve hostler.toml");
    until("it has accepted the file", || {
        yard.get("/services").is_some_and(|list| list["services"].as_array().is_some_and(|services| services.len() == 8))
    });
    for _ in 0..10 {
        let started = yard.processes().len();
        // As soon as there is one more: in the middle of the next start.
        let deadline = std::time::Instant::now() + std::time::Duration::from_millis(200);
        while yard.processes().len() <= started && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        kill(host.pid());
        drop(host);
        host = yard.stay("serve");
    }
    until(&format!("all of them run; the last host says: {}", host.said()), || {
        names.iter().all(|name| yard.get(&format!("/services/{name}")).is_some_and(|detail| detail["service"]["status"] == "running"))
    });
    for name in &names {
        until("it has begun", || tick(&yard, name) > 0);
        assert_eq!(yard.read(&format!("{name}.starts")), "start\n", "{name}: {:#?}", yard.story(name));
    }
    assert_eq!(host.pid(), yard.host_pid());
}

#[test]
fn what_ends_while_the_host_is_away_is_seen_by_the_next_one() {
    let yard = Yard::new();
    let once = script(&yard, "job", "echo start >> job.starts; while [ ! -f go ]; do sleep 0.02; done; exit 0", "kind = \"oneshot\"");
    let fails = script(&yard, "fails", "while [ ! -f go ]; do sleep 0.02; done; exit 9", "restart = \"never\"");
    let quick = "restart = { backoff = { initial = \"10ms\", jitter = 0 } }";
    yard.config(&(once + &fails + &sleeper("db", quick)));
    // A one-shot under way is not at its end: `up` would wait for it.
    yard.run("up --detach --timeout 300ms").fails(1);
    let [job, _, db] = ["job", "fails", "db"].map(|name| yard.pid(name));
    yard.kill_host();
    yard.write("go", "");
    kill(db);
    until("the job has ended", || !alive(job));
    yard.serve();
    yard.until_status("job", "completed");
    yard.until_status("fails", "failed");
    yard.until_again("db", db);
    assert!(yard.service("fails")["cause"].as_str().is_some_and(|cause| cause.contains("exited with code 9")), "{:#}", yard.service("fails"));
    assert_eq!(yard.detail("db")["replicas"][0]["last_exit"]["signal"], "SIGKILL");
    assert_eq!(yard.service("db")["restart_count"], 1);

    yard.kill_host();
    yard.serve();
    assert_eq!([yard.status("job"), yard.status("fails")], ["completed", "failed"]);
    assert_eq!(yard.read("job.starts"), "start\n", "a completed one-shot is not run again");
}

#[test]
fn a_backoff_goes_on_where_it_was() {
    let yard = Yard::new();
    yard.config(&script(&yard, "db", "echo start >> db.starts; exit 1", "restart = { backoff = { initial = \"1h\", max = \"1h\", jitter = 0 } }"));
    yard.run("up --detach --timeout 300ms");
    let before = yard.until_service("db", "it waits", |service| service["next"]["what"] == "restart");
    yard.kill_host();
    yard.serve();
    let after = yard.until_service("db", "it waits again", |service| service["next"]["what"] == "restart");
    assert_eq!(after["restart_attempts"], before["restart_attempts"]);
    let (before, after) = (before["next"]["in_ms"].as_u64().unwrap_or(0), after["next"]["in_ms"].as_u64().unwrap_or(0));
    assert!(after <= before && before - after < 60_000, "{before} then {after}");
    assert_eq!(yard.read("db.starts"), "start\n");
}

#[test]
fn health_and_budget_outlive_the_host() {
    let yard = Yard::new();
    let check = "health_check = { type = \"command\", command = \"test\", args = [\"!\", \"-f\", \"ill\"], interval = \"100ms\", auto_recovery = false }\n\
                 restart = { max_attempts = 5, backoff = { initial = \"10ms\", jitter = 0 } }";
    yard.up(&sleeper("db", check));
    let db = yard.pid("db");
    kill(db);
    let db = yard.until_again("db", db);
    yard.write("ill", "");
    yard.until_service("db", "it is ill", |service| service["health"] == "unhealthy");
    yard.kill_host();
    yard.serve();
    let service = yard.service("db");
    assert_eq!((service["health"].as_str(), yard.pid("db")), (Some("unhealthy"), db), "{service:#}");
    assert_eq!([&service["restart_count"], &service["restart_attempts"], &service["failure_count"]], [1, 1, 1]);
}

#[test]
fn a_stop_under_way_is_finished_by_the_next_host() {
    let yard = Yard::new();
    let text = "trap 'while [ ! -f go ]; do sleep 0.02; done; echo ended > ended; exit 0' TERM; touch hears; while :; do sleep 0.02; done";
    yard.up(&(script(&yard, "db", text, "stop = { grace = \"1h\" }") + &sleeper("other", "")));
    until("it hears", || yard.file("hears").exists());
    let db = yard.pid("db");
    yard.run("stop db --no-wait").ok();
    yard.until_status("db", "stopping");
    yard.kill_host();
    yard.serve();
    assert_ne!(yard.status("db"), "running");
    yard.write("go", "");
    yard.until_status("db", "stopped");
    assert!(!alive(db));
    assert_eq!(yard.read("ended"), "ended\n");
}

#[test]
fn removed_while_the_host_was_down_is_stopped_by_the_next_one() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    let (db, web) = (yard.pid("db"), yard.pid("web"));
    yard.kill_host();
    yard.config(&sleeper("db", ""));
    yard.run("up --detach").ok();
    until("what nobody wants is gone", || !alive(web));
    // The host hears of the end a moment after it.
    until("nobody speaks of it any more", || yard.get("/services/web").is_none());
    assert_eq!((yard.status("db").as_str(), yard.pid("db")), ("running", db));
}

//! What follows an end that nobody asked for.

use hostler_e2e::{Yard, kill, until};

use crate::{script, sleeper};

// A service without a check is up as soon as it runs: whether `up` still sees it end is chance, and not what is asked here.

/// A policy that does not let tests wait.
const QUICK: &str = "restart = { max_attempts = 2, backoff = { initial = \"10ms\", jitter = 0 } }";

#[test]
fn what_is_killed_comes_back_and_is_counted() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", QUICK) + &sleeper("web", "dependencies = [\"db\"]")));
    let (db, web) = (yard.pid("db"), yard.pid("web"));
    kill(db);
    yard.until_again("db", db);
    let service = yard.service("db");
    assert_eq!([&service["restart_count"], &service["restart_attempts"], &service["failure_count"]], [1, 1, 1], "{service:#}");
    assert!(service["last_restart_at"].is_string() && service["last_failure_at"].is_string());
    assert_eq!(yard.pid("web"), web, "who needs it goes on");
    let detail = yard.detail("db");
    assert_eq!(detail["replicas"][0]["last_exit"]["signal"], "SIGKILL", "{detail:#}");
    let story = yard.story("db");
    assert!(story.iter().any(|line| line.starts_with("exited: was ended by SIGKILL")), "{story:#?}");
    assert!(story.iter().any(|line| line.starts_with("restarting: ") && line.contains("restart 1 of 2 in 10ms")), "{story:#?}");
}

#[test]
fn the_wait_before_a_restart_is_explained_with_its_end() {
    let yard = Yard::new();
    let more = "restart = { backoff = { initial = \"1h\", max = \"2h\", jitter = 0 } }\nhealth_check = { type = \"command\", command = \"false\" }";
    let db = script(&yard, "db", "exit 3", more);
    yard.config(&(db + &sleeper("web", "dependencies = [\"db\"]")));
    yard.run("up --detach --timeout 500ms").fails(1);
    yard.until_service("db", "it waits", |service| service["next"]["what"] == "restart");
    let explanation = yard.run("explain db --json").json();
    assert_eq!(explanation["because"][0], "waits before a restart: exited with code 3");
    let left = explanation["next"]["in_ms"].as_u64().expect("it is known when");
    assert!((3_500_000..=3_600_000).contains(&left), "{explanation:#}");
    assert!(explanation["next"]["at"].is_string());
    let text = yard.run("explain web").ok();
    assert!(text.contains("db waits before a restart: exited with code 3") && text.contains("next: restart in 59m"), "{text}");
    assert!(yard.run("ps").ok().contains("restart in 59m"));

    yard.run("start db --no-wait").ok();
    until("a start by hand does not wait", || yard.service("db")["failure_count"].as_u64() > Some(1));
}

#[test]
fn waits_double_up_to_the_longest() {
    let yard = Yard::new();
    let policy = "restart = { max_attempts = 4, backoff = { initial = \"20ms\", factor = 2, max = \"50ms\", jitter = 0 } }";
    yard.config(&script(&yard, "db", "exit 1", policy));
    yard.run("up --detach");
    yard.until_status("db", "failed");
    let waits: Vec<String> = yard.story("db").into_iter().filter(|line| line.starts_with("restarting")).collect();
    let ends: Vec<&str> = waits.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(ends, ["20ms", "40ms", "50ms", "50ms"], "{waits:#?}");
}

#[test]
fn a_used_up_budget_parks_it_until_somebody_forces() {
    let yard = Yard::new();
    yard.config(&script(&yard, "db", "echo tried >> tries; [ -f well ] && exec sleep 1000; exit 1", QUICK));
    yard.run("up --detach");
    yard.until_status("db", "failed");
    assert_eq!(yard.read("tries").lines().count(), 3, "once, and two restarts");
    let explanation = yard.run("explain db").ok();
    for part in ["db is failed", "exited with code 1", "it was restarted 2 times in a row, which is its limit", "restart --force db"] {
        assert!(explanation.contains(part), "`{part}` is missing:\n{explanation}");
    }

    let text = yard.run("restart db").fails(1);
    assert!(text.contains("service `db` failed") && text.contains("hint: `hostler restart --force db`"), "{text}");
    assert_eq!(yard.read("tries").lines().count(), 3, "a refusal starts nothing");

    yard.write("well", "");
    yard.run("restart --force db").ok();
    let service = yard.service("db");
    assert_eq!([&service["status"], &service["restart_attempts"]], [&"running".into(), &hostler_e2e::json!(0)], "the count begins anew: {service:#}");
}

#[test]
fn a_task_without_checks_has_to_prove_itself_before_it_is_called_up() {
    let yard = Yard::new();
    let never = "restart = { policy = \"never\" }";
    yard.config(&(script(&yard, "db", "exec sleep 1000", "") + &script(&yard, "web", "sleep 0.1; exit 3", never)));
    // Where the machine stands still for as long as the proof takes, the end is heard too late: once more, then.
    let up = (0..3).find_map(|_| {
        let ran = yard.run("up --detach");
        let is_late = ran.code == 0;
        if is_late {
            yard.run("down").ok();
        }
        (!is_late).then_some(ran)
    });
    let text = up.expect("what ends at once is never up").fails(1);
    assert!(text.contains("web is failed") && text.contains("exited with code 3"), "{text}");
    assert_eq!(yard.status("db"), "running");
    assert!((0..3).any(|_| yard.run("start web").code == 1), "nor is it after a start by hand");
    yard.run("start db").ok();
}

#[test]
fn each_policy_knows_its_ends() {
    let yard = Yard::new();
    let ends = |name: &str, code: u8, policy: &str| {
        script(
            &yard,
            name,
            &format!("echo x >> {name}.tries; exit {code}"),
            &format!("restart = {{ policy = \"{policy}\", max_attempts = 1, backoff = {{ initial = \"5ms\", jitter = 0 }} }}"),
        )
    };
    let config = [("a", 0, "always"), ("b", 0, "on-failure"), ("c", 1, "on-failure"), ("d", 0, "never"), ("e", 1, "never")]
        .map(|(name, code, policy)| ends(name, code, policy));
    yard.config(&config.concat());
    yard.run("up --detach");
    for name in ["a", "b", "c", "d", "e"] {
        yard.until_service(name, "it is at its end", |service| service["status"] == "failed" || service["status"] == "completed");
    }
    let facts = ["a", "b", "c", "d", "e"].map(|name| (yard.status(name), yard.read(&format!("{name}.tries")).lines().count()));
    let wanted = [("failed", 2), ("completed", 1), ("failed", 2), ("completed", 1), ("failed", 1)].map(|(status, tries)| (status.to_owned(), tries));
    assert_eq!(facts, wanted);
}

#[test]
fn a_good_run_starts_the_count_anew() {
    let yard = Yard::new();
    let policy = "restart = { max_attempts = 1, backoff = { initial = \"5ms\", jitter = 0 }, reset_after = \"200ms\" }";
    yard.up(&sleeper("db", policy));
    for life in 1..=3 {
        let pid = yard.pid("db");
        yard.until_service("db", "it ran well for long enough", |service| {
            service["restart_attempts"] == 0 && service["uptime_ms"].as_u64() > Some(250)
        });
        kill(pid);
        yard.until_again("db", pid);
        assert_eq!(yard.service("db")["restart_count"], life);
    }
    let pid = yard.pid("db");
    kill(pid);
    yard.until_service("db", "it failed, or came back", |service| service["status"] == "failed" || service["pid"] != pid && service["pid"].is_u64());
}

#[test]
fn unhealthy_but_alive_is_restarted() {
    let yard = Yard::new();
    // Each life is ill until the test makes it well.
    let quick = QUICK.replace("max_attempts = 2", "max_attempts = 100");
    let check = |more: &str| {
        format!(
            "health_check = {{ type = \"command\", command = \"test\", args = [\"!\", \"-f\", \"ill\"], interval = \"50ms\", failure_threshold = 2, recovery_threshold = 1{more} }}\n{quick}"
        )
    };
    yard.up(&(sleeper("db", &check("")) + &sleeper("calm", &check(", auto_recovery = false"))));
    let (db, calm) = (yard.pid("db"), yard.pid("calm"));
    yard.write("ill", "");
    until("it is stopped for its health", || yard.service("db")["pid"] != db);
    std::fs::remove_file(yard.file("ill")).expect("it is ours");
    yard.until_again("db", db);
    assert!(!hostler_e2e::alive(db));
    assert_eq!(yard.pid("calm"), calm, "who does not want it is left alone");
    let story = yard.story("db");
    assert!(story.iter().any(|line| line.starts_with("stopping: ") && line.contains("unhealthy")), "{story:#?}");
    assert!(story.iter().any(|line| line.starts_with("restarting: ")), "{story:#?}");
}

#[test]
fn a_restart_by_hand_is_another_process() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "dependencies = [\"db\"]")));
    let (db, web) = (yard.pid("db"), yard.pid("web"));
    yard.run("restart web").ok();
    assert_ne!(yard.pid("web"), web);
    assert_eq!(yard.pid("db"), db);
    let list = yard.run("restart web --json").json();
    assert_eq!(list["services"][0]["status"], "running");
    let accepted = yard.run("restart web --no-wait --json").json();
    assert_eq!(accepted["services"][0], "web");
}

#[test]
fn a_restart_of_all_means_what_is_to_run() {
    let yard = Yard::new();
    let never = "restart = \"never\"";
    yard.config(
        &(sleeper("web", "")
            + &sleeper("rests", "")
            + &script(&yard, "once", "echo x >> runs", "kind = \"oneshot\"")
            + &script(&yard, "broken", "echo x >> tries; exit 1", never)),
    );
    yard.run("up --detach");
    yard.until_status("broken", "failed");
    yard.run("stop rests").ok();
    let web = yard.pid("web");
    let request = yard.run("restart --no-wait --json").json();
    assert_eq!(request["services"], hostler_e2e::json!(["web"]));
    assert_ne!(yard.until_again("web", web), web);
    assert_eq!(["rests", "once", "broken"].map(|name| yard.status(name)), ["stopped", "completed", "failed"]);
    yard.run("restart --force --no-wait").ok();
    until("what has failed is tried again", || yard.read("tries").lines().count() == 2);
    assert_eq!((yard.status("rests").as_str(), yard.read("runs").lines().count()), ("stopped", 1));
}

#[test]
fn a_stop_ends_every_wait() {
    let yard = Yard::new();
    let waits = "restart = { max_attempts = \"unlimited\", backoff = { initial = \"300ms\", factor = 1, jitter = 0 } }";
    let never = "health_check = { type = \"command\", command = \"false\", interval = \"50ms\", failure_threshold = 1000 }";
    let config = script(&yard, "backs-off", "echo x >> starts; exit 1", waits)
        + &sleeper("unjudged", never)
        + &sleeper("waits", "dependencies = [\"unjudged\"]");
    yard.config(&config);
    yard.run("up --detach --timeout 300ms").fails(1);
    yard.until_service("backs-off", "it waits", |service| service["next"]["what"] == "restart");
    yard.run("stop").ok();
    for name in ["backs-off", "unjudged", "waits"] {
        assert_eq!(yard.status(name), "stopped", "{name}");
    }
    let starts = yard.read("starts").lines().count();
    let begun = std::time::Instant::now();
    until("more than its wait has passed", || begun.elapsed().as_millis() > 700);
    assert_eq!(yard.read("starts").lines().count(), starts, "nothing starts without a new request");
}

#[test]
fn a_stop_by_hand_outlives_the_host() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    let db = yard.pid("db");
    yard.run("stop web").ok();
    yard.kill_host();
    yard.serve();
    let web = yard.service("web");
    assert_eq!([&web["status"], &web["stopped_by_hand"]], [&hostler_e2e::json!("stopped"), &hostler_e2e::json!(true)]);
    assert_eq!(yard.pid("db"), db);
    yard.run("apply").ok();
    assert_eq!(yard.status("web"), "stopped", "the same file does not start it");
    yard.run("start web").ok();
    assert_eq!(yard.status("web"), "running");
    yard.run("stop web").ok();
    yard.run("up --detach").ok();
    assert_eq!((yard.status("web").as_str(), yard.pid("db")), ("running", db), "`up` is a start by hand");
}

#[test]
fn a_flapping_service_does_not_keep_others_from_starting() {
    let yard = Yard::new();
    let flapping =
        script(&yard, "flap", "exit 1", "restart = { max_attempts = \"unlimited\", backoff = { initial = \"1ms\", max = \"1ms\", jitter = 0 } }");
    yard.config(&format!("[settings]\nmax_parallel = 1\n{flapping}"));
    yard.run("up --detach --timeout 200ms");
    yard.config(&format!("[settings]\nmax_parallel = 1\n{flapping}{}", sleeper("web", "")));
    yard.run("apply --no-wait").ok();
    yard.until_status("web", "running");
    until("it goes on flapping", || yard.service("flap")["restart_count"].as_u64() > Some(3));
}

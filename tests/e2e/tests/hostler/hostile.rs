//! Plugins that trap, loop, eat, hang and lie: one call fails with its reason, and everything else goes on.

use hostler_e2e::{Value, Yard, alive, fixture, until};

use crate::sleeper;

fn naughty(more: &str) -> String {
    format!("[plugins.naughty]\nsource = \"{}\"\n{more}\n", fixture("naughty").display())
}

fn task(name: &str, at: &str, deed: &str) -> String {
    format!(
        "[services.{name}]\nbackend = {{ type = \"naughty\", at = \"{at}\", do = \"{deed}\" }}\ntimeout = \"20s\"\nrestart = \"never\"\nstop = {{ grace = \"200ms\" }}\n"
    )
}

fn always(name: &str, verdict: &str, more: &str) -> String {
    sleeper(
        name,
        &format!(
            "health_check = {{ type = \"always\", verdict = \"{verdict}\", interval = \"100ms\", timeout = \"300ms\", failure_threshold = 2{more} }}"
        ),
    )
}

fn with_always() -> String {
    format!("[plugins.always]\nsource = \"{}\"\n", fixture("always").display())
}

#[test]
fn a_start_that_misbehaves_fails_with_its_reason_and_nobody_else_notices() {
    let yard = Yard::new();
    let deeds = [
        ("panic", "naughty on purpose, in Start"),
        ("loop", "no answer within 700ms"),
        ("hang", "no answer within 700ms"),
        ("memory", "memory"),
        ("recurse", "the plugin broke"),
        ("leak", "limit"),
        ("fail", "failed on purpose"),
        ("huge", "contract"),
    ];
    let calm = sleeper("calm", "health_check = { type = \"command\", command = \"true\", interval = \"50ms\" }") + &naughty("");
    yard.up(&calm);
    let (pid, keeper) = (yard.pid("calm"), yard.keeper_pid());
    // What never ends by itself is to end soon; the others have their time beside it.
    let start = |deed: &str| {
        let text = task(deed, "start", deed);
        if matches!(deed, "loop" | "hang") { text.replace("20s", "700ms") } else { text }
    };
    yard.config(&(calm + &deeds.map(|(deed, _)| start(deed)).concat()));
    yard.run("apply --no-wait").ok();
    for (deed, words) in deeds {
        until(&format!("{deed} is told of"), || yard.story(deed).iter().any(|line| line.contains(words)));
        let told = yard.run(&format!("explain {deed}")).ok();
        assert!(told.contains(&format!("{deed} is ")) && !told.contains(&format!("{deed} is running")), "{told}");
    }
    let calm = yard.service("calm");
    assert_eq!([&calm["status"], &calm["health"]], ["running", "healthy"]);
    assert_eq!((yard.pid("calm"), yard.keeper_pid()), (pid, keeper));
    let found = yard.run("plugin inspect naughty --json").json()["plugin"].clone();
    assert_eq!(found["state"], "ok", "one call failed, not the plugin");
    assert!(found["counters"]["traps"].as_u64() > Some(0) && found["counters"]["timeouts"].as_u64() > Some(0), "{found:#}");
    let memory = std::fs::read_to_string(format!("/proc/{}/statm", yard.host_pid())).expect("it runs");
    let pages: u64 = memory.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("resident pages");
    assert!(pages * 4096 < 600 << 20, "the host's memory is bounded: {} MiB", (pages * 4096) >> 20);
}

#[test]
fn a_look_that_misbehaves_is_unknown_and_restarts_nothing() {
    let yard = Yard::new();
    for deed in ["panic", "few", "away"] {
        yard.config(&(naughty("") + &task("odd", "inspect", deed) + &sleeper("calm", "")));
        yard.run("up --detach --timeout 2s");
        yard.until_service("odd", &format!("it is unknown after {deed}"), |service| service["status"] == "unknown");
        assert_eq!(yard.service("odd")["restart_count"], 0, "{deed}");
        yard.until_status("calm", "running");
        yard.run("down --force --timeout 5s");
        until("the host has ended", || yard.get("/host").is_none());
    }
}

#[test]
fn a_stop_that_misbehaves_is_tried_again_and_told() {
    let yard = Yard::new();
    yard.up(&(naughty("") + &task("odd", "stop", "panic") + &sleeper("calm", "")));
    let text = yard.run("stop odd --timeout 1s").fails(1);
    assert!(text.contains("odd is stopping"), "{text}");
    let is_told = |line: &String| line.starts_with("stop-failed: ") && line.contains("naughty on purpose, in Stop") && line.contains("trying again");
    until("it is told", || yard.story("odd").iter().any(is_told));
    assert_eq!(yard.status("calm"), "running");
}

#[test]
fn settings_that_break_their_own_doubting_are_refused() {
    let yard = Yard::new();
    yard.up(&(naughty("") + &sleeper("calm", "")));
    yard.config(&(naughty("") + &sleeper("calm", "") + &task("odd", "validate", "panic")));
    let text = yard.run("apply").fails(3);
    assert!(text.contains("the plugin could not check this") && text.contains("naughty on purpose, in Validate"), "{text}");
    assert!(yard.get("/services/odd").is_none());
}

#[test]
fn a_checker_that_misbehaves_says_nothing_and_restarts_nothing() {
    let yard = Yard::new();
    let config = with_always()
        + &always("good", "pass", "")
        + &["trap", "hang", "loop", "fault", "unknown"].map(|verdict| always(verdict, verdict, "")).concat();
    yard.config(&config);
    yard.run("up --detach --timeout 1s").fails(1);
    for name in ["trap", "hang", "loop", "fault", "unknown"] {
        until("it was asked a few times", || yard.detail(name)["checks"][0]["history"].as_array().is_some_and(|history| history.len() > 2));
        let detail = yard.detail(name);
        let history: Vec<&Value> = detail["checks"][0]["history"].as_array().into_iter().flatten().collect();
        assert!(history.iter().all(|result| result["verdict"] == "unknown"), "{name}: {history:#?}");
        assert_eq!([&detail["service"]["health"], &detail["service"]["restart_count"]], [&Value::from("unknown"), &Value::from(0)], "{name}");
    }
    yard.until_service("good", "it is healthy", |service| service["health"] == "healthy");
    until("the panic's own words are told", || yard.run("explain trap").ok().contains("as always, of trap 0"));
}

#[test]
fn a_checker_of_a_third_party_judges_like_a_built_in() {
    let yard = Yard::new();
    yard.config(
        &(with_always()
            + &always("warns", "warn", "")
            + &always("fails", "fail", ", auto_recovery = false")
            + &always("slow", "pass", ", slow = 50")),
    );
    yard.run("up --detach --timeout 5s");
    let health = |name: &str| yard.until_service(name, "it is judged", |service| service["health"] != "unknown")["health"].clone();
    assert_eq!([health("warns"), health("fails"), health("slow")], ["degraded", "unhealthy", "healthy"]);
    let report = yard.run("health --json").json();
    assert_eq!([&report["composite_health"], &report["degraded_services"][0], &report["unhealthy_services"][0]], ["unhealthy", "warns", "fails"]);
}

#[test]
fn a_log_that_cannot_be_read_is_no_empty_log() {
    let yard = Yard::new();
    yard.up(&(naughty("") + &task("odd", "read", "panic") + &sleeper("calm", "")));
    let ran = yard.run("logs odd");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("the log of service `odd` cannot be read"), "{}", ran.err);
    yard.run("logs calm").ok();
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let yard = Yard::new();
    yard.config(&(naughty("") + &task("odd", "start", "flood") + &sleeper("calm", "")));
    yard.run("up --detach").ok();
    let log = std::fs::metadata(yard.state().join("host.log")).map_or(0, |about| about.len());
    assert!(log < 16 << 20, "the host's log has {log} bytes");
    assert_eq!(yard.status("calm"), "running");
}

#[test]
fn control_characters_of_a_plugin_reach_no_terminal() {
    let yard = Yard::new();
    yard.config(&(naughty("") + &task("odd", "inspect", "strange")));
    yard.run("up --detach --timeout 2s");
    for line in ["status odd", "ps", "logs odd", "explain odd", "events"] {
        let live = yard.stay_on_terminal(line);
        let (_, said) = live.ends();
        let own: String = said.replace("\x1b[2m", "").replace("\x1b[0m", "");
        assert!(!own.contains("\x1b]") && !own.contains("\x1b[2J") && !own.contains("\x07"), "{line}: {said:?}");
    }
    assert!(alive(yard.host_pid()));
}

#[test]
fn a_call_that_runs_a_command_leaves_none_behind_when_its_time_is_up() {
    let yard = Yard::new();
    let grants = "grants = { commands = { programs = [\"*\"] }, state = { bytes = \"64Ki\", keys = 16 } }";
    let config = format!(
        "[plugins.sly]\nsource = \"{}\"\n{grants}\n[services.odd]\nbackend = {{ type = \"sly\" }}\ntimeout = \"500ms\"\nrestart = \"never\"\n{}",
        fixture("ungranted").display(),
        sleeper("calm", "")
    );
    yard.config(&config);
    yard.run("up --detach --timeout 3s");
    until("the deadline is told of", || yard.story("odd").iter().any(|line| line.contains("deadline") || line.contains("no answer within")));
    let calm = yard.pid("calm");
    let sleeps = || {
        yard.processes()
            .into_iter()
            .filter(|pid| *pid != calm)
            .filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"/bin/sleep")))
            .count()
    };
    until("its command has ended with it", || sleeps() == 0);
}

#[test]
fn what_poses_as_the_task_of_another_backend_says_nothing_about_it() {
    let yard = Yard::new();
    let plugin = |name: &str| {
        let grants = "grants = { processes = { programs = [\"*\"] }, commands = { programs = [\"*\"] } }";
        format!("[plugins.{name}]\nsource = \"{}\"\n{grants}\n", fixture("scratch").display())
    };
    let task = |name: &str, plugin: &str, more: &str| format!("[services.{name}]\nbackend = {{ type = \"{plugin}\"{more} }}\n");
    let config = plugin("honest") + &plugin("sly") + &task("web", "honest", "");
    yard.up(&config);
    let web = yard.pid("web");
    let run = yard.detail("web")["replicas"][0]["run"].clone();
    yard.config(&(config + &task("other", "sly", &format!(", poses_as = \"web-0-{run}\""))));
    yard.run("apply").ok();
    // The next host lists everything, and finds it too.
    yard.kill_host();
    yard.serve();
    let told = |event: &Value| event["kind"] == "stranger" && event["message"].as_str().is_some_and(|text| text.contains("backend sly has"));
    until("the stranger is told of", || yard.events().iter().any(told));
    assert_eq!((yard.status("web").as_str(), yard.pid("web")), ("running", web));
    assert!(yard.story("web").iter().all(|line| !line.starts_with("exited")), "{:#?}", yard.story("web"));
    assert_eq!(yard.detail("web")["replicas"][0]["run"], run);
}

//! Who starts after whom, and what happens to the one when something happens to the other.

use hostler_e2e::{Value, Yard, kill, until, until_some};

use crate::{script, sleeper};

/// A check that passes once a file is there.
fn once(file: &str) -> String {
    format!("health_check = {{ type = \"command\", command = \"test\", args = [\"-f\", \"{file}\"], interval = \"50ms\", failure_threshold = 1000 }}")
}

fn because(yard: &Yard, name: &str) -> Vec<String> {
    let explanation = yard.run(&format!("explain {name} --json")).json();
    explanation["because"].as_array().into_iter().flatten().filter_map(|sentence| sentence.as_str().map(str::to_owned)).collect()
}

#[test]
fn healthy_is_waited_for_and_explained() {
    let yard = Yard::new();
    let config = sleeper("db", &once("ready")) + &sleeper("api", "dependencies = [\"db\"]") + &sleeper("web", "dependencies = [\"api\"]");
    yard.config(&config);
    let text = yard.run("up --detach --timeout 300ms").fails(1);
    assert!(text.contains("not settled after"), "{text}");
    assert_eq!([yard.status("db"), yard.status("api"), yard.status("web")], ["starting", "pending", "pending"]);
    let chain = because(&yard, "web");
    assert_eq!(chain.len(), 3, "{chain:#?}");
    assert!(
        chain[0].contains("api") && chain[1].contains("api") && chain[1].contains("db to be healthy") && chain[2].starts_with("db "),
        "{chain:#?}"
    );
    let text = yard.run("explain web").ok();
    assert!(text.starts_with("web is pending\n  because ") && text.contains("\n    because api ") && text.contains("\n      because db "), "{text}");
    assert!(text.contains("next: "), "{text}");

    yard.write("ready", "");
    yard.until_status("web", "running");
    let kinds: Vec<(String, String)> = yard.events().iter().map(|event| (text_of(&event["service"]), text_of(&event["kind"]))).collect();
    let at = |service: &str, kind: &str| kinds.iter().position(|(one, other)| one == service && other == kind).expect("it happened");
    assert!(at("db", "health-changed") < at("api", "starting") && at("api", "started") < at("web", "starting"), "{kinds:?}");
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn started_is_enough_where_the_edge_says_so() {
    let yard = Yard::new();
    let config = sleeper("db", &once("never")) + &sleeper("api", "dependencies = [{ service = \"db\", condition = \"started\" }]");
    yard.config(&config);
    yard.run("up --detach --timeout 1s");
    yard.until_status("api", "running");
    assert_ne!(yard.service("db")["health"], "healthy");
}

#[test]
fn completed_waits_for_the_end_of_a_one_shot() {
    let yard = Yard::new();
    let migrate = script(&yard, "migrate", "while [ ! -f go ]; do sleep 0.02; done; echo migrated >> order", "kind = \"oneshot\"");
    let api = script(&yard, "api", "echo api >> order; exec sleep 1000", "dependencies = [{ service = \"migrate\", condition = \"completed\" }]");
    let quick = script(&yard, "quick", "echo quick >> order; exec sleep 1000", "dependencies = [{ service = \"migrate\", condition = \"started\" }]");
    yard.config(&(migrate + &api + &quick));
    yard.run("up --detach --timeout 200ms").fails(1);
    until("one waits for the start only", || yard.read("order") == "quick\n");
    assert_eq!([yard.status("migrate"), yard.status("api")], ["running", "pending"]);
    yard.write("go", "");
    yard.until_status("api", "running");
    until("all have written", || yard.read("order") == "quick\nmigrated\napi\n");
    assert_eq!(yard.status("migrate"), "completed");
    let kinds: Vec<String> = yard.story("migrate").iter().filter_map(|line| line.split(':').next().map(str::to_owned)).collect();
    assert_eq!(kinds, ["starting", "started", "exited", "completed"]);
}

#[test]
fn a_one_shot_that_fails_is_tried_again_and_then_holds_everybody_up() {
    let yard = Yard::new();
    let restart = "kind = \"oneshot\"\nrestart = { policy = \"on-failure\", max_attempts = 2, backoff = { initial = \"10ms\", jitter = 0 } }";
    let migrate = script(&yard, "migrate", "echo tried >> tries; exit 7", restart);
    yard.config(&(migrate + &sleeper("api", "dependencies = [\"migrate\"]")));
    let text = yard.run("up --detach").fails(1);
    assert!(text.contains("migrate is failed") && text.contains("exited with code 7") && text.contains("api is pending"), "{text}");
    assert_eq!(yard.read("tries").lines().count(), 3, "once, and two restarts");
    let chain = because(&yard, "api");
    assert!(chain.len() == 2 && chain[1].contains("migrate failed") && chain[1].contains("code 7"), "{chain:#?}");

    yard.script("migrate.sh", "exit 0");
    yard.run("restart --force migrate").ok();
    yard.until_status("api", "running");
    assert_eq!(yard.status("migrate"), "completed");
}

#[test]
fn an_optional_edge_orders_and_never_blocks() {
    let yard = Yard::new();
    let edge = |service: &str| format!("dependencies = [{{ service = \"{service}\", optional = true }}]");
    let broken = "[services.broken]\nbackend = { type = \"process\", binary = \"./not-there\" }\nrestart = \"never\"\n";
    let config = sleeper("cache", &once("ready"))
        + &sleeper("api", &edge("cache"))
        + broken
        + &sleeper("web", &edge("broken"))
        + &sleeper("off", "enabled = false")
        + &sleeper("calm", &edge("off"));
    yard.config(&config);
    yard.run("up --detach --timeout 300ms").fails(1);
    yard.until_status("web", "running");
    yard.until_status("calm", "running");
    assert_eq!(yard.status("api"), "pending", "what it would use is on its way");
    yard.write("ready", "");
    yard.until_status("api", "running");
    let api = yard.pid("api");
    yard.run("stop cache").ok();
    assert_eq!((yard.status("api").as_str(), yard.pid("api")), ("running", api), "it can do without");
}

#[test]
fn a_restart_reaches_whom_the_edge_names() {
    let yard = Yard::new();
    let restart = "restart = { backoff = { initial = \"10ms\", jitter = 0 } }";
    let config = sleeper("db", restart)
        + &sleeper("api", "dependencies = [{ service = \"db\", restart = true }]")
        + &sleeper("web", "dependencies = [{ service = \"api\", restart = true }]")
        + &sleeper("calm", "dependencies = [\"db\"]");
    yard.up(&config);
    let (db, api, web, calm) = (yard.pid("db"), yard.pid("api"), yard.pid("web"), yard.pid("calm"));
    kill(db);
    yard.until_again("db", db);
    yard.until_again("api", api);
    yard.until_again("web", web);
    assert_eq!(yard.pid("calm"), calm, "its edge does not ask for it");

    let (db, api) = (yard.pid("db"), yard.pid("api"));
    yard.run("restart db").ok();
    assert_ne!(yard.pid("db"), db);
    // A restart by hand does the same.
    yard.until_again("api", api);
    assert_eq!(yard.pid("calm"), calm);
}

#[test]
fn a_disabled_service_is_kept_and_not_run() {
    let yard = Yard::new();
    let config = sleeper("db", "enabled = false") + &sleeper("web", "");
    yard.up(&config);
    assert_eq!([yard.status("db"), yard.status("web")], ["disabled", "running"]);
    let text = yard.run("start db").fails(1);
    assert!(text.contains("service `db` is disabled") && text.contains("enabled = true"), "{text}");
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    assert_eq!(yard.status("db"), "running");
    yard.up(&config);
    yard.until_status("db", "disabled");
    assert!(yard.service("db")["pid"].is_null());
}

#[test]
fn a_stop_takes_down_who_needs_it_first_and_a_start_brings_all_back() {
    let yard = Yard::new();
    let trap = |name: &str| format!("trap 'echo {name} >> ends; exit 0' TERM; while :; do sleep 0.02; done");
    let service = |name: &str, needs: &str| script(&yard, name, &trap(name), needs);
    yard.up(&(service("db", "") + &service("api", "dependencies = [\"db\"]") + &service("web", "dependencies = [\"api\"]") + &service("other", "")));
    let other = yard.pid("other");
    yard.run("stop db").ok();
    until("all three have ended", || yard.read("ends").lines().count() == 3);
    assert_eq!(yard.read("ends"), "web\napi\ndb\n", "a dependent is down before what it needs goes down");
    assert_eq!([yard.status("db"), yard.status("api"), yard.status("web")], ["stopped", "pending", "pending"]);
    assert!(because(&yard, "web").last().is_some_and(|root| root.contains("db is down: it was stopped by request")), "{:#?}", because(&yard, "web"));
    assert_eq!([&yard.service("db")["stopped_by_hand"], &yard.service("api")["stopped_by_hand"]], [true, false]);
    yard.run("start web").ok();
    assert_eq!([yard.status("db"), yard.status("api"), yard.status("web")], ["running", "running", "running"]);
    assert_eq!(yard.pid("other"), other);
}

#[test]
fn no_more_starts_are_under_way_than_allowed() {
    let yard = Yard::new();
    let config: String = (0..12).map(|number| sleeper(&format!("s{number}"), "")).collect();
    yard.up(&format!("[settings]\nmax_parallel = 2\n{config}"));
    let events = until_some("all twelve starts are told", || {
        let events = yard.events();
        (events.iter().filter(|event| event["kind"] == "started").count() == 12).then_some(events)
    });
    let (mut under_way, mut most) = (0, 0);
    for event in events {
        match event["kind"].as_str() {
            Some("starting") => under_way += 1,
            Some("started") => under_way -= 1,
            _ => {}
        }
        most = most.max(under_way);
    }
    assert_eq!(most, 2);
}

#[test]
fn a_chain_of_many_starts_in_order() {
    let yard = Yard::new();
    let link = |number: usize| {
        let needs = if number == 0 { String::new() } else { format!("dependencies = [\"s{}\"]", number - 1) };
        format!(
            "[services.s{number}]\nkind = \"oneshot\"\nbackend = {{ type = \"process\", binary = \"sh\", args = [\"-c\", \"echo {number} >> order\"] }}\n{needs}\n"
        )
    };
    yard.up(&(0..40).map(link).collect::<String>());
    let wanted: String = (0..40).map(|number| format!("{number}\n")).collect();
    assert_eq!(yard.read("order"), wanted);
}

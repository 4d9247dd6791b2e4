//! The thinnest whole path: two real processes, one after the other, one of them judged over HTTP; and every way to look at them.

use hostler_e2e::{Page, Value, Yard, alive, parent};

use crate::sleeper;

/// A database that only waits, and a page that needs it.
fn shop(yard: &Yard) -> Page {
    let page = Page::new(yard.path(), "page");
    let web = format!(
        "[services.web]\nbackend = {}\ndependencies = [\"db\"]\n\
         health_check = {{ type = \"http\", url = \"{}\", interval = \"1s\", start_period = \"1m\" }}\n",
        page.backend(),
        page.url()
    );
    yard.up(&(sleeper("db", "labels = { team = \"data\" }") + &web));
    page
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn python_serves_once_the_sleeper_it_needs_is_up() {
    let yard = Yard::new();
    let port = hostler_e2e::free_port();
    let web = format!(
        r#"[services.web]
backend = {{ type = "process", binary = "python3", args = ["-m", "http.server", "--bind", "127.0.0.1", {port}] }}
dependencies = ["db"]
health_check = {{ type = "http", url = "http://127.0.0.1:{port}/", interval = "1s", start_period = "1m" }}"#
    );
    yard.up(&(sleeper("db", "") + &web));

    let list = yard.run("ps --json").json();
    assert_eq!(list["settled"], true);
    assert_eq!(list["composite_health"], "healthy");
    assert!(alive(yard.pid("db")) && alive(yard.pid("web")));
    assert_eq!(yard.service("web")["health"], "healthy");
    assert_eq!(parent(yard.pid("db")), Some(yard.keeper_pid()), "the keeper holds it, not the host");
    let (db, web) = (yard.detail("db"), yard.detail("web"));
    assert!(db["replicas"][0]["run"].as_u64() < web["replicas"][0]["run"].as_u64());
    assert!(db["service"]["started_at"].as_str() <= web["service"]["started_at"].as_str());

    let pids = [yard.pid("db"), yard.pid("web"), yard.host_pid(), yard.keeper_pid()];
    yard.run("down").ok();
    hostler_e2e::until("everything has ended", || !pids.into_iter().any(alive));
    hostler_e2e::until("nothing is left", || yard.processes().is_empty());
}

#[test]
fn ps_shows_each_service_in_a_line() {
    let yard = Yard::new();
    let _page = shop(&yard);
    let text = yard.run("ps").ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("NAME  STATUS"), "{text}");
    let web: Vec<&str> = lines[2].split_whitespace().collect();
    let pid = yard.pid("web").to_string();
    assert_eq!([web[0], web[1], web[2], web[5], web[6]], ["web", "running", "healthy", pid.as_str(), "process"], "{text}");

    let list = yard.run("ps web --json").json();
    let services: Vec<&Value> = list["services"].as_array().into_iter().flatten().collect();
    assert_eq!(services.len(), 1, "only the one that was named");
    let web = services[0];
    assert_eq!([&web["name"], &web["status"], &web["health"], &web["backend"]], ["web", "running", "healthy", "process"]);
    assert_eq!(web["restart_count"], 0);
    assert!(web["uptime_ms"].is_u64() && web["startup_time_ms"].is_u64(), "{web}");
}

#[test]
fn status_tells_of_one_service_and_of_the_host() {
    let yard = Yard::new();
    let page = shop(&yard);
    let web = yard.run("status web").ok();
    for part in ["web is running, health healthy", "backend:", "process", "needs:", "db", "CHECK", &page.url()] {
        assert!(web.contains(part), "`{part}` is missing:\n{web}");
    }
    assert!(yard.run("status db").ok().contains("team=data"));

    let detail = yard.run("status web --json").json();
    assert_eq!(detail["dependencies"][0]["service"], "db");
    assert_eq!(detail["checks"][0]["plugin"], "http");
    let history = detail["checks"][0]["history"].as_array().cloned().unwrap_or_default();
    assert_eq!(history.last().map(|result| &result["verdict"]), Some(&Value::from("pass")));
    assert!(yard.usage("web")["memory_bytes"].as_u64() > Some(1 << 20), "the process backend measures");
    assert_eq!(names(&yard.run("status db --json").json()["dependents"]), ["web"]);

    let host = yard.run("status").ok();
    for part in ["is ready", "state:", "keeper:", "limits:", "plugins:"] {
        assert!(host.contains(part), "`{part}` is missing:\n{host}");
    }
    let host = yard.run("status --json").json();
    assert_eq!([&host["initialized"], &host["ready"], &host["shutting_down"]], [true, true, false]);
    assert_eq!(host["services"]["running"], 2);
    assert_eq!(host["keeper"]["running"], true);
}

#[test]
fn explain_has_nothing_to_explain_where_all_is_well() {
    let yard = Yard::new();
    let _page = shop(&yard);
    assert_eq!(yard.run("explain web").ok(), "web is running, healthy\n  next: nothing by itself\n");
    let explanation = yard.run("explain web --json").json();
    assert_eq!(explanation["because"], Value::Array(Vec::new()));
    assert_eq!([&explanation["status"], &explanation["wanted"]], ["running", "running"]);
}

#[test]
fn graph_is_drawn_in_four_ways() {
    let yard = Yard::new();
    let _page = shop(&yard);
    let text = yard.run("graph").ok();
    assert!(text.contains("Layer 0 (Startup Priority):\n  • db\n") && text.contains("  • web <- db\n"), "{text}");
    assert!(yard.run("graph --format dot").ok().contains("\"web\" -> \"db\";"));
    assert!(yard.run("graph --format mermaid").ok().starts_with("flowchart BT\n"));
    for line in ["graph --json", "graph --format json"] {
        let graph = yard.run(line).json();
        assert_eq!(names(&graph["start_order"]), ["db", "web"]);
        assert_eq!(names(&graph["stop_order"]), ["web", "db"]);
    }
}

#[test]
fn events_come_in_order_and_without_gaps() {
    let yard = Yard::new();
    let _page = shop(&yard);
    let events = yard.events();
    let seqs: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<u64>>());
    let of =
        |name: &str| -> Vec<&str> { events.iter().filter(|event| event["service"] == name).filter_map(|event| event["kind"].as_str()).collect() };
    assert_eq!(of("db"), ["starting", "started"]);
    assert_eq!(of("web"), ["starting", "started", "health-changed"]);

    let text = yard.run("events web").ok();
    assert!(text.lines().count() == 3 && text.contains("unknown -> healthy"), "{text}");
    let after = yard.run("events --json --after 2 --limit 1").documents();
    assert_eq!((after.len(), &after[0]["seq"]), (1, &Value::from(3)));
}

#[test]
fn health_is_shown_and_asked_for_anew() {
    let yard = Yard::new();
    let page = shop(&yard);
    let text = yard.run("health").ok();
    assert!(text.contains("together: healthy"), "{text}");
    let report = yard.run("health --json").json();
    assert_eq!([&report["composite_health"], &report["services"]["web"]["status"]], ["healthy", "healthy"]);

    page.answers("503 closed");
    let now = yard.run("health --now web --json").json();
    assert_eq!([&now["results"][0]["verdict"], &now["results"][0]["service_name"]], ["fail", "web"]);
    assert!(yard.run("health --now").ok().contains("503"));
}

#[test]
fn asking_anew_waits_for_the_first_answer_of_what_was_just_started() {
    let yard = Yard::new();
    let check = "health_check = { type = \"command\", command = \"sleep\", args = [\"0.5\"] }";
    yard.config(&(crate::sleeper("web", check) + &crate::sleeper("plain", "")));
    yard.run("up --detach --timeout 10ms");
    yard.pid("web");
    let now = yard.run("health --now --json").json();
    assert_eq!((&now["results"][0]["verdict"], &now["not_checked"]), (&"pass".into(), &hostler_e2e::json!(["plain"])), "{now:#}");
}

#[test]
fn logs_show_what_was_written() {
    let yard = Yard::new();
    let page = shop(&yard);
    let first = format!("listening on {}", page.port);
    assert_eq!(yard.run("logs web").ok().lines().next(), Some(first.as_str()));
    let items = yard.run("logs web --json").documents();
    assert_eq!([&items[0]["type"], &items[0]["text"], &items[0]["origin"], &items[0]["service"]], ["line", first.as_str(), "out", "web"]);
    assert_eq!(items.last().map(|item| &item["type"]), Some(&Value::from("cursor")));
}

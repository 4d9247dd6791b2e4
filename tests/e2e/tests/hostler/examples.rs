//! What is written elsewhere, as it stands: the example that comes along, and the file that the product grew from.

use std::path::Path;
use std::process::Command;

use hostler_e2e::{Page, Ran, Yard, can, free_port, root, until};

#[test]
fn a_file_for_plugins_that_are_not_there_names_them_and_where_to_put_them() {
    let yard = Yard::new();
    let seed = root().join("tests/good-input/seed.yaml");
    assert!(yard.run(&format!("validate {}", seed.display())).ok().contains("3 services"), "it loads as it stands");
    let text = std::fs::read_to_string(seed).expect("it is there").replace("type: docker", "type: yard");
    let file = yard.file("seed.yaml");
    std::fs::write(&file, text).expect("the yard is ours");
    for line in ["up", "up --detach"] {
        let ran = Ran::of(&mut yard.command(&format!("{line} {}", file.display())));
        let text = ran.fails(3);
        for part in ["there is no backend plugin `yard`", "[plugins.yard] source = \"./yard.wasm\"", "seed.yaml:"] {
            assert!(text.contains(part), "{line}: `{part}` is missing:\n{text}");
        }
        assert!(!text.contains("plugin `process`") && !text.contains("plugin `ssh`"), "{text}");
    }
    until("nothing was started", || yard.processes().is_empty());
}

/// The ports of the shop, and where its data goes.
fn shop(yard: &Yard) -> Vec<(&'static str, String)> {
    let data = yard.file("data");
    std::fs::create_dir(&data).expect("the yard is ours");
    let ports = ["SHOP_REDIS_PORT", "SHOP_API_PORT", "SHOP_WEB_PORT", "SHOP_METRICS_PORT"].map(|name| (name, free_port().to_string()));
    ports.into_iter().chain([("SHOP_DATA", data.display().to_string())]).collect()
}

#[test]
fn the_shop_opens_is_well_and_closes() {
    let there = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !can("Redis (redis-server, redis-cli)", there("redis-server") && there("redis-cli")) {
        return;
    }
    let yard = Yard::new();
    let variables = shop(&yard);
    let file = root().join("examples/shop/hostler.toml");
    let run = |line: &str| {
        Ran::of(yard.command(&format!("{line} --file {}", file.display())).envs(variables.iter().map(|(name, value)| (*name, value.as_str()))))
    };
    run("up --detach").ok();
    let list = yard.run("ps --json").json();
    let services = list["services"].as_array().cloned().unwrap_or_default();
    assert_eq!(services.len(), 6, "{list:#}");
    for service in &services {
        let name = service["name"].as_str().unwrap_or_default();
        let wanted = if name == "migrate" { "completed" } else { "running" };
        assert_eq!(service["status"], wanted, "{service:#}");
        assert!(name == "migrate" || service["health"] == "healthy", "{service:#}");
    }
    assert_eq!(list["ready"], true);
    let started = |name: &str| yard.service(name)["started_at"].as_str().unwrap_or_default().to_owned();
    assert!(started("redis") < started("api") && started("api") < started("web"));
    assert!(run("plan").ok().contains("nothing changes"));

    let last = list["last_event"].as_u64().unwrap_or(0);
    let live = yard.stay(&format!("events --follow --json --after {last}"));
    run("down").ok();
    let (_, said) = live.ends();
    let stopped: Vec<String> = said
        .lines()
        .filter_map(|line| hostler_e2e::parse::<hostler_e2e::Value>(line).ok())
        .filter(|event| event["kind"] == "stopped")
        .filter_map(|event| event["service"].as_str().map(str::to_owned))
        .collect();
    let at = |name: &str| stopped.iter().position(|other| other == name).unwrap_or_else(|| panic!("{name} did not stop: {stopped:?}"));
    assert!(at("web") < at("api") && at("api") < at("redis") && at("worker") < at("redis"), "{stopped:?}");
    until("nothing is left", || yard.processes().is_empty());
}

/// A file as people of other tools would write it.
#[test]
fn yaml_with_the_words_of_other_tools_runs() {
    let yard = Yard::new();
    let page = Page::new(yard.path(), "page");
    let backend = page.backend();
    let args = backend.split("args = ").nth(1).and_then(|rest| rest.strip_suffix(" }")).expect("it ends with its arguments");
    let text = format!(
        "version: \"1.0\"\nsettings:\n  max_parallel: 2\n  default_timeout: 300\nnetworks:\n  production:\n    type: lan\n    subnet: 192.168.1.0/24\nservices:\n  web:\n    network: production\n    \
         backend:\n      type: process\n      binary: /usr/bin/python3\n      args: {args}\n    health_check:\n      type: http\n      url: {}\n      interval_secs: 1\n      timeout_secs: 1\n      retries: 2\n      start_period_secs: 60\n",
        page.url()
    );
    yard.write("web.yaml", text);
    yard.run("up --detach web.yaml").ok();
    assert_eq!(yard.service("web")["health"], "healthy");
    let check = yard.detail("web")["checks"][0].clone();
    assert_eq!([&check["interval_ms"], &check["timeout_ms"], &check["failure_threshold"]], [1000, 1000, 2]);
    assert!(Path::new(yard.path()).join("web.yaml").exists());
}

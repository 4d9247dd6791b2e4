//! Plugins that break: whom they take along, and how they come back.

use hostler_e2e::{Yard, fixture, until};

use crate::sleeper;

fn naughty(name: &str, settings: &str) -> String {
    format!("[services.{name}]\nbackend = {{ type = \"naughty\"{settings} }}\n")
}

fn plugin() -> String {
    format!("[plugins.naughty]\nsource = \"{}\"\n", fixture("naughty").display())
}

fn kinds(yard: &Yard) -> Vec<String> {
    yard.events().iter().filter_map(|event| event["kind"].as_str()).filter(|kind| kind.starts_with("plugin-")).map(str::to_owned).collect()
}

#[test]
fn one_poisoned_service_takes_none_of_the_others_along() {
    let yard = Yard::new();
    let healthy: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    let poison = naughty("poison", ", at = \"inspect\", do = \"panic\"");
    yard.config(&(plugin() + &healthy.iter().map(|name| naughty(name, "")).collect::<String>() + &poison));
    yard.run("serve hostler.toml --detach").ok();
    let service = yard.until_service("poison", "it is put aside", |service| {
        service["status"] == "unknown" && service["cause"].as_str().is_some_and(|cause| cause.contains("has put poison aside"))
    });
    let cause = service["cause"].as_str().expect("it was just read").to_owned();
    assert!(cause.contains("calls in a row broke it") && cause.contains("naughty on purpose") && !cause.contains("_R"), "{cause}");
    assert!(yard.run("explain poison").ok().contains("has put poison aside"));
    let naughty = yard.plugin("naughty");
    assert_eq!([&naughty["state"], &naughty["health"]["struck"][0]["service"]], ["ok", "poison"], "{naughty:#}");
    assert!(naughty["health"]["struck"][0]["strikes"].as_u64() >= Some(5));
    healthy.iter().for_each(|name| drop(yard.until_status(name, "running")));
    assert_eq!(yard.service("poison")["restart_count"], 0, "and it is not restarted");
    assert!(!kinds(&yard).iter().any(|kind| kind == "plugin-quarantined"));
}

#[test]
fn a_plugin_that_always_breaks_is_put_into_quarantine_and_its_tasks_are_left_alone() {
    let yard = Yard::new();
    let names = ["a", "b", "c"];
    let broken = names.map(|name| naughty(name, ", at = \"inspect\", do = \"panic\"")).concat();
    yard.config(&(plugin() + &broken + &sleeper("web", "")));
    yard.run("serve hostler.toml --detach").ok();
    until("it is in quarantine", || yard.plugin("naughty")["state"] == "quarantined");
    for name in names {
        let service = yard.until_service(name, "nobody knows", |service| service["status"] == "unknown");
        assert_eq!(service["restart_count"], 0);
        yard.until_service(name, "it is said why", |service| service["cause"].as_str().is_some_and(|cause| cause.contains("is in quarantine")));
    }
    let naughty = yard.plugin("naughty");
    assert!(naughty["health"]["quarantined_since"].is_string() && naughty["reason"].to_string().contains("naughty on purpose"), "{naughty:#}");
    assert!(yard.run("plugin list").ok().contains("quarantined"));
    assert!(kinds(&yard).iter().any(|kind| kind == "plugin-quarantined"));
    yard.until_status("web", "running");
}

#[test]
fn a_plugin_that_a_configuration_brings_is_told_once() {
    let yard = Yard::new();
    let loaded = || kinds(&yard).iter().filter(|kind| *kind == "plugin-loaded").count();
    yard.up(&sleeper("web", ""));
    assert_eq!(loaded(), 0, "those inside the program are there from the beginning");
    yard.config(&(plugin() + &sleeper("web", "") + &naughty("a", "")));
    yard.run("apply").ok();
    let events = yard.events();
    let told = events.iter().find(|event| event["kind"] == "plugin-loaded").expect("it is told");
    assert_eq!(told["data"]["plugin"], "naughty");
    assert!(told["message"].as_str().is_some_and(|text| text.contains("naughty.wasm") && text.contains("blake3:")), "{told}");
    yard.run("apply").ok();
    yard.kill_host();
    yard.serve();
    assert_eq!(loaded(), 1, "neither the same again nor a host that begins anew brings it");
}

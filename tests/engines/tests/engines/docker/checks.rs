//! Checks `docker-exec` and `docker-health`, and commands inside containers.

use std::time::{Duration, Instant};

use hostler_e2e::until;
use hostler_engines::Docked;

use super::SLEEPS;

#[test]
fn a_command_inside_the_container_is_the_verdict() {
    let Some(docked) = Docked::new() else { return };
    let check = "health_check = { type = \"docker-exec\", command = \"test -e '/tmp/it is fine'\", interval = \"200ms\", failure_threshold = 1, auto_recovery = false }";
    docked.try_up(&docked.service("db", &format!("{SLEEPS}, healthcheck = \"off\""), check));
    let is = |health: &str| docked.yard.until_service("db", &format!("it is {health}"), |service| service["health"] == health);
    is("unhealthy");
    docked.docker(&["exec", &docked.container("db"), "touch", "/tmp/it is fine"]).ok();
    is("healthy");
    let refused = docked.service("x", SLEEPS, "health_check = { type = \"docker-exec\", command = \"a | b\" }");
    let said = docked.try_up(&refused);
    assert!(said.code != 0 && said.err.contains("no shell reads it"), "{said:?}");
}

#[test]
fn the_engines_own_check_is_the_verdict() {
    let Some(docked) = Docked::new() else { return };
    let own = "healthcheck = { test = \"test -e /tmp/fine || { printf 'not\\\\033 fine\\\\n'; exit 1; }\", interval = \"300ms\", timeout = \"5s\", retries = 1 }";
    let check = "health_check = { type = \"docker-health\", interval = \"200ms\", failure_threshold = 1, auto_recovery = false }";
    let without = docked.service("none", &format!("{SLEEPS}, healthcheck = \"off\""), check);
    docked.yard.config(&format!("{}{}{without}", docked.plugin(""), docked.service("db", &format!("{SLEEPS}, {own}"), check)));
    docked.yard.run("up --detach --timeout 1s");
    docked.yard.until_service("db", "it is unhealthy", |service| service["health"] == "unhealthy");
    let status = docked.yard.run("status db").out;
    assert!(status.contains("unhealthy: not") && status.contains("fine") && !status.contains('\u{1b}'), "the last output, escaped: {status}");
    docked.docker(&["exec", &docked.container("db"), "touch", "/tmp/fine"]).ok();
    docked.yard.until_service("db", "it is healthy", |service| service["health"] == "healthy");
    assert_eq!(docked.yard.service("none")["health"], "unknown");
}

#[test]
fn a_command_that_hangs_is_ended_with_what_it_started() {
    let Some(docked) = Docked::new() else { return };
    docked.up(&docked.service("web", SLEEPS, ""));
    let id = docked.container("web");
    let began = Instant::now();
    let hung = docked.yard.run("exec web --timeout 1s -- sleep 4243");
    assert!(hung.code != 0 && began.elapsed() < Duration::from_secs(25), "{hung:?}");
    until("nothing of it is left", || !docked.docker(&["top", &id]).ok().contains("sleep 4243"));
    let fine = docked.yard.run("exec web -- echo $HOME;id");
    assert_eq!((fine.code, fine.out.as_str()), (0, "$HOME;id\n"));
    docked.yard.until_status("web", "running");
}

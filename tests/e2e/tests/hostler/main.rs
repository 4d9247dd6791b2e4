//! `hostler`, from the outside. Each file is one side of it, and each test's name is a fact.

mod alerts;
mod backups;
mod bad_luck;
mod bombs;
mod changes;
mod checks;
mod commands;
mod conformance;
mod dependencies;
mod deploy;
mod dev;
mod doctor;
mod documents;
mod examples;
mod failing_disk;
mod first_path;
mod foreground;
mod hardening;
mod host_killed;
mod hostile;
mod idempotency;
mod identity;
mod images;
mod imported;
mod instances;
mod keeper_killed;
mod kyozo;
mod listing;
mod many_streams;
mod metrics;
mod on_disk;
mod openapi;
mod operations;
mod pins;
mod plugin_examples;
mod plugins;
mod quarantine;
mod reaching_in;
mod rebinding;
mod recordings;
mod registry;
mod replicas;
mod restarts;
mod secrets;
mod specs;
mod state;
mod streams;
mod tasks;
mod telemetry;
mod templates;
mod tenancy;
mod tls;
mod tutorial;
mod upgrades;
mod wire;

use hostler_e2e::Yard;

/// A service that only waits.
fn sleeper(name: &str, more: &str) -> String {
    format!("[services.{name}]\nbackend = {{ type = \"process\", binary = \"sleep\", args = [1000] }}\n{more}\n")
}

/// A service that is a shell script of the yard.
fn script(yard: &Yard, name: &str, text: &str, more: &str) -> String {
    yard.script(&format!("{name}.sh"), text);
    format!("[services.{name}]\nbackend = {{ type = \"process\", binary = \"./{name}.sh\" }}\n{more}\n")
}

/// A host that listens on TCP, and the port.
fn listening(more: &str) -> (Yard, u16) {
    let (yard, port) = (Yard::new(), hostler_e2e::free_port());
    yard.up(&format!("[settings]\nlisten = {port}\n{more}\n{}", sleeper("db", "")));
    (yard, port)
}

/// A token of the host that the yard has, made over its socket.
#[track_caller]
fn token(yard: &Yard, name: &str, role: &str) -> String {
    yard.run(&format!("token create {name} --role {role}")).ok().trim().to_owned()
}

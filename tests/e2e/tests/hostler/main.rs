//! `hostler`, from the outside. Each file is one side of it, and each test's name is a fact.

mod bad_luck;
mod bombs;
mod changes;
mod checks;
mod commands;
mod conformance;
mod dependencies;
mod dev;
mod doctor;
mod examples;
mod first_path;
mod foreground;
mod host_killed;
mod hostile;
mod imported;
mod keeper_killed;
mod on_disk;
mod pins;
mod plugin_examples;
mod plugins;
mod quarantine;
mod reaching_in;
mod recordings;
mod replicas;
mod restarts;
mod secrets;
mod state;
mod tasks;
mod templates;
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

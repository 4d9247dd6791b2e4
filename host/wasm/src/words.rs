//! The words that host and plugin share, as plain Rust data.
//!
//! They are the contract's own records (`wit/plugin`), owned and serialisable: what the host stores of a task
//! ([`Handle`], [`Status`], [`Exit`]) goes into the store as it is.

use crate::bindings::exports::hostler::plugin as export;
use crate::bindings::hostler::plugin::types;

pub use export::backend::{Engine, Found, Page};
pub use export::discovery::Candidate;
pub use export::exec::{Command as ExecCommand, Output as ExecOutput};
pub use export::health_check::{Report, Target, Verdict};
pub use export::logs::{Chunk, Line as LogLine, Origin};
pub use export::stats::Usage;
pub use export::update::Outcome as UpdateOutcome;
pub use types::{Endpoint, Exit, Fault, Handle, Phase, Problem, Resources, Retry, Status, Task, TaskId};

/// What a plugin says of itself; the same for every role.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Description {
    /// The plugin's own name for itself; the operator's name for it is [`crate::Plugin::name`].
    pub name: String,
    /// Its version, free text.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the plugin's `config`.
    pub config_schema: serde_json::Value,
    /// JSON Schema of a task's settings (backend) or of a check's settings (health check).
    pub settings_schema: serde_json::Value,
    /// Every handle version it can read; empty for a health check.
    pub handle_versions: Vec<u32>,
    /// What it will ask for, and why: capability and pattern, then the reason.
    pub needs: Vec<(String, String)>,
}

/// What a component is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs tasks.
    Backend,
    /// Judges targets.
    HealthCheck,
}

impl std::fmt::Display for Role {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Role::Backend => "backend",
            Role::HealthCheck => "health check",
        })
    }
}

/// What a backend can do beside running tasks: an interface it exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Reads what a task has written.
    Logs,
    /// Measures tasks.
    Stats,
    /// Runs a command inside a task.
    Exec,
    /// Sends signals.
    Signals,
    /// Keeps a number of replicas itself.
    Scale,
    /// Changes a running task.
    Update,
    /// Carries old handles over.
    Handles,
    /// Shows what runs on the engine and is nobody's here, and takes it over.
    Discovery,
}

impl Ability {
    /// Every one there is.
    pub const ALL: [Ability; 8] =
        [Ability::Logs, Ability::Stats, Ability::Exec, Ability::Signals, Ability::Scale, Ability::Update, Ability::Handles, Ability::Discovery];

    /// Its name in the contract, in specs and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Ability::Logs => "logs",
            Ability::Stats => "stats",
            Ability::Exec => "exec",
            Ability::Signals => "signals",
            Ability::Scale => "scale",
            Ability::Update => "update",
            Ability::Handles => "handles",
            Ability::Discovery => "discovery",
        }
    }
}

impl std::fmt::Display for Ability {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

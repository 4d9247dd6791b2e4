//! Plugins as the host sees them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Shape, Upgraded};
use crate::stamp::Timestamp;

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs tasks.
    Backend,
    /// Judges them.
    HealthCheck,
}

impl Role {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Backend => "backend",
            Role::HealthCheck => "health-check",
        }
    }
}

/// Can it be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// Loaded.
    Ok,
    /// Named by a service or the file, and not there.
    Missing,
    /// There, and not loaded; `reason` says why.
    Refused,
    /// Loaded, and not called for a while, because it breaks whatever it is asked; `reason` says how.
    Quarantined,
    /// The configuration has it no longer: it stays until its last task is gone.
    Leaving,
}

impl PluginState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            PluginState::Ok => "ok",
            PluginState::Missing => "missing",
            PluginState::Refused => "refused",
            PluginState::Quarantined => "quarantined",
            PluginState::Leaving => "leaving",
        }
    }
}

/// What it says it will ask for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Need {
    /// Capability and pattern.
    pub what: String,
    /// In its own words.
    pub why: String,
}

/// What a backend says of the engine behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Engine {
    /// May new tasks be started?
    pub ready: bool,
    /// Can running tasks be looked at?
    pub reachable: bool,
    /// In its own words.
    pub message: String,
    /// Version, place and the like.
    pub attributes: BTreeMap<String, String>,
    /// When it was asked; that is every 30 s.
    pub at: Timestamp,
}

/// Since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// Calls into it.
    pub calls: u64,
    /// Of them, ended by a fault of its own: a trap, too much memory.
    pub traps: u64,
    /// Of them, cut short at their deadline.
    pub timeouts: u64,
    /// Capability calls that no grant covers.
    pub denied: u64,
}

/// A service whose calls broke the plugin, and none of them worked since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PutAside {
    /// Nothing when the calls were about no service in particular.
    pub service: Option<String>,
    /// How many, in a row.
    pub strikes: u32,
    /// How the last one went.
    pub last_failure: String,
    /// When it is tried again; nothing when it is called as before.
    pub next_try_in_ms: Option<u64>,
}

/// How well a plugin stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PluginHealth {
    /// Those with strikes.
    pub struck: Vec<PutAside>,
    /// Since when nothing of it is called.
    pub quarantined_since: Option<crate::Timestamp>,
    /// When a call is tried.
    pub next_try_in_ms: Option<u64>,
}

/// One plugin. What is not known of one that is missing or refused is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plugin {
    /// What configurations call it.
    pub name: String,
    /// What it is.
    pub role: Option<Role>,
    /// Its own version.
    pub plugin_version: Option<String>,
    /// Its own words.
    pub summary: Option<String>,
    /// `built-in`, or the path it was read from.
    pub origin: String,
    /// Can it be used?
    pub state: PluginState,
    /// Why not.
    pub reason: Option<String>,
    /// What to do about it: where to put the file, or the grant to paste.
    pub hint: Option<String>,
    /// `blake3:…` of the component.
    pub digest: Option<String>,
    /// Names component, contract and grants together.
    pub revision: Option<String>,
    /// The optional interfaces it exports.
    pub abilities: Vec<String>,
    /// What the component imports: the truth.
    pub imports: Vec<String>,
    /// What it says of it.
    pub needs: Vec<Need>,
    /// What it was given: capability → patterns.
    pub grants: BTreeMap<String, Value>,
    /// Are these the grants that come with a built-in, untouched by the file?
    pub default_grants: bool,
    /// How its engine is; of a backend, once it was asked.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// In force, by their names in the file; `memory` and `transfer` in bytes.
    pub limits: BTreeMap<String, u64>,
    /// Since it was loaded.
    pub counters: Counters,
    /// The services that use it.
    pub used_by: Vec<String>,
    /// Calls that broke it, and what follows.
    pub health: PluginHealth,
    /// What it was upgraded to; nothing when it is what the configuration leads to.
    pub upgraded: Option<Upgraded>,
    /// How its last upgrade went, when that went wrong.
    pub note: Option<String>,
}

/// `GET /plugins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginList {
    /// Version of this shape.
    pub version: Shape,
    /// By name.
    pub plugins: Vec<Plugin>,
}

/// A component in a file, as `hostler plugin inspect FILE --json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Examined {
    /// As of a plugin of a host, as far as that is known of a file.
    #[serde(flatten)]
    pub detail: PluginDetail,
    /// `sha256:…` of it.
    pub sha256: String,
    /// The grants to paste; empty when it needs none.
    pub stanza: String,
}

/// `GET /plugins/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginDetail {
    /// Version of this shape.
    pub version: Shape,
    /// The line of the list.
    pub plugin: Plugin,
    /// JSON Schema of its own `config`.
    pub config_schema: Option<Value>,
    /// JSON Schema of a task's or check's settings.
    pub settings_schema: Option<Value>,
}

/// `?` of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingQuery {
    /// How long to record, an hour at most.
    pub for_ms: u64,
}

/// One line of a recording: what `hostler plugin replay` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RecordingItem(pub serde_json::Map<String, serde_json::Value>);

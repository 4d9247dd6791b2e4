//! Plugins as the host sees them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shape;

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// Loaded.
    Ok,
    /// Named by a service or the file, and not there.
    Missing,
    /// There, and not loaded; `reason` says why.
    Refused,
}

impl PluginState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            PluginState::Ok => "ok",
            PluginState::Missing => "missing",
            PluginState::Refused => "refused",
        }
    }
}

/// What it says it will ask for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Capability and pattern.
    pub what: String,
    /// In its own words.
    pub why: String,
}

/// Since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// One plugin. What is not known of one that is missing or refused is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// In force, by their names in the file; `memory` and `transfer` in bytes.
    pub limits: BTreeMap<String, u64>,
    /// Since it was loaded.
    pub counters: Counters,
    /// The services that use it.
    pub used_by: Vec<String>,
}

/// `GET /plugins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginList {
    /// Version of this shape.
    pub version: Shape,
    /// By name.
    pub plugins: Vec<Plugin>,
}

/// `GET /plugins/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

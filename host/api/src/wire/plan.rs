//! What an apply would change.

use hostler_core::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Shape, schema};
use crate::Failure;

/// `POST /plan` and `POST /apply`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The configuration as JSON, variables filled in.
    pub document: Value,
    /// What relative paths in it are relative to; absolute.
    pub base_dir: String,
    /// Start what is new and enabled; else it is kept, stopped.
    #[serde(default = "yes")]
    pub start: bool,
    /// With `start`: also start what was stopped by hand, or has failed. For somebody who says "bring it up", not "make it so".
    #[serde(default)]
    pub start_stopped: bool,
    /// Start only these and what they depend on. The whole document is applied either way.
    #[serde(default)]
    pub services: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// What becomes of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Create,
    /// Changed while it runs; nothing is interrupted.
    UpdateLive,
    /// It is stopped and destroyed, and a new one made.
    Recreate,
    /// It is stopped and forgotten.
    Remove,
    /// Nothing happens.
    Unchanged,
}

impl Change {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Create => "create",
            Change::UpdateLive => "update-live",
            Change::Recreate => "recreate",
            Change::Remove => "remove",
            Change::Unchanged => "unchanged",
        }
    }
}

/// One service's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedChange {
    /// Whose.
    pub service: String,
    /// What becomes of it.
    pub change: Change,
    /// What differs, by path in the file: `backend.args`, `restart.max_attempts 3 → 5`, …; the first few. Never a value that may be a secret.
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// A plugin that services name and the host does not have, or has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingPlugin {
    /// Its name.
    pub name: String,
    /// The services that name it.
    pub used_by: Vec<String>,
    /// Why it cannot be used.
    pub reason: String,
    /// What to do about it: where to put it, or what to grant.
    pub hint: String,
}

/// The answer: what would happen, or what has begun to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Version of this shape.
    pub version: Shape,
    /// Is it wanted from now on (`/apply`), or was it only asked for (`/plan`)?
    pub applied: bool,
    /// Version of the wanted set: after it, or as it is.
    pub generation: u64,
    /// The latest event before it: `GET /events?after=` continues from here.
    pub last_event: u64,
    /// Every service of the document and every one that goes, by name.
    pub changes: Vec<PlannedChange>,
    /// Plugins that services name and that cannot be used; each is among the problems too, once per use. Empty when applied.
    #[serde(default)]
    pub missing_plugins: Vec<MissingPlugin>,
    /// What makes `/apply` refuse (422); empty when applied.
    #[serde(default)]
    #[schemars(with = "Vec<schema::Problem>")]
    pub problems: Vec<Problem>,
    /// What stands against it at this moment, as `/apply` would tell it (409): a quota, a name that somebody else has, a service that others
    /// need. Nothing when applied, and while it has mistakes.
    #[serde(default)]
    pub refused: Option<Failure>,
}

impl Plan {
    /// Does nothing change?
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| change.change == Change::Unchanged)
    }
}

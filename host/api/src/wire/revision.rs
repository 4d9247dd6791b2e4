//! Plugins under way from one revision to another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Need, Shape};

/// `POST /plugins/{name}/upgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeRequest {
    /// The component: an absolute path that the host can read.
    pub source: String,
    /// `blake3:…`: only this component; whatever is there when absent.
    #[serde(default)]
    pub digest: Option<String>,
    /// Grants beside the ones it has, by capability; one that it has already is replaced.
    #[serde(default)]
    pub grants: Map<String, Value>,
    /// What it may do beyond the revision before is accepted. Without it, such an upgrade waits, and the answer shows the difference.
    #[serde(default)]
    pub accept: bool,
    /// For how long it is watched, and rolled back when it breaks; 30 s when absent.
    #[serde(default)]
    pub watch_ms: Option<u64>,
}

/// `POST /plugins/{name}/rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {}

/// What became of a request to revise a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevisedTo {
    /// The other revision is in force.
    Swapped,
    /// Nothing was changed: it wants to do more, and nobody has accepted that.
    Waits,
    /// It is in force already.
    Same,
}

/// One component of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginRevision {
    /// `blake3:…`.
    pub digest: String,
    /// Its own version.
    pub plugin_version: Option<String>,
    /// Where it came from.
    pub origin: String,
}

/// What one revision may do and another may not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Interfaces that it imports and the one before does not.
    pub imports: Vec<String>,
    /// What it says it needs, and the one before does not say.
    pub needs: Vec<Need>,
    /// Capabilities whose grant is new or another one.
    pub grants: Vec<String>,
    /// Interfaces that it does not import any more.
    pub gone: Vec<String>,
}

impl Difference {
    /// Does it ask for anything more?
    pub fn is_wider(&self) -> bool {
        !self.imports.is_empty() || !self.needs.is_empty() || !self.grants.is_empty()
    }
}

/// The answer to both requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revised {
    /// Version of this shape.
    pub version: Shape,
    /// Which plugin.
    pub name: String,
    /// What became of it.
    pub outcome: RevisedTo,
    /// The revision before; nothing when it could not be used.
    pub from: Option<PluginRevision>,
    /// The revision asked for.
    pub to: PluginRevision,
    /// What it may do beyond the one before.
    pub difference: Difference,
    /// The grants to paste or to accept, when some are missing.
    pub stanza: Option<String>,
    /// Live tasks that both revisions saw alike.
    pub tasks: usize,
    /// For how long it is watched from now on.
    pub watch_ms: u64,
}

/// What a plugin was upgraded to, in place of what the configuration leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upgraded {
    /// It is being watched, and is rolled back when it breaks.
    pub watched: bool,
    /// The component that the configuration leads to.
    pub over: String,
    /// Where `rollback` goes, the latest last.
    pub before: Vec<PluginRevision>,
}

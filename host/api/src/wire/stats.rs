//! What tasks use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;
use super::service::Usage;
use crate::routes;
use crate::stamp::Timestamp;

/// `GET /stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Version of this shape.
    pub version: Shape,
    /// When this picture was complete.
    pub at: Timestamp,
    /// Each replica that runs and was measured, by service and index.
    pub replicas: Vec<ReplicaStats>,
    /// Services that run and of which nothing could be measured.
    pub unmeasured: Vec<Unmeasured>,
}

/// What one replica uses; absent is not measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaStats {
    /// Whose.
    pub service: String,
    /// Which.
    pub replica: u32,
    /// In which life.
    pub run: u64,
    /// Of one core, between the last two measurements of this life: 200 is two cores.
    pub cpu_percent: Option<f64>,
    /// Of its limit; absent where it has none.
    pub memory_percent: Option<f64>,
    /// As its backend measured it.
    pub usage: Usage,
}

/// A service of which nothing could be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unmeasured {
    /// Which.
    pub service: String,
    /// Why.
    pub reason: String,
}

/// `?` of `GET /stats`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatsQuery {
    /// Only these services, separated by commas; all when absent.
    pub names: Option<String>,
}

impl StatsQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        routes::with(routes::STATS, &[("names", self.names.clone())])
    }
}

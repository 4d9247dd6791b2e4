//! The host itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shape, schema};
use crate::stamp::Timestamp;
use hostler_core::{Health, Status};

/// `GET /host`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostInfo {
    /// Version of this shape.
    pub version: Shape,
    /// Version of the program.
    pub hostler_version: String,
    /// Its process.
    pub pid: u32,
    /// Absolute.
    pub state_dir: String,
    /// The tag that everything it owns carries.
    pub owner: String,
    /// When this process started.
    pub started_at: Timestamp,
    /// How long it has been up.
    pub uptime_ms: u64,
    /// Has it taken up what an earlier host left, and looked at it once?
    pub initialized: bool,
    /// Initialized, and every critical service that is enabled is up and well, or done.
    pub ready: bool,
    /// No new work is taken any more.
    pub shutting_down: bool,
    /// The worst health of all services.
    #[schemars(with = "schema::Health")]
    pub composite_health: Health,
    /// How many services are in each status; statuses that none has are left out.
    #[schemars(with = "BTreeMap<schema::Status, usize>")]
    pub services: BTreeMap<Status, usize>,
    /// Version of the wanted set; each apply, start and stop counts it up.
    pub generation: u64,
    /// The latest event.
    pub last_event: u64,
    /// The process that holds local children.
    pub keeper: KeeperInfo,
    /// What is loaded.
    pub plugins: PluginCounts,
    /// The TCP door, where there is to be one.
    #[serde(default)]
    pub listening: Option<Listening>,
}

/// The TCP door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listening {
    /// Where it is, or is to be.
    pub address: String,
    /// Behind TLS?
    pub tls: bool,
    /// Does it take connections?
    pub open: bool,
    /// Why not, or what is wrong beside that.
    pub trouble: Option<String>,
}

/// The keeper, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct KeeperInfo {
    /// Is it there? It is started before the host answers; one that is not there was lost, and another one is being started.
    pub running: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Version of the program it runs.
    pub keeper_version: Option<String>,
    /// Can it limit cpu and memory?
    pub limits: Option<bool>,
    /// Why not.
    pub limits_note: Option<String>,
}

/// How many plugins are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PluginCounts {
    /// Loaded and usable.
    pub ok: usize,
    /// Named by a service, and not there.
    pub missing: usize,
    /// There, and not loaded.
    pub refused: usize,
}

//! Asking for something to be done. An answer says that it is wanted, durably; that it is done is seen in the services.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;

/// `POST /services/start`: they are wanted, whatever ended them before. A second call starts again what has failed or completed since,
/// and leaves alone what runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// These; empty is all.
    #[serde(default)]
    pub services: Vec<String>,
    /// Not what they depend on.
    #[serde(default)]
    pub no_deps: bool,
    /// Answer only once they are settled, or after this long; at once when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// `POST /services/stop`: they are not wanted until somebody starts them. What requires them is taken down first and held, still wanted.
/// A second call with `force` hurries a stop that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// These; empty is all.
    #[serde(default)]
    pub services: Vec<String>,
    /// Without grace.
    #[serde(default)]
    pub force: bool,
    /// Answer only once they are settled, or after this long; at once when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// `POST /services/restart`: each is stopped, and started again. A second call is a second restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {
    /// These, also when they were stopped or are done; empty is all that are to run: not what was stopped by hand, has completed or has failed.
    #[serde(default)]
    pub services: Vec<String>,
    /// Also what has failed. Without it a service that is named and has failed is refused.
    #[serde(default)]
    pub force: bool,
    /// Answer only once they are settled, or after this long; at once when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// `POST /services/scale`: so many replicas of each are wanted, until somebody asks for another number or the configuration says another
/// one. All of them or, where one number is beyond the bounds of its service, none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleRequest {
    /// How many of which.
    pub services: BTreeMap<String, u32>,
    /// Answer only once they are settled, or after this long; at once when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionResult {
    /// Version of this shape.
    pub version: Shape,
    /// Version of the wanted set after it.
    pub generation: u64,
    /// The latest event before it: `GET /events?after=` continues from here.
    pub last_event: u64,
    /// Whom it is about, in the order it happens.
    pub services: Vec<String>,
    /// Are they all settled, as far as was waited?
    pub settled: bool,
}

/// `POST /down`: every service is stopped in reverse order, and then forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownRequest {
    /// Do not forget them: they stay, stopped, to be started again.
    #[serde(default)]
    pub keep: bool,
    /// Without grace.
    #[serde(default)]
    pub force: bool,
}

/// `POST /shutdown`: the host exits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShutdownRequest {
    /// Stop every service in reverse order first, without forgetting that they are wanted. Else their tasks go on, and the next host takes them up.
    #[serde(default)]
    pub stop_services: bool,
    /// Without grace. A second request with it hurries a shutdown that is under way.
    #[serde(default)]
    pub force: bool,
}

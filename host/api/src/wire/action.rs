//! Asking for something to be done. An answer says that it is wanted, durably; that it is done is seen in the services.

use serde::{Deserialize, Serialize};

use super::Shape;

/// `POST /services/start`, `/stop`, `/restart`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicesRequest {
    /// These; empty is all.
    #[serde(default)]
    pub services: Vec<String>,
    /// Start, restart: also what has used up its restarts. Stop: without grace.
    #[serde(default)]
    pub force: bool,
    /// Start: not what they depend on. Stop: not what depends on them.
    #[serde(default)]
    pub no_deps: bool,
    /// Answer only once they are settled, or after this long; at once when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownRequest {
    /// Stop every service in reverse order first, without forgetting that they are wanted. Else their tasks go on, and the next host takes them up.
    #[serde(default)]
    pub stop_services: bool,
    /// Without grace. A second request with it hurries a shutdown that is under way.
    #[serde(default)]
    pub force: bool,
}

//! Somebody who plays an engine.

use serde_json::Value;

use crate::hooks::Wait;

/// One request of Docker's API, as an engine hears it.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineRequest {
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// `/v1.41/containers/json`; `/version` is asked for without a version.
    pub path: String,
    /// In its order, decoded.
    pub query: Vec<(String, String)>,
    /// Null when there is none.
    pub body: Value,
}

/// What an engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineReply {
    /// 200, 404, …
    pub status: u16,
    /// As it would travel.
    pub body: Vec<u8>,
}

/// Plays every engine that plugins are granted, by Docker's API. A log is answered whole; of a command that is run the answer to its start is what
/// it writes; events are never asked for.
pub trait EngineRole: Send + Sync {
    /// One request.
    fn answer(&self, request: EngineRequest) -> Wait<'_, EngineReply>;
}

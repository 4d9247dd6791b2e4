//! What already runs on engines: shown, taken over, given back; and strangers that bear a tag.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Shape;
use super::service::Endpoint;
use crate::stamp::Timestamp;

/// Who made something: the tag that every host puts on what it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tag {
    /// Is it this host's tag?
    pub ours: bool,
    /// The tag.
    pub owner: String,
    /// The task's id there.
    pub id: String,
}

/// Something on an engine that this host has not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The backend whose engine has it.
    pub backend: String,
    /// What the engine calls it, as long as it exists.
    pub key: String,
    /// For people.
    pub name: String,
    /// `pending`, `running`, `stopping`, `exited`, `gone` or `unknown`.
    pub phase: String,
    /// Since when.
    pub started_at: Option<Timestamp>,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// What patterns are held against: `image`, `label.NAME`, `compose.project`, ….
    pub facts: BTreeMap<String, String>,
    /// The service that it is already.
    pub service: Option<String>,
    /// The pattern that knows it.
    pub pattern: Option<String>,
    /// Some host made it.
    pub tag: Option<Tag>,
}

/// `GET /discovery`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundList {
    /// Version of this shape.
    pub version: Shape,
    /// What there is.
    pub found: Vec<Found>,
    /// Backends that could not say, and why.
    pub away: BTreeMap<String, String>,
}

/// `?` of `GET /discovery`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryQuery {
    /// Only at this backend.
    pub backend: Option<String>,
}

/// `POST /discovery/adopt`: what runs already becomes a service, and is not touched. A second call changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// Its name, its key, or the first eight characters or more of that.
    pub what: String,
    /// The backend whose engine has it; every one is asked when absent.
    #[serde(default)]
    pub backend: Option<String>,
    /// The service that it becomes; its own name when absent.
    #[serde(default)]
    pub service: Option<String>,
    /// The rest of the service, as `[services.NAME]` has it, without `backend`.
    #[serde(default)]
    pub definition: Map<String, Value>,
}

/// `POST /discovery/release`: what was taken over goes on as it is, and is nobody's again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// These; at least one.
    pub services: Vec<String>,
    /// Answer only once they are gone, or after this long; at once when absent.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// Something with a tag that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stranger {
    /// The backend whose engine has it.
    pub backend: String,
    /// What to call it in a request.
    pub key: String,
    /// For people.
    pub name: String,
    /// `pending`, `running`, `stopping`, `exited`, `gone` or `unknown`.
    pub phase: String,
    /// Since when.
    pub started_at: Option<Timestamp>,
    /// Its tag.
    pub tag: Tag,
    /// Who it may be of, in words.
    pub probably: String,
    /// Somebody has said that it is nobody's business.
    pub ignored: bool,
}

/// `GET /strangers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StrangerList {
    /// Version of this shape.
    pub version: Shape,
    /// The ignored ones included.
    pub strangers: Vec<Stranger>,
    /// Backends that could not say, and why.
    pub away: BTreeMap<String, String>,
}

/// `POST /strangers/kill` and `/strangers/ignore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrangerRequest {
    /// Its key or its name.
    pub what: String,
    /// The backend whose engine has it; every one is asked when absent.
    #[serde(default)]
    pub backend: Option<String>,
    /// Of `ignore`: takes it back.
    #[serde(default)]
    pub notice: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StrangerResult {
    /// Version of this shape.
    pub version: Shape,
    /// To whom.
    pub stranger: Stranger,
}

//! One service as somebody wrote it, beside the configuration or in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Shape;

/// `PUT /services/{name}`: this service is wanted beside the configuration, which leaves it alone. A second call with the same changes
/// nothing; with another one it changes the service to that. Relative paths in it are relative to the root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecRequest {
    /// As it would stand under `[services.NAME]` of a file.
    pub service: Map<String, Value>,
    /// Start it, where it is new.
    #[serde(default = "yes")]
    pub start: bool,
}

fn yes() -> bool {
    true
}

/// Who asked for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AskedBy {
    /// The configuration: it changes with that.
    Configuration,
    /// A request of its own.
    Request,
    /// Somebody who wants containers of an image.
    Image,
    /// A pattern of the configuration that it was found by.
    Discovery,
    /// Somebody who took over what ran already.
    Adoption,
    /// Somebody who asked for a service instance.
    Instance,
}

/// `GET /services/{name}/spec`, with its `ETag`: what a `PUT` or `DELETE` with `If-Match` compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSpec {
    /// Version of this shape.
    pub version: Shape,
    /// Whose.
    pub name: String,
    /// Who asked for it.
    pub asked_by: AskedBy,
    /// Whoever was the first to, as the audit log calls him; nothing of what a configuration, an image or an engine asks for.
    pub created_by: Option<String>,
    /// As it was written; what its plugins call secret is left out.
    pub service: Value,
}

/// `?` of `DELETE /services/{name}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Removal {
    /// Without grace.
    pub force: bool,
}

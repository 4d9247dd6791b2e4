//! Images as replica sets: what is wanted of an image, and its containers. An image entry is a service; these are other words for it.

use std::collections::BTreeMap;

use hostler_core::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shape, schema};

/// Should its containers run?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageStatus {
    /// Yes.
    #[default]
    Running,
    /// No, but they are kept in mind.
    Stopped,
}

/// What each container may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageResources {
    /// Cores, `"0.5"` or `"500m"`; not limited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// `"512m"`, `"512Mi"` or `"1g"`; not limited when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Should they run?
    pub status: ImageStatus,
}

/// `POST /images`: so many containers of an image are wanted, at least one. A second call changes what is wanted, and replaces what differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageRequest {
    /// Its reference: `nginx:alpine`.
    pub image: String,
    /// The fewest.
    #[serde(default = "one")]
    pub min_replicas: u32,
    /// The most.
    #[serde(default = "five")]
    pub max_replicas: u32,
    /// Environment of each.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Ports of the container, `"80/tcp"`, and where each is published; 0 lets the engine choose.
    #[serde(default)]
    pub ports: BTreeMap<String, u16>,
    /// What each may use.
    #[serde(default)]
    pub resources: ImageResources,
    /// The backend whose engine runs them.
    #[serde(default = "docker")]
    pub backend: String,
    /// The service that it is; made of the reference when absent.
    #[serde(default)]
    pub service: Option<String>,
}

fn one() -> u32 {
    1
}

fn five() -> u32 {
    5
}

fn docker() -> String {
    "docker".to_owned()
}

/// `POST /images/{image}/scale`: other bounds; as many are kept as fit between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageScale {
    /// The fewest.
    pub min_replicas: u32,
    /// The most.
    pub max_replicas: u32,
}

/// What is wanted of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// Its reference.
    pub image: String,
    /// The service that it is.
    pub service: String,
    /// The backend whose engine runs it.
    pub backend: String,
    /// The fewest.
    pub min_replicas: u32,
    /// The most.
    pub max_replicas: u32,
    /// So many are wanted now.
    pub replicas: u32,
    /// So many run.
    pub running: u32,
    /// Environment of each.
    pub env: BTreeMap<String, String>,
    /// Where its ports are published.
    pub ports: BTreeMap<String, u16>,
    /// What each may use.
    pub resources: ImageResources,
}

/// `GET /images`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageList {
    /// Version of this shape.
    pub version: Shape,
    /// By reference.
    pub images: Vec<Image>,
}

/// Where a port of a container is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Binding {
    /// An address of the engine's machine.
    pub host_ip: String,
    /// As text, as engines tell it.
    pub host_port: String,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The engine's id of it.
    pub container_id: String,
    /// The engine's name of it.
    pub name: String,
    /// The image that it was made from.
    pub image: String,
    /// The service that it is a replica of.
    pub service: String,
    /// Which one.
    pub replica: u32,
    /// What is believed of it, as of a service.
    #[schemars(with = "schema::Status")]
    pub status: Status,
    /// Its published ports.
    pub ports: BTreeMap<String, Vec<Binding>>,
}

/// `GET /images/{image}/containers`: those that are kept stopped among them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerList {
    /// Version of this shape.
    pub version: Shape,
    /// Of which image; absent when of all.
    pub image: Option<String>,
    /// By replica.
    pub containers: Vec<Container>,
}

/// How one container is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerHealth {
    /// Whose.
    #[serde(flatten)]
    pub container: Container,
    /// Does somebody listen at its published port? Absent when none is published.
    pub server_alive: Option<bool>,
    /// Of one core; absent when not measured.
    pub cpu_percent: Option<f64>,
    /// Of what it may use; absent when not measured.
    pub mem_percent: Option<f64>,
    /// Of the file system that holds its own; absent when not measured.
    pub fs_free_bytes: Option<u64>,
}

/// `GET /images/{image}/health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageHealth {
    /// Version of this shape.
    pub version: Shape,
    /// Of which image.
    pub image: String,
    /// By replica.
    pub health: Vec<ContainerHealth>,
}

/// `POST /images/{image}/reconcile`: what was missing is made, what is surplus removed, what differs replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reconciled {
    /// Version of this shape.
    pub version: Shape,
    /// Of which image.
    pub image: String,
    /// So many are wanted.
    pub replicas: u32,
    /// Containers that were not there before.
    pub created: Vec<String>,
    /// Containers that are not there any more.
    pub removed: Vec<String>,
    /// Is everything as wanted?
    pub settled: bool,
}

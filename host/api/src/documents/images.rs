//! `/start/container`, `/images*` and `/containers*`: images as replica sets, in the words of their document.

use std::collections::BTreeMap;

use hostler_core::MAX_REPLICAS;
use schemars::JsonSchema;
use serde::Serialize;

use super::fastapi::{Fields, Mistake};
use super::word;
use crate::wire::{Container, ContainerHealth, Image, ImageRequest, ImageResources, ImageScale, ImageStatus};

/// Where a container's port is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesPublished")]
#[serde(rename_all = "PascalCase")]
pub struct Published {
    /// As text, as engines tell it.
    pub host_port: String,
}

/// A container in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesSummary")]
pub struct Summary {
    /// The engine's id of it; absent of one that was never made.
    pub container_id: Option<String>,
    /// The engine's name of it.
    pub name: Option<String>,
    /// In a [`word`].
    pub status: &'static str,
    /// Its published ports.
    pub ports: BTreeMap<String, Vec<Published>>,
}

impl Summary {
    /// Of a container that is not there, because none is to run.
    pub fn of_none() -> Summary {
        Summary { container_id: None, name: None, status: "stopped", ports: BTreeMap::new() }
    }
}

impl From<&Container> for Summary {
    fn from(container: &Container) -> Summary {
        let published =
            |bindings: &Vec<crate::wire::Binding>| bindings.iter().map(|binding| Published { host_port: binding.host_port.clone() }).collect();
        Summary {
            container_id: Some(container.container_id.clone()),
            name: Some(container.name.clone()),
            status: word(container.status),
            ports: container.ports.iter().map(|(port, bindings)| (port.clone(), published(bindings))).collect(),
        }
    }
}

/// `POST /start/container`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesStarted")]
pub struct Started {
    /// Always.
    pub ok: bool,
    /// Of which image.
    pub image: String,
    /// Its first container.
    #[serde(flatten)]
    pub container: Summary,
}

/// `POST /images/{image}/scale` and `/images/{image}/reconcile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesKept")]
pub struct Kept {
    /// Always.
    pub ok: bool,
    /// Of which image.
    pub image: String,
    /// The fewest.
    pub min_replicas: u32,
    /// The most.
    pub max_replicas: u32,
    /// Containers that were made.
    pub created: Vec<String>,
    /// Containers that were removed.
    pub removed: Vec<String>,
    /// Its containers then.
    pub containers: Vec<Summary>,
}

/// `GET /images/{image}/containers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesOfImage")]
pub struct OfImage {
    /// Of which image.
    pub image: String,
    /// By replica; none of an image that nobody asked for.
    pub containers: Vec<Summary>,
}

/// `GET /containers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesAll")]
pub struct All {
    /// Of every image.
    pub containers: Vec<Summary>,
}

/// How one container is; absent is not measured.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesHealth")]
pub struct Health {
    /// Whose.
    #[serde(flatten)]
    pub container: Summary,
    /// Does somebody listen at its published port?
    pub server_alive: Option<bool>,
    /// Of one core.
    pub cpu_percent: Option<f64>,
    /// Of what it may use.
    pub mem_percent: Option<f64>,
    /// On the disk that holds it.
    pub fs_free_bytes: Option<u64>,
}

impl From<&ContainerHealth> for Health {
    fn from(health: &ContainerHealth) -> Health {
        Health {
            container: Summary::from(&health.container),
            server_alive: health.server_alive,
            cpu_percent: health.cpu_percent,
            mem_percent: health.mem_percent,
            fs_free_bytes: health.fs_free_bytes,
        }
    }
}

/// `GET /images/{image}/health`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesHealthOfImage")]
pub struct HealthOfImage {
    /// Of which image.
    pub image: String,
    /// By replica.
    pub health: Vec<Health>,
}

/// What each container may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesResources")]
pub struct Resources {
    /// Cores; absent of an image that another API asked for without.
    pub cpu: Option<String>,
    /// Memory; the same.
    pub memory: Option<String>,
    /// Should they run?
    pub status: ImageStatus,
}

/// What is wanted of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesDesired")]
pub struct Desired {
    /// Its reference.
    pub image: String,
    /// The fewest.
    pub min_replicas: u32,
    /// The most.
    pub max_replicas: u32,
    /// Environment of each.
    pub env: BTreeMap<String, String>,
    /// Where its ports are published.
    pub ports: BTreeMap<String, u16>,
    /// What each may use.
    pub resources: Resources,
}

impl From<Image> for Desired {
    fn from(image: Image) -> Desired {
        let ImageResources { cpu, memory, status } = image.resources;
        Desired {
            image: image.image,
            min_replicas: image.min_replicas,
            max_replicas: image.max_replicas,
            env: image.env,
            ports: image.ports,
            resources: Resources { cpu, memory, status },
        }
    }
}

/// `GET /images`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesImages")]
pub struct Images {
    /// By reference.
    pub images: Vec<Desired>,
}

/// `PATCH /containers/{name_or_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesPatched")]
pub struct Patched {
    /// Always.
    pub ok: bool,
    /// As it is then. One that was started again has another id and name than before.
    #[serde(flatten)]
    pub container: Summary,
}

/// `DELETE /containers/{name_or_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImagesDeleted")]
pub struct Deleted {
    /// Always.
    pub deleted: bool,
    /// The one that is gone.
    pub container_id: String,
    /// Its name.
    pub name: String,
}

/// Reads `POST /start/container`.
///
/// # Errors
/// Every mistake.
pub fn start(body: &[u8]) -> Result<ImageRequest, Vec<Mistake>> {
    let mut fields = Fields::of_body(body)?;
    let image = fields.text("image");
    let (min_replicas, max_replicas) = bounds(&mut fields, (Some(1), Some(5)));
    let env = fields.texts("env");
    let ports = fields.ports("ports");
    let mut resources = ImageResources::default();
    if let Some(mut table) = fields.table("resources") {
        resources.cpu = Some(table.text("cpu"));
        resources.memory = Some(table.text("memory"));
        resources.status = status(table.one_of("status", &STATUSES, false));
        fields.take_over(table);
    }
    doubt_bounds(&mut fields, min_replicas, max_replicas);
    fields.done(ImageRequest { image, min_replicas, max_replicas, env, ports, resources, backend: "docker".to_owned(), service: None })
}

/// Reads `POST /images/{image}/scale`.
///
/// # Errors
/// Every mistake.
pub fn scale(body: &[u8]) -> Result<ImageScale, Vec<Mistake>> {
    let mut fields = Fields::of_body(body)?;
    let (min_replicas, max_replicas) = bounds(&mut fields, (None, None));
    doubt_bounds(&mut fields, min_replicas, max_replicas);
    fields.done(ImageScale { min_replicas, max_replicas })
}

/// Reads `PATCH /containers/{name_or_id}`.
///
/// # Errors
/// Every mistake.
pub fn patch(body: &[u8]) -> Result<ImageStatus, Vec<Mistake>> {
    let mut fields = Fields::of_body(body)?;
    let word = fields.one_of("status", &STATUSES, true);
    fields.done(status(word))
}

const STATUSES: [&str; 2] = ["running", "stopped"];

fn status(word: &str) -> ImageStatus {
    if word == STATUSES[0] { ImageStatus::Running } else { ImageStatus::Stopped }
}

fn bounds(fields: &mut Fields, defaults: (Option<u32>, Option<u32>)) -> (u32, u32) {
    let min_replicas = fields.number("min_replicas", defaults.0, 0, MAX_REPLICAS);
    (min_replicas, fields.number("max_replicas", defaults.1, 1, MAX_REPLICAS))
}

/// Bounds that are numbers each, and do not fit together.
fn doubt_bounds(fields: &mut Fields, min_replicas: u32, max_replicas: u32) {
    if fields.is_fine() && min_replicas > max_replicas {
        fields.doubt(&format!("max_replicas is {max_replicas}, less than min_replicas, {min_replicas}"));
    }
}

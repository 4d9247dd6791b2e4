//! `/api/v1/service_instances*`, `/api/v1/topology_detections*` and `/api/v1/workspaces/{id}/…`: services as instances of folders, in the
//! words of their document, which are JSON:API's.

use hostler_core::{Health, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::stamp::Timestamp;
use crate::wire::{Service, ServiceDetail};

mod asked;
mod definition;
mod events;
mod told;

pub use asked::{Asked, Patch, replica_count};
pub use definition::{definition, pointer};
pub use events::{DeploymentEvent, EventType, deployment_events};
pub use told::{Fault, Page, collection, deployment_event, errors, faults, link, one, status_of_workspace};

/// What JSON:API calls its media type.
pub const MEDIA: &str = "application/vnd.api+json";
/// What JSON:API calls the type of an instance.
pub const INSTANCES: &str = "service_instances";
/// And that of something that happened to one.
pub const EVENTS: &str = "deployment_events";

/// What somebody has in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceType {
    /// A container of an image.
    Containerized,
    /// A program of Node.js.
    Nodejs,
    /// A program in Python.
    Python,
    /// A program in Go.
    Golang,
    /// A program in Rust.
    Rust,
    /// A Compose file.
    ComposeStack,
    /// Something in front of other services: a container or a program.
    Proxy,
}

impl ServiceType {
    /// Each.
    pub const ALL: [ServiceType; 7] = [
        ServiceType::Containerized,
        ServiceType::Nodejs,
        ServiceType::Python,
        ServiceType::Golang,
        ServiceType::Rust,
        ServiceType::ComposeStack,
        ServiceType::Proxy,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceType::Containerized => "containerized",
            ServiceType::Nodejs => "nodejs",
            ServiceType::Python => "python",
            ServiceType::Golang => "golang",
            ServiceType::Rust => "rust",
            ServiceType::ComposeStack => "compose_stack",
            ServiceType::Proxy => "proxy",
        }
    }
}

/// What an instance is beside its service and what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// The workspace of its service.
    pub workspace: String,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last deployed.
    pub deployed_at: Option<Timestamp>,
}

/// What all replicas of an instance use together; absent is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Whole MiB.
    pub memory_mb: Option<u64>,
    /// Of one core.
    pub cpu_percent: Option<f64>,
    /// Of what they may use.
    pub memory_percent: Option<f64>,
}

/// One instance, put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// What only it has.
    pub record: Record,
    /// As somebody asked for it.
    pub asked: Asked,
    /// The service that it is.
    pub detail: ServiceDetail,
    /// What it uses.
    pub figures: Figures,
    /// Is a deployment of it asked for, and not over?
    pub deploying: bool,
}

/// Where an instance is, in the document's words. It has none for "nobody can say": that is an `error`, too.
pub fn status(service: &Service, deployed: bool) -> &'static str {
    match service.status {
        Status::Pending | Status::Starting => "deploying",
        Status::Running | Status::Unhealthy | Status::Stopping => "running",
        Status::Scaling => "scaling",
        Status::Failed | Status::Unknown | Status::NotFound => "error",
        Status::Stopped | Status::Completed | Status::Disabled if deployed => "stopped",
        Status::Stopped | Status::Completed | Status::Disabled => "deployable",
    }
}

/// How well it is: as long as the threshold of failures is not reached, it is well.
pub fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy | Health::Degraded => "healthy",
        Health::Unhealthy => "unhealthy",
        Health::Unknown => "unknown",
    }
}

impl Instance {
    /// In the document's words.
    pub fn status(&self) -> &'static str {
        if self.deploying {
            return "deploying";
        }
        status(&self.detail.service, self.record.deployed_at.is_some())
    }

    /// In the document's words.
    pub fn health(&self) -> &'static str {
        health(self.detail.service.health)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.detail.replicas.first()?.attributes.get(name).map(String::as_str)
    }

    fn last_check(&self) -> Option<Timestamp> {
        self.detail.checks.iter().filter_map(|check| check.history.last()).map(|result| result.timestamp).max()
    }

    /// Why it is as it is, where it is not well.
    fn trouble(&self) -> Option<String> {
        let is_well = matches!(self.detail.service.status, Status::Running | Status::Stopped | Status::Completed | Status::Scaling);
        (!is_well && !self.detail.because.is_empty()).then(|| self.detail.because.join("; because "))
    }

    fn uptime_seconds(&self) -> Option<u64> {
        self.detail.service.uptime_ms.map(|ms| ms / 1_000)
    }

    /// All of its attributes, in the document's order.
    pub fn attributes(&self) -> Map<String, Value> {
        let Asked { asked, .. } = self.asked.with_defaults(self.detail.service.replicas.wanted);
        let of = |key: &str| asked.get(key).cloned().unwrap_or_default();
        let attributes = json!({
            "name": of("name"),
            "folder_path": of("folder_path"),
            "service_type": of("service_type"),
            "status": self.status(),
            "container_id": self.attribute("container"),
            "deployment_config": of("deployment_config"),
            "port_mappings": of("port_mappings"),
            "environment_variables": of("environment_variables"),
            "resource_limits": of("resource_limits"),
            "health_check_config": of("health_check_config"),
            "scaling_config": of("scaling_config"),
            "last_health_check_at": self.last_check(),
            "health_status": self.health(),
            "deployment_logs": self.trouble(),
            "startup_time_ms": self.detail.service.startup_time_ms,
            "memory_usage_mb": self.figures.memory_mb,
            "cpu_usage_percent": self.figures.cpu_percent,
            "workspace_id": self.record.workspace,
            "team_id": of("team_id"),
            "created_by_id": self.record.created_by,
            "topology_detection_id": of("topology_detection_id"),
            "parent_service_id": of("parent_service_id"),
            "created_at": self.record.created_at,
            "updated_at": self.record.updated_at,
            "deployed_at": self.record.deployed_at,
            "last_accessed_at": null,
        });
        if let Value::Object(attributes) = attributes { attributes } else { Map::new() }
    }

    /// `GET …/health`: how it is now.
    pub fn health_document(&self) -> Value {
        let endpoints: Vec<_> = self.detail.replicas.iter().flat_map(|replica| &replica.endpoints).collect();
        json!({ "data": {
            "status": self.status(),
            "health_status": self.health(),
            "last_health_check_at": self.last_check(),
            "memory_usage_mb": self.figures.memory_mb,
            "cpu_usage_percent": self.figures.cpu_percent,
            "uptime_seconds": self.uptime_seconds(),
            "container_id": self.attribute("container"),
            "replicas": self.detail.service.replicas.running,
            "endpoints": endpoints,
            "message": self.detail.because.first(),
        } })
    }

    /// `GET …/metrics`.
    pub fn metrics_document(&self) -> Value {
        json!({ "data": {
            "uptime_seconds": self.uptime_seconds(),
            "memory_usage_mb": self.figures.memory_mb,
            "cpu_usage_percent": self.figures.cpu_percent,
            "health_status": self.health(),
            "last_health_check_at": self.last_check(),
            "resource_utilization": {
                "cpu_percent": self.figures.cpu_percent,
                "memory_percent": self.figures.memory_percent,
            },
        } })
    }
}

#[cfg(test)]
mod tests;

//! What a registry knows of services: where they are, how often they failed, and how many there are of which kind.

use std::collections::BTreeMap;

use hostler_core::{Category, Kind};
use schemars::JsonSchema;
use serde::Serialize;

use super::super::{Seconds, word};
use crate::stamp::Timestamp;
use crate::wire::{Endpoint, PulseCounts, Replica, ServiceDetail, ServiceList, schema};

/// What else is known of a service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationMetadata")]
pub struct Metadata {
    /// Which.
    pub service_name: String,
    /// For people; its name where nothing else was said.
    pub display_name: String,
    /// What it is for.
    #[schemars(with = "schema::Category")]
    pub category: Category,
    /// For ever, or to its end?
    #[schemars(with = "schema::Kind")]
    pub kind: Kind,
    /// Name of the backend plugin.
    pub backend: String,
    /// A disabled service is not run.
    pub enabled: bool,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
    /// Where each of its replicas listens.
    pub endpoints: Vec<Port>,
    /// The first port among these.
    pub port: Option<u16>,
    /// The process of the first replica.
    pub pid: Option<u32>,
    /// The container of the first replica.
    pub container_id: Option<String>,
    /// The image that it was made from.
    pub image: Option<String>,
    /// Is it up?
    pub is_alive: bool,
    /// When the first replica was last started.
    pub started_at: Option<Seconds>,
    /// Ends and failed starts that nobody asked for.
    pub failure_count: u64,
    /// Restarts over its life.
    pub restart_count: u64,
    /// The last failure.
    pub last_failure_at: Option<Seconds>,
    /// The same, in seconds since 1970.
    pub last_failure_timestamp: Option<f64>,
    /// The last restart.
    pub last_restart_at: Option<Seconds>,
    /// The same, in seconds since 1970.
    pub last_restart_timestamp: Option<f64>,
    /// Absent of one that has sent none; whoever tells it adds it.
    pub last_heartbeat: Option<Seconds>,
}

/// Where a replica listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationPort")]
pub struct Port {
    /// Of which replica.
    pub replica: u32,
    /// Which of its endpoints, and where.
    #[serde(flatten)]
    pub endpoint: Endpoint,
}

impl Metadata {
    /// Of a service.
    pub fn of(detail: &ServiceDetail) -> Metadata {
        let service = &detail.service;
        let of = |replica: &Replica| {
            let index = replica.replica;
            replica.endpoints.clone().into_iter().map(move |endpoint| Port { replica: index, endpoint }).collect::<Vec<_>>()
        };
        let endpoints: Vec<Port> = detail.replicas.iter().flat_map(of).collect();
        let attribute = |name: &str| detail.replicas.first().and_then(|first| first.attributes.get(name)).cloned();
        Metadata {
            service_name: service.name.clone(),
            display_name: service.display_name.clone().unwrap_or_else(|| service.name.clone()),
            category: service.category,
            kind: service.kind,
            backend: service.backend.clone(),
            enabled: service.enabled,
            labels: detail.labels.clone(),
            port: endpoints.first().map(|first| first.endpoint.port),
            endpoints,
            pid: service.pid,
            container_id: attribute("container"),
            image: attribute("image"),
            is_alive: word(service.status) == "running",
            started_at: service.started_at.map(Seconds),
            failure_count: service.failure_count,
            restart_count: service.restart_count,
            last_failure_at: service.last_failure_at.map(Seconds),
            last_failure_timestamp: service.last_failure_at.map(unix),
            last_restart_at: service.last_restart_at.map(Seconds),
            last_restart_timestamp: service.last_restart_at.map(unix),
            last_heartbeat: None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^52")]
fn unix(at: Timestamp) -> f64 {
    at.0 as f64 / 1_000.0
}

/// How many services there are, as a registry counts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationRegistry")]
pub struct Registry {
    /// All.
    pub total_services: usize,
    /// By [`word`].
    pub by_status: BTreeMap<&'static str, usize>,
    /// By what they are for.
    pub by_category: BTreeMap<&'static str, usize>,
    /// Up.
    pub alive_services: usize,
    /// Of those that send any.
    pub heartbeats: Heartbeats,
    /// How long it took to find the order of all services, just now.
    pub dependency_resolution_ms: f64,
}

/// Who sends heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationHeartbeats")]
pub struct Heartbeats {
    /// Who has sent one.
    pub services: usize,
    /// Whose last one is too old.
    pub late: usize,
}

impl Registry {
    /// Of a list; those who send heartbeats among it, and the time that its order took, are handed in.
    pub fn of(list: &ServiceList, pulses: PulseCounts, dependency_resolution_ms: f64) -> Registry {
        let mut by_status: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut by_category: BTreeMap<&'static str, usize> = BTreeMap::new();
        for service in &list.services {
            *by_status.entry(word(service.status)).or_default() += 1;
            *by_category.entry(category(service.category)).or_default() += 1;
        }
        Registry {
            total_services: list.services.len(),
            alive_services: by_status.get("running").copied().unwrap_or(0),
            by_status,
            by_category,
            heartbeats: Heartbeats { services: pulses.services, late: pulses.missed },
            dependency_resolution_ms,
        }
    }
}

fn category(category: Category) -> &'static str {
    match category {
        Category::Infrastructure => "infrastructure",
        Category::Ai => "ai",
        Category::Monitoring => "monitoring",
        Category::Application => "application",
    }
}

//! `/api/orchestration/*`: services, their health, their graph and their figures, in the words of their document.

use std::collections::BTreeMap;

use hostler_core::Health;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fastapi::{Detail as Refusal, Fields, Mistake};
use super::{Seconds, word};
use crate::wire::{CheckNow, CheckResult, CheckState, Graph, HealthReport, Service, ServiceDetail, ServiceList, schema};

mod registry;

pub use registry::{Heartbeats, Metadata, Port, Registry};

/// A service in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationLine")]
pub struct Line {
    /// In a [`word`].
    pub status: &'static str,
    /// Restarts over its life, those that somebody asked for among them.
    pub restart_count: u64,
    /// The last of them.
    pub last_restart: Option<Seconds>,
    /// What it last failed of.
    pub last_error: Option<String>,
    /// Is the whole not ready without it?
    pub is_critical: bool,
}

impl From<&Service> for Line {
    fn from(service: &Service) -> Line {
        Line {
            status: word(service.status),
            restart_count: service.restart_count,
            last_restart: service.last_restart_at.map(Seconds),
            last_error: service.last_error.clone(),
            is_critical: service.critical,
        }
    }
}

/// `GET /api/orchestration/services`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationServices")]
pub struct Services {
    /// Always.
    pub success: bool,
    /// How many.
    pub total_services: usize,
    /// By name.
    pub services: BTreeMap<String, Line>,
    /// Is every critical service up and well?
    pub is_ready: bool,
    /// Is everything that an earlier host left accounted for?
    pub initialized: bool,
}

impl Services {
    /// Of a list.
    pub fn of(list: &ServiceList, initialized: bool) -> Services {
        let services = list.services.iter().map(|service| (service.name.clone(), Line::from(service)));
        Services { success: true, total_services: list.services.len(), services: services.collect(), is_ready: list.ready, initialized }
    }
}

/// One result of a service's checks.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationCheck")]
pub struct Check {
    /// Of which service.
    pub service_name: String,
    /// How well it was.
    #[schemars(with = "schema::Health")]
    pub status: Health,
    /// When it was asked.
    pub timestamp: Seconds,
    /// For people.
    pub message: String,
    /// Which check of which replica, and what it said beside.
    pub details: BTreeMap<String, String>,
    /// How long the answer took; absent when nothing was asked.
    pub response_time_ms: Option<f64>,
}

impl Check {
    fn of(result: &CheckResult) -> Check {
        let mut details = BTreeMap::from([("check".to_owned(), result.check.clone()), ("replica".to_owned(), result.replica.to_string())]);
        details.extend(result.details.clone());
        Check {
            service_name: result.service_name.clone(),
            status: result.status,
            timestamp: Seconds(result.timestamp),
            message: result.message.clone(),
            details,
            response_time_ms: result.response_time_ms,
        }
    }
}

/// How well one service is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationHealthOf")]
pub struct HealthOf {
    /// By its checks.
    #[schemars(with = "schema::Health")]
    pub status: Health,
    /// The latest result; absent of one that no check judges.
    pub last_check: Option<Check>,
    /// The most of any of its checks.
    pub consecutive_failures: u32,
    /// In percent; absent when nothing is known of that time.
    pub uptime_1h: Option<f64>,
}

/// `GET /api/orchestration/health`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationHealthOfAll")]
pub struct HealthOfAll {
    /// Always `ok`: that the question was answered.
    pub status: &'static str,
    /// The worst of all.
    #[schemars(with = "schema::Health")]
    pub composite_health: Health,
    /// By name.
    pub services: BTreeMap<String, HealthOf>,
    /// Names.
    pub unhealthy_services: Vec<String>,
    /// Names.
    pub degraded_services: Vec<String>,
}

impl From<&HealthReport> for HealthOfAll {
    fn from(report: &HealthReport) -> HealthOfAll {
        let one = |(name, health): (&String, &crate::wire::ServiceHealth)| {
            let told = HealthOf {
                status: health.status,
                last_check: health.last_check.as_ref().map(Check::of),
                consecutive_failures: health.consecutive_failures,
                uptime_1h: health.uptime.uptime_1h,
            };
            (name.clone(), told)
        };
        HealthOfAll {
            status: "ok",
            composite_health: report.composite_health,
            services: report.services.iter().map(one).collect(),
            unhealthy_services: report.unhealthy_services.clone(),
            degraded_services: report.degraded_services.clone(),
        }
    }
}

/// `POST /api/orchestration/restart/{service_name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationRestarted")]
pub struct Restarted {
    /// Is it up again?
    pub success: bool,
    /// Which.
    pub service: String,
    /// In a [`word`].
    pub status: &'static str,
    /// This one among them.
    pub restart_count: u64,
    /// The last of them.
    pub last_restart: Option<Seconds>,
    /// For people.
    pub message: String,
}

impl Restarted {
    /// Of a service as it is now.
    pub fn of(service: &Service, success: bool, message: String) -> Restarted {
        let Line { status, restart_count, last_restart, .. } = Line::from(service);
        // One that was at rest before was started, and no restart is counted.
        let last_restart = last_restart.or(service.started_at.filter(|_| success).map(Seconds));
        Restarted { success, service: service.name.clone(), status, restart_count, last_restart, message }
    }
}

/// A request that was refused, for whoever looks at `success`, and for whoever looks at `detail`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationRefused")]
pub struct Refused {
    /// Never.
    pub success: bool,
    /// For people.
    pub message: String,
    /// The same, or every mistake in the request.
    #[schemars(with = "Refusal")]
    pub detail: Value,
}

/// A service's place in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationNode")]
pub struct Node {
    /// Each service is a type of its own.
    #[serde(rename = "type")]
    pub kind: String,
    /// Those it needs.
    pub dependencies: Vec<String>,
    /// Those it only starts after.
    pub optional_dependencies: Vec<String>,
    /// Those that start after it.
    pub dependents: Vec<String>,
    /// How many starts away from the first.
    pub layer: Option<usize>,
}

/// `GET /api/orchestration/dependencies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationDependencies")]
pub struct Dependencies {
    /// Always.
    pub success: bool,
    /// First started first.
    pub startup_order: Vec<String>,
    /// The reverse.
    pub shutdown_order: Vec<String>,
    /// By name.
    pub dependencies: BTreeMap<String, Node>,
    /// The graph as a text.
    pub visualization: String,
}

impl From<&Graph> for Dependencies {
    fn from(graph: &Graph) -> Dependencies {
        let node = |(name, node): (&String, &crate::wire::GraphNode)| {
            let told = Node {
                kind: name.clone(),
                dependencies: edges(&node.dependencies, false),
                optional_dependencies: edges(&node.dependencies, true),
                dependents: node.dependents.clone(),
                layer: node.layer,
            };
            (name.clone(), told)
        };
        Dependencies {
            success: true,
            startup_order: graph.start_order.clone(),
            shutdown_order: graph.stop_order.clone(),
            dependencies: graph.services.iter().map(node).collect(),
            visualization: graph.picture(),
        }
    }
}

fn edges(edges: &[crate::wire::Edge], optional: bool) -> Vec<String> {
    edges.iter().filter(|edge| edge.optional == optional).map(|edge| edge.service.clone()).collect()
}

/// How many services there are, by what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationCounts")]
pub struct Counts {
    /// All.
    pub total_services: usize,
    /// Up, however well.
    pub running_services: usize,
    /// Parked.
    pub failed_services: usize,
    /// Down, as wanted.
    pub stopped_services: usize,
    /// Of all.
    pub total_restarts: u64,
    /// By their checks.
    pub healthy_services: usize,
    /// By their checks.
    pub unhealthy_services: usize,
    /// Is every critical service up and well?
    pub is_ready: bool,
    /// Is everything that an earlier host left accounted for?
    pub initialized: bool,
}

impl Counts {
    /// Of a list.
    pub fn of(list: &ServiceList, initialized: bool) -> Counts {
        let number = |test: &dyn Fn(&Service) -> bool| list.services.iter().filter(|service| test(service)).count();
        Counts {
            total_services: list.services.len(),
            running_services: number(&|service| word(service.status) == "running"),
            failed_services: number(&|service| word(service.status) == "failed"),
            stopped_services: number(&|service| word(service.status) == "stopped"),
            total_restarts: list.services.iter().map(|service| service.restart_count).sum(),
            healthy_services: number(&|service| service.health == Health::Healthy),
            unhealthy_services: number(&|service| service.health == Health::Unhealthy),
            is_ready: list.ready,
            initialized,
        }
    }
}

/// `GET /api/orchestration/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationMetrics")]
pub struct Metrics {
    /// Always.
    pub success: bool,
    /// Of all together.
    pub metrics: Counts,
    /// Of all together, as a registry counts.
    pub registry_stats: Registry,
    /// Of each, by name.
    pub service_details: BTreeMap<String, Figures>,
}

/// The figures of one service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationFigures")]
pub struct Figures {
    /// Its line.
    #[serde(flatten)]
    pub line: Line,
    /// By its checks.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// Ends and failed starts that nobody asked for.
    pub failure_count: u64,
    /// The most of any of its checks.
    pub consecutive_failures: u32,
    /// The fewest of any of its checks.
    pub consecutive_successes: u32,
    /// Of the latest result.
    pub response_time_ms: Option<f64>,
    /// In percent; absent when nothing is known of that time.
    pub uptime_1h: Option<f64>,
    /// The same, of a day.
    pub uptime_24h: Option<f64>,
    /// The same, of a week.
    pub uptime_7d: Option<f64>,
}

impl Figures {
    /// Of a service, with its checks.
    pub fn of(detail: &ServiceDetail, health: &crate::wire::ServiceHealth) -> Figures {
        Figures {
            line: Line::from(&detail.service),
            health: detail.service.health,
            failure_count: detail.service.failure_count,
            consecutive_failures: health.consecutive_failures,
            consecutive_successes: detail.checks.iter().map(|check| check.consecutive_passes).min().unwrap_or(0),
            response_time_ms: health.last_check.as_ref().and_then(|last| last.response_time_ms),
            uptime_1h: health.uptime.uptime_1h,
            uptime_24h: health.uptime.uptime_24h,
            uptime_7d: health.uptime.uptime_7d,
        }
    }
}

/// A service's neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationNeighbours")]
pub struct Neighbours {
    /// Those it needs.
    pub required: Vec<String>,
    /// Those it only starts after.
    pub optional: Vec<String>,
    /// Those that start after it.
    pub dependents: Vec<String>,
    /// How many starts away from the first.
    pub layer: Option<usize>,
}

/// `GET /api/orchestration/service/{service_name}`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationDetail")]
pub struct Detail {
    /// Always.
    pub success: bool,
    /// Which.
    pub service: String,
    /// Its line.
    #[serde(flatten)]
    pub line: Line,
    /// Its neighbours.
    pub dependencies: Neighbours,
    /// The last results of all its checks, oldest first, at most 100.
    pub health_history: Vec<Check>,
    /// What else is known of it.
    pub registry_metadata: Metadata,
}

/// The longest history that is told.
const HISTORY: usize = 100;

impl From<&ServiceDetail> for Detail {
    fn from(detail: &ServiceDetail) -> Detail {
        let names = |optional: bool| {
            let chosen = detail.dependencies.iter().filter(|edge| edge.optional == optional);
            chosen.map(|edge| edge.service.to_string()).collect()
        };
        Detail {
            success: true,
            service: detail.service.name.clone(),
            line: Line::from(&detail.service),
            dependencies: Neighbours {
                required: names(false),
                optional: names(true),
                dependents: detail.dependents.clone(),
                layer: detail.service.layer,
            },
            health_history: history(&detail.checks),
            registry_metadata: Metadata::of(detail),
        }
    }
}

/// The results of several checks, in the order in which they came.
fn history(checks: &[CheckState]) -> Vec<Check> {
    let mut results: Vec<&CheckResult> = checks.iter().flat_map(|check| &check.history).collect();
    results.sort_by_key(|result| result.timestamp);
    let last = results.len().saturating_sub(HISTORY);
    results[last..].iter().map(|result| Check::of(result)).collect()
}

/// `POST /api/orchestration/health/check-now`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OrchestrationCheckedNow")]
pub struct CheckedNow {
    /// Always.
    pub success: bool,
    /// When it was answered.
    pub timestamp: Seconds,
    /// The worst of all.
    #[schemars(with = "schema::Health")]
    pub composite_health: Health,
    /// By name: the worst result of each service; of one that was not checked, that it was not.
    pub results: BTreeMap<String, Check>,
}

impl From<&CheckNow> for CheckedNow {
    fn from(now: &CheckNow) -> CheckedNow {
        let mut results: BTreeMap<String, Check> = BTreeMap::new();
        for result in &now.results {
            let check = Check::of(result);
            let is_worse = results.get(&result.service_name).is_none_or(|known| known.status < check.status);
            if is_worse {
                results.insert(result.service_name.clone(), check);
            }
        }
        for name in &now.not_checked {
            results.entry(name.clone()).or_insert_with(|| Check {
                service_name: name.clone(),
                status: Health::Unknown,
                timestamp: Seconds(now.timestamp),
                message: "it was not checked: it does not run, has no checks, or none has answered in time".to_owned(),
                details: BTreeMap::new(),
                response_time_ms: None,
            });
        }
        CheckedNow { success: true, timestamp: Seconds(now.timestamp), composite_health: now.composite_health, results }
    }
}

/// Reads `POST /api/orchestration/restart/{service_name}`: by force? Without a body, no.
///
/// # Errors
/// Every mistake.
pub fn restart(body: &[u8]) -> Result<bool, Vec<Mistake>> {
    if body.is_empty() {
        return Ok(false);
    }
    let mut fields = Fields::of_body(body)?;
    let force = fields.truth("force", false);
    fields.done(force)
}

#[cfg(test)]
mod tests;

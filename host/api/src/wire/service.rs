//! Services as the host sees them.

use std::collections::BTreeMap;

use hostler_core::{Category, Dependency, Health, Kind, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::CheckState;
use super::{Shape, schema};
use crate::routes;
use crate::stamp::Timestamp;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// To be up, or, of a one-shot, to be done.
    Running,
    /// To be down.
    Stopped,
    /// To be gone.
    Removed,
}

/// The next step that happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextStep {
    /// "restart", "health check `http`", "kill".
    pub what: String,
    /// When.
    pub at: Option<Timestamp>,
    /// How long until then, at the time of the answer.
    pub in_ms: Option<u64>,
}

/// How many replicas there are, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaCounts {
    /// Asked for now.
    pub wanted: u32,
    /// The fewest that scaling may leave.
    pub min: u32,
    /// The most that scaling may make.
    pub max: u32,
    /// Up.
    pub running: u32,
    /// Up and healthy.
    pub healthy: u32,
}

/// One service, in one line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The workspace it is of, where that is not `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// For ever, or to its end?
    #[schemars(with = "schema::Kind")]
    pub kind: Kind,
    /// What it is for.
    #[schemars(with = "schema::Category")]
    pub category: Category,
    /// Is the whole not ready without it?
    pub critical: bool,
    /// A disabled service is not run.
    pub enabled: bool,
    /// Name of the backend plugin.
    pub backend: String,
    /// What is asked of it.
    pub wanted: Wanted,
    /// A manual stop is remembered until a manual start.
    pub stopped_by_hand: bool,
    /// What is believed of it.
    #[schemars(with = "schema::Status")]
    pub status: Status,
    /// How well it is.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// Why, in one line: the first sentence of the cause chain.
    pub cause: Option<String>,
    /// Nothing more happens without news: it is as wanted (and, with checks, has had a first verdict), or it failed, or it waits for
    /// something that failed.
    pub settled: bool,
    /// What happens next by itself.
    pub next: Option<NextStep>,
    /// Which version of its spec is in force.
    pub generation: u64,
    /// Distance from the first starts.
    pub layer: Option<usize>,
    /// How many there are.
    pub replicas: ReplicaCounts,
    /// The process of the first replica, where it has one.
    pub pid: Option<u32>,
    /// The latest start of the first replica.
    pub started_at: Option<Timestamp>,
    /// How long it has been up.
    pub uptime_ms: Option<u64>,
    /// From the start's intent to healthy (without checks: to running), of the latest start.
    pub startup_time_ms: Option<u64>,
    /// Restarts over the life of the service.
    pub restart_count: u64,
    /// Restarts that count against the budget now.
    pub restart_attempts: u32,
    /// The budget; absent is without limit.
    pub max_restart_attempts: Option<u32>,
    /// Ends and failed starts that nobody asked for, over the life of the service.
    pub failure_count: u64,
    /// When it was last restarted.
    pub last_restart_at: Option<Timestamp>,
    /// When it last failed.
    pub last_failure_at: Option<Timestamp>,
    /// What it last failed of.
    pub last_error: Option<String>,
}

/// `GET /services`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceList {
    /// Version of this shape.
    pub version: Shape,
    /// Is every service of the list settled?
    pub settled: bool,
    /// Is every critical service that is enabled up and well, or done?
    pub ready: bool,
    /// The worst health of all.
    #[schemars(with = "schema::Health")]
    pub composite_health: Health,
    /// The latest event of this picture: `GET /events?after=` continues from here.
    pub last_event: u64,
    /// The `after` of the next page; absent behind the last.
    #[serde(default)]
    pub next: Option<String>,
    /// By name. The last of this document.
    pub services: Vec<Service>,
}

/// `?` of `GET /services`. Of several things that are asked for, all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesQuery {
    /// Only these, separated by commas; all when absent. One that is not there is a failure.
    pub names: Option<String>,
    /// Only with one of these statuses, separated by commas.
    pub status: Option<String>,
    /// Only with one of these healths, separated by commas.
    pub health: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only of this backend.
    pub backend: Option<String>,
    /// Only with this label: `KEY`, or `KEY=VALUE`.
    pub label: Option<String>,
    /// Only what comes after this name.
    pub after: Option<String>,
    /// At most so many, at least 1; then `next` says where to go on. All when absent.
    pub limit: Option<usize>,
    /// Answer once each of them is settled, or at the timeout.
    pub wait_settled: bool,
    /// How long to wait; 60 s when absent. After it the answer is the picture as it is, with `settled: false`.
    pub timeout_ms: Option<u64>,
}

impl ServicesQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        let pairs = [
            ("names", self.names.clone()),
            ("status", self.status.clone()),
            ("health", self.health.clone()),
            ("category", self.category.clone()),
            ("backend", self.backend.clone()),
            ("label", self.label.clone()),
            ("after", self.after.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("wait_settled", self.wait_settled.then(|| "true".to_owned())),
            ("timeout_ms", self.timeout_ms.map(|ms| ms.to_string())),
        ];
        routes::with(routes::SERVICES, &pairs)
    }
}

/// `?` of `GET /services/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceQuery {
    /// Say what each replica uses: its backend is asked, which takes as long as it takes.
    pub usage: bool,
}

impl ServiceQuery {
    /// The path of a service with this query.
    pub fn path(&self, name: &str) -> String {
        routes::with(&routes::of(routes::SERVICE, name), &[("usage", self.usage.then(|| "true".to_owned()))])
    }
}

/// Where a replica listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Which of its endpoints.
    pub name: String,
    /// Host or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `tcp`, `http`, …
    pub protocol: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// Absent when a signal or something unknown ended it.
    pub code: Option<i32>,
    /// By name.
    pub signal: Option<String>,
    /// Was it killed for its memory?
    pub out_of_memory: bool,
    /// When.
    pub at: Option<Timestamp>,
    /// For people.
    pub reason: Option<String>,
}

/// What a replica uses; absent is not measured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// When it was measured.
    pub at: Option<Timestamp>,
    /// Counts up over a run.
    pub cpu_nanos: Option<u64>,
    /// Resident.
    pub memory_bytes: Option<u64>,
    /// The limit in force.
    pub memory_limit_bytes: Option<u64>,
    /// Left on its disk.
    pub disk_free_bytes: Option<u64>,
    /// Counts up over a run.
    pub network_received_bytes: Option<u64>,
    /// Counts up over a run.
    pub network_sent_bytes: Option<u64>,
    /// How many processes it is.
    pub processes: Option<u32>,
}

/// One replica of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replica {
    /// From 0.
    pub replica: u32,
    /// Which life it is in; 0 before the first.
    pub run: u64,
    /// What its backend writes onto the real thing.
    pub task_id: Option<String>,
    /// What is believed of it.
    #[schemars(with = "schema::Status")]
    pub status: Status,
    /// How well it is.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// Why, in one line.
    pub cause: Option<String>,
    /// Where its backend says so.
    pub pid: Option<u32>,
    /// When this run started.
    pub started_at: Option<Timestamp>,
    /// How long it has been up.
    pub uptime_ms: Option<u64>,
    /// Restarts that count against the budget now.
    pub restart_attempts: u32,
    /// Restarts since it has this index.
    #[serde(default)]
    pub restart_count: u64,
    /// How the latest run that ended did so.
    pub last_exit: Option<Exit>,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// What its backend says of it: container id, unit name, notes such as "memory limit not applied: …".
    pub attributes: BTreeMap<String, String>,
    /// What it uses, when that was asked for and its backend has the `stats` ability.
    pub usage: Option<Usage>,
}

/// `GET /services/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDetail {
    /// Version of this shape.
    pub version: Shape,
    /// The line of the list.
    pub service: Service,
    /// The cause chain, the effect first.
    pub because: Vec<String>,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
    /// After whom it starts.
    #[schemars(with = "Vec<schema::Dependency>")]
    pub dependencies: Vec<Dependency>,
    /// Who starts after it.
    pub dependents: Vec<String>,
    /// Each replica.
    pub replicas: Vec<Replica>,
    /// Each check of each replica.
    pub checks: Vec<CheckState>,
}

/// `GET /services/{name}/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Version of this shape.
    pub version: Shape,
    /// Of whom.
    pub service: String,
    /// What is asked of it.
    pub wanted: Wanted,
    /// What is believed of it.
    #[schemars(with = "schema::Status")]
    pub status: Status,
    /// How well it is.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// The cause chain, the effect first: each sentence is explained by the one after it.
    pub because: Vec<String>,
    /// What happens next by itself; absent when nothing does.
    pub next: Option<NextStep>,
    /// How its load scales it; absent where none does.
    #[serde(default)]
    pub scaling: Option<String>,
    /// What a person can do, as a command, when nothing happens by itself.
    pub hint: Option<String>,
}

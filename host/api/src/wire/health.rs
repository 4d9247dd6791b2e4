//! Checks and what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shape, schema};
use crate::routes;
use crate::stamp::Timestamp;
use hostler_core::{Health, Verdict};

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// Of which service.
    pub service_name: String,
    /// Of which check.
    pub check: String,
    /// Of which replica.
    pub replica: u32,
    /// What it said.
    #[schemars(with = "schema::Verdict")]
    pub verdict: Verdict,
    /// How well the service is after it.
    #[schemars(with = "schema::Health")]
    pub status: Health,
    /// When it was asked.
    pub timestamp: Timestamp,
    /// For people.
    pub message: String,
    /// Figures for people.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    /// How long the answer took.
    pub response_time_ms: Option<f64>,
}

/// How much of the time it was well, in percent; absent when nothing is known of that time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Uptime {
    /// Of the last hour.
    pub uptime_1h: Option<f64>,
    /// Of the last 24 hours.
    pub uptime_24h: Option<f64>,
    /// Of the last 7 days.
    pub uptime_7d: Option<f64>,
}

/// One check of one replica, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckState {
    /// Its name.
    pub check: String,
    /// Of which replica.
    pub replica: u32,
    /// Name of the health-check plugin.
    pub plugin: String,
    /// How well the replica is by this check.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// From one check to the next.
    pub interval_ms: u64,
    /// How long one may take.
    pub timeout_ms: u64,
    /// Failures in a row that make it unhealthy.
    pub failure_threshold: u32,
    /// Passes in a row that make it healthy again.
    pub recovery_threshold: u32,
    /// Restart the task when it is unhealthy?
    pub auto_recovery: bool,
    /// In a row, now.
    pub consecutive_failures: u32,
    /// In a row, now.
    pub consecutive_passes: u32,
    /// Until the next one.
    pub next_in_ms: Option<u64>,
    /// How much of the time it was well.
    #[serde(flatten)]
    pub uptime: Uptime,
    /// The latest results, oldest first, at most 100.
    pub history: Vec<CheckResult>,
}

/// How well one service is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceHealth {
    /// By its checks.
    #[schemars(with = "schema::Health")]
    pub status: Health,
    /// The latest result of any of them.
    pub last_check: Option<CheckResult>,
    /// The most of any of them.
    pub consecutive_failures: u32,
    /// How much of the time it was well.
    #[serde(flatten)]
    pub uptime: Uptime,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HealthReport {
    /// Version of this shape.
    pub version: Shape,
    /// The worst health of all.
    #[schemars(with = "schema::Health")]
    pub composite_health: Health,
    /// Is every critical service that is enabled up and well, or done?
    pub ready: bool,
    /// By name.
    pub services: BTreeMap<String, ServiceHealth>,
    /// Names.
    pub unhealthy_services: Vec<String>,
    /// Names.
    pub degraded_services: Vec<String>,
}

/// `GET /services/{name}/history`: which results are told; all of them when nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryQuery {
    /// Of this check.
    pub check: Option<String>,
    /// Of this replica.
    pub replica: Option<u32>,
    /// That said this.
    #[schemars(with = "Option<schema::Verdict>")]
    pub verdict: Option<Verdict>,
    /// Only so many, the latest.
    pub limit: Option<usize>,
}

impl HistoryQuery {
    /// The path of a service's history with this query.
    pub fn path(&self, name: &str) -> String {
        let pairs = [
            ("check", self.check.clone()),
            ("replica", self.replica.map(|replica| replica.to_string())),
            ("verdict", self.verdict.map(|verdict| verdict.as_str().to_owned())),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        routes::with(&routes::of(routes::HISTORY, name), &pairs)
    }
}

/// `GET /services/{name}/history`: what its checks have said. Of each check of each replica the host has the latest 100, since it runs itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Version of this shape.
    pub version: Shape,
    /// Whose.
    pub service: String,
    /// How well it is now.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// Oldest first.
    pub results: Vec<CheckResult>,
}

/// `POST /health/check-now`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckNowRequest {
    /// Of these; empty is all.
    #[serde(default)]
    pub services: Vec<String>,
}

/// Its answer, once each check of what is up has said something since, or after [`CheckNow::LONGEST`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckNow {
    /// Version of this shape.
    pub version: Shape,
    /// When it was answered.
    pub timestamp: Timestamp,
    /// The worst health of all services.
    #[schemars(with = "schema::Health")]
    pub composite_health: Health,
    /// By service, replica and check; none is older than the request.
    pub results: Vec<CheckResult>,
    /// Asked for, and not checked, or not by every check: not running, without checks, or without an answer in time.
    pub not_checked: Vec<String>,
}

impl CheckNow {
    /// How long checks are waited for; each has a timeout of its own.
    pub const LONGEST: Duration = Duration::from_secs(600);
}

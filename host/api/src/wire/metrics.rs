//! The figures of one service, as one document.

use std::collections::BTreeMap;

use hostler_core::{Health, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ReplicaCounts, Shape, schema};

/// `GET /services/{name}/metrics`: what `GET /metrics` has of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceMetrics {
    /// Version of this shape.
    pub version: Shape,
    /// Whose.
    pub service: String,
    /// Does at least one of its replicas run?
    pub up: bool,
    /// In one word.
    #[schemars(with = "schema::Status")]
    pub status: Status,
    /// By its checks.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// How many there are to be, and are.
    pub replica_counts: ReplicaCounts,
    /// Age of the oldest life that goes on.
    pub uptime_seconds: Option<f64>,
    /// Of all replicas, ever.
    pub restarts: u64,
    /// Of all replicas, ever.
    pub failures: u64,
    /// What all replicas together use, where it is measured.
    #[serde(flatten)]
    pub usage: MeasuredUsage,
    /// Each replica.
    pub replicas: Vec<ReplicaMetrics>,
    /// Each check.
    pub checks: Vec<CheckMetrics>,
}

/// What is used; absent where it is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MeasuredUsage {
    /// Time of a core, since the life began.
    pub cpu_seconds: Option<f64>,
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Memory that there may be.
    pub memory_limit_bytes: Option<u64>,
    /// Since the life began.
    pub network_received_bytes: Option<u64>,
    /// Since the life began.
    pub network_sent_bytes: Option<u64>,
    /// Processes.
    pub processes: Option<u64>,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaMetrics {
    /// Which.
    pub replica: u32,
    /// Age of the life that goes on.
    pub uptime_seconds: Option<f64>,
    /// Ever.
    pub restarts: u64,
    /// Ever.
    pub failures: u64,
    /// What it uses.
    #[serde(flatten)]
    pub usage: MeasuredUsage,
}

/// One check, over all replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckMetrics {
    /// Its name.
    pub check: String,
    /// How many results of each verdict there were since the host began.
    pub results: BTreeMap<String, u64>,
    /// How long its answers took since the host began.
    pub duration: Durations,
    /// How much of the watched time it passed, for each replica.
    pub uptime: Vec<UptimeRatio>,
}

/// How long something took; the shares are estimated within buckets, as Prometheus does it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// All together.
    pub sum_seconds: f64,
    /// Half of them took no longer.
    pub p50_seconds: Option<f64>,
    /// 95 of 100 took no longer.
    pub p95_seconds: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99_seconds: Option<f64>,
}

/// Shares of watched time, from 0 to 1; absent where nothing was watched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UptimeRatio {
    /// Of which replica.
    pub replica: u32,
    /// Of the last hour.
    #[serde(rename = "1h")]
    pub hour: Option<f64>,
    /// Of the last 24 hours.
    #[serde(rename = "24h")]
    pub day: Option<f64>,
    /// Of the last 7 days.
    #[serde(rename = "7d")]
    pub week: Option<f64>,
}

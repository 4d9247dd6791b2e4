//! The words on the wire. Field names are `snake_case`, words are `kebab-case`, times are RFC 3339 in UTC, lengths end in `_ms`,
//! bytes in `_bytes`. An absent figure is `null`: not measured, never 0.

mod action;
mod discovery;
mod graph;
mod health;
mod host;
mod image;
mod logs;
mod plan;
mod plugin;
mod revision;
mod service;
mod stats;
mod stream;
mod task;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use hostler_core::{Health, Status, Verdict};

pub use action::{ActionResult, DownRequest, RestartRequest, ScaleRequest, ShutdownRequest, StartRequest, StopRequest};
pub use discovery::{AdoptRequest, DiscoveryQuery, Found, FoundList, ReleaseRequest, Stranger, StrangerList, StrangerRequest, StrangerResult, Tag};
pub use graph::{Edge, Graph, GraphNode};
pub use health::{CheckNow, CheckNowRequest, CheckResult, CheckState, HealthReport, ServiceHealth, Uptime};
pub use host::{HostInfo, KeeperInfo, PluginCounts};
pub use image::{
    Binding, Container, ContainerHealth, ContainerList, Image, ImageHealth, ImageList, ImageRequest, ImageResources, ImageScale, ImageStatus,
    Reconciled,
};
pub use logs::{LogItem, LogLine, LogsQuery, Origin};
pub use plan::{ApplyRequest, Change, MissingPlugin, Plan, PlannedChange};
pub use plugin::{Counters, Engine, Examined, Need, Plugin, PluginDetail, PluginHealth, PluginList, PluginState, PutAside, Role};
pub use revision::{Difference, PluginRevision, Revised, RevisedTo, RollbackRequest, UpgradeRequest, Upgraded};
pub use service::{Endpoint, Exit, Explanation, NextStep, Replica, ReplicaCounts, Service, ServiceDetail, ServiceList, ServicesQuery, Usage, Wanted};
pub use stats::{ReplicaStats, Stats, StatsQuery, Unmeasured};
pub use stream::{EventItem, EventRecord, EventsQuery};
pub use task::{ExecRequest, ExecResult, Said, SignalRequest, SignalResult};

/// The `"version": 1` of every document: its shape. Reading refuses any other number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape;

impl Shape {
    /// The number on the wire.
    pub const NUMBER: u64 = 1;
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shape::NUMBER.fmt(f)
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Shape::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Shape::NUMBER => Ok(Shape),
            other => Err(serde::de::Error::custom(format!("this document has version {other}, and version {Shape} is understood here"))),
        }
    }
}

//! The words on the wire. Field names are `snake_case`, words are `kebab-case`, times are RFC 3339 in UTC, lengths end in `_ms`,
//! bytes in `_bytes`. An absent figure is `null`: not measured, never 0.

mod action;
mod alert;
mod discovery;
mod graph;
mod health;
mod host;
mod identity;
mod image;
mod kind;
mod logs;
mod metrics;
mod operation;
mod plan;
mod plugin;
mod registry;
mod revision;
pub(crate) mod schema;
mod service;
mod spec;
mod stats;
mod stream;
mod task;
mod workspace;

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use hostler_core::{Health, Status, Verdict};

use crate::stamp::Timestamp;

pub use action::{ActionResult, DownRequest, RestartRequest, ScaleRequest, ShutdownRequest, StartRequest, StopRequest};
pub use alert::{
    Alert, AlertList, AlertMessage, AlertState, AlertsQuery, Severity, Silence, SilenceList, SilenceRequest, Silenced, SinkState, TestRequest, Tested,
};
pub use discovery::{AdoptRequest, DiscoveryQuery, Found, FoundList, ReleaseRequest, Stranger, StrangerList, StrangerRequest, StrangerResult, Tag};
pub use graph::{Edge, Graph, GraphNode};
pub use health::{CheckNow, CheckNowRequest, CheckResult, CheckState, HealthReport, History, HistoryQuery, ServiceHealth, Uptime};
pub use host::{HostInfo, KeeperInfo, Listening, PluginCounts};
pub use identity::{AuditEntry, AuditPage, AuditQuery, NewToken, RevokedToken, Token, TokenList, TokenRequest};
pub use image::{
    Binding, Container, ContainerHealth, ContainerList, Image, ImageHealth, ImageList, ImageRequest, ImageResources, ImageScale, ImageStatus,
    Reconciled,
};
pub use kind::EventKind;
pub use logs::{LogItem, LogLine, LogsQuery, Origin};
pub use metrics::{CheckMetrics, Durations, MeasuredUsage, ReplicaMetrics, ServiceMetrics, UptimeRatio};
pub use operation::{
    DeployRequest, Operation, OperationKind, OperationList, OperationOptions, OperationProgress, OperationQuery, OperationQueue, OperationStatus,
    OperationsQuery,
};
pub use plan::{ApplyRequest, Change, MissingPlugin, Plan, PlannedChange};
pub use plugin::{
    Counters, Engine, Examined, Need, Plugin, PluginDetail, PluginHealth, PluginList, PluginState, PutAside, RecordingItem, RecordingQuery, Role,
};
pub use registry::{Heartbeat, HeartbeatRequest, Pulse, PulseCounts, Registry, RegistryEndpoint, RegistryEntry, RegistryQuery, RegistryStatistics};
pub use revision::{Difference, PluginRevision, Revised, RevisedTo, RollbackRequest, UpgradeRequest, Upgraded};
pub use service::{
    Endpoint, Exit, Explanation, NextStep, Replica, ReplicaCounts, Service, ServiceDetail, ServiceList, ServiceQuery, ServicesQuery, Usage, Wanted,
};
pub use spec::{AskedBy, Removal, ServiceSpec, SpecRequest};
pub use stats::{ReplicaStats, Stats, StatsQuery, Unmeasured};
pub use stream::{EventItem, EventRecord, EventsQuery};
pub use task::{ExecRequest, ExecResult, Said, SignalRequest, SignalResult};
pub use workspace::{
    Environment, NetworkPolicy, QuotaUse, Quotas, Removed, Team, TeamDetail, TeamList, TeamMember, TeamMembers, TeamRequest, Workspace,
    WorkspaceChange, WorkspaceDetail, WorkspaceList, WorkspaceRequest, WorkspaceSettings,
};

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

impl JsonSchema for Shape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Version of the document's shape", "const": Shape::NUMBER })
    }
}

//! What the host and its callers say to each other: the words of the native API, and where each is said.
//!
//! No server and no client lives here, and nothing here does IO. The API is HTTP/1.1 over the 0600 unix socket `api.sock` of the state
//! directory, or whatever a server binds it to.
//!
//! - [`routes`] is the closed list of paths, and [`access`] who may ask them.
//! - The documents: [`HostInfo`], [`ServiceList`], [`ServiceDetail`], [`Explanation`], [`Plan`], [`ActionResult`], [`HealthReport`],
//!   [`CheckNow`], [`Stats`], [`Graph`], [`PluginList`], [`PluginDetail`], [`Revised`]; each carries `"version": 1` ([`Shape`]), and `--json` prints it as it is.
//! - The streams, one document per line: [`LogItem`], [`EventItem`].
//! - [`token`] is how a token is written, and [`Secret`] whatever must not be told.
//! - [`Lock`] is the file `hostler.lock` beside a configuration.
//! - [`Failure`] is the one way to fail, and [`Code`] the one table of HTTP statuses and exit codes.
//!
//! ```
//! use hostler_api::{Code, Failure, LogsQuery};
//!
//! let query = LogsQuery { tail: Some(20), follow: true, ..LogsQuery::default() };
//! assert_eq!(query.path("db"), "/api/v1/services/db/logs?tail=20&follow=true");
//! assert_eq!(Failure::new(Code::NotFound, "there is no service `db`").code.exit_code(), 1);
//! ```

pub mod access;
mod base64;
pub mod config;
pub mod documents;
mod failure;
mod lock;
pub mod metrics;
pub mod openapi;
pub mod routes;
mod secret;
mod stamp;
pub mod token;
mod wire;

pub use failure::{Code, Failure};
pub use lock::{Lock, Locked};
pub use secret::Secret;
pub use stamp::{NotATime, Timestamp};
pub use wire::{
    ActionResult, AdoptRequest, Alert, AlertList, AlertMessage, AlertState, AlertsQuery, ApplyRequest, AskedBy, AuditEntry, AuditPage, AuditQuery,
    Binding, Change, CheckMetrics, CheckNow, CheckNowRequest, CheckResult, CheckState, Container, ContainerHealth, ContainerList, Counters,
    Difference, DiscoveryQuery, DownRequest, Durations, Edge, Endpoint, Engine, EventItem, EventKind, EventRecord, EventsQuery, Examined,
    ExecRequest, ExecResult, Exit, Explanation, Found, FoundList, Graph, GraphNode, Health, HealthReport, History, HistoryQuery, HostInfo, Image,
    ImageHealth, ImageList, ImageRequest, ImageResources, ImageScale, ImageStatus, KeeperInfo, Listening, LogItem, LogLine, LogsQuery, MeasuredUsage,
    MissingPlugin, Need, NewToken, NextStep, Origin, Plan, PlannedChange, Plugin, PluginCounts, PluginDetail, PluginHealth, PluginList,
    PluginRevision, PluginState, PutAside, Reconciled, RecordingItem, RecordingQuery, ReleaseRequest, Removal, Replica, ReplicaCounts,
    ReplicaMetrics, ReplicaStats, RestartRequest, Revised, RevisedTo, RevokedToken, Role, RollbackRequest, Said, ScaleRequest, Service,
    ServiceDetail, ServiceHealth, ServiceList, ServiceMetrics, ServiceQuery, ServiceSpec, ServicesQuery, Severity, Shape, ShutdownRequest,
    SignalRequest, SignalResult, Silence, SilenceList, SilenceRequest, Silenced, SinkState, SpecRequest, StartRequest, Stats, StatsQuery, Status,
    StopRequest, Stranger, StrangerList, StrangerRequest, StrangerResult, Tag, TestRequest, Tested, Token, TokenList, TokenRequest, Unmeasured,
    UpgradeRequest, Upgraded, Uptime, UptimeRatio, Usage, Verdict, Wanted,
};
pub use wire::{
    DeployRequest, Operation, OperationKind, OperationList, OperationOptions, OperationProgress, OperationQuery, OperationQueue, OperationStatus,
    OperationsQuery,
};
pub use wire::{
    Environment, NetworkPolicy, QuotaUse, Quotas, Removed, Team, TeamDetail, TeamList, TeamMember, TeamMembers, TeamRequest, Workspace,
    WorkspaceChange, WorkspaceDetail, WorkspaceList, WorkspaceRequest, WorkspaceSettings,
};
pub use wire::{Heartbeat, HeartbeatRequest, Pulse, PulseCounts, Registry, RegistryEndpoint, RegistryEntry, RegistryQuery, RegistryStatistics};

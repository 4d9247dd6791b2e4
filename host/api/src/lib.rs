//! What the host and its callers say to each other: the words of the native API, and where each is said.
//!
//! No server and no client lives here, and nothing here does IO. The API is HTTP/1.1 over the 0600 unix socket `api.sock` of the state
//! directory, or whatever a server binds it to.
//!
//! - [`routes`] is the closed list of paths.
//! - The documents: [`HostInfo`], [`ServiceList`], [`ServiceDetail`], [`Explanation`], [`Plan`], [`ActionResult`], [`HealthReport`],
//!   [`CheckNow`], [`Stats`], [`Graph`], [`PluginList`], [`PluginDetail`], [`Revised`]; each carries `"version": 1` ([`Shape`]), and `--json` prints it as it is.
//! - The streams, one document per line: [`LogItem`], [`EventItem`].
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

mod base64;
pub mod config;
mod failure;
mod lock;
pub mod routes;
mod stamp;
mod wire;

pub use failure::{Code, Failure};
pub use lock::{Lock, Locked};
pub use stamp::{NotATime, Timestamp};
pub use wire::{
    ActionResult, AdoptRequest, ApplyRequest, Binding, Change, CheckNow, CheckNowRequest, CheckResult, CheckState, Container, ContainerHealth,
    ContainerList, Counters, Difference, DiscoveryQuery, DownRequest, Edge, Endpoint, Engine, EventItem, EventRecord, EventsQuery, Examined,
    ExecRequest, ExecResult, Exit, Explanation, Found, FoundList, Graph, GraphNode, Health, HealthReport, HostInfo, Image, ImageHealth, ImageList,
    ImageRequest, ImageResources, ImageScale, ImageStatus, KeeperInfo, LogItem, LogLine, LogsQuery, MissingPlugin, Need, NextStep, Origin, Plan,
    PlannedChange, Plugin, PluginCounts, PluginDetail, PluginHealth, PluginList, PluginRevision, PluginState, PutAside, Reconciled, ReleaseRequest,
    Replica, ReplicaCounts, ReplicaStats, RestartRequest, Revised, RevisedTo, Role, RollbackRequest, Said, ScaleRequest, Service, ServiceDetail,
    ServiceHealth, ServiceList, ServicesQuery, Shape, ShutdownRequest, SignalRequest, SignalResult, StartRequest, Stats, StatsQuery, Status,
    StopRequest, Stranger, StrangerList, StrangerRequest, StrangerResult, Tag, Unmeasured, UpgradeRequest, Upgraded, Uptime, Usage, Verdict, Wanted,
};

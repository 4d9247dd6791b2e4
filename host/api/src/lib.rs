//! What the host and its callers say to each other: the words of the native API, and where each is said.
//!
//! No server and no client lives here, and nothing here does IO. The API is HTTP/1.1 over the 0600 unix socket `api.sock` of the state
//! directory, or whatever a server binds it to.
//!
//! - [`routes`] is the closed list of paths.
//! - The documents: [`HostInfo`], [`ServiceList`], [`ServiceDetail`], [`Explanation`], [`Plan`], [`ActionResult`], [`HealthReport`],
//!   [`CheckNow`], [`Graph`], [`PluginList`], [`PluginDetail`]; each carries `"version": 1` ([`Shape`]), and `--json` prints it as it is.
//! - The streams, one document per line: [`LogItem`], [`EventItem`].
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
pub mod routes;
mod stamp;
mod wire;

pub use failure::{Code, Failure};
pub use stamp::{NotATime, Timestamp};
pub use wire::{
    ActionResult, ApplyRequest, Change, CheckNow, CheckNowRequest, CheckResult, CheckState, Counters, DownRequest, Edge, Endpoint, EventItem,
    EventRecord, EventsQuery, Exit, Explanation, Graph, GraphNode, Health, HealthReport, HostInfo, KeeperInfo, LogItem, LogLine, LogsQuery,
    MissingPlugin, Need, NextStep, Origin, Plan, PlannedChange, Plugin, PluginCounts, PluginDetail, PluginList, PluginState, Replica, ReplicaCounts,
    RestartRequest, Role, Service, ServiceDetail, ServiceHealth, ServiceList, ServicesQuery, Shape, ShutdownRequest, StartRequest, Status,
    StopRequest, Uptime, Usage, Verdict, Wanted,
};

//! The closed list of the native API's routes, as patterns for a server and as paths for a client.
//!
//! A pattern writes `{name}` for the one part that varies; [`of`] fills it in, percent-encoded. [`ALL`] says who may ask each.

use crate::access::{Access, DEFAULT_WORKSPACE, Role};

pub mod documents;

/// This API as an OpenAPI document: `GET`.
pub const OPENAPI: &str = "/api/v1/openapi.json";
/// What the host is and how it is: `GET` → [`HostInfo`](crate::HostInfo).
pub const HOST: &str = "/api/v1/host";
/// Every service: `GET` with [`ServicesQuery`](crate::ServicesQuery) → [`ServiceList`](crate::ServiceList).
pub const SERVICES: &str = "/api/v1/services";
/// One service in detail: `GET` → [`ServiceDetail`](crate::ServiceDetail); `PUT` [`SpecRequest`](crate::SpecRequest) →
/// [`ActionResult`](crate::ActionResult); `DELETE` → [`ActionResult`](crate::ActionResult).
pub const SERVICE: &str = "/api/v1/services/{name}";
/// One service as it was written: `GET` → [`ServiceSpec`](crate::ServiceSpec). `PUT` and `DELETE` are at [`SERVICE`].
pub const SPEC: &str = "/api/v1/services/{name}/spec";
/// Why a service is as it is: `GET` → [`Explanation`](crate::Explanation).
pub const EXPLAIN: &str = "/api/v1/services/{name}/explain";
/// What its checks have said: `GET` with [`HistoryQuery`](crate::HistoryQuery) → [`History`](crate::History).
pub const HISTORY: &str = "/api/v1/services/{name}/history";
/// What it has written: `GET` with [`LogsQuery`](crate::LogsQuery) → lines of [`LogItem`](crate::LogItem).
pub const LOGS: &str = "/api/v1/services/{name}/logs";
/// Sends a signal: `POST` [`SignalRequest`](crate::SignalRequest) → [`SignalResult`](crate::SignalResult).
pub const SIGNAL: &str = "/api/v1/services/{name}/signal";
/// Runs a command inside it: `POST` [`ExecRequest`](crate::ExecRequest) → [`ExecResult`](crate::ExecResult).
pub const EXEC: &str = "/api/v1/services/{name}/exec";
/// Brings one into force, starts it, and waits until it is well: `POST` [`DeployRequest`](crate::DeployRequest) → 202 and
/// [`Operation`](crate::Operation).
pub const DEPLOY: &str = "/api/v1/services/{name}/deploy";
/// `POST` [`StartRequest`](crate::StartRequest) → [`ActionResult`](crate::ActionResult).
pub const START: &str = "/api/v1/services/start";
/// `POST` [`StopRequest`](crate::StopRequest) → [`ActionResult`](crate::ActionResult).
pub const STOP: &str = "/api/v1/services/stop";
/// `POST` [`RestartRequest`](crate::RestartRequest) → [`ActionResult`](crate::ActionResult).
pub const RESTART: &str = "/api/v1/services/restart";
/// `POST` [`ScaleRequest`](crate::ScaleRequest) → [`ActionResult`](crate::ActionResult).
pub const SCALE: &str = "/api/v1/services/scale";
/// What an apply would do: `POST` [`ApplyRequest`](crate::ApplyRequest) → [`Plan`](crate::Plan).
pub const PLAN: &str = "/api/v1/plan";
/// Does it: `POST` [`ApplyRequest`](crate::ApplyRequest) → [`Plan`](crate::Plan) with `applied`.
pub const APPLY: &str = "/api/v1/apply";
/// Stops everything in reverse order: `POST` [`DownRequest`](crate::DownRequest) → [`ActionResult`](crate::ActionResult).
pub const DOWN: &str = "/api/v1/down";
/// Ends the host: `POST` [`ShutdownRequest`](crate::ShutdownRequest) → [`ActionResult`](crate::ActionResult).
pub const SHUTDOWN: &str = "/api/v1/shutdown";
/// What happened: `GET` with [`EventsQuery`](crate::EventsQuery) → lines of [`EventItem`](crate::EventItem), or with `Accept: text/event-stream`
/// server-sent events, each an [`EventRecord`](crate::EventRecord).
pub const EVENTS: &str = "/api/v1/events";
/// The same as messages of a WebSocket, each an [`EventItem`](crate::EventItem).
pub const EVENTS_SOCKET: &str = "/api/v1/events/socket";
/// What happened to one service: as [`EVENTS`].
pub const SERVICE_EVENTS: &str = "/api/v1/services/{name}/events";
/// Composite health and each service's: `GET` → [`HealthReport`](crate::HealthReport).
pub const HEALTH: &str = "/api/v1/health";
/// Runs checks now: `POST` [`CheckNowRequest`](crate::CheckNowRequest) → [`CheckNow`](crate::CheckNow).
pub const CHECK_NOW: &str = "/api/v1/health/check-now";
/// What services use: `GET` with [`StatsQuery`](crate::StatsQuery) → [`Stats`](crate::Stats).
pub const STATS: &str = "/api/v1/stats";
/// The figures of one service: `GET` → [`ServiceMetrics`](crate::ServiceMetrics).
pub const SERVICE_METRICS: &str = "/api/v1/services/{name}/metrics";
/// The service says that it is alive: `POST` [`HeartbeatRequest`](crate::HeartbeatRequest) → [`Heartbeat`](crate::Heartbeat).
pub const HEARTBEAT: &str = "/api/v1/services/{name}/heartbeat";
/// Who is where: `GET` with [`RegistryQuery`](crate::RegistryQuery) → [`Registry`](crate::Registry).
pub const REGISTRY: &str = "/api/v1/registry";
/// How many there are of which kind: `GET` → [`RegistryStatistics`](crate::RegistryStatistics).
pub const REGISTRY_STATISTICS: &str = "/api/v1/registry/statistics";
/// Every figure there is, in Prometheus' text format: `GET` → a line each of [`Metric`](crate::metrics::Metric).
pub const METRICS: &str = "/metrics";
/// Who starts after whom: `GET` → [`Graph`](crate::Graph).
pub const GRAPH: &str = "/api/v1/graph";
/// Every plugin: `GET` → [`PluginList`](crate::PluginList).
pub const PLUGINS: &str = "/api/v1/plugins";
/// One plugin: `GET` → [`PluginDetail`](crate::PluginDetail).
pub const PLUGIN: &str = "/api/v1/plugins/{name}";
/// Every call of a plugin, as it is made: `GET` with `for_ms` → lines of its recording.
pub const RECORDING: &str = "/api/v1/plugins/{name}/recording";
/// Another component for a plugin: `POST` [`UpgradeRequest`](crate::UpgradeRequest) → [`Revised`](crate::Revised).
pub const UPGRADE: &str = "/api/v1/plugins/{name}/upgrade";
/// Back to the one before: `POST` [`RollbackRequest`](crate::RollbackRequest) → [`Revised`](crate::Revised).
pub const ROLLBACK: &str = "/api/v1/plugins/{name}/rollback";

/// Images of which containers are wanted: `GET` → [`ImageList`](crate::ImageList); `POST` [`ImageRequest`](crate::ImageRequest) → [`Image`](crate::Image).
pub const IMAGES: &str = "/api/v1/images";
/// Wants nothing of one any more: `DELETE` with `force` → [`ActionResult`](crate::ActionResult).
pub const IMAGE: &str = "/api/v1/images/{name}";
/// Other bounds: `POST` [`ImageScale`](crate::ImageScale) → [`Image`](crate::Image).
pub const SCALE_IMAGE: &str = "/api/v1/images/{name}/scale";
/// Looks at once, and waits until all is as wanted: `POST` → [`Reconciled`](crate::Reconciled).
pub const RECONCILE_IMAGE: &str = "/api/v1/images/{name}/reconcile";
/// Its containers: `GET` → [`ContainerList`](crate::ContainerList).
pub const IMAGE_CONTAINERS: &str = "/api/v1/images/{name}/containers";
/// How each of them is: `GET` → [`ImageHealth`](crate::ImageHealth).
pub const IMAGE_HEALTH: &str = "/api/v1/images/{name}/health";
/// The containers of every image: `GET` → [`ContainerList`](crate::ContainerList).
pub const CONTAINERS: &str = "/api/v1/containers";
/// What already runs on engines: `GET` with [`DiscoveryQuery`](crate::DiscoveryQuery) → [`FoundList`](crate::FoundList).
pub const DISCOVERY: &str = "/api/v1/discovery";
/// Takes something over: `POST` [`AdoptRequest`](crate::AdoptRequest) → [`ActionResult`](crate::ActionResult).
pub const ADOPT: &str = "/api/v1/discovery/adopt";
/// Gives it back: `POST` [`ReleaseRequest`](crate::ReleaseRequest) → [`ActionResult`](crate::ActionResult).
pub const RELEASE: &str = "/api/v1/discovery/release";
/// What bears a tag and is nobody's here: `GET` → [`StrangerList`](crate::StrangerList).
pub const STRANGERS: &str = "/api/v1/strangers";
/// Ends one: `POST` [`StrangerRequest`](crate::StrangerRequest) → [`StrangerResult`](crate::StrangerResult).
pub const KILL_STRANGER: &str = "/api/v1/strangers/kill";
/// Speaks no more of one: `POST` [`StrangerRequest`](crate::StrangerRequest) → [`StrangerResult`](crate::StrangerResult).
pub const IGNORE_STRANGER: &str = "/api/v1/strangers/ignore";
/// Every token: `GET` → [`TokenList`](crate::TokenList); `POST` [`TokenRequest`](crate::TokenRequest) → [`NewToken`](crate::NewToken).
pub const TOKENS: &str = "/api/v1/tokens";
/// Takes one back, by its id: `DELETE` → [`RevokedToken`](crate::RevokedToken).
pub const TOKEN: &str = "/api/v1/tokens/{name}";
/// Who has asked for what: `GET` with [`AuditQuery`](crate::AuditQuery) → [`AuditPage`](crate::AuditPage).
pub const AUDIT: &str = "/api/v1/audit";
/// Everything that the host remembers, as one file: `GET` → a database of SQLite.
pub const STORE_SNAPSHOT: &str = "/api/v1/store/snapshot";

/// Those in which whoever asks has a role: `GET` → [`WorkspaceList`](crate::WorkspaceList); `POST` [`WorkspaceRequest`](crate::WorkspaceRequest) →
/// [`WorkspaceDetail`](crate::WorkspaceDetail).
pub const WORKSPACES: &str = "/api/v1/workspaces";
/// One of them: `GET` → [`WorkspaceDetail`](crate::WorkspaceDetail); `PATCH` [`WorkspaceChange`](crate::WorkspaceChange) → the same; `DELETE` with
/// `force` → [`Removed`](crate::Removed).
pub const WORKSPACE: &str = "/api/v1/workspaces/{name}";
/// Those of whoever asks: `GET` → [`TeamList`](crate::TeamList); `POST` [`TeamRequest`](crate::TeamRequest) → [`TeamDetail`](crate::TeamDetail).
pub const TEAMS: &str = "/api/v1/teams";
/// One of them: `GET` → [`TeamDetail`](crate::TeamDetail); `PUT` [`TeamMembers`](crate::TeamMembers) → the same; `DELETE` → [`Removed`](crate::Removed).
pub const TEAM: &str = "/api/v1/teams/{name}";
/// What is wrong, and what was: `GET` with [`AlertsQuery`](crate::AlertsQuery) → [`AlertList`](crate::AlertList).
pub const ALERTS: &str = "/api/v1/alerts";
/// Sends one sink a message that says that it is a test: `POST` [`TestRequest`](crate::TestRequest) → [`Tested`](crate::Tested).
pub const TEST_ALERT: &str = "/api/v1/alerts/test";
/// Alerts that nobody is told of for a while: `GET` → [`SilenceList`](crate::SilenceList); `POST`
/// [`SilenceRequest`](crate::SilenceRequest) → [`Silenced`](crate::Silenced).
pub const SILENCES: &str = "/api/v1/silences";
/// Ends one, by its id: `DELETE` → [`Silenced`](crate::Silenced).
pub const SILENCE: &str = "/api/v1/silences/{name}";

/// What the host was asked to do and does by itself: `GET` with [`OperationsQuery`](crate::OperationsQuery) →
/// [`OperationList`](crate::OperationList).
pub const OPERATIONS: &str = "/api/v1/operations";
/// One of them, also once it is over: `GET` with [`OperationQuery`](crate::OperationQuery) → [`Operation`](crate::Operation).
pub const OPERATION: &str = "/api/v1/operations/{name}";
/// Calls one off; what it has made wanted stays so: `POST` → [`Operation`](crate::Operation).
pub const CANCEL_OPERATION: &str = "/api/v1/operations/{name}/cancel";

/// One route: how it is asked, and who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// How.
    pub method: Method,
    /// Where: a pattern of this module.
    pub path: &'static str,
    /// By whom.
    pub access: Access,
}

/// What HTTP calls a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Asks for something to be done.
    Post,
    /// Sets a whole thing.
    Put,
    /// Changes a part of one.
    Patch,
    /// Removes one.
    Delete,
}

const fn reads(path: &'static str, access: Access) -> Route {
    Route { method: Method::Get, path, access }
}

const fn does(path: &'static str, access: Access) -> Route {
    Route { method: Method::Post, path, access }
}

const fn changes(path: &'static str, access: Access) -> Route {
    Route { method: Method::Patch, path, access }
}

const fn removes(path: &'static str, access: Access) -> Route {
    Route { method: Method::Delete, path, access }
}

const LOOK: Access = Access::Workspace(Role::Viewer);
const OPERATE: Access = Access::Workspace(Role::Operator);
const CONFIGURE: Access = Access::Workspace(Role::Admin);

/// Every route of the native API, with who may ask it.
pub const ALL: &[Route] = &[
    reads(OPENAPI, Access::Anybody),
    reads(HOST, LOOK),
    reads(SERVICES, LOOK),
    reads(SERVICE, LOOK),
    // As much as a document: in `default` a service runs as the host does, and may be given files of the host's as secrets.
    Route { method: Method::Put, path: SERVICE, access: Access::Document },
    removes(SERVICE, CONFIGURE),
    reads(SPEC, LOOK),
    reads(EXPLAIN, LOOK),
    reads(HISTORY, LOOK),
    reads(LOGS, LOOK),
    does(SIGNAL, OPERATE),
    // A command inside a service may do whatever the service may.
    does(EXEC, CONFIGURE),
    // It may change what is configured.
    does(DEPLOY, Access::Document),
    does(START, OPERATE),
    does(STOP, OPERATE),
    does(RESTART, OPERATE),
    does(SCALE, OPERATE),
    // The host's own says how it runs and what its plugins may do; reading any already calls them.
    does(PLAN, Access::Document),
    does(APPLY, Access::Document),
    does(DOWN, CONFIGURE),
    does(SHUTDOWN, Access::Host(Role::Admin)),
    reads(EVENTS, LOOK),
    reads(EVENTS_SOCKET, LOOK),
    reads(SERVICE_EVENTS, LOOK),
    reads(HEALTH, LOOK),
    does(CHECK_NOW, OPERATE),
    reads(STATS, LOOK),
    reads(SERVICE_METRICS, LOOK),
    does(HEARTBEAT, OPERATE),
    reads(REGISTRY, LOOK),
    reads(REGISTRY_STATISTICS, LOOK),
    // It has figures of every workspace, and of the host itself.
    reads(METRICS, Access::Host(Role::Viewer)),
    reads(GRAPH, LOOK),
    reads(PLUGINS, LOOK),
    reads(PLUGIN, LOOK),
    // It may hold what services say to their backends.
    reads(RECORDING, Access::Host(Role::Admin)),
    does(UPGRADE, Access::Host(Role::Admin)),
    does(ROLLBACK, Access::Host(Role::Admin)),
    reads(IMAGES, LOOK),
    does(IMAGES, CONFIGURE),
    removes(IMAGE, CONFIGURE),
    does(SCALE_IMAGE, OPERATE),
    does(RECONCILE_IMAGE, OPERATE),
    reads(IMAGE_CONTAINERS, LOOK),
    reads(IMAGE_HEALTH, LOOK),
    reads(CONTAINERS, LOOK),
    // What runs on an engine is everybody's until it is adopted.
    reads(DISCOVERY, Access::Host(Role::Operator)),
    does(ADOPT, Access::Host(Role::Admin)),
    does(RELEASE, Access::Host(Role::Admin)),
    reads(STRANGERS, Access::Host(Role::Operator)),
    does(KILL_STRANGER, Access::Host(Role::Admin)),
    does(IGNORE_STRANGER, Access::Host(Role::Admin)),
    reads(TOKENS, Access::Host(Role::Admin)),
    does(TOKENS, Access::Host(Role::Admin)),
    removes(TOKEN, Access::Host(Role::Admin)),
    reads(AUDIT, Access::Host(Role::Admin)),
    reads(STORE_SNAPSHOT, Access::Host(Role::Admin)),
    reads(WORKSPACES, Access::Known),
    does(WORKSPACES, Access::Host(Role::Admin)),
    reads(WORKSPACE, LOOK),
    changes(WORKSPACE, CONFIGURE),
    removes(WORKSPACE, Access::Host(Role::Admin)),
    reads(TEAMS, Access::Known),
    does(TEAMS, Access::Host(Role::Admin)),
    reads(TEAM, Access::Known),
    Route { method: Method::Put, path: TEAM, access: Access::Host(Role::Admin) },
    removes(TEAM, Access::Host(Role::Admin)),
    reads(ALERTS, LOOK),
    // Whom it tells is outside of this host.
    does(TEST_ALERT, Access::Host(Role::Operator)),
    reads(SILENCES, LOOK),
    does(SILENCES, OPERATE),
    removes(SILENCE, OPERATE),
    reads(OPERATIONS, LOOK),
    reads(OPERATION, LOOK),
    does(CANCEL_OPERATION, OPERATE),
];

/// Every route there is. A server answers these and no others.
pub fn every() -> impl Iterator<Item = &'static Route> {
    ALL.iter().chain(documents::ALL)
}

/// The one with this method and pattern.
pub fn find(method: Method, path: &str) -> Option<&'static Route> {
    every().find(|route| route.method == method && route.path == path)
}

/// Media type of one document.
pub const JSON: &str = "application/json";
/// Media type of [`Failure`](crate::Failure).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Media type of streams: one JSON document per line, each ended by `\n`.
pub const NDJSON: &str = "application/x-ndjson";
/// Media type of [`METRICS`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Media type of [`STORE_SNAPSHOT`].
pub const SQLITE: &str = "application/vnd.sqlite3";
/// Name of the socket in the state directory.
pub const SOCKET: &str = "api.sock";

/// A pattern with its one varying part filled in.
///
/// ```
/// use hostler_api::routes;
/// assert_eq!(routes::of(routes::LOGS, "db"), "/api/v1/services/db/logs");
/// assert_eq!(routes::of(routes::SERVICE, "a/../b"), "/api/v1/services/a%2F..%2Fb");
/// ```
pub fn of(pattern: &str, name: &str) -> String {
    pattern.replace("{name}", &percent_encoded(name))
}

/// A path with its query, asked of a workspace.
///
/// ```
/// use hostler_api::routes;
/// assert_eq!(routes::of_workspace("/x?tail=5", "acme"), "/x?tail=5&workspace=acme");
/// assert_eq!(routes::of_workspace("/x", "*"), "/x?workspace=%2A");
/// ```
pub fn of_workspace(path: &str, workspace: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}workspace={}", percent_encoded(workspace))
}

/// The place of something of a workspace, for whoever is to ask for it again; `default` need not be named.
///
/// ```
/// use hostler_api::routes;
/// assert_eq!(routes::place("/x/1", "acme"), "/x/1?workspace=acme");
/// assert_eq!(routes::place("/x/1", "default"), "/x/1");
/// ```
pub fn place(path: &str, workspace: &str) -> String {
    if workspace == DEFAULT_WORKSPACE { path.to_owned() } else { of_workspace(path, workspace) }
}

/// Is the part of this pattern that varies a workspace?
pub fn names_workspace(pattern: &str) -> bool {
    pattern.strip_prefix(WORKSPACES).is_some_and(|rest| rest.starts_with("/{"))
}

/// Appends a query of the pairs that have a value.
///
/// ```
/// use hostler_api::routes;
/// assert_eq!(routes::with("/x", &[("tail", Some("5".into())), ("cursor", None)]), "/x?tail=5");
/// ```
pub fn with(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_owned();
    let mut mark = '?';
    for (key, value) in pairs {
        if let Some(value) = value {
            text.push(mark);
            text.push_str(key);
            text.push('=');
            text.push_str(&percent_encoded(value));
            mark = '&';
        }
    }
    text
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_route_stands_twice() {
        let each: BTreeSet<(Method, &str)> = every().map(|route| (route.method, route.path)).collect();
        assert_eq!(each.len(), every().count());
    }

    #[test]
    fn whoever_looks_changes_nothing() {
        let looks = |access| matches!(access, Access::Anybody | Access::Known | Access::Workspace(Role::Viewer));
        let odd = every().filter(|route| route.method != Method::Get && looks(route.access));
        assert_eq!(odd.collect::<Vec<_>>(), Vec::<&Route>::new());
    }
}

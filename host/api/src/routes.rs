//! The closed list of the native API's routes, as patterns for a server and as paths for a client.
//!
//! A pattern writes `{name}` for the one part that varies; [`of`] fills it in, percent-encoded.

/// What the host is and how it is: `GET` → [`HostInfo`](crate::HostInfo).
pub const HOST: &str = "/api/v1/host";
/// Every service: `GET` with [`ServicesQuery`](crate::ServicesQuery) → [`ServiceList`](crate::ServiceList).
pub const SERVICES: &str = "/api/v1/services";
/// One service in detail: `GET` → [`ServiceDetail`](crate::ServiceDetail).
pub const SERVICE: &str = "/api/v1/services/{name}";
/// Why a service is as it is: `GET` → [`Explanation`](crate::Explanation).
pub const EXPLAIN: &str = "/api/v1/services/{name}/explain";
/// What it has written: `GET` with [`LogsQuery`](crate::LogsQuery) → lines of [`LogItem`](crate::LogItem).
pub const LOGS: &str = "/api/v1/services/{name}/logs";
/// Sends a signal: `POST` [`SignalRequest`](crate::SignalRequest) → [`SignalResult`](crate::SignalResult).
pub const SIGNAL: &str = "/api/v1/services/{name}/signal";
/// Runs a command inside it: `POST` [`ExecRequest`](crate::ExecRequest) → [`ExecResult`](crate::ExecResult).
pub const EXEC: &str = "/api/v1/services/{name}/exec";
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
/// What happened: `GET` with [`EventsQuery`](crate::EventsQuery) → lines of [`EventItem`](crate::EventItem).
pub const EVENTS: &str = "/api/v1/events";
/// Composite health and each service's: `GET` → [`HealthReport`](crate::HealthReport).
pub const HEALTH: &str = "/api/v1/health";
/// Runs checks now: `POST` [`CheckNowRequest`](crate::CheckNowRequest) → [`CheckNow`](crate::CheckNow).
pub const CHECK_NOW: &str = "/api/v1/health/check-now";
/// What services use: `GET` with [`StatsQuery`](crate::StatsQuery) → [`Stats`](crate::Stats).
pub const STATS: &str = "/api/v1/stats";
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

/// Media type of one document.
pub const JSON: &str = "application/json";
/// Media type of [`Failure`](crate::Failure).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Media type of streams: one JSON document per line, each ended by `\n`.
pub const NDJSON: &str = "application/x-ndjson";
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

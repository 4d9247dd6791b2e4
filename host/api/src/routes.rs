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
/// `POST` [`StartRequest`](crate::StartRequest) → [`ActionResult`](crate::ActionResult).
pub const START: &str = "/api/v1/services/start";
/// `POST` [`StopRequest`](crate::StopRequest) → [`ActionResult`](crate::ActionResult).
pub const STOP: &str = "/api/v1/services/stop";
/// `POST` [`RestartRequest`](crate::RestartRequest) → [`ActionResult`](crate::ActionResult).
pub const RESTART: &str = "/api/v1/services/restart";
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
/// Who starts after whom: `GET` → [`Graph`](crate::Graph).
pub const GRAPH: &str = "/api/v1/graph";
/// Every plugin: `GET` → [`PluginList`](crate::PluginList).
pub const PLUGINS: &str = "/api/v1/plugins";
/// One plugin: `GET` → [`PluginDetail`](crate::PluginDetail).
pub const PLUGIN: &str = "/api/v1/plugins/{name}";

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

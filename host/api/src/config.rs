//! What a configuration says: the document that `hostler.toml` and `hostler.yaml` become, read once and doubted once.
//!
//! [`read`] takes the document as JSON, whoever sent it, and answers with a typed [`Config`] or with *every* mistake in it: its place
//! (a JSON pointer), what is wrong and why, and what to write instead. Nothing here touches a file: `env_file` and `${VAR}` are resolved
//! by the command line before, and paths inside a plugin's settings by [`resolve_paths`], which needs the plugin's schema.
//!
//! ```
//! let document = serde_json::json!({ "services": { "web": { "backend": { "type": "process", "binary": "./web" }, "dependences": [] } } });
//! let problems = hostler_api::config::read(&document).expect_err("a key is misspelt");
//! assert_eq!(problems[0].at, "/services/web/dependences");
//! assert_eq!(problems[0].hint.as_deref(), Some("did you mean `dependencies`?"));
//! ```

mod alerts;
mod check;
mod difference;
mod digest;
mod discovery;
mod doubts;
mod globals;
mod limits;
mod listen;
mod paths;
mod place;
mod policy;
mod references;
mod secrets;
mod service;
mod telemetry;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use hostler_core::{Problem, ServiceName, Span, Spec, WorkspaceName, doubt_one, pointer_key};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use alerts::{Alerting, LOG, Sink, Way};
pub use check::CHECK_KEYS;
pub use difference::differences;
pub use digest::{canonical, fixed_digest, task_digest};
pub use discovery::{Discovery, Matching, Pattern};
pub use limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_SERVICES};
pub use paths::{absolute, resolve_paths, settle_types};
pub use place::about_key;
pub use references::{Reference, ReferenceTo, fill, fill_all, refers, stand_in};
pub use telemetry::Telemetry;
pub use values::is_env_name;

use place::{Place, Report};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Config {
    /// Version of the document's format.
    pub version: String,
    /// How the host runs.
    pub settings: Settings,
    /// Plugins beside the built-in ones, and changes to those.
    pub plugins: BTreeMap<String, PluginEntry>,
    /// Networks that services name.
    pub networks: BTreeMap<String, Network>,
    /// Secrets that plugins can be granted: the file of each.
    pub secrets: BTreeMap<String, String>,
    /// What already runs and is to be managed, by backend.
    pub discovery: BTreeMap<String, Discovery>,
    /// What is told when something is wrong, and to whom.
    pub alerting: Alerting,
    /// What is to run.
    pub services: BTreeMap<ServiceName, Spec>,
    /// Each service as it was written, for people who look at the state directory.
    #[serde(skip)]
    pub written: BTreeMap<ServiceName, Value>,
    /// What is common to all services, and to those that are written beside the document.
    #[serde(skip)]
    pub common: Common,
    /// Where parts of services stand.
    #[serde(skip)]
    pub placed: Placed,
}

/// What services take from the rest of their document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// How long a call may take when the service does not say.
    pub default_timeout: Span,
    /// The networks there are.
    pub networks: BTreeSet<String>,
}

impl Default for Common {
    fn default() -> Common {
        Common { default_timeout: Settings::default().default_timeout, networks: BTreeSet::new() }
    }
}

/// Where the parts of services stand in the document, which the core doubts by their number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Placed(BTreeMap<ServiceName, service::Places>);

impl Placed {
    /// The same problem at its place in the document: `/services/web/health_checks/0` → `/services/web/health_check`, where that is written.
    #[must_use]
    pub fn in_place(&self, problem: Problem) -> Problem {
        doubts::in_place(problem, &self.0)
    }
}

impl Config {
    /// Nothing is wanted, and nothing said.
    fn empty(common: Common) -> Config {
        Config {
            version: "1.0".to_owned(),
            settings: Settings::default(),
            plugins: BTreeMap::new(),
            networks: BTreeMap::new(),
            secrets: BTreeMap::new(),
            discovery: BTreeMap::new(),
            alerting: Alerting::default(),
            services: BTreeMap::new(),
            written: BTreeMap::new(),
            common,
            placed: Placed::default(),
        }
    }

    /// The same services in a workspace, with whom they depend on.
    #[must_use]
    pub fn within(mut self, workspace: &WorkspaceName) -> Config {
        let services = std::mem::take(&mut self.services).into_iter().map(|(name, mut spec)| {
            spec.name = name.within(workspace);
            spec.dependencies.iter_mut().for_each(|edge| edge.service = edge.service.within(workspace));
            (spec.name.clone(), spec)
        });
        self.services = services.collect();
        self.written = std::mem::take(&mut self.written).into_iter().map(|(name, value)| (name.within(workspace), value)).collect();
        self
    }

    /// JSON pointer to the check of this number, for a problem that its plugin found in its settings.
    ///
    /// ```
    /// let document = serde_json::json!({ "services": { "web": { "backend": { "type": "process" }, "health_check": { "type": "tcp" } } } });
    /// let config = hostler_api::config::read(&document).expect("a good document");
    /// assert_eq!(config.check_place("web", 0).as_deref(), Some("/services/web/health_check"));
    /// ```
    pub fn check_place(&self, service: &str, index: usize) -> Option<String> {
        let check = self.services.get(service)?.checks.get(index)?;
        let written = self.written.get(service)?;
        let below = match written.get("health_checks") {
            Some(Value::Object(_)) => format!("health_checks/{}", pointer_key(&check.name)),
            Some(_) => format!("health_checks/{index}"),
            None => "health_check".to_owned(),
        };
        Some(format!("/services/{}/{below}", pointer_key(service)))
    }
}

/// How the host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Where everything is kept; the command line chooses when absent.
    pub state_dir: Option<String>,
    /// Starts and stops under way at the same time.
    pub max_parallel: u32,
    /// How long one call of a backend may take, unless its service says.
    pub default_timeout: Span,
    /// The API's TCP door; absent is the Unix socket alone.
    pub listen: Option<Listen>,
    /// Where traces go; nowhere when absent.
    pub telemetry: Option<Telemetry>,
    /// Filter of the host's own log, such as `info` or `hostler=debug`.
    pub log: Option<String>,
    /// Engine of the store.
    pub store: StoreKind,
    /// The built-in plugins to load; absent is all of them.
    pub built_in_plugins: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            state_dir: None,
            max_parallel: 4,
            default_timeout: Span::secs(300),
            listen: None,
            telemetry: None,
            log: None,
            store: StoreKind::default(),
            built_in_plugins: None,
        }
    }
}

/// A TCP door of the API: `listen`, `tls`, `allowed_hosts` and `allowed_origins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// Where it is.
    pub address: SocketAddr,
    /// How it is protected; nothing else than the loopback address goes without.
    pub tls: Option<TlsFiles>,
    /// Names beside the loopback's and the address itself that callers may call this host by, in small letters.
    pub allowed_hosts: Vec<String>,
    /// Pages of other origins that may ask it, as browsers write them: `https://console.example`.
    pub allowed_origins: Vec<String>,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// The host's chain, its own certificate first; PEM.
    pub certificate: String,
    /// The key to it; PEM.
    pub key: String,
    /// Authorities of which every caller has to show a certificate.
    pub client_ca: Option<String>,
}

/// An engine of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A file in the state directory.
    #[default]
    Sqlite,
    /// Nothing outlives the host.
    Memory,
}

/// One `[plugins.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginEntry {
    /// Where its component is; absent in the document means built in.
    pub source: Source,
    /// `sha256:…` or `blake3:…`, lower case: the only component that may be loaded under this name.
    pub digest: Option<String>,
    /// The plugin's own configuration, a table.
    pub config: Option<Value>,
    /// What it may do, a table in the shape of the grants; absent is what a built-in plugin ships with, and nothing for others.
    pub grants: Option<Value>,
    /// How much it may use, a table in the shape of the limits.
    pub limits: Option<Value>,
}

/// Where a component is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// In the program itself.
    BuiltIn,
    /// In a file; the command line makes its path absolute.
    File(String),
}

/// One `[networks.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Network {
    /// Machines in an address range.
    Lan {
        /// In the form `192.168.1.0/24`.
        subnet: String,
    },
    /// A WireGuard tunnel.
    Wireguard {
        /// Path of its configuration.
        config: String,
    },
}

/// Reads a document, completely or not at all.
///
/// A document without services is a good one: a host may start empty.
///
/// # Errors
/// Every mistake (the first thousand), in the document's own places. A document beyond the limits ([`MAX_DEPTH`], [`MAX_SERVICES`],
/// [`MAX_DOCUMENT_BYTES`]) is refused for that alone.
pub fn read(document: &Value) -> Result<Config, Vec<Problem>> {
    limits::within_limits(document).map_err(|problem| vec![problem])?;
    let mut report = Report::default();
    let config = read_whole(document, &mut report);
    let problems = report.into_problems();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// Reads services that stand beside the document with this in common, each for itself. Whether those are there that they depend on is for
/// [`Core::doubt_beside`](hostler_core::Core::doubt_beside) to say; its problems are brought to their places by [`Config::placed`].
///
/// # Errors
/// As [`read`].
pub fn read_beside(services: &serde_json::Map<String, Value>, common: &Common) -> Result<Config, Vec<Problem>> {
    let document = Value::Object([("services".to_owned(), Value::Object(services.clone()))].into_iter().collect());
    limits::within_limits(&document).map_err(|problem| vec![problem])?;
    let mut report = Report::default();
    let mut config = Config::empty(common.clone());
    let mut table = Place::whole(&document).table("the document", "", &mut report).ok_or_else(Vec::new)?;
    if let Some(place) = table.take("services") {
        read_each(&place, &mut config, &mut report);
    }
    for spec in config.services.values() {
        doubt_one(spec).into_iter().for_each(|problem| report.add(config.placed.in_place(problem)));
    }
    doubt_references(&config, &|_| true, &BTreeSet::new(), &mut report);
    let problems = report.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn read_whole(document: &Value, report: &mut Report) -> Option<Config> {
    let hint = "write version, settings, plugins, networks, secrets, discovery, alerts, sinks and services, each with what belongs to it";
    let mut table = Place::whole(document).table("the document", hint, report)?;
    globals::read_version(&mut table, report);
    let settings = globals::read_settings(&mut table, report);
    let plugins = globals::read_plugins(&mut table, report);
    let networks = globals::read_networks(&mut table, report);
    let secrets = secrets::read_secrets(&mut table, report);
    // From the document, so that a secret with a mistake in it is still there.
    let named = document.get("secrets").and_then(Value::as_object).into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
    secrets::doubt_grants(&plugins, &named, report);
    let discovery = discovery::read_discovery(&mut table, document, report);
    let alerting = alerts::read(&mut table, document, report);
    // From the document, so that a network with a mistake in it is still there.
    let names = document.get("networks").and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect();
    let common = Common { default_timeout: settings.default_timeout, networks: names };
    let mut config = Config { settings, plugins, networks, secrets, discovery, alerting, ..Config::empty(common) };
    let services = table.take("services");
    table.finish(&[("service", "write `services`"), ("plugin", "write `plugins`")], report);
    if let Some(services) = services {
        read_services(&services, &mut config, report);
    }
    Some(config)
}

fn read_services(place: &Place<'_>, config: &mut Config, report: &mut Report) {
    let Some(named) = read_each(place, config, report) else { return };
    doubts::doubt_together(&mut config.services, &mut config.placed.0, &named, report);
    doubt_references(config, &|name| config.services.contains_key(name), &named, report);
}

/// Reads each service for itself; all names that stand there, good ones and bad ones.
fn read_each<'a>(place: &Place<'a>, config: &mut Config, report: &mut Report) -> Option<BTreeSet<&'a str>> {
    let members = place.members("write [services.NAME] for each service", report);
    if members.len() > MAX_SERVICES {
        report.add(Problem::new(&place.at, format!("there are {} services; {MAX_SERVICES} is the limit", members.len())));
        return None;
    }
    let common = config.common.clone();
    let named = members.iter().map(|(name, _)| *name).collect();
    let around = service::Surroundings { common: &common, services: &named };
    for (name, place) in &members {
        let Some(name) = values::service_name(name, &place.at, report) else { continue };
        if let Some((spec, where_parts_are)) = service::read_service(name.clone(), place, &around, report) {
            config.placed.0.insert(name.clone(), where_parts_are);
            config.services.insert(name.clone(), spec);
            config.written.insert(name, place.value.clone());
        }
    }
    Some(named)
}

fn doubt_references(config: &Config, is_there: &dyn Fn(&str) -> bool, named: &BTreeSet<&str>, report: &mut Report) {
    let of_check = |spec: &Spec, index| config.check_place(spec.name.as_str(), index).unwrap_or_default();
    references::doubt(&config.services, is_there, named, &of_check, report);
}

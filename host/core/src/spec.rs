//! What a user asks for: one service, already read and typed.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::autoscale::Autoscale;
use crate::time::Span;
use crate::workspace::WorkspaceName;

/// The name of a service: `[a-z0-9]` first, then `[a-z0-9_-]`, at most 63 bytes. In a workspace other than the default one that
/// workspace's name and a dot stand before it: `acme.db`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Reads a name as people write it, of the default workspace.
    ///
    /// # Errors
    /// A sentence that says which character or length is wrong.
    pub fn new(text: &str) -> Result<ServiceName, String> {
        let allowed = "use a-z, 0-9, - and _, starting with a letter or digit, at most 63 characters";
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        match text.chars().next() {
            None => return Err(format!("a service name is empty; {allowed}")),
            Some(first) if !good(first) => return Err(format!("service name {text:?} starts with {first:?}; {allowed}")),
            Some(_) => {}
        }
        if let Some(bad) = text.chars().find(|c| !good(*c) && *c != '-' && *c != '_') {
            return Err(format!("service name {text:?} contains {bad:?}; {allowed}"));
        }
        if text.len() > 63 {
            return Err(format!("service name {text:?} has {} characters; {allowed}", text.len()));
        }
        Ok(ServiceName(text.into()))
    }

    /// Reads a name as the host writes it, of any workspace.
    ///
    /// # Errors
    /// As [`ServiceName::new`] and [`WorkspaceName::new`].
    ///
    /// ```
    /// use hostler_core::ServiceName;
    /// let name = ServiceName::read("acme.db").unwrap();
    /// assert_eq!((name.workspace(), name.local()), ("acme", "db"));
    /// assert_eq!(ServiceName::new("db").unwrap().workspace(), "default");
    /// ```
    pub fn read(text: &str) -> Result<ServiceName, String> {
        match text.split_once('.') {
            Some((workspace, local)) => Ok(ServiceName::new(local)?.within(&WorkspaceName::new(workspace)?)),
            None => ServiceName::new(text),
        }
    }

    /// The same service of another workspace.
    #[must_use]
    pub fn within(&self, workspace: &WorkspaceName) -> ServiceName {
        if workspace.is_default() { ServiceName(self.local().into()) } else { ServiceName(format!("{workspace}.{}", self.local()).into()) }
    }

    /// The workspace it is of.
    pub fn workspace(&self) -> &str {
        self.0.split_once('.').map_or(WorkspaceName::DEFAULT, |(workspace, _)| workspace)
    }

    /// What it is called there.
    pub fn local(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(_, local)| local)
    }

    /// The whole name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ServiceName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        ServiceName::read(&text)
    }
}

impl From<ServiceName> for String {
    fn from(name: ServiceName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Does it run for ever, or to its end?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs until it is stopped; an exit is news.
    #[default]
    Service,
    /// Runs once to success (a migration, a seed): then it is `completed` and is not run again.
    Oneshot,
}

/// What a service is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Databases, queues, proxies.
    Infrastructure,
    /// Models and what serves them.
    Ai,
    /// What watches the others.
    Monitoring,
    /// Everything else.
    #[default]
    Application,
}

/// What must hold of a dependency before a dependent may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Its backend has brought it up.
    Started,
    /// Its checks say healthy.
    Healthy,
    /// It has run to success.
    Completed,
}

/// One edge of the graph: the service that holds it starts after `service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Whom it needs.
    pub service: ServiceName,
    /// An optional edge orders when both are wanted, and never blocks.
    #[serde(default)]
    pub optional: bool,
    /// Absent: `completed` for a one-shot, `healthy` where the dependency has checks, else `started`.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// A new run of the dependency restarts the dependent too.
    #[serde(default)]
    pub restart: bool,
    /// Of how many of its replicas the condition must hold.
    #[serde(default, skip_serializing_if = "Quorum::is_all")]
    pub healthy: Quorum,
}

impl Dependency {
    /// A required edge that waits for all of `service`, as its own kind and checks say.
    pub fn on(service: ServiceName) -> Dependency {
        Dependency { service, optional: false, condition: None, restart: false, healthy: Quorum::All }
    }
}

/// Of how many replicas of a dependency a condition must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Quorum {
    /// Of every one that is wanted.
    #[default]
    All,
    /// Of one.
    Any,
    /// Of so many.
    #[serde(untagged)]
    Some(u32),
}

impl Quorum {
    /// Is nothing less than all enough?
    pub fn is_all(&self) -> bool {
        *self == Quorum::All
    }

    /// How many of `count` it takes: never none, so that a service without replicas satisfies nobody.
    pub fn of(self, count: u32) -> u32 {
        match self {
            Quorum::All => count.max(1),
            Quorum::Any => 1,
            Quorum::Some(number) => number.max(1),
        }
    }
}

/// Which plugin runs it, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendSpec {
    /// Name of the backend plugin.
    pub plugin: String,
    /// JSON object in the shape of the plugin's own task schema, keys sorted.
    pub settings: String,
}

/// One health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSpec {
    /// Unique within its service.
    pub name: String,
    /// Name of the health-check plugin.
    pub plugin: String,
    /// JSON object in the shape of the plugin's own check schema, keys sorted.
    pub settings: String,
    /// From one check to the next, ±10 %.
    pub interval: Span,
    /// How long one check may take.
    pub timeout: Span,
    /// Failures in a row that make it unhealthy.
    pub failure_threshold: u32,
    /// Passes in a row that make an unhealthy one healthy again.
    pub recovery_threshold: u32,
    /// Failures within this time after a start do not count, until the first pass.
    pub start_period: Span,
    /// Restart the task when it is unhealthy.
    pub auto_recovery: bool,
}

impl CheckSpec {
    /// A check with the defaults: every 30 s, 5 s to answer, 3 failures, 2 passes, no start period, recovery on.
    pub fn new(name: &str, plugin: &str, settings: &str) -> CheckSpec {
        CheckSpec {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            settings: settings.to_owned(),
            interval: Span::secs(30),
            timeout: Span::secs(5),
            failure_threshold: 3,
            recovery_threshold: 2,
            start_period: Span::ZERO,
            auto_recovery: true,
        }
    }
}

/// When a task that ended is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// After every end.
    Always,
    /// After every end but a successful one.
    OnFailure,
    /// Not at all.
    Never,
}

/// Restart policy: how often, after how long, and when the count starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// After which ends.
    pub mode: RestartMode,
    /// Restarts in a row before the service is `failed`; `None` is without limit.
    pub max_attempts: Option<u32>,
    /// Wait before the first restart.
    pub initial: Span,
    /// Each wait is this many times the one before, in thousandths (2,000 doubles).
    pub factor_permille: u32,
    /// No wait is longer, jitter aside.
    pub max: Span,
    /// The wait is varied by up to this part of itself, either way, in thousandths.
    pub jitter_permille: u32,
    /// A run that lasted this long starts the count anew.
    pub reset_after: Span,
}

impl Default for RestartPolicy {
    /// Always, three times, after 2 s, 4 s and 8 s (±25 %, at most 60 s); ten good minutes start the count anew.
    fn default() -> Self {
        RestartPolicy {
            mode: RestartMode::Always,
            max_attempts: Some(3),
            initial: Span::secs(2),
            factor_permille: 2_000,
            max: Span::secs(60),
            jitter_permille: 250,
            reset_after: Span::secs(600),
        }
    }
}

/// How a task is asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// By name; the backend's own choice when absent.
    pub signal: Option<String>,
    /// How long it has before it is killed.
    pub grace: Span,
}

impl Default for StopSpec {
    fn default() -> Self {
        StopSpec { signal: None, grace: Span::secs(30) }
    }
}

/// What a task may use; absent is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Resources {
    /// Thousandths of one core.
    pub cpu_millis: Option<u32>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes of storage.
    pub storage_bytes: Option<u64>,
}

/// How many of it there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// The fewest that scaling may leave.
    pub min: u32,
    /// The most that scaling may make.
    pub max: u32,
    /// How many are wanted now.
    pub count: u32,
    /// Loads change the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
}

impl Default for Replicas {
    fn default() -> Self {
        Replicas { min: 1, max: 1, count: 1, autoscale: None }
    }
}

impl Replicas {
    /// May scaling ask for so many?
    ///
    /// # Errors
    /// A sentence that names the bound.
    pub fn allows(&self, count: u32) -> Result<(), String> {
        let Replicas { min, max, .. } = *self;
        if count < min {
            return Err(format!("{count} is fewer than its `min` of {min}"));
        }
        if count > max {
            return Err(format!("{count} is more than its `max` of {max}"));
        }
        Ok(())
    }
}

/// The most replicas one service may ask for.
pub const MAX_REPLICAS: u32 = 1_000;

/// One service as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Its name.
    pub name: ServiceName,
    /// For ever, or to its end?
    pub kind: Kind,
    /// For people.
    pub display_name: Option<String>,
    /// What it is for.
    pub category: Category,
    /// Is the whole not ready without it?
    pub critical: bool,
    /// A disabled service is kept, and not run.
    pub enabled: bool,
    /// Free-form, written onto the real thing where it can carry them.
    pub labels: BTreeMap<String, String>,
    /// What runs it.
    pub backend: BackendSpec,
    /// After whom it starts.
    pub dependencies: Vec<Dependency>,
    /// How it is judged.
    pub checks: Vec<CheckSpec>,
    /// What follows an end.
    pub restart: RestartPolicy,
    /// How it is ended.
    pub stop: StopSpec,
    /// How long one call of its backend may take.
    pub timeout: Span,
    /// What it may use.
    pub resources: Resources,
    /// How many there are.
    pub replicas: Replicas,
    /// Environment beside what the backend's settings say.
    pub env: BTreeMap<String, String>,
    /// Environment whose values are read from files at each start, and are kept nowhere: name → path.
    pub secrets: BTreeMap<String, String>,
    /// Name of the network it belongs to.
    pub network: Option<String>,
    /// Identifies what a running task was made from (backend, env, secrets' paths, resources, labels): a change recreates it.
    pub task_digest: String,
    /// The same without what its backend changes while a task runs: where that alone differs, the task stays. Absent where it changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_digest: Option<String>,
}

impl Spec {
    /// A service with the defaults, run by `plugin` with `settings` (JSON); `task_digest` is those two.
    pub fn new(name: ServiceName, plugin: &str, settings: &str) -> Spec {
        Spec {
            name,
            kind: Kind::Service,
            display_name: None,
            category: Category::default(),
            critical: false,
            enabled: true,
            labels: BTreeMap::new(),
            backend: BackendSpec { plugin: plugin.to_owned(), settings: settings.to_owned() },
            dependencies: Vec::new(),
            checks: Vec::new(),
            restart: RestartPolicy::default(),
            stop: StopSpec::default(),
            timeout: Span::secs(300),
            resources: Resources::default(),
            replicas: Replicas::default(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            network: None,
            task_digest: format!("{plugin} {settings}"),
            fixed_digest: None,
        }
    }
}

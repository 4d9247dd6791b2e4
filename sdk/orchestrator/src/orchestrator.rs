//! The orchestrator itself: a caller of one host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_io::Timer;
use hostler_api::{
    Code, Failure, HealthReport, Heartbeat, HeartbeatRequest, Operation, OperationStatus, Registry, RegistryEntry, RegistryQuery, Service,
    ServiceDetail, ServiceHealth, ServiceList, routes,
};
use hyper::Method;
use serde_json::{Value, json};

use crate::link::Link;
use crate::{Error, EventSubscriber, ServiceDefinition};

/// How long an action waits until services are settled.
const SETTLED: Duration = Duration::from_secs(300);

/// How long another program's host may take to answer: it may be compiling every plugin for the first time, on a small machine.
const STARTING: Duration = Duration::from_secs(300);
/// From one look at that to the next.
const PAUSE: Duration = Duration::from_millis(500);

/// Which host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrchestratorConfig {
    /// Where it keeps everything; made when absent.
    pub state_dir: PathBuf,
    /// Starts and stops under way at a time, of a host that has no state yet; one that has keeps its own.
    pub max_parallel_operations: u32,
}

impl OrchestratorConfig {
    /// The host of this directory, with the defaults.
    pub fn new(state_dir: impl Into<PathBuf>) -> OrchestratorConfig {
        OrchestratorConfig { state_dir: state_dir.into(), max_parallel_operations: 4 }
    }
}

/// A caller of one host. Clones call the same one; dropping the last leaves it and its services running.
#[derive(Debug, Clone)]
pub struct Orchestrator {
    link: Link,
}

impl Orchestrator {
    /// The host of this state directory; where none runs, `$HOSTLER_BIN` or `hostler` is started as one. Of several programs that do so at
    /// once, one starts it, and all have it.
    ///
    /// # Errors
    /// [`Error::NotStarted`], with what the program said.
    pub async fn new(config: OrchestratorConfig) -> Result<Orchestrator, Error> {
        let program = std::env::var_os("HOSTLER_BIN").unwrap_or_else(|| "hostler".into());
        Orchestrator::with_program(config, program).await
    }

    /// The same, with another program to start as a host.
    ///
    /// # Errors
    /// As [`Orchestrator::new`].
    pub async fn with_program(config: OrchestratorConfig, program: impl Into<PathBuf>) -> Result<Orchestrator, Error> {
        let program = program.into();
        let state_dir = std::path::absolute(&config.state_dir);
        let state_dir = state_dir.map_err(|error| not_started(&program, &Failure::new(Code::Invalid, format!("its state directory: {error}"))))?;
        let link = Link::new(&state_dir);
        let config = OrchestratorConfig { state_dir, ..config };
        let end = Instant::now() + STARTING;
        loop {
            match link.ask(Method::GET, routes::HOST, None, Duration::ZERO).await {
                Ok(_) => return Ok(Orchestrator { link }),
                Err(failure) if failure.code == Code::Unreachable => {}
                Err(failure) => return Err(failure.into()),
            }
            let (config, started) = (config.clone(), program.clone());
            match blocking::unblock(move || start(&started, &config)).await {
                // Somebody else's host has the directory, and does not answer yet.
                Err(failure) if failure.code == Code::Conflict && Instant::now() < end => drop(Timer::after(PAUSE).await),
                Err(failure) => return Err(not_started(&program, &failure)),
                Ok(()) => return Ok(Orchestrator { link }),
            }
        }
    }

    /// Wants a service; it is not started. A second call with the same changes nothing, with another one it changes the service to that.
    ///
    /// # Errors
    /// [`Code::Config`] with every mistake; [`Code::Conflict`] where somebody else asked for a service of that name.
    pub async fn register_service(&self, service: impl Into<ServiceDefinition>) -> Result<(), Error> {
        let service = self.placed(service.into()).await?;
        let body = json!({ "service": service.written, "start": false });
        self.ask(Method::PUT, &routes::of(routes::SERVICE, &service.name), Some(&body)).await.map(drop)
    }

    /// Stops a service, and forgets it.
    ///
    /// # Errors
    /// There is none of that name, or it stands in the host's configuration.
    pub async fn unregister_service(&self, name: &str) -> Result<(), Error> {
        self.ask(Method::DELETE, &routes::of(routes::SERVICE, name), None).await.map(drop)
    }

    /// Starts a service after what it depends on; returns once it is up (with a check: well) or has failed.
    ///
    /// # Errors
    /// It failed, with why; or is not settled after five minutes, and may still come up.
    pub async fn start_service(&self, name: &str) -> Result<(), Error> {
        self.act(routes::START, name, json!({ "services": [name] })).await?;
        self.is_up(name).await
    }

    /// Stops a service after what depends on it; returns once it is down.
    ///
    /// # Errors
    /// There is none of that name, or it is not down after five minutes.
    pub async fn stop_service(&self, name: &str) -> Result<(), Error> {
        self.act(routes::STOP, name, json!({ "services": [name] })).await
    }

    /// Restarts a service, also one that has failed; returns once it is up or has failed again.
    ///
    /// # Errors
    /// As [`Orchestrator::start_service`].
    pub async fn restart_service(&self, name: &str) -> Result<(), Error> {
        self.act(routes::RESTART, name, json!({ "services": [name], "force": true })).await?;
        self.is_up(name).await
    }

    /// Brings a service into force, starts it after what it depends on, and waits until it is well: as an operation, which goes on when this
    /// program ends. What is asked for is answered at once; [`Orchestrator::wait`] says what came of it.
    ///
    /// # Errors
    /// As [`Orchestrator::register_service`]; [`Code::Conflict`] while another deployment of that service is unfinished.
    pub async fn deploy(&self, service: impl Into<ServiceDefinition>) -> Result<Operation, Error> {
        let service = self.placed(service.into()).await?;
        let body = json!({ "service": service.written });
        Ok(read(self.ask(Method::POST, &routes::of(routes::DEPLOY, &service.name), Some(&body)).await?)?)
    }

    /// An operation as it is now.
    ///
    /// # Errors
    /// There is none of that id.
    pub async fn operation(&self, id: &str) -> Result<Operation, Error> {
        Ok(read(self.ask(Method::GET, &routes::of(routes::OPERATION, id), None).await?)?)
    }

    /// The same once it is over.
    ///
    /// # Errors
    /// There is none of that id; it did not succeed, with why; or it is not over after this long, and goes on.
    pub async fn wait(&self, id: &str, longest: Duration) -> Result<Operation, Error> {
        let ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let path = routes::with(&routes::of(routes::OPERATION, id), &[("wait_ms", Some(ms.to_string()))]);
        let operation: Operation = read(self.link.ask(Method::GET, &path, None, longest).await?)?;
        if operation.status == OperationStatus::Succeeded {
            return Ok(operation);
        }
        let code = if operation.status.is_over() { Code::Failed } else { Code::Timeout };
        let told = || Failure::new(code, format!("operation {id} is {}: {}", operation.status, operation.progress.message));
        Err(operation.problem.clone().filter(|_| operation.status.is_over()).unwrap_or_else(told).into())
    }

    /// How well a service is, by its checks.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn get_service_health(&self, name: &str) -> Result<ServiceHealth, Error> {
        // The report leaves nobody out, so whoever is not in it is not there: the detail says so in the host's own words.
        let mut report: HealthReport = read(self.ask(Method::GET, routes::HEALTH, None).await?)?;
        match report.services.remove(name) {
            Some(health) => Ok(health),
            None => self.get_service(name).await.and_then(|_| Err(gone(name).into())),
        }
    }

    /// One service in detail.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn get_service(&self, name: &str) -> Result<ServiceDetail, Error> {
        Ok(read(self.ask(Method::GET, &routes::of(routes::SERVICE, name), None).await?)?)
    }

    /// Every service of the host, by name.
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn list_services(&self) -> Result<Vec<Service>, Error> {
        let list: ServiceList = read(self.ask(Method::GET, routes::SERVICES, None).await?)?;
        Ok(list.services)
    }

    /// Says that a service is alive, and what it says of itself. The next one is expected after `ttl`, 60 s where it is absent at first; one
    /// that is three times as late is missed, which is an event.
    ///
    /// # Errors
    /// There is none of that name, or the time or the metadata is not what the host takes.
    pub async fn heartbeat(&self, name: &str, ttl: Option<Duration>, metadata: Option<BTreeMap<String, String>>) -> Result<Heartbeat, Error> {
        let ttl_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let body = serde_json::to_value(HeartbeatRequest { ttl_ms, metadata }).expect("a request is strings and numbers");
        Ok(read(self.ask(Method::POST, &routes::of(routes::HEARTBEAT, name), Some(&body)).await?)?)
    }

    /// Services for those who look for one: where each listens, and how it is.
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn registry(&self, query: &RegistryQuery) -> Result<Vec<RegistryEntry>, Error> {
        let registry: Registry = read(self.ask(Method::GET, &query.path(), None).await?)?;
        Ok(registry.services)
    }

    /// Follows what happens from now on.
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn subscribe(&self) -> Result<EventSubscriber, Error> {
        let host = self.ask(Method::GET, routes::HOST, None).await?;
        self.subscribe_after(host["last_event"].as_u64().unwrap_or_default()).await
    }

    /// Follows what happened after the event of this number, and goes on with what happens.
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn subscribe_after(&self, seq: u64) -> Result<EventSubscriber, Error> {
        EventSubscriber::after(self.link.clone(), seq).await
    }

    /// Stops every service in reverse order and ends the host; what was registered is started again by the next one.
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.ask(Method::POST, routes::SHUTDOWN, Some(&json!({ "stop_services": true }))).await.map(drop)
    }

    /// The same with its paths absolute: the host works in a directory of its own. Which settings are paths, the plugins' schemas say; a plugin
    /// that is not there is refused when the service is asked for.
    async fn placed(&self, mut service: ServiceDefinition) -> Result<ServiceDefinition, Error> {
        let here = std::env::current_dir().map_err(|error| {
            let failure = Failure::new(Code::Invalid, format!("the directory that this program works in cannot be found: {error}"));
            failure.hint("relative paths of a service mean places in it")
        })?;
        for settings in service.settings() {
            let Some(plugin) = settings["type"].as_str() else { continue };
            let found = match self.link.ask(Method::GET, &routes::of(routes::PLUGIN, plugin), None, Duration::ZERO).await {
                Err(failure) if failure.code == Code::NotFound => continue,
                found => found?,
            };
            hostler_api::config::resolve_paths(settings, &found["settings_schema"], &here);
        }
        Ok(service)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        Ok(self.link.ask(method, path, body, Duration::ZERO).await?)
    }

    async fn act(&self, path: &str, name: &str, mut body: Value) -> Result<(), Error> {
        body["wait_ms"] = json!(u64::try_from(SETTLED.as_millis()).unwrap_or(u64::MAX));
        let done = self.link.ask(Method::POST, path, Some(&body), SETTLED).await?;
        if done["settled"] == true {
            return Ok(());
        }
        let message = format!("service `{name}` is not settled after {} s; it may still be", SETTLED.as_secs());
        Err(Failure::new(Code::Timeout, message).into())
    }

    async fn is_up(&self, name: &str) -> Result<(), Error> {
        use hostler_api::Status::{Completed, Running};
        let detail = self.get_service(name).await?;
        if matches!(detail.service.status, Running | Completed) {
            return Ok(());
        }
        let why = detail.because.first().cloned().unwrap_or_else(|| format!("is {}", detail.service.status.as_str()));
        Err(Failure::new(Code::Failed, format!("service `{name}` {why}")).into())
    }
}

fn gone(name: &str) -> Failure {
    Failure::new(Code::NotFound, format!("service `{name}` went meanwhile"))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        let failure = Failure::new(Code::Internal, format!("the host's answer is not understood: {error}"));
        failure.hint("host and library may be of different versions")
    })
}

fn not_started(program: &Path, why: &Failure) -> Error {
    let hint = why.hint.as_ref().map(|hint| format!("; {hint}"));
    Error::NotStarted { program: program.display().to_string(), why: format!("{}{}", why.message, hint.unwrap_or_default()) }
}

/// Starts a host in the background, and returns once it answers.
fn start(program: &Path, config: &OrchestratorConfig) -> Result<(), Failure> {
    let mut command = Command::new(program);
    command.arg("--json").arg("--state-dir").arg(&config.state_dir).arg("serve").arg("--detach").stdin(Stdio::null());
    if !config.state_dir.join("store.db").exists() {
        let file = first_configuration(config)
            .map_err(|error| Failure::new(Code::Failed, format!("cannot write into {}: {error}", config.state_dir.display())))?;
        command.arg(file);
    }
    let output = command.output().map_err(|error| Failure::new(Code::Failed, error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let told = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    Err(told.unwrap_or_else(|| Failure::new(Code::Failed, format!("{}: {}", output.status, said.trim()))))
}

/// What a host begins with that has no state yet. Others may be about to begin with it, too: it is there as a whole, or not.
fn first_configuration(config: &OrchestratorConfig) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.state_dir)?;
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let own = format!("orchestrator.toml.{}.{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let (file, written) = (config.state_dir.join("orchestrator.toml"), config.state_dir.join(own));
    std::fs::write(&written, format!("[settings]\nmax_parallel = {}\n", config.max_parallel_operations))?;
    std::fs::rename(&written, &file)?;
    Ok(file)
}

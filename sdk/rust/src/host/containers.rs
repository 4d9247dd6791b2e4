//! Containers of an engine that speaks Docker's API. An engine is known by the name that the operator gave it.

use super::{Result, millis};
use crate::imports::containers;
use std::time::Duration;

pub use super::commands::{Command, Output};
pub use containers::{
    Address, Attachment, Container, Credentials, Ended, EngineInfo, HealthCheck, Image, Limits, Line, Lines, Mount, MountKind, Origin, Port, Pulled,
    Spec, State, Ulimit, Usage, Whose,
};

impl Spec {
    /// A container of an image, with everything else as the image and the engine have it.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            entrypoint: None,
            command: None,
            env: Vec::new(),
            working_dir: None,
            user: None,
            hostname: None,
            labels: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            network_mode: None,
            networks: Vec::new(),
            extra_hosts: Vec::new(),
            dns: Vec::new(),
            health: None,
            stop_signal: None,
            limits: Limits::none(),
            read_only_root: false,
            privileged: false,
            capabilities_added: Vec::new(),
            capabilities_dropped: Vec::new(),
            security_options: Vec::new(),
            ulimits: Vec::new(),
            shared_memory_bytes: None,
            init: false,
            log_driver: None,
            log_options: Vec::new(),
            platform: None,
        }
    }
}

impl Limits {
    /// Nothing is limited.
    pub fn none() -> Self {
        Self { cpu_millis: None, memory_bytes: None, memory_swap_bytes: None, storage_bytes: None, processes: None }
    }
}

impl Container {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// Asks the engine how it is.
pub fn info(engine: &str) -> Result<EngineInfo> {
    containers::info(engine)
}

/// What is known of an image on the engine; nothing when it is not there.
pub fn find_image(engine: &str, reference: &str) -> Result<Option<Image>> {
    containers::find_image(engine, reference)
}

/// Fetches an image, or joins the pull of it that is under way; the pull outlives this call.
pub fn pull(engine: &str, reference: &str, platform: Option<&str>, credentials: Option<&Credentials>) -> Result<Pulled> {
    containers::pull(engine, reference, platform, credentials)
}

/// Makes a container that does not run yet; its id. A name that is taken is [`Conflict`](super::Error::Conflict), an image that is
/// not there [`NotFound`](super::Error::NotFound).
pub fn create(engine: &str, name: &str, spec: &Spec) -> Result<String> {
    containers::create(engine, name, spec)
}

/// Starts what was created or has ended; of what runs it succeeds.
pub fn start(engine: &str, id: &str) -> Result<()> {
    containers::start(engine, id)
}

/// One answer per id or name, in their order; nothing where there is no such container.
pub fn inspect(engine: &str, ids: &[String]) -> Result<Vec<Option<Container>>> {
    containers::inspect(engine, ids)
}

/// Sends a signal, or the container's own stop signal when it is empty, waits up to `grace`, kills, and returns what it is then; of what has ended it succeeds.
pub fn stop(engine: &str, id: &str, signal: &str, grace: Duration) -> Result<Container> {
    containers::stop(engine, id, signal, millis(grace))
}

/// Sends a signal, by name, to the first process.
pub fn signal(engine: &str, id: &str, signal: &str) -> Result<()> {
    containers::signal(engine, id, signal)
}

/// Removes a container and the volumes that only it had; of what is gone it succeeds.
pub fn remove(engine: &str, id: &str, force: bool) -> Result<()> {
    containers::remove(engine, id, force)
}

/// Changes what a running container may use.
pub fn update(engine: &str, id: &str, limits: Limits) -> Result<()> {
    containers::update(engine, id, limits)
}

/// Containers in whatever state, with all of these labels; an empty value means any.
pub fn list(engine: &str, whose: Whose, labels: &[(String, String)]) -> Result<Vec<Container>> {
    containers::list(engine, whose, labels)
}

/// Reads what a container has written, from `cursor`, or its last `tail` lines when there is no cursor, up to `max_bytes` of line data.
pub fn read_log(engine: &str, id: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines> {
    containers::read_log(engine, id, cursor, tail, max_bytes)
}

/// One answer per id, in their order; nothing where nothing runs.
pub fn measure(engine: &str, ids: &[String]) -> Result<Vec<Option<Usage>>> {
    containers::measure(engine, ids)
}

/// Runs a command within a running container to its end. After `deadline` its processes are killed, and the answer is
/// [`Timeout`](super::Error::Timeout).
pub fn exec(engine: &str, id: &str, command: &Command, deadline: Duration) -> Result<Output> {
    containers::exec(engine, id, command, millis(deadline))
}

/// Makes a network where there is none of that name; `true` when it was made.
pub fn ensure_network(engine: &str, name: &str, subnet: Option<&str>, labels: &[(String, String)]) -> Result<bool> {
    containers::ensure_network(engine, name, subnet, labels)
}

//! Hostler from inside a Rust program, under any async executor or none.
//!
//! An [`Orchestrator`] is a caller of the host of one state directory: it starts that host where none runs (the program `hostler`, which
//! goes on when this one ends), registers services beside whatever its configuration says, starts them in the order of their
//! dependencies, and follows what happens. What it registers lasts until somebody removes it.
//!
//! Nothing here needs tokio: sockets and timers have a reactor of their own, so that futures may be awaited under tokio, smol, or a plain
//! `block_on` (the folder `examples` has one of each).
//!
//! ```no_run
//! use hostler_orchestrator::{ExecutionBackend, Orchestrator, OrchestratorConfig, ServiceConfig};
//!
//! # async fn example() -> Result<(), hostler_orchestrator::Error> {
//! let orchestrator = Orchestrator::new(OrchestratorConfig::new("/var/lib/harness")).await?;
//! let db = ExecutionBackend::process("/usr/bin/redis-server", ["--port", "7379"]);
//! let api = ExecutionBackend::process("/opt/api/server", ["--port", "8080"]);
//! orchestrator.register_service(ServiceConfig::new("db", db)).await?;
//! orchestrator.register_service(ServiceConfig { dependencies: vec!["db".into()], ..ServiceConfig::new("api", api) }).await?;
//! let mut events = orchestrator.subscribe().await?;
//! orchestrator.start_service("api").await?; // db first
//! println!("{:?}, {:?}", orchestrator.get_service_health("api").await?, events.recv().await?);
//! let deployed = orchestrator.deploy(ServiceConfig::new("web", ExecutionBackend::process("/opt/web/server", ["--port", "8081"]))).await?;
//! orchestrator.wait(&deployed.id, std::time::Duration::from_secs(60)).await?;
//! # Ok(()) }
//! ```

mod config;
mod event;
mod link;
mod orchestrator;

pub use config::{ExecutionBackend, HealthCheck, ServiceConfig, ServiceDefinition};
pub use event::{EventSubscriber, OrchestratorEvent};
pub use hostler_api::{
    EventRecord, Health, Heartbeat, Operation, OperationStatus, Pulse, RegistryEndpoint, RegistryEntry, RegistryQuery, Service, ServiceDetail,
    ServiceHealth, Status,
};
pub use orchestrator::{Orchestrator, OrchestratorConfig};

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host's own word, with its code, hint and place.
    #[error(transparent)]
    Refused(#[from] hostler_api::Failure),
    /// A host could not be started.
    #[error("{program} could not be started as a host: {why}")]
    NotStarted {
        /// What was run.
        program: String,
        /// What it or the system said.
        why: String,
    },
    /// Events ended: the host went away. Asked again, an [`EventSubscriber`] goes on behind the last one as soon as a host is there.
    #[error("the events ended: the host went away")]
    Ended,
}

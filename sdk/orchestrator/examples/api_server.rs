//! A server that needs a database, word for word as the description of such a crate has them, and what happens to them. The arguments are
//! a state directory and a port in the place of 8080; `$HOSTLER_BIN` or `hostler` is the host.

use std::collections::HashMap;
use std::path::PathBuf;

use hostler_orchestrator as service_orchestration;
use service_orchestration::{Error, ExecutionBackend, HealthCheck, ServiceConfig};
use service_orchestration::{EventSubscriber, OrchestratorEvent};
use service_orchestration::{Orchestrator, OrchestratorConfig};

#[rustfmt::skip]
#[expect(clippy::let_and_return, reason = "it stands as it is described")]
fn api_config() -> ServiceConfig {
    let config = ServiceConfig {
        name: "api-server".to_string(),
        backend: ExecutionBackend::Process {
            binary: "./target/release/api-server".to_string(),
            args: vec!["--port".to_string(), "8080".to_string()],
            env: HashMap::from([
                ("DATABASE_URL".to_string(), "postgres://localhost/api".to_string()),
            ]),
        },
        dependencies: vec!["postgres".to_string()],
        health_check: Some(HealthCheck::Http {
            url: "http://localhost:8080/health".to_string(),
            interval_secs: 10,
            timeout_secs: 5,
            retries: 3,
        }),
    };
    config
}

fn config() -> OrchestratorConfig {
    OrchestratorConfig { state_dir: PathBuf::from("/var/lib/harness"), max_parallel_operations: 4 }
}

/// The same at another port.
fn at_port(mut service: ServiceConfig, port: &str) -> ServiceConfig {
    if let ExecutionBackend::Process { args, .. } = &mut service.backend {
        args[1] = port.to_string();
    }
    if let Some(HealthCheck::Http { url, .. }) = &mut service.health_check {
        *url = url.replace("8080", port);
    }
    service
}

async fn play(state_dir: PathBuf, port: &str) -> Result<(), Error> {
    let (postgres_config, api_config) =
        (ServiceConfig::new("postgres", ExecutionBackend::process("/bin/sleep", ["1000"])), at_port(api_config(), port));
    let config = OrchestratorConfig { state_dir, ..config() };

    let orchestrator = Orchestrator::new(config).await?;
    let events = orchestrator.subscribe().await?;

    // Register services
    orchestrator.register_service(postgres_config).await?;
    orchestrator.register_service(api_config).await?;

    // Start with dependency ordering
    orchestrator.start_service("api-server").await?;
    // Automatically starts postgres first

    // Monitor health
    let health = orchestrator.get_service_health("api-server").await?;

    println!("api-server is {}", health.status.as_str());
    orchestrator.shutdown().await?;
    tell(events).await;
    Ok(())
}

async fn tell(mut events: EventSubscriber) {
    while let Ok(event) = events.recv().await {
        match event {
            OrchestratorEvent::ServiceStarted { name, .. } => {
                println!("Service {} started", name);
            }
            OrchestratorEvent::ServiceFailed { name, error, .. } => {
                eprintln!("Service {} failed: {}", name, error);
            }
            OrchestratorEvent::HealthCheckFailed { name, .. } => {
                eprintln!("Health check failed for {}", name);
            }
            OrchestratorEvent::HealthRecovered { name } => println!("{name} is well again"),
            _ => {}
        }
    }
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (state_dir, port) = (arguments.next().expect("a state directory"), arguments.next().expect("a port"));
    smol::block_on(async { play(state_dir.into(), &port).await })
}

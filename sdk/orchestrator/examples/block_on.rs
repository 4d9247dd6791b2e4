//! The orchestrator under no executor at all: two services, the second after the first, and what happens to them. The one argument is a state
//! directory; `$HOSTLER_BIN` or `hostler` is the host.

use hostler_orchestrator::{Error, ExecutionBackend, Orchestrator, OrchestratorConfig, OrchestratorEvent, ServiceConfig};

fn main() -> Result<(), Error> {
    async_io::block_on(play(std::env::args().nth(1).expect("a state directory").into()))
}

async fn play(state_dir: std::path::PathBuf) -> Result<(), Error> {
    let orchestrator = Orchestrator::new(OrchestratorConfig::new(state_dir)).await?;
    let mut events = orchestrator.subscribe().await?;
    orchestrator.register_service(ServiceConfig::new("db", ExecutionBackend::process("/bin/sleep", ["1000"]))).await?;
    let web = ServiceConfig::new("web", ExecutionBackend::process("/bin/sleep", ["1000"]));
    orchestrator.register_service(ServiceConfig { dependencies: vec!["db".into()], ..web }).await?;
    orchestrator.start_service("web").await?;
    loop {
        match events.recv().await? {
            OrchestratorEvent::ServiceStarted { name, .. } => {
                println!("started {name}");
                if name == "web" {
                    break;
                }
            }
            OrchestratorEvent::ServiceFailed { name, error } => println!("failed {name}: {error}"),
            _ => {}
        }
    }
    let health = orchestrator.get_service_health("web").await?;
    println!("web is {}", health.status.as_str());
    let deployed = orchestrator.deploy(ServiceConfig::new("db", ExecutionBackend::process("/bin/sleep", ["1000"]))).await?;
    let done = orchestrator.wait(&deployed.id, std::time::Duration::from_secs(60)).await?;
    println!("deployed db: {}", done.status);
    orchestrator.stop_service("db").await?;
    let status = orchestrator.get_service("web").await?.service.status;
    println!("without db, web is {}", status.as_str());
    orchestrator.unregister_service("web").await?;
    orchestrator.unregister_service("db").await?;
    orchestrator.shutdown().await
}

//! `examples/stack`: one graph over a container, a local process and a unit of systemd, as its README tells it.

use std::process::Command;
use std::time::Duration;

use hostler_e2e::{Ran, root, until, until_some_within};
use hostler_engines::Hosted;

/// Longer than any command is told to wait.
const LONGEST: Duration = Duration::from_secs(200);

/// The machine of the example: it has a systemd, and may speak with the engine.
struct Stack {
    hosted: Hosted,
    env: Vec<String>,
}

impl Stack {
    /// Copied there, and told which image and which address it has here; nothing where there is no engine.
    #[track_caller]
    fn boot() -> Option<Stack> {
        let hosted = Hosted::boot_with(&["--volume", "/var/run/docker.sock:/var/run/docker.sock"])?;
        let image = Ran::of(Command::new("scripts/postgres.sh").arg("name").current_dir(root())).ok();
        hosted.copy_in(&root().join("examples/stack/."), "/srv/hostler");
        // Of the container and not of its network, which has none to tell before an engine's second start.
        let gateway = Ran::of(Command::new("docker").args(["inspect", "--format", "{{.NetworkSettings.Gateway}}", hosted.id()])).ok();
        assert!(gateway.trim().parse::<std::net::IpAddr>().is_ok(), "this machine as the test host sees it: {gateway:?}");
        let env = vec![format!("STACK_POSTGRES={}", image.trim()), format!("STACK_ADDRESS={}", gateway.trim())];
        Some(Stack { hosted, env })
    }

    #[track_caller]
    fn hostler(&self, line: &str) -> Ran {
        Ran::within(LONGEST, &mut self.hosted.command_with(line, &self.env))
    }

    /// What is told of starts and stops, in order: `postgres started`.
    fn order(&self, kind: &str) -> Vec<String> {
        let events = self.hosted.hostler("events --json").documents();
        events.iter().filter(|event| event["kind"] == kind).filter_map(|event| event["service"].as_str().map(str::to_owned)).collect()
    }

    fn container(&self) -> String {
        let detail = self.hosted.get("/services/postgres").unwrap_or_default();
        let attributes = &detail["replicas"][0]["attributes"];
        attributes["container"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Stack {
    /// What the host of the test did not take away: its containers bear its tag, and its volume its name.
    fn drop(&mut self) {
        let owner = self.hosted.get("/host").and_then(|host| host["owner"].as_str().map(str::to_owned));
        self.hosted.hostler("down --force");
        if let Some(owner) = owner {
            let label = format!("label=hostler.owner={owner}");
            let listed = Ran::of(Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &label]));
            for id in listed.out.split_whitespace() {
                let _ = Command::new("docker").args(["rm", "--force", "--volumes", id]).output();
            }
        }
        let _ = Command::new("docker").args(["volume", "rm", "stack-postgres"]).output();
    }
}

#[test]
fn a_container_a_process_and_a_unit_are_one_graph() {
    let Some(stack) = Stack::boot() else { return };
    stack.hostler("up --detach --timeout 3m").ok();
    assert_eq!(stack.order("started"), ["postgres", "app", "front"]);
    let page = || stack.hosted.run(&["curl", "--silent", "http://127.0.0.1:18080/cgi-bin/health"]).out;
    assert!(page().starts_with("the database listens at 172."), "{}", page());
    assert!(stack.hosted.run(&["curl", "--silent", "--fail", "http://127.0.0.1/"]).code == 0, "nginx answers");
    assert_eq!(stack.hosted.run(&["systemctl", "is-active", "nginx.service"]).out.trim(), "active");

    // The database is taken away behind everybody's back: it is made anew, and the application is told its new address.
    let (before, app) = (stack.container(), stack.hosted.pid("app"));
    Command::new("docker").args(["rm", "--force", &before]).output().expect("docker can be started");
    // A database that was killed recovers first.
    let well = || stack.hosted.get("/services/postgres").is_some_and(|detail| detail["service"]["health"] == "healthy");
    let after = until_some_within(LONGEST, "another container that is well", || {
        Some(stack.container()).filter(|id| !id.is_empty() && *id != before && well())
    });
    stack.hosted.until_again("app", app);
    stack.hosted.until_status("front", "running");
    until("the application finds the new one", || page().starts_with("the database listens"));
    assert_ne!(after, before);

    // Its data was in the volume, and all of it goes down in the other order.
    stack.hostler("stop --timeout 2m").ok();
    let down: Vec<String> = stack.order("stopped").into_iter().rev().take(3).rev().collect();
    assert_eq!(down, ["front", "app", "postgres"]);
    assert_ne!(stack.hosted.run(&["systemctl", "is-active", "nginx.service"]).code, 0);
}

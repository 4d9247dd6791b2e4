//! Containers that were there before us.

use hostler_e2e::{until, until_some};
use hostler_engines::Docked;

use super::QUICKLY;

pub(super) const TAKE: &str = ", strangers = \"take\"";

/// A container that no host has made, and that goes with the test.
pub(super) struct Stranger<'a> {
    docked: &'a Docked,
    pub(super) name: String,
}

impl<'a> Stranger<'a> {
    pub(super) fn new(docked: &'a Docked, name: &str, more: &[&str]) -> Self {
        let name = format!("hostler-test-{name}-{}", std::process::id());
        let words =
            [&["run", "--detach", "--name", &name], more, &[docked.image(), "sh", "-c", "echo mine; trap 'exit 0' TERM; sleep 1000 & wait"]].concat();
        docked.docker(&words).ok();
        Stranger { docked, name }
    }

    pub(super) fn is(&self, template: &str) -> String {
        self.docked.inspect(&self.name, template)
    }
}

impl Drop for Stranger<'_> {
    fn drop(&mut self) {
        drop(self.docked.docker(&["rm", "--force", &self.name]));
    }
}

#[test]
fn a_container_that_runs_is_taken_over_without_a_restart_and_stays() {
    let Some(docked) = Docked::new() else { return };
    let stranger = Stranger::new(&docked, "taken", &[]);
    let (pid, yard) = (stranger.is("{{.State.Pid}}"), &docked.yard);
    let service =
        format!("[services.db]\nbackend = {{ type = \"docker\", container = {:?} }}\nstop = {{ grace = \"2s\" }}\n{QUICKLY}\n", stranger.name);

    yard.config(&format!("{}{service}", docked.plugin("")));
    yard.run("up --detach");
    until("without the grant it is not seen", || yard.story("db").iter().any(|line| line.contains("no container") || line.contains("denied")));
    yard.run("down").ok();

    yard.up(&format!("{}{service}", docked.plugin(TAKE)));
    yard.until_status("db", "running");
    assert_eq!((yard.pid("db").to_string(), stranger.is("{{.State.Pid}}")), (pid.clone(), pid.clone()), "it was not touched");
    assert_eq!(yard.log("db"), ["mine"]);
    yard.kill_host();
    yard.serve();
    yard.until_status("db", "running");
    assert_eq!(stranger.is("{{.State.Pid}}"), pid);

    docked.docker(&["restart", "--time", "1", &stranger.name]).ok();
    let again = stranger.is("{{.State.Pid}}");
    yard.until_service("db", "the new life is taken over", |service| {
        service["status"] == "running" && service["pid"].as_u64().is_some_and(|pid| pid.to_string() == again)
    });
    assert_eq!(stranger.is("{{.State.Pid}}"), again, "and not restarted by us");

    yard.run("stop db").ok();
    yard.until_status("db", "stopped");
    assert_eq!(stranger.is("{{.State.Running}}"), "false");
    yard.run("start db").ok();
    yard.until_status("db", "running");
    assert_eq!(stranger.is("{{.State.Running}}"), "true");
    yard.run("down").ok();
    assert_eq!(stranger.is("{{.State.Running}}"), "false", "a service that goes is stopped, and its container stays");
}

#[test]
fn of_two_services_that_want_one_container_at_once_one_has_it() {
    let Some(docked) = Docked::new() else { return };
    let stranger = Stranger::new(&docked, "wanted", &[]);
    let yard = &docked.yard;
    let service = |name: &str| format!("[services.{name}]\nbackend = {{ type = \"docker\", container = {:?} }}\n", stranger.name);
    yard.config(&format!("{}{}{}", docked.plugin(TAKE), service("one"), service("two")));
    yard.run("up --detach");
    let of_either = |holds: &dyn Fn(&str) -> bool| ["one", "two"].into_iter().find(|name| holds(name));
    let has = until_some("one of them has it", || of_either(&|name| yard.status(name) == "running"));
    let told = until_some("the other is told whose it is", || {
        of_either(&|name| yard.story(name).iter().any(|line| line.contains("was taken over already, by")))
    });
    assert_ne!(has, told);
    yard.run("down").ok();
}

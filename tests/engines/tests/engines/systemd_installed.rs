//! Backend `systemd`: units that are installed on the machine.

use hostler_e2e::until;
use hostler_engines::Hosted;

use crate::systemd::{QUICKLY, property, units};

fn nginx(more: &str) -> String {
    format!("[services.proxy]\nbackend = {{ type = \"systemd\", unit = \"nginx.service\" }}\n{more}\n")
}

#[test]
fn a_unit_that_runs_is_taken_over_and_stays_as_it_was() {
    let Some(host) = Hosted::boot() else { return };
    host.run(&["systemctl", "start", "nginx.service"]).ok();
    let pid: u64 = property(&host, "nginx.service", "MainPID").parse().expect("a pid");
    host.up(&nginx(QUICKLY));
    assert_eq!(host.pid("proxy"), pid, "it was not started again");
    host.kill_host();
    host.serve();
    assert_eq!((host.pid("proxy"), host.service("proxy")["restart_count"].clone()), (pid, 0.into()));
    host.hostler("stop proxy").ok();
    assert_eq!(property(&host, "nginx.service", "ActiveState"), "inactive");
    assert_eq!(host.run(&["systemctl", "is-enabled", "nginx.service"]).out.trim(), "disabled");
    host.run(&["systemctl", "enable", "nginx.service"]).ok();
    host.hostler("start proxy").ok();
    host.until_status("proxy", "running");
    assert_eq!(property(&host, "nginx.service", "ActiveState"), "active");
    host.hostler("down").ok();
    assert_eq!(host.run(&["systemctl", "is-enabled", "nginx.service"]).out.trim(), "enabled");
    until("no claim is left", || units(&host).is_empty());
    assert_eq!(property(&host, "nginx.service", "ActiveState"), "inactive");
}

#[test]
fn a_unit_that_somebody_restarted_is_another_life_and_is_not_doubled() {
    let Some(host) = Hosted::boot() else { return };
    host.up(&nginx(QUICKLY));
    let pid = host.pid("proxy");
    host.run(&["systemctl", "restart", "nginx.service"]).ok();
    let again = host.until_again("proxy", pid);
    assert_eq!(property(&host, "nginx.service", "MainPID"), again.to_string());
    // the grace of a stop that nobody saw to its end
    let claim = units(&host).iter().find_map(|line| Some(line.split_once(".service")?.0.to_owned())).expect("it is claimed");
    let killer = format!("--unit={claim}-kill");
    host.run(&["systemd-run", &killer, "--on-active=1h", "systemctl", "kill", "--signal=SIGKILL", "nginx.service"]).ok();
    host.run(&["systemctl", "kill", "--signal=SIGKILL", "nginx.service"]).ok();
    let third = host.until_again("proxy", again);
    assert!(!units(&host).iter().any(|line| line.contains("-kill.timer")), "it is not the next life's: {:#?}", units(&host));
    assert_eq!(property(&host, "nginx.service", "MainPID"), third.to_string());
    let story = host.story("proxy");
    assert!(story.iter().any(|line| line.starts_with("exited") && line.contains("SIGKILL")), "{story:#?}");
    host.hostler("down").ok();
    until("no claim is left", || units(&host).is_empty());
}

#[test]
fn what_is_not_installed_or_not_ours_is_refused() {
    let Some(host) = Hosted::boot() else { return };
    host.config("[services.a]\nbackend = { type = \"systemd\", unit = \"no-such-thing.service\" }\nrestart = { policy = \"never\" }");
    host.hostler("up --detach");
    until("its start has failed", || host.story("a").iter().any(|line| line.contains("`no-such-thing.service` is not installed")));
    host.hostler("down").ok();
    // Two services cannot have one unit.
    host.config(&(nginx("") + "[services.second]\nbackend = { type = \"systemd\", unit = \"nginx.service\" }\ndependencies = [\"proxy\"]\nrestart = { policy = \"never\" }"));
    host.hostler("up --detach");
    until("the second is told whose it is", || host.story("second").iter().any(|line| line.contains("is the task hostler-")));
    assert_eq!(host.service("proxy")["status"], "running");
    for (unit, word) in
        [("--help.service", "no dash in front"), ("ng*.service", "no unit's name"), ("../nginx.service", "no unit's name"), ("nginx", ".service")]
    {
        host.config(&format!("[services.a]\nbackend = {{ type = \"systemd\", unit = \"{unit}\" }}"));
        let said = host.hostler("check");
        assert!(said.code != 0 || !host.hostler("up --detach").err.is_empty(), "{unit}");
        let text = host.hostler("up --detach");
        assert!(format!("{}{}", text.out, text.err).contains(word), "{unit}: {text:?}");
    }
}

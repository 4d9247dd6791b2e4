//! The unit that the project packages, under a real systemd: its services are none of its business.

use std::path::Path;
use std::time::Duration;

use hostler_e2e::{Value, until, until_some};
use hostler_engines::{Hosted, TestHost};

use crate::systemd::property;

const UNIT: &str = "hostler.service";

fn hostler(host: &TestHost, line: &str) -> hostler_e2e::Ran {
    let words: Vec<&str> = ["hostler", "--state-dir", "/var/lib/hostler"].into_iter().chain(line.split_whitespace()).collect();
    host.run(&words)
}

fn pid(host: &TestHost, name: &str) -> Option<u64> {
    let ran = hostler(host, &format!("status {name} --json"));
    if ran.code != 0 {
        return None;
    }
    let detail: Value = ran.json();
    detail["service"]["pid"].as_u64().filter(|_| detail["service"]["status"] == "running")
}

/// A host answers before it has looked at what the one before it left.
#[track_caller]
fn known_again(host: &TestHost, name: &str) -> u64 {
    until_some(&format!("{name} is known again"), || pid(host, name))
}

fn systemctl(host: &TestHost, words: &[&str]) {
    host.run(&[&["systemctl"], words].concat()).ok();
}

#[test]
fn services_live_through_a_restart_a_crash_and_a_stop_of_the_unit() {
    let Some(hosted) = Hosted::boot() else { return };
    let host: &TestHost = &hosted;
    let unit = std::fs::read_to_string(hostler_e2e::root().join(Path::new("packaging/hostler.service"))).expect("it is packaged");
    host.write("/etc/systemd/system/hostler.service", &unit);
    let verified = host.run(&["systemd-analyze", "verify", "/etc/systemd/system/hostler.service"]);
    assert!(verified.code == 0 && !verified.err.contains(UNIT), "{}", verified.err);
    // What it is started with is ready: whoever starts it may use it at once.
    systemctl(host, &["enable", "--now", UNIT]);
    host.write("/etc/hostler.toml", "version = \"1.0\"\n[services.db]\nbackend = { type = \"process\", binary = \"sleep\", args = [100000] }\n");
    hostler(host, "apply --file /etc/hostler.toml").ok();
    let db = until_some("db runs", || pid(host, "db"));
    let main = || property(&hosted, UNIT, "MainPID");
    let first = main();
    assert!(!host.read(&format!("/proc/{db}/environ")).contains("NOTIFY_SOCKET"), "what the manager tells is for the host");

    systemctl(host, &["restart", UNIT]);
    assert_ne!(main(), first);
    assert_eq!(known_again(host, "db"), db, "a restart of the unit is none of a service's business");
    let second = main();
    host.run(&["kill", "-9", &second]).ok();
    until("systemd starts it again", || main() != second && property(&hosted, UNIT, "ActiveState") == "active");
    assert_eq!(known_again(host, "db"), db);
    systemctl(host, &["reload", UNIT]);
    assert_eq!(property(&hosted, UNIT, "ActiveState"), "active");
    systemctl(host, &["stop", UNIT]);
    assert_eq!(host.run(&["test", "-d", &format!("/proc/{db}")]).code, 0, "it goes on without a host");
    systemctl(host, &["start", UNIT]);
    assert_eq!(known_again(host, "db"), db);
    host.reboot();
    let again = until_some("the machine's start is the host's", || pid(host, "db"));
    assert_eq!(host.run(&["test", "-d", &format!("/proc/{again}")]).code, 0);
    hostler(host, "down --keep").ok();
    until("db is down", || host.run(&["pgrep", "-f", "sleep 100000"]).code != 0);
}

#[test]
fn a_host_that_hangs_is_started_again_and_its_services_go_on() {
    let Some(hosted) = Hosted::boot() else { return };
    let host: &TestHost = &hosted;
    let unit = std::fs::read_to_string(hostler_e2e::root().join(Path::new("packaging/hostler.service"))).expect("it is packaged");
    host.write(
        "/etc/systemd/system/hostler.service",
        unit.replace("WatchdogSec=60", "WatchdogSec=8").replace("TimeoutAbortSec=30", "TimeoutAbortSec=1"),
    );
    systemctl(host, &["enable", "--now", UNIT]);
    host.write("/etc/hostler.toml", "version = \"1.0\"\n[services.db]\nbackend = { type = \"process\", binary = \"sleep\", args = [100000] }\n");
    hostler(host, "apply --file /etc/hostler.toml").ok();
    let db = until_some("db runs", || pid(host, "db"));
    let hung = property(&hosted, UNIT, "MainPID");
    host.run(&["kill", "-STOP", &hung]).ok();
    until("another one has taken its place", || {
        let main = property(&hosted, UNIT, "MainPID");
        main != hung && main != "0" && property(&hosted, UNIT, "ActiveState") == "active"
    });
    assert_eq!(known_again(host, "db"), db);
    hostler(host, "down --keep").ok();
}

#[test]
fn the_end_of_the_machine_stops_services_in_reverse_and_its_start_starts_them() {
    let Some(hosted) = Hosted::boot() else { return };
    let host: &TestHost = &hosted;
    let unit = std::fs::read_to_string(hostler_e2e::root().join(Path::new("packaging/hostler.service"))).expect("it is packaged");
    // As root, and as somebody who has to ask over the bus.
    for (user, section) in [("root", String::new()), ("deploy", "[Service]\nUser=deploy\n".to_owned())] {
        host.write("/etc/systemd/system/hostler.service", &unit);
        host.write("/etc/systemd/system/hostler.service.d/user.conf", section);
        systemctl(host, &["daemon-reload"]);
        systemctl(host, &["enable", "--now", UNIT]);
        host.sh("install -d -m 777 /srv/ends").ok();
        let script =
            "#!/bin/sh\ntrap 'sleep 1; echo $1 >> /srv/ends/'$(id -un)'; exit 0' TERM\n: > /srv/ends/$1.$(id -un)\nwhile :; do sleep 0.1; done\n";
        host.write("/srv/mourned", script);
        host.run(&["chmod", "755", "/srv/mourned"]).ok();
        let service = |name: &str, needs: &str| {
            format!(
                "[services.{name}]\nbackend = {{ type = \"process\", binary = \"/srv/mourned\", args = [\"{name}\"] }}\ndependencies = [{needs}]\nstop = {{ grace = \"30s\" }}\n"
            )
        };
        let services = [service("db", ""), service("api", "\"db\""), service("web", "\"api\"")].concat();
        host.write("/etc/hostler.toml", format!("version = \"1.0\"\n{services}"));
        hostler(host, "apply --file /etc/hostler.toml").ok();
        let before = ["db", "api", "web"].map(|name| until_some(name, || pid(host, name)));
        until("they hear", || ["db", "api", "web"].iter().all(|name| host.run(&["test", "-e", &format!("/srv/ends/{name}.{user}")]).code == 0));
        assert_eq!(host.run(&["stat", "-c", "%U", &format!("/proc/{}", before[0])]).out.trim(), user);
        let took = host.reboot_in_order();
        assert_eq!(host.read(&format!("/srv/ends/{user}")), "web\napi\ndb\n");
        assert!(took < Duration::from_secs(60), "nobody is waited for in vain: {took:?}");
        for name in ["db", "api", "web"] {
            until_some("what was wanted is started again", || pid(host, name));
        }
        hostler(host, "down").ok();
        systemctl(host, &["disable", "--now", UNIT]);
        // The state belongs to whoever the host was.
        host.run(&["runuser", "-u", user, "--", "hostler", "--state-dir", "/var/lib/hostler", "down"]).ok();
        host.run(&["rm", "-r", "/var/lib/hostler"]).ok();
    }
}

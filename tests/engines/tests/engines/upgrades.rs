//! Plugins are changed under a hundred live tasks of a real engine, and none of them notices.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_e2e::root;
use hostler_engines::Hosted;

use crate::ssh::Far;

const TASKS: usize = 100;

/// The built-in component with other bytes: a custom section at its end, which says nothing.
fn next(plugin: &str, dir: &Path) -> PathBuf {
    let mut component = fs::read(root().join(format!("target/plugins/{plugin}.wasm"))).expect("`make plugins` has made it");
    component.extend_from_slice(b"\x00\x05\x04next");
    let path = dir.join(format!("{plugin}-next.wasm"));
    fs::write(&path, component).expect("the directory is ours");
    path
}

fn name(index: usize) -> String {
    format!("s{index}")
}

#[test]
fn a_hundred_tasks_over_ssh_live_through_an_upgrade_and_a_rollback() {
    let Some(far) = Far::boot() else { return };
    let line = "/bin/sleep 4901";
    far.up(&(0..TASKS).map(|index| far.service(&name(index), r#"binary = "/bin/sleep", args = [4901]"#)).collect::<String>());
    let pids = far.processes(line);
    assert_eq!(pids.len(), TASKS);
    let upgrade = format!("plugin upgrade ssh {} --yes --watch 2s", next("ssh", far.yard.path()).display());
    let text = far.yard.run(&upgrade).ok();
    assert!(text.contains("its 100 live tasks go on"), "{text}");
    assert!(!far.yard.plugin("ssh")["upgraded"].is_null());
    assert_eq!(far.processes(line), pids);
    far.yard.run("plugin rollback ssh").ok();
    assert!(far.yard.plugin("ssh")["upgraded"].is_null());
    assert_eq!(far.processes(line), pids);
    for index in 0..TASKS {
        let service = far.yard.service(&name(index));
        assert_eq!((service["status"].as_str(), service["restart_count"].as_u64()), (Some("running"), Some(0)), "{service:#}");
    }
    far.yard.run("down").ok();
}

/// The first process of every unit of the host's.
fn main_pids(host: &Hosted) -> Vec<u64> {
    let said = host.run(&["systemctl", "show", "--value", "--property", "MainPID", "hostler-*.service"]).ok();
    let mut pids: Vec<u64> = said.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn a_hundred_units_live_through_an_upgrade_and_a_rollback() {
    let Some(host) = Hosted::boot() else { return };
    let program = host.script("sleeper.sh", "exec sleep 100000");
    let service = |index| format!("[services.{}]\nbackend = {{ type = \"systemd\", binary = \"{program}\" }}\n", name(index));
    host.up(&(0..TASKS).map(service).collect::<String>());
    let pids = main_pids(&host);
    assert_eq!(pids.len(), TASKS);
    host.copy_in(&next("systemd", host.dir()), "/srv/hostler/systemd-next.wasm");
    let text = host.hostler("plugin upgrade systemd /srv/hostler/systemd-next.wasm --yes --watch 2s").ok();
    assert!(text.contains("its 100 live tasks go on"), "{text}");
    assert_eq!(main_pids(&host), pids);
    host.hostler("plugin rollback systemd").ok();
    assert_eq!(main_pids(&host), pids);
    let list = host.get("/services").expect("the host answers");
    let calm = |service: &&hostler_e2e::Value| service["restart_count"] == 0 && service["status"] == "running";
    assert_eq!(list["services"].as_array().map(|services| services.iter().filter(calm).count()), Some(TASKS));
    host.hostler("down").ok();
}

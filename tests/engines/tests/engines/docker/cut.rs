//! A host that dies, and containers that others touch.

use hostler_e2e::until;
use hostler_engines::Docked;

use super::{QUICKLY, SLEEPS, script};

#[test]
fn a_killed_host_finds_the_same_container_and_reads_on_in_its_log() {
    let Some(docked) = Docked::new() else { return };
    let counts = script("n=0; while :; do n=$((n+1)); echo line $n; usleep 20000; done");
    docked.up(&docked.service("web", &counts, QUICKLY));
    let yard = &docked.yard;
    let (id, pid) = (docked.container("web"), yard.pid("web"));
    until("it has spoken", || yard.log("web").len() > 5);
    let before = yard.log("web");
    for _ in 0..3 {
        yard.kill_host();
        yard.serve();
        yard.until_status("web", "running");
        assert_eq!((docked.container("web"), yard.pid("web")), (id.clone(), pid));
    }
    assert_eq!(yard.service("web")["restart_count"], 0);
    until("it goes on", || yard.log("web").len() > before.len() + 5);
    let after = yard.log("web");
    assert!(after.iter().enumerate().all(|(index, line)| *line == format!("line {}", index + 1)), "every line once, in order");
}

#[test]
fn a_container_that_somebody_removed_is_replaced() {
    let Some(docked) = Docked::new() else { return };
    docked.up(&docked.service("web", SLEEPS, QUICKLY));
    let (id, pid) = (docked.container("web"), docked.yard.pid("web"));
    docked.docker(&["rm", "--force", &id]).ok();
    docked.yard.until_again("web", pid);
    assert_ne!(docked.container("web"), id);
    assert_eq!(docked.yard.service("web")["restart_count"], 1);
}

#[test]
fn a_paused_container_is_not_restarted_and_can_be_stopped() {
    let Some(docked) = Docked::new() else { return };
    docked.up(&docked.service("web", SLEEPS, QUICKLY));
    let (id, yard) = (docked.container("web"), &docked.yard);
    docked.docker(&["pause", &id]).ok();
    let told = || yard.detail("web")["replicas"][0].to_string().contains("paused");
    until("its pause is told", told);
    assert_eq!((yard.status("web"), yard.service("web")["restart_count"].clone()), ("running".into(), 0.into()));
    yard.run("stop web").ok();
    yard.until_status("web", "stopped");
    assert_eq!(docked.inspect(&id, "{{.State.Running}} {{.State.Paused}}"), "false false");
}

#[test]
fn a_stop_kills_what_does_not_listen_with_its_whole_tree() {
    let Some(docked) = Docked::new() else { return };
    docked.up(&docked.service(
        "deaf",
        &script("trap '' TERM; setsid sh -c \"trap '' TERM; while :; do sleep 1; done\" & while :; do sleep 1; done"),
        "",
    ));
    let id = docked.container("deaf");
    docked.yard.run("stop deaf").ok();
    docked.yard.until_status("deaf", "stopped");
    assert_eq!(docked.inspect(&id, "{{.State.Running}} {{.State.ExitCode}}"), "false 137");
}

#[test]
fn the_images_own_stop_signal_is_used_where_the_service_names_none() {
    let Some(docked) = Docked::new() else { return };
    let says = script("trap 'echo quit; exit 0' QUIT; trap 'echo term; exit 1' TERM; echo up; while :; do usleep 10000; done");
    docked.up(&docked.service("web", &format!("{says}, stop_signal = \"SIGQUIT\""), ""));
    until("it listens", || docked.yard.log("web") == ["up"]);
    docked.yard.run("stop web").ok();
    docked.yard.until_status("web", "stopped");
    assert_eq!(docked.yard.log("web"), ["up", "quit"]);
}

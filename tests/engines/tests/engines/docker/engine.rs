//! An engine that is killed under 50 containers, and comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_e2e::{Value, until, until_some_within};
use hostler_engines::Docked;

use super::{QUICKLY, SLEEPS};

const MANY: usize = 50;
/// 50 containers are a lot for an engine of a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Every service, by name; of the list, because a look at one of them measures it.
fn all(docked: &Docked) -> BTreeMap<String, Value> {
    let list = docked.yard.get("/services").unwrap_or_default();
    let services = list["services"].as_array().cloned().unwrap_or_default();
    services.into_iter().map(|service| (service["name"].as_str().unwrap_or_default().to_owned(), service)).collect()
}

fn pids(docked: &Docked) -> BTreeMap<String, u64> {
    all(docked).into_iter().filter_map(|(name, service)| Some((name, service["pid"].as_u64()?))).collect()
}

/// Brings 50 services up; the pid of each.
fn many_up(docked: &Docked) -> BTreeMap<String, u64> {
    let service = |number| docked.service(&format!("s{number}"), &format!("{SLEEPS}, network_mode = \"none\""), QUICKLY);
    let services: String = (0..MANY).map(service).collect();
    docked.yard.config(&format!("[settings]\nmax_parallel = 8\n{}{services}", docked.plugin("")));
    docked.yard.run("up --detach --timeout 1s");
    until_all(docked, "running");
    until_some_within(PATIENCE, "each has a process", || Some(pids(docked)).filter(|pids| pids.len() == MANY))
}

fn until_all(docked: &Docked, status: &str) {
    until_some_within(PATIENCE, &format!("all are {status}"), || {
        let all = all(docked);
        (all.len() == MANY && all.values().all(|service| service["status"] == status)).then_some(())
    });
}

#[test]
fn an_engine_that_keeps_its_containers_costs_no_restart() {
    let Some(mut docked) = Docked::alone(true) else { return };
    let before = many_up(&docked);
    docked.kill_engine();
    until_all(&docked, "unknown");
    assert!(before.values().all(|pid| u32::try_from(*pid).is_ok_and(hostler_e2e::alive)), "they go on");
    docked.start_engine();
    until_all(&docked, "running");
    assert_eq!(pids(&docked), before);
    assert!(all(&docked).values().all(|service| service["restart_count"] == 0));
    assert_eq!(docked.containers().len(), MANY);
}

#[test]
fn an_engine_that_loses_its_containers_costs_one_restart_each() {
    let Some(mut docked) = Docked::alone(false) else { return };
    let before = many_up(&docked);
    docked.kill_engine();
    until_all(&docked, "unknown");
    docked.start_engine();
    until_some_within(PATIENCE, "all run again, as others", || {
        let (all, now) = (all(&docked), pids(&docked));
        let again = |(name, pid): (&String, &u64)| now.get(name).is_some_and(|now| now != pid) && all[name]["status"] == "running";
        before.iter().all(again).then_some(())
    });
    let counts: Vec<(String, Value)> = all(&docked).into_iter().map(|(name, service)| (name, service["restart_count"].clone())).collect();
    assert!(counts.iter().all(|(_, count)| *count == 1), "{counts:?}");
    let story = docked.yard.story("s7");
    assert!(story.iter().any(|line| line.starts_with("exited")), "its end is told: {story:#?}");
    until("each has one container that runs", || docked.docker(&["ps", "--quiet"]).ok().lines().count() == MANY);
}

#[test]
fn a_full_disk_is_said_and_what_waits_for_room_starts_when_there_is_some() {
    let Some(docked) = Docked::on_a_disk_of("64m") else { return };
    let ballast = docked.engines_disk().join("ballast");
    let fill = || {
        let file = std::fs::File::create(&ballast).expect("there is room for a name");
        let mut room = std::io::BufWriter::new(&file);
        while std::io::Write::write_all(&mut room, &[0; 4_096]).is_ok() {}
    };
    let service = |name: &str| docked.service(name, &format!("{SLEEPS}, network_mode = \"none\""), QUICKLY);
    docked.up(&service("first"));
    let first = docked.container("first");
    fill();
    docked.yard.config(&format!("{}{}{}", docked.plugin(""), service("first"), service("second")));
    docked.yard.run("up --detach --timeout 1s");
    until("its story says why it does not start", || docked.yard.story("second").iter().any(|line| line.contains("no space left on device")));
    assert_eq!(docked.yard.status("first"), "running");
    std::fs::remove_file(&ballast).expect("it is there");
    docked.yard.until_status("second", "running");
    assert_eq!(docked.container("first"), first, "who ran already is not touched");
    assert_eq!(docked.containers().len(), 2, "nothing is left of starts that failed");
}

//! Limits that change under a container that runs.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hostler_e2e::{until, until_some};
use hostler_engines::Docked;

use super::{QUICKLY, SLEEPS};

fn limited(docked: &Docked, limits: &str, more: &str) -> String {
    format!("{}{}", docked.plugin(""), docked.service("web", SLEEPS, &format!("resources = {{ {limits} }}\n{more}")))
}

/// Id and process of each container, in the order of replicas, and what it may use.
fn lives(docked: &Docked) -> Vec<(String, String)> {
    let mut ids =
        docked.docker(&["ps", "--quiet", "--no-trunc", "--filter", "label=hostler.service=web"]).ok().lines().map(str::to_owned).collect::<Vec<_>>();
    ids.retain(|id| docked.containers().contains(id));
    let replica = |id: &String| docked.inspect(id, "{{index .Config.Labels \"hostler.replica\"}}");
    ids.sort_by_key(replica);
    let told = |id: String| {
        let process = format!("{id} {}", docked.inspect(&id, "{{.State.Pid}} {{.RestartCount}}"));
        (process, docked.inspect(&id, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}"))
    };
    ids.into_iter().map(told).collect()
}

fn processes(lives: &[(String, String)]) -> Vec<&str> {
    lives.iter().map(|(process, _)| process.as_str()).collect()
}

#[test]
fn limits_change_and_the_containers_stay() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    let replicas = "replicas = { min = 1, max = 3, count = 3 }";
    yard.up(&limited(&docked, "cpu = \"250m\", memory = \"64Mi\"", replicas));
    let before = lives(&docked);
    assert!(before.len() == 3 && before.iter().all(|(_, limits)| limits == "67108864 250000000"), "{before:?}");

    yard.config(&limited(&docked, "cpu = \"500m\", memory = \"128Mi\"", replicas));
    let plan = yard.run("plan").ok();
    assert!(plan.contains("update-live") && plan.contains("resources.memory"), "{plan}");
    yard.run("apply").ok();
    let after = lives(&docked);
    assert_eq!(processes(&after), processes(&before));
    assert!(after.iter().all(|(_, limits)| limits == "134217728 500000000"), "{after:?}");
    let story = yard.story("web");
    assert_eq!(story.iter().filter(|line| *line == "updated: changed while it runs: cpu 500m, memory 128Mi").count(), 3, "{story:#?}");
    assert!(!story.iter().any(|line| line.starts_with("stopping")), "{story:#?}");
    assert!(yard.run("plan").ok().contains("nothing changes"));

    // What is kept is what is there: a host that was killed finds nothing to change.
    yard.kill_host();
    yard.serve();
    yard.until_status("web", "running");
    assert_eq!(lives(&docked), after);
    assert_eq!(yard.story("web").iter().filter(|line| line.starts_with("updated")).count(), 3);
}

#[test]
fn a_limit_that_is_lifted_takes_a_restart_and_says_so() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    yard.up(&limited(&docked, "cpu = \"250m\", memory = \"64Mi\"", QUICKLY));
    let before = lives(&docked);
    yard.config(&limited(&docked, "cpu = \"250m\"", QUICKLY));
    yard.run("apply").ok();
    let after = until_some("another container runs", || Some(lives(&docked)).filter(|now| now.len() == 1 && processes(now) != processes(&before)));
    assert_eq!(after[0].1, "0 250000000");
    let story = yard.story("web");
    let refused = story.iter().position(|line| line.starts_with("update-failed") && line.contains("made anew")).expect("it is told");
    let stopped = story.iter().position(|line| line.starts_with("stopping") && line.contains("its spec changed")).expect("it was stopped");
    assert!(refused < stopped, "{story:#?}");
    assert_eq!(yard.service("web")["restart_count"], 1, "once");
}

#[test]
fn a_host_killed_in_the_middle_of_a_change_leaves_what_is_wanted() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    let between = Between::at(&docked.yard.file("between.sock"), docked.socket());
    let of = |memory: &str| {
        let table = Docked::plugin_at(&format!("unix://{}", yard.file("between.sock").display()), "");
        format!("{table}{}", docked.service("web", SLEEPS, &format!("resources = {{ memory = {memory:?} }}")))
    };
    yard.up(&of("64Mi"));
    let before = lives(&docked);
    // What was changed is taken back by whoever starts the next host, or is still wanted.
    for (there, then) in [("96Mi", "64Mi"), ("128Mi", "128Mi")] {
        between.swallows.store(true, Ordering::Relaxed);
        yard.config(&of(there));
        let mut apply = yard.command("apply").spawn().expect("it can be started");
        let changed = bytes(there);
        until("the engine has made the change, and nobody heard of it", || lives(&docked).iter().all(|(_, limits)| limits.starts_with(&changed)));
        assert!(yard.run("explain web").out.contains("is being changed while it runs"));
        yard.kill_host();
        drop((apply.kill(), apply.wait()));
        between.swallows.store(false, Ordering::Relaxed);
        yard.config(&of(then));
        yard.run("up --detach").ok();
        until("the engine has what is wanted", || lives(&docked).iter().all(|(_, limits)| limits.starts_with(&bytes(then))));
        assert_eq!(processes(&lives(&docked)), processes(&before), "the same container, and the same process");
    }
    assert_eq!(yard.service("web")["restart_count"], 0);
}

fn bytes(memory: &str) -> String {
    (memory.trim_end_matches("Mi").parse::<u64>().expect("a number") << 20).to_string()
}

/// Stands between a host and its engine, and swallows the answers to changes.
struct Between {
    swallows: Arc<AtomicBool>,
}

impl Between {
    fn at(socket: &Path, engine: PathBuf) -> Between {
        let listener = UnixListener::bind(socket).expect("the directory is ours");
        let swallows = Arc::new(AtomicBool::new(false));
        let swallow = Arc::clone(&swallows);
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for host in listener.incoming().map_while(Result::ok) {
                let Ok(engine) = UnixStream::connect(&engine) else { continue };
                carry(host, engine, &swallow);
            }
        });
        Between { swallows }
    }
}

/// Both ways, until one side hangs up.
fn carry(host: UnixStream, engine: UnixStream, swallow: &Arc<AtomicBool>) {
    let deaf = Arc::new(AtomicBool::new(false));
    let (Ok(from_host), Ok(to_host), Ok(from_engine)) = (host.try_clone(), host.try_clone(), engine.try_clone()) else { return };
    let (is_deaf, swallow) = (Arc::clone(&deaf), Arc::clone(swallow));
    let asks = move |part: &[u8]| {
        let update = part.windows(b"/update HTTP".len()).any(|window| window == b"/update HTTP");
        deaf.fetch_or(update && swallow.load(Ordering::Relaxed), Ordering::Relaxed);
        true
    };
    std::thread::spawn(move || pass(from_host, engine, asks));
    std::thread::spawn(move || pass(from_engine, to_host, move |_| !is_deaf.load(Ordering::Relaxed)));
}

fn pass(mut from: UnixStream, mut to: UnixStream, passes: impl Fn(&[u8]) -> bool) {
    let mut room = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut room) {
        if count == 0 || (passes(&room[..count]) && to.write_all(&room[..count]).is_err()) {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}

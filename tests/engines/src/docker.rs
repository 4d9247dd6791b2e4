//! The Docker engine, through its command line.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use hostler_e2e::{Ran, can, root};

/// Every container of ours carries it, with the process that started it.
const OWNER: &str = "hostler-testhost.owner";

/// The image of the test host, when this machine has it; tests that need it say by name that they were passed over.
///
/// # Panics
/// When it is not there and `CI` is set.
#[track_caller]
pub(crate) fn image() -> Option<&'static str> {
    static IMAGE: OnceLock<Option<String>> = OnceLock::new();
    let image = IMAGE.get_or_init(|| {
        let name = Command::new(root().join("scripts/testhost.sh")).arg("name").output().ok().filter(|output| output.status.success())?;
        let name = String::from_utf8(name.stdout).ok()?.trim().to_owned();
        let there = Command::new("docker").args(["image", "inspect", &name]).output().is_ok_and(|output| output.status.success());
        there.then(|| {
            sweep();
            name
        })
    });
    can("a Docker engine with the test host's image (scripts/setup.sh testhost)", image.is_some()).then_some(image.as_deref()).flatten()
}

/// Runs `docker WORD…` to its end.
#[track_caller]
pub(crate) fn docker(words: &[&str]) -> Ran {
    Ran::of(Command::new("docker").args(words))
}

/// The label of a container that this process starts.
pub(crate) fn label() -> String {
    let pid = std::process::id();
    format!("{OWNER}={pid}-{}", hostler_e2e::started(pid).unwrap_or_default())
}

/// Removes containers and images whose test was killed before it could.
pub(crate) fn sweep() {
    let format = format!("{{{{.ID}}}} {{{{.Label \"{OWNER}\"}}}}");
    let listed = docker(&["ps", "--all", "--filter", &format!("label={OWNER}"), "--format", &format]).ok();
    for (id, _) in listed.lines().filter_map(|line| line.split_once(' ')).filter(|(_, owner)| !lives(owner)) {
        // Another test process may just be doing the same.
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", id]).output();
    }
    let images = docker(&["images", "--filter", &format!("label={OWNER}"), "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    for image in images.lines().filter(|image| image.rsplit_once(':').is_some_and(|(_, owner)| !lives(owner))) {
        let _ = Command::new("docker").args(["rmi", "--force", image]).output();
    }
}

/// Is the test process that made this still there?
fn lives(owner: &str) -> bool {
    owner.split_once('-').is_some_and(|(pid, started)| {
        let now = pid.parse().ok().and_then(hostler_e2e::started);
        now.is_some_and(|now| now.to_string() == started)
    })
}

/// Is this a hybrid machine, where systemd has a hierarchy of its own beside the controllers' (cgroups v1)?
pub(crate) fn cgroups_are_hybrid() -> bool {
    Path::new("/sys/fs/cgroup/systemd").is_dir()
}

/// The controllers of a hybrid machine that limits are made of, as they are mounted.
pub(crate) fn controllers() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(' ');
        let (_, at, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted = ["cpu", "cpuacct", "memory", "pids"]
            .iter()
            .any(|name| at.rsplit('/').next().is_some_and(|last| last.split(',').any(|part| part == *name)));
        (kind == "cgroup" && wanted).then(|| at.to_owned())
    };
    mounts.lines().filter_map(of).collect()
}

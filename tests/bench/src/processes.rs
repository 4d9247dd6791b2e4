//! Processes of this machine, from `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Ticks of `/proc/PID/stat` per second: fixed in the kernel's interface to programs, whatever it counts by itself.
const USER_HZ: f64 = 100.0;

/// What a process has in memory, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident, with what it shares.
    pub(crate) resident: f64,
    /// Its own share of it: of what two share, half.
    pub(crate) proportional: f64,
}

/// Sends a signal; one that is gone does not get it.
pub(crate) fn signal(pid: u32, signal: Signal) {
    // Gone already: that is what most signals are for.
    let _ = id(pid).map(|pid| kill_process(pid, signal));
}

/// Returns once the process has ended; `false` when it does not within a time.
pub(crate) fn wait_for_end(pid: u32, patience: Duration) -> bool {
    let Some(Ok(fd)) = id(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return true };
    let patience = patience.try_into().ok();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], patience.as_ref()) != Ok(0)
}

/// Measures from now until the last of these has ended, in seconds; nothing when one lives on for a minute.
pub(crate) fn watch_ends(pids: Vec<u32>) -> JoinHandle<Option<f64>> {
    let begun = Instant::now();
    thread::spawn(move || {
        let all = pids.iter().all(|pid| wait_for_end(*pid, Duration::from_secs(60)));
        all.then(|| begun.elapsed().as_secs_f64())
    })
}

/// Seconds of a core that it has used in its life.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let fields = stat(pid)?;
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / USER_HZ)
}

/// What it has in memory now.
pub(crate) fn memory(pid: u32) -> Option<Memory> {
    let proportional = kib(pid, "smaps_rollup", "Pss:").map_or(f64::NAN, |kib| kib * 1024.0);
    Some(Memory { resident: resident(pid)?, proportional })
}

/// What of its memory is resident now.
pub(crate) fn resident(pid: u32) -> Option<f64> {
    kib(pid, "status", "VmRSS:").map(|kib| kib * 1024.0)
}

fn kib(pid: u32, file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the threads of some processes have used of the processor: exact to the nanosecond, where `stat` counts in hundredths of a second.
#[derive(Debug)]
pub(crate) struct Used {
    at: Instant,
    threads: BTreeMap<String, u64>,
}

impl Used {
    /// Up to now.
    pub(crate) fn by(pids: &[u32]) -> Used {
        let at = Instant::now();
        let tasks = pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
        let used = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((task.file_name().into_string().ok()?, text.split(' ').next()?.parse().ok()?))
        });
        Used { at, threads: used.collect() }
    }

    /// The part of a core since an earlier look. What a thread used that has ended in between is lost.
    pub(crate) fn since(&self, earlier: &Used) -> f64 {
        let grown = self.threads.iter().map(|(thread, used)| used.saturating_sub(earlier.threads.get(thread).copied().unwrap_or(0)));
        if self.threads.is_empty() { f64::NAN } else { grown.sum::<u64>() as f64 / 1e9 / (self.at - earlier.at).as_secs_f64() }
    }
}

/// Every process that works in a directory, or whose command line or environment names it, and all that came from those.
pub(crate) fn living_in(dir: &Path) -> Vec<u32> {
    let name = dir.as_os_str().as_encoded_bytes();
    let names = |pid: u32, file: &str| fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|text| text.windows(name.len()).any(|part| part == name));
    let works = |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    let all = with_parents();
    let found = all.keys().copied().filter(|pid| works(*pid) || names(*pid, "cmdline") || names(*pid, "environ")).collect();
    with_descendants(found, &all)
}

/// The name of a process, as the kernel cuts it: 15 bytes.
pub(crate) fn name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// Every process with this name.
pub(crate) fn named(wanted: &str) -> Vec<u32> {
    every().into_iter().filter(|pid| name(*pid).is_some_and(|name| name == wanted)).collect()
}

/// A process and all that came from it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    with_descendants(vec![pid], &with_parents())
}

fn with_descendants(mut found: Vec<u32>, all: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, parent) in all {
        children.entry(*parent).or_default().push(*pid);
    }
    let mut seen: BTreeSet<u32> = found.iter().copied().collect();
    let mut at = 0;
    while let Some(ancestor) = found.get(at) {
        found.extend(children.get(ancestor).into_iter().flatten().filter(|pid| seen.insert(**pid)));
        at += 1;
    }
    found
}

/// Every process but this one, with its parent.
fn with_parents() -> BTreeMap<u32, u32> {
    let own = std::process::id();
    every().into_iter().filter(|pid| *pid != own).filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// Its parent, of one that is there and no zombie.
fn parent(pid: u32) -> Option<u32> {
    let fields = stat(pid)?;
    if fields.first()? == "Z" { None } else { fields.get(1)?.parse().ok() }
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn every() -> Vec<u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn id(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_as_it_is() {
        let own = std::process::id();
        let memory = memory(own).expect("it is there");
        assert!(memory.resident > 100_000.0 && memory.resident < 1e10, "{memory:?}");
        assert!(cpu_seconds(own).is_some_and(|seconds| (0.0..3_600.0).contains(&seconds)));
        let before = Used::by(&[own]);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {}
        let cores = Used::by(&[own]).since(&before);
        assert!(cores > 0.0 && cores < 1_000.0, "{cores}");
        assert!(!wait_for_end(own, Duration::from_millis(1)), "it is still there");
    }

    #[test]
    fn who_works_in_a_directory_is_found_there_until_it_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = std::process::Command::new("/bin/sleep").arg("600").current_dir(dir.path()).spawn().expect("there is a sleep");
        assert_eq!(living_in(dir.path()), [child.id()]);
        assert_eq!(family(child.id()), [child.id()]);
        signal(child.id(), Signal::KILL);
        assert!(wait_for_end(child.id(), Duration::from_secs(20)));
        child.wait().expect("it is ours");
        assert!(living_in(dir.path()).is_empty());
    }
}

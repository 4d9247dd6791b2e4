//! Processes and ports of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process};

/// Ports that were handed out already.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that nobody listens on. It lies below those that the kernel gives to outgoing connections.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let start = 15_000 + u16::try_from(std::process::id() % 12_000).expect("it is less than 12,000");
    let mut taken = TAKEN.lock().expect("nobody panics while holding it");
    let port = (start..start + 4_000).find(|port| !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let port = port.expect("one of 4,000 ports is free");
    taken.insert(port);
    port
}

/// Is it there, and no zombie?
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat[0] != "Z" && stat[0] != "X")
}

/// When it was started, in ticks since boot: with the pid it names one process of this boot.
pub fn started(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// Its parent.
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// Those whose parent it is.
pub fn children(pid: u32) -> Vec<u32> {
    processes().into_iter().filter(|other| parent(*other) == Some(pid) && alive(*other)).collect()
}

/// Its children, theirs, and so on.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        let children = children(pid);
        next.extend(&children);
        found.extend(children);
    }
    found
}

/// Sends a signal; to one that is gone, none.
pub fn signal(pid: u32, signal: Signal) {
    // Gone already: that is what most signals are for.
    let _ = i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, signal));
}

/// SIGKILL, and it is gone.
///
/// # Panics
/// When it does not go.
#[track_caller]
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
    crate::until("a killed process is gone", || !alive(pid));
}

/// Every process that lives in a directory: it works in it, or its command line or environment names it.
pub(crate) fn living_in(dir: &Path) -> Vec<u32> {
    let name = dir.as_os_str().as_encoded_bytes();
    let names = |pid: u32, file: &str| fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|text| text.windows(name.len()).any(|part| part == name));
    let works = |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    let own = std::process::id();
    processes().into_iter().filter(|pid| *pid != own && alive(*pid) && (works(*pid) || names(*pid, "cmdline") || names(*pid, "environ"))).collect()
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

//! Which processes belong to a task: its leader and all that came from it.
//!
//! Where cgroups can be used each task has one of its own and the kernel knows the answer. Elsewhere it is found in `/proc`. A process belongs
//! to a task when it is its leader, or carries its marker in its environment, or is in its session or group and
//! comes from the keeper, or was begotten by one that belongs. The keeper is a subreaper, so that what loses its parent stays its
//! descendant. What that misses is a process that at once left its session, lost its parent and overwrote its environment.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, pidfd_send_signal};

use crate::identity::{self, Identity};
use crate::launch::MARKER;

/// Every process of the machine at one moment, zombies left out.
pub(crate) struct Snapshot {
    processes: BTreeMap<i32, Process>,
}

struct Process {
    identity: Identity,
    parent: i32,
    group: i32,
    session: i32,
    marker: OnceCell<Option<Vec<u8>>>,
}

/// What a task is recognised by.
pub(crate) struct Family<'a> {
    pub(crate) leader: Option<Identity>,
    /// Value of [`MARKER`] in its environment.
    pub(crate) marker: &'a str,
    /// Members seen before, which stay members whatever they did since.
    pub(crate) known: &'a BTreeSet<Identity>,
}

impl Snapshot {
    /// Looks at `/proc`. A marker that the previous snapshot saw stays, also when the process has overwritten it since.
    pub(crate) fn take(previous: Option<&Snapshot>) -> Snapshot {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let processes: BTreeMap<i32, Process> = pids.filter_map(|pid| Some((pid, Process::look(pid)?))).collect();
        for process in processes.values() {
            let known = previous.and_then(|previous| previous.processes.get(&process.identity.pid));
            let marker = known.filter(|known| known.identity == process.identity).and_then(|known| known.marker.get());
            if let Some(Some(marker)) = marker {
                let _ = process.marker.set(Some(marker.clone()));
            }
        }
        Snapshot { processes }
    }

    /// The living members of a family, in the order of their pids.
    pub(crate) fn members(&self, family: &Family<'_>) -> BTreeSet<Identity> {
        let mut members: BTreeSet<i32> = BTreeSet::new();
        for (pid, process) in &self.processes {
            if self.is_first_hand(process, family) {
                members.insert(*pid);
            }
        }
        // children of members, until no new one is found
        loop {
            let begotten = |(pid, process): (&i32, &Process)| (members.contains(&process.parent) && !members.contains(pid)).then_some(*pid);
            let more: Vec<i32> = self.processes.iter().filter_map(begotten).collect();
            if more.is_empty() {
                break;
            }
            members.extend(more);
        }
        members.iter().map(|pid| self.processes[pid].identity).collect()
    }

    fn is_first_hand(&self, process: &Process, family: &Family<'_>) -> bool {
        if process.identity.pid == own_pid() {
            return false;
        }
        if Some(process.identity) == family.leader || family.known.contains(&process.identity) {
            return true;
        }
        let Some(leader) = family.leader else { return process.marker() == Some(family.marker.as_bytes()) };
        // nothing of this tree is older than its leader
        if process.identity.start_time < leader.start_time {
            return false;
        }
        let same_number = process.session == leader.pid || process.group == leader.pid;
        (same_number && self.is_number_of(leader, process)) || process.marker() == Some(family.marker.as_bytes())
    }

    /// Do this process's session and group still mean that leader, and not one that got its pid later?
    fn is_number_of(&self, leader: Identity, process: &Process) -> bool {
        let holder = self.processes.get(&leader.pid).map(|process| process.identity);
        holder == Some(leader) || (holder.is_none() && self.comes_from_keeper(process))
    }

    fn comes_from_keeper(&self, process: &Process) -> bool {
        let mut parent = process.parent;
        // the bound is for pids that were reused while the snapshot was taken, and now seem to form a circle
        for _ in 0..self.processes.len() {
            if parent == own_pid() {
                return true;
            }
            match self.processes.get(&parent) {
                Some(process) => parent = process.parent,
                None => return false,
            }
        }
        false
    }

    /// The leader of an interrupted start: the session leader with this marker.
    pub(crate) fn leader_with(&self, marker: &str) -> Option<Identity> {
        let leads = |process: &&Process| process.session == process.identity.pid && process.marker() == Some(marker.as_bytes());
        // the oldest: a descendant may lead a session too
        self.processes.values().filter(leads).map(|process| process.identity).min_by_key(|identity| (identity.start_time, identity.pid))
    }
}

impl Process {
    fn look(pid: i32) -> Option<Process> {
        let stat = identity::stat(pid).filter(identity::is_alive)?;
        let identity = Identity { pid, start_time: stat.starttime };
        Some(Process { identity, parent: stat.ppid, group: stat.pgrp, session: stat.session, marker: OnceCell::new() })
    }

    fn marker(&self) -> Option<&[u8]> {
        self.marker.get_or_init(|| read_marker(self.identity.pid)).as_deref()
    }
}

/// The children of this process, zombies included; nothing where the kernel keeps no such list.
///
/// None is missing that was there at the beginning: a child leaves the list when it is waited for, and who could is reading.
pub(crate) fn own_children() -> Option<Vec<i32>> {
    // of the first thread: it begets all of them, and is given all orphans
    let file = open(format!("/proc/self/task/{}/children", own_pid()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let (mut text, mut part) = (Vec::new(), [0; 8192]);
    // in large parts: before each of them the kernel counts all children that it has given already
    while let read @ 1.. = rustix::io::read(&file, &mut part[..]).ok()? {
        text.extend_from_slice(&part[..read]);
    }
    str::from_utf8(&text).ok()?.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

/// Is it there, and no zombie?
pub(crate) fn is_living(pid: i32) -> bool {
    identity::stat(pid).is_some_and(|stat| identity::is_alive(&stat))
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn read_marker(pid: i32) -> Option<Vec<u8>> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = [MARKER.as_bytes(), b"="].concat();
    environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix.as_slice())).map(<[u8]>::to_vec)
}

/// Signals exactly these processes; a stranger with the pid of one that is gone gets nothing.
pub(crate) fn signal<'a>(members: impl IntoIterator<Item = &'a Identity>, signal: Signal) {
    for pidfd in members.into_iter().filter_map(|identity| identity.open()) {
        // what has just died needs no signal, and what is not ours to signal stays and is found again
        let _ = pidfd_send_signal(pidfd, signal);
    }
}

/// The living ones among these pids.
pub(crate) fn living(pids: impl IntoIterator<Item = i32>) -> BTreeSet<Identity> {
    let look = |pid| identity::stat(pid).filter(identity::is_alive).map(|stat| Identity { pid, start_time: stat.starttime });
    pids.into_iter().filter_map(look).collect()
}

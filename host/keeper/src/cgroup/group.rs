//! The cgroups of one task.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;

/// A directory, and whether it is one of version 2.
type Dir = (PathBuf, bool);

/// Where a task is. Several of these are one directory in version 2.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(super) members: Option<Dir>,
    pub(super) memory: Option<Dir>,
    pub(super) cpu: Option<Dir>,
}

/// The ways into the cgroups of a task.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    /// The directory of version 2.
    pub(crate) birthplace: Option<OwnedFd>,
    /// The files of version 1 that it writes a 0 to.
    pub(crate) files: Vec<OwnedFd>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.dirs().is_empty()
    }

    /// How a child comes to be in it before it becomes its program.
    ///
    /// In version 1 it writes to `tasks`, which moves one thread: of a new child, which has only one, it is all. To move whole processes
    /// (`cgroup.procs`, the only way in version 2) the kernel first waits until no processor is within a fork or an exit: 7 ms
    /// in the median after a moment of rest, where `tasks` takes 0.06. So in version 2 a child is born inside, where that can be.
    pub(crate) fn entrances(&self) -> io::Result<Entrances> {
        let mut entrances = Entrances::default();
        for (dir, unified) in self.all().collect::<BTreeSet<&Dir>>() {
            if *unified {
                entrances.birthplace = Some(std::fs::File::open(dir)?.into());
            } else {
                entrances.files.push(std::fs::OpenOptions::new().write(true).open(dir.join("tasks"))?.into());
            }
        }
        Ok(entrances)
    }

    /// Does the kernel know every member here?
    pub(crate) fn has_members(&self) -> bool {
        self.members.is_some()
    }

    /// The pids of all members, those of cgroups that they made themselves included.
    pub(crate) fn pids(&self) -> BTreeSet<i32> {
        let mut pids = BTreeSet::new();
        if let Some((dir, _)) = &self.members {
            collect_pids(dir, &mut pids);
        }
        pids
    }

    /// Kills all members at once, so that none can fork away; `false` when the kernel has no such switch here.
    pub(crate) fn kill(&self) -> bool {
        self.members.as_ref().is_some_and(|(dir, unified)| *unified && std::fs::write(dir.join("cgroup.kill"), "1").is_ok())
    }

    /// Holds or frees all members (version 1); a frozen process can be signalled and cannot fork.
    pub(crate) fn freeze(&self, frozen: bool) {
        if let Some((dir, false)) = &self.members {
            // what cannot be frozen is killed round after round instead
            let _ = std::fs::write(dir.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" });
        }
    }

    /// Has the kernel killed a member because of the memory limit?
    pub(crate) fn was_out_of_memory(&self) -> bool {
        let Some((dir, unified)) = &self.memory else { return false };
        let file = if *unified { "memory.events" } else { "memory.oom_control" };
        value(&dir.join(file), "oom_kill").is_some_and(|kills| kills > 0)
    }

    /// Processor time used so far, where the cgroup counts it.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let (dir, _) = self.members.as_ref().filter(|(_, unified)| *unified)?;
        value(&dir.join("cpu.stat"), "usage_usec").map(Duration::from_micros)
    }

    /// Resident bytes, where the cgroup counts them.
    pub(crate) fn memory(&self) -> Option<u64> {
        let (dir, unified) = self.memory.as_ref()?;
        let names = if *unified { ["anon", "file_mapped"] } else { ["total_rss", "total_mapped_file"] };
        let stat = dir.join("memory.stat");
        Some(value(&stat, names[0])? + value(&stat, names[1]).unwrap_or(0))
    }

    /// Is a memory limit in force?
    pub(crate) fn limits_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Removes the directory that knows the members, which the kernel does only if nobody is in it and none is below it. So this is the cheapest proof that
    /// nothing of the tree is alive, and one without a gap.
    pub(crate) fn has_vanished(&mut self) -> bool {
        let Some(members) = self.members.take_if(|(dir, _)| std::fs::remove_dir(dir).is_ok()) else { return false };
        // in version 2 they are one
        for other in [&mut self.memory, &mut self.cpu] {
            other.take_if(|other| *other == members);
        }
        true
    }

    /// Removes the directories; `false` when the kernel still holds one, because a member has not quite vanished.
    pub(crate) fn remove(&self) -> bool {
        self.dirs().into_iter().filter(|dir| !remove_tree(dir)).count() == 0
    }

    fn dirs(&self) -> BTreeSet<&PathBuf> {
        self.all().map(|(dir, _)| dir).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Dir> {
        [&self.members, &self.memory, &self.cpu].into_iter().flatten()
    }
}

pub(super) fn limit_memory(dir: &Path, unified: bool, bytes: u64) -> io::Result<()> {
    let bytes = bytes.to_string();
    if unified {
        std::fs::write(dir.join("memory.max"), &bytes)?;
        // a limit that can be stepped over into swap is none; kernels without swap accounting have no such file
        let _ = std::fs::write(dir.join("memory.swap.max"), "0");
    } else {
        std::fs::write(dir.join("memory.limit_in_bytes"), &bytes)?;
        let _ = std::fs::write(dir.join("memory.memsw.limit_in_bytes"), &bytes);
    }
    Ok(())
}

pub(super) fn limit_cpu(dir: &Path, unified: bool, millis: u32) -> io::Result<()> {
    const PERIOD_US: u64 = 100_000;
    let quota = u64::from(millis) * PERIOD_US / 1000;
    if unified {
        return std::fs::write(dir.join("cpu.max"), format!("{quota} {PERIOD_US}"));
    }
    std::fs::write(dir.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
    std::fs::write(dir.join("cpu.cfs_quota_us"), quota.to_string())
}

/// What a file says, without the blanks around it; nothing when it cannot be read.
pub(super) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The words of a file; none when it cannot be read.
pub(super) fn words(path: &Path) -> BTreeSet<String> {
    text(path).split_whitespace().map(str::to_owned).collect()
}

/// The number behind a name in a file of `NAME NUMBER` lines.
fn value(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn collect_pids(dir: &Path, pids: &mut BTreeSet<i32>) {
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    children(dir).iter().for_each(|child| collect_pids(child, pids));
}

/// Removes a cgroup and those below it; `true` when it is gone.
pub(super) fn remove_tree(dir: &Path) -> bool {
    for child in children(dir) {
        remove_tree(&child);
    }
    match std::fs::remove_dir(dir) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    // a directory's links are itself, its name, and one per directory in it: nearly always there is nothing to read
    if std::fs::metadata(dir).is_ok_and(|found| found.nlink() <= 2) {
        return Vec::new();
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

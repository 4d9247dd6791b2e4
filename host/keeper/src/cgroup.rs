//! Cgroups: one for each task, where the machine lets us make them.
//!
//! Both kinds are spoken. Version 2 has one tree for everything. Version 1 has a tree per controller: membership is then kept in
//! the freezer's, which is cheap to join, and a task enters those of `cpu` and `memory` only when it has such a limit. All of it
//! lies under `hostler/INSTANCE/`, at the top of the tree or, where that is not ours to write, below the keeper's own cgroup.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::protocol::{CgroupReport, Command};

mod group;
mod mounts;

pub(crate) use group::{Entrances, Group};
use mounts::Mount;

const FAMILY: &str = "hostler";

/// What this machine offers.
pub(crate) struct Cgroups {
    members: Result<Tree, String>,
    cpu: Result<Tree, String>,
    memory: Result<Tree, String>,
}

/// A directory of ours in a cgroup hierarchy; tasks get directories in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    dir: PathBuf,
    unified: bool,
}

impl Cgroups {
    /// Looks at what is mounted and tries what can be written.
    pub(crate) fn find(instance: &str) -> Cgroups {
        let mounts = mounts::read();
        let unified = mounts.iter().find(|mount| mount.unified);
        let with = |controller: &str| {
            unified_tree(unified, instance, controller)
                .or_else(|why| legacy_tree(&mounts, instance, controller).map_err(|legacy| format!("{why}; {legacy}")))
        };
        let (cpu, memory) = (with("cpu"), with("memory"));
        let all_unified = |tree: &Result<Tree, String>| tree.as_ref().is_ok_and(|tree| tree.unified);
        let members = if all_unified(&cpu) || all_unified(&memory) {
            unified_tree(unified, instance, "")
        } else {
            legacy_tree(&mounts, instance, "freezer").or_else(|_| unified_tree(unified, instance, ""))
        };
        Cgroups { members, cpu, memory }
    }

    /// None at all: for a machine where they are not wanted.
    pub(crate) fn none(why: &str) -> Cgroups {
        let no = || Err(why.to_owned());
        Cgroups { members: no(), cpu: no(), memory: no() }
    }

    /// For people.
    pub(crate) fn report(&self) -> CgroupReport {
        let place = |what: &str, tree: &Result<Tree, String>| match tree {
            Ok(tree) => format!("{what}: {}", tree.dir.display()),
            Err(why) => format!("{what}: {why}"),
        };
        let why = [place("members", &self.members), place("cpu", &self.cpu), place("memory", &self.memory)].join("; ");
        CgroupReport { usable: self.cpu.is_ok() && self.memory.is_ok(), why }
    }

    /// Makes the cgroups of a new task. What could not be done is said in the notes, and the task runs without it.
    pub(crate) fn create(&self, name: &str, command: &Command) -> (Option<Group>, Vec<String>) {
        let mut notes = Vec::new();
        let mut group = Group::default();
        if let Ok(tree) = &self.members {
            group.members = make(tree, name).ok().map(|dir| (dir, tree.unified));
        }
        if let Some(bytes) = command.memory_bytes {
            let made = limit(&self.memory, name, |dir, unified| group::limit_memory(dir, unified, bytes));
            group.memory = made.map_err(|why| notes.push(format!("memory limit not applied: {why}"))).ok();
        }
        if let Some(millis) = command.cpu_millis {
            let made = limit(&self.cpu, name, |dir, unified| group::limit_cpu(dir, unified, millis));
            group.cpu = made.map_err(|why| notes.push(format!("cpu limit not applied: {why}"))).ok();
        }
        ((!group.is_empty()).then_some(group), notes)
    }

    /// The cgroups that an earlier keeper made for a task, those that are still there.
    pub(crate) fn existing(&self, name: &str) -> Option<Group> {
        let there = |tree: &Result<Tree, String>| {
            let tree = tree.as_ref().ok()?;
            let dir = tree.dir.join(name);
            dir.is_dir().then_some((dir, tree.unified))
        };
        let group = Group { members: there(&self.members), memory: there(&self.memory), cpu: there(&self.cpu) };
        (!group.is_empty()).then_some(group)
    }

    /// Removes every empty cgroup of ours but those named.
    pub(crate) fn sweep(&self, keep: &BTreeSet<String>) {
        for tree in self.trees() {
            for entry in std::fs::read_dir(&tree.dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() && !entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
                    group::remove_tree(&entry.path());
                }
            }
        }
    }

    /// Removes what other instances left, as far as no process is in it.
    pub(crate) fn forget_instances(&self, instances: &[String]) {
        for (tree, instance) in self.trees().flat_map(|tree| instances.iter().map(move |instance| (tree, instance))) {
            group::remove_tree(&tree.dir.with_file_name(instance));
        }
    }

    /// Removes the directories above the tasks', if nothing is in them.
    pub(crate) fn leave(&self) {
        for tree in self.trees() {
            let _ = std::fs::remove_dir(&tree.dir);
            let _ = tree.dir.parent().map(std::fs::remove_dir);
        }
    }

    fn trees(&self) -> impl Iterator<Item = &Tree> {
        [&self.members, &self.cpu, &self.memory].into_iter().filter_map(|tree| tree.as_ref().ok())
    }
}

fn limit(tree: &Result<Tree, String>, name: &str, apply: impl FnOnce(&Path, bool) -> std::io::Result<()>) -> Result<(PathBuf, bool), String> {
    let tree = tree.as_ref().map_err(Clone::clone)?;
    let dir = make(tree, name)?;
    apply(&dir, tree.unified).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok((dir, tree.unified))
}

fn make(tree: &Tree, name: &str) -> Result<PathBuf, String> {
    let dir = tree.dir.join(name);
    match std::fs::create_dir(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(format!("{}: {error}", dir.display())),
        _ => Ok(dir),
    }
}

/// Our directory in the version 2 tree, with that controller enabled; any directory when it is empty.
fn unified_tree(mount: Option<&Mount>, instance: &str, controller: &str) -> Result<Tree, String> {
    let mount = mount.ok_or("no cgroup2 is mounted")?;
    let missing = || format!("{} has no {controller} controller to give", mount.dir.display());
    if !controller.is_empty() && !group::words(&mount.dir.join("cgroup.controllers")).contains(controller) {
        return Err(missing());
    }
    first_writable(mount, |base| {
        let dir = base.join(FAMILY).join(instance);
        std::fs::create_dir_all(&dir)?;
        if !controller.is_empty() {
            for level in [base, &base.join(FAMILY), &dir] {
                enable(level, controller)?;
            }
        }
        if group::text(&dir.join("cgroup.type")) == "domain invalid" {
            return Err(std::io::Error::other("nothing can enter a cgroup below: one above it is threaded"));
        }
        Ok(Tree { dir, unified: true })
    })
}

/// Gives a controller to the cgroups below that one.
///
/// Not where processes are: `memory` the kernel refuses then, but it takes `cpu`, makes that cgroup a threaded one, and from then on nothing can enter
/// those below. The real root alone may have processes and controllers; it is the one without a type.
fn enable(level: &Path, controller: &str) -> std::io::Result<()> {
    let control = level.join("cgroup.subtree_control");
    if group::words(&control).contains(controller) {
        return Ok(());
    }
    let is_root = !level.join("cgroup.type").exists();
    if !is_root && !group::text(&level.join("cgroup.procs")).is_empty() {
        return Err(std::io::Error::other(format!("processes are in it, so it has no {controller} to give")));
    }
    std::fs::write(control, format!("+{controller}"))
}

/// Our directory in the version 1 tree of that controller.
fn legacy_tree(mounts: &[Mount], instance: &str, controller: &str) -> Result<Tree, String> {
    let mount = mounts.iter().find(|mount| mount.controllers.iter().any(|name| name == controller));
    let mount = mount.ok_or_else(|| format!("no cgroup v1 {controller} controller is mounted"))?;
    first_writable(mount, |base| {
        let dir = base.join(FAMILY).join(instance);
        std::fs::create_dir_all(&dir)?;
        Ok(Tree { dir, unified: false })
    })
}

/// The top of the mount, else the keeper's own place in it.
fn first_writable(mount: &Mount, open: impl Fn(&Path) -> std::io::Result<Tree>) -> Result<Tree, String> {
    let mut why = String::new();
    for base in [Some(mount.dir.clone()), mount.own_place()].into_iter().flatten() {
        let tried = open(&base).and_then(|tree| std::fs::OpenOptions::new().write(true).open(tree.dir.join("cgroup.procs")).map(|_| tree));
        match tried {
            Ok(tree) => return Ok(tree),
            Err(error) => why = format!("cgroups are not writable ({}: {error})", base.display()),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests;

//! A shell as the child, in cgroups and kept out of them.

use std::path::Path;

use rustix::process::{Pid, WaitOptions, getrlimit, waitpid};

use super::*;

/// Starts a shell, and answers what it said, how it ended, and why it was kept out of its cgroups.
fn said(script: &str, cgroups: Entrances) -> (String, Option<i32>, Option<i32>) {
    let mut slots = Slots::reserve().expect("there is a /dev/null");
    let text = |text: &str| CString::new(text).expect("no NUL");
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    let child = Child {
        program: text("/bin/sh"),
        args: ["/bin/sh", "-c", script].map(text).to_vec(),
        env: Vec::new(),
        cgroups,
        out: writer.try_clone().expect("a second one"),
        err: writer,
        open_files: getrlimit(Resource::Nofile),
        user: None,
        directory: text("/"),
    };
    let born = child.start(&mut slots).expect("it starts");
    drop(child);
    let (_, status) = waitpid(Pid::from_raw(born.pid), WaitOptions::empty()).expect("it is ours").expect("it ended");
    let said = std::io::read_to_string(std::fs::File::from(reader)).expect("it can be read");
    (said, status.exit_status(), born.kept_out.and_then(|error| error.raw_os_error()))
}

#[test]
fn a_child_that_is_not_let_into_its_cgroups_is_born_without() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let place = || Some(OwnedFd::from(std::fs::File::open(dir.path()).expect("it is ours")));
    let outside = || said("echo here; exit 7", Entrances { birthplace: place(), files: Vec::new() });
    let no_cgroup = outside();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("cgroup.procs")).expect("it is ours");
    let closed = outside();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("it is everywhere");
    let legacy = said("echo here; exit 7", Entrances { birthplace: None, files: vec![full.into()] });
    for ((said, code, why), errno) in [(no_cgroup, Errno::NOENT), (closed, Errno::NOSPC), (legacy, Errno::NOSPC)] {
        assert_eq!((said.trim(), code, why), ("here", Some(7), Some(errno.raw_os_error())));
    }
}

#[test]
fn a_child_is_born_in_a_cgroup_of_version_two() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mount = mounts.lines().find_map(|line| line.split_once(" cgroup2 ")?.0.split(' ').nth(1));
    let name = format!("hostler-test-{}", std::process::id());
    let dir = Path::new(mount.unwrap_or("/nowhere")).join(&name);
    if std::fs::create_dir(&dir).is_err() {
        eprintln!("skipped: there is no cgroup2 to write to");
        return;
    }
    for filtered in [false, true] {
        let place = OwnedFd::from(std::fs::File::open(&dir).expect("it is ours"));
        let cgroups = if filtered {
            // as where the kernel has no such birth
            let procs = std::fs::File::options().write(true).open(dir.join("cgroup.procs")).expect("it is ours");
            Entrances { birthplace: None, files: vec![procs.into()] }
        } else {
            Entrances { birthplace: Some(place), files: Vec::new() }
        };
        let (said, code, why) = said("grep ^0:: /proc/self/cgroup; exit 7", cgroups);
        assert!(said.trim().ends_with(&format!("/{name}")), "{said}");
        assert_eq!((code, why), (Some(7), None));
    }
    std::fs::remove_dir(&dir).expect("nobody is in it");
}

//! What a child does between fork and exec, and what it must not inherit. The one module of this crate with unsafe blocks.
//!
//! Why unsafe at all: a session of its own, a cgroup that holds the program from its very first instruction, and supplementary groups can
//! only be set up by the child itself, and on a stable toolchain `CommandExt::pre_exec` is the only door to that. The two ways around it were
//! measured and left: a shim that executes itself first costs a second exec of the whole binary for each spawn; a process
//! group alone (which keeps std on posix_spawn) is no session and enters no cgroup. It would save a quarter of the 0.6 ms that a spawn takes (from a
//! parent with 1 MiB of memory of its own fork and exec take 0.23 ms and posix_spawn 0.08; with 8 MiB 0.43 and 0.08).
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fd::OwnedFd;
use rustix::process::{Resource, Rlimit, chdir, setrlimit, setsid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::user::User;

/// All of it prepared before the fork: the child only makes system calls.
pub(super) struct Child {
    /// The way into each cgroup to be in.
    pub(super) cgroups: Vec<OwnedFd>,
    /// What the keeper itself was started with; the keeper raised its own.
    pub(super) open_files: Rlimit,
    pub(super) user: Option<User>,
    /// Entered as the user, so that a directory closed to it is an error and not a way in.
    pub(super) directory: CString,
}

impl Child {
    /// Has the child of `command` do this first.
    pub(super) fn prepare(self, command: &mut Command) {
        // SAFETY: the closure runs in the forked child of a single-threaded process (the keeper starts no thread, and each of
        // the calls below is a bare system call of rustix that neither allocates nor locks nor touches the parent's memory);
        // what it reads was built before the fork, and the descriptors in it stay open because the command owns it.
        unsafe {
            command.pre_exec(move || self.apply());
        }
    }

    fn apply(&self) -> io::Result<()> {
        for procs in &self.cgroups {
            rustix::io::write(procs, b"0")?;
        }
        setrlimit(Resource::Nofile, self.open_files)?;
        setsid()?;
        if let Some(user) = &self.user {
            // groups first: without root's powers they can no longer be set. In a process of one thread these are the process's
            set_thread_groups(&user.groups)?;
            set_thread_res_gid(user.gid, user.gid, user.gid)?;
            set_thread_res_uid(user.uid, user.uid, user.uid)?;
        }
        chdir(self.directory.as_c_str())?;
        Ok(())
    }
}

/// Closes every descriptor above standard error that this process was started with: whatever the host or its shell had open is
/// none of the keeper's business, and still less its children's.
///
/// For the very start of a process that has opened nothing itself.
pub(crate) fn close_inherited() -> io::Result<()> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: nothing in this process owns these descriptors: it has only just begun, and `keeper::run` asks its caller for
        // exactly that. The listing's own, closed by now, is among them; closing a number that is not open does nothing.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

//! Where the pipes are: in memory where that is safe, else in the keeper's own directory.
//!
//! A pipe's file holds nothing, and making one was measured at 0.5 ms on a busy disk and at 0.005 in memory. Only for root: of other users
//! the system may clear shared memory when they log out.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, openat, statfs};
use rustix::process::geteuid;

use super::{Error, household};
use crate::append::append;

const MEMORY: &str = "/dev/shm";
const PREFIX: &str = "hostler-keeper-";
/// A file beside the pipes that says whose they are, so that those of a directory that is gone can be removed.
pub(super) const OWNER: &str = "directory";

/// Opens the directory for pipes; answers its path too.
pub(super) fn open(dir: &Path, instance: &str) -> Result<(PathBuf, OwnedFd), Error> {
    if geteuid().is_root() && is_in_memory() {
        let name = format!("{PREFIX}{instance}");
        let path = Path::new(MEMORY).join(&name);
        // Everybody may make directories there: in one that is not ours, nothing is read, written or followed.
        let ours = household::subdirectory(Path::new(MEMORY), &name).ok().filter(is_ours);
        // Held for as long as we live: whoever does not see our own directory must not take this for lost.
        let held = ours.filter(|fd| flock(fd, FlockOperation::LockShared).is_ok());
        if let Some(fd) = held.filter(|fd| sign(fd, dir).is_ok()) {
            return Ok((path, fd));
        }
    }
    Ok((dir.join("pipes"), household::subdirectory(dir, "pipes")?))
}

/// Says beside the pipes whose they are.
fn sign(pipes: &OwnedFd, dir: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(pipes, OWNER, flags, Mode::from_raw_mode(0o600))?;
    append(&file, dir.as_os_str().as_encoded_bytes(), 0).map(drop)
}

/// Removes the pipes of keepers whose directory is gone, and answers which instances those were.
pub(super) fn sweep() -> Vec<String> {
    if !geteuid().is_root() {
        return Vec::new();
    }
    let names = std::fs::read_dir(MEMORY).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut lost = Vec::new();
    for name in names {
        let Some(instance) = name.strip_prefix(PREFIX) else { continue };
        let path = Path::new(MEMORY).join(&name);
        if is_lost(&path) && std::fs::remove_dir_all(&path).is_ok() {
            lost.push(instance.to_owned());
        }
    }
    lost
}

/// Is it ours, and the directory that it names without a keeper's journal?
fn is_lost(path: &Path) -> bool {
    let Ok(fd) = rustix::fs::open(path, household::DIRECTORY, Mode::empty()) else { return false };
    // A living keeper's own directory may be one that only it sees: a mount of its namespace.
    if !is_ours(&fd) || flock(&fd, FlockOperation::NonBlockingLockExclusive).is_err() {
        return false;
    }
    // one that is just being made names nothing yet
    let Ok(owner) = std::fs::read_to_string(path.join(OWNER)) else { return false };
    let journal = Path::new(&owner).join("journal");
    owner.starts_with('/') && std::fs::symlink_metadata(journal).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Root's own and closed to others: nobody else can have made it.
fn is_ours(fd: &OwnedFd) -> bool {
    fstat(fd).is_ok_and(|found| found.st_uid == 0 && found.st_mode & 0o077 == 0)
}

fn is_in_memory() -> bool {
    const TMPFS: u32 = 0x0102_1994;
    statfs(MEMORY).is_ok_and(|found| u32::try_from(found.f_type) == Ok(TMPFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_somebody_else_prepared_is_left_alone() {
        if !geteuid().is_root() || !is_in_memory() {
            eprintln!("skipped: only root keeps pipes in shared memory");
            return;
        }
        let own = tempfile::tempdir().expect("tempdir");
        let victim = own.path().join("victim");
        std::fs::write(&victim, "precious").expect("writes");
        let instance = format!("test-{}", std::process::id());
        let trap = Path::new(MEMORY).join(format!("{PREFIX}{instance}"));
        std::fs::create_dir(&trap).expect("makes");
        std::os::unix::fs::symlink(&victim, trap.join(OWNER)).expect("links");
        std::os::unix::fs::chown(&trap, Some(65534), Some(65534)).expect("gives away");
        let opened = open(own.path(), &instance).map(|(path, _)| path);
        std::fs::remove_dir_all(&trap).expect("removes");
        assert_eq!(opened.expect("opens"), own.path().join("pipes"));
        assert_eq!(std::fs::read_to_string(victim).expect("reads"), "precious");
    }
}

//! The lock that makes a keeper its directory's only one.

use std::path::Path;

use hostler_failpoint::failpoint;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, major, minor, open, stat, unlink};
use rustix::io::Errno;
use rustix::process::getpid;

use super::Error;
use super::household::DIRECTORY;
use crate::identity;

/// Takes the lock. The kernel releases it however we end, but not before the last system call of ours has returned: a keeper that was
/// killed while the disk takes seconds for a sync is gone and holds it still. From such a one the lock is taken over.
pub(super) fn lock(dir: &Path) -> Result<OwnedFd, Error> {
    let path = dir.join("keeper.lock");
    let fault = |error: Errno| Error::system(path.display().to_string())(error);
    let file = match attempt(&path).map_err(fault)? {
        Ok(file) => file,
        Err(held) => take_over(dir, &path, &held)
            .map_err(fault)?
            .map_err(|holder| Error::Held { dir: dir.to_owned(), pid: holder.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()) })?,
    };
    failpoint!("keeper.start.locked");
    // The pid is for people.
    rustix::fs::ftruncate(&file, 0).map_err(fault)?;
    rustix::io::pwrite(&file, format!("{}\n", getpid().as_raw_nonzero()).as_bytes(), 0).map_err(fault)?;
    Ok(file)
}

/// The lock, or the file that somebody else has locked.
fn attempt(path: &Path) -> Result<Result<OwnedFd, OwnedFd>, Errno> {
    loop {
        let file = open(path, OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o600))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, path)? => return Ok(Ok(file)),
            // It was taken over in between: what counts is the file that is there now.
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Err(file)),
            Err(error) => return Err(error),
        }
    }
}

fn is_at(file: &OwnedFd, path: &Path) -> Result<bool, Errno> {
    match stat(path) {
        Ok(found) => fstat(file).map(|ours| (ours.st_dev, ours.st_ino) == (found.st_dev, found.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does somebody who lives hold the lock of this directory? The kernel is asked: whoever has just taken it may not have written its pid yet.
pub(crate) fn is_held(dir: &Path) -> bool {
    let Ok(file) = open(dir.join("keeper.lock"), OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) else { return false };
    holder(&file).is_some_and(|pid| !is_dead(pid))
}

/// Takes the lock over from one who is dead, or answers who holds it, as far as the kernel says.
fn take_over(dir: &Path, path: &Path, held: &OwnedFd) -> Result<Result<OwnedFd, Option<i32>>, Errno> {
    let holder = holder(held);
    if !holder.is_some_and(is_dead) {
        return Ok(Err(holder));
    }
    // One at a time: whoever comes second finds the first one's lock, and the first one alive.
    let door = open(dir, DIRECTORY, Mode::empty())?;
    match flock(&door, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Err(holder)),
        Err(error) => return Err(error),
    }
    match attempt(path)? {
        Ok(file) => Ok(Ok(file)),
        Err(held) => {
            let holder = self::holder(&held);
            if !holder.is_some_and(is_dead) {
                return Ok(Err(holder));
            }
            unlink(path)?;
            attempt(path).map(|taken| taken.map_err(|held| self::holder(&held)))
        }
    }
}

/// Who has locked this file. The pid in it would not do: whoever holds the lock for an instant has not written it yet.
fn holder(file: &OwnedFd) -> Option<i32> {
    let ours = fstat(file).ok()?;
    let place = (major(ours.st_dev), minor(ours.st_dev), ours.st_ino);
    let locks = procfs::locks().ok()?;
    let is_it = |lock: &procfs::Lock| (lock.devmaj, lock.devmin, lock.inode) == place && matches!(lock.lock_type, procfs::LockType::FLock);
    locks.into_iter().find(is_it).and_then(|lock| lock.pid)
}

/// Is all that is left of it a system call that has not returned?
fn is_dead(pid: i32) -> bool {
    identity::stat(pid).is_some_and(|stat| matches!(stat.state, b'Z' | b'X'))
}

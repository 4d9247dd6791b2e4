//! The state directory: made private, and held by one host at a time.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostler_failpoint::failpoint;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::HostError;

/// How long what is left of a host that was killed may take to let go: one of its threads may wait for a slow disk.
pub(crate) const LETTING_GO: Duration = Duration::from_secs(30);
/// How long one that still looks alive may take to die: a kill arrives a moment after it was sent.
const DYING: Duration = Duration::from_millis(300);

/// Below it: the components that plugins were upgraded to, by digest.
pub(crate) const REVISIONS: &str = "revisions";

/// A state directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct StateDir {
    pub(crate) path: PathBuf,
    lock: File,
}

/// What the lock file says of its holder.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    started_at_unix_ms: u64,
    version: String,
}

impl StateDir {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    /// It cannot be made or written, or another host holds it: then the error names that one.
    pub(crate) fn take(path: &Path) -> Result<StateDir, HostError> {
        make_private(path)?;
        let path = path.canonicalize().map_err(|error| HostError::state_dir(path, "find", &error))?;
        make_private(&path.join("cache"))?;
        make_private(&path.join("keeper"))?;
        make_private(&path.join(REVISIONS))?;
        failpoint!("host.start.dirs-made");
        let file = path.join("host.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(|error| HostError::state_dir(&file, "open", &error))?;
        take_lock(&mut lock).map_err(|pid| HostError::Taken { path: path.clone(), pid })?;
        failpoint!("host.start.locked");
        let holder = Holder { pid: std::process::id(), started_at_unix_ms: crate::clock::wall_ms(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let text = serde_json::to_string(&holder).expect("it has no maps with odd keys");
        let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(text.as_bytes()));
        written.map_err(|error| HostError::state_dir(&file, "write", &error))?;
        Ok(StateDir { path, lock })
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // Closing alone would not do while another thread is between fork and exec: its copy holds the lock too.
        flock(&self.lock, FlockOperation::Unlock).ok();
    }
}

/// Takes the lock, or says who has it. A host that was killed holds it until the last of its threads is gone: that moment is waited for.
fn take_lock(lock: &mut File) -> Result<(), Option<u32>> {
    let begun = Instant::now();
    loop {
        if flock(&*lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        let holder = holder(lock);
        let patience = if holder.is_some_and(|pid| !is_alive(pid)) { LETTING_GO } else { DYING };
        if begun.elapsed() >= patience {
            return Err(holder);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().and_then(|()| lock.read_to_string(&mut text)).ok()?;
    serde_json::from_str(&text).ok().map(|holder: Holder| holder.pid)
}

/// Is there such a process, and more of it than what is left of one that was killed?
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Makes a directory for us alone. One that is there must be ours; what others may read is closed to them, and one that others may write
/// to is refused: they may have put something into it already.
fn make_private(path: &Path) -> Result<(), HostError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| HostError::state_dir(path, "make", &error))?;
    let found = path.metadata().map_err(|error| HostError::state_dir(path, "look at", &error))?;
    let refuse = |reason: String| HostError::StateDir { path: path.to_owned(), doing: "keep state in", reason };
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        return Err(refuse(format!("it belongs to uid {}, and this is uid {me}", found.uid())));
    }
    if found.mode() & 0o002 != 0 {
        return Err(refuse(format!("everybody may write to it (mode {:04o})", found.mode() & 0o7777)));
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| HostError::state_dir(path, "close to others", &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_closed_to_others_and_a_shared_one_is_refused() {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let state = dir.path().join("state");
        std::fs::create_dir(&state).expect("it is ours");
        let set = |mode| std::fs::set_permissions(&state, Permissions::from_mode(mode)).expect("it is ours");
        set(0o755);
        drop(StateDir::take(&state).expect("nobody else could write there"));
        for name in ["", "cache", "keeper"] {
            assert_eq!(state.join(name).metadata().expect("it was made").mode() & 0o777, 0o700, "{name}");
        }
        set(0o1777);
        let refused = StateDir::take(&state).expect_err("anybody could have put something there").to_string();
        assert!(refused.contains("everybody may write to it (mode 1777)"), "{refused}");
    }
}

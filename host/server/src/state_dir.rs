//! The state directory: made private, and held by one host at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::HostError;

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
        let file = path.join("host.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(|error| HostError::state_dir(&file, "open", &error))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut text = String::new();
            lock.read_to_string(&mut text).ok();
            let holder: Option<Holder> = serde_json::from_str(&text).ok();
            return Err(HostError::Taken { path, pid: holder.map(|holder| holder.pid) });
        }
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

fn make_private(path: &Path) -> Result<(), HostError> {
    match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) => Err(HostError::state_dir(path, "make", &error)),
    }
}

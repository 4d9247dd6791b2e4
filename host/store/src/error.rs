//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a store did not do what was asked. [`StoreError::hint`] says what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space left; the state is as it was before, and writing works again as soon as there is space.
    #[error("the disk under {} is full ({reason})", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// The file is damaged, or is not a store at all.
    #[error("{} cannot be used as a store: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What should be restored is not a sound snapshot; the store is as it was before.
    #[error("{} is not a snapshot to restore from: {reason}", path.display())]
    Snapshot {
        /// The snapshot.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by a newer Hostler.
    #[error("{} has schema version {found}, this Hostler knows up to {supported}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process{}", path.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who, as far as known.
        pid: Option<u32>,
    },
    /// The file or its directory does not let us write.
    #[error("{} cannot be written: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The request itself is wrong.
    #[error("refused: {0}")]
    Invalid(String),
    /// More is queued than the store can take; try again.
    #[error("the store has too many transactions waiting")]
    Busy,
    /// The store is closed or gave up writing after an error whose consequences cannot be known.
    #[error("the store is closed")]
    Closed,
    /// The system or the engine failed in another way.
    #[error("{doing} {}: {source}", path.display())]
    Engine {
        /// The file.
        path: PathBuf,
        /// What was being done, as in "reading".
        doing: &'static str,
        /// The cause.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Full { path, .. } => Some(format!("free some space on the file system of {}; nothing else needs to be done", path.display())),
            Self::Corrupt { path, .. } => Some(recovery(path)),
            Self::TooNew { path, .. } => {
                Some(format!("start the newer Hostler again, or go back to a copy that is older than it: {}", recovery(path)))
            }
            Self::Locked { path, .. } => Some(format!("stop the other host, or use another state directory than {}", parent(path).display())),
            Self::Unwritable { path, .. } => {
                Some(format!("give this user the right to write in {} (ls -ld it), or use another state directory", parent(path).display()))
            }
            Self::Closed => Some("start the host again: it continues from the last acknowledged commit".to_owned()),
            Self::Snapshot { .. } => Some("nothing was changed; choose another snapshot".to_owned()),
            Self::Busy => Some("try again in a moment".to_owned()),
            Self::Invalid(_) | Self::Engine { .. } => None,
        }
    }

    /// A failed system call on a file of the store.
    pub(crate) fn io(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path, reason: source.to_string() }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound => {
                Self::Unwritable { path, reason: source.to_string() }
            }
            _ => Self::Engine { path, doing, source: Arc::new(source) },
        }
    }
}

/// The commands that get a state directory going again without destroying anything.
fn recovery(path: &Path) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let file = path.display().to_string();
    let [file, log, index] = ["", "-wal", "-shm"].map(|suffix| quoted(&format!("{file}{suffix}")));
    let (name, directory) = (path.file_name().unwrap_or_default().to_string_lossy(), parent(path).display().to_string());
    format!(
        "nothing was changed; with the host stopped, set the files aside and put back a copy of them that was made while no host ran \
         (without the cp the host starts empty):\n  for f in {file} {log} {index}; do [ ! -e \"$f\" ] || mv \"$f\" \"$f.aside\"; done\n  \
         cp COPY/{}* {}",
        quoted(&name),
        quoted(&directory)
    )
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

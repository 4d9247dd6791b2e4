//! What SQLite says, in the words of the contract.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use rusqlite::ffi::{self, ErrorCode};

use super::open::companion;
use crate::StoreError;
use crate::file::private;

/// The meaning of an error on a file.
pub(super) fn fault(path: &Path, doing: &'static str, error: rusqlite::Error) -> StoreError {
    let code = error.sqlite_error_code();
    let has_no_file = code == Some(ErrorCode::CannotOpen) || error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE);
    if has_no_file && let Err(error) = make_another(path) {
        return StoreError::io(path, doing, error);
    }
    let reason = error.to_string();
    if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
        return damaged(path, reason);
    }
    let path = path.to_owned();
    match code {
        Some(ErrorCode::DiskFull) => StoreError::Full { path, reason },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Unwritable { path, reason },
        // A row that is not as the schema says, or a table that is gone.
        Some(ErrorCode::Unknown) if reason.contains("no such ") => StoreError::Corrupt { path, reason },
        None => StoreError::Corrupt { path, reason },
        Some(_) => StoreError::Engine { path, doing, source: Arc::new(error) },
    }
}

/// Damage, if the file can be read at all: SQLite takes a read that fails for damage, and nobody should put a sound file aside
/// for it. (Reading it here ends SQLite's own lock on it, which only strangers would notice: ours is on another file.)
pub(super) fn damaged(path: &Path, reason: String) -> StoreError {
    let read = |path: &Path| match File::open(path).and_then(|mut file| io::copy(&mut file, &mut io::sink())) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => Ok(()),
    };
    match read(path).and_then(|()| read(&companion(path, "-wal"))) {
        Ok(()) => StoreError::Corrupt { path: path.to_owned(), reason },
        Err(error) => StoreError::io(path, "reading", error),
    }
}

/// SQLite does not say why it could not make a file, or give it its first bytes; the system does when it is asked for another.
fn make_another(path: &Path) -> io::Result<()> {
    let another = companion(path, "-another");
    let mut file = match private(OpenOptions::new().write(true).create_new(true)).open(&another) {
        // Somebody else is asking, too.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    let written = file.write_all(&[0; 4096]);
    fs::remove_file(&another)?;
    written
}

/// After a failed sync nobody knows which pages the kernel dropped: no later sync proves anything about them.
pub(super) fn is_failed_sync(error: &StoreError) -> bool {
    let StoreError::Engine { source, .. } = error else { return false };
    let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_extended_error_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

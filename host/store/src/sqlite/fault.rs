//! What SQLite says, in the words of the contract.

use std::path::Path;
use std::sync::Arc;

use rusqlite::ffi::{self, ErrorCode};

use crate::StoreError;

/// The meaning of an error on a file.
pub(super) fn fault(path: &Path, doing: &'static str, error: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { path, reason },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { path, reason },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Unwritable { path, reason },
        // A row that is not as the schema says, or a table that is gone.
        Some(ErrorCode::Unknown) if reason.contains("no such ") => StoreError::Corrupt { path, reason },
        None => StoreError::Corrupt { path, reason },
        Some(_) => StoreError::Engine { path, doing, source: Arc::new(error) },
    }
}

/// After a failed sync nobody knows which pages the kernel dropped: no later sync proves anything about them.
pub(super) fn is_failed_sync(error: &StoreError) -> bool {
    let StoreError::Engine { source, .. } = error else { return false };
    let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_extended_error_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

//! The file of the set-up token: whoever may read the state directory may make the first token.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hostler_api::Secret;

/// Its id; no other token's is so short.
pub(super) const ID: &str = "setup";
/// Below the state directory.
pub(super) const FILE: &str = "setup-token";

/// Writes it for its owner alone; it appears whole or not at all.
pub(super) fn write(path: &Path, token: &Secret) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::remove_file(&beside).or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(format!("{}\n", token.reveal()).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// What it says; nothing when it is not there.
pub(super) fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(1_024).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

/// Takes it away. One that stays opens nothing any more.
pub(super) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "the set-up token has done its work, and its file could not be removed");
    }
}

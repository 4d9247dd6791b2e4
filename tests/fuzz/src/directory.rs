//! A directory that is empty for every input.

use std::path::PathBuf;

/// Where inputs that need files have them: in memory, where the machine has such a place.
pub(crate) fn fresh() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("hostler-fuzz-").tempdir_in(place).expect("the directory for temporary files is writable")
}

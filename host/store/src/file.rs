//! Files that are the host's alone, and are there as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hostler_failpoint::failpoint;

use crate::StoreError;

/// Makes a file, readable by its owner only, that appears under its name complete and synced, or not at all.
pub(crate) fn replace_file(file: &Path, fill: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let temporary = temporary(file)?;
    let failed = |error| StoreError::io(file, "writing", error);
    // What an interrupted attempt left behind.
    let _absent = fs::remove_file(&temporary);
    private(OpenOptions::new().write(true).create_new(true)).open(&temporary).map_err(failed)?;
    let replaced = fill(&temporary).and_then(|()| {
        File::open(&temporary).and_then(|written| written.sync_all()).map_err(failed)?;
        failpoint!("store.file.filled");
        fs::rename(&temporary, file).map_err(failed)?;
        failpoint!("store.file.renamed");
        sync_names(file).map_err(failed)
    });
    if replaced.is_err() {
        let _absent = fs::remove_file(&temporary);
    }
    replaced
}

/// Makes durable what files there are beside this one.
pub(crate) fn sync_names(file: &Path) -> io::Result<()> {
    File::open(directory(file)).and_then(|directory| directory.sync_all())
}

fn temporary(file: &Path) -> Result<PathBuf, StoreError> {
    let name = file.file_name().ok_or_else(|| StoreError::Invalid(format!("{} is not the name of a file", file.display())))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(directory(file).join(hidden))
}

/// Where a file is, or would be.
pub(crate) fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Options that make a file for its owner only and follow no link.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
}

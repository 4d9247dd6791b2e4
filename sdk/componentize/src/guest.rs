//! Components on disk.

use crate::BuildError;
use std::path::{Path, PathBuf};

/// One component on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The plugin's name, with dashes; of a crate, its library's.
    pub name: String,
    /// Where it was written.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// False when the file already had these bytes: it was not touched, so nothing that depends on it is rebuilt.
    pub changed: bool,
}

/// Writes a component.
pub(crate) fn write(name: &str, component: &[u8], path: &Path) -> Result<Guest, BuildError> {
    let changed = write_file(path, component)?;
    Ok(Guest { name: name.to_owned(), path: path.to_path_buf(), size: component.len() as u64, changed })
}

/// Writes a file, and says whether it had to. A reader sees the old file or the new one, and a file with these bytes keeps its time.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<bool, BuildError> {
    let changed = std::fs::read(path).ok().as_deref() != Some(bytes);
    if changed {
        let file = path.file_name().unwrap_or_default();
        let partial = path.with_file_name(format!(".{}.partial", file.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(BuildError::io(format!("creating {}", folder.display())))?;
        }
        std::fs::write(&partial, bytes).map_err(BuildError::io(format!("writing {}", partial.display())))?;
        std::fs::rename(&partial, path).map_err(BuildError::io(format!("writing {}", path.display())))?;
    }
    Ok(changed)
}

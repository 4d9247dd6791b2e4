//! `hostler.lock` beside the configuration.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use hostler_api::{Lock, Locked, PluginDetail, routes};

use super::upgrade::is_same_file;
use crate::client::Client;
use crate::error::{Error, failed};

/// The lock beside a configuration, and where it is.
pub(super) fn read(configuration: &Path) -> Result<(PathBuf, Lock), Error> {
    let path = directory(configuration).join(Lock::FILE_NAME);
    let lock = match std::fs::read_to_string(&path) {
        Ok(text) => Lock::read(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(error) => Err(error.to_string()),
    };
    match lock {
        Ok(lock) => Ok((path, lock)),
        Err(why) => Err(failed(format!("{} cannot be read: {why}", path.display()))
            .hint("mend it, or remove it and pin its plugins again with `hostler plugin add`")
            .into()),
    }
}

/// Writes it; one that pins nothing is removed.
pub(super) fn write(path: &Path, lock: &Lock) -> Result<(), Error> {
    let written = if lock.plugins.is_empty() {
        std::fs::remove_file(path).or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    } else {
        replace(path, &lock.text())
    };
    written.map_err(|error| failed(format!("{} cannot be written: {error}", path.display())).into())
}

/// Writes beside and renames: a reader sees the old file or the new one. Where a link leads to it, the link stays.
pub(super) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    if let Ok(about) = std::fs::metadata(path) {
        std::fs::write(&beside, "")?;
        std::fs::set_permissions(&beside, about.permissions())?;
    }
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    // else a power cut may leave an empty file under the old name
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(directory(path))?.sync_all()
}

/// Relative to what the configuration names its files.
pub(super) fn directory(configuration: &Path) -> PathBuf {
    match configuration.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The file that a configuration names was changed in its place, and the plugin upgraded to it: what pinned the old bytes pins the new ones.
pub(super) async fn follow(configuration: &Path, name: &str, component: &Path, digest: &str, client: &Client) -> Result<(), Error> {
    let (path, mut lock) = read(configuration)?;
    let Some(locked) = lock.plugins.get_mut(name) else { return Ok(()) };
    if !is_same_file(&directory(configuration).join(&locked.source), component) {
        return Ok(());
    }
    let bytes = std::fs::read(component).map_err(|error| failed(format!("{} cannot be read: {error}", component.display())))?;
    let (blake3, sha256) = digests(&bytes);
    if blake3 != digest {
        let message = format!("{} was changed while {name} was upgraded to it, and is not pinned", component.display());
        return Err(failed(message).hint(format!("`hostler plugin upgrade {name} FILE` again, once it stays as it is")).into());
    }
    let detail: PluginDetail = client.get(&routes::of(routes::PLUGIN, name)).await?.read()?;
    *locked = Locked { blake3, sha256, imports: detail.plugin.imports, needs: detail.plugin.needs, ..locked.clone() };
    write(&path, &lock)
}

/// blake3 and sha256.
pub(super) fn digests(bytes: &[u8]) -> (String, String) {
    (format!("blake3:{}", blake3::hash(bytes).to_hex()), hostler_server::sha256_of(bytes))
}

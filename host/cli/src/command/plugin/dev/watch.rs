//! A folder, and when something in it was changed that a plugin is made of.
//!
//! It is looked at, not listened to: that works on every file system, and a project has few files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// From one look to the next. Editors write a file in several steps, and people save several files: a round begins after one look without a change.
const EVERY: Duration = Duration::from_millis(250);

/// Folders that tools write.
const OF_TOOLS: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// The ends of files that tools write.
const WRITTEN: [&str; 5] = [".wasm", ".lock", "~", ".partial", "-lock.json"];

/// Time of the last change and size of every source.
type Seen = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Changes of a project's sources.
pub(super) struct Watch {
    dir: PathBuf,
    seen: Seen,
}

impl Watch {
    /// Remembers a folder and all below it, as it is now.
    pub(super) fn of(dir: &Path) -> io::Result<Watch> {
        Ok(Watch { dir: dir.to_owned(), seen: look(dir)? })
    }

    /// Waits until something differs from what was there when this was made or last returned, and has come to rest.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        let mut differs = false;
        loop {
            tokio::time::sleep(EVERY).await;
            let now = look(&self.dir)?;
            let rests = now == self.seen;
            self.seen = now;
            if differs && rests {
                return Ok(());
            }
            differs |= !rests;
        }
    }
}

/// Every source below a folder. What goes away meanwhile is not there.
fn look(dir: &Path) -> io::Result<Seen> {
    let mut seen = Seen::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != dir => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(facts) = entry.metadata() else { continue };
            if facts.is_dir() && is_ours(&name) {
                folders.push(entry.path());
            } else if facts.is_file() && is_ours(&name) && is_source(&name) {
                seen.insert(entry.path(), (facts.modified()?, facts.len()));
            }
        }
    }
    Ok(seen)
}

fn is_ours(name: &str) -> bool {
    !name.starts_with('.') && !OF_TOOLS.contains(&name)
}

/// The service file and what is pinned beside it are the operator's.
fn is_source(name: &str) -> bool {
    !WRITTEN.iter().any(|end| name.ends_with(end)) && !name.starts_with("hostler.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen at all is seen by then.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_tools_write_is_no_source() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let sources = ["src/lib.rs", "app.py", "vendor/sdk/src/lib.rs", "Cargo.toml", "task.json"];
        let others = ["target/debug/x", "mine.wasm", ".mine.wasm.partial", "Cargo.lock", ".git/index", "src/.lib.rs.swp", "a.py~", "hostler.toml"];
        for path in sources.iter().chain(&others) {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("it is writable");
            std::fs::write(path, "x").expect("it is writable");
        }
        let mut expected: Vec<PathBuf> = sources.iter().map(|path| dir.path().join(path)).collect();
        expected.sort();
        let found: Vec<PathBuf> = look(dir.path()).expect("it is there").into_keys().collect();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_change_is_told_once_and_a_build_is_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut watch = Watch::of(dir.path()).expect("it is there");
        std::fs::write(dir.path().join("mine.wasm"), "x").expect("it is writable");
        assert!(tokio::time::timeout(EVERY * 8, watch.changed()).await.is_err(), "a component is no source");
        for text in ["a", "ab", "abc"] {
            std::fs::write(dir.path().join("lib.rs"), text).expect("it is writable");
        }
        tokio::time::timeout(PATIENCE, watch.changed()).await.expect("it was seen").expect("it is there");
        assert!(tokio::time::timeout(EVERY * 8, watch.changed()).await.is_err(), "three writes are one change");
        std::fs::remove_file(dir.path().join("lib.rs")).expect("it is there");
        tokio::time::timeout(PATIENCE, watch.changed()).await.expect("it was seen").expect("it is there");
    }
}

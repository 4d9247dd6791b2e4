//! Components that were chosen by an upgrade, and the ones before them. Their bytes are kept in the state directory, by digest.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hostler_failpoint::failpoint;
use hostler_store::Txn;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PluginTable, Plugins, Why};
use crate::ledger;

/// How many revisions before the one in force are kept.
const KEPT: usize = 3;

/// What a plugin was upgraded to, in place of what the configuration leads to.
///
/// It stands for as long as the configuration leads to the same component: another one there is a newer wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Choice {
    /// blake3 of the component that the configuration led to.
    pub(crate) over: String,
    pub(crate) now: Revision,
    /// Those before it, the latest last.
    pub(crate) before: Vec<Revision>,
    /// It is not proven yet.
    pub(crate) watched: bool,
}

/// One component, and what it was granted beside the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Revision {
    /// blake3, in hexadecimal.
    pub(crate) digest: String,
    /// Where it came from.
    pub(crate) origin: String,
    /// Grants by capability.
    pub(crate) more: Map<String, Value>,
    /// Its own version.
    pub(crate) version: Option<String>,
}

impl Revision {
    /// As people are told.
    pub(crate) fn short(&self) -> String {
        let digest = self.digest.get(..12).unwrap_or(&self.digest);
        let version = self.version.as_ref().map_or_else(String::new, |version| format!("{version}, "));
        format!("{version}blake3:{digest}… from {}", self.origin)
    }
}

impl Choice {
    /// Does it hold for a configuration that leads to this component?
    pub(crate) fn stands_over(&self, base: &str) -> bool {
        base == self.over || base == self.now.digest
    }

    /// What is chosen once this revision follows that one.
    pub(crate) fn after(current: Revision, before: Option<&Choice>, base: &str, now: Revision) -> Choice {
        let mut earlier = before.map(|choice| choice.before.clone()).unwrap_or_default();
        earlier.retain(|revision| revision.digest != now.digest && revision.digest != current.digest);
        earlier.push(current);
        let first = earlier.len().saturating_sub(KEPT);
        Choice { over: base.to_owned(), now, before: earlier.split_off(first), watched: true }
    }

    /// What is chosen once it is gone back from; nothing when that is what the configuration leads to. The revision itself comes first.
    pub(crate) fn back(&self, base: Option<&str>) -> Option<(Revision, Option<Choice>)> {
        let mut before = self.before.clone();
        let target = before.pop()?;
        let is_base = base == Some(target.digest.as_str()) && target.more.is_empty();
        let over = base.unwrap_or(&self.over).to_owned();
        let choice = (!is_base).then(|| Choice { over, now: target.clone(), before, watched: false });
        Some((target, choice))
    }
}

/// Adds what was chosen, or that nothing is.
pub(crate) fn save(txn: Txn, name: &str, chosen: Option<&Choice>) -> Txn {
    let key = format!("revisions/{name}");
    match chosen {
        Some(choice) => txn.put(key, ledger::to_json(choice)),
        None => txn.delete(key),
    }
}

impl Plugins {
    /// Keeps a component, durably. What is kept already stays as it is.
    pub(crate) async fn keep(&self, digest: &str, bytes: Vec<u8>) -> Result<(), String> {
        let (dir, name) = (self.revisions.clone(), format!("{digest}.wasm"));
        let written = tokio::task::spawn_blocking(move || write(&dir, &name, &bytes)).await;
        written.map_err(|error| error.to_string())?.map_err(|error| format!("{} cannot be written: {error}", self.revisions.display()))
    }

    /// Keeps what a file held when it was loaded: an upgrade may come after the file was replaced, and has to find its way back.
    pub(super) async fn keep_base(&self, name: &str, bytes: Vec<u8>) {
        if let Err(why) = self.keep(&super::digest_of(&bytes), bytes).await {
            tracing::warn!(plugin = name, why, "its component cannot be kept; an upgrade of it may not be rolled back");
        }
    }

    /// A component that was kept, or that is built in.
    pub(crate) async fn kept(&self, name: &str, revision: &Revision) -> Result<Vec<u8>, Why> {
        let built_in = self.built_in(name).filter(|built_in| super::digest_of(built_in.component) == revision.digest);
        if let Some(built_in) = built_in {
            return Ok(built_in.component.to_vec());
        }
        let path = self.revisions.join(format!("{}.wasm", revision.digest));
        tokio::fs::read(&path).await.map_err(|error| Why {
            reason: format!("its revision {} cannot be read from {}: {error}", revision.short(), path.display()),
            hint: format!("`hostler plugin rollback {name}` goes back to the one before; `hostler plugin upgrade {name} FILE` installs it anew"),
            refused: true,
        })
    }

    /// Removes components that no plugin has needed for so long: one that was just kept may be about to be chosen.
    pub(crate) async fn let_go(&self, unneeded: Duration) {
        let needed = needed(&self.table());
        let dir = self.revisions.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(&dir, &needed, unneeded)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "components that nobody needs any more could not be removed");
        }
    }
}

fn needed(table: &PluginTable) -> BTreeSet<String> {
    let chosen = table.slots.values().filter_map(|slot| slot.chosen.as_ref());
    let digests = chosen.flat_map(|choice| choice.before.iter().chain([&choice.now])).map(|revision| &revision.digest);
    digests.chain(table.slots.values().filter_map(|slot| slot.base.as_ref())).map(|digest| format!("{digest}.wasm")).collect()
}

fn sweep(dir: &Path, needed: &BTreeSet<String>, unneeded: Duration) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.ends_with(".wasm") || name.ends_with(".part");
        // a time in the future says nothing about age
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if is_ours && !needed.contains(&name) && age >= unneeded {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes beside, syncs and renames: what has the name is whole, whatever falls.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = dir.join(name);
    if std::fs::read(&path).is_ok_and(|kept| kept == bytes) {
        return std::fs::File::open(&path)?.set_modified(SystemTime::now());
    }
    // two plugins may be of one component, and are loaded at the same time
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let beside = dir.join(format!(".{name}.{}.part", COUNT.fetch_add(1, Ordering::Relaxed)));
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    failpoint!("host.plugin.filled");
    std::fs::rename(&beside, &path)?;
    std::fs::File::open(dir)?.sync_all()?;
    failpoint!("host.plugin.kept");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(digest: &str) -> Revision {
        Revision { digest: digest.to_owned(), origin: "somewhere".to_owned(), more: Map::new(), version: None }
    }

    fn digests(choice: &Choice) -> Vec<&str> {
        choice.before.iter().map(|revision| revision.digest.as_str()).collect()
    }

    #[test]
    fn what_nobody_needs_is_let_go_once_it_is_old() {
        let dir = tempfile::tempdir().expect("a directory");
        let there = |name: &str| dir.path().join(name).exists();
        for name in ["old.wasm", "needed.wasm", "kept-again.wasm", "new.wasm"] {
            write(dir.path(), name, b"x").expect("ours");
            let file = std::fs::File::open(dir.path().join(name)).expect("it is there");
            file.set_modified(SystemTime::now() - Duration::from_secs(if name == "new.wasm" { 1 } else { 9_000 })).expect("ours");
        }
        write(dir.path(), "kept-again.wasm", b"x").expect("ours");
        let needed = BTreeSet::from(["needed.wasm".to_owned()]);
        sweep(dir.path(), &needed, Duration::from_secs(3_600)).expect("readable");
        assert_eq!(["old.wasm", "needed.wasm", "kept-again.wasm", "new.wasm"].map(there), [false, true, true, true]);
        sweep(dir.path(), &needed, Duration::ZERO).expect("readable");
        assert_eq!(["needed.wasm", "kept-again.wasm", "new.wasm"].map(there), [true, false, false]);
    }

    #[test]
    fn one_component_is_kept_for_many_at_the_same_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let bytes = vec![7; 4 << 20];
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8).map(|_| scope.spawn(|| write(dir.path(), "one.wasm", &bytes))).collect();
            for writer in writers {
                writer.join().expect("it does not panic").expect("written");
            }
        });
        assert!(std::fs::read(dir.path().join("one.wasm")).expect("it is there") == bytes);
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn each_upgrade_remembers_what_was_before_it() {
        let first = Choice::after(revision("base"), None, "base", revision("one"));
        let second = Choice::after(revision("one"), Some(&first), "base", revision("two"));
        assert_eq!(digests(&second), ["base", "one"]);
        let fourth = (3..=4).fold(second, |last, n| Choice::after(last.now.clone(), Some(&last), "base", revision(&n.to_string())));
        assert_eq!(digests(&fourth), ["one", "two", "3"], "the oldest is let go");
        let again = Choice::after(revision("4"), Some(&fourth), "base", revision("two"));
        assert_eq!(digests(&again), ["one", "3", "4"], "what is in force is not before itself");
    }

    #[test]
    fn going_back_ends_at_the_configuration() {
        let first = Choice::after(revision("base"), None, "base", revision("one"));
        let second = Choice::after(revision("one"), Some(&first), "base", revision("two"));
        let (target, choice) = second.back(Some("base")).expect("there is one before");
        assert_eq!(target.digest, "one");
        let choice = choice.expect("it is not what the configuration says");
        assert_eq!((choice.now.digest.as_str(), digests(&choice)), ("one", vec!["base"]));
        let (target, choice) = choice.back(Some("base")).expect("there is one before");
        assert_eq!((target.digest.as_str(), choice), ("base", None));
    }

    #[test]
    fn what_was_granted_beside_the_configuration_is_no_part_of_it() {
        let more = serde_json::from_str(r#"{ "state": {} }"#).expect("an object");
        let wider = Revision { more, ..revision("base") };
        let first = Choice::after(revision("base"), None, "base", wider.clone());
        let second = Choice::after(wider.clone(), Some(&first), "base", revision("one"));
        let (target, choice) = second.back(Some("base")).expect("there is one before");
        assert_eq!((&target, choice.map(|choice| choice.now)), (&wider, Some(wider.clone())));
    }

    #[test]
    fn another_component_in_the_configuration_is_a_newer_wish() {
        let choice = Choice::after(revision("base"), None, "base", revision("one"));
        assert!(choice.stands_over("base") && choice.stands_over("one") && !choice.stands_over("other"));
    }
}

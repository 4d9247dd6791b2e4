//! From what the configuration says to plugins that can be called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use futures_util::stream::{self, StreamExt};
use hostler_api::Lock;
use hostler_api::config::{self, PluginEntry, Source};
use hostler_core::{Problem, pointer_key};
use hostler_wasm::{Grants, Limits, LoadError, MAX_COMPONENT_BYTES, Plugin, PluginSource};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::entry::Named;
use super::{BuiltIn, Choice, PluginTable, Plugins, Revision, Slot, Why};

/// How many plugins are loaded at a time.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Plugins {
    /// Loads what a configuration names, as far as it is not loaded already. Mistakes are added to `problems`; what cannot be loaded
    /// stands in the table with its reason.
    pub(crate) async fn prepare(
        &self,
        entries: &BTreeMap<String, PluginEntry>,
        built_in: Option<&[String]>,
        base_dir: &Path,
        problems: &mut Vec<Problem>,
    ) -> PluginTable {
        let lock = read_lock(base_dir, problems).await;
        let wanted = self.with_built_ins(entries, built_in, base_dir, problems);
        let before = self.table();
        let mut table = PluginTable { edition: before.edition, ..PluginTable::default() };
        let loading = wanted.into_iter().map(async |(name, entry)| {
            let is_file = entry.source != Source::BuiltIn;
            let locked = lock.plugins.get(&name).filter(|_| is_file).map(|locked| locked.blake3.clone());
            let named = Named { entry, locked, leaving: false };
            let slot = self.slot_of(&name, named, before.slots.get(&name)).await;
            (name, slot)
        });
        // What is compiled for the first time takes its time: as many at once as there are cores.
        for (name, slot) in stream::iter(loading).buffered(at_once()).collect::<Vec<_>>().await {
            if let (Err(why), true) = (&slot.state, entries.contains_key(&name)) {
                problems.push(Problem::new(format!("/plugins/{}", pointer_key(&name)), why.reason.clone()).hint(why.hint.clone()));
            }
            table.slots.insert(name, slot);
        }
        table
    }

    /// Loads what the last configuration named; a plugin that is gone meanwhile stands in the table with its reason.
    pub(crate) async fn reload(&self, stored: BTreeMap<String, Named>, mut chosen: BTreeMap<String, Choice>) {
        let mut problems = Vec::new();
        let fresh = |entry| Named { entry, locked: None, leaving: false };
        let named = if stored.is_empty() {
            let entries = self.with_built_ins(&BTreeMap::new(), None, Path::new("/"), &mut problems);
            entries.into_iter().map(|(name, entry)| (name, fresh(entry))).collect()
        } else {
            stored
        };
        let mut table = PluginTable::default();
        let loading = named.into_iter().map(|(name, named)| (chosen.remove(&name), name, named)).map(async |(choice, name, named)| {
            let read = self.bytes(&name, &named.entry.source).await;
            let base = read.as_ref().ok().map(|(bytes, _)| digest_of(bytes));
            // What was chosen needs nothing of what it was chosen over.
            let choice = choice.filter(|choice| base.as_ref().is_none_or(|base| choice.stands_over(base)));
            let slot = self.loaded(&name, named, base, choice, read).await;
            (name, slot)
        });
        for (name, slot) in stream::iter(loading).buffered(at_once()).collect::<Vec<_>>().await {
            if let Err(why) = &slot.state {
                tracing::error!(plugin = name, reason = why.reason, "a plugin cannot be used");
            }
            table.slots.insert(name, slot);
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// One plugin of a configuration. What is the same as before stays as it is.
    async fn slot_of(&self, name: &str, named: Named, before: Option<&Slot>) -> Slot {
        let read = self.bytes(name, &named.entry.source).await;
        let base = read.as_ref().ok().map(|(bytes, _)| digest_of(bytes));
        // the file may have become what was chosen over it: that is in force already, and watched under this very load
        let leads_there = |slot: &Slot| slot.base == base || slot.chosen.as_ref().map(|choice| &choice.now.digest) == base.as_ref();
        if let Some(same) = before.filter(|slot| slot.named == named && slot.state.is_ok() && base.is_some() && leads_there(slot)) {
            return Slot { base, ..same.clone() };
        }
        let choice = before.and_then(|slot| slot.chosen.clone()).filter(|choice| base.as_ref().is_some_and(|base| choice.stands_over(base)));
        self.loaded(name, named, base, choice, read).await
    }

    async fn loaded(&self, name: &str, named: Named, base: Option<String>, chosen: Option<Choice>, read: Result<(Vec<u8>, String), Why>) -> Slot {
        let state = match (&chosen, read) {
            (Some(choice), Ok((bytes, _))) => match check_pins(name, &named, &bytes) {
                Ok(()) => self.load_revision(name, &named.entry, base.as_deref(), &choice.now).await,
                Err(why) => Err(why),
            },
            (Some(choice), Err(_)) => self.load_revision(name, &named.entry, base.as_deref(), &choice.now).await,
            (None, Ok((bytes, origin))) => match check_pins(name, &named, &bytes) {
                Ok(()) => {
                    let loaded = self.load(name, &named.entry, bytes.clone(), origin, None).await.map_err(|error| why(name, &error));
                    if loaded.is_ok() && named.entry.source != Source::BuiltIn {
                        self.keep_base(name, bytes).await;
                    }
                    loaded
                }
                Err(why) => Err(why),
            },
            (None, Err(why)) => Err(why),
        };
        Slot { named, base, chosen, note: None, state }
    }

    /// Loads a component that is kept, or that the configuration leads to.
    pub(crate) async fn load_revision(&self, name: &str, entry: &PluginEntry, base: Option<&str>, revision: &Revision) -> Result<Arc<Plugin>, Why> {
        let is_it = |bytes: &Vec<u8>| digest_of(bytes) == revision.digest;
        let named = match base == Some(revision.digest.as_str()) {
            true => self.bytes(name, &entry.source).await.ok().map(|(bytes, _)| bytes).filter(is_it),
            false => None,
        };
        // The file may have been replaced since; what it held when it was loaded is kept.
        let bytes = match named {
            Some(bytes) => bytes,
            None => self.kept(name, revision).await?,
        };
        if !is_it(&bytes) {
            return Err(Why {
                reason: format!("its revision {} is not what it was any more: the file was changed", revision.short()),
                hint: format!("`hostler plugin rollback {name}` goes back to the one before; `hostler plugin upgrade {name} FILE` installs it anew"),
                refused: true,
            });
        }
        let loaded = self.load(name, entry, bytes, revision.origin.clone(), Some(&revision.more)).await;
        loaded.map_err(|error| why(name, &error))
    }

    /// Loads a component under what an entry says.
    pub(crate) async fn load(
        &self,
        name: &str,
        entry: &PluginEntry,
        bytes: Vec<u8>,
        origin: String,
        more: Option<&Map<String, Value>>,
    ) -> Result<Arc<Plugin>, LoadError> {
        let unreadable = |what: &str, error: serde_json::Error| LoadError::Grant {
            name: name.to_owned(),
            why: format!("its {what} cannot be read: {error}; see [plugins.{name}.{what}]"),
        };
        let grants: Grants = serde_json::from_value(self.granted(name, entry, more).0).map_err(|error| unreadable("grants", error))?;
        let limits = entry.limits.clone().unwrap_or_else(|| json!({}));
        let limits: Limits = serde_json::from_value(limits).map_err(|error| unreadable("limits", error))?;
        let config = entry.config.clone().unwrap_or(Value::Null);
        let source = PluginSource { name: name.to_owned(), bytes, origin, config, grants, limits, expected_digest: None };
        self.runtime.load(source).await
    }

    /// Looks at a component without granting it anything.
    pub(crate) async fn examine(&self, name: &str, bytes: Vec<u8>, origin: String) -> Result<Arc<Plugin>, LoadError> {
        let (config, grants, limits) = (Value::Null, Grants::default(), Limits::default());
        self.runtime.examine(PluginSource { name: name.to_owned(), bytes, origin, config, grants, limits, expected_digest: None }).await
    }

    fn built_in_names(&self) -> String {
        if self.built_ins.is_empty() { "none".to_owned() } else { self.built_ins.iter().map(|built_in| built_in.name).collect::<Vec<_>>().join(", ") }
    }

    /// The built-in plugins that are to be loaded, with what the configuration says of them, and the files it names.
    fn with_built_ins(
        &self,
        entries: &BTreeMap<String, PluginEntry>,
        built_in: Option<&[String]>,
        base_dir: &Path,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<String, PluginEntry> {
        let mut wanted: BTreeMap<String, PluginEntry> = BTreeMap::new();
        for name in built_in.into_iter().flatten() {
            if self.built_in(name).is_none() {
                problems.push(
                    Problem::new("/settings/built_in_plugins", format!("there is no built-in plugin `{name}`"))
                        .hint(format!("there are: {}", self.built_in_names())),
                );
            }
        }
        for BuiltIn { name, .. } in self.built_ins {
            if built_in.is_none_or(|names| names.iter().any(|chosen| chosen == *name)) {
                wanted.insert((*name).to_owned(), PluginEntry { source: Source::BuiltIn, digest: None, config: None, grants: None, limits: None });
            }
        }
        for (name, entry) in entries {
            let mut entry = entry.clone();
            match &mut entry.source {
                Source::File(path) => *path = config::absolute(path, base_dir).to_string_lossy().into_owned(),
                Source::BuiltIn if self.built_in(name).is_some() => {}
                Source::BuiltIn => {
                    let problem = Problem::new(format!("/plugins/{}/source", pointer_key(name)), format!("there is no built-in plugin `{name}`"));
                    problems.push(
                        problem.hint(format!("write where its component is: source = \"./{name}.wasm\"; built in are: {}", self.built_in_names())),
                    );
                    continue;
                }
            }
            wanted.insert(name.clone(), entry);
        }
        wanted
    }

    /// The component that an entry leads to, and where it came from.
    pub(crate) async fn bytes(&self, name: &str, source: &Source) -> Result<(Vec<u8>, String), Why> {
        match source {
            Source::BuiltIn => {
                let built_in = self.built_in(name).ok_or_else(|| Why {
                    reason: format!("there is no built-in plugin `{name}`"),
                    hint: format!("built in are: {}", self.built_in_names()),
                    refused: false,
                })?;
                Ok((built_in.component.to_vec(), "built-in".to_owned()))
            }
            Source::File(path) => match read_file(path.into()).await {
                Ok(bytes) => Ok((bytes, path.clone())),
                Err(reason) => Err(Why {
                    reason: format!("its file {path} cannot be read: {reason}"),
                    hint: format!("put the component there, or change `source` of [plugins.{name}]"),
                    refused: true,
                }),
            },
        }
    }
}

/// Reads a component, unless it is none by its size or kind.
pub(crate) async fn read_file(path: PathBuf) -> Result<Vec<u8>, String> {
    let about = tokio::fs::metadata(&path).await.map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    if about.len() > MAX_COMPONENT_BYTES {
        return Err(format!("its {} bytes are too many for a component", about.len()));
    }
    tokio::fs::read(&path).await.map_err(|error| error.to_string())
}

/// blake3, in hexadecimal.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Is it the component that the configuration and the lock expect?
fn check_pins(name: &str, named: &Named, bytes: &[u8]) -> Result<(), Why> {
    if let Some(expected) = &named.entry.digest {
        let actual = if expected.starts_with("sha256:") { sha256_of(bytes) } else { format!("blake3:{}", digest_of(bytes)) };
        if actual != *expected {
            let reason = format!("its digest is {actual}, and {expected} was expected");
            return Err(Why { reason, hint: format!("if the change is wanted, put the new digest into [plugins.{name}]"), refused: true });
        }
    }
    let Some(locked) = &named.locked else { return Ok(()) };
    let actual = format!("blake3:{}", digest_of(bytes));
    if actual == *locked {
        return Ok(());
    }
    Err(Why {
        reason: format!("its digest is {actual}, and hostler.lock pins {locked}"),
        hint: format!("if the change is wanted, `hostler plugin add {name} FILE` shows what it is and pins it anew; else put the old component back"),
        refused: true,
    })
}

/// `sha256:…`
pub fn sha256_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing into a string cannot fail");
    }
    text
}

/// Largest lock that is read, in bytes: some hundred for each plugin.
const LARGEST_LOCK: u64 = 4 << 20;

/// What is pinned beside a configuration; nothing when there is no lock.
async fn read_lock(base_dir: &Path, problems: &mut Vec<Problem>) -> Lock {
    let path = base_dir.join(Lock::FILE_NAME);
    let read = match tokio::fs::metadata(&path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Lock::default(),
        Err(error) => Err(error.to_string()),
        Ok(about) if !about.is_file() => Err("it is not a file".to_owned()),
        Ok(about) if about.len() > LARGEST_LOCK => Err(format!("its {} bytes are too many", about.len())),
        Ok(_) => tokio::fs::read_to_string(&path).await.map_err(|error| error.to_string()).and_then(|text| Lock::read(&text)),
    };
    read.unwrap_or_else(|why| {
        let problem = Problem::new("/plugins", format!("{} cannot be read: {why}", path.display()));
        problems.push(problem.hint("it pins the components of plugins: mend it, or remove it and pin them again with `hostler plugin add`"));
        Lock::default()
    })
}

/// Why a component does not load, in the words of the configuration.
pub(crate) fn why(name: &str, error: &LoadError) -> Why {
    let text = error.to_string();
    let text = text.strip_prefix(&format!("plugin `{name}`: ")).unwrap_or(&text).to_owned();
    match error {
        LoadError::NotGranted { missing, stanza, .. } => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let reason = format!("it needs {}, which it was not granted", missing.join(", "));
            Why { reason, hint: format!("if you trust it, add this and make it as narrow as you can:\n{stanza}"), refused: true }
        }
        _ => Why { reason: text, hint: format!("see [plugins.{name}] and docs/PLUGINS.md"), refused: true },
    }
}

//! The plugins a host has: built-in ones with their visible default grants, and files that the configuration names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use hostler_api::config::{self, PluginEntry, Source};
use hostler_core::{Problem, closest, pointer_key};
use hostler_store::Txn;
use hostler_wasm::{Grants, Limits, LoadError, MAX_COMPONENT_BYTES, Plugin, PluginSource, Runtime};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ledger;

/// Name and component of each plugin in the program itself.
pub type BuiltIns = &'static [(&'static str, &'static [u8])];

/// What a built-in plugin is granted when the configuration does not say otherwise. They are shown by `hostler plugin list --verbose`.
fn default_grants(name: &str) -> Value {
    match name {
        "process" => json!({ "processes": { "programs": ["*"], "users": ["*"] } }),
        "http" => json!({ "http": { "hosts": ["*"], "methods": ["*"], "private": "allow" } }),
        "tcp" => json!({ "tcp": { "connect": ["*:*"] } }),
        "command" => json!({ "commands": { "programs": ["*"] }, "task-exec": true }),
        "script" => json!({ "commands": { "programs": ["*"] } }),
        _ => json!({}),
    }
}

/// One plugin by name: loaded, or why not.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) entry: PluginEntry,
    pub(crate) state: Result<Arc<Plugin>, Why>,
}

/// Why a plugin cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) reason: String,
    pub(crate) hint: String,
    /// It is there, and was refused.
    pub(crate) refused: bool,
}

/// All plugins by name.
#[derive(Clone, Default)]
pub(crate) struct PluginTable {
    pub(crate) slots: BTreeMap<String, Slot>,
}

impl PluginTable {
    /// A plugin that can be called.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Plugin>, Why> {
        match self.slots.get(name) {
            Some(slot) => slot.state.clone(),
            None => Err(self.missing(name)),
        }
    }

    fn missing(&self, name: &str) -> Why {
        let near = closest(name, self.slots.keys().map(String::as_str)).map_or(String::new(), |near| format!("did you mean `{near}`? Else "));
        Why {
            reason: format!("there is no plugin `{name}`"),
            hint: format!("{near}add its component: [plugins.{name}] source = \"./{name}.wasm\"; known here: {}", self.names()),
            refused: false,
        }
    }

    fn names(&self) -> String {
        if self.slots.is_empty() { "none".to_owned() } else { self.slots.keys().cloned().collect::<Vec<_>>().join(", ") }
    }

    /// Adds what must be there tomorrow.
    pub(crate) fn save(&self, txn: Txn) -> Txn {
        let put = |txn: Txn, (name, slot): (&String, &Slot)| txn.put(format!("plugins/{name}"), ledger::to_json(&stored(&slot.entry)));
        self.slots.iter().fold(txn, put)
    }
}

/// What the host can call.
pub(crate) struct Plugins {
    runtime: Arc<Runtime>,
    built_ins: BuiltIns,
    table: RwLock<PluginTable>,
}

fn is_held(plugin: &Plugin) -> bool {
    let imports = plugin.permissions();
    !imports.is_empty() && imports.iter().all(|import| import.starts_with("hostler:host/processes@"))
}

impl Plugins {
    /// Nothing is loaded yet.
    pub(crate) fn new(runtime: Arc<Runtime>, built_ins: BuiltIns) -> Plugins {
        Plugins { runtime, built_ins, table: RwLock::default() }
    }

    /// The plugin of that name, when it can be called.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Plugin>> {
        self.read().slots.get(name).and_then(|slot| slot.state.as_ref().ok().cloned())
    }

    /// Every backend, and whether the keeper holds all that it runs: of what reaches out of the sandbox it imports `processes` alone.
    pub(crate) fn backends(&self) -> Vec<(String, bool)> {
        let table = self.read();
        let loaded = table.slots.iter().filter_map(|(name, slot)| Some((name, slot.state.as_ref().ok()?)));
        loaded.filter(|(_, plugin)| plugin.backend().is_some()).map(|(name, plugin)| (name.clone(), is_held(plugin))).collect()
    }

    /// Does the keeper hold everything that this plugin has tasks in? Then nothing of them outlives the machine.
    pub(crate) fn is_held(&self, name: &str) -> bool {
        self.get(name).is_some_and(|plugin| is_held(&plugin))
    }

    /// Why [`get`](Plugins::get) has nothing.
    pub(crate) fn why_not(&self, name: &str) -> String {
        self.read().get(name).err().map_or_else(|| "it was just replaced".to_owned(), |why| why.reason)
    }

    /// The table in force.
    pub(crate) fn table(&self) -> PluginTable {
        self.read().clone()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, PluginTable> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads what a configuration names, as far as it is not loaded already. Mistakes are added to `problems`; what cannot be loaded
    /// stands in the table with its reason.
    pub(crate) async fn prepare(
        &self,
        entries: &BTreeMap<String, PluginEntry>,
        built_in: Option<&[String]>,
        base_dir: &Path,
        problems: &mut Vec<Problem>,
    ) -> PluginTable {
        let wanted = self.with_built_ins(entries, built_in, base_dir, problems);
        let before = self.table();
        let mut table = PluginTable::default();
        for (name, entry) in wanted {
            let same = before.slots.get(&name).filter(|slot| slot.entry == entry && slot.state.is_ok() && !is_file(&entry));
            let slot = match same {
                Some(slot) => slot.clone(),
                None => Slot { state: self.load(&name, &entry).await, entry },
            };
            if let (Err(why), true) = (&slot.state, entries.contains_key(&name)) {
                problems.push(Problem::new(format!("/plugins/{}", pointer_key(&name)), why.reason.clone()).hint(why.hint.clone()));
            }
            table.slots.insert(name, slot);
        }
        table
    }

    /// Loads what the last configuration named; a plugin that is gone meanwhile stands in the table with its reason.
    pub(crate) async fn reload(&self, stored: BTreeMap<String, PluginEntry>) {
        let mut problems = Vec::new();
        let entries = if stored.is_empty() { self.with_built_ins(&stored, None, Path::new("/"), &mut problems) } else { stored };
        let mut table = PluginTable::default();
        for (name, entry) in entries {
            let state = self.load(&name, &entry).await;
            if let Err(why) = &state {
                tracing::error!(plugin = name, reason = why.reason, "a plugin cannot be used");
            }
            table.slots.insert(name, Slot { entry, state });
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Those in force that this table does not have any more.
    pub(crate) fn removed_by(&self, table: &PluginTable) -> Vec<String> {
        self.read().slots.keys().filter(|name| !table.slots.contains_key(*name)).cloned().collect()
    }

    /// Puts a table into force; says which plugins can be called now, and which not.
    pub(crate) fn swap(&self, table: PluginTable) -> Vec<(String, Option<String>)> {
        let mut news: Vec<(String, Option<String>)> =
            table.slots.iter().map(|(name, slot)| (name.clone(), slot.state.as_ref().err().map(|why| why.reason.clone()))).collect();
        news.extend(self.removed_by(&table).into_iter().map(|name| (name.clone(), Some(format!("plugin `{name}` was removed")))));
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        news
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
            if !self.built_ins.iter().any(|(known, _)| known == name) {
                problems.push(
                    Problem::new("/settings/built_in_plugins", format!("there is no built-in plugin `{name}`"))
                        .hint(format!("there are: {}", self.built_in_names())),
                );
            }
        }
        for (name, _) in self.built_ins {
            if built_in.is_none_or(|names| names.iter().any(|chosen| chosen == name)) {
                wanted.insert((*name).to_owned(), PluginEntry { source: Source::BuiltIn, digest: None, config: None, grants: None, limits: None });
            }
        }
        for (name, entry) in entries {
            let mut entry = entry.clone();
            match &mut entry.source {
                Source::File(path) => *path = config::absolute(path, base_dir).to_string_lossy().into_owned(),
                Source::BuiltIn if self.built_ins.iter().any(|(known, _)| known == name) => {}
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

    fn built_in_names(&self) -> String {
        if self.built_ins.is_empty() { "none".to_owned() } else { self.built_ins.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ") }
    }

    async fn load(&self, name: &str, entry: &PluginEntry) -> Result<Arc<Plugin>, Why> {
        let (bytes, origin) = self.bytes(name, &entry.source).await?;
        let expected_digest = match &entry.digest {
            Some(digest) if digest.starts_with("sha256:") => {
                check_sha256(name, &bytes, digest)?;
                None
            }
            other => other.clone(),
        };
        let is_default = entry.grants.is_none() && entry.source == Source::BuiltIn;
        let grants = if is_default { default_grants(name) } else { entry.grants.clone().unwrap_or_else(|| json!({})) };
        let grants: Grants = typed("grants", name, grants)?;
        let limits: Limits = typed("limits", name, entry.limits.clone().unwrap_or_else(|| json!({})))?;
        let config = entry.config.clone().unwrap_or(Value::Null);
        let source = PluginSource { name: name.to_owned(), bytes, origin, config, grants, limits, expected_digest };
        self.runtime.load(source).await.map_err(|error| why(name, &error))
    }

    async fn bytes(&self, name: &str, source: &Source) -> Result<(Vec<u8>, String), Why> {
        match source {
            Source::BuiltIn => {
                let found = self.built_ins.iter().find(|(known, _)| *known == name);
                let (_, bytes) = found.ok_or_else(|| Why {
                    reason: format!("there is no built-in plugin `{name}`"),
                    hint: format!("built in are: {}", self.built_in_names()),
                    refused: false,
                })?;
                Ok((bytes.to_vec(), "built-in".to_owned()))
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

/// A file may have changed under the same name, so it is read again at each apply.
fn is_file(entry: &PluginEntry) -> bool {
    matches!(entry.source, Source::File(_))
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, String> {
    let about = tokio::fs::metadata(&path).await.map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    if about.len() > MAX_COMPONENT_BYTES {
        return Err(format!("its {} bytes are too many for a component", about.len()));
    }
    tokio::fs::read(&path).await.map_err(|error| error.to_string())
}

fn check_sha256(name: &str, bytes: &[u8], expected: &str) -> Result<(), Why> {
    use std::fmt::Write;
    let mut actual = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        write!(actual, "{byte:02x}").expect("writing into a string cannot fail");
    }
    if actual == expected {
        return Ok(());
    }
    let reason = format!("its digest is {actual}, and {expected} was expected");
    Err(Why { reason, hint: format!("if the change is wanted, put the new digest into [plugins.{name}]"), refused: true })
}

fn typed<T: serde::de::DeserializeOwned>(what: &str, name: &str, value: Value) -> Result<T, Why> {
    serde_json::from_value(value).map_err(|error| Why {
        reason: format!("its {what} cannot be read: {error}"),
        hint: format!("see [plugins.{name}.{what}]"),
        refused: true,
    })
}

fn why(name: &str, error: &LoadError) -> Why {
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

/// An entry as it stands in the store: the words of the configuration.
fn stored(entry: &PluginEntry) -> Value {
    let source = match &entry.source {
        Source::BuiltIn => "built-in".to_owned(),
        Source::File(path) => path.clone(),
    };
    json!({ "source": source, "digest": entry.digest, "config": entry.config, "grants": entry.grants, "limits": entry.limits })
}

/// Reads what [`stored`] wrote.
pub(crate) fn read_stored(value: &Value) -> PluginEntry {
    let table = |key: &str| value.get(key).filter(|value| !value.is_null()).cloned();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let source = match text("source") {
        Some(path) if path != "built-in" => Source::File(path),
        Some(_) | None => Source::BuiltIn,
    };
    PluginEntry { source, digest: text("digest"), config: table("config"), grants: table("grants"), limits: table("limits") }
}

/// What a plugin may do, by capability.
pub(crate) fn grants_of(slot: &Slot, name: &str) -> (BTreeMap<String, Value>, bool) {
    let default = slot.entry.grants.is_none() && slot.entry.source == Source::BuiltIn;
    let grants = match &slot.state {
        Ok(plugin) => serde_json::to_value(plugin.grants()).unwrap_or_default(),
        Err(_) if default => default_grants(name),
        Err(_) => slot.entry.grants.clone().unwrap_or_default(),
    };
    let map = grants.as_object().cloned().unwrap_or_default();
    (map.into_iter().collect(), default)
}

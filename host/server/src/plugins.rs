//! The plugins a host has: built-in ones with their visible default grants, files that the configuration names, and what either was
//! upgraded to.
//!
//! - `entry`: what the configuration says of a plugin, and what of it is kept.
//! - `load`: from there to plugins that can be called.
//! - `revisions`: components that were chosen by an upgrade, and the ones before them.

mod entry;
mod load;
mod revisions;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hostler_api::config::{PluginEntry, Source};
use hostler_core::closest;
use hostler_store::Txn;
use hostler_wasm::{Plugin, Runtime};
use serde_json::{Map, Value, json};

use crate::ledger;

pub(crate) use entry::{Named, read_stored};
pub use load::sha256_of;
pub(crate) use load::{digest_of, read_file};
pub(crate) use revisions::{Choice, Revision};

/// A plugin in the program itself.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// What the configuration calls it.
    pub name: &'static str,
    /// Its component.
    pub component: &'static [u8],
    /// What it is granted when the configuration does not say otherwise: `[plugins.NAME.grants]` as a JSON object.
    /// `hostler plugin list --verbose` shows it.
    pub grants: &'static str,
}

/// The plugins in the program itself.
pub type BuiltIns = &'static [BuiltIn];

/// One plugin by name: loaded, or why not.
#[derive(Clone)]
pub(crate) struct Slot {
    /// What the configuration says of it.
    pub(crate) named: Named,
    /// blake3 of the component that the configuration leads to; nothing when that cannot be read.
    pub(crate) base: Option<String>,
    /// What it was upgraded to, in place of that.
    pub(crate) chosen: Option<Choice>,
    /// How its last upgrade went, when that went wrong.
    pub(crate) note: Option<String>,
    pub(crate) state: Result<Arc<Plugin>, Why>,
}

impl Slot {
    /// Where what is loaded came from.
    pub(crate) fn origin(&self) -> String {
        match (&self.chosen, &self.named.entry.source) {
            (Some(choice), _) => choice.now.origin.clone(),
            (None, Source::BuiltIn) => "built-in".to_owned(),
            (None, Source::File(path)) => path.clone(),
        }
    }

    /// Is it the very same revision that this one is?
    pub(crate) fn is_now(&self, plugin: Option<&Arc<Plugin>>) -> bool {
        match (self.state.as_ref().ok(), plugin) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (None, None) => true,
            _ => false,
        }
    }
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
    /// Counted up by every upgrade: a table that was made before one must not replace the one with it.
    pub(crate) edition: u64,
}

impl PluginTable {
    /// A plugin that can be called.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Plugin>, Why> {
        match self.slots.get(name) {
            Some(slot) => slot.state.clone(),
            None => Err(self.missing(name)),
        }
    }

    /// Keeps a plugin that the configuration has no longer, for the tasks that it has.
    pub(crate) fn keep_for_its_tasks(&mut self, name: String, mut slot: Slot) {
        slot.named.leaving = true;
        self.slots.insert(name, slot);
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
        self.slots.iter().fold(txn, |txn, (name, slot)| {
            let txn = txn.put(format!("plugins/{name}"), ledger::to_json(&entry::stored(&slot.named)));
            revisions::save(txn, name, slot.chosen.as_ref())
        })
    }
}

/// What the host can call.
pub(crate) struct Plugins {
    runtime: Arc<Runtime>,
    built_ins: BuiltIns,
    /// Where components are kept that were chosen by an upgrade.
    revisions: PathBuf,
    table: RwLock<PluginTable>,
    /// Those that are being upgraded or rolled back.
    revising: Mutex<BTreeSet<String>>,
    /// How they stood their calls.
    standing: standing::Standing,
}

/// As long as it is there, nobody else revises the same plugin.
pub(crate) struct Revising {
    plugins: Arc<Plugins>,
    name: String,
}

impl Drop for Revising {
    fn drop(&mut self) {
        self.plugins.revising.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

fn is_held(plugin: &Plugin) -> bool {
    let imports = plugin.permissions();
    !imports.is_empty() && imports.iter().all(|import| import.starts_with("hostler:host/processes@"))
}

impl Plugins {
    /// Nothing is loaded yet.
    pub(crate) fn new(runtime: Arc<Runtime>, built_ins: BuiltIns, revisions: PathBuf) -> Plugins {
        Plugins { runtime, built_ins, revisions, table: RwLock::default(), revising: Mutex::default(), standing: standing::Standing::default() }
    }

    /// The plugin of that name, when it can be called.
    /// Says what calls about workspaces may reach.
    pub(crate) fn keep_networks(&self, policies: Arc<dyn hostler_wasm::NetworkPolicies>) {
        self.runtime.keep_networks(policies);
    }

    /// One that can be called.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Plugin>> {
        self.read().slots.get(name).and_then(|slot| slot.state.as_ref().ok().cloned())
    }

    /// All about the plugin of that name.
    pub(crate) fn slot(&self, name: &str) -> Option<Slot> {
        self.read().slots.get(name).cloned()
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

    /// What a plugin may do, by capability, and whether that is the default.
    pub(crate) fn grants_of(&self, name: &str, slot: &Slot) -> (BTreeMap<String, Value>, bool) {
        let (written, is_default) = self.granted(name, &slot.named.entry, slot.chosen.as_ref().map(|choice| &choice.now.more));
        let grants = slot.state.as_ref().map_or(written, |plugin| serde_json::to_value(plugin.grants()).unwrap_or_default());
        (grants.as_object().cloned().unwrap_or_default().into_iter().collect(), is_default)
    }

    /// What an entry grants, with what an upgrade was granted beside it; and whether that is the default of a built-in plugin.
    pub(crate) fn granted(&self, name: &str, entry: &PluginEntry, more: Option<&Map<String, Value>>) -> (Value, bool) {
        let built_in = self.built_in(name).filter(|_| entry.source == Source::BuiltIn);
        let (mut grants, is_default) = match (&entry.grants, built_in) {
            (Some(grants), _) => (grants.clone(), false),
            (None, Some(built_in)) => (serde_json::from_str(built_in.grants).unwrap_or_else(|_| built_in.grants.into()), true),
            (None, None) => (json!({}), false),
        };
        let Some(more) = more.filter(|more| !more.is_empty()) else { return (grants, is_default) };
        if let Some(grants) = grants.as_object_mut() {
            grants.extend(more.clone());
        }
        (grants, false)
    }

    /// Takes the right to revise a plugin; nothing when somebody else has it.
    pub(crate) fn begin_revising(self: &Arc<Self>, name: &str) -> Option<Revising> {
        let is_first = self.revising.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        is_first.then(|| Revising { plugins: Arc::clone(self), name: name.to_owned() })
    }

    fn built_in(&self, name: &str) -> Option<&'static BuiltIn> {
        self.built_ins.iter().find(|built_in| built_in.name == name)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, PluginTable> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those in force that this table does not have any more.
    pub(crate) fn removed_by(&self, table: &PluginTable) -> Vec<String> {
        self.read().slots.keys().filter(|name| !table.slots.contains_key(*name)).cloned().collect()
    }

    /// Those that stay for their last tasks alone.
    pub(crate) fn leaving(&self) -> Vec<String> {
        self.read().slots.iter().filter(|(_, slot)| slot.named.leaving).map(|(name, _)| name.clone()).collect()
    }

    /// Takes out one that stayed for tasks that are gone now.
    pub(crate) fn take_out(&self, name: &str) {
        self.standing.forget(name);
        self.table.write().unwrap_or_else(PoisonError::into_inner).slots.remove(name);
    }

    /// Those whose upgrade this table leaves behind, because the configuration leads to another component now.
    pub(crate) fn reset_by(&self, table: &PluginTable) -> Vec<String> {
        let is_reset = |name: &String| table.slots.get(name).is_some_and(|slot| slot.chosen.is_none());
        let before = self.read();
        before.slots.iter().filter(|(name, slot)| slot.chosen.is_some() && is_reset(name)).map(|(name, _)| name.clone()).collect()
    }

    /// Those that this table brings, or brings another component for: where each came from, and its digest.
    pub(crate) fn loaded_by(&self, table: &PluginTable) -> Vec<(String, String)> {
        let before = self.read();
        let digest = |slot: &Slot| slot.state.as_ref().ok().map(|plugin| plugin.digest().to_owned());
        let is_new = |name: &str, slot: &Slot| digest(slot) != before.slots.get(name).and_then(digest);
        let new = table.slots.iter().filter(|(name, slot)| is_new(name, slot));
        new.filter_map(|(name, slot)| Some((name.clone(), format!("{}, blake3:{}", slot.origin(), digest(slot)?)))).collect()
    }

    /// Was this table made from the one in force?
    pub(crate) fn is_of_now(&self, table: &PluginTable) -> bool {
        self.read().edition == table.edition
    }

    /// Why one that comes into force cannot be called. Another revision than the one in force begins without strikes.
    fn trouble(&self, name: &str, slot: &Slot) -> Option<String> {
        if !self.slot(name).is_some_and(|before| before.is_now(slot.state.as_ref().ok())) {
            self.standing.forget(name);
        }
        slot.state.as_ref().err().map(|why| why.reason.clone()).or_else(|| self.quarantine(name).map(|(why, _)| why))
    }

    /// Puts a table into force; says which plugins can be called now, and which not.
    pub(crate) fn swap(&self, table: PluginTable) -> Vec<(String, Option<String>)> {
        let mut news: Vec<(String, Option<String>)> = table.slots.iter().map(|(name, slot)| (name.clone(), self.trouble(name, slot))).collect();
        news.extend(self.removed_by(&table).into_iter().map(|name| (name.clone(), Some(format!("plugin `{name}` was removed")))));
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        news
    }

    /// Puts one plugin into force, and says why it cannot be called, if so; calls that are under way end in the revision in which they began.
    pub(crate) fn swap_one(&self, name: &str, slot: Slot) -> Option<String> {
        let trouble = self.trouble(name, &slot);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.edition += 1;
        table.slots.insert(name.to_owned(), slot);
        trouble
    }
}

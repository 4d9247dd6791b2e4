//! From one revision of a plugin to another under live tasks: every doubt first, then one swap in the loop, then it is watched.
//!
//! Nothing here holds up the loop: it is asked what lives, and told what to swap.

mod doubt;
mod shadow;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hostler_api::{Code, Difference, EventKind, Failure, Need, PluginRevision, Revised, RevisedTo, Shape, UpgradeRequest};
use hostler_core::{Event, ServiceName, pointer_key};
use hostler_failpoint::failpoint;
use hostler_store::{NewEvent, Txn};
use hostler_wasm::{LoadError, Plugin, stanza_for};
use serde_json::json;

use crate::drive::Driver;
use crate::http::Door;
use crate::plugins::{Choice, Named, PluginTable, Revision, Slot, digest_of, read_file};
use crate::{clock, ledger, speak};

pub(crate) use doubt::{Live, live};
pub(crate) use watch::watch_again;

/// How long a new revision is watched when nobody says otherwise.
const WATCH: Duration = Duration::from_secs(30);
/// The longest that somebody may ask for.
const LONGEST_WATCH: Duration = Duration::from_secs(24 * 60 * 60);

/// For the loop: this revision instead of that one.
pub(crate) struct Revise {
    pub(crate) name: String,
    /// The one that it was decided about.
    pub(crate) from: Option<Arc<Plugin>>,
    pub(crate) slot: Slot,
    pub(crate) told: NewEvent,
}

/// What is told of a plugin.
pub(crate) fn event(kind: EventKind, plugin: &str, message: String) -> NewEvent {
    let data = json!({ "message": message, "plugin": plugin });
    ledger::note(kind, ledger::OF_THE_HOST, &data)
}

impl Driver {
    /// Puts another revision of a plugin into force: committed, then swapped. Its tasks are looked at through it at once.
    pub(crate) async fn revise(&mut self, revise: Revise) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        let Revise { name, from, slot, told } = revise;
        if !self.desk.plugins.slot(&name).is_some_and(|now| now.is_now(from.as_ref())) {
            return Err(
                Failure::new(Code::Conflict, format!("plugin `{name}` was changed meanwhile")).hint("nothing was done; look at it and try again")
            );
        }
        let table = PluginTable { slots: [(name.clone(), slot.clone())].into(), edition: 0 };
        let txn: Txn = table.save(self.new_generation()).emit(told);
        self.commit_request(txn).await?;
        failpoint!("host.upgrade.committed");
        let missing = self.desk.plugins.swap_one(&name, slot);
        self.desk.engines.ask_now();
        failpoint!("host.upgrade.swapped");
        self.desk.core.handle(clock::now(), Event::Plugin { backend: name.clone(), missing });
        self.desk.core.handle(clock::now(), Event::Hint { backend: name });
        self.watch_closely();
        Ok(Vec::new())
    }
}

/// Another component for a plugin.
///
/// # Errors
/// Why not, in the words of the first doubt: nothing was changed.
pub(crate) async fn upgrade(door: &Door, name: &str, request: UpgradeRequest) -> Result<Revised, Failure> {
    let slot = door.plugins.slot(name).ok_or_else(|| no_plugin(name))?;
    let revising = door.plugins.begin_revising(name).ok_or_else(|| busy(name))?;
    let bytes = read_component(&request).await?;
    let digest = digest_of(&bytes);
    check_pin(name, &slot, &digest)?;
    let more = match &slot.chosen {
        Some(choice) => choice.now.more.clone().into_iter().chain(request.grants.clone()).collect(),
        None => request.grants.clone(),
    };
    let mut to = Revision { digest: digest.clone(), origin: request.source.clone(), more, version: None };
    let old = slot.state.as_ref().ok().cloned();
    if old.as_ref().is_some_and(|old| old.digest() == digest && request.grants.is_empty()) {
        return Ok(answer(name, RevisedTo::Same, old.as_ref(), &to, Difference::default()));
    }
    let new = match door.plugins.load(name, &slot.named.entry, bytes.clone(), to.origin.clone(), Some(&to.more)).await {
        Ok(new) => new,
        Err(LoadError::NotGranted { stanza, .. }) => {
            // What it says of itself is shown before anybody grants it anything.
            let examined = door.plugins.examine(name, bytes, to.origin.clone()).await;
            let examined = examined.map_err(|error| refused(name, format!("the new revision does not load: {error}")))?;
            to.version = Some(examined.description().version.clone());
            let difference = difference(old.as_deref(), &examined);
            return Ok(Revised { stanza: Some(stanza), ..answer(name, RevisedTo::Waits, old.as_ref(), &to, difference) });
        }
        Err(error) => return Err(refused(name, format!("the new revision does not load: {error}"))),
    };
    to.version = Some(new.description().version.clone());
    let difference = difference(old.as_deref(), &new);
    if difference.is_wider() && !request.accept {
        let stanza = stanza_for(&difference.imports, name);
        return Ok(Revised { stanza: Some(stanza), ..answer(name, RevisedTo::Waits, old.as_ref(), &to, difference) });
    }
    let tasks = doubt::doubt(door, name, old.as_ref(), &new, doubt::Compared::WithTheOld).await?;
    let current = current(&slot, old.as_deref());
    keep_both(door, name, &slot, current.as_ref(), &digest, bytes).await?;
    let slot = led_to(door, name, slot, &digest).await;
    let base = slot.base.clone().unwrap_or_else(|| digest.clone());
    let choice = match current {
        Some(current) => Choice::after(current, slot.chosen.as_ref(), &base, to.clone()),
        None => Choice { over: base, now: to.clone(), before: Vec::new(), watched: true },
    };
    let watch = request.watch_ms.map_or(WATCH, Duration::from_millis).min(LONGEST_WATCH);
    let told = event(EventKind::PluginUpgraded, name, format!("plugin {name} is {} now, and is watched for {watch:?}", to.short()));
    let next = Slot { chosen: Some(choice), state: Ok(Arc::clone(&new)), note: None, ..slot };
    let (door, its_name, before, after) = (door.clone(), name.to_owned(), old.clone(), to.clone());
    // Whoever asked may go away: what is put into force is watched.
    let swapped = tokio::spawn(async move {
        let _revising = revising;
        swap(&door, &its_name, before.clone(), next, told).await?;
        watch::watch(door, its_name, before, after, watch);
        Ok(())
    });
    swapped.await.unwrap_or_else(|error| Err(Failure::new(Code::Internal, format!("plugin `{name}`: the swap broke: {error}"))))?;
    let watch_ms = u64::try_from(watch.as_millis()).unwrap_or(u64::MAX);
    Ok(Revised { tasks, watch_ms, ..answer(name, RevisedTo::Swapped, old.as_ref(), &to, difference) })
}

/// Back to the revision before.
///
/// # Errors
/// There is none, or it cannot take over what lives: nothing was changed.
pub(crate) async fn rollback(door: &Door, name: &str) -> Result<Revised, Failure> {
    let slot = door.plugins.slot(name).ok_or_else(|| no_plugin(name))?;
    let _revising = door.plugins.begin_revising(name).ok_or_else(|| busy(name))?;
    let old = slot.state.as_ref().ok().cloned();
    let (to, next, tasks) = go_back(door, name, &slot).await?;
    let told = event(EventKind::PluginRolledBack, name, format!("plugin {name} is {} again: somebody asked for it", to.short()));
    swap(door, name, old.clone(), next, told).await?;
    let new = door.plugins.get(name);
    let difference = new.map_or_else(Difference::default, |new| difference(old.as_deref(), &new));
    Ok(Revised { tasks, ..answer(name, RevisedTo::Swapped, old.as_ref(), &to, difference) })
}

/// The revision before, loaded and able to take over what lives.
async fn go_back(door: &Door, name: &str, slot: &Slot) -> Result<(Revision, Slot, usize), Failure> {
    let nothing = || {
        let failure = Failure::new(Code::Conflict, format!("plugin `{name}` is what the configuration leads to: there is nothing to go back to"));
        failure.hint("only what `hostler plugin upgrade` installed is rolled back")
    };
    let (to, chosen) = slot.chosen.as_ref().and_then(|choice| choice.back(slot.base.as_deref())).ok_or_else(nothing)?;
    let loaded = door.plugins.load_revision(name, &slot.named.entry, slot.base.as_deref(), &to).await;
    let new = loaded.map_err(|why| refused(name, format!("{} does not load: {}", to.short(), why.reason)).hint(why.hint))?;
    let tasks = doubt::doubt(door, name, None, &new, doubt::Compared::WithNothing).await?;
    Ok((to, Slot { chosen, state: Ok(new), note: None, ..slot.clone() }, tasks))
}

async fn swap(door: &Door, name: &str, from: Option<Arc<Plugin>>, slot: Slot, told: NewEvent) -> Result<(), Failure> {
    let revise = Revise { name: name.to_owned(), from, slot, told };
    door.change(crate::message::Change::Revise(Box::new(revise))).await.map(drop)
}

async fn read_component(request: &UpgradeRequest) -> Result<Vec<u8>, Failure> {
    let path = PathBuf::from(&request.source);
    if !path.is_absolute() {
        return Err(Failure::new(Code::Invalid, format!("`source` is `{}`, and must be an absolute path", request.source)));
    }
    let bytes =
        read_file(path).await.map_err(|why| Failure::new(Code::Invalid, format!("the component {} cannot be read: {why}", request.source)))?;
    let actual = format!("blake3:{}", digest_of(&bytes));
    match &request.digest {
        Some(expected) if *expected != actual => {
            Err(Failure::new(Code::Conflict, format!("{} is {actual}, and {expected} was asked for", request.source))
                .hint("the file was changed meanwhile; look at it again"))
        }
        _ => Ok(bytes),
    }
}

/// A configuration that names the one component that may run is not passed by.
fn check_pin(name: &str, slot: &Slot, digest: &str) -> Result<(), Failure> {
    let Some(pinned) = slot.named.entry.digest.as_ref().filter(|_| slot.base.as_deref() != Some(digest)) else { return Ok(()) };
    let failure = Failure::new(Code::Conflict, format!("the configuration pins plugin `{name}` to {pinned}"))
        .at(format!("/plugins/{}/digest", pointer_key(name)));
    Err(failure.hint("change the digest there and apply it; or remove it, then upgrades are free"))
}

/// Where the file that the configuration names was replaced by the new component, the configuration leads to that now, and so does its pin:
/// a rollback is from there, and a host that starts again finds what it expects.
async fn led_to(door: &Door, name: &str, slot: Slot, digest: &str) -> Slot {
    let there = door.plugins.bytes(name, &slot.named.entry.source).await.ok();
    if there.is_none_or(|(bytes, _)| digest_of(&bytes) != digest) {
        return slot;
    }
    let locked = slot.named.locked.as_ref().map(|_| format!("blake3:{digest}"));
    Slot { base: Some(digest.to_owned()), named: Named { locked, ..slot.named.clone() }, ..slot }
}

/// What is in force, as it is remembered.
fn current(slot: &Slot, old: Option<&Plugin>) -> Option<Revision> {
    let Some(choice) = &slot.chosen else {
        let version = old.map(|old| old.description().version.clone());
        return Some(Revision { digest: slot.base.clone()?, origin: slot.origin(), more: serde_json::Map::new(), version });
    };
    Some(choice.now.clone())
}

/// Keeps the new component, and the one before it: the file that it came from may change, and the program that it is in, too.
async fn keep_both(door: &Door, name: &str, slot: &Slot, current: Option<&Revision>, digest: &str, bytes: Vec<u8>) -> Result<(), Failure> {
    let failed =
        |why: String| Failure::new(Code::Failed, format!("plugin `{name}`: the component cannot be kept: {why}")).hint("nothing was changed");
    if let (Some(current), None) = (current, &slot.chosen) {
        let before = door.plugins.bytes(name, &slot.named.entry.source).await;
        if let Some((before, _)) = before.ok().filter(|(before, _)| digest_of(before) == current.digest) {
            door.plugins.keep(&current.digest, before).await.map_err(failed)?;
        }
    }
    door.plugins.keep(digest, bytes).await.map_err(failed)
}

/// What the new one may do beyond the old one.
fn difference(old: Option<&Plugin>, new: &Plugin) -> Difference {
    let imports = |plugin: Option<&Plugin>| plugin.map(Plugin::permissions).unwrap_or_default();
    let (before, after) = (imports(old), imports(Some(new)));
    let said = old.map(|old| old.description().needs.clone()).unwrap_or_default();
    let needs = new.description().needs.iter().filter(|(what, _)| !said.iter().any(|(known, _)| known == what));
    let grants = |plugin: &Plugin| serde_json::to_value(plugin.grants()).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default();
    let granted = old.map(grants).unwrap_or_default();
    Difference {
        imports: after.iter().filter(|import| !before.contains(import)).cloned().collect(),
        needs: needs.map(|(what, why)| Need { what: what.clone(), why: why.clone() }).collect(),
        grants: grants(new).iter().filter(|(key, value)| granted.get(*key) != Some(value)).map(|(key, value)| format!("{key} = {value}")).collect(),
        gone: before.iter().filter(|import| !after.contains(import)).cloned().collect(),
    }
}

fn answer(name: &str, outcome: RevisedTo, old: Option<&Arc<Plugin>>, to: &Revision, difference: Difference) -> Revised {
    let from = old.map(|old| PluginRevision {
        digest: format!("blake3:{}", old.digest()),
        plugin_version: Some(old.description().version.clone()),
        origin: old.origin().to_owned(),
    });
    let to = speak::revision(to);
    Revised { version: Shape, name: name.to_owned(), outcome, from, to, difference, stanza: None, tasks: 0, watch_ms: 0 }
}

fn no_plugin(name: &str) -> Failure {
    let failure = Failure::new(Code::NotFound, format!("there is no plugin `{}`", name.escape_default()));
    failure.hint("`hostler plugin list` shows every plugin; `hostler plugin add` adds one to a configuration")
}

fn busy(name: &str) -> Failure {
    Failure::new(Code::Conflict, format!("plugin `{name}` is being revised already")).hint("wait until that is done")
}

pub(crate) fn refused(name: &str, why: String) -> Failure {
    Failure::new(Code::Conflict, format!("plugin `{name}` is not upgraded: {why}"))
}

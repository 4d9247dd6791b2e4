//! What plugins say, what they were refused, and what they keep.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_api::EventKind;
use hostler_store::{Store, StoreError, Txn};
use hostler_wasm::{CallError, Called, Denial, Level, PluginLine, PluginSink, Quota, Reveal, StateError, StateStore, Turns, Wait};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock;
use crate::ledger;
use crate::message::Message;
use crate::telemetry::Telemetry;

/// Lines go to the host's log; refusals and breakdowns also into the event log.
pub(crate) struct Sink {
    outbox: mpsc::UnboundedSender<Message>,
    telemetry: Arc<Telemetry>,
    /// A plugin in a loop must fill neither the event log nor the disk, and must not silence the others.
    events: Budget,
    lines: Budget,
}

/// Events about one plugin per second; the counters of `hostler plugin list` count every one.
const EVENTS_PER_SECOND: u32 = 20;
/// Lines of one plugin per second in the host's log.
const LINES_PER_SECOND: u32 = 200;

/// What each plugin said within the current second.
#[derive(Default)]
struct Budget(Mutex<(u64, BTreeMap<String, u32>)>);

impl Budget {
    /// Counts one more of this plugin; the answer is the how-manieth of this second it is.
    fn count(&self, plugin: &str, second: u64) -> u32 {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.0 != second {
            *said = (second, BTreeMap::new());
        }
        let count = said.1.entry(plugin.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

fn second() -> u64 {
    clock::now().0 / 1000
}

impl Sink {
    pub(crate) fn new(outbox: mpsc::UnboundedSender<Message>, telemetry: Arc<Telemetry>) -> Sink {
        Sink { outbox, telemetry, events: Budget::default(), lines: Budget::default() }
    }

    /// Is there room for one more line? The first that is over says so itself, the rest of this second is silent.
    fn has_room(&self, plugin: &str) -> bool {
        let count = self.lines.count(plugin, second());
        if count == LINES_PER_SECOND + 1 {
            tracing::warn!(target: "plugin", plugin, "more than {LINES_PER_SECOND} lines within a second: the rest of them is dropped");
        }
        count <= LINES_PER_SECOND
    }

    /// Adds an event; false when this plugin has no room for one more, or the host ends.
    fn tell(&self, kind: EventKind, plugin: &str, about: &str, data: &Value) -> bool {
        if self.events.count(plugin, second()) > EVENTS_PER_SECOND {
            return false;
        }
        let note = ledger::note(kind, ledger::OF_THE_HOST, data);
        self.outbox.send(Message::Said { about: about.to_owned(), note }).is_ok()
    }
}

impl PluginSink for Sink {
    fn line(&self, line: PluginLine) {
        let PluginLine { plugin, function, subject, level, message, fields, .. } = line;
        if !self.has_room(&plugin) {
            return;
        }
        let fields = if fields.is_empty() { String::new() } else { format!(" {fields:?}") };
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, function, subject, "{message}{fields}"),
            Level::Info => tracing::info!(target: "plugin", plugin, function, subject, "{message}{fields}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, function, subject, "{message}{fields}"),
            Level::Error => tracing::error!(target: "plugin", plugin, function, subject, "{message}{fields}"),
        }
    }

    fn denied(&self, denial: Denial) {
        let Denial { plugin, revision, function, subject, capability, what } = denial;
        if self.has_room(&plugin) {
            tracing::warn!(target: "plugin", plugin, function, subject, capability, what, "denied");
        }
        let message = format!("plugin {plugin} was refused {capability}: {what} (during {function})");
        let data = json!({
            "message": message, "plugin": plugin, "revision": revision, "function": function, "subject": subject, "capability": capability, "what": what,
        });
        self.tell(EventKind::PluginDenied, &plugin, &subject, &data);
    }

    fn revealed(&self, reveal: Reveal) -> bool {
        let Reveal { plugin, revision, function, subject, secret } = reveal;
        let message = format!("plugin {plugin} was told the secret {secret} (during {function})");
        let data = json!({ "message": message, "plugin": plugin, "revision": revision, "function": function, "subject": subject, "secret": secret });
        self.tell(EventKind::SecretRevealed, &plugin, &subject, &data)
    }

    fn hears_calls(&self) -> bool {
        self.telemetry.is_on()
    }

    fn called(&self, call: &Called<'_>) {
        self.telemetry.called(call);
    }

    fn failed(&self, plugin: &str, revision: &str, subject: &str, error: &CallError) {
        if !error.is_plugins_fault() {
            return;
        }
        let message = format!("plugin `{plugin}`: {}: {}", error.function, error.brief());
        if self.has_room(plugin) {
            tracing::error!(target: "plugin", plugin, subject, error = message, "a call failed");
        }
        let data = json!({ "message": message, "plugin": plugin, "revision": revision, "function": error.function, "subject": subject });
        self.tell(EventKind::PluginFailed, plugin, subject, &data);
    }
}

/// Plugins' own memory, in the host's store.
pub(crate) struct PluginState {
    store: Arc<dyn Store>,
    /// One change of a plugin at a time, so that its quota holds, and no change comes after a later one.
    changes: Turns,
    reads: Turns,
}

/// Reads of one plugin at a time: a disk that does not answer keeps a thread for each.
const READS: usize = 4;

impl PluginState {
    pub(crate) fn new(store: Arc<dyn Store>) -> PluginState {
        PluginState { store, changes: Turns::new(1), reads: Turns::new(READS) }
    }

    /// Runs in the plugin's turn, on a thread where waiting for the disk is fine.
    fn run<'a, T: Send + 'static>(
        &self,
        turns: &'a Turns,
        plugin: &'a str,
        work: impl FnOnce(&dyn Store) -> Result<T, StateError> + Send + 'static,
    ) -> Wait<'a, Result<T, StateError>> {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            let done = turns.run(plugin, move || work(&*store)).await;
            done.unwrap_or_else(|error| Err(StateError::Unavailable(error.to_string())))
        })
    }
}

fn place(plugin: &str, key: &str) -> String {
    format!("plugin-state/{plugin}/{key}")
}

fn away(error: StoreError) -> StateError {
    StateError::Unavailable(error.to_string())
}

impl StateStore for PluginState {
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<Option<Vec<u8>>, StateError>> {
        let key = place(plugin, key);
        self.run(&self.reads, plugin, move |store| Ok(store.get(&key).map_err(away)?.map(|entry| entry.value)))
    }

    fn set<'a>(&'a self, plugin: &'a str, key: &'a str, value: Vec<u8>, expected: Option<Vec<u8>>, quota: Quota) -> Wait<'a, Result<(), StateError>> {
        let (prefix, key) = (place(plugin, ""), place(plugin, key));
        self.run(&self.changes, plugin, move |store| {
            let before = store.get(&key).map_err(away)?.map(|entry| entry.value);
            if expected.is_some() && expected != before {
                return Err(StateError::Conflict("the value is not the expected one".to_owned()));
            }
            check_quota(store, &prefix, &key, value.len(), quota)?;
            store.txn(Txn::new().put(key, value)).map_err(away).map(drop)
        })
    }

    fn delete<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<(), StateError>> {
        let key = place(plugin, key);
        self.run(&self.changes, plugin, move |store| store.txn(Txn::new().delete(key)).map_err(away).map(drop))
    }

    fn keys<'a>(&'a self, plugin: &'a str, prefix: &'a str, limit: usize) -> Wait<'a, Result<Vec<String>, StateError>> {
        let (root, prefix) = (place(plugin, ""), place(plugin, prefix));
        self.run(&self.reads, plugin, move |store| {
            let found = store.range(&prefix, None, limit).map_err(away)?;
            Ok(found.into_iter().filter_map(|(key, _)| key.strip_prefix(&root).map(str::to_owned)).collect())
        })
    }
}

fn check_quota(store: &dyn Store, prefix: &str, key: &str, size: usize, quota: Quota) -> Result<(), StateError> {
    let most = quota.keys as usize + 2;
    let kept = store.range(prefix, None, most).map_err(away)?;
    let others = kept.iter().filter(|(other, _)| other != key);
    let (mut bytes, mut keys) = (key.len() - prefix.len() + size, 1);
    for (other, entry) in others {
        bytes += other.len() - prefix.len() + entry.value.len();
        keys += 1;
    }
    if keys > quota.keys as usize {
        return Err(StateError::Quota(format!("it may keep {} keys", quota.keys)));
    }
    if bytes as u64 > quota.bytes {
        return Err(StateError::Quota(format!("it may keep {} bytes, and this would be {bytes}", quota.bytes)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use hostler_store::Memory;
    use tokio::time::timeout;

    #[test]
    fn a_loud_plugin_silences_nobody_else() {
        let budget = Budget::default();
        for count in 1..=100 {
            assert_eq!(budget.count("loud", 7), count);
        }
        assert_eq!(budget.count("quiet", 7), 1);
        assert_eq!(budget.count("loud", 8), 1, "the next second is new");
    }

    #[tokio::test]
    async fn a_change_that_was_given_up_in_the_queue_is_never_made() {
        let state = PluginState::new(Arc::new(Memory::new()));
        let quota = Quota { bytes: 100, keys: 10 };
        let set = |plugin: &'static str, key: &'static str| state.set(plugin, key, b"1".to_vec(), None, quota);
        let (answers, stuck) = std::sync::mpsc::channel::<()>();
        let hang = state.changes.run("slow", move || stuck.recv().is_err());
        assert!(timeout(Duration::ZERO, hang).await.is_err(), "its caller goes away, its thread stays");
        assert!(timeout(Duration::ZERO, set("slow", "early")).await.is_err(), "it waits for its turn");
        set("quick", "key").await.expect("another plugin does not wait for that");
        assert_eq!(state.get("slow", "early").await, Ok(None), "nor does a read");
        drop(answers);
        set("slow", "late").await.expect("the disk answers again");
        assert_eq!(state.keys("slow", "", 10).await, Ok(vec!["late".to_owned()]));
    }
}

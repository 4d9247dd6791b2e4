//! What stands in the store, and how it is read back: the core's records under their keys.
//!
//! | key | value |
//! |---|---|
//! | `meta/NAME` | owner, boot, generation, next-run, max-parallel |
//! | `wanted/SERVICE` | [`WantedRecord`] |
//! | `slots/SERVICE/REPLICA` | `hostler_core::SlotRecord` |
//! | `tasks/RUN` | `hostler_core::TaskRecord` |
//! | `handles/RUN` | [`HandleRecord`] |
//! | `plugins/NAME` | the plugin's entry in the configuration |
//! | `plugin-state/PLUGIN/KEY` | what the plugin keeps |

use std::collections::BTreeMap;

use hostler_core::{Notice, Remembered, Run, Saved, ServiceName, SlotRecord, TaskRecord, Wanted};
use hostler_store::{Entry, NewEvent, Store, StoreError, Txn};
use hostler_wasm::words::Handle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{HostError, clock};

/// What is wanted of one service, and how it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WantedRecord {
    pub(crate) wanted: Wanted,
    /// As in the file, variables filled in; for the operator's view.
    pub(crate) written: Value,
}

/// What finds a task again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HandleRecord {
    pub(crate) id: String,
    pub(crate) handle: Handle,
}

/// Everything a host begins with.
pub(crate) struct Memory {
    pub(crate) owner: String,
    pub(crate) generation: u64,
    pub(crate) max_parallel: Option<u32>,
    pub(crate) remembered: Remembered,
    pub(crate) written: BTreeMap<ServiceName, Value>,
    pub(crate) handles: BTreeMap<Run, HandleRecord>,
    pub(crate) last_event: u64,
    /// The boot of the machine, to be committed with the first decision: the store names a boot only together with times of it.
    pub(crate) boot: Txn,
}

/// Reads the store, and gives the host its owner tag at its very first start.
pub(crate) fn recall(store: &dyn Store) -> Result<Memory, HostError> {
    let boot = clock::boot_id();
    let owner = match meta::<String>(store, "owner")? {
        Some(owner) => owner,
        None => new_owner(store)?,
    };
    let same_boot = meta::<String>(store, "boot")?.is_some_and(|known| known == boot && !boot.is_empty());
    let mut memory = Memory {
        owner,
        generation: meta(store, "generation")?.unwrap_or(0),
        max_parallel: meta(store, "max-parallel")?,
        remembered: Remembered { next_run: meta(store, "next-run")?.unwrap_or(1), same_boot, ..Remembered::default() },
        written: BTreeMap::new(),
        handles: BTreeMap::new(),
        last_event: store.events(u64::MAX, 1)?.last,
        boot: Txn::new().put("meta/boot", to_json(&boot)),
    };
    each(store, "wanted/", |name, record: WantedRecord| {
        let name = service_name(name)?;
        memory.written.insert(name.clone(), record.written);
        memory.remembered.wanted.push((name, record.wanted));
        Ok(())
    })?;
    each(store, "slots/", |key, record: SlotRecord| {
        let (name, replica) = key.rsplit_once('/').ok_or("no replica")?;
        memory.remembered.slots.push((service_name(name)?, replica.parse().map_err(|_| "no replica")?, record));
        Ok(())
    })?;
    each(store, "tasks/", |key, record: TaskRecord| {
        memory.remembered.tasks.push((key.parse().map_err(|_| "no run")?, record));
        Ok(())
    })?;
    each(store, "handles/", |key, record: HandleRecord| {
        memory.handles.insert(key.parse().map_err(|_| "no run")?, record);
        Ok(())
    })?;
    Ok(memory)
}

fn new_owner(store: &dyn Store) -> Result<String, HostError> {
    let mut bytes = [0_u8; 5];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| HostError::Start(format!("the system gives no random numbers: {error}")))?;
    let owner: String = std::iter::once("h".to_owned()).chain(bytes.iter().map(|byte| format!("{byte:02x}"))).collect();
    store.txn(Txn::new().put("meta/owner", to_json(&owner)))?;
    Ok(owner)
}

fn meta<T: DeserializeOwned>(store: &dyn Store, name: &str) -> Result<Option<T>, HostError> {
    let key = format!("meta/{name}");
    store.get(&key)?.map(|entry| read(&key, &entry)).transpose()
}

/// Calls `hear` with the rest of each key and its record.
pub(crate) fn each<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
    mut hear: impl FnMut(&str, T) -> Result<(), &'static str>,
) -> Result<(), HostError> {
    let mut after: Option<String> = None;
    loop {
        let page = store.range(prefix, after.as_deref(), 1_000)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, entry) in &page {
            let record = read(key, entry)?;
            hear(key.strip_prefix(prefix).unwrap_or(key), record).map_err(|why| HostError::Record { key: key.clone(), reason: why.to_owned() })?;
        }
    }
}

/// Every key that begins so.
pub(crate) fn keys(store: &dyn Store, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = store.range(prefix, keys.last().map(String::as_str), 1_000)?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page.into_iter().map(|(key, _)| key));
    }
}

fn read<T: DeserializeOwned>(key: &str, entry: &Entry) -> Result<T, HostError> {
    serde_json::from_slice(&entry.value).map_err(|error| HostError::Record { key: key.to_owned(), reason: error.to_string() })
}

fn service_name(text: &str) -> Result<ServiceName, &'static str> {
    ServiceName::new(text).map_err(|_| "not a service name")
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have no maps with odd keys")
}

/// Adds what the core wants kept.
pub(crate) fn save(txn: Txn, saved: Saved) -> Txn {
    match saved {
        Saved::NextRun(run) => txn.put("meta/next-run", to_json(&run)),
        Saved::Task(run, Some(record)) => txn.put(format!("tasks/{run:020}"), to_json(&record)),
        Saved::Task(run, None) => txn.delete(format!("tasks/{run:020}")).delete(handle_key(run)),
        Saved::Slot(name, replica, Some(record)) => txn.put(format!("slots/{name}/{replica}"), to_json(&record)),
        Saved::Slot(name, replica, None) => txn.delete(format!("slots/{name}/{replica}")),
    }
}

/// Where the handle of a life is kept.
pub(crate) fn handle_key(run: Run) -> String {
    format!("handles/{run:020}")
}

/// A notice as it stands in the event log.
pub(crate) fn event(notice: &Notice) -> NewEvent {
    let kind = serde_json::to_value(notice.kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    let data = json!({ "replica": notice.replica, "run": notice.run, "message": notice.message });
    NewEvent::new(kind, notice.service.as_str(), clock::wall_ms(), data.to_string())
}

/// Whom an event is about that is about no service; no service has this name.
pub(crate) const OF_THE_HOST: &str = "";

/// A stored event as it travels.
pub(crate) fn told(event: &hostler_store::Event) -> hostler_api::EventRecord {
    let mut data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let mut take = |key: &str| data.as_object_mut().and_then(|map| map.remove(key)).unwrap_or_default();
    let (replica, run, message) = (take("replica"), take("run"), take("message"));
    hostler_api::EventRecord {
        version: hostler_api::Shape,
        seq: event.seq,
        at: hostler_api::Timestamp(event.at_unix_ms),
        kind: event.kind.clone(),
        service: (event.subject != OF_THE_HOST).then(|| event.subject.clone()),
        replica: replica.as_u64().and_then(|number| u32::try_from(number).ok()),
        run: run.as_u64(),
        message: message.as_str().unwrap_or_default().to_owned(),
        data,
    }
}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> Self {
        HostError::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_known_only_once_times_of_it_are_committed() {
        let store = hostler_store::Memory::new();
        let first = recall(&store).expect("an empty store is good");
        assert!(!first.remembered.same_boot);
        let second = recall(&store).expect("it has an owner now");
        assert!(!second.remembered.same_boot && second.owner == first.owner);
        store.txn(second.boot).expect("nobody else writes");
        assert!(recall(&store).expect("it is as before").remembered.same_boot);
    }
}

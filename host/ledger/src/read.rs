//! All that a host begins with, read back.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Remembered, Run, ServiceName, SlotRecord, TaskRecord};
use hostler_store::{Entry, Store, StoreError, Txn};
use serde::de::DeserializeOwned;

use crate::write::{HandleRecord, Origin, WantedRecord, Written, to_json};

/// Everything a host begins with.
#[derive(Debug)]
pub struct Memory<H> {
    /// What the host's tasks are tagged with; `None` before its very first start.
    pub owner: Option<String>,
    /// Counted up by every request.
    pub generation: u64,
    /// How many starts may be under way at once, when somebody said so.
    pub max_parallel: Option<u32>,
    /// What the core goes on with.
    pub remembered: Remembered,
    /// How each service was written.
    pub written: BTreeMap<ServiceName, Written>,
    /// Who asked for each service that stands in no configuration.
    pub origins: BTreeMap<ServiceName, Origin>,
    /// Lives that are to be let go of instead of stopped.
    pub released: BTreeSet<Run>,
    /// What finds each life again.
    pub handles: BTreeMap<Run, HandleRecord<H>>,
    /// The number of the newest event.
    pub last_event: u64,
    /// The boot of the machine, to be committed with the first decision: the store names a boot only together with times of it.
    pub boot: Txn,
}

/// Why the books cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not what its key says.
    #[error("the record `{key}` in the store cannot be read: {reason}")]
    Record {
        /// Which one.
        key: String,
        /// Why.
        reason: String,
    },
}

/// Reads the store, for a host on this `boot` of the machine; an empty one is never the same as another.
///
/// # Errors
/// The store does not answer, or holds a record that is none; no record is skipped.
pub fn recall<H: DeserializeOwned>(store: &dyn Store, boot: &str) -> Result<Memory<H>, LedgerError> {
    let same_boot = meta::<String>(store, "boot")?.is_some_and(|known| known == boot && !boot.is_empty());
    let mut memory = Memory {
        owner: meta(store, "owner")?,
        generation: meta(store, "generation")?.unwrap_or(0),
        max_parallel: meta(store, "max-parallel")?,
        remembered: Remembered {
            next_run: meta(store, "next-run")?.unwrap_or(1),
            reserved: meta(store, "reserve")?.unwrap_or(1),
            same_boot,
            ..Remembered::default()
        },
        written: BTreeMap::new(),
        origins: BTreeMap::new(),
        released: BTreeSet::new(),
        handles: BTreeMap::new(),
        last_event: store.events(u64::MAX, 1)?.last,
        boot: Txn::new().put("meta/boot", to_json(&boot)),
    };
    each(store, "wanted/", |name, record: WantedRecord| {
        let name = service_name(name)?;
        memory.written.insert(name.clone(), record.written);
        if let Some(origin) = record.origin {
            memory.origins.insert(name.clone(), origin);
        }
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
    each(store, "handles/", |key, record: HandleRecord<H>| {
        memory.handles.insert(key.parse().map_err(|_| "no run")?, record);
        Ok(())
    })?;
    each(store, "released/", |key, _: bool| {
        memory.released.insert(key.parse().map_err(|_| "no run")?);
        Ok(())
    })?;
    Ok(memory)
}

/// What stands under `meta/NAME`.
///
/// # Errors
/// The store does not answer, or the value is something else.
pub fn meta<T: DeserializeOwned>(store: &dyn Store, name: &str) -> Result<Option<T>, LedgerError> {
    let key = format!("meta/{name}");
    store.get(&key)?.map(|entry| read(&key, &entry)).transpose()
}

/// Calls `hear` with the rest of each key and its record.
///
/// # Errors
/// The store does not answer, a record cannot be read, or `hear` says why it is none.
pub fn each<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
    mut hear: impl FnMut(&str, T) -> Result<(), &'static str>,
) -> Result<(), LedgerError> {
    let mut after: Option<String> = None;
    loop {
        let page = store.range(prefix, after.as_deref(), 1_000)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (key, entry) in &page {
            let record = read(key, entry)?;
            hear(key.strip_prefix(prefix).unwrap_or(key), record).map_err(|why| LedgerError::Record { key: key.clone(), reason: why.to_owned() })?;
        }
    }
}

/// Every key that begins so.
///
/// # Errors
/// The store does not answer.
pub fn keys(store: &dyn Store, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = store.range(prefix, keys.last().map(String::as_str), 1_000)?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page.into_iter().map(|(key, _)| key));
    }
}

fn read<T: DeserializeOwned>(key: &str, entry: &Entry) -> Result<T, LedgerError> {
    serde_json::from_slice(&entry.value).map_err(|error| LedgerError::Record { key: key.to_owned(), reason: error.to_string() })
}

fn service_name(text: &str) -> Result<ServiceName, &'static str> {
    ServiceName::read(text).map_err(|_| "not a service name")
}

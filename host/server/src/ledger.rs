//! The server's hand on the books of `hostler_ledger`: whose they are, what time it is, and how a line of them travels.

use hostler_api::EventKind;
use hostler_core::{Notice, WorkspaceName};
use hostler_store::{NewEvent, Store, StoreError, Txn};
use hostler_wasm::words::Handle;
use serde_json::Value;

use crate::{HostError, clock};

pub(crate) use hostler_ledger::{
    Ahead, Instance, LedgerError, OF_THE_HOST, Origin, WantedRecord, Written, each, handle_key, keys, meta, released_key, save, to_json, wanted_key,
};

/// What finds a task again.
pub(crate) type HandleRecord = hostler_ledger::HandleRecord<Handle>;
/// Everything a host begins with.
pub(crate) type Memory = hostler_ledger::Memory<Handle>;

/// Reads the store, and gives the host its owner tag at its very first start.
pub(crate) fn recall(store: &dyn Store) -> Result<(String, Memory), HostError> {
    let memory: Memory = hostler_ledger::recall(store, &clock::boot_id())?;
    let owner = match &memory.owner {
        Some(owner) => owner.clone(),
        None => new_owner(store)?,
    };
    Ok((owner, memory))
}

fn new_owner(store: &dyn Store) -> Result<String, HostError> {
    let mut bytes = [0_u8; 5];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| HostError::Start(format!("the system gives no random numbers: {error}")))?;
    let owner: String = std::iter::once("h".to_owned()).chain(bytes.iter().map(|byte| format!("{byte:02x}"))).collect();
    store.txn(Txn::new().put("meta/owner", to_json(&owner)))?;
    Ok(owner)
}

/// A notice as it stands in the event log, as of now.
pub(crate) fn event(notice: &Notice) -> NewEvent {
    hostler_ledger::event(notice, clock::wall_ms())
}

/// Something else than a notice, as it stands in the event log, as of now.
pub(crate) fn note(kind: EventKind, subject: &str, data: &Value) -> NewEvent {
    NewEvent::new(kind.as_str(), subject, clock::wall_ms(), data.to_string())
}

/// The subject of what is about a workspace, and about none of its services alone; what is so of `default` is the host's.
pub(crate) fn of_workspace(name: &str) -> String {
    if name == WorkspaceName::DEFAULT { OF_THE_HOST.to_owned() } else { format!("{name}.") }
}

/// A stored event as it travels.
pub(crate) fn told(event: &hostler_store::Event) -> hostler_api::EventRecord {
    let mut data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let mut take = |key: &str| data.as_object_mut().and_then(|map| map.remove(key)).unwrap_or_default();
    let (replica, run, message) = (take("replica"), take("run"), take("message"));
    // Names of plugins are told there too, and have no dot.
    let whose = event.subject.split_once('.');
    hostler_api::EventRecord {
        version: hostler_api::Shape,
        seq: event.seq,
        at: hostler_api::Timestamp(event.at_unix_ms),
        kind: event.kind.clone(),
        service: Some(whose.map_or(event.subject.as_str(), |(_, local)| local)).filter(|local| !local.is_empty()).map(str::to_owned),
        workspace: whose.map(|(workspace, _)| workspace.to_owned()),
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

impl From<LedgerError> for HostError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(error) => error.into(),
            LedgerError::Record { key, reason } => HostError::Record { key, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_workspace_is_told_there_and_of_no_service() {
        let of = |subject: String| {
            let event = hostler_store::Event { seq: 1, revision: 1, kind: "operation".to_owned(), subject, at_unix_ms: 0, data: "{}".to_owned() };
            let told = told(&event);
            (told.workspace, told.service)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(of_workspace("acme")), (text("acme"), None));
        assert_eq!(of(of_workspace(WorkspaceName::DEFAULT)), (None, None));
        assert_eq!((of("acme.db".to_owned()), of("db".to_owned())), ((text("acme"), text("db")), (None, text("db"))));
    }

    #[test]
    fn a_boot_is_known_only_once_times_of_it_are_committed() {
        let store = hostler_store::Memory::new();
        let (owner, first) = recall(&store).expect("an empty store is good");
        assert!(!first.remembered.same_boot);
        let (same, second) = recall(&store).expect("it has an owner now");
        assert!(!second.remembered.same_boot && same == owner);
        store.txn(second.boot).expect("nobody else writes");
        assert!(recall(&store).expect("it is as before").1.remembered.same_boot);
    }
}

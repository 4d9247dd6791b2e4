//! What becomes of operations when a backup is put back.

use hostler_api::{Code, Failure, OperationStatus};
use hostler_store::{Store, Txn};

use super::record::Record;
use super::{PREFIX, TASKS, key};
use crate::clock;
use crate::ledger::{self, LedgerError};

/// What was under way when a backup was made is not begun again once that is restored: its time is over, and it may have been done since.
pub(crate) fn restored(mut txn: Txn, then: &dyn Store) -> Result<Txn, LedgerError> {
    for task in ledger::keys(then, TASKS)? {
        txn = txn.delete(task);
    }
    let mut unfinished = Vec::new();
    ledger::each(then, PREFIX, |_, record: Record| {
        unfinished.extend(Some(record).filter(|record| !record.is_finished()));
        Ok(())
    })?;
    let failure = Failure::new(Code::Failed, "the store was restored before it was over").hint("ask for it again, if it is still wanted");
    for mut record in unfinished {
        record.ended_at = Some(clock::wall_ms());
        record.status = OperationStatus::Failed;
        record.message = format!("has failed: {}", failure.message);
        record.problem = Some(failure.clone());
        txn = txn.put(key(&record.id), ledger::to_json(&record));
    }
    Ok(txn)
}

/// What stands in the store of one that waits.
#[cfg(test)]
pub(crate) fn waiting(request: &hostler_api::StartRequest, options: &hostler_api::OperationOptions) -> Vec<(String, Vec<u8>)> {
    let task = super::Task::Start(request.clone());
    let record = Record::new("1".to_owned(), hostler_core::WorkspaceName::default(), "me", &task, String::new(), options).expect("it makes sense");
    vec![(key(&record.id), ledger::to_json(&record)), (super::task_key(&record.id), ledger::to_json(&task))]
}

/// What the store says of each.
#[cfg(test)]
pub(crate) fn outcomes(store: &dyn Store) -> Vec<(OperationStatus, String)> {
    let mut told = Vec::new();
    ledger::each(store, PREFIX, |_, record: Record| {
        told.push((record.status, record.message));
        Ok(())
    })
    .expect("they are records");
    told
}

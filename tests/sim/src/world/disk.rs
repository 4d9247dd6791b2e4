//! The disk: the real store's model, and when it takes commits.

use hostler_store::{Memory, Outcome, Store, StoreError, Txn};

/// What is durable, and how the disk is. A commit is durable when it is acknowledged; one that is under way when the host is killed
/// is there or is not, and nothing of it is there alone.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) store: Memory,
    /// Until when it takes nothing.
    pub(super) full_until: u64,
    /// Until when it is slow.
    pub(super) slow_until: u64,
}

impl Disk {
    pub(super) fn commit(&self, txn: Txn) -> Result<Option<u64>, StoreError> {
        match self.store.txn(txn)? {
            Outcome::Committed { first_event, .. } => Ok(first_event),
            Outcome::Conflict { key } => Err(StoreError::Invalid(format!("somebody else changed {key}"))),
            Outcome::Fenced => Err(StoreError::Invalid("another host has taken over".to_owned())),
        }
    }
}

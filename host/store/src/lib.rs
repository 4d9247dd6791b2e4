//! What the host remembers: a revisioned key-value store with append-only events and leases.
//!
//! The nouns: a [`Txn`] compares, writes and emits [`Event`]s, all or nothing; every commit takes the next **revision**,
//! and revision order is commit order. Events carry gap-free sequence numbers. A [`Watch`] sees every commit under a
//! prefix, in order. A [`Lease`] has an epoch, and a transaction may be fenced by it, so that a holder who lost the lease
//! can change nothing any more.
//!
//! [`Store`] is the contract, [`Memory`] its model and [`Sqlite`] the engine that survives: an acknowledged commit has
//! reached the disk. [`conformance::run`] holds every engine to the contract. [`view::View`] is something else: files for
//! the operator's eyes, written beside the store and never read back.
//!
//! ```
//! use hostler_store::{Compare, Memory, NewEvent, Outcome, Store, Txn};
//!
//! let store = Memory::new(); // or Sqlite::open("/var/lib/hostler/store.db")?
//! let wanted = Txn::new()
//!     .compare(Compare::absent("wanted/db"))
//!     .put("wanted/db", *b"generation 1")
//!     .emit(NewEvent::new("wanted", "db", 1_700_000_000_000, r#"{"generation":1}"#));
//! assert_eq!(store.txn(wanted.clone())?, Outcome::Committed { revision: 1, first_event: Some(1) });
//! assert_eq!(store.txn(wanted)?, Outcome::Conflict { key: "wanted/db".into() });
//! assert_eq!(store.events(0, 100)?.events[0].subject, "db");
//! # Ok::<(), hostler_store::StoreError>(())
//! ```
//!
//! What is deliberately absent: a wall clock (leases are told the time), partial commits, and any repair that would make
//! a damaged store look like an empty one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod conformance;
mod contract;
mod error;
mod file;
mod lease;
mod memory;
#[cfg(feature = "planted")]
pub mod planted;
mod sqlite;
mod txn;
pub mod view;
mod watch;

pub use contract::{Completion, Entry, Event, EventPage, Lease, LeaseAnswer, Retention, Store, Written};
pub use error::StoreError;
pub use memory::Memory;
pub use sqlite::{Options, Sqlite};
pub use txn::{Compare, Expect, Fence, NewEvent, Op, Outcome, Txn, limits};
pub use watch::{Batch, Change, Next, Watch};

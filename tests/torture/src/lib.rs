//! `kill -9` under load: of the host, of its keeper, of both, at random moments; and nothing is lost, and nothing is doubled.
//!
//! The real `hostler` runs some twenty services that keep account of themselves ([`service`]): each start and each end is a line in a
//! file of its own, and whoever finds that another life of the service is still there says so. Meanwhile somebody operates the
//! host, and somebody else reads its events and logs. What the host says is held against those accounts.
//!
//! Beside that, [`restarts`] lets services crash thousands of times, and holds that host and keeper do not grow.
//!
//! A run is `torture(kills, seed)`. The seed decides who is killed when, and what is asked for; the machine decides the rest.
//!
//! The crash sweep (`tests/sweep`) has the same services, accounts and witness.

pub mod account;
mod clock;
mod fleet;
mod killer;
mod operator;
mod random;
pub mod reader;
mod report;
mod restarts;
pub mod service;
pub mod witness;

pub use killer::torture;
pub use report::Report;
pub use restarts::restarts;

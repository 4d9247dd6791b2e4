//! The store under power cuts, failing devices and full disks; and the harness under lies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "disk/cuts.rs"]
mod cuts;
#[path = "disk/faults.rs"]
mod faults;
#[path = "disk/harness.rs"]
mod harness;

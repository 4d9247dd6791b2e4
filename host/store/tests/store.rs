//! The store against its promises.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "store/conformance.rs"]
mod conformance;

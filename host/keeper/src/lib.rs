//! The keeper: a small process that holds local child processes, so that they outlive the host.
//!
//! [`protocol`] is what it says and hears over its socket.

pub mod protocol;

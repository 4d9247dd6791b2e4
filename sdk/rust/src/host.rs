//! What a plugin may call: one module per capability, named as in the contract.
//!
//! Calling a capability is asking for it: only what is called becomes an import of the component, and only imports need a
//! grant. `log` and `context` are always granted. `filesystem` (with the feature `wasi`) is the exception: everybody may import
//! it, and it has no directories until they are granted.

pub mod commands;
pub mod containers;
pub mod context;
#[cfg(feature = "wasi")]
pub mod filesystem;
pub mod log;
pub mod processes;
pub mod secrets;
pub mod secrets_reveal;
pub mod state;
pub mod task_exec;

pub use crate::bindings::imports::hostler::host::errors::Error;

/// What a capability answers.
pub type Result<T> = std::result::Result<T, Error>;

/// Whole milliseconds, at most what the contract can say.
fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

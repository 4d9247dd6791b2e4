//! A small durable memory of the plugin, within a quota of bytes and keys.
//!
//! Keys are `[a-z0-9._/-]`, at most 255 bytes. A plugin that keeps nothing here is simpler: a fresh instance serves every call.

use super::Result;
use crate::imports::state;

/// The value, or nothing when the key was never set.
pub fn get(key: &str) -> Result<Option<Vec<u8>>> {
    state::get(key)
}

/// Sets a value durably, whatever was there.
pub fn set(key: &str, value: &[u8]) -> Result<()> {
    state::set(key, value, None)
}

/// Sets a value only while it is still `expected`; otherwise [`Conflict`](super::Error::Conflict).
pub fn replace(key: &str, value: &[u8], expected: &[u8]) -> Result<()> {
    state::set(key, value, Some(expected))
}

/// Deletes a key; of what is gone it succeeds.
pub fn delete(key: &str) -> Result<()> {
    state::delete(key)
}

/// The keys that start with `prefix`, sorted; at most 1,000.
pub fn keys(prefix: &str) -> Result<Vec<String>> {
    state::keys(prefix)
}

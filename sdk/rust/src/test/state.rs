//! The plugin's durable memory, in memory.

use super::FakeHost;
use crate::host::Error;
use std::collections::BTreeMap;

/// Keys, values and a quota.
pub(super) struct State {
    values: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    keys: usize,
}

/// As a grant of `{ bytes = "1Mi", keys = 256 }`.
impl Default for State {
    fn default() -> Self {
        Self { values: BTreeMap::new(), bytes: 1 << 20, keys: 256 }
    }
}

impl FakeHost {
    /// What the plugin remembers.
    pub fn state(&self) -> BTreeMap<String, Vec<u8>> {
        self.world.borrow().state.values.clone()
    }

    /// Lets the plugin remember something, whatever its quota; without a value, forget it.
    pub fn set_state(&self, key: &str, value: Option<&[u8]>) {
        let values = &mut self.world.borrow_mut().state.values;
        match value {
            Some(value) => drop(values.insert(key.into(), value.to_vec())),
            None => drop(values.remove(key)),
        }
    }

    /// How much the plugin may remember: bytes of values, and number of keys. 1 MiB and 256 until then.
    pub fn set_quota(&self, bytes: usize, keys: usize) {
        let state = &mut self.world.borrow_mut().state;
        (state.bytes, state.keys) = (bytes, keys);
    }
}

impl State {
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        check_key(key)?;
        Ok(self.values.get(key).cloned())
    }

    pub(super) fn set(&mut self, key: &str, value: &[u8], expected: Option<&[u8]>) -> Result<(), Error> {
        check_key(key)?;
        let before = self.values.get(key);
        if expected.is_some() && before.map(Vec::as_slice) != expected {
            return Err(Error::Conflict(format!("{key} is another value")));
        }
        let others: usize = self.values.iter().filter(|(other, _)| *other != key).map(|(_, value)| value.len()).sum();
        let keys = self.values.len() + usize::from(before.is_none());
        if others + value.len() > self.bytes || keys > self.keys {
            return Err(Error::Unavailable(format!("over the quota of {} bytes and {} keys", self.bytes, self.keys)));
        }
        self.values.insert(key.into(), value.to_vec());
        Ok(())
    }

    pub(super) fn delete(&mut self, key: &str) -> Result<(), Error> {
        check_key(key)?;
        self.values.remove(key);
        Ok(())
    }

    pub(super) fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        if !prefix.is_empty() {
            check_key(prefix)?;
        }
        Ok(self.values.keys().filter(|key| key.starts_with(prefix)).take(1000).cloned().collect())
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._/-".contains(&byte);
    if key.is_empty() || key.len() > 255 || !key.bytes().all(fine) {
        return Err(Error::Invalid(format!("key {key:?} is not [a-z0-9._/-] of at most 255 bytes")));
    }
    Ok(())
}

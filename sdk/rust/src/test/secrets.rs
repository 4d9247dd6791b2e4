//! Secrets that a test makes up.

use super::FakeHost;
use crate::host::Error;
use std::collections::BTreeMap;

/// Values by name; what is not here was not granted.
#[derive(Default)]
pub(super) struct Secrets {
    values: BTreeMap<String, String>,
}

impl FakeHost {
    /// Grants a secret, with this value. Its placeholder is [`placeholder`](Self::placeholder); a command's script sees that, as the plugin does.
    pub fn set_secret(&self, name: &str, value: &str) {
        self.world.borrow_mut().secrets.values.insert(name.into(), value.into());
    }

    /// What `secrets::place` answers for a name: a test looks for it where a plugin should have put it.
    pub fn placeholder(name: &str) -> String {
        format!("<placeholder of {name}>")
    }
}

impl Secrets {
    pub(super) fn place(&self, name: &str) -> Result<String, Error> {
        self.reveal(name).map(|_| FakeHost::placeholder(name))
    }

    pub(super) fn reveal(&self, name: &str) -> Result<String, Error> {
        self.values.get(name).cloned().ok_or_else(|| Error::Denied(format!("secret {name} is not granted")))
    }
}

//! `hostler:host/state`: a small durable memory, kept by the host's store within a quota.

use std::sync::Arc;

use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::hostler::host::errors::Error;
use crate::bindings::hostler::host::state;
use crate::grant::StateGrant;
use crate::hooks::{Quota, StateError, StateStore};
use crate::runtime::Shared;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};

const CAPABILITY: &str = "state";
const MAX_KEY_BYTES: usize = 255;
const MAX_KEYS: usize = 1_000;

/// The grant, read.
pub(super) struct Settled {
    store: Arc<dyn StateStore>,
    quota: Quota,
}

/// One call's view of the plugin's state.
pub(super) struct State {
    settled: Arc<Settled>,
    scope: Scope,
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    state::add_to_linker::<_, Through<State>>(linker, |call| Tapped::new(call.state.as_mut().expect("linked only where granted"), &call.scope))
}

pub(super) fn settle(grant: StateGrant, shared: &Shared) -> Result<Settled, String> {
    Ok(Settled { store: super::state_store(shared)?, quota: Quota { bytes: grant.bytes, keys: grant.keys } })
}

pub(super) fn build(settled: &Arc<Settled>, scope: &Scope) -> State {
    State { settled: Arc::clone(settled), scope: scope.clone() }
}

impl State {
    fn admit(&self, key: &str) -> Result<(), Error> {
        self.scope.permit(CAPABILITY).map_err(Error::Denied)?;
        check_key(key)
    }

    /// Waits for the store, but not past the call's deadline.
    async fn within<T>(&self, wait: impl Future<Output = Result<T, StateError>>) -> Result<T, Error> {
        match tokio::time::timeout_at(self.scope.until(), wait).await {
            Ok(answer) => answer.map_err(error),
            Err(_) => Err(Error::Timeout),
        }
    }
}

impl state::Host for State {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        self.admit(&key)?;
        self.within(self.settled.store.get(self.scope.plugin(), &key)).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>, expected: Option<Vec<u8>>) -> Result<(), Error> {
        self.admit(&key)?;
        if value.len() as u64 > self.settled.quota.bytes {
            return Err(Error::Unavailable(format!("the value alone is over the quota of {} bytes", self.settled.quota.bytes)));
        }
        self.within(self.settled.store.set(self.scope.plugin(), &key, value, expected, self.settled.quota)).await
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.admit(&key)?;
        self.within(self.settled.store.delete(self.scope.plugin(), &key)).await
    }

    async fn keys(&mut self, prefix: String) -> Result<Vec<String>, Error> {
        self.scope.permit(CAPABILITY).map_err(Error::Denied)?;
        if !prefix.is_empty() {
            check_key(&prefix)?;
        }
        let mut keys = self.within(self.settled.store.keys(self.scope.plugin(), &prefix, MAX_KEYS)).await?;
        keys.truncate(MAX_KEYS);
        Ok(keys)
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._/-".contains(&byte);
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(fine) {
        return Err(Error::Invalid(format!("key {key:?} is not [a-z0-9._/-] of at most {MAX_KEY_BYTES} bytes")));
    }
    Ok(())
}

fn error(error: StateError) -> Error {
    match error {
        StateError::Conflict(text) => Error::Conflict(text),
        StateError::Quota(text) | StateError::Unavailable(text) => Error::Unavailable(text),
    }
}

//! `hostler:host/secrets` and `hostler:host/secrets-reveal`: secrets by name, put into place by the host, or told to the plugin.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::hostler::host::errors::Error;
use crate::bindings::hostler::host::{secrets, secrets_reveal};
use crate::runtime::Shared;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};

const PLACE: &str = "secrets";
const REVEAL: &str = "secrets-reveal";

/// One of the two grants, read.
pub(super) struct Settled {
    names: BTreeSet<String>,
}

/// One call's way to secrets.
pub(super) struct Secrets {
    settled: Arc<Settled>,
    scope: Scope,
}

/// One call's way to their values.
pub(super) struct Reveals(Secrets);

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    secrets::add_to_linker::<_, Through<Secrets>>(linker, |call| Tapped::new(call.secrets.as_mut().expect("linked only where granted"), &call.scope))
}

pub(super) fn link_reveal(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    secrets_reveal::add_to_linker::<_, Through<Reveals>>(linker, |call| {
        Tapped::new(call.reveals.as_mut().expect("linked only where granted"), &call.scope)
    })
}

pub(super) fn settle(names: &[String], shared: &Shared) -> Result<Settled, String> {
    if !names.is_empty() {
        shared.secret_store()?;
    }
    Ok(Settled { names: names.iter().cloned().collect() })
}

pub(super) fn build(settled: &Arc<Settled>, scope: &Scope) -> Secrets {
    Secrets { settled: Arc::clone(settled), scope: scope.clone() }
}

pub(super) fn build_reveal(settled: &Arc<Settled>, scope: &Scope) -> Reveals {
    Reveals(build(settled, scope))
}

impl Secrets {
    fn admit(&self, capability: &'static str, name: &str) -> Result<(), Error> {
        self.scope.permit(capability).map_err(Error::Denied)?;
        if self.settled.names.contains(name) {
            return Ok(());
        }
        Err(Error::Denied(self.scope.denied(capability, &format!("the secret `{name}`"))))
    }
}

impl secrets::Host for Secrets {
    async fn place(&mut self, name: String) -> Result<String, Error> {
        self.admit(PLACE, &name)?;
        // said here, where the plugin can make something of it
        self.scope.secret(&name).await.map_err(Error::Unavailable)?;
        self.scope.place(&name).map_err(Error::Unavailable)
    }
}

impl secrets_reveal::Host for Reveals {
    async fn reveal(&mut self, name: String) -> Result<String, Error> {
        self.0.admit(REVEAL, &name)?;
        let value = self.0.scope.secret(&name).await.map_err(Error::Unavailable)?;
        if !self.0.scope.revealed(&name) {
            return Err(Error::Unavailable(format!("the use of the secret `{name}` cannot be put on record now; ask again in a second")));
        }
        Ok(value)
    }
}

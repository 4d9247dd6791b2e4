//! `hostler:host/context`: who is asking, with what settings, and how long there is. Always granted.

use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::hostler::host::context;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};

/// One call's context.
pub(super) struct Context(Scope);

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    context::add_to_linker::<_, Through<Context>>(linker, |call| Tapped::new(&mut call.context, &call.scope))
}

pub(super) fn build(scope: &Scope) -> Context {
    Context(scope.clone())
}

impl context::Host for Context {
    async fn config(&mut self) -> String {
        self.0.config().to_owned()
    }

    async fn owner(&mut self) -> String {
        self.0.owner().to_owned()
    }

    async fn remaining(&mut self) -> u64 {
        u64::try_from(self.0.remaining().as_millis()).unwrap_or(u64::MAX)
    }
}

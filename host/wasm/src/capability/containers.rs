//! `hostler:host/containers`: containers of engines that speak Docker's API, reached by the host under names that the operator gives.
//!
//! `engine` is what all plugins share, `api` how requests get there, `make` what a container may be made from; the others each carry out
//! some of the contract's functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::hostler::host::containers;
use crate::bindings::hostler::host::errors::Error;
use crate::grant::EngineGrant;
use crate::grant::containers::{Rules, Strangers, Verb};
use crate::grant::endpoint::check_name as check_engine_name;
use crate::runtime::Shared;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};

mod api;
mod carried;
mod convert;
mod endpoint;
mod engine;
mod events;
mod exec;
mod frames;
mod functions;
mod logs;
mod make;
mod played;
mod pulls;
mod reason;
mod stats;
mod time;

use api::Trouble;
use engine::{Engine, Known};

pub use engine::EngineNews;
pub(crate) use engine::Engines;
pub use played::{EngineReply, EngineRequest, EngineRole};

const CAPABILITY: &str = "containers";
/// Whose a container is.
const OWNER: &str = "hostler.owner";
/// Which plugin has made it.
const PLUGIN: &str = "hostler.plugin";
/// Which task it is of, as its plugin says.
const TASK: &str = "hostler.task";
/// Before a call's deadline there is time to say how far things are.
const MARGIN: Duration = Duration::from_millis(500);

/// The grant, read: engines by the names that the plugin knows them by.
pub(super) struct Settled {
    engines: BTreeMap<String, (Arc<Engine>, Rules)>,
}

/// One call's way to engines.
pub(super) struct Containers {
    settled: Arc<Settled>,
    scope: Scope,
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    containers::add_to_linker::<_, Through<Containers>>(linker, |call| {
        Tapped::new(call.containers.as_mut().expect("linked only where granted"), &call.scope)
    })
}

pub(super) fn settle(grants: &BTreeMap<String, EngineGrant>, shared: &Shared) -> Result<Settled, String> {
    let mut engines = BTreeMap::new();
    for (name, grant) in grants {
        let in_engine = |why: String| format!("engine `{name}`: {why}");
        check_engine_name(name)?;
        let engine = shared.engines.at(grant).map_err(in_engine)?;
        let rules = Rules::settle(grant, engine.is_local(), engine.api.endpoint().socket()).map_err(in_engine)?;
        engines.insert(name.clone(), (engine, rules));
    }
    Ok(Settled { engines })
}

pub(super) fn build(settled: &Arc<Settled>, scope: &Scope) -> Containers {
    Containers { settled: Arc::clone(settled), scope: scope.clone() }
}

impl Containers {
    /// The engine, where the plugin may do this there.
    fn engine(&self, name: &str, verb: Verb) -> Result<(&Arc<Engine>, &Rules), Error> {
        self.scope.permit(CAPABILITY).map_err(Error::Denied)?;
        let Some((engine, rules)) = self.settled.engines.get(name) else { return Err(self.denied(&format!("engine `{name}`"))) };
        rules.admit_verb(verb).map_err(|what| self.denied(&format!("{what} of engine `{name}`")))?;
        engine.used_by(self.scope.plugin());
        Ok((engine, rules))
    }

    fn denied(&self, what: &str) -> Error {
        Error::Denied(self.scope.denied(CAPABILITY, what))
    }

    /// Waits for an answer, but not past the call's deadline.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::time::timeout_at(self.scope.until(), work).await.unwrap_or(Err(Error::Timeout))
    }

    /// What a plugin does next about it. What may have happened is `timeout`, and never that nothing is there.
    fn trouble(&self, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Away(why) => Error::Unavailable(format!("the engine cannot be reached: {why}")),
            Trouble::Lost { changes: true, .. } | Trouble::Garbled { changes: true, .. } => Error::Timeout,
            Trouble::Lost { why, .. } => Error::Unavailable(format!("the engine did not answer: {why}")),
            Trouble::Garbled { why, .. } => Error::Other(format!("the engine cannot be understood: {why}")),
            Trouble::Refused { status, message } => refused(status, message),
        }
    }

    /// The container, where it may be touched. A stranger that may not be seen is not there.
    async fn ours(&self, engine: &Engine, rules: &Rules, id: &str) -> Result<Known, Error> {
        make::check_name("container", id)?;
        let known = engine.known(id).await.map_err(|trouble| self.trouble(trouble))?.ok_or(Error::NotFound)?;
        if known.ours || rules.strangers == Strangers::Take {
            return Ok(known);
        }
        Err(self.denied(&format!("container `{id}`, which this host has not made, `strangers = \"take\"` of the engine")))
    }
}

/// May it be seen?
fn visible(rules: &Rules, known: &Known) -> bool {
    known.ours || rules.strangers >= Strangers::See || (known.tagged && rules.strangers >= Strangers::Tagged)
}

fn refused(status: u16, message: String) -> Error {
    match status {
        404 => Error::NotFound,
        409 => Error::Conflict(message),
        400 | 401 | 403 | 405 | 501 => Error::Invalid(message),
        408 | 429 | 502 | 503 | 504 => Error::Unavailable(message),
        _ if is_full(&message) => Error::Unavailable(message),
        _ => Error::Other(message),
    }
}

/// Nothing is wrong with what was asked for; somebody has to make room.
fn is_full(message: &str) -> bool {
    message.contains("no space left on device")
}

//! One call into a plugin: a fresh instance, a deadline around everything, limits inside, and an error by name.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower};

use crate::capability::{CallState, Extras};
use crate::error::{CallError, Failure};
use crate::function::Function;
use crate::hooks::{Called, Level, PluginLine};
use crate::plugin::Plugin;
use crate::scope::{Counters, Scope};

mod budget;
mod json;
mod slots;
mod trap;

pub(crate) use budget::Budget;
pub use json::JsonCallError;
pub(crate) use slots::Places;

/// How long a call may take, and what it is about.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    deadline: Duration,
    subject: &'a str,
    secrets: &'a [String],
    workspace: &'a str,
    asked_for: bool,
}

impl<'a> Call<'a> {
    /// A call that answers within this time or is cut off, waiting for a free slot included.
    pub fn within(deadline: Duration) -> Call<'a> {
        Call { deadline, subject: "", secrets: &[], workspace: "default", asked_for: false }
    }

    /// How long it may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// What it is about; empty when about nothing in particular.
    pub fn subject(&self) -> &'a str {
        self.subject
    }

    /// Names the task or service the call is about, for the plugin's log and the audit trail.
    pub fn about(self, subject: &'a str) -> Call<'a> {
        Call { subject, ..self }
    }

    /// Somebody asked for it who may ask for many more, and for long: those leave half of the plugin's slots to what has to be done.
    pub fn asked_for(self) -> Call<'a> {
        Call { asked_for: true, ..self }
    }

    /// Names the workspace that it is about, whose rules say what it may reach; `default` when nobody does.
    pub fn of(self, workspace: &'a str) -> Call<'a> {
        Call { workspace, ..self }
    }

    /// The workspace it is about.
    pub(crate) fn workspace(&self) -> &'a str {
        self.workspace
    }

    /// These texts among its arguments are secrets: the plugin gets them, and no recording does.
    pub fn hiding(self, secrets: &'a [String]) -> Call<'a> {
        Call { secrets, ..self }
    }
}

/// The capabilities answer `timeout` at the deadline; the guest gets this long to make something of that.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Plugin {
    /// Calls one exported function in an instance of its own.
    pub(crate) async fn call<P, R>(&self, function: Function, call: Call<'_>, extras: Extras, params: P) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower + Serialize + Send + Sync,
        R: ComponentNamedList + Lift + Serialize + Send + Sync + 'static,
    {
        self.call_with(function, call, extras, |_| params).await
    }

    /// As [`Plugin::call`], with arguments that depend on how much of the deadline is left once a slot is free.
    pub(crate) async fn call_with<P, R>(
        &self,
        function: Function,
        call: Call<'_>,
        extras: Extras,
        params: impl FnOnce(Duration) -> P,
    ) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower + Serialize + Send + Sync,
        R: ComponentNamedList + Lift + Serialize + Send + Sync + 'static,
    {
        let sink = &self.identity.sink;
        let begun = sink.hears_calls().then(SystemTime::now);
        let answer = self.answered(function, call, extras, params).await;
        if let Some(begun) = begun {
            let (plugin, revision, function) = (&self.identity.name, &self.identity.revision, function.name());
            let error = answer.as_ref().err().map(CallError::brief);
            sink.called(&Called { plugin, revision, function, subject: call.subject, begun, error });
        }
        answer
    }

    async fn answered<P, R>(&self, function: Function, call: Call<'_>, extras: Extras, params: impl FnOnce(Duration) -> P) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower + Serialize + Send + Sync,
        R: ComponentNamedList + Lift + Serialize + Send + Sync + 'static,
    {
        let until = Instant::now() + call.deadline;
        let Some(export) = self.exports.get(function) else { return Err(self.error(function, Failure::Unsupported)) };
        let _slots = self.slots(function, &call, until).await.map_err(|why| self.error(function, why))?;
        let scope = Scope::new(&self.identity, function, &call, until, self.limits.log_lines, self.tap());
        Counters::add(&self.identity.counters.calls);
        let params = params(scope.remaining());
        if let Some(tap) = scope.tap() {
            tap.begun(&params, call.secrets);
        }
        let running = async {
            match tokio::time::timeout_at(until + LAST_WORDS, self.run(&scope, extras, export, params)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(trap::explain(&error, &scope)),
                Err(_) => Err(Failure::Deadline { after: call.deadline }),
            }
        };
        let answer = match scope.tap() {
            None => running.await,
            Some(tap) => {
                let answer = tap.guard(running).await.and_then(|answer| answer);
                tap.ended(answer.as_ref());
                answer
            }
        };
        scope.close();
        answer.map_err(|why| self.broken(function, call.subject, why))
    }

    async fn run<P, R>(&self, scope: &Scope, extras: Extras, export: &wasmtime::component::ComponentExportIndex, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Serialize + Send + Sync,
        R: ComponentNamedList + Lift + Serialize + Send + Sync + 'static,
    {
        let _running = self.runtime.engine.running();
        let mut store = self.store(scope, extras);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let function = instance.get_typed_func::<P, R>(&mut store, export)?;
        function.call_async(&mut store, params).await
    }

    /// A store as every call gets it.
    pub(crate) fn store(&self, scope: &Scope, extras: Extras) -> Store<CallState> {
        let state = CallState::build(Budget::new(self.limits.memory), &self.capabilities, scope, extras, self.limits.handles);
        let mut store = Store::new(&self.runtime.engine.wasmtime, state);
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(usize::try_from(self.limits.transfer).unwrap_or(usize::MAX));
        store.set_max_component_handles(self.limits.handles as usize);
        // a loop yields to the executor with every tick, where the timeout around the call ends it
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        if let Some(tap) = scope.tap() {
            tap.watch(&mut store);
        }
        store
    }

    /// An error of this plugin.
    pub(crate) fn error(&self, function: Function, why: Failure) -> CallError {
        CallError { plugin: self.identity.name.clone(), function: function.name(), changes: function.changes(), why }
    }

    /// Tells the host something about a call, in the plugin's log.
    pub(crate) fn warn(&self, function: Function, subject: &str, message: String) {
        self.identity.sink.line(PluginLine {
            plugin: self.identity.name.clone(),
            revision: self.identity.revision.clone(),
            function: function.name(),
            subject: subject.to_owned(),
            level: Level::Warn,
            message,
            fields: BTreeMap::new(),
        });
    }

    /// An error that is the plugin's own doing: counted and told.
    pub(crate) fn broken(&self, function: Function, subject: &str, why: Failure) -> CallError {
        let counters = &self.identity.counters;
        match &why {
            Failure::Trapped { .. } => Counters::add(&counters.traps),
            Failure::Deadline { .. } => Counters::add(&counters.timeouts),
            Failure::Limit(_) => Counters::add(&counters.limits),
            Failure::Malformed(_) => Counters::add(&counters.malformed),
            Failure::Fault(_) => Counters::add(&counters.faults),
            Failure::Unsupported | Failure::Busy => {}
        }
        let error = self.error(function, why);
        if error.is_plugins_fault() {
            self.identity.sink.failed(&self.identity.name, &self.identity.revision, subject, &error);
        }
        error
    }
}

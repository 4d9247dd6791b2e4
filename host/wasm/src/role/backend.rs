//! Calls to a backend and to its abilities.

use tokio::time::Instant;

use super::honest::{self, Lie};
use crate::call::Call;
use crate::capability::Extras;
use crate::error::{CallError, Failure};
use crate::function::Function;
use crate::limits::{MAX_LIST_BYTES, MAX_PAGES};
use crate::plugin::Plugin;
use crate::words::{Candidate, Chunk, Engine, ExecCommand, ExecOutput, Fault, Found, Handle, Page, Problem, Status, Task, UpdateOutcome, Usage};

/// A plugin as a backend. Every call runs in a fresh instance; different calls run in parallel.
///
/// The caller makes at most one changing call per task at a time, and durably writes its intent before and the handle after.
#[derive(Clone, Copy)]
pub struct Backend<'p> {
    plugin: &'p Plugin,
}

impl<'p> Backend<'p> {
    pub(crate) fn new(plugin: &'p Plugin) -> Self {
        Backend { plugin }
    }

    /// The plugin behind it.
    pub fn plugin(&self) -> &'p Plugin {
        self.plugin
    }

    /// Asks the plugin for what a schema cannot say. `settings` is JSON; no side effects.
    pub async fn validate(&self, call: Call<'_>, settings: &str) -> Result<Vec<Problem>, CallError> {
        let function = Function::BackendValidate;
        self.given(function, honest::json(settings))?;
        let (answer,): (Result<(), Vec<Problem>>,) = self.plugin.call(function, call, Extras::default(), (settings,)).await?;
        Ok(answer.err().map(honest::shorten_problems).unwrap_or_default())
    }

    /// Asks the engine how it is.
    pub async fn fingerprint(&self, call: Call<'_>) -> Result<Engine, CallError> {
        let engine: Engine = self.ask(Function::Fingerprint, call, ()).await?;
        self.honest(Function::Fingerprint, call, engine, honest::engine)
    }

    /// Brings a task up. Idempotent on id and digest.
    pub async fn start(&self, call: Call<'_>, task: &Task) -> Result<Handle, CallError> {
        self.given(Function::Start, honest::json(&task.settings))?;
        let handle = self.ask(Function::Start, call, (task,)).await?;
        self.honest(Function::Start, call, handle, honest::handle)
    }

    /// Looks at many tasks in one call: one status per handle, in their order.
    pub async fn inspect(&self, call: Call<'_>, handles: &[Handle]) -> Result<Vec<Status>, CallError> {
        let statuses: Vec<Status> = self.ask(Function::Inspect, call, (handles,)).await?;
        self.honest(Function::Inspect, call, statuses, |statuses| honest::statuses(statuses, handles.len()))
    }

    /// Ends a task: asks, waits up to `grace_ms`, forces. Succeeds once nothing of it is alive.
    pub async fn stop(&self, call: Call<'_>, handle: &Handle, signal: Option<&str>, grace_ms: u64) -> Result<Status, CallError> {
        let status = self.ask(Function::Stop, call, (handle, signal, grace_ms)).await?;
        self.honest(Function::Stop, call, status, honest::status)
    }

    /// Frees what is left of a stopped task.
    pub async fn destroy(&self, call: Call<'_>, handle: &Handle, force: bool) -> Result<(), CallError> {
        self.ask(Function::Destroy, call, (handle, force)).await
    }

    /// Everything that carries this host's tag. The deadline of `call` is for all pages together.
    pub async fn list(&self, call: Call<'_>) -> Result<Vec<Found>, CallError> {
        let until = Instant::now() + call.deadline();
        let mut found: Vec<Found> = Vec::new();
        let mut cursor: Option<String> = None;
        let mut bytes = 0;
        for _ in 0..MAX_PAGES {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.plugin.broken(Function::List, call.subject(), Failure::Deadline { after: call.deadline() }));
            }
            let page: Page = self.ask(Function::List, Call::within(left).about(call.subject()), (cursor.as_deref(),)).await?;
            bytes += page.items.iter().map(honest::found_bytes).sum::<usize>();
            let page = self.honest(Function::List, call, page, |page| {
                honest::page(page)?;
                honest::count("bytes of list", bytes, MAX_LIST_BYTES)
            })?;
            let stuck = page.next.is_some() && page.next == cursor;
            found.extend(page.items.into_iter().filter(|item| self.is_ours(item, call)));
            match page.next {
                None => return Ok(found),
                Some(_) if stuck => break,
                next => cursor = next,
            }
        }
        Err(self.plugin.broken(Function::List, "", Failure::Malformed("its pages have no end".to_owned())))
    }

    /// Ability `logs`: reads on from `cursor`, or the last `tail` lines.
    pub async fn read_logs(
        &self,
        call: Call<'_>,
        handle: &Handle,
        cursor: Option<&str>,
        tail: Option<u32>,
        max_bytes: u32,
    ) -> Result<Chunk, CallError> {
        let chunk: Chunk = self.ask(Function::ReadLogs, call, (handle, cursor, tail, max_bytes)).await?;
        self.honest(Function::ReadLogs, call, chunk, |chunk| honest::chunk(chunk, max_bytes))
    }

    /// Ability `stats`: one answer per handle, absent where nothing was measured.
    pub async fn measure(&self, call: Call<'_>, handles: &[Handle]) -> Result<Vec<Option<Usage>>, CallError> {
        let usages: Vec<Option<Usage>> = self.ask(Function::Measure, call, (handles,)).await?;
        self.honest(Function::Measure, call, usages, |usages| honest::same_number("measurements", usages.len(), handles.len()))
    }

    /// Ability `exec`: runs a command inside a task, to its end.
    pub async fn exec(&self, call: Call<'_>, handle: &Handle, command: &ExecCommand) -> Result<ExecOutput, CallError> {
        let output: ExecOutput = self.ask(Function::Exec, call, (handle, command)).await?;
        self.honest(Function::Exec, call, output, honest::output)
    }

    /// Ability `signals`: the names it can send.
    pub async fn supported_signals(&self, call: Call<'_>) -> Result<Vec<String>, CallError> {
        let function = Function::SupportedSignals;
        let (names,): (Vec<String>,) = self.plugin.call(function, call, Extras::default(), ()).await?;
        self.honest(function, call, names, |names| honest::signals(names))
    }

    /// Ability `signals`: sends one.
    pub async fn send_signal(&self, call: Call<'_>, handle: &Handle, signal: &str) -> Result<(), CallError> {
        self.ask(Function::SendSignal, call, (handle, signal)).await
    }

    /// Ability `scale`: asks for a number of replicas.
    pub async fn set_scale(&self, call: Call<'_>, handle: &Handle, replicas: u32) -> Result<(), CallError> {
        self.ask(Function::SetScale, call, (handle, replicas)).await
    }

    /// Ability `scale`: one status per replica that exists now.
    pub async fn replicas(&self, call: Call<'_>, handle: &Handle) -> Result<Vec<Status>, CallError> {
        let statuses: Vec<Status> = self.ask(Function::Replicas, call, (handle,)).await?;
        self.honest(Function::Replicas, call, statuses, |statuses| honest::replicas(statuses))
    }

    /// Ability `update`: changes a running task.
    pub async fn update(&self, call: Call<'_>, handle: &Handle, task: &Task) -> Result<UpdateOutcome, CallError> {
        self.given(Function::Update, honest::json(&task.settings))?;
        self.ask(Function::Update, call, (handle, task)).await
    }

    /// Ability `handles`: the same task in the newest shape of handle. Pure.
    pub async fn migrate(&self, call: Call<'_>, handle: &Handle) -> Result<Handle, CallError> {
        let handle = self.ask(Function::Migrate, call, (handle,)).await?;
        self.honest(Function::Migrate, call, handle, honest::handle)
    }

    /// Ability `discovery`: everything on the engine that this host does not own.
    pub async fn survey(&self, call: Call<'_>) -> Result<Vec<Candidate>, CallError> {
        let candidates: Vec<Candidate> = self.ask(Function::Survey, call, ()).await?;
        self.honest(Function::Survey, call, candidates, |candidates| honest::candidates(candidates))
    }

    /// Ability `discovery`: lets go of a task that was taken over.
    pub async fn release(&self, call: Call<'_>, handle: &Handle) -> Result<(), CallError> {
        self.ask(Function::Release, call, (handle,)).await
    }

    /// Ability `discovery`: ends and removes a candidate, by its key.
    pub async fn kill(&self, call: Call<'_>, key: &str) -> Result<(), CallError> {
        self.ask(Function::Kill, call, (key,)).await
    }

    /// The host mints ids; what carries another kind of text is a stranger's, and no reason to lose sight of the rest.
    fn is_ours(&self, item: &Found, call: Call<'_>) -> bool {
        let ours = honest::is_task_id(&item.id);
        if !ours {
            self.plugin.warn(Function::List, call.subject(), format!("left out of the list: {:?} is no task's id", item.id));
        }
        ours
    }

    /// A call whose answer may be a fault.
    async fn ask<P, R>(&self, function: Function, call: Call<'_>, params: P) -> Result<R, CallError>
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower + serde::Serialize + Send + Sync,
        R: wasmtime::component::Lift + serde::Serialize + Send + Sync + 'static,
    {
        let (answer,): (Result<R, Fault>,) = self.plugin.call(function, call, Extras::default(), params).await?;
        answer.map_err(|fault| self.plugin.broken(function, call.subject(), Failure::Fault(honest::shorten_fault(fault))))
    }

    fn honest<T>(&self, function: Function, call: Call<'_>, answer: T, check: impl FnOnce(&T) -> Result<(), Lie>) -> Result<T, CallError> {
        match check(&answer) {
            Ok(()) => Ok(answer),
            Err(lie) => Err(self.plugin.broken(function, call.subject(), Failure::Malformed(lie))),
        }
    }

    /// What the host hands over is checked too: it may come from a person.
    fn given(&self, function: Function, checked: Result<(), Lie>) -> Result<(), CallError> {
        checked.map_err(|why| self.plugin.error(function, Failure::Limit(why)))
    }
}

//! One action, one call. Each runs on its own, and what became of it goes back to the loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Action, CheckResult, CheckSpec, Fault, Run, Span, Spec, Verdict, WorkspaceName};
use hostler_failpoint::failpoint;
use hostler_wasm::words::{ExecCommand, ExecOutput, Found, Handle, Resources, Status, Target, Task, TaskId};
use hostler_wasm::{Call, CallError, Failure, NextMove, Plugin, TaskExec, Wait};
use tokio::sync::mpsc;

use crate::desk::Desk;
use crate::engines::Engines;
use crate::message::{Message, News};
use crate::plugins::Plugins;
use crate::published::Published;
use crate::{secrets, telemetry};

mod change;
mod looks;
mod tries;

use change::Changing;
use looks::Known;

/// How long a look at a backend's tasks may take.
const LOOK: Duration = Duration::from_secs(10);
/// How long a listing may take, all its pages together.
const LIST: Duration = Duration::from_secs(30);
/// How long freeing what is left of a task may take.
const DESTROY: Duration = Duration::from_secs(60);
/// How long a stop may take beyond its grace.
const STOP_BEYOND_GRACE: Duration = Duration::from_secs(30);

/// Carries out actions.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) engines: Arc<Engines>,
    pub(crate) outbox: mpsc::UnboundedSender<Message>,
}

impl Actor {
    /// Begins an action; the answer comes as a message.
    pub(crate) fn begin(&self, desk: &Desk, action: Action) {
        match action {
            Action::Start { run, replica, spec } => {
                let id = desk.task_id(&spec.name, replica, run);
                let published = Published::around(desk, &spec);
                self.start(id, run, replica, spec, published);
            }
            Action::Update { run, replica, ticket, spec } => {
                let (id, published) = (desk.task_id(&spec.name, replica, run), Published::around(desk, &spec));
                self.update(Changing { id, run, replica, handle: handle_of(desk, run), published }, ticket, spec);
            }
            Action::Stop { run, backend, .. } if desk.released.contains(&run) => {
                self.release(run, backend, subject_of(desk, run), handle_of(desk, run))
            }
            Action::Stop { run, backend, signal, grace } => {
                let handle = handle_of(desk, run);
                self.stop(run, backend, subject_of(desk, run), handle, signal, grace);
            }
            Action::Destroy { run, backend, force } => {
                // Of what was let go of nothing is ours to free.
                let handle = handle_of(desk, run).filter(|_| !desk.released.contains(&run));
                self.destroy(run, backend, subject_of(desk, run), handle, force);
            }
            Action::Look { backend, runs } => {
                self.engines.uses(&backend);
                let known = runs
                    .iter()
                    .filter_map(|run| Some(Known { run: *run, handle: handle_of(desk, *run)?, subject: subject_of(desk, *run) }))
                    .collect();
                self.look(backend, known);
            }
            Action::List { backend } => self.list(backend),
            Action::Check { run, replica, check, ticket, spec } => {
                let target = target(desk, &spec, run, replica);
                let exec = TaskDoor {
                    plugin: self.plugins.get(&spec.backend.plugin),
                    handle: handle_of(desk, run),
                    subject: desk.task_id(&spec.name, replica, run),
                    workspace: spec.name.workspace().to_owned(),
                };
                let Some(check) = spec.checks.get(check).cloned() else { return };
                let published = Published::around(desk, &spec);
                self.check(Asked { run, check, ticket, published }, target, exec);
            }
            // The loop has committed them.
            Action::Save(_) | Action::Tell(_) => {}
        }
    }

    fn answer(&self, news: News) {
        // The loop is gone only when the host is.
        if let News::StartFailed { fault, .. }
        | News::StopFailed { fault, .. }
        | News::Destroyed { fault: Some(fault), .. }
        | News::Updated { fault: Some(fault), .. } = &news
        {
            telemetry::failed(fault.message());
        }
        self.outbox.send(telemetry::traced(Message::News(news))).ok();
    }

    fn start(&self, id: String, run: Run, replica: u32, spec: Arc<Spec>, published: Published) {
        let me = self.clone();
        telemetry::spawn(async move {
            let news = match me.started(&id, run, replica, &spec, &published).await {
                Ok((handle, status)) => News::Started { run, backend: spec.backend.plugin.clone(), id, handle, status },
                Err(fault) => News::StartFailed { run, fault },
            };
            me.answer(news);
        });
    }

    async fn started(&self, id: &str, run: Run, replica: u32, spec: &Spec, published: &Published) -> Result<(Handle, Option<Status>), Fault> {
        let plugin = self.backend(&spec.backend.plugin)?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(&spec.backend.plugin))?;
        self.engines.uses(plugin.name());
        if let Some(message) = self.engines.trouble(&plugin).await {
            return Err(Fault::Unavailable { message, after: None });
        }
        let spec = &published.fill(spec, &plugin).map_err(Fault::Failed)?;
        let timeout = duration(spec.timeout);
        let task = tokio::time::timeout(timeout, task(id, run, replica, spec)).await;
        let task = task.map_err(|_| Fault::Failed(format!("its secrets cannot be read within {}", spec.timeout)))??;
        let subject = spec.name.as_str();
        self.plugins.permit(&spec.backend.plugin, subject)?;
        let hidden: Vec<String> = task.env.iter().filter(|(name, _)| spec.secrets.contains_key(name)).map(|(_, value)| value.clone()).collect();
        let call = Call::within(timeout).about(id).of(spec.name.workspace()).hiding(&hidden);
        failpoint!("host.start-task.before");
        let went = backend.start(call, &task).await;
        self.judge(&spec.backend.plugin, subject, &went);
        let handle = went.map_err(|error| fault(&error))?;
        failpoint!("host.start-task.started");
        // For people to see its pid at once; the loop looks again soon anyway.
        let call = Call::within(LOOK).about(id).of(spec.name.workspace());
        let status = backend.inspect(call, std::slice::from_ref(&handle)).await.ok().and_then(|mut statuses| statuses.pop());
        failpoint!("host.start-task.inspected");
        Ok((handle, status))
    }

    fn backend(&self, name: &str) -> Result<Arc<Plugin>, Fault> {
        self.plugins.get(name).ok_or_else(|| Fault::Unavailable { message: self.plugins.why_not(name), after: Some(Span::secs(5)) })
    }

    fn stop(&self, run: Run, backend: String, subject: String, handle: Option<Handle>, signal: Option<String>, grace: Span) {
        let me = self.clone();
        telemetry::spawn(async move {
            let news = match me.stopped(&backend, &subject, handle, signal, grace).await {
                Ok(status) => News::Stopped { run, status },
                Err(fault) => News::StopFailed { run, fault },
            };
            failpoint!("host.stop-task.stopped");
            me.answer(news);
        });
    }

    async fn stopped(&self, name: &str, subject: &str, handle: Option<Handle>, signal: Option<String>, grace: Span) -> Result<Option<Status>, Fault> {
        // Without a handle nothing was ever started.
        let Some(handle) = handle else { return Ok(None) };
        let plugin = self.backend(name)?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(name))?;
        let call = Call::within(duration(grace) + STOP_BEYOND_GRACE).of(workspace_of(subject));
        failpoint!("host.stop-task.before");
        let went = backend.stop(call, &handle, signal.as_deref(), grace.0).await;
        self.judge(name, subject, &went);
        match went {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.next_move() == NextMove::Gone => Ok(None),
            Err(error) => Err(fault(&error)),
        }
    }

    fn release(&self, run: Run, backend: String, subject: String, handle: Option<Handle>) {
        let me = self.clone();
        telemetry::spawn(async move {
            let news = match me.let_go(&backend, &subject, handle).await {
                Ok(()) => News::Stopped { run, status: None },
                Err(fault) => News::StopFailed { run, fault },
            };
            me.answer(news);
        });
    }

    async fn let_go(&self, name: &str, subject: &str, handle: Option<Handle>) -> Result<(), Fault> {
        let Some(handle) = handle else { return Ok(()) };
        let plugin = self.backend(name)?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(name))?;
        let went = backend.release(Call::within(DESTROY).about(subject).of(workspace_of(subject)), &handle).await;
        self.judge(name, subject, &went);
        match went {
            Err(error) if error.next_move() != NextMove::Gone => Err(fault(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn destroy(&self, run: Run, backend: String, subject: String, handle: Option<Handle>, force: bool) {
        let me = self.clone();
        telemetry::spawn(async move {
            let fault = me.destroyed(&backend, &subject, handle, force).await.err();
            failpoint!("host.destroy.destroyed");
            me.answer(News::Destroyed { run, fault });
        });
    }

    async fn destroyed(&self, backend: &str, subject: &str, handle: Option<Handle>, force: bool) -> Result<(), Fault> {
        let Some(handle) = handle else { return Ok(()) };
        let plugin = self.backend(backend)?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(backend))?;
        failpoint!("host.destroy.before");
        match backend.destroy(Call::within(DESTROY).of(workspace_of(subject)), &handle, force).await {
            Ok(()) => Ok(()),
            Err(error) if error.next_move() == NextMove::Gone => Ok(()),
            Err(error) => Err(fault(&error)),
        }
    }

    fn look(&self, backend: String, known: Vec<Known>) {
        let me = self.clone();
        telemetry::spawn(async move {
            let seen = me.look_through(&backend, known).await;
            failpoint!("host.inspect.inspected");
            me.answer(News::Looked { backend, seen });
        });
    }

    async fn look_through(&self, name: &str, known: Vec<Known>) -> Result<Vec<(Run, Status)>, String> {
        let plugin = self.plugins.get(name).ok_or_else(|| self.plugins.why_not(name))?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(name).message().to_owned())?;
        failpoint!("host.inspect.before");
        self.looked(backend, known).await
    }

    /// Looks at one task beside the batches, because something pointed at it.
    pub(crate) fn look_at(&self, desk: &Desk, backend: String, run: Run, handle: Handle) {
        let (me, subject) = (self.clone(), subject_of(desk, run));
        telemetry::spawn(async move {
            match me.inspected(&backend, &subject, &[handle]).await.ok().and_then(|mut statuses| statuses.pop()) {
                Some(status) => me.answer(News::Seen { backend, run, status }),
                // A look at all of them makes up for it, and says what is wrong.
                None => drop(me.outbox.send(Message::Wake { backend, id: None })),
            }
        });
    }

    async fn inspected(&self, name: &str, subject: &str, handles: &[Handle]) -> Result<Vec<Status>, String> {
        let plugin = self.plugins.get(name).ok_or_else(|| self.plugins.why_not(name))?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(name).message().to_owned())?;
        backend.inspect(Call::within(LOOK).of(workspace_of(subject)), handles).await.map_err(|error| error.brief())
    }

    fn list(&self, backend: String) {
        let me = self.clone();
        telemetry::spawn(async move {
            let found = me.listed(&backend).await;
            failpoint!("host.list.listed");
            me.answer(News::Listed { backend, found });
        });
    }

    async fn listed(&self, name: &str) -> Result<Vec<Found>, String> {
        let plugin = self.plugins.get(name).ok_or_else(|| self.plugins.why_not(name))?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(name).message().to_owned())?;
        self.plugins.permit(name, "").map_err(|resting| resting.why)?;
        failpoint!("host.list.before");
        let went = backend.list(Call::within(LIST)).await;
        self.judge(name, "", &went);
        went.map_err(|error| error.brief())
    }

    fn check(&self, asked: Asked, target: Target, exec: TaskDoor) {
        let me = self.clone();
        telemetry::spawn(async move {
            let begun = tokio::time::Instant::now();
            let (verdict, message, details) = me.checked(&asked, &target, exec).await;
            failpoint!("host.check.checked");
            let took = Span(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
            let Asked { run, ticket, .. } = asked;
            me.answer(News::Checked { result: CheckResult { run, ticket, verdict, message, took }, details });
        });
    }

    async fn checked(&self, asked: &Asked, target: &Target, exec: TaskDoor) -> (Verdict, String, BTreeMap<String, String>) {
        let unknown = |why: String| (Verdict::Unknown, why, BTreeMap::new());
        let check = &asked.check;
        let Some(plugin) = self.plugins.get(&check.plugin) else { return unknown(self.plugins.why_not(&check.plugin)) };
        let Some(health_check) = plugin.health_check() else { return unknown(format!("plugin `{}` is no health check", check.plugin)) };
        let settings = match asked.published.fill_settings(&check.settings, &plugin) {
            Ok(settings) => settings,
            Err(why) => return unknown(why),
        };
        let subject = format!("{}/{}", exec.subject, check.name);
        let call = Call::within(duration(check.timeout)).about(&subject).of(&target.workspace);
        let service = full_name(target);
        if let Err(resting) = self.plugins.permit(&check.plugin, &service) {
            return unknown(resting.why);
        }
        failpoint!("host.check.before");
        let went = health_check.check(call, target, &settings, Some(Arc::new(exec))).await;
        self.judge(&check.plugin, &service, &went);
        match went {
            Ok(report) => (verdict(report.verdict), report.message, report.details.into_iter().collect()),
            Err(error) => unknown(error.brief()),
        }
    }
}

/// Which check of which life.
struct Asked {
    run: Run,
    check: CheckSpec,
    ticket: u64,
    published: Published,
}

/// How a check reaches into the task it looks at.
struct TaskDoor {
    plugin: Option<Arc<Plugin>>,
    handle: Option<Handle>,
    subject: String,
    workspace: String,
}

impl TaskExec for TaskDoor {
    fn available(&self) -> bool {
        self.handle.is_some() && self.plugin.as_ref().is_some_and(|plugin| plugin.abilities().contains(&hostler_wasm::Ability::Exec))
    }

    fn run(&self, command: ExecCommand) -> Wait<'_, Result<ExecOutput, CallError>> {
        Box::pin(async move {
            let gone = || CallError { plugin: "host".to_owned(), function: "exec.run", changes: false, why: Failure::Unsupported };
            let (Some(plugin), Some(handle)) = (&self.plugin, &self.handle) else { return Err(gone()) };
            let backend = plugin.backend().ok_or_else(gone)?;
            let deadline = Duration::from_millis(command.deadline);
            backend.exec(Call::within(deadline).about(&self.subject).of(&self.workspace), handle, &command).await
        })
    }
}

fn handle_of(desk: &Desk, run: Run) -> Option<Handle> {
    desk.handles.get(&run).map(|record| record.handle.clone())
}

/// What the host calls the service that is checked.
fn full_name(target: &Target) -> String {
    let Target { workspace, service, .. } = target;
    if workspace == WorkspaceName::DEFAULT { service.clone() } else { format!("{workspace}.{service}") }
}

/// The workspace of a service by its full name, whose rules say what a call about it may reach; `default` for what is nobody's.
pub(crate) fn workspace_of(service: &str) -> &str {
    service.split_once('.').map_or(WorkspaceName::DEFAULT, |(workspace, _)| workspace)
}

/// The service that a life is of.
fn subject_of(desk: &Desk, run: Run) -> String {
    desk.core.owner_of(run).map_or_else(String::new, |(name, _)| name.to_string())
}

fn target(desk: &Desk, spec: &Spec, run: Run, replica: u32) -> Target {
    let status = desk.seen.get(&run);
    let mut attributes = status.map(|status| status.attributes.clone()).unwrap_or_default();
    // What the service says itself, for the check that asks for that.
    attributes.extend(desk.heartbeats.attributes(desk, &spec.name));
    Target {
        workspace: spec.name.workspace().to_owned(),
        service: spec.name.local().to_owned(),
        replica,
        endpoints: status.map(|status| status.endpoints.clone()).unwrap_or_default(),
        attributes,
    }
}

async fn task(id: &str, run: Run, replica: u32, spec: &Spec) -> Result<Task, Fault> {
    let mut env: BTreeMap<String, String> = spec.env.clone();
    // The one thing that is inherited: without it no `#!/usr/bin/env` finds its interpreter.
    if let Some(path) = std::env::var("PATH").ok().filter(|_| !env.contains_key("PATH")) {
        env.insert("PATH".to_owned(), path);
    }
    for (name, path) in &spec.secrets {
        let secret = secrets::read(path).await.map_err(|why| Fault::Failed(format!("secret {name} cannot be read from {path}: {why}")))?;
        env.insert(name.clone(), secret);
    }
    Ok(Task {
        id: TaskId { id: id.to_owned(), workspace: spec.name.workspace().to_owned(), service: spec.name.local().to_owned(), replica, run },
        spec_digest: spec.task_digest.clone(),
        settings: spec.backend.settings.clone(),
        env: env.into_iter().collect(),
        resources: Resources {
            cpu_millis: spec.resources.cpu_millis,
            memory_bytes: spec.resources.memory_bytes,
            storage_bytes: spec.resources.storage_bytes,
        },
        labels: spec.labels.clone().into_iter().collect(),
    })
}

fn verdict(said: hostler_wasm::words::Verdict) -> Verdict {
    match said {
        hostler_wasm::words::Verdict::Pass => Verdict::Pass,
        hostler_wasm::words::Verdict::Warn => Verdict::Warn,
        hostler_wasm::words::Verdict::Fail => Verdict::Fail,
        hostler_wasm::words::Verdict::Unknown => Verdict::Unknown,
    }
}

fn not_a_backend(name: &str) -> Fault {
    Fault::Invalid(format!("plugin `{name}` is no backend"))
}

pub(crate) fn duration(span: Span) -> Duration {
    Duration::from_millis(span.0)
}

/// A failed call as the core hears of it.
pub(crate) fn fault(error: &CallError) -> Fault {
    let text = error.brief();
    match error.next_move() {
        NextMove::Report => match error.fault() {
            Some(hostler_wasm::words::Fault::Denied(_)) => Fault::Denied(text),
            Some(hostler_wasm::words::Fault::Unsupported(_)) => Fault::Unsupported(text),
            _ => Fault::Invalid(text),
        },
        NextMove::Retry { after } => {
            let after = after.map(|after| Span(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)));
            // whoever hears of it says whose backend is unavailable
            let message = text.strip_prefix("unavailable: ").map(str::to_owned).unwrap_or(text);
            Fault::Unavailable { message, after }
        }
        NextMove::Fail | NextMove::Gone => Fault::Failed(text),
        NextMove::Look => Fault::Interrupted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_about_the_workspace_of_its_service() {
        assert_eq!([workspace_of("acme.db"), workspace_of("db"), workspace_of("")], ["acme", "default", "default"]);
    }
}

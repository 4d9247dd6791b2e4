//! What a revision has to stand before it is let near live tasks.

use std::sync::Arc;
use std::time::Duration;

use hostler_api::Failure;
use hostler_core::{Problem, Spec};
use hostler_wasm::words::Handle;
use hostler_wasm::{Ability, Backend, Call, Plugin};
use serde_json::Value;

use super::{refused, shadow};
use crate::act::workspace_of;
use crate::apply::imagined;
use crate::desk::Desk;
use crate::http::Door;

/// How long a plugin may take to doubt one service's settings, or to carry one handle over.
const PURE: Duration = Duration::from_secs(5);
/// How many mistakes are told at most.
const TOLD: usize = 10;

/// A life that the backend holds.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) id: String,
    pub(crate) handle: Handle,
    /// Empty when nobody wants it any more.
    pub(crate) service: String,
}

/// Whose word about live tasks counts beside the new one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// Both must see every task alike.
    WithTheOld,
    /// The one in force may be the broken one.
    WithNothing,
}

/// Every life that this backend holds.
pub(crate) fn live(desk: &Desk, backend: &str) -> Vec<Live> {
    let held = desk.handles.iter().filter(|(run, _)| desk.is_held_by(**run, backend));
    let service = |run| desk.core.owner_of(run).map_or_else(String::new, |(name, _)| name.to_string());
    held.map(|(run, record)| Live { id: record.id.clone(), handle: record.handle.clone(), service: service(*run) }).collect()
}

/// Raises every doubt; answers how many live tasks it was shown.
pub(super) async fn doubt(door: &Door, name: &str, old: Option<&Arc<Plugin>>, new: &Arc<Plugin>, compared: Compared) -> Result<usize, Failure> {
    if let Some(old) = old.filter(|old| old.role() != new.role()) {
        return Err(refused(name, format!("it is a {}, and was a {}", new.role(), old.role())));
    }
    let asked = name.to_owned();
    let (tasks, specs) = door.look(move |desk| (live(desk, &asked), users(desk, &asked))).await?;
    let mut problems = settings(name, new, &specs).await;
    problems.truncate(TOLD);
    if !problems.is_empty() {
        let mut failure = refused(name, "it does not take the settings that services have".to_owned());
        failure.problems = problems;
        return Err(failure);
    }
    let Some(backend) = new.backend() else { return Ok(0) };
    handles(name, backend, &tasks).await?;
    if let (Some(old), Compared::WithTheOld) = (old, compared) {
        let differences = shadow::differences(old, new, &tasks).await.map_err(|blind| refused(name, blind.why))?;
        if !differences.is_empty() {
            let more = differences.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let told = differences.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
            return Err(refused(name, format!("it sees live tasks otherwise than the revision in force: {told}{more}")));
        }
    }
    Ok(tasks.len())
}

fn users(desk: &Desk, name: &str) -> Vec<Spec> {
    let specs = desk.core.names().filter_map(|service| desk.core.wanted(service.as_str())).map(|wanted| &wanted.spec);
    let uses = |spec: &&std::sync::Arc<Spec>| spec.backend.plugin == name || spec.checks.iter().any(|check| check.plugin == name);
    specs.filter(uses).map(|spec| spec.as_ref().clone()).collect()
}

/// Holds what services have set against the new schema, and asks the new revision itself.
async fn settings(name: &str, new: &Plugin, specs: &[Spec]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for spec in specs {
        let service = spec.name.as_str();
        if spec.backend.plugin == name {
            problems.extend(doubted(new, service, &format!("/services/{service}/backend"), &spec.backend.settings).await);
        }
        for check in spec.checks.iter().filter(|check| check.plugin == name) {
            problems.extend(doubted(new, service, &format!("/services/{service}/checks/{}", check.name), &check.settings).await);
        }
    }
    problems
}

async fn doubted(new: &Plugin, service: &str, at: &str, settings: &str) -> Vec<Problem> {
    let settings = &imagined(new, settings);
    let value: Value = serde_json::from_str(settings).unwrap_or_default();
    let mut found = Ok(new.validate_settings(&value));
    if found.as_ref().is_ok_and(Vec::is_empty) {
        let call = Call::within(PURE).about(service).of(workspace_of(service));
        found = match (new.backend(), new.health_check()) {
            (Some(backend), _) => backend.validate(call, settings).await,
            (None, Some(check)) => check.validate(call, settings).await,
            (None, None) => Ok(Vec::new()),
        };
    }
    match found {
        Ok(found) => {
            found.into_iter().map(|problem| Problem { at: format!("{at}{}", problem.at), message: problem.message, hint: problem.hint }).collect()
        }
        Err(error) => vec![Problem::new(at, format!("it could not check this: {error}"))],
    }
}

/// Every live handle must be of a version that it reads; one that it would carry over must be carried over, and twice to the same.
async fn handles(name: &str, backend: Backend<'_>, tasks: &[Live]) -> Result<(), Failure> {
    let versions = &backend.plugin().description().handle_versions;
    if let Some(task) = tasks.iter().find(|task| !versions.contains(&task.handle.version)) {
        let count = tasks.iter().filter(|task| !versions.contains(&task.handle.version)).count();
        let why = format!("{count} live tasks, {} among them, have handles of version {}, and it reads {versions:?}", task.id, task.handle.version);
        return Err(refused(name, why));
    }
    if !backend.plugin().abilities().contains(&Ability::Handles) {
        return Ok(());
    }
    for task in tasks {
        let migrate = || backend.migrate(Call::within(PURE).about(&task.id).of(workspace_of(&task.service)), &task.handle);
        let (once, again) = (migrate().await, migrate().await);
        let trouble = match (once, again) {
            (Ok(once), Ok(again)) if !same(&once, &again) => Some("answers differently when it is asked twice".to_owned()),
            (Ok(once), Ok(_)) if !versions.contains(&once.version) => {
                Some(format!("answers version {}, which it does not read itself", once.version))
            }
            (Ok(_), Ok(_)) => None,
            (Err(error), _) | (_, Err(error)) => Some(error.brief()),
        };
        if let Some(trouble) = trouble {
            return Err(refused(name, format!("it cannot carry over the handle of {}: handles.migrate: {trouble}", task.id)));
        }
    }
    Ok(())
}

fn same(one: &Handle, other: &Handle) -> bool {
    one.version == other.version && one.state == other.state
}

//! Has come about what was asked for?

use hostler_api::{Code, Failure};
use hostler_core::{Desired, ServiceView, Status, WorkspaceName};

use super::worker::local;
use crate::desk::Desk;

/// What is to become of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Up, and well.
    Up,
    /// Down.
    Down,
    /// Whatever is wanted of each.
    AsWanted,
}

/// How they are.
#[derive(Debug)]
pub(super) enum Verdict {
    /// As they are to be.
    Good,
    /// On their way; this is what they wait for.
    Wait(String),
    /// These do not get there by themselves.
    Short(Failure, Vec<String>),
    /// Somebody wants something else of them since.
    Overtaken(Failure),
}

/// Of these services, or of all of a workspace.
pub(super) fn judge(desk: &Desk, workspace: &WorkspaceName, names: &[String], aim: Aim) -> Verdict {
    if names.is_empty() {
        let all: Vec<String> = desk.core.names().filter(|name| name.workspace() == workspace.as_str()).map(ToString::to_string).collect();
        return together(all.iter().map(|name| one(desk, name, aim)));
    }
    together(names.iter().map(|name| one(desk, name, aim)))
}

/// Whoever is short is told with all who are; before that, who was overtaken; and before all, nobody while one may still get there.
fn together(each: impl Iterator<Item = Verdict>) -> Verdict {
    let (mut waits, mut short, mut first, mut overtaken) = (None, Vec::new(), None, None);
    for verdict in each {
        match verdict {
            Verdict::Good => {}
            Verdict::Wait(why) => waits = waits.or(Some(why)),
            Verdict::Short(failure, names) => {
                short.extend(names);
                first = first.or(Some(failure));
            }
            Verdict::Overtaken(failure) => overtaken = overtaken.or(Some(failure)),
        }
    }
    match (overtaken, first, waits) {
        (Some(failure), ..) => Verdict::Overtaken(failure),
        (None, Some(failure), _) => Verdict::Short(failure, short),
        (None, None, Some(why)) => Verdict::Wait(why),
        (None, None, None) => Verdict::Good,
    }
}

fn one(desk: &Desk, name: &str, aim: Aim) -> Verdict {
    let overtaken = |what: &str| Verdict::Overtaken(Failure::new(Code::Conflict, format!("service `{}` {what} meanwhile", local(name))));
    let Some(view) = desk.core.service(name) else {
        return if aim == Aim::Up { overtaken("was removed") } else { Verdict::Good };
    };
    match (view.desired, aim) {
        (None, Aim::Up) => overtaken("was removed"),
        (Some(Desired::Stopped), Aim::Up) => overtaken("was stopped by somebody"),
        (Some(Desired::Running), Aim::Down) => overtaken("was started by somebody"),
        (Some(Desired::Running | Desired::Absent), Aim::Up | Aim::AsWanted) => up(desk, name, &view),
        (None | Some(Desired::Stopped | Desired::Absent), _) => down(desk, name, &view),
    }
}

fn up(desk: &Desk, name: &str, view: &ServiceView<'_>) -> Verdict {
    let is_settled = desk.core.is_settled(name);
    match view.status {
        Status::Running | Status::Completed | Status::Disabled if is_settled => Verdict::Good,
        Status::Stopped if is_settled && view.count == 0 => Verdict::Good,
        // What it waits for does not come by itself: a dependency has failed, or its backend is missing.
        Status::Failed => Verdict::Short(failed(name, view), vec![name.to_owned()]),
        Status::Pending if is_settled => Verdict::Short(failed(name, view), vec![name.to_owned()]),
        _ => Verdict::Wait(waits(name, view)),
    }
}

fn down(desk: &Desk, name: &str, view: &ServiceView<'_>) -> Verdict {
    let is_down = matches!(view.status, Status::Stopped | Status::Completed | Status::Failed | Status::Disabled | Status::NotFound);
    if is_down && (desk.core.is_settled(name) || view.desired.is_none()) { Verdict::Good } else { Verdict::Wait(waits(name, view)) }
}

fn failed(name: &str, view: &ServiceView<'_>) -> Failure {
    let own = local(name);
    Failure::new(Code::Failed, told(name, view)).hint(format!("`hostler explain {own}` says why, `hostler logs {own}` what it wrote"))
}

fn waits(name: &str, view: &ServiceView<'_>) -> String {
    format!("waits: {}", told(name, view))
}

fn told(name: &str, view: &ServiceView<'_>) -> String {
    let why = view.cause.first().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("service `{}` is {}{why}", local(name), view.status.as_str())
}

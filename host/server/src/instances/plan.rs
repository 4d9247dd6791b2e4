//! What somebody asked for, as others are shown it, and what becomes of it when he asks for something else.

use hostler_api::documents::kyozo::{Asked, Patch};
use hostler_api::{Code, Failure};
use hostler_core::{Problem, ServiceName};
use hostler_wasm::record::REDACTED;
use serde_json::Value;

use super::{Kept, find, unknown};
use crate::desk::Desk;
use crate::ledger::{Instance, Origin};
use crate::operator;

/// Attributes that go to plugins, which alone know what of them is secret, and what a secret may be repeated in.
const HIDING: [&str; 3] = ["deployment_config", "environment_variables", "health_check_config"];
const PARENT: &str = "parent_service_id";
const TEAM: &str = "team_id";

/// A change of one instance.
pub(super) struct Plan {
    /// As it stands in the books.
    pub(super) before: Instance,
    /// The same, which is to be changed.
    pub(super) kept: Kept,
    /// What is asked for once it is.
    pub(super) asked: Asked,
}

impl Plan {
    /// What becomes of the instance with this id.
    ///
    /// # Errors
    /// There is none, or it cannot become that.
    pub(super) fn new(desk: &Desk, id: &str, patch: Patch) -> Result<Plan, Failure> {
        let kept = find(desk, id).ok_or_else(|| unknown(id))?;
        if patch.id.as_ref().is_some_and(|named| named != id) {
            return Err(Failure::new(Code::Conflict, "the id in the body is not the one in the path"));
        }
        let workspace = patch.asked.asked.get("workspace_id").and_then(Value::as_str);
        if workspace.is_some_and(|workspace| workspace != kept.service.workspace()) {
            return Err(mistake("workspace_id", "an instance stays in its workspace: make another one there"));
        }
        let was = Asked::of(kept.instance.asked.value());
        let sent = patch.asked.revealed(&was, &shown(desk, &kept), REDACTED).map_err(Failure::config)?;
        doubt(desk, &kept.service, &sent, &was)?;
        let asked = without_gone_parent(desk, &kept.service, was.patched(sent));
        Ok(Plan { before: kept.instance.clone(), kept, asked })
    }
}

/// What was asked for, for whoever may look: without secrets, and as what it names is now.
pub(super) fn shown(desk: &Desk, kept: &Kept) -> Asked {
    let mut shown = without_gone_parent(desk, &kept.service, Asked::of(kept.instance.asked.value()));
    if let Some(team) = team(desk, &kept.service) {
        shown.asked.insert(TEAM.to_owned(), Value::from(team));
    }
    let redactor = operator::redactor(desk, &kept.service);
    for key in HIDING.into_iter().filter(|_| !redactor.is_empty()) {
        if let Some(value) = shown.asked.get_mut(key) {
            *value = redactor.take_out(value.take());
        }
    }
    shown
}

/// Refuses a parent and a team that cannot be those of this service. What is said again as it `was` is not looked at anew.
pub(super) fn doubt(desk: &Desk, service: &ServiceName, sent: &Asked, was: &Asked) -> Result<(), Failure> {
    let said = |key: &str| sent.asked.get(key).and_then(Value::as_str);
    let had = was.asked.get(PARENT).and_then(Value::as_str);
    if said(PARENT).is_some_and(|parent| had != Some(parent) && !is_parent(desk, parent, service)) {
        return Err(mistake(PARENT, "there is no such service instance in this workspace"));
    }
    match (said(TEAM), team(desk, service)) {
        (Some(said), Some(team)) if said != team => {
            let words = format!("workspace `{}` is of the team `{team}`", service.workspace());
            Err(Failure::config(vec![problem(TEAM, words).hint("leave it out, or name that team")]))
        }
        _ => Ok(()),
    }
}

fn problem(key: &str, words: impl Into<String>) -> Problem {
    Problem::new(format!("/data/attributes/{key}"), words)
}

fn mistake(key: &str, words: &str) -> Failure {
    Failure::config(vec![problem(key, words)])
}

/// The team of a service's workspace.
fn team(desk: &Desk, service: &ServiceName) -> Option<String> {
    desk.workspaces.get(service.workspace())?.team.clone()
}

/// Whose parent was removed has none.
fn without_gone_parent(desk: &Desk, service: &ServiceName, mut asked: Asked) -> Asked {
    let parent = asked.text(PARENT);
    if !parent.is_empty() && !is_parent(desk, parent, service) {
        asked.asked.insert(PARENT.to_owned(), Value::Null);
    }
    asked
}

/// Is there another instance of this id in the workspace?
fn is_parent(desk: &Desk, id: &str, service: &ServiceName) -> bool {
    let is_it = |name: &ServiceName, origin: &Origin| matches!(origin, Origin::Instance(instance) if instance.id == id) && name != service;
    desk.origins.iter().any(|(name, origin)| name.workspace() == service.workspace() && is_it(name, origin))
}

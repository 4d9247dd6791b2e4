//! Workspaces and teams, for people: what is written into them comes from here, and the loop has the last word.

use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use hostler_api::access::{Access, DEFAULT_WORKSPACE, Role};
use hostler_api::{
    Code, Failure, Removal, Removed, Shape, TeamDetail, TeamList, TeamMembers, TeamRequest, WorkspaceChange, WorkspaceDetail, WorkspaceList,
    WorkspaceRequest, routes,
};
use hostler_core::WorkspaceName;

use super::Door;
use super::answer::{Answer, Name, body, json, query};
use super::caller::Caller;
use super::scope::Scope;
use super::table::Table;
use crate::clock;
use crate::message::Change;
use crate::workspaces::{self, Estate, Record, TeamRecord};

pub(super) fn routes(table: Table) -> Table {
    table
        .get(routes::WORKSPACES, list)
        .post(routes::WORKSPACES, create)
        .get(routes::WORKSPACE, one)
        .patch(routes::WORKSPACE, alter)
        .delete(routes::WORKSPACE, close)
        .get(routes::TEAMS, teams)
        .post(routes::TEAMS, create_team)
        .get(routes::TEAM, team)
        .put(routes::TEAM, set_team)
        .delete(routes::TEAM, close_team)
}

async fn list(State(door): State<Door>, Extension(caller): Extension<Caller>) -> Answer {
    let workspaces = door.look(move |desk| workspaces::list(desk, |name| caller.role_in(name))).await?;
    json(&WorkspaceList { version: Shape, workspaces })
}

async fn create(State(door): State<Door>, Extension(caller): Extension<Caller>, request: Body) -> Answer {
    let asked: WorkspaceRequest = body(request).await?;
    let name = WorkspaceName::new(&asked.name).map_err(invalid)?;
    let record = Record::new(asked, &caller.name, clock::wall_ms());
    // Tokens of one that had the name before are none of this one.
    if door.workspaces.get(name.as_str()).is_none() {
        door.identities.forget_workspace(name.as_str()).await?;
    }
    door.change(Change::Estate(Box::new(Estate::Make { name: name.clone(), record }))).await?;
    tracing::info!(workspace = name.as_str(), by = caller.name, "a workspace was made");
    told(&door, name, Role::Admin).await
}

async fn one(State(door): State<Door>, scope: Scope) -> Answer {
    let role = scope.caller.role_in(scope.workspace.as_str()).unwrap_or(Role::Viewer);
    told(&door, scope.workspace, role).await
}

async fn alter(State(door): State<Door>, scope: Scope, request: Body) -> Answer {
    let change: WorkspaceChange = body(request).await?;
    if change.team.is_some() || change.plugins.is_some() || change.quotas.is_some() || change.network.is_some() {
        // What a workspace may take of the host is the host's to say.
        scope.caller.may_in(DEFAULT_WORKSPACE, Access::Host(Role::Admin))?;
    }
    let role = scope.caller.role_in(scope.workspace.as_str()).unwrap_or(Role::Viewer);
    door.change(Change::Estate(Box::new(Estate::Alter { name: scope.workspace.clone(), change }))).await?;
    told(&door, scope.workspace, role).await
}

async fn close(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(name): Name, uri: Uri) -> Answer {
    let asked: Removal = query(&uri)?;
    let name =
        WorkspaceName::new(&name).ok().filter(|name| door.workspaces.get(name.as_str()).is_some()).ok_or_else(|| caller.no_workspace(&name))?;
    let accepted = door.change(Change::Estate(Box::new(Estate::Close { name: name.clone(), force: asked.force }))).await?;
    let lost = door.identities.forget_workspace(name.as_str()).await?;
    door.workspaces.lose(lost);
    tracing::info!(workspace = name.as_str(), by = caller.name, "a workspace was removed");
    let services = accepted.services.iter().map(|service| service.local().to_owned()).collect();
    json(&Removed { version: Shape, name: name.to_string(), services })
}

async fn told(door: &Door, name: WorkspaceName, role: Role) -> Answer {
    let asked = name.clone();
    let workspace = door.look(move |desk| workspaces::one(desk, &asked, role)).await?;
    let gone = || Failure::new(Code::Conflict, format!("workspace `{name}` was removed meanwhile"));
    json(&WorkspaceDetail { version: Shape, workspace: workspace.ok_or_else(gone)? })
}

/// May he see this team? Those with a role on the host see each, and everybody his own.
fn sees(caller: &Caller) -> impl Fn(&TeamRecord) -> bool {
    let (on_host, token) = (caller.on_host().is_some(), caller.token.clone());
    move |record| on_host || token.as_ref().is_some_and(|token| record.members.contains_key(token))
}

async fn teams(State(door): State<Door>, Extension(caller): Extension<Caller>) -> Answer {
    json(&TeamList { version: Shape, teams: workspaces::teams(&door.workspaces, &door.identities.list(), sees(&caller)) })
}

async fn team(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(name): Name) -> Answer {
    told_team(&door, &caller, &name)
}

fn told_team(door: &Door, caller: &Caller, name: &str) -> Answer {
    let team = workspaces::team(&door.workspaces, &door.identities.list(), name, sees(caller));
    json(&TeamDetail { version: Shape, team: team.ok_or_else(|| workspaces::no_team(name))? })
}

async fn create_team(State(door): State<Door>, Extension(caller): Extension<Caller>, request: Body) -> Answer {
    let TeamRequest { name, members } = body(request).await?;
    // The same words as of workspaces: they are called by them.
    let name = WorkspaceName::new(&name).map_err(|why| invalid(why.replacen("workspace name", "team name", 1)))?.to_string();
    let record = TeamRecord { created_at: clock::wall_ms(), created_by: caller.name.clone(), members: known(&door, members)? };
    door.change(Change::Estate(Box::new(Estate::MakeTeam { name: name.clone(), record }))).await?;
    told_team(&door, &caller, &name)
}

async fn set_team(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(name): Name, request: Body) -> Answer {
    let TeamMembers { members } = body(request).await?;
    let record = TeamRecord { created_at: 0, created_by: String::new(), members: known(&door, members)? };
    door.change(Change::Estate(Box::new(Estate::SetTeam { name: name.clone(), record }))).await?;
    told_team(&door, &caller, &name)
}

async fn close_team(State(door): State<Door>, Name(name): Name) -> Answer {
    door.change(Change::Estate(Box::new(Estate::CloseTeam { name: name.clone() }))).await?;
    json(&Removed { version: Shape, name, services: Vec::new() })
}

/// Members by the ids of their tokens, each of which is good.
fn known(door: &Door, members: BTreeMap<String, Role>) -> Result<BTreeMap<String, Role>, Failure> {
    let tokens = door.identities.list();
    let mut known = BTreeMap::new();
    for (named, role) in members {
        let good = || tokens.iter().filter(|token| token.usable);
        let token = good().find(|token| token.id == named).or_else(|| good().find(|token| token.name == named));
        let token = token.ok_or_else(|| {
            let failure =
                Failure::new(Code::Invalid, format!("there is no token `{}` that is good", hostler_api::token::redacted(&named).escape_default()));
            failure.hint("members are tokens, by name or id: `hostler token ls` shows them")
        })?;
        if known.insert(token.id.clone(), role).is_some() {
            return Err(invalid(format!("the token `{}` is named twice", token.name)));
        }
    }
    Ok(known)
}

fn invalid(why: String) -> Failure {
    Failure::new(Code::Invalid, why)
}

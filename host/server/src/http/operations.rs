//! Operations: what was put off, and whatever always is; asked for, looked at, called off.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use hostler_api::access::{Access, Role};
use hostler_api::{
    Code, DeployRequest, Failure, Operation, OperationKind, OperationList, OperationOptions, OperationQuery, OperationsQuery, Shape, routes,
};
use hostler_core::{ServiceName, WorkspaceName};

use super::answer::{Answer, Name, Refusal, body, document, json, query};
use super::record::turned;
use super::scope::Scope;
use super::table::Table;
use super::{Door, LONGEST_WAIT};
use crate::desk::Desk;
use crate::ledger::Origin;
use crate::operations::{Task, not_found, specified};
use crate::{apply, beside, speak};

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: &str = "respond-async";

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::OPERATIONS, list).get(routes::OPERATION, operation).post(routes::CANCEL_OPERATION, cancel).post(routes::DEPLOY, deploy)
}

/// Whether an answer may be put off, and how what is put off is carried out.
pub(super) struct Later {
    options: OperationOptions,
    /// Said by the header of RFC 7240.
    preferred: bool,
}

impl FromRequestParts<Door> for Later {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _door: &Door) -> Result<Later, Refusal> {
        let options = query(&parts.uri)?;
        Ok(Later { options, preferred: prefers(&parts.headers) })
    }
}

impl Later {
    /// Is it to be put off?
    pub(super) fn is_wanted(&self) -> bool {
        self.options.later || self.preferred
    }

    /// Puts it off.
    pub(super) async fn queue(self, door: &Door, scope: &Scope, task: Task) -> Answer {
        if scope.is_all() {
            return Err(Failure::new(Code::Invalid, "what is put off is asked of one workspace: `*` is not taken").into());
        }
        if self.options.priority.is_some_and(|priority| priority > 0) && scope.caller.on_host().is_none() {
            let failure = Failure::new(Code::Denied, "a priority above 0 goes before all others of the host, and takes a role on it");
            return Err(failure.hint("leave it out, or take one of 0 or below: it counts among those of your workspace").into());
        }
        doubt(door, scope, &task).await?;
        let operation = door.operations.queue(door, &task, &scope.caller.name, scope.workspace.clone(), &self.options).await?;
        let mut answer = accepted(&scope.workspace, &operation);
        if self.preferred {
            answer.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static(RESPOND_ASYNC));
        }
        Ok(answer)
    }
}

/// What an operation of a workspace is answered with when it is asked for.
pub(super) fn accepted(workspace: &WorkspaceName, operation: &Operation) -> Response<Body> {
    let mut response = document(StatusCode::ACCEPTED, routes::JSON, operation);
    let place = routes::place(&routes::of(routes::OPERATION, &operation.id), workspace.as_str());
    if let Ok(location) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// What can be seen to be wrong is said now and not later.
async fn doubt(door: &Door, scope: &Scope, task: &Task) -> Result<(), Failure> {
    let named = scope.asked(&task.named())?;
    match task {
        Task::Apply(asked) => {
            let prepared = apply::prepare(&door.plugins, &door.workspaces, scope.workspace.clone(), (**asked).clone()).await?;
            if prepared.problems.is_empty() { Ok(()) } else { Err(Failure::config(prepared.problems)) }
        }
        Task::Deploy { request, .. } if request.service.is_some() => {
            let added = specified(
                door,
                Origin::Request { by: scope.caller.name.clone() },
                &scope.workspace,
                named.into_iter().next().expect("a deployment names one"),
                request,
            )
            .await?;
            let doubt = move |desk: &Desk| {
                added.services.keys().try_for_each(|name| beside::refuse_configured(desk, name))?;
                added.doubt(desk)
            };
            door.look(doubt).await?
        }
        Task::Scale(asked) if asked.services.is_empty() => Err(Failure::new(Code::Invalid, "no service is named")),
        _ => door.look(move |desk| known(desk, &named)).await?,
    }
}

fn known(desk: &crate::desk::Desk, named: &[ServiceName]) -> Result<(), Failure> {
    let missing = named.iter().find(|name| desk.core.wanted(name.as_str()).is_none());
    missing.map_or(Ok(()), |name| Err(speak::not_found(desk, name.as_str())))
}

async fn deploy(State(door): State<Door>, scope: Scope, Name(name): Name, later: Later, request: Body) -> Answer {
    let request: DeployRequest = body(request).await?;
    later.queue(&door, &scope, Task::Deploy { name, request }).await
}

async fn list(State(door): State<Door>, scope: Scope, uri: Uri) -> Answer {
    let asked: OperationsQuery = query(&uri)?;
    let (operations, next) = door.operations.page(&scope.workspace, &asked);
    json(&OperationList { version: Shape, operations, next })
}

async fn operation(State(door): State<Door>, scope: Scope, Name(id): Name, uri: Uri) -> Answer {
    let asked: OperationQuery = query(&uri)?;
    if let Err(no) = theirs(&door, &scope, &id) {
        return Ok(*no);
    }
    let found = match asked.wait_ms {
        Some(ms) => door.operations.told_when_over(&id, Duration::from_millis(ms).min(LONGEST_WAIT)).await,
        None => door.operations.told(&id).map(|(_, operation)| operation),
    };
    json(&found.ok_or_else(|| not_found(&id))?)
}

async fn cancel(State(door): State<Door>, scope: Scope, Name(id): Name) -> Answer {
    let operation = match theirs(&door, &scope, &id) {
        Ok(operation) => operation,
        Err(no) => return Ok(*no),
    };
    // Who may not ask for it may not call it off either.
    scope.caller.may_in(scope.workspace.as_str(), takes(operation.kind))?;
    json(&door.operations.cancel(&door, &id, &scope.caller.name).await?)
}

/// One of this workspace: another one's is not there, which is all that whoever has no business there is told.
fn theirs(door: &Door, scope: &Scope, id: &str) -> Result<Operation, Box<Response<Body>>> {
    let missing = || Refusal(not_found(id));
    Err(Box::new(match door.operations.told(id) {
        Some((workspace, operation)) if workspace == scope.workspace => return Ok(operation),
        Some((workspace, _)) if scope.caller.role_in(workspace.as_str()).is_none() => turned(missing(), workspace.as_str()),
        Some(_) | None => missing().into_response(),
    }))
}

/// What asking for it takes.
fn takes(kind: OperationKind) -> Access {
    match kind {
        OperationKind::Apply | OperationKind::Deploy => Access::Document,
        OperationKind::Down => Access::Workspace(Role::Admin),
        OperationKind::Start | OperationKind::Stop | OperationKind::Restart | OperationKind::Scale | OperationKind::Check => {
            Access::Workspace(Role::Operator)
        }
    }
}

/// Is `respond-async` among the preferences? Others mean nothing here.
fn prefers(headers: &HeaderMap) -> bool {
    let said = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut each = said.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next());
    each.any(|one| one.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_as_rfc_7240_writes_it() {
        let said = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            prefers(&headers)
        };
        for yes in [&["respond-async"][..], &["wait=10, Respond-Async"], &["return=minimal", "respond-async; x=1"]] {
            assert!(said(yes), "{yes:?}");
        }
        for no in [&[][..], &["wait=10"], &["respond-asynchronously"], &["x=respond-async"]] {
            assert!(!said(no), "{no:?}");
        }
    }
}

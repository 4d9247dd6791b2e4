//! What is done to all instances of a workspace; and what needs somebody who looks into folders, which nobody here does yet.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use hostler_api::documents::kyozo::{self, Page};
use hostler_api::routes::documents;
use hostler_api::{Code, Failure};
use hostler_core::WorkspaceName;

use super::super::super::Door;
use super::super::super::answer::{Name, bytes, document};
use super::super::super::caller::Caller;
use super::super::super::table::Table;
use super::{No, Told, demanded, id_of, refuse, said};
use crate::instances::{self, Kept};
use crate::message::Change;

pub(super) fn routes(table: Table) -> Table {
    table
        .get(documents::DETECTIONS, not_built)
        .post(documents::DETECTIONS, not_built)
        .get(documents::DETECTION, not_built)
        .patch(documents::DETECTION, not_built)
        .put(documents::DETECTION, not_built)
        .delete(documents::DETECTION, not_built)
        .post(documents::ANALYZE, not_built)
        .post(documents::REANALYZE, not_built)
        .post(documents::ANALYZE_WORKSPACE, not_built)
        .post(documents::DEPLOY_WORKSPACE, deploy)
        .post(documents::STOP_WORKSPACE, stop)
        .get(documents::WORKSPACE_STATUS, status)
}

async fn not_built(request: Body) -> No {
    // Whoever sends one may go on with his connection.
    if let Err(failure) = bytes(request).await {
        return failure.into();
    }
    let words = "this host does not look into folders: say what an instance is with `service_type` and `deployment_config`";
    refuse(StatusCode::NOT_IMPLEMENTED, "not-implemented", "Topology detection is not built yet", words)
}

/// The workspace of this name.
///
/// # Errors
/// There is none.
pub(super) fn there(door: &Door, name: &str) -> Result<WorkspaceName, Failure> {
    let workspace = WorkspaceName::new(name).ok().filter(|name| door.workspaces.get(name.as_str()).is_some());
    workspace.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no workspace `{}`", name.escape_default().take(64).collect::<String>())))
}

async fn of_workspace(door: &Door, workspace: &WorkspaceName) -> Result<Vec<Kept>, Failure> {
    let asked = workspace.clone();
    door.look(move |desk| instances::all(desk).filter(|kept| kept.service.workspace() == asked.as_str()).collect()).await
}

async fn told(door: &Door, workspace: &WorkspaceName, kept: Vec<Kept>, status: StatusCode) -> Told {
    let instances = instances::look(door, kept, false).await?;
    let page = Page { offset: 0, limit: instances.len().max(1), total: instances.len() };
    said(status, &kyozo::collection(&instances, page, &[("workspace".to_owned(), workspace.to_string())]))
}

/// All of them, each as if it were deployed by itself; one that cannot be keeps the others from nothing.
async fn deploy(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(name): Name) -> Told {
    caller.may_in(&name, demanded(hostler_api::routes::Method::Post, documents::DEPLOY_WORKSPACE))?;
    let workspace = there(&door, &name)?;
    let (mut deployed, mut failed) = (Vec::new(), Vec::new());
    for kept in of_workspace(&door, &workspace).await? {
        let id = kept.instance.id.clone();
        match instances::deploy(&door, &id, &id_of(&caller)).await {
            Ok((kept, _)) => deployed.push(kept),
            // It was removed meanwhile.
            Err(failure) if failure.code == Code::NotFound => {}
            Err(failure) => failed.push((id, failure)),
        }
    }
    if failed.is_empty() {
        return told(&door, &workspace, deployed, StatusCode::ACCEPTED).await;
    }
    let faults = failed.iter().flat_map(|(id, failure)| {
        let mut faults = kyozo::faults(failure, 422);
        faults.iter_mut().for_each(|fault| fault.detail = format!("service instance {id}: {}", fault.detail));
        faults
    });
    let said = kyozo::errors(&faults.collect::<Vec<_>>());
    Err(No::Said(Box::new(document(StatusCode::UNPROCESSABLE_ENTITY, kyozo::MEDIA, &said))))
}

async fn stop(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(name): Name) -> Told {
    caller.may_in(&name, demanded(hostler_api::routes::Method::Post, documents::STOP_WORKSPACE))?;
    let workspace = there(&door, &name)?;
    let kept = of_workspace(&door, &workspace).await?;
    let names: Vec<_> = kept.iter().map(|kept| kept.service.clone()).collect();
    // None named would be all that there are.
    if !names.is_empty() {
        door.change(Change::Stop { names: names.clone(), force: false }).await?;
        door.settle(&names, instances::SETTLED).await;
    }
    told(&door, &workspace, kept, StatusCode::OK).await
}

async fn status(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(name): Name) -> Told {
    caller.may_in(&name, demanded(hostler_api::routes::Method::Get, documents::WORKSPACE_STATUS))?;
    let workspace = there(&door, &name)?;
    let kept = of_workspace(&door, &workspace).await?;
    let instances = instances::look(&door, kept, false).await?;
    Ok(document(StatusCode::OK, hostler_api::routes::JSON, &kyozo::status_of_workspace(&name, &instances)))
}

//! Alerts and silences: what is wrong, and of what nobody is told for a while.

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use hostler_api::{Alert, AlertsQuery, Code, Failure, TestRequest, routes};
use hostler_core::{ServiceName, WorkspaceName};

use super::Door;
use super::answer::{Answer, Name, body, json, query};
use super::scope::{Scope, Wide};
use super::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table
        .get(routes::ALERTS, alerts)
        .post(routes::TEST_ALERT, test)
        .get(routes::SILENCES, silences)
        .post(routes::SILENCES, silence)
        .delete(routes::SILENCE, end_silence)
}

async fn alerts(State(door): State<Door>, Wide(scope): Wide, uri: Uri) -> Answer {
    let mut asked: AlertsQuery = query(&uri)?;
    if let Some(service) = &asked.service {
        // By the name that people of this workspace have for it, or, of all workspaces, by the host's.
        asked.service = Some(if scope.is_all() { service.clone() } else { scope.name(service)?.to_string() });
    }
    let on_host = scope.caller.on_host().is_some();
    // What was told of others of the same name is nothing to those who came after them.
    let record = door.workspaces.get(scope.workspace.as_str()).filter(|_| !scope.is_all());
    let made = record.and_then(|record| record.created_at).unwrap_or(0);
    let is_theirs = |alert: &Alert| is_of(&scope, alert) && alert.fired_at.is_none_or(|at| at.0 >= made);
    json(&door.alerting.list(&asked, is_theirs, on_host))
}

/// Alerts about plugins are the host's, and so are shown with its own workspace.
fn is_of(scope: &Scope, alert: &Alert) -> bool {
    match alert.service.as_deref().map(ServiceName::read) {
        Some(Ok(name)) => scope.has(&name),
        Some(Err(_)) | None => scope.is_all() || scope.workspace.as_str() == WorkspaceName::DEFAULT,
    }
}

async fn test(State(door): State<Door>, request: Body) -> Answer {
    let asked: TestRequest = body(request).await?;
    json(&door.alerting.test(&asked.sink).await?)
}

async fn silences(State(door): State<Door>, scope: Scope) -> Answer {
    json(&door.alerting.silences(&scope.workspace))
}

async fn silence(State(door): State<Door>, scope: Scope, request: Body) -> Answer {
    json(&door.alerting.silence(body(request).await?, &scope.workspace, &scope.caller.name).await?)
}

async fn end_silence(State(door): State<Door>, scope: Scope, Name(id): Name) -> Answer {
    let missing = || {
        let failure = Failure::new(Code::NotFound, format!("there is no silence `{}`", id.escape_default()));
        failure.hint("`hostler silence ls` shows them with their ids")
    };
    let ended = door.alerting.end_silence(&id, &scope.workspace).await?;
    json(&ended.ok_or_else(missing)?)
}

//! Tokens and the audit log: who may come in, and who came.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use hostler_api::{AuditQuery, Code, Failure, RevokedToken, Shape, TokenList, TokenRequest, routes, token};

use super::Door;
use super::answer::{Answer, Name, body, json, query};
use super::caller::Caller;
use super::table::Table;

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::TOKENS, list).post(routes::TOKENS, create).delete(routes::TOKEN, revoke).get(routes::AUDIT, audit)
}

async fn list(State(door): State<Door>) -> Answer {
    json(&TokenList { version: Shape, tokens: door.identities.list() })
}

async fn create(State(door): State<Door>, Extension(caller): Extension<Caller>, request: Body) -> Answer {
    let asked: TokenRequest = body(request).await?;
    if let Some(missing) = asked.workspaces.keys().find(|name| door.workspaces.get(name).is_none()) {
        let failure = Failure::new(Code::Invalid, format!("there is no workspace `{}`", missing.escape_default()));
        return Err(failure.hint("make it first: `hostler workspace create`").into());
    }
    let made = door.identities.create(asked, &caller.name, caller.is_setting_up()).await?;
    tracing::info!(token = made.token.id, name = made.token.name, by = caller.name, "a token was made");
    json(&made)
}

async fn revoke(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Answer {
    let missing = || {
        let failure = Failure::new(Code::NotFound, format!("there is no token `{}`", token::redacted(&id).escape_default()));
        failure.hint("`hostler token ls` shows them with their ids")
    };
    let token = door.identities.revoke(&id).await?.ok_or_else(missing)?;
    tracing::info!(token = token.id, name = token.name, by = caller.name, "a token was taken back");
    json(&RevokedToken { version: Shape, token })
}

async fn audit(State(door): State<Door>, uri: Uri) -> Answer {
    let asked: AuditQuery = query(&uri)?;
    json(&door.audit.page(asked).await?)
}

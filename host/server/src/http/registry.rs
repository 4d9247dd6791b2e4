//! Heartbeats in, and the registry out.

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use hostler_api::{Code, Failure, HeartbeatRequest, RegistryQuery, routes};

use super::Door;
use super::answer::{Answer, Name, body, json, query};
use super::scope::{Scope, Wide};
use super::table::Table;
use crate::registry::{self, Wish};
use crate::speak;

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::REGISTRY, list).get(routes::REGISTRY_STATISTICS, statistics).post(routes::HEARTBEAT, heartbeat)
}

async fn list(State(door): State<Door>, Wide(scope): Wide, uri: Uri) -> Answer {
    let wish = Wish::read(query::<RegistryQuery>(&uri)?)?;
    json(&door.look(move |desk| registry::list(desk, desk.core.names().filter(|name| scope.has(name)), &wish)).await?)
}

async fn statistics(State(door): State<Door>, Wide(scope): Wide) -> Answer {
    json(&door.look(move |desk| registry::statistics(desk, &scope.workspace, desk.core.names().filter(|name| scope.has(name)))).await?)
}

async fn heartbeat(State(door): State<Door>, scope: Scope, Name(name): Name, request: Body) -> Answer {
    let asked: HeartbeatRequest = body(request).await?;
    if let Some(why) = asked.doubt() {
        return Err(Failure::new(Code::Invalid, why).into());
    }
    let name = scope.name(&name)?;
    let heard = door.look(move |desk| match desk.core.wanted(name.as_str()) {
        // Heard by the loop: nobody is who was removed a moment ago.
        Some(_) => Ok(desk.heartbeats.hear(&name, asked)),
        None => Err(speak::not_found(desk, name.local())),
    });
    json(&heard.await??)
}

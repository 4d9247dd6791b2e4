//! `/api/orchestration/*`.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use hostler_api::documents::Seconds;
use hostler_api::documents::fog::{CheckedNow, Counts, Dependencies, Detail, Figures, HealthOfAll, Metrics, Refused, Registry, Restarted, Services};
use hostler_api::routes::documents;
use hostler_api::{Code, Failure, Service};
use hostler_core::{ServiceName, Status, WorkspaceName};
use serde_json::Value;

use super::super::Door;
use super::super::answer::{Name, bytes};
use super::super::native::checked_now;
use super::super::scope::Scope;
use super::super::table::Table;
use super::{No, Told, done, first, no, sentence, status};
use crate::desk::Desk;
use crate::message::Change;
use crate::speak::{self, Past};

/// How long a restart may take until it is told as it is then.
const RESTART: Duration = Duration::from_secs(120);

pub(super) fn routes(table: Table) -> Table {
    table
        .get(documents::SERVICES, services)
        .get(documents::HEALTH, health)
        .post(documents::CHECK_NOW, check_now)
        .post(documents::RESTART, restart)
        .get(documents::DEPENDENCIES, dependencies)
        .get(documents::METRICS, metrics)
        .get(documents::SERVICE, service)
}

async fn services(State(door): State<Door>, scope: Scope) -> Told {
    let told = door.look(move |desk| Ok(Services::of(&speak::list(desk, Some(&scope.workspace), None)?, desk.core.is_initialized())));
    done(&told.await.and_then(|told| told).map_err(refused)?)
}

async fn health(State(door): State<Door>, scope: Scope) -> Told {
    done(&HealthOfAll::from(&door.look(move |desk| speak::health_report(desk, &scope.workspace)).await.map_err(refused)?))
}

async fn check_now(State(door): State<Door>, scope: Scope) -> Told {
    done(&CheckedNow::from(&checked_now(&door, &scope.workspace, Vec::new()).await.map_err(refused)?))
}

async fn dependencies(State(door): State<Door>, scope: Scope) -> Told {
    done(&Dependencies::from(&door.look(move |desk| speak::graph(desk, &scope.workspace)).await.map_err(refused)?))
}

async fn metrics(State(door): State<Door>, scope: Scope) -> Told {
    done(&door.look(move |desk| figures(desk, &scope.workspace)).await.and_then(|told| told).map_err(refused)?)
}

fn figures(desk: &Desk, whose: &WorkspaceName) -> Result<Metrics, Failure> {
    let list = speak::list(desk, Some(whose), None)?;
    let report = speak::health_report(desk, whose);
    let begun = Instant::now();
    drop(speak::graph(desk, whose));
    let resolved = begun.elapsed().as_secs_f64() * 1_000.0;
    let details = report.services.iter().filter_map(|(name, health)| {
        let full = ServiceName::new(name).ok()?.within(whose);
        let detail = speak::detail(desk, full.as_str(), Past::LeftOut)?;
        Some((name.clone(), Figures::of(&detail, health)))
    });
    Ok(Metrics {
        success: true,
        metrics: Counts::of(&list, desk.core.is_initialized()),
        registry_stats: Registry::of(&list, desk.heartbeats.counts(desk, speak::names(desk, Some(whose))), resolved),
        service_details: details.collect(),
    })
}

async fn service(State(door): State<Door>, scope: Scope, Name(name): Name) -> Told {
    let name = scope.name(&name).map_err(refused)?;
    let found = door.look(move |desk| {
        let detail = speak::detail(desk, name.as_str(), Past::Told).ok_or_else(|| speak::not_found(desk, name.as_str()))?;
        let mut told = Detail::from(&detail);
        told.registry_metadata.last_heartbeat = desk.heartbeats.of(desk, &name).map(|beat| Seconds(beat.last_at));
        Ok(told)
    });
    done(&found.await.and_then(|told| told).map_err(refused)?)
}

async fn restart(State(door): State<Door>, scope: Scope, Name(name): Name, request: Body) -> Told {
    let body = bytes(request).await.map_err(refused)?;
    let force = hostler_api::documents::fog::restart(&body).map_err(|mistakes| {
        let detail = serde_json::to_value(&mistakes).expect("mistakes have no maps with odd keys");
        refuse(StatusCode::UNPROCESSABLE_ENTITY, first(&mistakes), detail)
    })?;
    let chosen = scope.name(&name).map_err(refused)?;
    let before = line(&door, &chosen).await?;
    if before.status == Status::Disabled {
        return Err(not_restarted(StatusCode::CONFLICT, &before, format!("Service '{name}' is disabled")));
    }
    if let Err(failure) = door.change(Change::Restart { names: vec![chosen.clone()], force }).await {
        let words = match failure.code {
            Code::Conflict => format!("{}. Use force=true to override.", failure.message),
            _ => sentence(&failure),
        };
        return Err(not_restarted(status(&failure), &before, words));
    }
    restarted(&door, &chosen, &before).await
}

/// What became of a restart that was made: also of one that an earlier host made, and did not live to tell.
pub(in crate::http) async fn told_again(door: &Door, scope: &Scope, name: &str) -> Response<Body> {
    let told = match scope.name(name) {
        Ok(chosen) => match line(door, &chosen).await {
            Ok(before) => restarted(door, &chosen, &before).await,
            Err(no) => Err(no),
        },
        Err(failure) => Err(refused(failure)),
    };
    told.into_response()
}

async fn restarted(door: &Door, chosen: &ServiceName, before: &Service) -> Told {
    let name = chosen.local();
    let settled = door.settle(std::slice::from_ref(chosen), RESTART).await;
    let Ok(after) = line(door, chosen).await else {
        // It is wanted: the next host goes on with it.
        let message = format!("Service '{name}' is still on its way: the host has ended");
        return Err(not_restarted(StatusCode::GATEWAY_TIMEOUT, before, message));
    };
    let why = || after.cause.clone().unwrap_or_else(|| after.status.as_str().to_owned());
    match after.status {
        Status::Running | Status::Completed => done(&Restarted::of(&after, true, format!("Service '{name}' restarted successfully"))),
        _ if !settled => Err(not_restarted(StatusCode::GATEWAY_TIMEOUT, &after, format!("Service '{name}' is still on its way: it {}", why()))),
        _ => Err(not_restarted(StatusCode::INTERNAL_SERVER_ERROR, &after, format!("Service '{name}' was restarted, and {}", why()))),
    }
}

async fn line(door: &Door, name: &ServiceName) -> Result<Service, No> {
    let asked = vec![name.clone()];
    let list = door.look(move |desk| speak::list(desk, None, Some(&asked))).await.and_then(|list| list).map_err(refused)?;
    list.services.into_iter().next().ok_or_else(|| refused(Failure::new(Code::NotFound, format!("there is no service `{}`", name.local()))))
}

fn not_restarted(status: StatusCode, service: &Service, message: String) -> No {
    no(status, &Restarted::of(service, false, message))
}

fn refused(failure: Failure) -> No {
    let message = sentence(&failure);
    refuse(status(&failure), message.clone(), Value::from(message))
}

fn refuse(status: StatusCode, message: String, detail: Value) -> No {
    no(status, &Refused { success: false, message, detail })
}

//! The native API's services, plugins and host: each route a read of the desk or a request to the loop.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, Uri, header};
use hostler_api::{
    ActionResult, ApplyRequest, CheckNow, CheckNowRequest, Code, DownRequest, Failure, HistoryQuery, LogsQuery, RecordingQuery, RestartRequest,
    RollbackRequest, ScaleRequest, Shape, ShutdownRequest, StartRequest, StatsQuery, StopRequest, openapi, routes,
};
use hostler_core::{ServiceName, WorkspaceName};

use super::Door;
use super::answer::{Answer, Name, body, ending, json, listed, query, stream};
use super::connection::Wire;
use super::operations::Later;
use super::scope::{Scope, Wide};
use super::table::Table;
use crate::message::Change;
use crate::operations::Task;
use crate::{apply, clock, logs, record, speak, stats, tasks, upgrade};

pub(super) fn routes(table: Table) -> Table {
    table
        .get(routes::OPENAPI, described)
        .get(routes::HOST, host)
        .post(routes::START, start)
        .post(routes::STOP, stop)
        .post(routes::RESTART, restart)
        .post(routes::SCALE, scale)
        .get(routes::EXPLAIN, explain)
        .get(routes::HISTORY, history)
        .get(routes::LOGS, service_logs)
        .post(routes::SIGNAL, signal)
        .post(routes::EXEC, exec)
        .post(routes::PLAN, plan)
        .post(routes::APPLY, apply)
        .post(routes::DOWN, down)
        .post(routes::SHUTDOWN, shutdown)
        .get(routes::HEALTH, health)
        .post(routes::CHECK_NOW, check_now)
        .get(routes::STATS, stats)
        .get(routes::GRAPH, graph)
        .get(routes::PLUGINS, plugins)
        .get(routes::PLUGIN, plugin)
        .get(routes::RECORDING, recording)
        .post(routes::UPGRADE, upgrade)
        .post(routes::ROLLBACK, rollback)
}

/// This API.
async fn described() -> Response<Body> {
    let mut response = Response::new(Body::from(openapi::DOCUMENT));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(routes::JSON));
    response
}

/// Whoever has a role on the host is told of all of it.
async fn host(State(door): State<Door>, scope: Scope) -> Answer {
    let on_host = scope.caller.on_host().is_some();
    let whose = (!on_host).then_some(scope.workspace);
    let mut host = door.look(move |desk| speak::host(desk, whose.as_ref())).await?;
    if !on_host {
        // Where on the machine it is, and how the machine is, is nothing of theirs.
        host.state_dir.clear();
        host.keeper.limits_note = None;
        host.listening.iter_mut().for_each(|listening| listening.trouble = None);
    }
    json(&host)
}

async fn stats(State(door): State<Door>, scope: Scope, uri: Uri) -> Answer {
    let asked: StatsQuery = query(&uri)?;
    let chosen = listed(asked.names.as_deref()).map(|names| scope.names(&names)).transpose()?;
    let lives = door.look(move |desk| {
        let chosen = chosen.unwrap_or_else(|| speak::names(desk, Some(&scope.workspace)).cloned().collect());
        stats::lives(desk, &chosen)
    });
    let lives = lives.await??;
    let measured = door.meter.measure_twice(&door.plugins, &lives).await;
    json(&stats::told(&lives, &measured))
}

async fn explain(State(door): State<Door>, scope: Scope, Name(name): Name) -> Answer {
    let name = scope.name(&name)?;
    json(&door.look(move |desk| speak::explanation(desk, name.as_str()).ok_or_else(|| speak::not_found(desk, name.as_str()))).await??)
}

async fn history(State(door): State<Door>, scope: Scope, Name(name): Name, uri: Uri) -> Answer {
    let asked: HistoryQuery = query(&uri)?;
    let name = scope.name(&name)?;
    json(&door.look(move |desk| speak::history(desk, name.as_str(), &asked)).await??)
}

async fn start(State(door): State<Door>, scope: Scope, later: Later, request: Body) -> Answer {
    let asked: StartRequest = body(request).await?;
    let change = Change::Start { names: scope.asked(&asked.services)?, deps: !asked.no_deps };
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Start(asked)).await;
    }
    act(&door, scope.change(change), asked.wait_ms).await
}

async fn stop(State(door): State<Door>, scope: Scope, later: Later, request: Body) -> Answer {
    let asked: StopRequest = body(request).await?;
    let change = Change::Stop { names: scope.asked(&asked.services)?, force: asked.force };
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Stop(asked)).await;
    }
    act(&door, scope.change(change), asked.wait_ms).await
}

async fn restart(State(door): State<Door>, scope: Scope, later: Later, request: Body) -> Answer {
    let asked: RestartRequest = body(request).await?;
    let change = Change::Restart { names: scope.asked(&asked.services)?, force: asked.force };
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Restart(asked)).await;
    }
    act(&door, scope.change(change), asked.wait_ms).await
}

async fn scale(State(door): State<Door>, scope: Scope, later: Later, request: Body) -> Answer {
    let asked: ScaleRequest = body(request).await?;
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Scale(asked)).await;
    }
    let named = |(text, count): (&String, &u32)| Ok((scope.asked_one(text)?, *count));
    let counts: BTreeMap<ServiceName, u32> = asked.services.iter().map(named).collect::<Result<_, Failure>>()?;
    act(&door, Change::Scale(counts), asked.wait_ms).await
}

async fn signal(State(door): State<Door>, scope: Scope, Name(name): Name, request: Body) -> Answer {
    json(&tasks::signal(&door, &scope.name(&name)?, body(request).await?).await?)
}

async fn exec(State(door): State<Door>, scope: Scope, Name(name): Name, request: Body) -> Answer {
    json(&tasks::exec(&door, &scope.name(&name)?, body(request).await?).await?)
}

async fn down(State(door): State<Door>, Wide(scope): Wide, later: Later, request: Body) -> Answer {
    let asked: DownRequest = body(request).await?;
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Down(asked)).await;
    }
    act(&door, scope.change(Change::Down { keep: asked.keep, force: asked.force }), None).await
}

async fn shutdown(State(door): State<Door>, request: Body) -> Answer {
    let asked: ShutdownRequest = body(request).await?;
    act(&door, Change::Shutdown { stop_services: asked.stop_services, force: asked.force }, None).await
}

pub(super) async fn act(door: &Door, change: Change, wait_ms: Option<u64>) -> Answer {
    let accepted = door.change(change).await?;
    let settled = match wait_ms {
        Some(ms) => door.settle(&accepted.services, Duration::from_millis(ms)).await,
        None => false,
    };
    let services = accepted.services.iter().map(|name| name.local().to_owned()).collect();
    json(&ActionResult { version: Shape, generation: accepted.generation, last_event: accepted.last_event, services, settled })
}

async fn plan(State(door): State<Door>, scope: Scope, request: Body) -> Answer {
    let asked: ApplyRequest = body(request).await?;
    let prepared = apply::prepare(&door.plugins, &door.workspaces, scope.workspace, asked).await?;
    json(&door.look(move |desk| apply::plan(desk, &prepared, false)).await?)
}

async fn apply(State(door): State<Door>, scope: Scope, later: Later, request: Body) -> Answer {
    let asked: ApplyRequest = body(request).await?;
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Apply(Box::new(asked))).await;
    }
    let prepared = apply::prepare(&door.plugins, &door.workspaces, scope.workspace, asked).await?;
    if !prepared.problems.is_empty() {
        return Err(Failure::config(prepared.problems).into());
    }
    let (prepared, mut plan) = door
        .look(move |desk| {
            let plan = apply::plan(desk, &prepared, true);
            (prepared, plan)
        })
        .await?;
    let accepted = door.change(Change::Apply(Box::new(prepared))).await?;
    door.front.settled().await;
    plan.generation = accepted.generation;
    plan.last_event = accepted.last_event;
    json(&plan)
}

async fn health(State(door): State<Door>, scope: Scope) -> Answer {
    json(&door.look(move |desk| speak::health_report(desk, &scope.workspace)).await?)
}

/// Runs the checks of some services now, and answers once each has said something since.
async fn check_now(State(door): State<Door>, scope: Scope, later: Later, request: Body) -> Answer {
    let asked: CheckNowRequest = body(request).await?;
    let names = scope.asked(&asked.services)?;
    if later.is_wanted() {
        return later.queue(&door, &scope, Task::Check(asked)).await;
    }
    json(&checked_now(&door, &scope.workspace, names).await?)
}

/// What checks of these services say now, of all of the workspace when none is named.
pub(crate) async fn checked_now(door: &Door, workspace: &WorkspaceName, services: Vec<ServiceName>) -> Result<CheckNow, Failure> {
    let begun = clock::now();
    let mut rounds = door.rounds.clone();
    let names = door.change(Change::Within(Some(workspace.clone()), Box::new(Change::CheckNow(services)))).await?.services;
    let end = tokio::time::Instant::now() + CheckNow::LONGEST;
    loop {
        rounds.mark_unchanged();
        let asked = names.clone();
        let awaits = door.look(move |desk| speak::is_awaiting_checks(desk, &asked, begun)).await?;
        // The loop goes round at every result.
        if !awaits || tokio::time::timeout_at(end, rounds.changed()).await.is_err() {
            let whose = workspace.clone();
            return door.look(move |desk| speak::results_since(desk, &whose, &names, begun)).await;
        }
    }
}

async fn graph(State(door): State<Door>, scope: Scope) -> Answer {
    json(&door.look(move |desk| speak::graph(desk, &scope.workspace)).await?)
}

async fn plugins(State(door): State<Door>, scope: Scope) -> Answer {
    json(&door.look(move |desk| speak::plugins(desk, &scope.workspace)).await?)
}

async fn plugin(State(door): State<Door>, scope: Scope, Name(name): Name) -> Answer {
    let found = door.look({
        let name = name.clone();
        move |desk| speak::plugin_detail(desk, &scope.workspace, &name)
    });
    let missing =
        || Failure::new(Code::NotFound, format!("there is no plugin `{}`", name.escape_default())).hint("`hostler plugin list` shows every plugin");
    json(&found.await?.ok_or_else(missing)?)
}

async fn recording(State(door): State<Door>, Name(name): Name, uri: Uri) -> Answer {
    let asked: RecordingQuery = query(&uri)?;
    Ok(stream(record::begin(&door.plugins, &name, asked)?))
}

async fn upgrade(State(door): State<Door>, Name(name): Name, request: Body) -> Answer {
    json(&upgrade::upgrade(&door, &name, body(request).await?).await?)
}

async fn rollback(State(door): State<Door>, Name(name): Name, request: Body) -> Answer {
    let _: RollbackRequest = body(request).await?;
    json(&upgrade::rollback(&door, &name).await?)
}

async fn service_logs(State(door): State<Door>, scope: Scope, Extension(wire): Extension<Wire>, Name(name): Name, uri: Uri) -> Answer {
    let asked: LogsQuery = query(&uri)?;
    let follows = asked.follow;
    let reading = logs::Reading::begin(&door, scope.name(&name)?, asked).await?;
    if follows {
        wire.become_stream(&scope.caller)?;
    }
    let answer = stream(reading.run());
    Ok(if follows { ending(answer) } else { answer })
}

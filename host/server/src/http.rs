//! The native API over HTTP: a closed list of routes, each a read of the desk or a request to the loop.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hostler_api::{
    ActionResult, ApplyRequest, CheckNow, CheckNowRequest, Code, DownRequest, EventItem, EventRecord, EventsQuery, Failure, Graph, LogsQuery,
    RestartRequest, RollbackRequest, ScaleRequest, ServicesQuery, Shape, ShutdownRequest, StartRequest, StatsQuery, StopRequest, routes,
};
use hostler_core::ServiceName;
use hostler_store::{EventPage, Store, StoreError};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

use crate::desk::Desk;
use crate::ledger;
use crate::logs;
use crate::message::{Accepted, Change, Message};
use crate::plugins::Plugins;
use crate::stats::Meter;
use crate::{apply, clock, record, speak, stats, tasks, upgrade};

mod engines;

/// How long a client may take to send the head of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a client may take to send the body of one.
const BODY: Duration = Duration::from_secs(30);
/// How long answers under way may take once the host ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 1_024;
/// The largest document; its own limits are checked after.
const BODY_BYTES: usize = 17 << 20;
/// The longest that a request may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// Events read from the store at a time.
const EVENTS_PAGE: usize = 1_000;

/// What requests go through.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) outbox: mpsc::UnboundedSender<Message>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) events: broadcast::Sender<Arc<EventRecord>>,
    pub(crate) rounds: watch::Receiver<u64>,
}

impl Door {
    /// Looks at the desk, between two rounds of the loop.
    pub(crate) async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Desk) -> T + Send + 'static) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Look(Box::new(move |desk| drop(answer.send(look(desk)))));
        self.outbox.send(message).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }

    pub(crate) async fn change(&self, change: Change) -> Result<Accepted, Failure> {
        let (answer, answered) = oneshot::channel();
        self.outbox.send(Message::Change(change, answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Waits until these are settled, every one when none is named; false when the time was up first.
    pub(crate) async fn settle(&self, names: Option<Vec<String>>, wait: Duration) -> Result<bool, Failure> {
        let mut rounds = self.rounds.clone();
        let end = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            rounds.mark_unchanged();
            let asked = names.clone();
            if self.look(move |desk| speak::settled(desk, asked.as_deref())).await? {
                return Ok(true);
            }
            match tokio::time::timeout_at(end, rounds.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(ended()),
                Err(_) => return Ok(false),
            }
        }
    }
}

fn ended() -> Failure {
    Failure::new(Code::Unavailable, "the host has ended")
}

/// Answers requests until the loop ends; then what is being answered may finish, for a moment, and nothing new is taken.
pub(crate) async fn serve(listener: UnixListener, door: Door) {
    let mut rounds = door.rounds.clone();
    let service = TowerToHyperService::new(router(door));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let under_way = GracefulShutdown::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end_of_loop(&mut rounds) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: what runs goes on, and the next one is tried a little later.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_headers(64).pipeline_flush(true);
        let connection = under_way.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            // A client that breaks off breaks only its own connection.
            connection.await.ok();
            drop(place);
        });
    }
    if tokio::time::timeout(FAREWELL, under_way.shutdown()).await.is_err() {
        tracing::debug!("somebody did not take the end of an answer");
    }
}

fn router(door: Door) -> Router {
    Router::new()
        .route(routes::HOST, get(host))
        .route(routes::SERVICES, get(services))
        .route(routes::START, post(start))
        .route(routes::STOP, post(stop))
        .route(routes::RESTART, post(restart))
        .route(routes::SCALE, post(scale))
        .route(routes::SERVICE, get(service))
        .route(routes::EXPLAIN, get(explain))
        .route(routes::LOGS, get(service_logs))
        .route(routes::SIGNAL, post(signal))
        .route(routes::EXEC, post(exec))
        .route(routes::PLAN, post(plan))
        .route(routes::APPLY, post(apply))
        .route(routes::DOWN, post(down))
        .route(routes::SHUTDOWN, post(shutdown))
        .route(routes::EVENTS, get(events))
        .route(routes::HEALTH, get(health))
        .route(routes::CHECK_NOW, post(check_now))
        .route(routes::STATS, get(stats))
        .route(routes::GRAPH, get(graph))
        .route(routes::PLUGINS, get(plugins))
        .route(routes::PLUGIN, get(plugin))
        .route(routes::RECORDING, get(recording))
        .route(routes::UPGRADE, post(upgrade))
        .route(routes::ROLLBACK, post(rollback))
        .merge(engines::router())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(door)
}

type Answer = Result<Response<Body>, Refusal>;

/// A failure on its way out.
struct Refusal(Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        document(status, routes::PROBLEM_JSON, &self.0)
    }
}

fn document<T: Serialize>(status: StatusCode, media: &'static str, value: &T) -> Response<Body> {
    let body = serde_json::to_vec(value).expect("wire documents have no maps with odd keys");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    response
}

fn json<T: Serialize>(value: &T) -> Answer {
    Ok(document(StatusCode::OK, routes::JSON, value))
}

/// Reads a body as a document; an empty one is the default of everything.
async fn body<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    let bytes = tokio::time::timeout(BODY, axum::body::to_bytes(body, BODY_BYTES)).await;
    let bytes = bytes.map_err(|_| Failure::new(Code::Timeout, format!("the body did not arrive within {} s", BODY.as_secs())))?;
    let bytes = bytes.map_err(|_| Failure::new(Code::Invalid, format!("the body is longer than {BODY_BYTES} bytes, or broke off")))?;
    let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes[..] };
    // A list would be read as a table whose keys all have their defaults: everything.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::new(Code::Invalid, "the body is not what this route takes: it must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| Failure::new(Code::Invalid, format!("the body is not what this route takes: {error}")))
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Failure> {
    Query::<T>::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|error| Failure::new(Code::Invalid, format!("the query is not what this route takes: {error}")))
}

fn names(texts: &[String]) -> Result<Vec<ServiceName>, Failure> {
    texts.iter().map(|text| ServiceName::new(text).map_err(|why| Failure::new(Code::Invalid, why))).collect()
}

fn listed(names: Option<&str>) -> Option<Vec<String>> {
    names.map(|names| names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The one part of a path that varies.
struct Name(String);

impl FromRequestParts<Door> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Name, Refusal> {
        let path = Path::<String>::from_request_parts(parts, door).await;
        path.map(|Path(name)| Name(name)).map_err(|_| Refusal(Failure::new(Code::Invalid, "the name in the path is no UTF-8 text")))
    }
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal(Failure::new(Code::NotFound, format!("there is no route `{}`", uri.path().escape_default())))
}

async fn wrong_method(uri: Uri) -> Response<Body> {
    let failure = Failure::new(Code::Invalid, format!("`{}` does not take this method", uri.path().escape_default()));
    document(StatusCode::METHOD_NOT_ALLOWED, routes::PROBLEM_JSON, &failure)
}

async fn host(State(door): State<Door>) -> Answer {
    json(&door.look(speak::host).await?)
}

async fn services(State(door): State<Door>, uri: Uri) -> Answer {
    let asked: ServicesQuery = query(&uri)?;
    let chosen = listed(asked.names.as_deref());
    if asked.wait_settled {
        let wait = Duration::from_millis(asked.timeout_ms.unwrap_or(60_000));
        door.settle(chosen.clone(), wait).await?;
    }
    json(&door.look(move |desk| speak::list(desk, chosen.as_deref())).await??)
}

async fn service(State(door): State<Door>, Name(name): Name) -> Answer {
    let asked = name.clone();
    let (detail, measured) = door
        .look(move |desk| {
            (speak::detail(desk, &asked, speak::Past::Told).ok_or_else(|| speak::not_found(desk, &asked)), logs::measurable(desk, &asked))
        })
        .await?;
    let mut detail = detail?;
    logs::add_usage(&door.plugins, measured, &mut detail).await;
    json(&detail)
}

async fn stats(State(door): State<Door>, uri: Uri) -> Answer {
    let asked: StatsQuery = query(&uri)?;
    let chosen = listed(asked.names.as_deref());
    let lives = door.look(move |desk| stats::lives(desk, chosen.as_deref())).await??;
    let measured = door.meter.measure_twice(&door.plugins, &lives).await;
    json(&stats::told(&lives, &measured))
}

async fn explain(State(door): State<Door>, Name(name): Name) -> Answer {
    json(&door.look(move |desk| speak::explanation(desk, &name).ok_or_else(|| speak::not_found(desk, &name))).await??)
}

async fn start(State(door): State<Door>, request: Body) -> Answer {
    let asked: StartRequest = body(request).await?;
    let change = Change::Start { names: names(&asked.services)?, deps: !asked.no_deps };
    act(&door, change, asked.wait_ms).await
}

async fn stop(State(door): State<Door>, request: Body) -> Answer {
    let asked: StopRequest = body(request).await?;
    let change = Change::Stop { names: names(&asked.services)?, force: asked.force };
    act(&door, change, asked.wait_ms).await
}

async fn restart(State(door): State<Door>, request: Body) -> Answer {
    let asked: RestartRequest = body(request).await?;
    let change = Change::Restart { names: names(&asked.services)?, force: asked.force };
    act(&door, change, asked.wait_ms).await
}

async fn scale(State(door): State<Door>, request: Body) -> Answer {
    let asked: ScaleRequest = body(request).await?;
    let named = |(text, count): (&String, &u32)| Ok((ServiceName::new(text).map_err(|why| Failure::new(Code::Invalid, why))?, *count));
    let counts: BTreeMap<ServiceName, u32> = asked.services.iter().map(named).collect::<Result<_, Failure>>()?;
    act(&door, Change::Scale(counts), asked.wait_ms).await
}

async fn signal(State(door): State<Door>, Name(name): Name, request: Body) -> Answer {
    json(&tasks::signal(&door, &name, body(request).await?).await?)
}

async fn exec(State(door): State<Door>, Name(name): Name, request: Body) -> Answer {
    json(&tasks::exec(&door, &name, body(request).await?).await?)
}

async fn down(State(door): State<Door>, request: Body) -> Answer {
    let asked: DownRequest = body(request).await?;
    act(&door, Change::Down { keep: asked.keep, force: asked.force }, None).await
}

async fn shutdown(State(door): State<Door>, request: Body) -> Answer {
    let asked: ShutdownRequest = body(request).await?;
    act(&door, Change::Shutdown { stop_services: asked.stop_services, force: asked.force }, None).await
}

async fn act(door: &Door, change: Change, wait_ms: Option<u64>) -> Answer {
    let accepted = door.change(change).await?;
    let services: Vec<String> = accepted.services.iter().map(ToString::to_string).collect();
    let settled = match wait_ms {
        Some(ms) => door.settle(Some(services.clone()), Duration::from_millis(ms)).await?,
        None => false,
    };
    json(&ActionResult { version: Shape, generation: accepted.generation, last_event: accepted.last_event, services, settled })
}

async fn plan(State(door): State<Door>, request: Body) -> Answer {
    let asked: ApplyRequest = body(request).await?;
    let prepared = apply::prepare(&door.plugins, asked).await?;
    json(&door.look(move |desk| apply::plan(desk, &prepared, false)).await?)
}

async fn apply(State(door): State<Door>, request: Body) -> Answer {
    let asked: ApplyRequest = body(request).await?;
    let prepared = apply::prepare(&door.plugins, asked).await?;
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
    plan.generation = accepted.generation;
    plan.last_event = accepted.last_event;
    json(&plan)
}

async fn health(State(door): State<Door>) -> Answer {
    json(&door.look(speak::health_report).await?)
}

/// Runs the checks of some services now, and answers once each has said something since.
async fn check_now(State(door): State<Door>, request: Body) -> Answer {
    let asked: CheckNowRequest = body(request).await?;
    let begun = clock::now();
    let mut rounds = door.rounds.clone();
    let accepted = door.change(Change::CheckNow(names(&asked.services)?)).await?;
    let names: Vec<String> = accepted.services.iter().map(ToString::to_string).collect();
    let end = tokio::time::Instant::now() + CheckNow::LONGEST;
    loop {
        rounds.mark_unchanged();
        let asked = names.clone();
        let (now, awaits) =
            door.look(move |desk| (speak::results_since(desk, &asked, begun), speak::is_awaiting_checks(desk, &asked, begun))).await?;
        // The loop goes round at every result.
        if !awaits || tokio::time::timeout_at(end, rounds.changed()).await.is_err() {
            return json(&now);
        }
    }
}

async fn graph(State(door): State<Door>) -> Answer {
    let graph = door.look(|desk| {
        let views: Vec<_> = desk.core.names().filter_map(|name| desk.core.service(name.as_str())).collect();
        Graph::of(views.iter().map(|view| view.spec))
    });
    json(&graph.await?)
}

async fn plugins(State(door): State<Door>) -> Answer {
    json(&door.look(speak::plugins).await?)
}

async fn plugin(State(door): State<Door>, Name(name): Name) -> Answer {
    let found = door.look({
        let name = name.clone();
        move |desk| speak::plugin_detail(desk, &name)
    });
    let missing =
        || Failure::new(Code::NotFound, format!("there is no plugin `{}`", name.escape_default())).hint("`hostler plugin list` shows every plugin");
    json(&found.await?.ok_or_else(missing)?)
}

async fn recording(State(door): State<Door>, Name(name): Name, uri: Uri) -> Answer {
    let asked: record::Asked = query(&uri)?;
    Ok(stream(record::begin(&door.plugins, &name, &asked)?))
}

async fn upgrade(State(door): State<Door>, Name(name): Name, request: Body) -> Answer {
    json(&upgrade::upgrade(&door, &name, body(request).await?).await?)
}

async fn rollback(State(door): State<Door>, Name(name): Name, request: Body) -> Answer {
    let _: RollbackRequest = body(request).await?;
    json(&upgrade::rollback(&door, &name).await?)
}

async fn service_logs(State(door): State<Door>, Name(name): Name, uri: Uri) -> Answer {
    let asked: LogsQuery = query(&uri)?;
    let reading = logs::Reading::begin(&door, &name, asked).await?;
    Ok(stream(reading.run()))
}

/// Lines of documents, as they come.
fn stream(items: mpsc::Receiver<Vec<u8>>) -> Response<Body> {
    let lines = futures_util::stream::unfold(items, |mut items| async move { items.recv().await.map(|line| (Ok::<_, Infallible>(line), items)) });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(routes::NDJSON));
    response
}

pub(crate) fn line<T: Serialize>(item: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(item).expect("wire documents have no maps with odd keys");
    line.push(b'\n');
    line
}

async fn events(State(door): State<Door>, uri: Uri) -> Answer {
    let asked: EventsQuery = query(&uri)?;
    // Followed first, so that nothing falls between the past and the present.
    let following = door.events.subscribe();
    let first = past(&door, asked.after.unwrap_or(0)).await?;
    let (tell, told) = mpsc::channel(256);
    tokio::spawn(async move {
        // It ends when the reader goes away, or with the host.
        tell_events(&door, &asked, first, following, &tell).await;
    });
    Ok(stream(told))
}

/// A page of events that are kept.
async fn past(door: &Door, after: u64) -> Result<EventPage, Failure> {
    let store = Arc::clone(&door.store);
    let read = tokio::task::spawn_blocking(move || store.events(after, EVENTS_PAGE)).await;
    read.unwrap_or(Err(StoreError::Closed)).map_err(|error| {
        let failure = Failure::new(Code::Failed, format!("the events cannot be read: {error}"));
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Returns once the loop has ended, which counts its rounds for as long as it goes.
pub(crate) async fn end_of_loop(rounds: &mut watch::Receiver<u64>) {
    while rounds.changed().await.is_ok() {}
}

async fn tell_events(
    door: &Door,
    asked: &EventsQuery,
    first: EventPage,
    mut following: broadcast::Receiver<Arc<EventRecord>>,
    tell: &mpsc::Sender<Vec<u8>>,
) -> Option<()> {
    let chosen = listed(asked.services.as_deref());
    let wanted = |event: &EventRecord| chosen.as_ref().is_none_or(|names| event.service.as_ref().is_some_and(|name| names.contains(name)));
    let mut after = asked.after.unwrap_or(0);
    let mut left = asked.limit.filter(|_| !asked.follow).unwrap_or(usize::MAX);
    let mut page = first;
    loop {
        let whole_gap = page.gap && after > 0;
        if let (true, Some(first)) = (whole_gap, page.events.first()) {
            tell.send(line(&EventItem::Gap { version: Shape, next: first.seq })).await.ok()?;
        }
        for event in page.events.iter().map(ledger::told).filter(|event| wanted(event)) {
            if left == 0 {
                return Some(());
            }
            left -= 1;
            tell.send(line(&EventItem::Event(event))).await.ok()?;
        }
        after = page.next;
        if page.events.is_empty() || after >= page.last {
            break;
        }
        page = match past(door, after).await {
            Ok(page) => page,
            Err(failure) => return tell.send(line(&EventItem::Error { version: Shape, message: failure.message })).await.ok(),
        };
    }
    if !asked.follow {
        return Some(());
    }
    let mut rounds = door.rounds.clone();
    loop {
        let heard = tokio::select! {
            // First what is still to be told: the loop has sent all of it before it ends.
            biased;
            heard = following.recv() => heard,
            () = end_of_loop(&mut rounds) => return Some(()),
        };
        match heard {
            Ok(event) if event.seq <= after => {}
            Ok(event) => {
                if event.seq > after + 1 {
                    tell.send(line(&EventItem::Gap { version: Shape, next: event.seq })).await.ok()?;
                }
                after = event.seq;
                if wanted(&event) {
                    tell.send(line(&EventItem::Event((*event).clone()))).await.ok()?;
                }
            }
            // The reader is slow: the gap is said with the next event.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Some(()),
        }
    }
}

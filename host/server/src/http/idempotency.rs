//! `Idempotency-Key`: the same write, sent again by the same caller within a day, is answered as before and not done again.
//!
//! It is asked behind a route's policy: who may not ask leaves no trace. What has a key is done to its end, also when its caller goes away
//! (`apart`): he may come back for the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use hostler_api::routes::{self, Route, documents};
use hostler_api::{ActionResult, Code, Failure, Shape};
use hostler_store::Txn;

use super::answer::{Refusal, bytes, document, subject};
use super::caller::Caller;
use super::documents::told_again;
use super::scope::Scope;
use super::{Door, operations};
use crate::idempotency::{Answered, Begun, Fate, Found, KEPT_MS, Known, Name};
use crate::message::{Accepted, Mark};

/// The header.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What an answer says that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key.
const KEY_BYTES: usize = 255;
/// How long a second one waits for the first.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer that is longer is not kept.
const ANSWER_BYTES: usize = 16 << 10;
/// Headers that are given again.
const HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

tokio::task_local! {
    /// The request that is being done.
    static UNDER_WAY: UnderWay;
}

/// A request with a key.
#[derive(Clone)]
struct UnderWay {
    name: Name,
    digest: String,
    at: u64,
    /// A change was made for it: it is marked in the store.
    changed: Arc<AtomicBool>,
}

/// What a change writes with itself, where it is made for a request with a key.
pub(crate) fn mark() -> Option<Mark> {
    let name = UNDER_WAY.try_with(|request| request.name.clone()).ok()?;
    Some(Box::new(move |txn: Txn, made: &Accepted| name.mark(txn, made.generation)))
}

/// Such a change was made.
pub(crate) fn has_changed() {
    // Most requests have no key.
    UNDER_WAY.try_with(|request| request.changed.store(true, Ordering::Relaxed)).ok();
}

/// Adds to the transaction that queues an operation that the request with this key became it.
pub(crate) fn note_operation(txn: Txn, id: &str) -> Txn {
    match UNDER_WAY.try_with(Clone::clone) {
        Ok(UnderWay { name, digest, at, .. }) => Begun::becomes(&name, &digest, at, txn, id),
        Err(_) => txn,
    }
}

/// What is to become of a request that a host died with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// A second time changes nothing, or nothing that matters: it is done again.
    Harmless,
    /// All that it does is one change of what is wanted, and whether that was made is known.
    Known,
    /// It may have been done, and must not be done twice.
    Never,
}

/// Whatever is not said here is not done twice.
fn again(route: &Route) -> Again {
    match route.path {
        routes::START
        | routes::STOP
        | routes::SCALE
        | routes::APPLY
        | routes::PLAN
        | routes::DOWN
        | routes::SHUTDOWN
        | routes::CHECK_NOW
        | routes::IMAGES
        | routes::SCALE_IMAGE
        | routes::RECONCILE_IMAGE
        | routes::DEPLOY
        | routes::CANCEL_OPERATION
        | documents::CHECK_NOW => Again::Harmless,
        routes::RESTART | documents::RESTART => Again::Known,
        _ if matches!(route.method, routes::Method::Put | routes::Method::Delete) => Again::Harmless,
        _ => Again::Never,
    }
}

/// Does a request, once for each key.
pub(super) async fn pass(route: &'static Route, request: Request, next: Next) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let mut values = request.headers().get_all(KEY).iter();
    let (first, second) = (values.next().cloned(), values.next());
    let Some(key) = first else { return next.run(request).await };
    let good = |text: &str| (1..=KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    match key.to_str() {
        Ok(key) if second.is_none() && good(key) => once(route, key.to_owned(), request, next).await,
        _ => {
            let message = format!("`Idempotency-Key` is sent once, and has 1 to {KEY_BYTES} printable characters of ASCII without blanks");
            Refusal(Failure::new(Code::Invalid, message)).into_response()
        }
    }
}

async fn once(route: &'static Route, key: String, request: Request, next: Next) -> Response<Body> {
    let caller = request.extensions().get::<Caller>().cloned();
    let door = request.extensions().get::<Door>().cloned();
    let (Some(caller), Some(door)) = (caller, door) else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let body = match bytes(body).await {
        Ok(body) => body,
        Err(failure) => return Refusal(failure).into_response(),
    };
    let mut digest = blake3::Hasher::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), &prefers(&parts.headers), &body] {
        digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
    }
    let digest = digest.finalize().to_hex().to_string();
    let name = Name::new(caller.token.as_deref().unwrap_or(&caller.name), &key);
    let begun = match found(route, &door, &parts, name, digest).await {
        Ok(begun) => begun,
        Err(answer) => return *answer,
    };
    let request = Request::from_parts(parts, Body::from(body));
    let ((name, digest, at), changed) = (begun.parts(), Arc::<AtomicBool>::default());
    let under_way = UnderWay { name, digest, at, changed: Arc::clone(&changed) };
    // Not a part of the connection (`apart`): it goes on when that breaks off.
    let answer = UNDER_WAY.scope(under_way, next.run(request)).await;
    keep(route, begun, changed.load(Ordering::Relaxed), answer).await
}

/// Of the headers that say what is asked, those that change it.
fn prefers(headers: &axum::http::HeaderMap) -> Vec<u8> {
    let said = ["prefer", "if-match", "if-none-match"].iter().flat_map(|name| headers.get_all(*name)).map(HeaderValue::as_bytes);
    said.collect::<Vec<_>>().join(&b'\n')
}

/// A key to do it with, or the answer that there is.
async fn found(route: &Route, door: &Door, asked: &Parts, name: Name, digest: String) -> Result<Begun, Box<Response<Body>>> {
    let end = tokio::time::Instant::now() + PATIENCE;
    let refuse = |failure: Failure| Box::new(Refusal(failure).into_response());
    loop {
        match door.keys.find(name.clone(), digest.clone()).await.map_err(refuse)? {
            Found::New(begun) => return Ok(begun),
            Found::UnderWay(mut first) => {
                if tokio::time::timeout_at(end, first.changed()).await.is_err() {
                    let failure = Failure::new(Code::Conflict, "a request with this idempotency key is under way");
                    return Err(refuse(failure.hint("send it again later: it will have the answer of the first")));
                }
            }
            Found::Over(known) | Found::Left { known, .. } if known.digest != digest => return Err(Box::new(misused())),
            Found::Over(known) => return Err(Box::new(told(door, known))),
            Found::Lost => return Err(refuse(lost())),
            Found::Left { generation, begun, .. } => return left(route, door, asked, generation, begun).await.map_err(Box::new),
        }
    }
}

/// One that was begun, and of which nobody has seen the end.
async fn left(route: &Route, door: &Door, asked: &Parts, generation: Option<u64>, begun: Begun) -> Result<Begun, Response<Body>> {
    match (again(route), generation) {
        (Again::Harmless, _) | (Again::Known, None) => Ok(begun),
        (Again::Known, Some(generation)) => {
            let answer = match (asked.extensions.get::<Scope>(), subject(route.path, asked.uri.path())) {
                // A document of somebody else's has words of its own.
                (Some(scope), Some(name)) if route.path == documents::RESTART => told_again(door, scope, &name).await,
                _ => {
                    let result = ActionResult { version: Shape, generation, last_event: 0, services: Vec::new(), settled: false };
                    document(StatusCode::OK, routes::JSON, &result)
                }
            };
            Err(replayed(keep(route, begun, true, answer).await))
        }
        (Again::Never, _) => {
            let failure = Failure::new(Code::Unknown, "this was begun and its end is not known: the host ended, or its store failed, meanwhile");
            Err(Refusal(failure.hint("look at what it is about; then ask with another key, or leave it")).into_response())
        }
    }
}

/// What was answered before.
fn told(door: &Door, known: Known) -> Response<Body> {
    match known.fate {
        Fate::Answered(Answered { status, headers, body }) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    response.headers_mut().insert(name, value);
                }
            }
            replayed(response)
        }
        Fate::Operation(id) => {
            // As when it was queued, but for how far it is since.
            let response = door.operations.told(&id).map(|(workspace, operation)| operations::accepted(&workspace, &operation));
            replayed(response.unwrap_or_else(|| Refusal(crate::operations::not_found(&id)).into_response()))
        }
        Fate::Untold { status } => {
            let failure = Failure::new(Code::Conflict, format!("this was done and answered with {status}, and the answer is not kept"));
            Refusal(failure.hint("it has a secret that is told once, or was too long; look at what it is about")).into_response()
        }
        Fate::Begun => Refusal(Failure::new(Code::Internal, "what was begun is told as over")).into_response(),
    }
}

fn lost() -> Failure {
    let failure = Failure::new(Code::Unknown, "the store failed in the middle of this: whether it was done is not known");
    failure.hint("end the host and start it again, then send this again: it goes on from what is on the disk")
}

fn replayed(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn misused() -> Response<Body> {
    let failure = Failure::new(Code::Invalid, "this idempotency key came with another request before")
        .hint(format!("a key is for one request and known for {} hours; take another one", KEPT_MS / 3_600_000));
    document(StatusCode::UNPROCESSABLE_ENTITY, routes::PROBLEM_JSON, &failure)
}

/// Writes down what is answered, before it is.
async fn keep(route: &Route, begun: Begun, has_changed: bool, answer: Response<Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    let status = parts.status;
    let refused = matches!(status.as_u16(), 401 | 403 | 408 | 429 | 503);
    if status.as_u16() == Code::Unknown.http_status() {
        begun.lose();
        return Response::from_parts(parts, body);
    }
    if refused && has_changed {
        // It was done, and what came of it cannot be told: whoever sends it again learns what is known of one that was begun.
        return Response::from_parts(parts, body);
    }
    if refused {
        // Nothing was done: the next one does it.
        if let Err(failure) = begun.let_go().await {
            tracing::warn!(%failure, "an idempotency key is not let go of yet");
        }
        return Response::from_parts(parts, body);
    }
    let is_secret = route.path == routes::TOKENS || route.path == routes::EXEC;
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return Refusal(Failure::new(Code::Internal, "the answer broke off")).into_response();
    };
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !is_secret && text.len() <= ANSWER_BYTES);
    let header = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(|value| (name.to_string(), value.to_owned()));
    let fate = match text {
        Some(text) => {
            let headers = HEADERS.iter().filter_map(header).collect();
            Fate::Answered(Answered { status: status.as_u16(), headers, body: text.to_owned() })
        }
        None => Fate::Untold { status: status.as_u16() },
    };
    if let Err(failure) = begun.end(fate).await {
        tracing::warn!(%failure, "the answer to a request with an idempotency key is not kept; it was done");
    }
    Response::from_parts(parts, Body::from(bytes))
}

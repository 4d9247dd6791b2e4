//! What happened, read and followed: as lines, as server-sent events, as a WebSocket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use hostler_api::{Code, EventKind, EventsQuery, Failure, routes};
use hostler_core::closest;
use hostler_store::StoreError;
use tokio::time::Instant;

use super::answer::{Answer, Name, ending, listed, query};
use super::caller::Peer;
use super::connection::Wire;
use super::scope::{Scope, Wide};
use super::table::Table;
use super::{Door, LONGEST_WAIT, unwelcome};
use crate::feed::Form;
use crate::speak;
use reader::{Choice, Reader, Until};

mod form;
mod reader;
mod socket;

/// After such a silence a stream says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events in an answer that was waited for, at most.
const WAITED_FOR: usize = 1_000;

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::EVENTS, events).get(routes::SERVICE_EVENTS, service_events).get(routes::EVENTS_SOCKET, events_socket)
}

async fn events(State(door): State<Door>, Wide(scope): Wide, Extension(wire): Extension<Wire>, headers: HeaderMap, uri: Uri) -> Answer {
    let asked: EventsQuery = query(&uri)?;
    answer(&door, scope, &wire, &headers, asked).await
}

async fn service_events(
    State(door): State<Door>,
    scope: Scope,
    Extension(wire): Extension<Wire>,
    Name(name): Name,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let asked: EventsQuery = query(&uri)?;
    if asked.services.is_some() {
        return Err(invalid("`services` is not taken here: the path names the service").into());
    }
    let found = scope.name(&name)?;
    door.look(move |desk| desk.core.service(found.as_str()).map(drop).ok_or_else(|| speak::not_found(desk, found.as_str()))).await??;
    answer(&door, scope, &wire, &headers, EventsQuery { services: Some(name), ..asked }).await
}

async fn events_socket(
    State(door): State<Door>,
    Wide(scope): Wide,
    Extension(wire): Extension<Wire>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer {
    let asked: EventsQuery = query(&uri)?;
    let upgrade = upgrade.map_err(|why| invalid(format!("this route is a WebSocket: {why}")))?;
    let reader = follow(&door, scope, &wire, &headers, &asked).await?;
    // The connection is not among the answered ones any more: it looks after its token itself.
    let unwelcome = unwelcome(peer, Arc::clone(&door.identities), Arc::clone(&door.workspaces));
    Ok(socket::open(upgrade, reader, wire, unwelcome))
}

/// Answers by lines, unless server-sent events are asked for.
async fn answer(door: &Door, scope: Scope, wire: &Wire, headers: &HeaderMap, asked: EventsQuery) -> Answer {
    if wants_frames(headers) {
        let reader = follow(door, scope, wire, headers, &asked).await?;
        let greeting = stream::once(async { Ok(form::greeting()) });
        return Ok(ending(streamed(routes::EVENT_STREAM, greeting.chain(read(reader, Form::Frame)))));
    }
    let (until, limit) = match (asked.follow, asked.wait_ms) {
        (true, Some(_)) => return Err(invalid("`follow` and `wait_ms` do not go together: one stays, the other ends").into()),
        (true, None) => (Until::End(None), usize::MAX),
        (false, None) => (Until::Now, asked.limit.unwrap_or(usize::MAX)),
        (false, Some(ms)) => {
            let end = Instant::now() + Duration::from_millis(ms).min(LONGEST_WAIT);
            (Until::Some(end), asked.limit.unwrap_or(WAITED_FOR).clamp(1, WAITED_FOR))
        }
    };
    if asked.follow {
        wire.become_stream(&scope.caller)?;
    }
    let reader = open(door, scope, &asked, resumed(headers, &asked)?, until, limit).await?;
    let response = streamed(routes::NDJSON, read(reader, Form::Line));
    Ok(if asked.follow { ending(response) } else { response })
}

/// A reader that stays until the host ends.
async fn follow(door: &Door, scope: Scope, wire: &Wire, headers: &HeaderMap, asked: &EventsQuery) -> Result<Reader, Failure> {
    if asked.limit.is_some() || asked.wait_ms.is_some() {
        return Err(invalid("`limit` and `wait_ms` are not taken here: this stream stays open"));
    }
    let after = resumed(headers, asked)?;
    wire.become_stream(&scope.caller)?;
    open(door, scope, asked, after, Until::End(Some(HEARTBEAT)), usize::MAX).await
}

async fn open(door: &Door, scope: Scope, asked: &EventsQuery, after: u64, until: Until, limit: usize) -> Result<Reader, Failure> {
    // What happened to others of the same name is nothing to those who came after them.
    let record = door.workspaces.get(scope.workspace.as_str()).filter(|_| !scope.is_all());
    let after = after.max(record.map_or(0, |record| record.after));
    let choice = Choice { scope, services: listed(asked.services.as_deref()), kinds: kinds(asked.kinds.as_deref())? };
    Reader::open(Arc::clone(&door.store), &door.readers, choice, after, until, limit).await
}

/// Where to begin: what a browser that comes again has heard counts more than the address, which stays the same.
fn resumed(headers: &HeaderMap, asked: &EventsQuery) -> Result<u64, Failure> {
    let last = headers.get("last-event-id").filter(|last| !last.is_empty());
    let Some(last) = last else { return Ok(asked.after.unwrap_or(0)) };
    let number = last.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| invalid("`Last-Event-ID` is not the number of an event"))
}

/// Words of kinds, each of which there is.
fn kinds(asked: Option<&str>) -> Result<Option<Vec<String>>, Failure> {
    let kinds = listed(asked);
    let odd = kinds.iter().flatten().find(|word| EventKind::of(word).is_none());
    let Some(odd) = odd else { return Ok(kinds) };
    let failure = invalid(format!("there is no kind of event `{}`", odd.escape_default()));
    Err(match closest(odd, EventKind::ALL.iter().map(|kind| kind.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("docs/OPERATIONS.md, \"Events\", has every kind"),
    })
}

fn wants_frames(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut media = accepted.filter_map(|range| range.split(';').next());
    media.any(|media| media.trim().eq_ignore_ascii_case(routes::EVENT_STREAM))
}

/// What a reader hears, as it is asked for: nothing is read ahead of the client.
fn read(reader: Reader, form: Form) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(reader, move |mut reader| async move {
        loop {
            if let Some(text) = form::written(&reader.next().await?, form) {
                return Some((Ok(text), reader));
            }
        }
    })
}

fn streamed(media: &'static str, text: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Code::Invalid, message)
}

fn unreadable(error: &StoreError) -> Failure {
    let failure = Failure::new(Code::Failed, format!("the events cannot be read: {error}"));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

//! How an instance is and what happened to it: logs, health, figures, events.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, Uri, header};
use futures_util::stream;
use hostler_api::documents::kyozo;
use hostler_api::routes::{self, documents};
use hostler_api::{Code, EventRecord, Failure, LogItem, LogsQuery, Status};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::super::Door;
use super::super::super::answer::{Name, document};
use super::super::super::caller::Caller;
use super::super::super::connection::Wire;
use super::super::super::table::Table;
use super::{MEDIA, Told, found, last, looked_at, pairs};
use crate::instances;
use crate::{history, logs};

/// Lines and events in an answer, unless somebody wants fewer or more.
const LINES: u32 = 100;
const EVENTS: usize = 50;
/// And at most.
const MOST_LINES: u32 = 10_000;
const MOST_EVENTS: usize = 1_000;

pub(super) fn routes(table: Table) -> Table {
    table
        .get(documents::INSTANCE_LOGS, logs)
        .get(documents::INSTANCE_HEALTH, health)
        .get(documents::INSTANCE_METRICS, metrics)
        .get(documents::INSTANCE_EVENTS, events)
}

/// What the query says, as a number.
fn number(uri: &Uri, key: &str, default: u32) -> Result<u32, Failure> {
    let pairs = pairs(uri)?;
    let Some(text) = last(&pairs, key) else { return Ok(default) };
    text.parse().map_err(|_| Failure::new(Code::Invalid, format!("{key} is to be a whole number")).at(format!("?{key}")))
}

async fn logs(State(door): State<Door>, Extension(caller): Extension<Caller>, Extension(wire): Extension<Wire>, Name(id): Name, uri: Uri) -> Told {
    let kept = found(&door, &caller, &id).await?;
    let lines = number(&uri, "lines", LINES)?.min(MOST_LINES);
    let follow = last(&pairs(&uri)?, "follow") == Some("true");
    let asked = LogsQuery { tail: Some(lines), follow, ..LogsQuery::default() };
    if follow {
        wire.become_stream(&caller)?;
    }
    let reading = logs::Reading::begin(&door, kept.service.clone(), asked).await;
    // The document knows one status for a log that cannot be read.
    let items = reading.map_err(|failure| Failure { code: Code::Config, ..failure })?.run();
    if follow { Ok(followed(items)) } else { whole(items, lines as usize).await }
}

/// All there is, as one text: of several replicas one after the other, each as long as was asked for.
async fn whole(mut items: mpsc::Receiver<Vec<u8>>, most: usize) -> Told {
    let mut lines = Vec::new();
    while let Some(item) = items.recv().await {
        lines.extend(text(&item));
    }
    let from = lines.len().saturating_sub(most);
    Ok(document(StatusCode::OK, routes::JSON, &json!({ "data": { "logs": lines[from..].join("\n") } })))
}

/// The same document for each line, one in a line, as they come.
fn followed(items: mpsc::Receiver<Vec<u8>>) -> Response<Body> {
    let lines = stream::unfold(items, |mut items| async move {
        loop {
            let item = items.recv().await?;
            if let Some(text) = text(&item) {
                let line = format!("{}\n", json!({ "data": { "logs": text } }));
                return Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), items));
            }
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(routes::NDJSON));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What one item of a log says to people.
fn text(item: &[u8]) -> Option<String> {
    match serde_json::from_slice(item).ok()? {
        LogItem::Line(line) => Some(line.text),
        LogItem::Error { message, .. } => Some(message),
        LogItem::Gap { .. } | LogItem::Cursor { .. } => None,
    }
}

async fn health(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = found(&door, &caller, &id).await?;
    let instance = looked_at(&door, kept, false).await?;
    if instance.detail.service.status == Status::Unknown {
        let why = instance.detail.because.join("; because ");
        return Err(Failure::new(Code::Unavailable, format!("nobody can say how it is: {why}")).into());
    }
    Ok(document(StatusCode::OK, routes::JSON, &instance.health_document()))
}

async fn metrics(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = found(&door, &caller, &id).await?;
    let instance = looked_at(&door, kept, true).await?;
    Ok(document(StatusCode::OK, routes::JSON, &instance.metrics_document()))
}

/// The newest first.
async fn events(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name, uri: Uri) -> Told {
    let kept = found(&door, &caller, &id).await?;
    let limit = usize::try_from(number(&uri, "limit", u32::try_from(EVENTS).unwrap_or(u32::MAX))?).unwrap_or(MOST_EVENTS).min(MOST_EVENTS);
    let owner = door.look(|desk| desk.owner.clone()).await?;
    let since = kept.instance.created_at;
    // A service of the same name may have been there before.
    let is_own = move |event: &EventRecord| event.at.0.saturating_add(1_000) >= since;
    let told = |events: &[EventRecord]| kyozo::deployment_events(events.iter().filter(|event| is_own(event)));
    let past = history::of_service(&door.store, kept.service.as_str(), |events| told(events).len() >= limit).await?;
    let mut happened = told(&past);
    happened.reverse();
    happened.truncate(limit);
    let data: Vec<Value> =
        happened.iter().map(|event| kyozo::deployment_event(event, &instances::event_id(&owner, event.at.0, event.seq), &kept.instance.id)).collect();
    Ok(document(StatusCode::OK, MEDIA, &json!({ "data": data, "jsonapi": { "version": "1.0" } })))
}

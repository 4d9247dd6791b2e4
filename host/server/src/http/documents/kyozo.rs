//! `/api/v1/service_instances*`, `/api/v1/topology_detections*`, `/api/v1/workspaces/{id}/…` in JSON:API's form.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use hostler_api::access::{ALL_WORKSPACES, Access};
use hostler_api::documents::kyozo::{self, Asked, Fault, MEDIA, Page, Patch};
use hostler_api::routes::{self, documents};
use hostler_api::{Code, Failure};
use serde_json::Value;

use super::super::Door;
use super::super::answer::{Name, Refusal, bytes, document};
use super::super::caller::Caller;
use super::super::scope::Scope;
use super::super::table::Table;
use crate::beside::OnlyIf;
use crate::instances::{self, Kept};
use crate::message::Change;

mod form;
mod watched;
mod workspaces;

pub(in crate::http) use form::Words;

/// Instances in an answer, unless somebody wants fewer or more.
const PAGE: usize = 50;
/// And at most.
const LARGEST_PAGE: usize = 500;

pub(super) fn routes(table: Table) -> Table {
    let table = table
        .get(documents::INSTANCES, index)
        .post(documents::INSTANCES, create)
        .get(documents::INSTANCE, show)
        .patch(documents::INSTANCE, update)
        .put(documents::INSTANCE, update)
        .delete(documents::INSTANCE, delete)
        .post(documents::DEPLOY_INSTANCE, deploy)
        .post(documents::START_INSTANCE, start)
        .post(documents::STOP_INSTANCE, stop)
        .post(documents::RESTART_INSTANCE, restart)
        .patch(documents::SCALE_INSTANCE, scale);
    workspaces::routes(watched::routes(table))
}

/// An answer that says no: a failure, which gets the document's words on its way out, or one that has them already.
enum No {
    Failed(Failure),
    Said(Box<Response<Body>>),
}

impl From<Failure> for No {
    fn from(failure: Failure) -> No {
        No::Failed(failure)
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response<Body> {
        match self {
            No::Failed(failure) => Refusal(failure).into_response(),
            No::Said(answer) => *answer,
        }
    }
}

type Told = Result<Response<Body>, No>;

fn said(status: StatusCode, value: &Value) -> Told {
    Ok(document(status, MEDIA, value))
}

/// A refusal that the native API has no code for.
fn refuse(status: StatusCode, code: &str, title: &str, detail: &str) -> No {
    let fault = Fault::new(status.as_u16(), code, title, detail);
    No::Said(Box::new(document(status, MEDIA, &kyozo::errors(&[fault]))))
}

/// The body of a request, in one of the two forms that are understood.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, No> {
    let bytes = bytes(body).await?;
    if !form::is_understood(headers) {
        let words = "the body is to be application/vnd.api+json, without parameters, or application/json";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", words));
    }
    Ok(bytes.to_vec())
}

/// The instance with this id, for whoever may see it; for all others there is none.
async fn found(door: &Door, caller: &Caller, id: &str) -> Result<Kept, Failure> {
    let asked = id.to_owned();
    let kept = door.look(move |desk| instances::find(desk, &asked)).await?;
    kept.filter(|kept| caller.role_in(kept.service.workspace()).is_some()).ok_or_else(|| instances::unknown(id))
}

/// The same, for whoever may do that with it.
async fn allowed(door: &Door, caller: &Caller, id: &str, access: Access) -> Result<Kept, Failure> {
    let kept = found(door, caller, id).await?;
    caller.may_in(kept.service.workspace(), access)?;
    Ok(kept)
}

/// What a route demands, asked of the workspace of the instance.
fn demanded(method: routes::Method, path: &str) -> Access {
    routes::find(method, path).map_or(Access::Host(hostler_api::access::Role::Admin), |route| route.access)
}

async fn shown(door: &Door, kept: Kept, status: StatusCode) -> Told {
    let id = kept.instance.id.clone();
    let told = instances::look(door, vec![kept], false).await?;
    let instance = told.first().ok_or_else(|| instances::unknown(&id))?;
    said(status, &kyozo::one(instance))
}

async fn index(State(door): State<Door>, Extension(caller): Extension<Caller>, uri: Uri) -> Told {
    let pairs = pairs(&uri)?;
    let number = |key: &str, default: usize| match last(&pairs, key) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::new(Code::Invalid, format!("{key} is to be a whole number")).at(format!("?{key}"))),
    };
    let (offset, limit) = (number("page[offset]", 0)?, number("page[limit]", PAGE)?.clamp(1, LARGEST_PAGE));
    let is_filter = |key: &str| key.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    let filters: Vec<(String, String)> = pairs.iter().filter_map(|(key, value)| Some((is_filter(key)?, value.clone()))).collect();
    if let Some((key, _)) = filters.iter().find(|(key, _)| !FILTERS.contains(&key.as_str())) {
        let shown: String = key.escape_default().take(64).collect();
        return Err(Failure::new(Code::Invalid, format!("there is no filter `{shown}`: use one of {}", FILTERS.join(", "))).at("?filter").into());
    }
    let workspace = last(&pairs, "workspace").map(str::to_owned);
    let kept: Vec<Kept> = door.look(|desk| instances::all(desk).collect()).await?;
    let may_see = |kept: &Kept| {
        let own = kept.service.workspace();
        caller.role_in(own).is_some() && workspace.as_ref().is_none_or(|workspace| workspace == ALL_WORKSPACES || workspace == own)
    };
    let kept = kept.into_iter().filter(may_see).collect();
    let mut all = instances::look(&door, kept, false).await?;
    all.retain(|instance| {
        let attributes = instance.attributes();
        filters.iter().all(|(key, wanted)| attributes.get(key).and_then(Value::as_str).is_some_and(|value| value == wanted))
    });
    // Ids sort by when they were made.
    all.sort_by(|one, other| one.record.id.cmp(&other.record.id));
    let total = all.len();
    let part: Vec<_> = all.into_iter().skip(offset).take(limit).collect();
    said(StatusCode::OK, &kyozo::collection(&part, Page { offset, limit, total }))
}

/// What a list can be narrowed by: attributes that are texts.
const FILTERS: [&str; 7] = ["status", "health_status", "service_type", "workspace_id", "team_id", "folder_path", "name"];

async fn create(State(door): State<Door>, Extension(caller): Extension<Caller>, scope: Scope, headers: HeaderMap, body: Body) -> Told {
    let body = read(&headers, body).await?;
    let mut asked = Asked::read(&body).map_err(Failure::config)?;
    let name = Some(asked.text("workspace_id")).filter(|name| !name.is_empty()).unwrap_or(scope.workspace.as_str()).to_owned();
    let access = demanded(routes::Method::Post, documents::INSTANCES);
    caller.may_in(&name, access)?;
    let workspace = workspaces::there(&door, &name)?;
    asked.asked.insert("workspace_id".to_owned(), Value::from(name));
    let kept = instances::create(&door, &workspace, asked, Some(id_of(&caller))).await?;
    let place = routes::of(documents::INSTANCE, &kept.instance.id);
    let mut answer = shown(&door, kept, StatusCode::CREATED).await?;
    if let Ok(place) = HeaderValue::from_str(&place) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    Ok(answer)
}

/// What the document calls whoever asks: the id of his token, or who he is on the socket.
fn id_of(caller: &Caller) -> String {
    caller.token.clone().unwrap_or_else(|| caller.name.clone())
}

async fn show(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = found(&door, &caller, &id).await?;
    shown(&door, kept, StatusCode::OK).await
}

async fn update(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name, headers: HeaderMap, body: Body) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Patch, documents::INSTANCE)).await?;
    let patch = Patch::read(&read(&headers, body).await?).map_err(Failure::config)?;
    let kept = instances::update(&door, kept, patch).await?;
    shown(&door, kept, StatusCode::OK).await
}

async fn delete(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Delete, documents::INSTANCE)).await?;
    door.change(Change::Remove { names: vec![kept.service], only_if: OnlyIf::There, force: false }).await?;
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}

async fn deploy(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Post, documents::DEPLOY_INSTANCE)).await?;
    let (kept, _) = instances::deploy(&door, kept, &id_of(&caller)).await?;
    shown(&door, kept, StatusCode::ACCEPTED).await
}

async fn start(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Post, documents::START_INSTANCE)).await?;
    if kept.instance.deployed_at.is_none() {
        // Whoever starts what was never deployed deploys it.
        let (kept, operation) = instances::deploy(&door, kept, &id_of(&caller)).await?;
        door.operations.told_when_over(&operation.id, instances::SETTLED).await;
        return shown(&door, kept, StatusCode::OK).await;
    }
    let change = Change::Start { names: vec![kept.service.clone()], deps: true };
    instances::act(&door, &kept, change).await?;
    shown(&door, kept, StatusCode::OK).await
}

async fn stop(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Post, documents::STOP_INSTANCE)).await?;
    let change = Change::Stop { names: vec![kept.service.clone()], force: false };
    instances::act(&door, &kept, change).await?;
    shown(&door, kept, StatusCode::OK).await
}

async fn restart(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Post, documents::RESTART_INSTANCE)).await?;
    let change = Change::Restart { names: vec![kept.service.clone()], force: true };
    instances::act(&door, &kept, change).await?;
    shown(&door, kept, StatusCode::OK).await
}

async fn scale(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name, headers: HeaderMap, body: Body) -> Told {
    let kept = allowed(&door, &caller, &id, demanded(routes::Method::Patch, documents::SCALE_INSTANCE)).await?;
    let count = kyozo::replica_count(&read(&headers, body).await?).map_err(Failure::config)?;
    let change = Change::Scale([(kept.service.clone(), count)].into());
    instances::act(&door, &kept, change).await.map_err(|failure| match failure.code {
        // Beyond its bounds.
        Code::Invalid => Failure::config(vec![hostler_core::Problem::new("/data/attributes/replica_count", failure.message)]),
        _ => failure,
    })?;
    shown(&door, kept, StatusCode::OK).await
}

/// The query, pair by pair.
fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Failure> {
    let read = Query::<Vec<(String, String)>>::try_from_uri(uri);
    read.map(|Query(pairs)| pairs).map_err(|error| Failure::new(Code::Invalid, format!("the query cannot be read: {error}")))
}

/// The last of that name counts.
fn last<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

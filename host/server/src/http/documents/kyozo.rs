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
use hostler_core::{Problem, ServiceName};
use serde_json::Value;

use super::super::Door;
use super::super::answer::{Name, Refusal, bytes, document};
use super::super::caller::Caller;
use super::super::record::{About, turned};
use super::super::scope::Scope;
use super::super::table::Table;
use crate::beside::OnlyIf;
use crate::instances::{self, Kept};
use crate::message::Change;

mod form;
mod watched;
mod workspaces;

pub(super) use form::wanted;

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
async fn found(door: &Door, caller: &Caller, id: &str) -> Result<Kept, No> {
    let asked = id.to_owned();
    let kept = door.look(move |desk| instances::find(desk, &asked)).await?.ok_or_else(|| instances::unknown(id))?;
    let workspace = kept.service.workspace();
    if caller.role_in(workspace).is_some() {
        return Ok(kept);
    }
    Err(No::Said(Box::new(turned(Refusal(instances::unknown(id)), workspace))))
}

/// Does something with it, for whoever may do that. Whatever the query says, it is about the workspace of the instance.
async fn changed(door: &Door, caller: &Caller, id: &str, access: Access, change: impl AsyncFnOnce(Kept) -> Told) -> Told {
    let kept = found(door, caller, id).await?;
    let workspace = kept.service.workspace().to_owned();
    let told = match caller.may_in(&workspace, access) {
        Ok(()) => change(kept).await,
        Err(failure) => Err(failure.into()),
    };
    Ok(about(told, workspace))
}

fn about(told: Told, workspace: String) -> Response<Body> {
    let mut answer = told.into_response();
    answer.extensions_mut().insert(About(workspace));
    answer
}

/// What a route demands, asked of the workspace of the instance.
fn demanded(method: routes::Method, path: &str) -> Access {
    routes::find(method, path).map_or(Access::Host(hostler_api::access::Role::Admin), |route| route.access)
}

async fn looked_at(door: &Door, kept: Kept, wait: bool) -> Result<kyozo::Instance, Failure> {
    let id = kept.instance.id.clone();
    instances::look(door, vec![kept], wait).await?.into_iter().next().ok_or_else(|| instances::unknown(&id))
}

async fn shown(door: &Door, kept: Kept, status: StatusCode) -> Told {
    said(status, &kyozo::one(&looked_at(door, kept, false).await?))
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
    said(StatusCode::OK, &kyozo::collection(&part, Page { offset, limit, total }, &pairs))
}

/// What a list can be narrowed by: attributes that are texts.
const FILTERS: [&str; 7] = ["status", "health_status", "service_type", "workspace_id", "team_id", "folder_path", "name"];

async fn create(State(door): State<Door>, Extension(caller): Extension<Caller>, scope: Scope, headers: HeaderMap, body: Body) -> Told {
    let body = read(&headers, body).await?;
    let mut asked = Asked::read(&body).map_err(Failure::config)?;
    let name = Some(asked.text("workspace_id")).filter(|name| !name.is_empty()).unwrap_or(scope.workspace.as_str()).to_owned();
    asked.asked.insert("workspace_id".to_owned(), Value::from(name.clone()));
    Ok(about(create_within(&door, &caller, &name, asked).await, name))
}

async fn create_within(door: &Door, caller: &Caller, name: &str, asked: Asked) -> Told {
    caller.may_in(name, demanded(routes::Method::Post, documents::INSTANCES))?;
    let workspace = workspaces::there(door, name)?;
    let kept = instances::create(door, &workspace, asked, Some(id_of(caller))).await?;
    let instance = looked_at(door, kept, false).await?;
    let mut answer = document(StatusCode::CREATED, MEDIA, &kyozo::one(&instance));
    if let Ok(place) = HeaderValue::from_str(&kyozo::link(&instance.record)) {
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
    let update = async |_| {
        let patch = Patch::read(&read(&headers, body).await?).map_err(Failure::config)?;
        shown(&door, instances::update(&door, &id, patch).await?, StatusCode::OK).await
    };
    changed(&door, &caller, &id, demanded(routes::Method::Patch, documents::INSTANCE), update).await
}

async fn delete(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let delete = async |kept: Kept| {
        door.change(Change::Remove { names: vec![kept.service], only_if: OnlyIf::There, force: false }).await?;
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Ok(answer)
    };
    changed(&door, &caller, &id, demanded(routes::Method::Delete, documents::INSTANCE), delete).await
}

async fn deploy(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let deploy = async |_| {
        let (kept, _) = instances::deploy(&door, &id, &id_of(&caller)).await?;
        shown(&door, kept, StatusCode::ACCEPTED).await
    };
    changed(&door, &caller, &id, demanded(routes::Method::Post, documents::DEPLOY_INSTANCE), deploy).await
}

async fn start(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let start = async |kept: Kept| {
        if kept.instance.deployed_at.is_none() {
            // Whoever starts what was never deployed deploys it.
            let (kept, operation) = instances::deploy(&door, &id, &id_of(&caller)).await?;
            door.operations.told_when_over(&operation.id, instances::SETTLED).await;
            return shown(&door, kept, StatusCode::OK).await;
        }
        acted(&door, kept, |names| Change::Start { names, deps: true }).await
    };
    changed(&door, &caller, &id, demanded(routes::Method::Post, documents::START_INSTANCE), start).await
}

async fn stop(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let stop = async |kept| acted(&door, kept, |names| Change::Stop { names, force: false }).await;
    changed(&door, &caller, &id, demanded(routes::Method::Post, documents::STOP_INSTANCE), stop).await
}

async fn restart(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name) -> Told {
    let restart = async |kept| acted(&door, kept, |names| Change::Restart { names, force: true }).await;
    changed(&door, &caller, &id, demanded(routes::Method::Post, documents::RESTART_INSTANCE), restart).await
}

async fn acted(door: &Door, kept: Kept, change: impl FnOnce(Vec<ServiceName>) -> Change) -> Told {
    instances::act(door, &kept, change(vec![kept.service.clone()])).await?;
    shown(door, kept, StatusCode::OK).await
}

async fn scale(State(door): State<Door>, Extension(caller): Extension<Caller>, Name(id): Name, headers: HeaderMap, body: Body) -> Told {
    let scale = async |kept: Kept| {
        let count = kyozo::replica_count(&read(&headers, body).await?).map_err(Failure::config)?;
        let change = Change::Scale([(kept.service.clone(), count)].into());
        instances::act(&door, &kept, change).await.map_err(|failure| match failure.code {
            // Beyond its bounds.
            Code::Invalid => Failure::config(vec![Problem::new("/data/attributes/replica_count", failure.message)]),
            _ => failure,
        })?;
        shown(&door, kept, StatusCode::OK).await
    };
    changed(&door, &caller, &id, demanded(routes::Method::Patch, documents::SCALE_INSTANCE), scale).await
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

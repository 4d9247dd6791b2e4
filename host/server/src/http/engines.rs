//! What engines have: images as replica sets, what runs already, strangers.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::{delete, get, post};
use hostler_api::{ActionResult, Code, DiscoveryQuery, Failure, ReleaseRequest, Shape, routes};

use super::{Answer, Door, Name, act, body, json, names, query};
use crate::message::Change;
use crate::{discovery, images, strangers};

pub(super) fn router() -> Router<Door> {
    Router::new()
        .route(routes::IMAGES, get(all_images).post(run_image))
        .route(routes::IMAGE, delete(remove_image))
        .route(routes::SCALE_IMAGE, post(scale_image))
        .route(routes::RECONCILE_IMAGE, post(reconcile_image))
        .route(routes::IMAGE_CONTAINERS, get(image_containers))
        .route(routes::IMAGE_HEALTH, get(image_health))
        .route(routes::CONTAINERS, get(containers))
        .route(routes::DISCOVERY, get(discover))
        .route(routes::ADOPT, post(adopt))
        .route(routes::RELEASE, post(release))
        .route(routes::STRANGERS, get(all_strangers))
        .route(routes::KILL_STRANGER, post(kill_stranger))
        .route(routes::IGNORE_STRANGER, post(ignore_stranger))
}

async fn all_images(State(door): State<Door>) -> Answer {
    json(&door.look(images::list).await?)
}

async fn run_image(State(door): State<Door>, request: Body) -> Answer {
    json(&images::run(&door, body(request).await?).await?)
}

async fn scale_image(State(door): State<Door>, Name(image): Name, request: Body) -> Answer {
    json(&images::scale(&door, &image, body(request).await?).await?)
}

async fn reconcile_image(State(door): State<Door>, Name(image): Name) -> Answer {
    json(&images::reconcile(&door, &image).await?)
}

async fn image_containers(State(door): State<Door>, Name(image): Name) -> Answer {
    json(&images::containers(&door, Some(&image)).await?)
}

async fn containers(State(door): State<Door>) -> Answer {
    json(&images::containers(&door, None).await?)
}

async fn image_health(State(door): State<Door>, Name(image): Name) -> Answer {
    json(&images::health(&door, &image).await?)
}

/// `?` of an image's removal.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Removal {
    /// Without grace.
    force: bool,
}

async fn remove_image(State(door): State<Door>, Name(image): Name, uri: Uri) -> Answer {
    let asked: Removal = query(&uri)?;
    let before = door.look(|desk| desk.last_event).await?;
    let services = images::remove(&door, &image, asked.force).await?;
    let generation = door.look(|desk| desk.generation).await?;
    let services = services.iter().map(ToString::to_string).collect();
    json(&ActionResult { version: Shape, generation, last_event: before, services, settled: false })
}

async fn discover(State(door): State<Door>, uri: Uri) -> Answer {
    let asked: DiscoveryQuery = query(&uri)?;
    json(&discovery::list(&door, asked.backend.as_deref()).await?)
}

async fn adopt(State(door): State<Door>, request: Body) -> Answer {
    let before = door.look(|desk| desk.last_event).await?;
    let name = discovery::adopt(&door, body(request).await?).await?;
    let generation = door.look(|desk| desk.generation).await?;
    json(&ActionResult { version: Shape, generation, last_event: before, services: vec![name.to_string()], settled: false })
}

async fn release(State(door): State<Door>, request: Body) -> Answer {
    let asked: ReleaseRequest = body(request).await?;
    if asked.services.is_empty() {
        return Err(Failure::new(Code::Invalid, "`services` names nobody").hint("name what is to be let go of").into());
    }
    act(&door, Change::Release(names(&asked.services)?), asked.wait_ms).await
}

async fn all_strangers(State(door): State<Door>) -> Answer {
    json(&strangers::list(&door).await?)
}

async fn kill_stranger(State(door): State<Door>, request: Body) -> Answer {
    json(&strangers::kill(&door, body(request).await?).await?)
}

async fn ignore_stranger(State(door): State<Door>, request: Body) -> Answer {
    json(&strangers::ignore(&door, body(request).await?).await?)
}

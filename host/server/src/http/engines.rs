//! What engines have: images as replica sets, what runs already, strangers.

use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use hostler_api::{ActionResult, Code, DiscoveryQuery, Failure, ReleaseRequest, Removal, Shape, routes};

use super::Door;
use super::answer::{Answer, Name, body, json, names, query};
use super::native::act;
use super::scope::Scope;
use super::table::Table;
use crate::message::{Accepted, Change};
use crate::{discovery, images, strangers};

pub(super) fn routes(table: Table) -> Table {
    table
        .get(routes::IMAGES, all_images)
        .post(routes::IMAGES, run_image)
        .delete(routes::IMAGE, remove_image)
        .post(routes::SCALE_IMAGE, scale_image)
        .post(routes::RECONCILE_IMAGE, reconcile_image)
        .get(routes::IMAGE_CONTAINERS, image_containers)
        .get(routes::IMAGE_HEALTH, image_health)
        .get(routes::CONTAINERS, containers)
        .get(routes::DISCOVERY, discover)
        .post(routes::ADOPT, adopt)
        .post(routes::RELEASE, release)
        .get(routes::STRANGERS, all_strangers)
        .post(routes::KILL_STRANGER, kill_stranger)
        .post(routes::IGNORE_STRANGER, ignore_stranger)
}

async fn all_images(State(door): State<Door>, scope: Scope) -> Answer {
    json(&door.look(move |desk| images::list(desk, &scope.workspace)).await?)
}

async fn run_image(State(door): State<Door>, scope: Scope, request: Body) -> Answer {
    json(&images::run(&door, &scope.workspace, body(request).await?).await?)
}

async fn scale_image(State(door): State<Door>, scope: Scope, Name(image): Name, request: Body) -> Answer {
    json(&images::scale(&door, &scope.workspace, &image, body(request).await?).await?)
}

async fn reconcile_image(State(door): State<Door>, scope: Scope, Name(image): Name) -> Answer {
    json(&images::reconcile(&door, &scope.workspace, &image).await?)
}

async fn image_containers(State(door): State<Door>, scope: Scope, Name(image): Name) -> Answer {
    json(&images::containers(&door, &scope.workspace, Some(&image)).await?)
}

async fn containers(State(door): State<Door>, scope: Scope) -> Answer {
    json(&images::containers(&door, &scope.workspace, None).await?)
}

async fn image_health(State(door): State<Door>, scope: Scope, Name(image): Name) -> Answer {
    json(&images::health(&door, &scope.workspace, &image).await?)
}

async fn remove_image(State(door): State<Door>, scope: Scope, Name(image): Name, uri: Uri) -> Answer {
    let asked: Removal = query(&uri)?;
    accepted(images::remove(&door, &scope.workspace, &image, asked.force).await?)
}

async fn discover(State(door): State<Door>, uri: Uri) -> Answer {
    let asked: DiscoveryQuery = query(&uri)?;
    json(&discovery::list(&door, asked.backend.as_deref()).await?)
}

async fn adopt(State(door): State<Door>, request: Body) -> Answer {
    accepted(discovery::adopt(&door, body(request).await?).await?)
}

/// What was done, as of when it was: nothing is asked of the host any more.
fn accepted(accepted: Accepted) -> Answer {
    let Accepted { generation, last_event, services, .. } = accepted;
    let services = services.iter().map(|name| name.local().to_owned()).collect();
    json(&ActionResult { version: Shape, generation, last_event, services, settled: false })
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

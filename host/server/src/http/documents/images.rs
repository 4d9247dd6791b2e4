//! `/health`, `/start/container`, `/images*` and `/containers*`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use hostler_api::documents::fastapi::{Mistake, Refused, of_problem, truth_of_query};
use hostler_api::documents::images::{self as said, All, Deleted, Desired, Health, HealthOfImage, Images, Kept, OfImage, Patched, Started, Summary};
use hostler_api::{Code, Container, Failure, Image, ImageStatus, routes::documents};
use hostler_core::{ServiceName, WorkspaceName};
use serde_json::{Value, json};

use super::super::Door;
use super::super::answer::{Name, bytes};
use super::super::scope::Scope;
use super::super::table::Table;
use super::{No, Told, done, no, sentence, status};
use crate::{containers, images};

/// How long containers may take to be as they are wanted: an image may have to be pulled.
const SETTLED: Duration = Duration::from_secs(300);

pub(super) fn routes(table: Table) -> Table {
    table
        .get(documents::OK, ok)
        .post(documents::START, start)
        .get(documents::IMAGES, all_images)
        .get(documents::IMAGE, look_at_image)
        .post(documents::IMAGE, act_on_image)
        .get(documents::CONTAINERS, all_containers)
        .patch(documents::CONTAINER, patch)
        .delete(documents::CONTAINER, delete)
}

async fn ok() -> Told {
    done(&json!({ "ok": true }))
}

async fn start(State(door): State<Door>, scope: Scope, request: Body) -> Told {
    let body = bytes(request).await.map_err(refused)?;
    let asked = said::start(&body).map_err(mistaken)?;
    let wanted = images::run(&door, &scope.workspace, asked.clone()).await.map_err(|failure| not_wanted(&failure, &body))?;
    settle(&door, &scope.workspace, &wanted).await.map_err(failed)?;
    let list = images::containers(&door, &scope.workspace, Some(&asked.image)).await.map_err(failed)?;
    let first = list.containers.first().filter(|first| asked.resources.status == ImageStatus::Stopped || is_up(first));
    match (first, asked.resources.status) {
        (Some(container), _) => done(&Started { ok: true, image: asked.image, container: Summary::from(container) }),
        (None, ImageStatus::Stopped) => done(&Started { ok: true, image: asked.image, container: Summary::of_none() }),
        (None, ImageStatus::Running) => Err(failed(why_not(&door, &scope.workspace, &wanted).await)),
    }
}

async fn all_images(State(door): State<Door>, scope: Scope) -> Told {
    let list = door.look(move |desk| images::list(desk, &scope.workspace)).await.map_err(refused)?;
    done(&Images { images: list.images.into_iter().map(Desired::from).collect() })
}

/// `{image}/containers` or `{image}/health`.
async fn look_at_image(State(door): State<Door>, scope: Scope, Name(rest): Name) -> Told {
    match rest.rsplit_once('/') {
        Some((image, "containers")) => image_containers(&door, &scope.workspace, image).await,
        Some((image, "health")) => image_health(&door, &scope.workspace, image).await,
        Some((_, "scale" | "reconcile")) => Err(wrong_method("POST")),
        _ => Err(no_route()),
    }
}

/// `{image}/scale` or `{image}/reconcile`.
async fn act_on_image(State(door): State<Door>, scope: Scope, Name(rest): Name, request: Body) -> Told {
    match rest.rsplit_once('/') {
        Some((image, "scale")) => scale(&door, &scope.workspace, image, request).await,
        Some((image, "reconcile")) => reconcile(&door, &scope.workspace, image).await,
        Some((_, "containers" | "health")) => Err(wrong_method("GET")),
        _ => Err(no_route()),
    }
}

/// Of an image that nobody asked for there are none.
async fn image_containers(door: &Door, whose: &WorkspaceName, image: &str) -> Told {
    let found = match images::is_known(door, whose, image).await.map_err(refused)? {
        true => images::containers(door, whose, Some(image)).await.map_err(refused)?.containers,
        false => Vec::new(),
    };
    done(&OfImage { image: image.to_owned(), containers: summaries(&found) })
}

async fn image_health(door: &Door, whose: &WorkspaceName, image: &str) -> Told {
    let found = match images::is_known(door, whose, image).await.map_err(refused)? {
        true => images::health(door, whose, image).await.map_err(refused)?.health,
        false => Vec::new(),
    };
    done(&HealthOfImage { image: image.to_owned(), health: found.iter().map(Health::from).collect() })
}

async fn scale(door: &Door, whose: &WorkspaceName, image: &str, request: Body) -> Told {
    let body = bytes(request).await.map_err(refused)?;
    let asked = said::scale(&body).map_err(mistaken)?;
    let kept = async {
        let had = images::containers(door, whose, Some(image)).await?.containers;
        let wanted = images::scale(door, whose, image, asked).await?;
        settle(door, whose, &wanted).await?;
        kept(door, whose, &wanted, had).await
    };
    done(&kept.await.map_err(|failure| unkept(image, "scale-failed", &failure))?)
}

async fn reconcile(door: &Door, whose: &WorkspaceName, image: &str) -> Told {
    let kept = async {
        let had = images::containers(door, whose, Some(image)).await?.containers;
        images::reconcile(door, whose, image).await?;
        let list = {
            let theirs = whose.clone();
            door.look(move |desk| images::list(desk, &theirs))
        }
        .await?;
        let wanted = list.images.into_iter().find(|wanted| wanted.image == image);
        kept(door, whose, &wanted.ok_or_else(|| Failure::new(Code::Conflict, "it was removed meanwhile"))?, had).await
    };
    done(&kept.await.map_err(|failure| unkept(image, "reconcile-failed", &failure))?)
}

/// What an image has now, if that is what is wanted.
async fn kept(door: &Door, whose: &WorkspaceName, wanted: &Image, had: Vec<Container>) -> Result<Kept, Failure> {
    let has = images::containers(door, whose, Some(&wanted.image)).await?.containers;
    let up = has.iter().filter(|container| is_up(container)).count();
    if wanted.resources.status == ImageStatus::Running && up != wanted.replicas as usize {
        return Err(why_not(door, whose, wanted).await);
    }
    let others = |these: &[Container], those: &[Container]| {
        let is_new = |one: &&Container| !those.iter().any(|other| other.container_id == one.container_id);
        these.iter().filter(is_new).map(|one| one.container_id.clone()).collect()
    };
    Ok(Kept {
        ok: true,
        image: wanted.image.clone(),
        min_replicas: wanted.min_replicas,
        max_replicas: wanted.max_replicas,
        created: others(&has, &had),
        removed: others(&had, &has),
        containers: summaries(&has),
    })
}

async fn all_containers(State(door): State<Door>, scope: Scope) -> Told {
    let list = images::containers(&door, &scope.workspace, None).await.map_err(refused)?;
    done(&All { containers: summaries(&list.containers) })
}

async fn patch(State(door): State<Door>, scope: Scope, Name(what): Name, request: Body) -> Told {
    let body = bytes(request).await.map_err(refused)?;
    let asked = said::patch(&body).map_err(mistaken)?;
    let container = containers::set_status(&door, &scope.workspace, &what, asked).await.map_err(|failure| of_container(&what, &failure))?;
    done(&Patched { ok: true, container: Summary::from(&container) })
}

async fn delete(State(door): State<Door>, scope: Scope, Name(what): Name, uri: Uri) -> Told {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let force = truth_of_query(&pairs, "force", false).map_err(mistaken)?;
    let Container { container_id, name, .. } =
        containers::delete(&door, &scope.workspace, &what, force).await.map_err(|failure| of_container(&what, &failure))?;
    done(&Deleted { deleted: true, container_id, name })
}

fn summaries(containers: &[Container]) -> Vec<Summary> {
    containers.iter().map(Summary::from).collect()
}

fn is_up(container: &Container) -> bool {
    hostler_api::documents::word(container.status) == "running"
}

async fn settle(door: &Door, whose: &WorkspaceName, wanted: &Image) -> Result<(), Failure> {
    let name = service(whose, wanted)?;
    door.settle(&[name], SETTLED).await;
    Ok(())
}

/// The service that an image is.
fn service(whose: &WorkspaceName, wanted: &Image) -> Result<ServiceName, Failure> {
    ServiceName::new(&wanted.service).map(|name| name.within(whose)).map_err(|why| Failure::new(Code::Internal, why))
}

/// Why containers are not as they are wanted.
async fn why_not(door: &Door, whose: &WorkspaceName, wanted: &Image) -> Failure {
    let name = match service(whose, wanted) {
        Ok(name) => name,
        Err(failure) => return failure,
    };
    let cause = door.look(move |desk| {
        let (chain, _) = desk.core.explain(name.as_str());
        chain.join("; because ")
    });
    match cause.await {
        Ok(cause) => Failure::new(Code::Failed, format!("{} {cause}", wanted.image)),
        Err(failure) => failure,
    }
}

/// A request with mistakes.
fn mistaken(mistakes: Vec<Mistake>) -> No {
    no(StatusCode::UNPROCESSABLE_ENTITY, &Refused { detail: mistakes })
}

/// What the settings of an engine do not allow, at the key of the request that it came from.
fn not_wanted(failure: &Failure, body: &[u8]) -> No {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match failure.code {
        Code::Config => mistaken(failure.problems.iter().map(|problem| of_problem(problem, key_of(&problem.at), &body)).collect()),
        Code::Invalid => {
            let problem = hostler_core::Problem::new("", sentence(failure));
            mistaken(vec![of_problem(&problem, "", &body)])
        }
        _ => detail(StatusCode::INTERNAL_SERVER_ERROR, sentence(failure)),
    }
}

/// `/resources/cpu` of `/services/nginx/resources/cpu`, `/ports` of `/services/nginx/backend/ports`.
fn key_of(at: &str) -> &str {
    let own = at.strip_prefix("/services/").and_then(|rest| rest.find('/').map(|slash| &rest[slash..])).unwrap_or_default();
    own.strip_prefix("/backend").unwrap_or(own)
}

/// It was wanted, and did not come about.
fn failed(failure: Failure) -> No {
    detail(StatusCode::INTERNAL_SERVER_ERROR, sentence(&failure))
}

/// The document knows one word for each, whatever it was; the log says more.
fn unkept(image: &str, word: &str, failure: &Failure) -> No {
    tracing::warn!(image, why = sentence(failure), "{word}");
    detail(StatusCode::INTERNAL_SERVER_ERROR, word.to_owned())
}

fn of_container(what: &str, failure: &Failure) -> No {
    match failure.code {
        Code::NotFound => detail(StatusCode::NOT_FOUND, format!("Container '{what}' not found")),
        Code::Unavailable => refused(failure.clone()),
        _ => detail(StatusCode::BAD_REQUEST, sentence(failure)),
    }
}

fn refused(failure: Failure) -> No {
    detail(status(&failure), sentence(&failure))
}

fn no_route() -> No {
    detail(StatusCode::NOT_FOUND, "Not Found".to_owned())
}

fn wrong_method(right: &'static str) -> No {
    let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed".to_owned());
    response.0.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(right));
    response
}

fn detail(status: StatusCode, detail: String) -> No {
    no(status, &Refused { detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_of_a_service_stands_at_the_key_it_came_from() {
        let cases = [
            ("/services/a/resources/cpu", "/resources/cpu"),
            ("/services/a/backend/ports/80~1tcp", "/ports/80~1tcp"),
            ("/services/a/backend/image", "/image"),
            ("/services/a", ""),
            ("", ""),
        ];
        for (at, key) in cases {
            assert_eq!(key_of(at), key, "{at}");
        }
    }
}

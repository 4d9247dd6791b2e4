//! Images as replica sets: other words for services that nobody wrote into a file.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_api::{
    Binding, Code, Container, ContainerHealth, ContainerList, Failure, Image, ImageHealth, ImageList, ImageRequest, ImageResources, ImageScale,
    ImageStatus, Reconciled, Shape,
};
use hostler_core::{Desired, Run, ServiceName, Starting, Status, WorkspaceName};
use hostler_wasm::Call;
use hostler_wasm::words::{Endpoint, Target, Verdict};
use serde_json::{Value, json};

use crate::beside::{self, OnlyIf};
use crate::desk::Desk;
use crate::http::Door;
use crate::instances;
use crate::ledger::Origin;
use crate::message::{Accepted, Change, Message};
use crate::speak;
use crate::stats;

/// How long a listener may take to take a connection.
const KNOCK: Duration = Duration::from_secs(2);
/// How long a reconciliation waits until everything is as wanted.
const SETTLED: Duration = Duration::from_secs(60);

/// Wants containers of an image, at least one.
pub(crate) async fn run(door: &Door, whose: &WorkspaceName, asked: ImageRequest) -> Result<Image, Failure> {
    beside::until_unchanged(|| async {
        let place = {
            let (asked, whose) = (asked.clone(), whose.clone());
            door.look(move |desk| Place::of(desk, &whose, &asked)).await??
        };
        want(door, whose, place, &asked).await
    })
    .await
}

/// Other bounds for an image.
pub(crate) async fn scale(door: &Door, whose: &WorkspaceName, image: &str, asked: ImageScale) -> Result<Image, Failure> {
    beside::until_unchanged(|| async {
        let Known { name, request, count, tag } = known(door, whose, image).await?;
        let request = ImageRequest { min_replicas: asked.min_replicas, max_replicas: asked.max_replicas, ..request };
        want(door, whose, Place { name, only_if: OnlyIf::Tagged(vec![tag]), count }, &request).await
    })
    .await
}

/// The service that an image becomes.
struct Place {
    name: ServiceName,
    /// What must hold of it.
    only_if: OnlyIf,
    /// How many are wanted, as far as the bounds let them.
    count: u32,
}

impl Place {
    /// Where a request leads: to the image's own service, the one that it names, or a new one with a name that is free.
    fn of(desk: &Desk, whose: &WorkspaceName, asked: &ImageRequest) -> Result<Place, Failure> {
        let image = &asked.image;
        match (service_of(desk, whose, image), &asked.service) {
            (Some(own), Some(name)) if own.local() != name => {
                let failure = Failure::new(Code::Conflict, format!("the image `{image}` is the service `{}` already", own.local()));
                Err(failure.hint(format!("leave the name out, or end that one first: `hostler image rm {image}`")))
            }
            (Some(name), _) => {
                // The last container may have been removed; whoever starts the image wants one.
                let count = desk.core.wanted(name.as_str()).map_or(1, |wanted| wanted.number().max(1));
                let only_if = OnlyIf::Tagged(beside::tag(desk, &name).into_iter().collect());
                Ok(Place { name, only_if, count })
            }
            (None, Some(name)) => {
                let name = ServiceName::new(name).map_err(|why| Failure::new(Code::Invalid, why))?.within(whose);
                Ok(Place { name, only_if: OnlyIf::Anyhow, count: 1 })
            }
            (None, None) => {
                let is_free = |name: &ServiceName| desk.core.wanted(name.as_str()).is_none();
                let name = instances::numbered(&last_part(image), whose).and_then(|mut names| names.find(is_free)).ok_or_else(|| {
                    Failure::new(Code::Invalid, format!("`{}` makes no name of a service that is free", image.escape_default()))
                        .hint("name the service")
                })?;
                Ok(Place { name, only_if: OnlyIf::Absent, count: 1 })
            }
        }
    }
}

async fn want(door: &Door, whose: &WorkspaceName, place: Place, asked: &ImageRequest) -> Result<Image, Failure> {
    if asked.max_replicas < asked.min_replicas {
        let message = format!("`max_replicas` is {}, less than `min_replicas`, {}", asked.max_replicas, asked.min_replicas);
        return Err(Failure::new(Code::Invalid, message).hint("min_replicas <= max_replicas must hold"));
    }
    let Place { name, only_if, count } = place;
    let count = count.clamp(asked.min_replicas, asked.max_replicas);
    let service = vec![(name.clone(), definition(asked, count), Origin::Image(asked.image.clone()))];
    // Nothing starts that is to be stopped.
    let starting = if asked.resources.status == ImageStatus::Stopped { Starting::Nothing } else { Starting::New };
    let mut added = beside::prepare(door, whose, service, starting).await?;
    added.only_if = only_if;
    door.change(Change::Add(Box::new(added))).await?;
    // The same definition again leaves the number as it was.
    let looked = name.clone();
    if door.look(move |desk| desk.core.wanted(looked.as_str()).is_some_and(|wanted| wanted.number() != count)).await? {
        door.change(Change::Scale(BTreeMap::from([(name.clone(), count)]))).await?;
    }
    let names = vec![name.clone()];
    match asked.resources.status {
        ImageStatus::Stopped => door.change(Change::Stop { names, force: false }).await?,
        ImageStatus::Running => door.change(Change::Start { names, deps: false }).await?,
    };
    door.look(move |desk| image(desk, &name)).await?.ok_or_else(|| Failure::new(Code::Conflict, "it was removed meanwhile"))
}

/// The service that such a request is.
fn definition(asked: &ImageRequest, count: u32) -> Value {
    let mut resources = serde_json::Map::new();
    if let Some(cpu) = &asked.resources.cpu {
        resources.insert("cpu".to_owned(), json!(cpu));
    }
    if let Some(memory) = &asked.resources.memory {
        resources.insert("memory".to_owned(), json!(memory));
    }
    json!({
        "backend": { "type": asked.backend, "image": asked.image, "ports": asked.ports },
        "env": asked.env,
        "resources": resources,
        "replicas": { "min": asked.min_replicas, "max": asked.max_replicas, "count": count },
    })
}

/// The request that a service came from, but for its status.
fn request(written: &Value, image: &str) -> ImageRequest {
    let read = |pointer: &str| written.pointer(pointer).cloned().unwrap_or_default();
    let text = |pointer: &str| written.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| read(pointer).as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(1);
    ImageRequest {
        image: image.to_owned(),
        min_replicas: number("/replicas/min"),
        max_replicas: number("/replicas/max"),
        env: serde_json::from_value(read("/env")).unwrap_or_default(),
        ports: serde_json::from_value(read("/backend/ports")).unwrap_or_default(),
        resources: ImageResources { cpu: text("/resources/cpu"), memory: text("/resources/memory"), status: ImageStatus::Running },
        backend: text("/backend/type").unwrap_or_default(),
        service: None,
    }
}

/// `nginx:alpine` of `registry.local:5000/team/nginx:alpine`.
fn last_part(image: &str) -> String {
    image.rsplit('/').next().unwrap_or(image).split('@').next().unwrap_or(image).to_owned()
}

fn service_of(desk: &Desk, whose: &WorkspaceName, image: &str) -> Option<ServiceName> {
    let mut theirs = theirs(desk, whose);
    theirs.find(|(_, origin)| matches!(origin, Origin::Image(own) if own == image)).map(|(name, _)| name.clone())
}

/// What was asked for in a workspace beside its configuration.
pub(crate) fn theirs<'a>(desk: &'a Desk, whose: &'a WorkspaceName) -> impl Iterator<Item = (&'a ServiceName, &'a Origin)> {
    desk.origins.iter().filter(move |(name, _)| name.workspace() == whose.as_str())
}

/// What is wanted of an image.
struct Known {
    name: ServiceName,
    request: ImageRequest,
    count: u32,
    /// Another one after each change of it.
    tag: String,
}

async fn known(door: &Door, whose: &WorkspaceName, image: &str) -> Result<Known, Failure> {
    let (asked, whose) = (image.to_owned(), whose.clone());
    let found = door.look(move |desk| {
        let name = service_of(desk, &whose, &asked)?;
        let wanted = desk.core.wanted(name.as_str())?;
        let mut request = request(&desk.written.get(&name)?.value(), &asked);
        request.resources.status = status(wanted.desired);
        Some(Known { count: wanted.number(), tag: beside::tag(desk, &name)?, name, request })
    });
    found.await?.ok_or_else(|| not_found(image))
}

fn status(desired: Desired) -> ImageStatus {
    if desired == Desired::Stopped { ImageStatus::Stopped } else { ImageStatus::Running }
}

fn not_found(image: &str) -> Failure {
    Failure::new(Code::NotFound, format!("nothing is wanted of the image `{}`", image.escape_default())).hint("`hostler image ls` shows every one")
}

fn image(desk: &Desk, name: &ServiceName) -> Option<Image> {
    let Some(Origin::Image(reference)) = desk.origins.get(name) else { return None };
    let view = desk.core.service(name.as_str())?;
    let wanted = desk.core.wanted(name.as_str())?;
    let asked = request(&desk.written.get(name)?.value(), reference);
    let counts = speak::service(desk, &view).replicas;
    Some(Image {
        image: reference.clone(),
        service: name.local().to_owned(),
        backend: asked.backend,
        min_replicas: asked.min_replicas,
        max_replicas: asked.max_replicas,
        replicas: wanted.number(),
        running: counts.running,
        env: asked.env,
        ports: asked.ports,
        resources: ImageResources { status: status(wanted.desired), ..asked.resources },
    })
}

/// What is wanted of every image of a workspace.
pub(crate) fn list(desk: &Desk, whose: &WorkspaceName) -> ImageList {
    let mut images: Vec<Image> = theirs(desk, whose).filter_map(|(name, _)| image(desk, name)).collect();
    images.sort_by(|one, other| one.image.cmp(&other.image));
    ImageList { version: Shape, images }
}

/// A container, and what is needed to look at it closer.
struct Seen {
    container: Container,
    /// Its life, where it goes on.
    run: Option<Run>,
    endpoints: Vec<Endpoint>,
}

/// Is anything wanted of it?
pub(crate) async fn is_known(door: &Door, whose: &WorkspaceName, image: &str) -> Result<bool, Failure> {
    let (asked, whose) = (image.to_owned(), whose.clone());
    door.look(move |desk| service_of(desk, &whose, &asked).is_some()).await
}

/// The containers of one image, of every image when none is named.
pub(crate) async fn containers(door: &Door, whose: &WorkspaceName, image: Option<&str>) -> Result<ContainerList, Failure> {
    if let Some(image) = image {
        known(door, whose, image).await?;
    }
    let (asked, whose) = (image.map(str::to_owned), whose.clone());
    let seen = door.look(move |desk| seen(desk, &whose, asked.as_deref())).await?;
    Ok(ContainerList { version: Shape, image: image.map(str::to_owned), containers: seen.into_iter().map(|seen| seen.container).collect() })
}

fn seen(desk: &Desk, whose: &WorkspaceName, image: Option<&str>) -> Vec<Seen> {
    let mut all = Vec::new();
    for (name, origin) in theirs(desk, whose) {
        let Origin::Image(reference) = origin else { continue };
        if image.is_some_and(|image| image != reference) {
            continue;
        }
        for part in desk.core.replicas(name.as_str()) {
            // One that rests is kept, and publishes nothing.
            let rests = part.run.is_none() && matches!(part.status, Status::Stopped | Status::Failed);
            let Some(run) = part.run.or(part.previous.filter(|_| rests)) else { continue };
            let Some(id) = desk.attribute(run, "container") else { continue };
            let endpoints = desk.seen.get(&run).filter(|_| !rests).map(|status| status.endpoints.clone()).unwrap_or_default();
            let mut ports: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
            for endpoint in &endpoints {
                let binding = Binding { host_ip: endpoint.host.clone(), host_port: endpoint.port.to_string() };
                ports.entry(endpoint.name.clone()).or_default().push(binding);
            }
            let container = Container {
                container_id: id.to_owned(),
                name: desk.attribute(run, "name").unwrap_or_default().to_owned(),
                image: reference.clone(),
                service: name.local().to_owned(),
                replica: part.replica,
                status: part.status,
                ports,
            };
            all.push(Seen { container, run: Some(run).filter(|_| !rests), endpoints });
        }
    }
    all
}

/// How each container of an image is.
pub(crate) async fn health(door: &Door, whose: &WorkspaceName, image: &str) -> Result<ImageHealth, Failure> {
    let Known { name, .. } = known(door, whose, image).await?;
    let (asked, theirs) = (image.to_owned(), whose.clone());
    let (seen, lives) = door.look(move |desk| (seen(desk, &theirs, Some(&asked)), stats::lives(desk, [&name]))).await?;
    let measured = door.meter.measure_twice(&door.plugins, &lives?).await;
    let mut health = Vec::new();
    for seen in seen {
        let figures = seen.run.and_then(|run| measured.figures.get(&run));
        #[expect(clippy::cast_precision_loss, reason = "shares of machines are far below 2^52")]
        let percent = |permille: u64| permille as f64 / 10.0;
        health.push(ContainerHealth {
            server_alive: alive(door, whose, &seen).await,
            cpu_percent: figures.and_then(|figures| figures.cpu_millis).map(percent),
            mem_percent: figures.and_then(|figures| figures.memory_permille).map(percent),
            fs_free_bytes: figures.and_then(|figures| figures.usage.disk_free_bytes),
            container: seen.container,
        });
    }
    Ok(ImageHealth { version: Shape, image: image.to_owned(), health })
}

/// Does somebody listen at its first published port? The plugin `tcp` knocks, with its own grant.
async fn alive(door: &Door, whose: &WorkspaceName, seen: &Seen) -> Option<bool> {
    if seen.run.is_none() {
        return Some(false);
    }
    let endpoint = seen.endpoints.iter().find(|endpoint| endpoint.protocol == "tcp")?;
    let plugin = door.plugins.get("tcp")?;
    let check = plugin.health_check()?;
    let target = Target {
        workspace: whose.to_string(),
        service: seen.container.service.clone(),
        replica: seen.container.replica,
        endpoints: seen.endpoints.clone(),
        attributes: Vec::new(),
    };
    let settings = json!({ "host": endpoint.host, "port": endpoint.port }).to_string();
    let call = Call::within(KNOCK).about(&seen.container.service).of(whose.as_str());
    let report = check.check(call, &target, &settings, None).await.ok()?;
    match report.verdict {
        Verdict::Pass | Verdict::Warn => Some(true),
        Verdict::Fail => Some(false),
        Verdict::Unknown => None,
    }
}

/// Looks at the engine at once, and waits until everything is as wanted.
pub(crate) async fn reconcile(door: &Door, whose: &WorkspaceName, image: &str) -> Result<Reconciled, Failure> {
    let Known { name, request: before, count, .. } = known(door, whose, image).await?;
    let ids = |list: ContainerList| list.containers.into_iter().map(|container| container.container_id).collect::<Vec<_>>();
    let had = ids(containers(door, whose, Some(image)).await?);
    door.outbox.send(Message::Wake { backend: before.backend, id: None }).ok();
    // What has failed and is parked gets another chance.
    if before.resources.status == ImageStatus::Running {
        door.change(Change::Start { names: vec![name.clone()], deps: false }).await?;
    }
    let settled = door.settle(&[name], SETTLED).await;
    let has = ids(containers(door, whose, Some(image)).await?);
    Ok(Reconciled {
        version: Shape,
        image: image.to_owned(),
        replicas: count,
        created: has.iter().filter(|id| !had.contains(id)).cloned().collect(),
        removed: had.into_iter().filter(|id| !has.contains(id)).collect(),
        settled,
    })
}

/// Wants nothing of an image any more.
pub(crate) async fn remove(door: &Door, whose: &WorkspaceName, image: &str, force: bool) -> Result<Accepted, Failure> {
    let Known { name, .. } = known(door, whose, image).await?;
    door.change(Change::Remove { names: vec![name], only_if: OnlyIf::Anyhow, force }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::service_name;

    #[test]
    fn a_request_is_what_its_service_was_made_of() {
        let asked = ImageRequest {
            image: "registry.local:5000/team/nginx:alpine".into(),
            min_replicas: 1,
            max_replicas: 3,
            env: [("A".to_owned(), "1".to_owned())].into(),
            ports: [("80/tcp".to_owned(), 0)].into(),
            resources: ImageResources { cpu: Some("500m".into()), memory: Some("256m".into()), status: ImageStatus::Running },
            backend: "docker".into(),
            service: None,
        };
        assert_eq!(request(&definition(&asked, 2), &asked.image), asked);
        assert_eq!(service_name(&last_part(&asked.image)).expect("a name").as_str(), "nginx-alpine");
        assert_eq!(last_part("redis@sha256:0123"), "redis");
    }
}

//! One container of an image: stopped, started again, removed.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_api::{Code, Container, Failure, ImageStatus};
use hostler_core::{ServiceName, Status, WorkspaceName};

use crate::desk::Desk;
use crate::http::Door;
use crate::images;
use crate::message::{Change, Wish};

/// How long a container may take to be as it was asked for.
const SETTLED: Duration = Duration::from_secs(120);
/// The fewest letters of an id that mean a container.
const SHORTEST: usize = 4;

/// Which replica of which service a container is.
struct Place {
    service: ServiceName,
    replica: u32,
}

/// Starts or stops one; the container that is there then.
pub(crate) async fn set_status(door: &Door, whose: &WorkspaceName, what: &str, status: ImageStatus) -> Result<Container, Failure> {
    let place = match find(door, whose, what).await {
        Ok((place, _)) => place,
        // Each life has a container of its own: the name of an earlier one still means the replica.
        Err(failure) if failure.code == Code::NotFound => earlier(door, whose, what).await?.ok_or(failure)?,
        Err(failure) => return Err(failure),
    };
    let wish = if status == ImageStatus::Running { Wish::Up } else { Wish::Down };
    ask(door, &place, wish, false).await?;
    let found = images::containers(door, whose, None).await?.containers.into_iter().find(|container| place.is_of(container));
    let as_asked = |container: &Container| match status {
        ImageStatus::Running => matches!(container.status, Status::Running | Status::Unhealthy),
        ImageStatus::Stopped => container.status == Status::Stopped,
    };
    found.filter(as_asked).ok_or_else(|| Failure::new(Code::Failed, format!("it is not {} after {} s", words(status), SETTLED.as_secs())).at(what))
}

/// Removes one for good. Where fewer are left then than its image wants at least, another one takes its place.
pub(crate) async fn delete(door: &Door, whose: &WorkspaceName, what: &str, force: bool) -> Result<Container, Failure> {
    let (place, container) = find(door, whose, what).await?;
    ask(door, &place, Wish::Gone, force).await?;
    let id = container.container_id.clone();
    if images::containers(door, whose, None).await?.containers.iter().any(|container| container.container_id == id) {
        return Err(Failure::new(Code::Timeout, format!("it is still on its way down after {} s", SETTLED.as_secs())).at(what));
    }
    let name = place.service.clone();
    let fewest = move |desk: &Desk| {
        let wanted = desk.core.wanted(name.as_str())?;
        let least = wanted.spec.replicas.min;
        (wanted.number() < least).then_some(least)
    };
    if let Some(least) = door.look(fewest).await? {
        door.change(Change::Scale(BTreeMap::from([(place.service, least)]))).await?;
    }
    Ok(container)
}

fn words(status: ImageStatus) -> &'static str {
    match status {
        ImageStatus::Running => "running",
        ImageStatus::Stopped => "stopped",
    }
}

impl Place {
    fn is_of(&self, container: &Container) -> bool {
        self.service.local() == container.service && self.replica == container.replica
    }
}

async fn ask(door: &Door, place: &Place, wish: Wish, force: bool) -> Result<(), Failure> {
    door.change(Change::Replica { name: place.service.clone(), replica: place.replica, wish, force }).await?;
    door.settle(std::slice::from_ref(&place.service), SETTLED).await;
    Ok(())
}

/// The container of that name, or whose id begins so.
async fn find(door: &Door, whose: &WorkspaceName, what: &str) -> Result<(Place, Container), Failure> {
    let all = images::containers(door, whose, None).await?.containers;
    let mut found: Vec<Container> = all.iter().filter(|container| container.name == what).cloned().collect();
    if found.is_empty() {
        found = all.into_iter().filter(|container| is_id_of(what, &container.container_id)).collect();
    }
    match (found.pop(), found.is_empty()) {
        (Some(container), true) => {
            let service = ServiceName::new(&container.service).map_err(|why| Failure::new(Code::Internal, why))?.within(whose);
            Ok((Place { service, replica: container.replica }, container))
        }
        (Some(_), false) => Err(Failure::new(Code::Conflict, format!("several containers have ids that begin with `{}`", what.escape_default()))),
        (None, _) => Err(Failure::new(Code::NotFound, format!("there is no container `{}`", what.escape_default()))),
    }
}

/// Engines tell an id whole or its beginning; so may whoever asks.
fn is_id_of(what: &str, id: &str) -> bool {
    what.len() >= SHORTEST && (id.starts_with(what) || what.starts_with(id)) && what.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The replica that had a container of that name, when its service still has it.
async fn earlier(door: &Door, whose: &WorkspaceName, what: &str) -> Result<Option<Place>, Failure> {
    let Some(id) = what.strip_prefix("hostler-").map(str::to_owned) else { return Ok(None) };
    let whose = whose.clone();
    door.look(move |desk| {
        images::theirs(desk, &whose).filter(|(_, origin)| matches!(origin, crate::ledger::Origin::Image(_))).find_map(|(service, _)| {
            let parts = desk.core.replicas(service.as_str());
            let part = parts.iter().find(|part| desk.run_of(&id).is_some_and(|run| desk.task_id(service, part.replica, run) == id))?;
            Some(Place { service: service.clone(), replica: part.replica })
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_by_its_beginning_or_whole() {
        let short = "0123456789ab";
        assert!(is_id_of("0123", short) && is_id_of(short, short) && is_id_of(&format!("{short}cdef"), short));
        assert!(!is_id_of("012", short) && !is_id_of("", short) && !is_id_of("0124", short) && !is_id_of("0123456789ab/../x", short));
    }
}

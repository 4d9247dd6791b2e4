//! Containers that were there before us: taken over as they are, and left where they are.
//!
//! A claim in the plugin's `state` says whose they are, since a container's labels cannot be changed. What was taken over is one life of it,
//! from one start to its end: when somebody else has started it anew, ours is over, and the next task takes over the new one.

use std::cmp::Reverse;
use std::time::Duration;

use hostler_sdk::host::containers::{self, Container};
use hostler_sdk::host::{Error, context, state};
use hostler_sdk::{Fault, Found, Status, Task};
use serde::{Deserialize, Serialize};

use crate::engines::{self, untouched};
use crate::facts::{self, Held};
use crate::refused;
use crate::settings::Settings;
use crate::status::{self, is_up};

/// Under this and the task's id.
const KEY: &str = "taken/";

/// Whose a container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    engine: String,
    container: String,
    digest: String,
    /// Workspace, service and replica: each life of a replica has a claim of its own.
    slot: String,
    /// When the life began that was there as the claim was made.
    before: Option<u64>,
    /// When ours began; absent while it is being taken over.
    life: Option<u64>,
}

impl Claim {
    fn held(&self, task: &str) -> Held {
        Held { engine: self.engine.clone(), container: self.container.clone(), task: task.to_owned(), taken: Some(self.life.unwrap_or(0)) }
    }

    /// The life that is ours, of a container as it is now; nothing when it is still to be started.
    fn life_in(&self, container: &Container) -> Option<u64> {
        let now = container.started_at;
        self.life.or(now.filter(|_| is_up(&container.state) || now != self.before))
    }
}

/// Takes a container over: starts it when it is down, and touches it in no other way.
pub(crate) fn start(task: &Task<Settings>, name: &str) -> Result<Held, Fault> {
    let resources = &task.resources;
    if resources.cpu_millis.is_some() || resources.memory_bytes.is_some() || resources.storage_bytes.is_some() {
        return Err(Fault::invalid("/container", "a container that is taken over has the limits it was made with, and takes no others"));
    }
    let id = &task.id.id;
    let engine = &task.settings.engine;
    let known = read(id)?;
    match &known {
        Some(claim) if claim.digest != task.spec_digest => {
            return Err(Fault::Conflict(format!("{name} was taken over already, for another spec ({})", claim.digest)));
        }
        Some(claim) if claim.life.is_some() => return Ok(claim.held(id)),
        _ => {}
    }
    let container = look(engine, name)?
        .ok_or_else(|| Fault::invalid("/container", format!("engine `{engine}` has no container `{name}`, or none that may be seen")))?;
    if container.label(facts::OWNER) == Some(&context::owner()) && container.label(facts::TASK).is_some() {
        return Err(Fault::Conflict(format!("{} is a container that this host has made: it has a service already", container.name)));
    }
    let claim = match known {
        Some(claim) => claim,
        None => {
            let claim = Claim {
                engine: engine.clone(),
                container: container.id.clone(),
                digest: task.spec_digest.clone(),
                slot: format!("{}/{}/{}", task.id.workspace, task.id.service, task.id.replica),
                before: container.started_at,
                life: None,
            };
            if let Some(other) = rival(&claim, &claims()?).filter(|other| other.life.is_some()) {
                return Err(taken(&container, other));
            }
            write(id, &claim)?;
            claim
        }
    };
    stay_alone(id, &claim, &container)?;
    let life = match claim.life_in(&container) {
        Some(life) => life,
        None => begin(id, &claim)?,
    };
    let claim = Claim { life: Some(life), ..claim };
    write(id, &claim)?;
    Ok(claim.held(id))
}

/// Starts it; when its new life began.
fn begin(task: &str, claim: &Claim) -> Result<u64, Fault> {
    let fault = match containers::start(&claim.engine, &claim.container) {
        Ok(()) => {
            let container = look(&claim.engine, &claim.container)?;
            let began = container.and_then(|container| container.started_at);
            return began.ok_or_else(|| Fault::Interrupted(format!("{} was started, and is gone", status::short(&claim.container))));
        }
        Err(Error::Timeout) => return Err(Fault::Interrupted("whether the container was started is not known".into())),
        Err(Error::Invalid(why)) => refused::at_start(why),
        Err(Error::Conflict(why)) => Fault::Other(why),
        Err(Error::NotFound) => Fault::invalid("/container", "the container was removed"),
        Err(error) => error.into(),
    };
    forget(task)?;
    Err(fault)
}

fn look(engine: &str, name: &str) -> Result<Option<Container>, Fault> {
    let found = containers::inspect(engine, &[name.to_owned()]).map_err(|error| untouched(engine, error))?;
    Ok(found.into_iter().next().flatten())
}

/// Everything that was taken over, on this engine.
pub(crate) fn list(engine: &str) -> Result<Vec<Found<Held>>, Fault> {
    let all = claims()?;
    let claims: Vec<&(String, Claim)> = all.iter().filter(|(_, claim)| claim.engine == engine).collect();
    let ids: Vec<String> = claims.iter().map(|(_, claim)| claim.container.clone()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let containers = containers::inspect(engine, &ids).map_err(|error| untouched(engine, error))?;
    let host = engines::host(engine)?;
    let found = claims.into_iter().zip(containers).map(|((task, claim), container)| {
        // of two that had not taken it over yet, nobody knows whose life it is
        let undecided = claim.life.is_none() && rival(claim, &all).is_some();
        let container = container.as_ref().filter(|_| !undecided);
        let held = Claim { life: container.and_then(|container| claim.life_in(container)), ..claim.clone() }.held(task);
        let status = container.map_or_else(Status::gone, |container| status::of(&held, container, &host));
        Found { id: task.clone(), handle: held, status, spec_digest: Some(claim.digest.clone()) }
    });
    Ok(found.collect())
}

/// Containers that are somebody's here.
pub(crate) fn containers_of(engine: &str) -> Result<Vec<String>, Fault> {
    Ok(claims()?.into_iter().filter(|(_, claim)| claim.engine == engine).map(|(_, claim)| claim.container).collect())
}

/// Lets go of it; it stays as it is.
pub(crate) fn forget(task: &str) -> Result<(), Fault> {
    Ok(state::delete(&key(task))?)
}

/// Of two that claim a container at once, the one whose name comes first goes on, once the other has withdrawn; whoever lives with it has it.
fn stay_alone(task: &str, claim: &Claim, container: &Container) -> Result<(), Fault> {
    let mut looks = 0;
    loop {
        let claims = claims()?;
        let Some(other) = rival(claim, &claims) else { return Ok(()) };
        if other.life.is_some() || other.slot < claim.slot || looks == LOOKS {
            forget(task)?;
            return Err(taken(container, other));
        }
        looks += 1;
        std::thread::sleep(PAUSE);
    }
}

/// How often, and how far apart, it is looked whether another claim is withdrawn: its owner needs two looks for that.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Another replica's claim on the same container; one that lives with it, if there is one.
fn rival<'a>(claim: &Claim, claims: &'a [(String, Claim)]) -> Option<&'a Claim> {
    let others = claims.iter().map(|(_, other)| other);
    let others = others.filter(|other| other.engine == claim.engine && other.container == claim.container && other.slot != claim.slot);
    others.max_by_key(|other| (other.life.is_some(), Reverse(&other.slot)))
}

fn taken(container: &Container, other: &Claim) -> Fault {
    Fault::Conflict(format!("{} was taken over already, by {}", container.name, other.slot))
}

fn claims() -> Result<Vec<(String, Claim)>, Fault> {
    let mut claims = Vec::new();
    for key in state::keys(KEY)? {
        let Some(task) = key.strip_prefix(KEY) else { continue };
        claims.extend(read(task)?.map(|claim| (task.to_owned(), claim)));
    }
    Ok(claims)
}

fn read(task: &str) -> Result<Option<Claim>, Fault> {
    let Some(kept) = state::get(&key(task))? else { return Ok(None) };
    serde_json::from_slice(&kept).map(Some).map_err(|error| Fault::Other(format!("the claim of task {task} cannot be read: {error}")))
}

fn write(task: &str, claim: &Claim) -> Result<(), Fault> {
    let text = serde_json::to_vec(claim).map_err(|error| Fault::Other(error.to_string()))?;
    Ok(state::set(&key(task), &text)?)
}

fn key(task: &str) -> String {
    format!("{KEY}{task}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(slot: &str, container: &str, life: Option<u64>) -> Claim {
        Claim { engine: "docker".into(), container: container.into(), digest: "d".into(), slot: slot.into(), before: None, life }
    }

    #[test]
    fn a_rival_is_another_replica_at_the_same_container_and_first_of_all_one_that_lives() {
        let rival = |claims: &[Claim]| {
            let claims: Vec<(String, Claim)> = claims.iter().map(|claim| ("t".to_owned(), claim.clone())).collect();
            rival(&claim("b", "c1", None), &claims).map(|claim| claim.slot.clone())
        };
        assert_eq!(rival(&[claim("b", "c1", Some(1)), claim("a", "c2", Some(1))]), None, "its own, and another container's");
        assert_eq!(rival(&[claim("c", "c1", None), claim("a", "c1", None)]).as_deref(), Some("a"));
        assert_eq!(rival(&[claim("c", "c1", Some(7)), claim("a", "c1", None)]).as_deref(), Some("c"));
    }
}

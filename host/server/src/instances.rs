//! Service instances: folders that somebody wants served. Each is a service that stands in no configuration, and what only its document
//! says of it is the origin of that service: they come, change and go together.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_api::documents::kyozo::{self, Asked, Figures, Patch, Record};
use hostler_api::{Code, DeployRequest, Failure, Operation, OperationOptions, Timestamp};
use hostler_core::{Problem, ServiceName, Spec, Starting, WorkspaceName};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::Value;

use crate::beside::{self, OnlyIf};
use crate::clock;
use crate::desk::Desk;
use crate::discovery::service_name;
use crate::drive::Driver;
use crate::http::Door;
use crate::ledger::{self, Instance, Origin};
use crate::message::Change;
use crate::operations::Task;
use crate::speak::{self, Past};
use crate::stats::{self, Life};

mod plan;

use plan::Plan;

/// How long a start, stop or restart is waited for; then it is told as it is.
pub(crate) const SETTLED: Duration = Duration::from_secs(60);
/// How long engines may take to say what tasks use, where nobody asked for that alone.
const GLANCE: Duration = Duration::from_secs(2);
/// Names that are tried for one instance.
const NAMES: u32 = 1_000;

/// An instance as it stands in the books, and its service.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) service: ServiceName,
    pub(crate) instance: Instance,
}

/// The one with this id.
pub(crate) fn find(desk: &Desk, id: &str) -> Option<Kept> {
    desk.origins.iter().find_map(|(service, origin)| match origin {
        Origin::Instance(instance) if instance.id == id => Some(Kept { service: service.clone(), instance: (**instance).clone() }),
        _ => None,
    })
}

/// Each, by the name of its service.
pub(crate) fn all(desk: &Desk) -> impl Iterator<Item = Kept> {
    desk.origins.iter().filter_map(|(service, origin)| match origin {
        Origin::Instance(instance) => Some(Kept { service: service.clone(), instance: (**instance).clone() }),
        Origin::Image(_) | Origin::Request { .. } | Origin::Discovery { .. } | Origin::Adoption { .. } => None,
    })
}

/// There is none of this id, or none for whoever asks.
pub(crate) fn unknown(id: &str) -> Failure {
    let shown: String = id.escape_default().take(64).collect();
    Failure::new(Code::NotFound, format!("there is no service instance `{shown}`"))
}

fn told(desk: &Desk, kept: &Kept, past: Past) -> Option<kyozo::Instance> {
    let Instance { id, created_by, created_at, updated_at, deployed_at, .. } = &kept.instance;
    Some(kyozo::Instance {
        record: Record {
            id: id.clone(),
            workspace: kept.service.workspace().to_owned(),
            created_by: created_by.clone(),
            created_at: Timestamp(*created_at),
            updated_at: Timestamp(*updated_at),
            deployed_at: deployed_at.map(Timestamp),
        },
        asked: plan::shown(desk, kept),
        detail: speak::detail(desk, kept.service.as_str(), past)?,
        figures: Figures::default(),
        deploying: false,
    })
}

/// Instances with what they use; whoever waits for cpu gets it at the first time, too.
pub(crate) async fn look(door: &Door, kept: Vec<Kept>, wait: bool) -> Result<Vec<kyozo::Instance>, Failure> {
    let found = door.look(move |desk| {
        let present: Vec<Kept> = kept.into_iter().filter(|kept| desk.core.service(kept.service.as_str()).is_some()).collect();
        let lives = stats::lives(desk, present.iter().map(|kept| &kept.service))?;
        let told = present.iter().filter_map(|kept| Some((kept.service.clone(), told(desk, kept, Past::Told)?)));
        Ok::<_, Failure>((told.collect::<Vec<_>>(), lives))
    });
    let (mut instances, lives) = found.await??;
    for (service, instance) in &mut instances {
        instance.deploying = door.operations.is_deploying(service);
    }
    let measured = match wait {
        true => Some(door.meter.measure_twice(&door.plugins, &lives).await),
        false => tokio::time::timeout(GLANCE, door.meter.measure(&door.plugins, &lives)).await.ok(),
    };
    let Some(measured) = measured else { return Ok(instances.into_iter().map(|(_, instance)| instance).collect()) };
    let mut by_service: BTreeMap<&ServiceName, Vec<&Life>> = BTreeMap::new();
    lives.iter().for_each(|life| by_service.entry(&life.service).or_default().push(life));
    for (service, instance) in &mut instances {
        let own = by_service.remove(&*service).unwrap_or_default();
        instance.figures = figures(own.into_iter().filter_map(|life| measured.of(life)));
    }
    Ok(instances.into_iter().map(|(_, instance)| instance).collect())
}

fn figures<'a>(measured: impl Iterator<Item = &'a stats::Figures>) -> Figures {
    let (mut memory, mut cpu, mut share): (Option<u64>, Option<u64>, Option<u64>) = (None, None, None);
    for figures in measured {
        memory = figures.usage.memory_bytes.map(|bytes| memory.unwrap_or(0).saturating_add(bytes)).or(memory);
        cpu = figures.cpu_millis.map(|millis| cpu.unwrap_or(0).saturating_add(millis)).or(cpu);
        share = share.max(figures.memory_permille);
    }
    #[expect(clippy::cast_precision_loss, reason = "shares of machines are far below 2^52")]
    let percent = |permille: u64| permille as f64 / 10.0;
    Figures { memory_mb: memory.map(|bytes| bytes >> 20), cpu_percent: cpu.map(percent), memory_percent: share.map(percent) }
}

/// Makes one; nothing of it runs until it is deployed or started.
///
/// # Errors
/// Every mistake, at its attribute.
pub(crate) async fn create(door: &Door, workspace: &WorkspaceName, asked: Asked, by: Option<String>) -> Result<Kept, Failure> {
    let now = clock::wall_ms();
    let instance = Instance {
        id: new_id(now)?,
        folder_path: folder(&asked),
        asked: ledger::Written::from(&asked.stored()),
        created_by: by,
        created_at: now,
        updated_at: now,
        deployed_at: None,
    };
    beside::until_unchanged(|| async {
        let (sent, within) = (asked.clone(), workspace.clone());
        let service = door.look(move |desk| {
            let taken = |name: &ServiceName| desk.core.wanted(name.as_str()).is_some() || desk.core.service(name.as_str()).is_some();
            let service = numbered(sent.text("name"), &within).and_then(|mut names| names.find(|name| !taken(name))).ok_or_else(|| {
                let problem = Problem::new("/data/attributes/name", "name makes no name of a service that is free").hint("use letters and digits");
                Failure::config(vec![problem])
            })?;
            plan::doubt(desk, &service, &sent, &Asked::default())?;
            Ok::<_, Failure>(service)
        });
        let kept = Kept { service: service.await??, instance: instance.clone() };
        want(door, &kept, &asked, OnlyIf::Absent).await?;
        Ok(kept)
    })
    .await
}

/// Changes what is asked for; what runs is changed, or replaced, as any service is.
///
/// # Errors
/// Every mistake, at its attribute.
pub(crate) async fn update(door: &Door, id: &str, patch: Patch) -> Result<Kept, Failure> {
    let change = |instance: &mut Instance| instance.updated_at = clock::wall_ms();
    beside::until_unchanged(|| change_once(door, id, &patch, change)).await
}

/// Changes an instance as it is now; whoever changes it meanwhile is not overwritten: then nothing is done.
async fn change_once(door: &Door, id: &str, patch: &Patch, change: impl FnOnce(&mut Instance)) -> Result<Kept, Failure> {
    let (id, patch) = (id.to_owned(), patch.clone());
    let Plan { before, mut kept, asked } = door.look(move |desk| Plan::new(desk, &id, patch)).await??;
    kept.instance.folder_path = folder(&asked);
    kept.instance.asked = ledger::Written::from(&asked.stored());
    change(&mut kept.instance);
    want(door, &kept, &asked, OnlyIf::Is(Box::new(before))).await?;
    Ok(kept)
}

async fn want(door: &Door, kept: &Kept, asked: &Asked, only_if: OnlyIf) -> Result<(), Failure> {
    let definition = kyozo::definition(asked).map_err(Failure::config)?;
    let service = vec![(kept.service.clone(), Value::Object(definition), Origin::Instance(Box::new(kept.instance.clone())))];
    let workspace = WorkspaceName::new(kept.service.workspace()).unwrap_or_default();
    let mut added = beside::prepare(door, &workspace, service, Starting::Nothing).await.map_err(at_attributes)?;
    added.only_if = only_if;
    door.change(Change::Add(Box::new(added))).await.map(drop)
}

/// A mistake of the service, at the attribute that it came from.
fn at_attributes(mut failure: Failure) -> Failure {
    for problem in &mut failure.problems {
        problem.at = kyozo::pointer(&problem.at);
    }
    failure
}

fn folder(asked: &Asked) -> String {
    let path = asked.text("folder_path");
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { path.to_owned() } else { trimmed.to_owned() }
}

/// Replaces what runs by what is wanted, or starts it: an operation, told in events.
///
/// # Errors
/// It cannot be wanted now.
pub(crate) async fn deploy(door: &Door, id: &str, by: &str) -> Result<(Kept, Operation), Failure> {
    let change = |instance: &mut Instance| instance.deployed_at = Some(clock::wall_ms());
    let nothing = Patch::default();
    let kept = beside::until_unchanged(|| change_once(door, id, &nothing, change)).await?;
    let workspace = WorkspaceName::new(kept.service.workspace()).unwrap_or_default();
    let request = DeployRequest { restart: true, ..DeployRequest::default() };
    let task = Task::Deploy { name: kept.service.local().to_owned(), request };
    let operation = door.operations.queue(door, &task, by, workspace, &OperationOptions::default()).await?;
    Ok((kept, operation))
}

/// Starts, stops, restarts or scales one, and waits until that is done, for a while.
///
/// # Errors
/// It cannot be wanted now.
pub(crate) async fn act(door: &Door, kept: &Kept, change: Change) -> Result<(), Failure> {
    door.change(change).await?;
    door.settle(std::slice::from_ref(&kept.service), SETTLED).await;
    Ok(())
}

/// Names that a service may have: made of this text, then with a number behind.
pub(crate) fn numbered(text: &str, workspace: &WorkspaceName) -> Option<impl Iterator<Item = ServiceName>> {
    // With room for a number.
    let base: String = service_name(text)?.as_str().chars().take(58).collect();
    let names = std::iter::once(base.clone()).chain((2..NAMES).map(move |number| format!("{base}-{number}")));
    Some(names.filter_map(move |name| Some(ServiceName::new(&name).ok()?.within(workspace))))
}

/// A UUID of version 7: ids sort by when they were made.
fn new_id(now_ms: u64) -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    let broken = |error| Failure::new(Code::Internal, format!("the system gives no random numbers: {error}"));
    getrandom(&mut bytes[6..], GetRandomFlags::empty()).map_err(broken)?;
    Ok(uuid(now_ms, bytes))
}

/// The id of an event: the same each time it is told.
pub(crate) fn event_id(owner: &str, at_ms: u64, seq: u64) -> String {
    let digest = blake3::hash(format!("{owner}/{seq}").as_bytes());
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    uuid(at_ms, bytes)
}

fn uuid(at_ms: u64, mut bytes: [u8; 16]) -> String {
    bytes[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Driver {
    /// Refuses an instance of a folder that another one of its workspace has.
    pub(crate) fn refuse_shared_folders(&self, services: &BTreeMap<ServiceName, (Spec, Origin)>) -> Result<(), Failure> {
        for (name, (_, origin)) in services {
            let Origin::Instance(wanted) = origin else { continue };
            let is_same = |kept: &Kept| {
                let other = &kept.instance;
                kept.service.workspace() == name.workspace() && other.folder_path == wanted.folder_path && other.id != wanted.id
            };
            if all(&self.desk).any(|kept| is_same(&kept)) {
                let words = format!("folder_path has already been taken in workspace `{}`", name.workspace());
                return Err(Failure::config(vec![Problem::new("/data/attributes/folder_path", words)]));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_that_sort_by_their_time() {
        let (first, second) = (new_id(1_700_000_000_000).expect("random numbers"), new_id(1_700_000_000_001).expect("random numbers"));
        assert!(first < second, "{first} {second}");
        assert_eq!((first.len(), &first[14..15], first.matches('-').count()), (36, "7", 4));
        assert_eq!(event_id("h1", 5, 7), event_id("h1", 5, 7));
        assert_ne!(event_id("h1", 5, 7), event_id("h1", 5, 8));
    }
}

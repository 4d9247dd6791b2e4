//! Wanted versus believed: one entry per service, and what its neighbours may know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Desired, Run, Wanted};
use crate::health::Health;
use crate::spec::{Condition, Dependency, Kind, ServiceName, Spec};
use crate::task::{Because, Slot, State};

/// One service: what is wanted, and its slots.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// `None` once it is removed and only waits for its last task to go.
    pub(crate) wanted: Option<Wanted>,
    /// The spec last wanted.
    pub(crate) spec: Arc<Spec>,
    pub(crate) slots: BTreeMap<u32, Slot>,
    pub(crate) outlook: Outlook,
    /// Somebody asked twice: no grace, no waiting.
    pub(crate) forced: bool,
}

/// What the neighbours of a service may know of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outlook {
    /// Why it is not to run; then those that require it may not run either.
    pub(crate) down: Option<String>,
    /// A live task of it is to be taken down.
    pub(crate) leaving: bool,
    /// Something of it may be alive.
    pub(crate) live: bool,
    pub(crate) started: bool,
    pub(crate) healthy: bool,
    pub(crate) completed: bool,
    /// It is on its way to what its dependents wait for.
    pub(crate) progressing: bool,
    /// Its newest run that was started.
    pub(crate) newest: Run,
}

impl Service {
    pub(crate) fn new(wanted: Wanted) -> Service {
        let spec = Arc::clone(&wanted.spec);
        Service { wanted: Some(wanted), spec, slots: BTreeMap::new(), outlook: Outlook::default(), forced: false }
    }

    /// Why this service itself is not to run, whatever its dependencies say.
    pub(crate) fn own_down(&self, closing: bool) -> Option<String> {
        match &self.wanted {
            None => Some("it was removed".to_owned()),
            Some(_) if closing => Some("the host is shutting down".to_owned()),
            Some(wanted) if !wanted.spec.enabled => Some("it is disabled".to_owned()),
            Some(wanted) if wanted.desired == Desired::Stopped => Some("it was stopped by request".to_owned()),
            Some(_) => None,
        }
    }

    pub(crate) fn restarts_wanted(&self) -> u64 {
        self.wanted.as_ref().map_or(0, |wanted| wanted.restarts)
    }

    pub(crate) fn starts_wanted(&self) -> u64 {
        self.wanted.as_ref().map_or(0, |wanted| wanted.starts)
    }
}

/// What must hold of `dependency` for this edge.
pub(crate) fn condition(edge: &Dependency, dependency: &Spec) -> Condition {
    edge.condition.unwrap_or(if dependency.kind == Kind::Oneshot {
        Condition::Completed
    } else if dependency.checks.is_empty() {
        Condition::Started
    } else {
        Condition::Healthy
    })
}

/// Does `outlook` satisfy the condition? A completed one was started and is well.
pub(crate) fn holds(condition: Condition, outlook: &Outlook) -> bool {
    outlook.completed
        || match condition {
            Condition::Started => outlook.started,
            Condition::Healthy => outlook.healthy,
            Condition::Completed => false,
        }
}

/// All services, by name.
pub(crate) type Services = BTreeMap<ServiceName, Service>;

/// Why a service is not to run: its own reason, or that a required dependency is not to run. `None`: it is to run.
pub(crate) fn down(service: &Service, services: &Services, closing: bool) -> Option<String> {
    service.own_down(closing).or_else(|| {
        service.spec.dependencies.iter().filter(|edge| !edge.optional).find_map(|edge| {
            let dependency = services.get(&edge.service)?;
            let why = dependency.outlook.down.as_ref()?;
            (!dependency.outlook.completed).then(|| format!("it needs {}: {}", edge.service, why))
        })
    })
}

/// The first dependency that is about to be restarted and takes this one with it.
fn pulled_along<'a>(service: &'a Service, services: &Services) -> Option<&'a ServiceName> {
    let follows = service.spec.dependencies.iter().filter(|edge| edge.restart);
    follows.map(|edge| &edge.service).find(|name| services.get(*name).is_some_and(|dependency| dependency.outlook.leaving))
}

/// Why a live task is to be taken down, if it is.
pub(crate) fn leaves(service: &Service, slot: &Slot, down: Option<&String>, services: &Services) -> Option<Because> {
    if let Some(why) = down {
        return Some(Because::NotWanted(why.clone()));
    }
    if slot.replica >= service.spec.replicas.count {
        return Some(Because::NotWanted(format!("only {} replicas are wanted", service.spec.replicas.count)));
    }
    let life = slot.state.life()?;
    if life.digest != service.spec.task_digest {
        return Some(Because::Replaced("its spec changed".to_owned()));
    }
    if life.restarts < service.restarts_wanted() {
        return Some(Because::Replaced("a restart was requested".to_owned()));
    }
    if let Some(name) = pulled_along(service, services) {
        return Some(Because::Replaced(format!("its dependency {name} is restarted")));
    }
    for (name, run) in &life.follows {
        let newer = services.get(name).is_some_and(|dependency| dependency.outlook.newest > *run);
        if newer && service.spec.dependencies.iter().any(|edge| edge.restart && edge.service == *name) {
            return Some(Because::Replaced(format!("its dependency {name} was restarted")));
        }
    }
    match (&slot.ill, &slot.unknown) {
        (Some(reason), None) => Some(Because::Unhealthy(reason.clone())),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// One edge that keeps a service from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) service: ServiceName,
    pub(crate) condition: Condition,
    /// It will never hold by itself.
    pub(crate) stuck: bool,
}

/// The first edge whose condition does not hold; an optional one counts only while it is on its way.
pub(crate) fn waits_for(service: &Service, services: &Services) -> Option<Waiting> {
    service.spec.dependencies.iter().find_map(|edge| {
        let Some(dependency) = services.get(&edge.service) else {
            return (!edge.optional).then(|| Waiting { service: edge.service.clone(), condition: edge.condition.unwrap_or(Condition::Started), stuck: true });
        };
        let condition = condition(edge, &dependency.spec);
        let pulled = edge.restart && dependency.outlook.leaving;
        if holds(condition, &dependency.outlook) && !pulled {
            return None;
        }
        let progressing = dependency.outlook.progressing;
        (!edge.optional || progressing).then(|| Waiting { service: edge.service.clone(), condition, stuck: !progressing })
    })
}

/// Must this service wait with going down until `dependent` is down?
pub(crate) fn holds_back(service: &Service, name: &ServiceName, dependent: &Service) -> bool {
    if !dependent.outlook.live {
        return false;
    }
    // A live task keeps the edges it was started with, whatever its spec says by now.
    let started_with = dependent.slots.values().filter_map(|slot| slot.state.life()).flat_map(|life| &life.spec.dependencies);
    started_with.chain(&dependent.spec.dependencies).filter(|edge| edge.service == *name).any(|edge| {
        let goes_too = (!edge.optional && service.outlook.down.is_some()) || (edge.restart && service.outlook.leaving);
        goes_too || dependent.outlook.leaving
    })
}

/// What the neighbours may know, from what is known now.
pub(crate) fn outlook(service: &Service, services: &Services, closing: bool, away: bool) -> Outlook {
    let down = down(service, services, closing);
    let count = service.spec.replicas.count;
    let wanted: Vec<&Slot> = service.slots.values().filter(|slot| slot.replica < count).collect();
    let all = |test: &dyn Fn(&Slot) -> bool| !wanted.is_empty() && wanted.len() == count as usize && wanted.iter().all(|slot| test(slot));
    let running = |slot: &Slot| matches!(slot.state, State::Running(_)) && slot.unknown.is_none();
    let done = |slot: &Slot| matches!(&slot.state, State::Completed { exit, .. } if exit.is_success());
    let completed = all(&done);
    let stuck = |slot: &Slot| match &slot.state {
        State::Failed { .. } | State::Backoff { .. } | State::Stopping { .. } | State::Completed { .. } => true,
        State::Running(_) => slot.unknown.is_some() || slot.health() == Health::Unhealthy,
        State::Down => away || waits_for(service, services).is_some_and(|waiting| waiting.stuck),
        State::Starting(_) | State::Uncertain { .. } => false,
    };
    Outlook {
        leaving: service.slots.values().any(|slot| {
            matches!(slot.state, State::Stopping { .. }) || (slot.is_live() && leaves(service, slot, down.as_ref(), services).is_some())
        }),
        live: service.slots.values().any(Slot::is_live),
        started: all(&|slot| running(slot) || done(slot)),
        healthy: all(&|slot| done(slot) || (running(slot) && (slot.checks.is_empty() || slot.health() == Health::Healthy))),
        completed,
        progressing: down.is_none() && !wanted.iter().any(|slot| stuck(slot)),
        newest: service.slots.values().filter(|slot| running(slot)).filter_map(|slot| slot.state.life()).map(|life| life.run).max().unwrap_or(service.outlook.newest),
        down,
    }
}

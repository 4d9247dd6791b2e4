//! Wanted versus believed: one entry per service, and what its neighbours may know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::autoscale::Scaler;
use crate::edges::{Behind, Edges};
use crate::event::{Desired, Run, Wanted};
use crate::health::{Check, Health};
use crate::services::Services;
use crate::spec::{Condition, Dependency, Kind, ServiceName, Spec};
use crate::task::{Because, Down, Slot, State, Why};

/// One service: what is wanted, and its slots.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// `None` once it is removed and only waits for its last task to go.
    pub(crate) wanted: Option<Wanted>,
    /// The spec last wanted.
    pub(crate) spec: Arc<Spec>,
    /// In boxes: a node of the map has room for eleven, and most services have one.
    pub(crate) slots: BTreeMap<u32, Box<Slot>>,
    pub(crate) outlook: Outlook,
    /// Somebody asked twice: no grace, no waiting, until what leaves now has left.
    pub(crate) forced: bool,
    /// Dependencies that a task which is up was started with.
    pub(crate) former: BTreeSet<ServiceName>,
    /// The dependent that was last found to hold it back: the next search begins there.
    pub(crate) holder: Option<ServiceName>,
    /// What its dependencies let it do.
    pub(crate) edges: Edges,
    /// What is remembered of its loads.
    pub(crate) scaler: Scaler,
}

/// What the neighbours of a service may know of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outlook {
    /// Why it is not to run; then those that require it may not run either.
    pub(crate) down: Option<Down>,
    /// A live task of it is to be taken down.
    pub(crate) leaving: bool,
    /// All of it is about to be taken down and started again. Once its stops have begun nobody is pulled along any more: whoever is
    /// started beside them follows the new run.
    pub(crate) renewing: bool,
    /// Something of it may be alive.
    pub(crate) live: bool,
    /// How many replicas are wanted; the numbers below are of these, those aside that are about to go.
    pub(crate) count: u32,
    pub(crate) started: u32,
    pub(crate) healthy: u32,
    /// Every one that is wanted has run to success.
    pub(crate) completed: bool,
    /// How many are where their dependents want them, or on their way there.
    pub(crate) able: u32,
    /// Its oldest and newest run, as last seen with every replica running.
    pub(crate) runs: (Run, Run),
}

impl Service {
    pub(crate) fn new(wanted: Wanted) -> Service {
        let spec = Arc::clone(&wanted.spec);
        Service {
            wanted: Some(wanted),
            spec,
            slots: BTreeMap::new(),
            outlook: Outlook::default(),
            forced: false,
            former: BTreeSet::new(),
            holder: None,
            edges: Edges::default(),
            scaler: Scaler::default(),
        }
    }

    /// Why this service itself is not to run, whatever its dependencies say.
    pub(crate) fn own_down(&self, closing: bool) -> Option<Why> {
        match &self.wanted {
            None => Some(Why::Removed),
            Some(_) if closing => Some(Why::Closing),
            Some(wanted) if !wanted.spec.enabled => Some(Why::Disabled),
            Some(wanted) => match wanted.desired {
                Desired::Stopped => Some(Why::Stopped),
                Desired::Absent => Some(Why::Absent),
                Desired::Running => None,
            },
        }
    }

    /// How many replicas are wanted; of one that was removed, as many as were.
    pub(crate) fn count(&self) -> u32 {
        self.wanted.as_ref().map_or(self.spec.replicas.count, Wanted::count)
    }

    pub(crate) fn restarts_wanted(&self) -> u64 {
        self.wanted.as_ref().map_or(0, |wanted| wanted.restarts)
    }

    pub(crate) fn starts_wanted(&self) -> u64 {
        self.wanted.as_ref().map_or(0, |wanted| wanted.starts)
    }

    /// Every replica's, in their order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().map(Box::as_ref)
    }

    /// Has somebody asked for this slot since it last began?
    pub(crate) fn asked_for(&self, slot: &Slot) -> bool {
        self.starts_wanted() > slot.memory.starts_seen || self.restarts_wanted() > slot.memory.restarts_seen
    }

    /// It was removed, and is wanted again before its last task was gone: requests are counted from the beginning.
    pub(crate) fn begin_again(&mut self, wanted: &Wanted) {
        for slot in self.slots.values_mut() {
            slot.memory.starts_seen = 0;
            slot.memory.restarts_seen = 0;
            if let Some(life) = slot.state.life_mut() {
                life.restarts = wanted.restarts;
            }
            if matches!(slot.state, State::Completed { .. }) {
                slot.state = State::Down;
            }
        }
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

/// Of how many replicas of `outlook` the condition holds. A completed one was started and is well; one that is about to go does not count.
fn holding(condition: Condition, outlook: &Outlook) -> u32 {
    match condition {
        Condition::Started => outlook.started,
        Condition::Healthy if planted!(2) => outlook.started,
        Condition::Healthy => outlook.healthy,
        Condition::Completed => 0,
    }
}

/// Does this edge keep a service down, when its dependency is as `outlook` says?
pub(crate) fn keeps_down(edge: &Dependency, outlook: &Outlook) -> Option<Down> {
    let Down { why, of } = outlook.down.as_ref().filter(|_| !edge.optional && !outlook.completed)?;
    Some(Down { why: *why, of: of.clone().or_else(|| Some(edge.service.clone())) })
}

/// Why a service is not to run: its own reason, or that a required dependency is not to run. `None`: it is to run.
pub(crate) fn down(service: &Service, services: &Services, closing: bool) -> Option<Down> {
    let own = service.own_down(closing).map(|why| Down { why, of: None });
    own.or_else(|| service.kept_down_by().and_then(|edge| keeps_down(edge, &services.get(&edge.service)?.outlook)))
}

/// The first dependency whose restart takes this life with it, now or since it was started.
fn restarted_with(service: &Service, slot: &Slot) -> Option<Because> {
    let name = |place: usize| service.spec.dependencies.get(place).map(|edge| edge.service.clone());
    match (service.edges.pulling.first(), slot.outdated.first()) {
        (Some(pulling), outdated) if outdated.is_none_or(|outdated| pulling <= outdated) => name(*pulling).map(Because::Pulled),
        (_, Some(outdated)) => name(*outdated).map(Because::Follows),
        (_, None) => None,
    }
}

/// Why a live task is to be taken down, if it is.
pub(crate) fn leaves(service: &Service, slot: &Slot, down: Option<&Down>) -> Option<Because> {
    let life = slot.state.life()?;
    if let Some(down) = down {
        return Some(Because::Down(down.clone()));
    }
    if slot.held {
        return Some(Because::Down(Down { why: Why::Stopped, of: None }));
    }
    if slot.surplus {
        return Some(Because::Surplus(service.count()));
    }
    if !life.is_as(&service.spec) && !life.can_become(&service.spec) {
        return Some(Because::SpecChanged);
    }
    if life.restarts < service.restarts_wanted() {
        return Some(Because::Requested);
    }
    restarted_with(service, slot).or_else(|| match (&slot.ill, &slot.unknown) {
        (Some(reason), None) => Some(Because::Unhealthy(reason.clone())),
        (Some(_), Some(_)) | (None, _) => None,
    })
}

/// One edge that keeps a service from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) service: ServiceName,
    pub(crate) condition: Condition,
    /// It will never hold by itself.
    pub(crate) stuck: bool,
    /// Of how many replicas it holds, of how many it must, and how many there are; nothing where there is but one.
    pub(crate) counted: Option<(u32, u32, u32)>,
}

/// The first edge whose condition does not hold; an optional one counts only while it is on its way.
pub(crate) fn waits_for(service: &Service, services: &Services) -> Option<Waiting> {
    let edge = service.waiting_at()?;
    waits(edge, services.get(&edge.service).map(Service::behind).as_ref())
}

/// Does this edge keep a service from starting, when this is behind it?
pub(crate) fn waits(edge: &Dependency, behind: Option<&Behind>) -> Option<Waiting> {
    let Some(Behind { outlook, spec }) = behind else {
        let condition = edge.condition.unwrap_or(Condition::Started);
        return (!edge.optional).then(|| Waiting { service: edge.service.clone(), condition, stuck: true, counted: None });
    };
    let condition = condition(edge, spec);
    // Whoever would be pulled along at once need not start; that ends when the dependency begins to stop.
    let pulled = edge.restart && outlook.renewing;
    let (holds, needed) = (holding(condition, outlook), edge.healthy.of(outlook.count));
    let progressing = outlook.able >= needed;
    let waits = pulled || (!outlook.completed && holds < needed && (!edge.optional || progressing));
    let counted = (condition != Condition::Completed && (outlook.count > 1 || needed > 1)).then_some((holds, needed, outlook.count));
    waits.then(|| Waiting { service: edge.service.clone(), condition, stuck: !progressing, counted })
}

/// Must `service` wait with going down until `dependent` is down?
///
/// What the dependent's spec says now counts, and what its tasks were started with; of the latter only what leads downwards in the
/// order of layers and runs, so that no two services ever wait for each other.
pub(crate) fn holds_back(name: &ServiceName, service: &Service, dependent: &Service, layers: (usize, usize)) -> bool {
    if !dependent.outlook.live || !dependent.outlook.leaving || planted!(3) {
        return false;
    }
    if dependent.depends_on(name) {
        return true;
    }
    if !dependent.former.contains(name) {
        return false;
    }
    let newest = |service: &Service| service.slots().filter_map(|slot| slot.state.life()).map(|life| life.run).max();
    let mut lives = dependent.slots.values().filter_map(|slot| slot.state.life());
    lives.any(|life| life.spec.dependencies.iter().any(|edge| edge.service == *name)) && (layers.1, newest(dependent)) > (layers.0, newest(service))
}

/// Is a wanted slot on its way nowhere, as things are?
fn is_stuck(service: &Service, slot: &Slot, services: &Services, away: bool) -> bool {
    match &slot.state {
        State::Failed { .. } | State::Backoff { .. } | State::Completed { .. } => true,
        State::Stopping { because, asked, .. } => matches!(because, Because::Unhealthy(_)) || asked.failures > 0,
        State::Running(_) => slot.unknown.is_some() || slot.health() == Health::Unhealthy || slot.checks.iter().any(Check::is_silent),
        State::Uncertain { .. } => slot.unknown.is_some(),
        State::Down => away || waits_for(service, services).is_some_and(|waiting| waiting.stuck),
        State::Starting(_) => false,
    }
}

/// What the neighbours may know, from what is known now.
pub(crate) fn outlook(service: &Service, services: &Services, closing: bool, away: bool) -> Outlook {
    let down = down(service, services, closing);
    let count = service.count();
    let wanted: Vec<&Slot> = service.slots().filter(|slot| !slot.surplus).collect();
    let number = |test: &dyn Fn(&Slot) -> bool| u32::try_from(wanted.iter().filter(|slot| test(slot)).count()).unwrap_or(u32::MAX);
    let all = |test: &dyn Fn(&Slot) -> bool| !wanted.is_empty() && wanted.len() == count as usize && wanted.iter().all(|slot| test(slot));
    let running = |slot: &Slot| matches!(slot.state, State::Running(_)) && slot.unknown.is_none();
    let done = |slot: &Slot| matches!(&slot.state, State::Completed { exit, .. } if exit.is_success());
    let leaves = |slot: &Slot| matches!(slot.state, State::Stopping { .. }) || leaves(service, slot, down.as_ref()).is_some();
    let runs = || wanted.iter().filter_map(|slot| slot.state.life()).map(|life| life.run);
    let seen = (all(&running)).then(|| runs().min().zip(runs().max())).flatten();
    Outlook {
        leaving: service.slots().any(leaves),
        renewing: down.is_none()
            && wanted.iter().any(|slot| matches!(slot.state, State::Running(_)))
            && wanted.iter().filter(|slot| slot.is_live()).all(|slot| leaves(slot)),
        live: service.slots().any(Slot::is_live),
        count,
        started: number(&|slot| done(slot) || (running(slot) && !leaves(slot))),
        healthy: number(&|slot| done(slot) || (running(slot) && !leaves(slot) && (slot.checks.is_empty() || slot.health() == Health::Healthy))),
        completed: all(&done),
        able: if down.is_some() { 0 } else { count.saturating_sub(number(&|slot| !done(slot) && is_stuck(service, slot, services, away))) },
        runs: seen.unwrap_or(service.outlook.runs),
        down,
    }
}

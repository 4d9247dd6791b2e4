//! What people may see: statuses, health and the reasons behind them. Looking changes nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Desired, Exit, Run, Wanted};
use crate::graph::Graph;
use crate::health::{Health, Sample};
use crate::lifecycle::PROVING;
use crate::machine::Core;
use crate::registry::{Service, waits_for};
use crate::spec::{Kind, ServiceName, Spec};
use crate::task::{Down, Slot, State, Why};
use crate::time::Time;
use crate::timer::Timer;

/// What is believed of a service, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nobody asked for it; or it was taken over, and is not there any more.
    NotFound,
    /// Kept, and not run.
    Disabled,
    /// Wanted, and waiting: for a dependency, a free place, the end of a backoff.
    Pending,
    /// Its backend is bringing it up, or it is up and not yet judged.
    Starting,
    /// Up.
    Running,
    /// Up, and its checks say it is not well.
    Unhealthy,
    /// On its way down.
    Stopping,
    /// Down, as wanted.
    Stopped,
    /// A one-shot that ran to success.
    Completed,
    /// Its restarts are used up, or it can never start; waits for a person.
    Failed,
    /// Between two replica counts.
    Scaling,
    /// Its backend cannot be asked.
    Unknown,
}

impl Status {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::NotFound => "not-found",
            Status::Disabled => "disabled",
            Status::Pending => "pending",
            Status::Starting => "starting",
            Status::Running => "running",
            Status::Unhealthy => "unhealthy",
            Status::Stopping => "stopping",
            Status::Stopped => "stopped",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Scaling => "scaling",
            Status::Unknown => "unknown",
        }
    }

    /// Does nothing more happen by itself, so that waiting longer is of no use?
    pub fn is_settled(self) -> bool {
        match self {
            Status::NotFound | Status::Disabled | Status::Running | Status::Unhealthy | Status::Stopped | Status::Completed | Status::Failed => true,
            Status::Pending | Status::Starting | Status::Stopping | Status::Scaling | Status::Unknown => false,
        }
    }
}

/// The next automatic step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What will happen.
    pub what: String,
    /// When, where that is known.
    pub at: Option<Time>,
}

/// One service as the core believes it to be.
#[derive(Debug, Clone)]
pub struct ServiceView<'a> {
    /// What was asked for.
    pub spec: &'a Spec,
    /// Should it run? `None` once it is removed.
    pub desired: Option<Desired>,
    /// Counted up by every change of the spec.
    pub generation: u64,
    /// How many replicas are wanted now.
    pub count: u32,
    /// In one word.
    pub status: Status,
    /// Of all its replicas together.
    pub health: Health,
    /// Its layer in the graph.
    pub layer: Option<usize>,
    /// Why it is where it is, each sentence explained by the next; empty when all is as wanted.
    pub cause: Vec<String>,
    /// What happens next by itself.
    pub next: Option<Next>,
    /// Its replicas.
    pub replicas: Vec<ReplicaView<'a>>,
}

/// One replica.
#[derive(Debug, Clone)]
pub struct ReplicaView<'a> {
    /// Counted from 0.
    pub replica: u32,
    /// In one word.
    pub status: Status,
    /// Of its checks together.
    pub health: Health,
    /// The life that goes on.
    pub run: Option<Run>,
    /// The life before it, kept for its logs.
    pub previous: Option<Run>,
    /// When the life that goes on was started.
    pub since: Option<Time>,
    /// Restarts in a row.
    pub attempts: u32,
    /// Restarts ever.
    pub restarts: u64,
    /// Failures ever.
    pub failures: u64,
    /// Scaling down chose it to go.
    pub surplus: bool,
    /// Somebody stopped it, and it alone.
    pub held: bool,
    /// When it was last restarted.
    pub last_restart: Option<Time>,
    /// When it last failed.
    pub last_failure: Option<Time>,
    /// How the last life ended.
    pub last_exit: Option<&'a Exit>,
    /// What last went wrong.
    pub last_error: Option<&'a str>,
    /// Its checks, in the order of the spec.
    pub checks: Vec<CheckView<'a>>,
}

/// One check of one replica.
#[derive(Debug, Clone)]
pub struct CheckView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its plugin.
    pub plugin: &'a str,
    /// What the row of results means.
    pub health: Health,
    /// Failures in a row.
    pub failures: u32,
    /// Passes in a row.
    pub successes: u32,
    /// The last results, oldest first, at most [`HISTORY`](crate::HISTORY).
    pub history: Vec<&'a Sample>,
    /// Thousandths of the watched time of the last hour, day and week in which it passed.
    pub uptime_permille: [Option<u32>; 3],
    /// When it is asked next.
    pub next_at: Option<Time>,
}

impl Core {
    /// The point in time the core is at.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The graph of all services.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The names of all services, those among them that were removed and still go down.
    pub fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }

    /// What is wanted of a service; `None` when it is not there or is being removed.
    pub fn wanted(&self, name: &str) -> Option<&Wanted> {
        self.services.get(name)?.wanted.as_ref()
    }

    /// What was last asked for, also of one that is being removed.
    pub fn spec(&self, name: &str) -> Option<&Arc<Spec>> {
        self.services.get(name).map(|service| &service.spec)
    }

    /// Whose life this is, when it has a record.
    pub fn owner_of(&self, run: Run) -> Option<(&ServiceName, u32)> {
        self.runs.get(&run).map(|(name, replica)| (name, *replica))
    }

    /// One service, also when it was removed and still goes down; `None` when it is not there.
    pub fn service(&self, name: &str) -> Option<ServiceView<'_>> {
        let service = self.services.get(name)?;
        let (cause, next) = self.explain(name);
        Some(ServiceView {
            spec: &service.spec,
            desired: service.wanted.as_ref().map(|wanted| wanted.desired),
            generation: service.wanted.as_ref().map_or(0, |wanted| wanted.generation),
            count: service.count(),
            status: self.status(name),
            health: service_health(service),
            layer: self.graph.layer(name),
            cause,
            next,
            replicas: self.replicas(name),
        })
    }

    /// Is all that is shown of it its own: does it change by what [`take_changed`](Core::take_changed) tells of alone, whatever becomes of others? Shares
    /// of watched time aside, and how long it is until the next check, which time changes.
    pub fn rests(&self, view: &ServiceView<'_>) -> bool {
        let own = match view.status {
            Status::Running => view.cause.is_empty(),
            Status::Stopped | Status::Disabled | Status::Completed | Status::Failed => view.cause.len() <= 1,
            Status::NotFound | Status::Pending | Status::Starting | Status::Unhealthy | Status::Stopping | Status::Scaling | Status::Unknown => false,
        };
        own && view.next.as_ref().is_none_or(|next| next.at.is_none()) && self.is_settled(view.spec.name.as_str())
    }

    /// The replicas of one service, without the reasons that [`service`](Core::service) finds; none when it is not there.
    pub fn replicas(&self, name: &str) -> Vec<ReplicaView<'_>> {
        let Some(service) = self.services.get(name) else { return Vec::new() };
        service.slots().map(|slot| self.replica(service, slot)).collect()
    }

    /// A service in one word.
    pub fn status(&self, name: &str) -> Status {
        let Some(service) = self.services.get(name) else { return Status::NotFound };
        let leaving: Vec<&Slot> = service.slots().filter(|slot| slot.surplus && slot.is_live()).collect();
        if service.count() == 0 && service.own_down(self.closing).is_none() {
            return leaving.first().map_or(Status::Stopped, |slot| slot_status(service, slot));
        }
        let parts: Vec<Status> = service.slots().filter(|slot| !slot.surplus).map(|slot| slot_status(service, slot)).collect();
        let status = joint_status(service, &parts);
        match status {
            Status::Running if !leaving.is_empty() => Status::Scaling,
            Status::Stopped | Status::Disabled | Status::Pending => leaving.first().map_or(status, |slot| slot_status(service, slot)),
            _ => status,
        }
    }

    /// Does nothing more happen to it without news? It is as wanted and judged, or parked, or waits for something that is.
    /// What no check judges has judged itself once it has run for 300 ms.
    pub fn is_settled(&self, name: &str) -> bool {
        let mut at = self.services.get(name);
        // The graph has no cycles, and no chain is longer than there are services.
        for _ in 0..=self.services.len() {
            let Some(service) = at else { return true };
            let status = self.status(service.spec.name.as_str());
            if service.outlook.leaving
                || service.wanted.is_none()
                || service.slots().count() < service.count() as usize
                || service.slots().any(|slot| self.is_moving(service, slot))
            {
                return false;
            }
            if !matches!(status, Status::Pending | Status::Scaling) {
                // A one-shot that runs is on its way to its end.
                let on_its_way = service.spec.kind == Kind::Oneshot && matches!(status, Status::Running | Status::Unhealthy);
                return status.is_settled() && !on_its_way;
            }
            if self.backends.get(&service.spec.backend.plugin).is_some_and(|backend| backend.missing.is_some()) {
                return true;
            }
            at = match (service.kept_down_by(), waits_for(service, &self.services)) {
                (Some(edge), _) => self.services.get(&edge.service),
                (None, Some(waiting)) => self.services.get(&waiting.service),
                (None, None) => return false,
            };
        }
        false
    }

    fn is_moving(&self, service: &Service, slot: &Slot) -> bool {
        match &slot.state {
            State::Starting(_) | State::Stopping { .. } | State::Uncertain { .. } | State::Backoff { .. } => true,
            State::Running(life) if !life.is_as(&service.spec) => true,
            State::Running(life) => slot.checks.is_empty() && self.now < life.since + PROVING,
            State::Down | State::Completed { .. } | State::Failed { .. } => false,
        }
    }

    /// Does every critical service serve: is it up and well, or has it run to its end? One that is disabled or removed is not asked; one
    /// that was stopped by request is, because whoever sends work here must know that it is not done.
    pub fn is_ready(&self) -> bool {
        self.is_ready_in(None)
    }

    /// The same of one workspace; of every one where there is none.
    pub fn is_ready_in(&self, workspace: Option<&str>) -> bool {
        let critical = self.of(workspace).filter(|service| service.spec.critical && service.spec.enabled && service.wanted.is_some());
        critical.into_iter().all(|service| service.outlook.healthy >= service.outlook.count.max(1) || service.outlook.completed)
    }

    /// Is every life that an earlier host left accounted for?
    pub fn is_initialized(&self) -> bool {
        self.backends.values().all(|backend| backend.uncertain.is_empty())
    }

    /// Is this a life that nobody wants, destroyed as soon as it is found?
    pub fn is_abandoned(&self, run: Run) -> bool {
        self.abandoned.contains_key(&run)
    }

    /// Health of all critical and uncritical services that have any data and are wanted up.
    pub fn composite_health(&self) -> Health {
        self.composite_health_in(None)
    }

    /// The same of one workspace; of every one where there is none.
    pub fn composite_health_in(&self, workspace: Option<&str>) -> Health {
        let judged = self.of(workspace).filter(|service| service.outlook.down.is_none() && !service.spec.checks.is_empty());
        let parts: Vec<Health> = judged.map(service_health).filter(|health| *health != Health::Unknown).collect();
        Health::of_all(parts)
    }

    fn of(&self, workspace: Option<&str>) -> impl Iterator<Item = &Service> {
        self.services.values().filter(move |service| workspace.is_none_or(|workspace| service.spec.name.workspace() == workspace))
    }

    fn replica<'a>(&'a self, service: &'a Service, slot: &'a Slot) -> ReplicaView<'a> {
        let memory = &slot.memory;
        let life = slot.state.life();
        let checks = service.spec.checks.iter().zip(&slot.checks).enumerate();
        let checks = checks
            .map(|(index, (spec, check))| CheckView {
                name: &spec.name,
                plugin: &spec.plugin,
                health: check.health,
                failures: check.failures,
                successes: check.successes,
                history: check.history.iter().collect(),
                uptime_permille: check.uptime.permille(self.now),
                next_at: self.timers.at(&Timer::Check(service.spec.name.clone(), slot.replica, index)),
            })
            .collect();
        ReplicaView {
            replica: slot.replica,
            status: slot_status(service, slot),
            health: slot.health(),
            run: life.map(|life| life.run),
            previous: slot.ended.last().map(|ended| ended.run),
            since: life.map(|life| life.since),
            attempts: memory.attempts,
            restarts: memory.restarts,
            failures: memory.failures,
            surplus: slot.surplus,
            held: slot.held,
            last_restart: memory.last_restart,
            last_failure: memory.last_failure,
            last_exit: memory.last_exit.as_ref(),
            last_error: memory.last_error.as_deref(),
            checks,
        }
    }
}

/// Of its replicas together; of one that ran to its end there is nothing to say.
pub(crate) fn service_health(service: &Service) -> Health {
    let judged = service.slots().filter(|slot| !slot.surplus && !matches!(slot.state, State::Completed { .. }));
    Health::of_all(judged.map(Slot::health))
}

/// Several slots in one word.
fn joint_status(service: &Service, parts: &[Status]) -> Status {
    let has = |status: Status| parts.contains(&status);
    let order = [Status::Stopping, Status::Failed, Status::Unknown, Status::Unhealthy];
    if let Some(status) = order.into_iter().find(|status| has(*status)) {
        return status;
    }
    if has(Status::Running) && (has(Status::Starting) || has(Status::Pending)) {
        return Status::Scaling;
    }
    let order = [Status::Starting, Status::Pending, Status::Running, Status::Completed, Status::Stopped, Status::Disabled];
    order.into_iter().find(|status| has(*status)).unwrap_or_else(|| down_status(service))
}

/// Is a call under way for it, or a wait before one?
fn down_status(service: &Service) -> Status {
    match &service.outlook.down {
        Some(Down { of: None, why: Why::Disabled }) => Status::Disabled,
        Some(Down { of: None, why: Why::Absent }) => Status::NotFound,
        Some(Down { of: None, why: Why::Removed | Why::Closing | Why::Stopped }) => Status::Stopped,
        Some(Down { of: Some(_), .. }) | None => Status::Pending,
    }
}

pub(crate) fn slot_status(service: &Service, slot: &Slot) -> Status {
    match &slot.state {
        State::Down if slot.held => Status::Stopped,
        State::Down => down_status(service),
        State::Backoff { .. } => Status::Pending,
        State::Starting(_) => Status::Starting,
        State::Uncertain { .. } => Status::Unknown,
        State::Running(_) if slot.unknown.is_some() => Status::Unknown,
        State::Running(_) if slot.checks.is_empty() => Status::Running,
        State::Running(_) => match slot.health() {
            Health::Unknown => Status::Starting,
            Health::Healthy | Health::Degraded => Status::Running,
            Health::Unhealthy => Status::Unhealthy,
        },
        State::Stopping { .. } => Status::Stopping,
        State::Completed { .. } => Status::Completed,
        State::Failed { .. } => Status::Failed,
    }
}

//! The machine: hear, ask, wake, look. Everything else in this room is what it decides with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::chance::Chance;
use crate::event::{Action, CheckResult, Event, Fault, Notice, NoticeKind, Run, Saved, SlotRecord, Stage, TaskRecord, Wanted};
use crate::graph::Graph;
use crate::health::Check;
use crate::registry::{Service, Services};
use crate::spec::{ServiceName, Spec};
use crate::task::{Asked, Ended, Life, Slot, State};
use crate::time::{Span, Time};
use crate::timer::{Timer, Timers};

/// How the core decides, where a spec does not say.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many starts may be under way at once.
    pub max_parallel: u32,
    /// Chance for jitter.
    pub seed: u64,
    /// From one look at a backend's tasks to the next.
    pub look_every: Span,
    /// From one full listing of a backend to the next.
    pub list_every: Span,
}

impl Default for Config {
    /// Four starts at once, a look every second, a listing every five minutes.
    fn default() -> Self {
        Config { max_parallel: 4, seed: 0, look_every: Span::secs(1), list_every: Span::secs(300) }
    }
}

/// What a store remembered, to begin with after a host restart.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// No run number below this one may be used again.
    pub next_run: Run,
    /// Every service that is wanted.
    pub wanted: Vec<(ServiceName, Wanted)>,
    /// Every slot.
    pub slots: Vec<(ServiceName, u32, SlotRecord)>,
    /// Every life.
    pub tasks: Vec<(Run, TaskRecord)>,
    /// Are the remembered times of this boot of the machine?
    pub same_boot: bool,
}

/// A backend, as far as deciding needs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backend {
    /// Lives that are looked at.
    pub(crate) watched: BTreeSet<Run>,
    looking: bool,
    look_again: bool,
    listing: bool,
    list_again: bool,
    /// Why no task can be started there now, and how often in a row.
    pub(crate) away: Option<String>,
    tries: u32,
    /// Why its plugin cannot be called at all.
    pub(crate) missing: Option<String>,
}

/// The machine that decides and touches nothing.
///
/// Verbs: [`handle`](Core::handle) hears an event, [`poll_action`](Core::poll_action) asks what to do,
/// [`poll_timeout`](Core::poll_timeout) says when to wake it, and the views (in `view.rs`) look.
///
/// ```
/// use hostler_core::{Action, Config, Core, Desired, Event, ServiceName, Spec, Time, Wanted};
/// let mut core = Core::new(Config::default());
/// let name = ServiceName::new("web").unwrap();
/// let spec = std::sync::Arc::new(Spec::new(name.clone(), "process", "{}"));
/// let wanted = Wanted { spec, generation: 1, desired: Desired::Running, starts: 1, restarts: 0 };
/// core.handle(Time(0), Event::Wanted(vec![(name, Some(wanted))]));
/// let actions: Vec<Action> = std::iter::from_fn(|| core.poll_action()).collect();
/// assert!(actions.iter().any(|action| matches!(action, Action::Start { run: 1, .. })));
/// ```
#[derive(Debug)]
pub struct Core {
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) chance: Chance,
    pub(crate) services: Services,
    pub(crate) graph: Graph,
    pub(crate) backends: BTreeMap<String, Backend>,
    /// Whose each life is that has a record.
    pub(crate) runs: BTreeMap<Run, (ServiceName, u32)>,
    /// Lives nobody wants, destroyed as soon as they are found: backend, and whether one listing has missed them already.
    pub(crate) abandoned: BTreeMap<Run, (String, bool)>,
    pub(crate) timers: Timers,
    /// What may start now, lowest layer first.
    pub(crate) ready: BTreeSet<(usize, ServiceName, u32)>,
    /// Starts under way.
    pub(crate) starting: u32,
    pub(crate) dirty: BTreeSet<ServiceName>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) next_run: Run,
    tickets: u64,
    pub(crate) closing: bool,
}

impl Core {
    /// A core that knows nothing yet.
    pub fn new(config: Config) -> Core {
        Core {
            now: Time::default(),
            chance: Chance::new(config.seed),
            config,
            services: Services::new(),
            graph: Graph::default(),
            backends: BTreeMap::new(),
            runs: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            timers: Timers::default(),
            ready: BTreeSet::new(),
            starting: 0,
            dirty: BTreeSet::new(),
            actions: VecDeque::new(),
            next_run: 1,
            tickets: 0,
            closing: false,
        }
    }

    /// A core that goes on where an earlier one was: every life that may exist is asked for before anything is started in its slot.
    pub fn restore(config: Config, now: Time, remembered: Remembered) -> Core {
        let mut core = Core::new(config);
        core.now = now;
        core.next_run = remembered.next_run.max(1);
        for (name, wanted) in remembered.wanted {
            core.dirty.insert(name.clone());
            core.services.insert(name, Service::new(wanted));
        }
        for (name, replica, mut record) in remembered.slots {
            if !remembered.same_boot {
                record.backoff = record.backoff.map(|(_, reason)| (now, reason));
                record.last_restart = None;
                record.last_failure = None;
            }
            core.restore_slot(&name, replica, record);
        }
        for (run, mut record) in remembered.tasks {
            core.next_run = core.next_run.max(run + 1);
            if !remembered.same_boot {
                record.since = now;
            }
            core.restore_task(run, record);
        }
        core.rebuild_graph();
        let backends: Vec<String> = core.backends.keys().cloned().collect();
        for backend in backends {
            core.list(&backend);
        }
        core.settle();
        core
    }

    fn restore_slot(&mut self, name: &ServiceName, replica: u32, record: SlotRecord) {
        let Some(service) = self.services.get_mut(name) else {
            self.actions.push_back(Action::Save(Saved::Slot(name.clone(), replica, None)));
            return;
        };
        let mut slot = Slot::new(replica, 0);
        slot.checks = service
            .spec
            .checks
            .iter()
            .map(|spec| {
                let known = record.checks.iter().find(|(name, ..)| *name == spec.name);
                known.map_or_else(Check::default, |(_, health, failures, successes, passed)| Check::restored(*health, *failures, *successes, *passed))
            })
            .collect();
        slot.told = crate::health::Health::of_all(slot.checks.iter().map(|check| check.health));
        slot.state = match (&record.failed, &record.completed, &record.backoff) {
            (Some(reason), _, _) => State::Failed { reason: reason.clone() },
            (None, Some((digest, exit)), _) => State::Completed { digest: digest.clone(), exit: exit.clone() },
            (None, None, Some((until, reason))) => {
                self.timers.set(Timer::Backoff(name.clone(), replica), *until);
                slot.again = true;
                State::Backoff { until: *until, reason: reason.clone() }
            }
            (None, None, None) => State::Down,
        };
        slot.saved = Some(record.clone());
        slot.memory = SlotRecord { failed: None, completed: None, backoff: None, checks: Vec::new(), ..record };
        service.slots.insert(replica, slot);
    }

    fn restore_task(&mut self, run: Run, record: TaskRecord) {
        self.backends.entry(record.backend.clone()).or_default();
        let orphan = !self.services.contains_key(&record.service);
        if record.stage == Stage::Abandoned || (orphan && record.stage == Stage::Intent) {
            self.abandoned.insert(run, (record.backend, false));
            return;
        }
        self.runs.insert(run, (record.service.clone(), record.replica));
        let service = self.services.entry(record.service.clone()).or_insert_with(|| removed_service(&record));
        let checks = service.spec.checks.len();
        let spec = Arc::clone(&service.spec);
        let slot = service.slots.entry(record.replica).or_insert_with(|| Slot::new(record.replica, checks));
        self.dirty.insert(record.service.clone());
        if record.stage == Stage::Ended || slot.is_live() {
            slot.ended.push(Ended { run, backend: record.backend, destroy: Asked::default() });
            return;
        }
        let intent = record.stage == Stage::Intent;
        let TaskRecord { backend, digest, restarts, since, follows, .. } = record;
        slot.state = State::Uncertain { life: Life { run, backend, digest, spec, since, restarts, follows }, intent, error: None };
    }

    /// How many starts may be under way at once, from now on.
    pub fn set_max_parallel(&mut self, starts: u32) {
        self.config.max_parallel = starts.max(1);
    }

    /// Hears what happened at `now`. A `now` before the last one is read as the last one.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Wanted(changes) => self.hear_wanted(changes),
            Event::Started { run } => self.hear_started(run),
            Event::StartFailed { run, fault } => self.hear_start_failed(run, fault),
            Event::Stopped { run, exit } => self.hear_stopped(run, exit),
            Event::StopFailed { run, fault } => self.hear_stop_failed(run, &fault),
            Event::Destroyed { run, fault } => self.hear_destroyed(run, fault),
            Event::Looked { backend, seen } => self.hear_looked(&backend, seen),
            Event::Seen(seen) => seen.into_iter().for_each(|(run, phase)| self.see(run, phase)),
            Event::Listed { backend, found } => self.hear_listed(&backend, found),
            Event::Hint { backend } => self.look(&backend),
            Event::Plugin { backend, missing } => self.hear_plugin(&backend, missing),
            Event::Checked(result) => self.hear_checked(result),
            Event::CheckNow(names) => self.check_now(&names),
            Event::Close { force } => self.hear_close(force),
            Event::Force(names) => self.hear_force(&names),
            Event::Tick => {}
        }
        while let Some(timer) = self.timers.take_due(self.now) {
            self.hear_timer(timer);
        }
        self.settle();
    }

    /// What to do next; `None` ends one decision.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call `handle` with [`Event::Tick`], at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.earliest()
    }

    /// Has [`Event::Close`] been carried out: is nothing of ours alive?
    pub fn is_closed(&self) -> bool {
        self.closing && !self.services.values().any(|service| service.slots.values().any(Slot::is_live))
    }

    fn hear_wanted(&mut self, changes: Vec<(ServiceName, Option<Wanted>)>) {
        for (name, wanted) in changes {
            self.dirty.insert(name.clone());
            match wanted {
                Some(wanted) => self.want(name, wanted),
                None => {
                    if let Some(service) = self.services.get_mut(&name) {
                        service.wanted = None;
                    }
                }
            }
        }
        self.rebuild_graph();
    }

    fn want(&mut self, name: ServiceName, wanted: Wanted) {
        let Some(service) = self.services.get_mut(&name) else {
            self.services.insert(name, Service::new(wanted));
            return;
        };
        let before = std::mem::replace(&mut service.spec, Arc::clone(&wanted.spec));
        service.wanted = Some(wanted);
        service.forced = false;
        if before.checks != service.spec.checks {
            let longest = before.checks.len().max(service.spec.checks.len());
            for slot in service.slots.values_mut() {
                slot.change_checks(&before.checks, &service.spec.checks);
                for index in 0..longest {
                    self.timers.clear(&Timer::Check(name.clone(), slot.replica, index));
                }
                if matches!(slot.state, State::Running(_)) {
                    for index in 0..service.spec.checks.len() {
                        self.timers.set(Timer::Check(name.clone(), slot.replica, index), self.now);
                    }
                }
            }
        }
    }

    pub(crate) fn rebuild_graph(&mut self) {
        let before = std::mem::replace(&mut self.graph, Graph::new(self.services.values().map(|service| service.spec.as_ref())));
        // A service whose place in the graph changed must look at its neighbours again.
        let names: Vec<ServiceName> = self.dirty.iter().cloned().collect();
        for name in names {
            self.dirty.extend(before.dependents(name.as_str()).cloned());
            self.dirty.extend(before.dependencies(name.as_str()).cloned());
            self.touch_neighbours(&name);
        }
        self.ready.clear();
        self.dirty.extend(self.services.iter().filter(|(_, service)| service.slots.values().any(|slot| matches!(slot.state, State::Down))).map(|(name, _)| name.clone()));
    }

    pub(crate) fn touch_neighbours(&mut self, name: &ServiceName) {
        self.dirty.extend(self.graph.dependents(name.as_str()).cloned());
        self.dirty.extend(self.graph.dependencies(name.as_str()).cloned());
    }

    fn hear_close(&mut self, force: bool) {
        self.closing = true;
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        self.dirty.extend(names.iter().cloned());
        if force {
            self.hear_force(&names);
        }
    }

    fn hear_force(&mut self, names: &[ServiceName]) {
        for name in names {
            if let Some(service) = self.services.get_mut(name) {
                service.forced = true;
                self.dirty.insert(name.clone());
            }
        }
    }

    fn hear_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Backoff(name, _) | Timer::Again(name, _) => {
                self.dirty.insert(name);
            }
            Timer::Stable(name, replica) => self.hear_stable(&name, replica),
            Timer::Check(name, replica, check) => self.ask_check(&name, replica, check),
            Timer::Look(backend) => self.look(&backend),
            Timer::List(backend) => self.list(&backend),
            Timer::Retry(backend) => self.retry(&backend),
        }
    }

    pub(crate) fn tell(&mut self, kind: NoticeKind, service: &ServiceName, replica: Option<u32>, run: Option<Run>, message: impl Into<String>) {
        self.actions.push_back(Action::Tell(Notice { kind, service: service.clone(), replica, run, message: message.into() }));
    }

    /// The slot a life belongs to, when it is the one that goes on there.
    pub(crate) fn live_slot(&mut self, run: Run) -> Option<(ServiceName, u32, &mut Slot)> {
        let (name, replica) = self.runs.get(&run)?.clone();
        let slot = self.services.get_mut(&name)?.slots.get_mut(&replica)?;
        (slot.state.life()?.run == run).then_some((name, replica, slot))
    }

    // ---- backends: looking, listing, being away -------------------------------------------------------------------

    /// Looks at a backend's tasks now, or once more when a look is under way.
    pub(crate) fn look(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        if backend.looking {
            backend.look_again = true;
            return;
        }
        if backend.watched.is_empty() || backend.missing.is_some() {
            self.timers.clear(&Timer::Look(name.to_owned()));
            return;
        }
        backend.looking = true;
        backend.look_again = false;
        let runs = backend.watched.iter().copied().collect();
        self.timers.clear(&Timer::Look(name.to_owned()));
        self.actions.push_back(Action::Look { backend: name.to_owned(), runs });
    }

    /// Asks a backend for all it has, or once more when that is under way.
    pub(crate) fn list(&mut self, name: &str) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        if backend.missing.is_some() {
            return;
        }
        if backend.listing {
            backend.list_again = true;
            return;
        }
        backend.listing = true;
        backend.list_again = false;
        self.timers.clear(&Timer::List(name.to_owned()));
        self.actions.push_back(Action::List { backend: name.to_owned() });
    }

    /// Ends a look; begins the next at once when somebody asked meanwhile.
    pub(crate) fn looked(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.looking = false;
        if backend.look_again {
            self.look(name);
        } else if !backend.watched.is_empty() {
            self.timers.set(Timer::Look(name.to_owned()), self.now + self.config.look_every);
        }
    }

    pub(crate) fn listed(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.listing = false;
        if backend.list_again {
            self.list(name);
        } else {
            self.timers.set(Timer::List(name.to_owned()), self.now + self.config.list_every);
        }
    }

    /// From now on this life is looked at.
    pub(crate) fn watch(&mut self, name: &str, run: Run) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        backend.watched.insert(run);
        if !backend.looking && self.timers.at(&Timer::Look(name.to_owned())).is_none() {
            self.timers.set(Timer::Look(name.to_owned()), self.now + self.config.look_every);
        }
        if !backend.listing && self.timers.at(&Timer::List(name.to_owned())).is_none() {
            self.timers.set(Timer::List(name.to_owned()), self.now + self.config.list_every);
        }
    }

    pub(crate) fn unwatch(&mut self, name: &str, run: Run) {
        if let Some(backend) = self.backends.get_mut(name) {
            backend.watched.remove(&run);
        }
    }

    /// No task can be started there for a while: 1 s, 2 s, … 30 s, or when it says.
    pub(crate) fn backend_is_away(&mut self, name: &str, why: &str, after: Option<Span>) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        backend.away = Some(why.to_owned());
        let wait = after.unwrap_or(Span((1_000_u64 << backend.tries.min(5)).min(30_000)));
        backend.tries = backend.tries.saturating_add(1);
        self.timers.set(Timer::Retry(name.to_owned()), self.now + wait);
        self.touch_backend(name);
    }

    pub(crate) fn backend_is_back(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.tries = 0;
        if backend.away.take().is_some() {
            self.timers.clear(&Timer::Retry(name.to_owned()));
            self.touch_backend(name);
        }
    }

    /// Lets the tasks of a backend try again: the next start or listing finds out.
    fn retry(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.away = None;
        self.touch_backend(name);
        if self.has_uncertain(name) {
            self.list(name);
        }
    }

    fn hear_plugin(&mut self, name: &str, missing: Option<String>) {
        let here = missing.is_none();
        let backend = self.backends.entry(name.to_owned()).or_default();
        if backend.missing == missing {
            return;
        }
        backend.missing = missing;
        self.touch_backend(name);
        if here {
            self.look(name);
            if self.has_uncertain(name) {
                self.list(name);
            }
        }
    }

    fn has_uncertain(&self, backend: &str) -> bool {
        let mut slots = self.services.values().flat_map(|service| service.slots.values());
        slots.any(|slot| matches!(&slot.state, State::Uncertain { life, .. } if life.backend == backend)) || self.abandoned.values().any(|(name, _)| name == backend)
    }

    fn touch_backend(&mut self, name: &str) {
        let names = self.services.iter().filter(|(_, service)| service.spec.backend.plugin == name).map(|(name, _)| name.clone());
        self.dirty.extend(names);
    }

    // ---- checks ---------------------------------------------------------------------------------------------------

    fn ask_check(&mut self, name: &ServiceName, replica: u32, index: usize) {
        let ticket = self.tickets + 1;
        let Some(service) = self.services.get_mut(name) else { return };
        let spec = Arc::clone(&service.spec);
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        let State::Running(life) = &slot.state else { return };
        let run = life.run;
        let Some(check) = slot.checks.get_mut(index) else { return };
        if check.ticket.is_some() {
            return;
        }
        check.ticket = Some(ticket);
        self.tickets = ticket;
        self.actions.push_back(Action::Check { run, replica, check: index, ticket, spec });
    }

    fn check_now(&mut self, names: &[ServiceName]) {
        let asked: Vec<(ServiceName, u32, usize)> = self
            .services
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(name))
            .flat_map(|(name, service)| service.slots.values().flat_map(move |slot| (0..slot.checks.len()).map(move |index| (name.clone(), slot.replica, index))))
            .collect();
        for (name, replica, index) in asked {
            self.ask_check(&name, replica, index);
        }
    }

    fn hear_checked(&mut self, result: CheckResult) {
        let now = self.now;
        let roll = self.chance.next();
        let Some((name, replica, _)) = self.live_slot(result.run) else { return };
        let service = self.services.get_mut(&name).expect("its slot was just found");
        let spec = Arc::clone(&service.spec);
        let slot = service.slots.get_mut(&replica).expect("it was just found");
        let (State::Running(life), Some(check_spec)) = (&slot.state, spec.checks.get(result.check)) else { return };
        let since = life.since;
        let Some(check) = slot.checks.get_mut(result.check).filter(|check| check.ticket == Some(result.ticket)) else { return };
        let message: Arc<str> = result.message.as_str().into();
        check.hear(check_spec, since, crate::health::Sample { at: now, verdict: result.verdict, took: result.took, message });
        let wait = check.wait(check_spec, roll);
        let recover = check.health == crate::health::Health::Unhealthy && check_spec.auto_recovery;
        if recover && slot.ill.is_none() {
            slot.ill = Some(format!("check {} says unhealthy: {}", check_spec.name, result.message));
        }
        self.timers.set(Timer::Check(name.clone(), replica, result.check), now + wait);
        self.tell_health(&name, replica, &result.message);
        self.dirty.insert(name);
    }

    pub(crate) fn tell_health(&mut self, name: &ServiceName, replica: u32, message: &str) {
        let Some(slot) = self.services.get_mut(name).and_then(|service| service.slots.get_mut(&replica)) else { return };
        let (before, after) = (slot.told, slot.health());
        if before == after || !matches!(slot.state, State::Running(_)) {
            return;
        }
        slot.told = after;
        let run = slot.state.life().map(|life| life.run);
        let words = format!("{} -> {}: {message}", crate::view::health_word(before), crate::view::health_word(after));
        self.tell(NoticeKind::HealthChanged, name, Some(replica), run, words);
    }
}

/// A service that is no longer wanted, but of which a life may exist.
fn removed_service(record: &TaskRecord) -> Service {
    let mut spec = Spec::new(record.service.clone(), &record.backend, "{}");
    spec.task_digest = record.digest.clone();
    let spec = Arc::new(spec);
    let wanted = Wanted { spec, generation: 0, desired: crate::event::Desired::Stopped, starts: 0, restarts: 0 };
    Service { wanted: None, ..Service::new(wanted) }
}

/// Shorthand for faults that park a task.
pub(crate) fn parks(fault: &Fault) -> bool {
    match fault {
        Fault::Invalid(_) | Fault::Denied(_) | Fault::Unsupported(_) => true,
        Fault::Unavailable { .. } | Fault::Interrupted(_) | Fault::Failed(_) => false,
    }
}

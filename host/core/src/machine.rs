//! The machine: hear, ask, wake, look. Everything else in this room is what it decides with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::backends::{Backend, Lost};
use crate::chance::Chance;
use crate::event::{Action, Event, Notice, NoticeKind, Run, Wanted};
use crate::graph::Graph;
use crate::registry::Service;
use crate::services::Services;
use crate::spec::ServiceName;
use crate::task::{Slot, State};
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
    /// The same, where somebody hints at every end.
    pub look_seldom: Span,
    /// From one full listing of a backend to the next.
    pub list_every: Span,
}

impl Default for Config {
    /// Four starts at once, a look every second or half minute, a listing every five minutes.
    fn default() -> Self {
        Config { max_parallel: 4, seed: 0, look_every: Span::secs(1), look_seldom: Span::secs(30), list_every: Span::secs(300) }
    }
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
/// let wanted = Wanted { spec, generation: 1, desired: Desired::Running, starts: 1, restarts: 0, scaled: None, held: Default::default() };
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
    /// Edges that a spec no longer has, by dependency, while a dependent is up that was started with them.
    pub(crate) former: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    pub(crate) backends: BTreeMap<String, Backend>,
    /// Whose each life is that has a record.
    pub(crate) runs: BTreeMap<Run, (ServiceName, u32)>,
    /// Lives nobody wants, destroyed as soon as they are found.
    pub(crate) abandoned: BTreeMap<Run, Lost>,
    pub(crate) timers: Timers,
    /// What may start now: the first replica of each before the second of any, and lowest layer first among them.
    pub(crate) ready: BTreeSet<(u32, usize, ServiceName)>,
    /// Starts under way.
    pub(crate) starting: u32,
    /// Services of which something may be alive.
    pub(crate) live: usize,
    /// What something changed for, lowest layer first, because outlooks spread upwards.
    pub(crate) dirty: BTreeSet<(usize, ServiceName)>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) next_run: Run,
    /// [`Saved::Reserve`](crate::Saved::Reserve), as it was last saved.
    pub(crate) reserved: Run,
    pub(crate) tickets: u64,
    pub(crate) closing: bool,
}

impl Core {
    /// A core that knows nothing yet.
    pub fn new(config: Config) -> Core {
        Core {
            now: Time::default(),
            chance: Chance::new(config.seed),
            config,
            services: Services::default(),
            graph: Graph::default(),
            former: BTreeMap::new(),
            backends: BTreeMap::new(),
            runs: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            timers: Timers::default(),
            ready: BTreeSet::new(),
            starting: 0,
            live: 0,
            dirty: BTreeSet::new(),
            actions: VecDeque::new(),
            next_run: 1,
            reserved: 1,
            tickets: 0,
            closing: false,
        }
    }

    /// How many starts may be under way at once, from the next event on.
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
            Event::Updated { run, ticket, fault } => self.hear_updated(run, ticket, fault),
            Event::Stopped { run, exit } => self.hear_stopped(run, exit),
            Event::StopFailed { run, fault } => self.hear_stop_failed(run, &fault),
            Event::Destroyed { run, fault } => self.hear_destroyed(run, fault),
            Event::Looked { backend, seen } => self.hear_looked(&backend, seen),
            Event::Seen { backend, seen } => seen.into_iter().for_each(|(run, phase)| self.see(&backend, run, phase)),
            Event::Listed { backend, found } => self.hear_listed(&backend, found),
            Event::Hint { backend } => self.look(&backend),
            Event::Watched { backend, closely } => self.hear_watched(&backend, closely),
            Event::Plugin { backend, missing } => self.hear_plugin(&backend, missing),
            Event::Checked(result) => self.hear_checked(result),
            Event::CheckNow(names) => self.check_now(&names),
            Event::Close { force } => self.hear_close(force),
            Event::Force(names) => self.hear_force(&names),
            Event::Tick => {}
        }
        // Settled first, so that nothing is looked at or checked that is about to be stopped.
        self.settle();
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
        self.closing && self.live == 0
    }

    /// The services of which something that is shown may have changed since this was last asked, those that are gone among them. What time alone
    /// changes is not among it.
    pub fn take_changed(&mut self) -> BTreeSet<ServiceName> {
        self.services.take_changed()
    }

    fn hear_wanted(&mut self, changes: Vec<(ServiceName, Option<Wanted>)>) {
        let mut moved = false;
        for (name, wanted) in changes {
            match wanted {
                Some(wanted) => moved |= self.want(&name, wanted),
                None => {
                    if let Some(service) = self.services.get_mut(&name) {
                        service.wanted = None;
                    }
                }
            }
            self.touch(&name);
        }
        if moved {
            self.find_layers();
        }
    }

    /// Takes over what is wanted of one service; says whether layers must be found anew.
    fn want(&mut self, name: &ServiceName, wanted: Wanted) -> bool {
        let spec = Arc::clone(&wanted.spec);
        let Some(service) = self.services.get_mut(name) else {
            self.services.insert(name.clone(), Service::new(wanted));
            let moved = self.graph.set(&spec);
            self.renew_edges_of(name);
            self.renew_edges_to(name);
            self.touch_neighbours(name);
            return moved;
        };
        if service.wanted.is_none() {
            service.begin_again(&wanted);
        }
        let before = std::mem::replace(&mut service.spec, Arc::clone(&spec));
        // Whoever lost patience did so with what was wanted until now.
        service.forced &= service.wanted.as_ref() == Some(&wanted);
        let (counted, count) = (service.wanted.as_ref().map(Wanted::number), wanted.number());
        service.wanted = Some(wanted);
        if let Some(counted) = counted.filter(|counted| *counted != count) {
            let decided = service.scaler.decided.take().filter(|decision| decision.count == count);
            service.scaler.changed(self.now);
            let why = decided.map_or(String::new(), |decision| format!(": {}", decision.reason));
            self.tell(NoticeKind::Scaled, name, None, None, format!("scaled from {counted} to {count}{why}"));
        }
        if planted!(9) {
            self.change_checks(name, &[]);
        }
        if before == spec {
            return false;
        }
        if before.checks != spec.checks {
            self.change_checks(name, &before.checks);
        }
        self.touch_neighbours(name);
        if before.dependencies != spec.dependencies {
            self.remember_former(name);
            self.renew_edges_of(name);
        }
        let moved = self.graph.set(&spec);
        self.renew_edges_to(name);
        self.touch_neighbours(name);
        moved
    }

    /// A task that is up keeps its place in the order of stops, even when its new spec has fewer edges.
    fn remember_former(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get_mut(name) else { return };
        let lives = service.slots.values().filter_map(|slot| slot.state.life());
        let started_with = lives.flat_map(|life| life.spec.dependencies.iter().map(|edge| edge.service.clone()));
        service.former.extend(started_with);
        for dependency in &service.former {
            self.former.entry(dependency.clone()).or_default().insert(name.clone());
        }
    }

    /// Forgets the former edges of a service that is down.
    pub(crate) fn forget_former(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get_mut(name) else { return };
        for dependency in std::mem::take(&mut service.former) {
            if let Some(dependents) = self.former.get_mut(&dependency) {
                dependents.remove(name);
                if dependents.is_empty() {
                    self.former.remove(&dependency);
                }
            }
        }
    }

    /// Finds every layer anew, for what waits in the order of layers too.
    pub(crate) fn find_layers(&mut self) {
        self.graph.find_layers();
        self.services.all_changed();
        let layer = |name: &ServiceName| self.graph.layer(name.as_str()).unwrap_or(usize::MAX);
        self.ready = std::mem::take(&mut self.ready).into_iter().map(|(replica, _, name)| (replica, layer(&name), name)).collect();
        self.dirty = std::mem::take(&mut self.dirty).into_iter().map(|(_, name)| (layer(&name), name)).collect();
    }

    /// Something changed for this service: it is settled before the decision ends.
    pub(crate) fn touch(&mut self, name: &ServiceName) {
        self.dirty.insert((self.graph.layer(name.as_str()).unwrap_or(usize::MAX), name.clone()));
    }

    pub(crate) fn touch_neighbours(&mut self, name: &ServiceName) {
        let neighbours: Vec<ServiceName> = self.graph.dependents(name.as_str()).chain(self.graph.dependencies(name.as_str())).cloned().collect();
        neighbours.iter().for_each(|neighbour| self.touch(neighbour));
    }

    fn hear_close(&mut self, force: bool) {
        self.closing = true;
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        names.iter().for_each(|name| self.touch(name));
        if force {
            self.hear_force(&names);
        }
    }

    fn hear_force(&mut self, names: &[ServiceName]) {
        for name in names {
            if let Some(service) = self.services.get_mut(name) {
                service.forced = true;
                self.touch(name);
            }
        }
    }

    fn hear_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Backoff(name, _) | Timer::Again(name, _) => self.touch(&name),
            // Nothing changes but what `is_settled` answers, and whoever waits for that is woken by any decision.
            Timer::Proven(..) => {}
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

    pub(crate) fn slot(&mut self, name: &ServiceName, replica: u32) -> Option<&mut Slot> {
        self.services.get_mut(name)?.slots.get_mut(&replica).map(Box::as_mut)
    }

    /// The slot a life belongs to, when it is the one that goes on there.
    pub(crate) fn live_slot(&mut self, run: Run) -> Option<(ServiceName, u32, &mut Slot)> {
        let (name, replica) = self.runs.get(&run)?.clone();
        let slot = self.services.get_mut(&name)?.slots.get_mut(&replica)?;
        (slot.state.life()?.run == run).then_some((name, replica, slot))
    }

    /// Puts a slot where it is down and free to start.
    pub(crate) fn put_down(&mut self, name: &ServiceName, replica: u32) {
        if let Some(slot) = self.slot(name, replica) {
            slot.state = State::Down;
            slot.ill = None;
            slot.unknown = None;
        }
        self.timers.clear(&Timer::Backoff(name.clone(), replica));
        self.touch(name);
    }
}

//! A world for the core: engines that hold tasks, a store that remembers, calls that can be held, lost or answered late, and a clock.
//!
//! Every step checks what must hold (see `holds`), so that each story proves the invariants beside its own point.

mod calls;
mod engine;
mod holds;
mod looks;
mod store;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_core::{
    Action, Config, Core, Desired, Event, Exit, Fault, Load, Loads, Notice, Run, Saved, ServiceName, Span, Spec, Stage, Starting, Status, Time,
    Verdict, Wanted,
};

pub use engine::Engine;
pub use store::Store;
pub use text::specs;

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is carried out and answered at once.
    Done,
    /// It waits until it is released.
    Held,
    /// It is carried out, and its answer is lost.
    Lost,
    /// Its answer is lost, and it is carried out only so long after that was known.
    Late(Span),
    /// It is not carried out, and fails in this way.
    Fault(Fault),
}

/// When a call takes effect, when its answer arrives, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// What becomes of it.
    pub fate: Fate,
    /// From the call to its effect.
    pub effect_after: Span,
    /// From the effect to the answer; a span of `u64::MAX` is for ever.
    pub answer_after: Span,
}

impl Course {
    /// Effect and answer come at once.
    pub fn at_once(fate: Fate) -> Course {
        Course { fate, effect_after: Span::ZERO, answer_after: Span::ZERO }
    }
}

/// Something that a story can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The core asked for something, and what that is called.
    Asked(String, Action),
    /// People were told something.
    Told(Notice),
}

/// What is under way.
#[derive(Debug, Clone)]
enum Pending {
    Effect(Action, Course),
    Answer(Event),
}

/// Decides the course of every call.
pub type Fates = Box<dyn FnMut(&str, &Action) -> Course>;

/// The core, and all that it decides about.
pub struct World {
    /// Who decides.
    pub core: Core,
    /// The point in time.
    pub now: Time,
    /// What the core was made with, and is again after a host restart.
    pub config: Config,
    /// What is remembered.
    pub store: Store,
    /// Who runs tasks, by name.
    pub engines: BTreeMap<String, Engine>,
    /// What checks say, by `service` or `service/check`; `Pass` when it is not here.
    pub verdicts: BTreeMap<String, Verdict>,
    /// What checks say beside that, by the same keys; the verdict's own word when it is not here.
    pub words: BTreeMap<String, String>,
    /// Fates of the next calls, by what they are called: `start db`.
    scripted: Vec<(String, Fate)>,
    /// Decides the course of every call that nothing else was said of.
    pub fates: Option<Fates>,
    held: Vec<(String, Action)>,
    pending: BTreeMap<(Time, u64), Pending>,
    sequence: u64,
    log: Vec<String>,
    /// Every call in order, with its run, for whoever tells a story; nothing is kept when it is `None`.
    pub journal: Option<Vec<Entry>>,
    /// What people were told.
    pub notices: Vec<(Time, Notice)>,
    /// Whose lives these are.
    pub owners: BTreeMap<Run, (ServiceName, u32)>,
    /// Actions so far.
    pub decided: usize,
    /// Until when a slot is to wait, as long as nobody asks for anything.
    pub backoffs: BTreeMap<(ServiceName, u32), Time>,
    before: holds::Before,
    /// Restarts in a row by the world's own count, and when the last life began.
    pub in_a_row: BTreeMap<(ServiceName, u32), (u32, Time)>,
    /// Slots somebody asked for: their next start begins a new count.
    pub asked_for: BTreeSet<(ServiceName, u32)>,
    /// Runs that were there when the core heard that their start was interrupted: a listing asked for after that finds them.
    there: BTreeSet<Run>,
    /// Shows what happens, for whoever looks into one seed.
    pub shown: bool,
    /// The host goes down.
    pub closing: bool,
    /// Services that go down without grace.
    pub forced: BTreeSet<ServiceName>,
    /// Runs whose stop was begun: it is repeated until it works, whatever is wanted meanwhile.
    pub stopping: BTreeSet<Run>,
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    /// A world with the default configuration, in which nobody wants anything.
    pub fn new() -> World {
        World::with(Config::default())
    }

    /// The same with this configuration.
    pub fn with(config: Config) -> World {
        World {
            core: Core::new(config.clone()),
            now: Time(1_000_000),
            config,
            store: Store::default(),
            engines: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            words: BTreeMap::new(),
            scripted: Vec::new(),
            fates: None,
            held: Vec::new(),
            pending: BTreeMap::new(),
            sequence: 0,
            log: Vec::new(),
            journal: None,
            notices: Vec::new(),
            owners: BTreeMap::new(),
            decided: 0,
            backoffs: BTreeMap::new(),
            before: holds::Before::default(),
            in_a_row: BTreeMap::new(),
            asked_for: BTreeSet::new(),
            there: BTreeSet::new(),
            shown: false,
            closing: false,
            forced: BTreeSet::new(),
            stopping: BTreeSet::new(),
        }
    }

    /// A world where these services were applied (see [`specs`]), and everything that can happen at once has happened.
    pub fn of(text: &str) -> World {
        let mut world = World::new();
        world.apply(text);
        world
    }

    // ---- what people do -------------------------------------------------------------------------------------------

    /// These services are wanted as said (see [`specs`]).
    pub fn apply(&mut self, text: &str) {
        self.apply_specs(specs(text));
    }

    /// These services are wanted as said.
    pub fn apply_specs(&mut self, specs: Vec<Spec>) {
        let changes = specs.into_iter().map(|spec| {
            let name = spec.name.clone();
            let spec = Arc::new(spec);
            let fresh = Wanted {
                spec: Arc::clone(&spec),
                generation: 1,
                desired: Desired::Running,
                starts: 1,
                restarts: 0,
                scaled: None,
                held: Default::default(),
            };
            let wanted = self.store.wanted.get(&name).map_or(fresh, |before| {
                let scaled = Wanted::applied(Some(before), Arc::clone(&spec), Status::Running, Starting::Nothing).scaled;
                Wanted { spec, generation: before.generation + 1, scaled, ..before.clone() }
            });
            (name, Some(wanted))
        });
        let changes = changes.collect();
        self.want(changes);
    }

    /// Changes the spec of one service.
    pub fn edit(&mut self, name: &str, change: impl FnOnce(&mut Spec)) {
        let mut spec = self.store.wanted[name].spec.as_ref().clone();
        change(&mut spec);
        self.apply_specs(vec![spec]);
    }

    /// Services, with blanks between their names, are wanted no more.
    pub fn remove(&mut self, names: &str) {
        let changes = names.split_whitespace().map(|name| (ServiceName::new(name).expect("a name"), None)).collect();
        self.want(changes);
    }

    /// Somebody asks to start services, with blanks between their names.
    pub fn start(&mut self, names: &str) {
        self.request(names, |wanted| {
            wanted.desired = Desired::Running;
            wanted.starts += 1;
        });
    }

    /// Somebody asks to stop services, with blanks between their names.
    pub fn stop(&mut self, names: &str) {
        self.request(names, |wanted| wanted.desired = Desired::Stopped);
    }

    /// Somebody asks to restart services, with blanks between their names.
    pub fn restart(&mut self, names: &str) {
        self.request(names, |wanted| {
            wanted.desired = Desired::Running;
            wanted.restarts += 1;
        });
    }

    /// Somebody asks for so many replicas of a service; what is beyond its bounds is refused with the reason.
    ///
    /// # Errors
    /// The bound that it passes.
    pub fn scale(&mut self, name: &str, count: u32) -> Result<(), String> {
        self.store.wanted[name].scaled_to(count)?;
        self.request(name, |wanted| *wanted = wanted.scaled_to(count).expect("it was just asked"));
        Ok(())
    }

    /// So many replicas of a service were measured, and use so much together, in thousandths; what that asks for is committed, and heard.
    pub fn load(&mut self, name: &str, sum_permille: u64, measured: usize) {
        let measured = u32::try_from(measured).unwrap_or(u32::MAX);
        let cpu = (measured > 0).then_some(Load { sum_permille, measured });
        if let Some(wanted) = self.core.weigh(self.now, name, &Loads { cpu, memory: None }) {
            self.want(vec![(ServiceName::new(name).expect("it is there"), Some(wanted))]);
        }
    }

    /// Somebody asks for something else of a service.
    pub fn change(&mut self, name: &str, change: impl Fn(&mut Wanted)) {
        self.request(name, change);
    }

    fn request(&mut self, names: &str, change: impl Fn(&mut Wanted)) {
        let wanted = &self.store.wanted;
        let changed = names.split_whitespace().map(|name| {
            let (name, wanted) = wanted.get_key_value(name).expect("it is there");
            let mut wanted = wanted.clone();
            change(&mut wanted);
            (name.clone(), Some(wanted))
        });
        let changes = changed.collect();
        self.want(changes);
    }

    /// The store commits what is wanted; then the core hears it.
    pub fn want(&mut self, changes: Vec<(ServiceName, Option<Wanted>)>) {
        for (name, wanted) in &changes {
            let requests = |wanted: Option<&Wanted>| wanted.map_or(0, |wanted| wanted.starts + wanted.restarts);
            if requests(wanted.as_ref()) > requests(self.store.wanted.get(name)) {
                self.asked_for.extend((0..4).map(|replica| (name.clone(), replica)));
            }
        }
        self.store.want(&changes);
        self.backoffs.clear();
        self.in_a_row.clear();
        self.hear(Event::Wanted(changes));
        self.settle();
    }

    /// Somebody loses patience with a service that goes down.
    pub fn force(&mut self, name: &str) {
        let name = ServiceName::new(name).expect("a name");
        self.forced.insert(name.clone());
        self.hear(Event::Force(vec![name]));
        self.settle();
    }

    /// The host goes down.
    pub fn close(&mut self, force: bool) {
        self.backoffs.clear();
        self.in_a_row.clear();
        self.closing = true;
        if force {
            self.forced.extend(self.core.names().cloned().collect::<Vec<_>>());
        }
        self.hear(Event::Close { force });
        self.settle();
    }

    // ---- what happens ---------------------------------------------------------------------------------------------

    /// What becomes of the next call of this kind.
    pub fn next(&mut self, call: &str, fate: Fate) {
        self.scripted.push((call.to_owned(), fate));
    }

    /// Carries out and answers the oldest held call of this kind.
    pub fn release(&mut self, call: &str) {
        let position =
            self.held.iter().position(|(name, _)| name == call).unwrap_or_else(|| panic!("nothing held is called {call}: {:?}", self.held));
        let (_, action) = self.held.remove(position);
        self.later(Span::ZERO, Pending::Effect(action, Course::at_once(Fate::Done)));
        self.settle();
    }

    /// A held call fails in this way, after all.
    pub fn fail(&mut self, call: &str, fate: Fate) {
        let position =
            self.held.iter().position(|(name, _)| name == call).unwrap_or_else(|| panic!("nothing held is called {call}: {:?}", self.held));
        let (_, action) = self.held.remove(position);
        self.later(Span::ZERO, Pending::Effect(action, Course::at_once(fate)));
        self.settle();
    }

    /// The running task of a service exits, and its backend notices.
    pub fn exit(&mut self, service: &str, code: i32) {
        let run = self.run_of(service).unwrap_or_else(|| panic!("{service} does not run"));
        let name = self.backend_of(run);
        self.engine(&name).exit(run, Exit { code: Some(code), ..Exit::default() });
        self.hear(Event::Hint { backend: name });
        self.settle();
    }

    /// A backend cannot be asked.
    pub fn away(&mut self, backend: &str, why: &str) {
        self.engine(backend).away = Some(why.to_owned());
    }

    /// A backend can be asked again.
    pub fn back(&mut self, backend: &str) {
        self.engine(backend).away = None;
    }

    /// What a check says from now on: `service` or `service/check`.
    pub fn says(&mut self, check: &str, verdict: Verdict) {
        self.verdicts.insert(check.to_owned(), verdict);
    }

    /// The host is killed and started again: tasks live on, what was under way is forgotten, of calls and of answers.
    pub fn restart_host(&mut self, same_boot: bool) {
        self.pending.clear();
        self.held.clear();
        self.start_host(same_boot);
        self.settle();
    }

    /// The same, but what engines were already doing for the old host still takes effect.
    pub fn kill_host(&mut self, same_boot: bool) {
        self.pending.retain(|_, pending| {
            matches!(pending, Pending::Effect(Action::Start { .. } | Action::Update { .. } | Action::Stop { .. } | Action::Destroy { .. }, _))
        });
        for pending in self.pending.values_mut() {
            let Pending::Effect(_, course) = pending else { continue };
            course.answer_after = Span(u64::MAX);
        }
        self.start_host(same_boot);
    }

    fn start_host(&mut self, same_boot: bool) {
        if self.shown {
            println!("{:>10} the host is restarted", self.now.0);
        }
        if !same_boot {
            self.backoffs.clear();
            self.in_a_row.clear();
        }
        self.core = Core::restore(self.config.clone(), self.now, self.store.remembered(same_boot));
        self.closing = false;
        self.forced.clear();
        self.stopping.clear();
        // What nobody wants any more is given up without being asked for, and destroyed once it is found.
        let (owners, wanted) = (&self.owners, &self.store.wanted);
        self.there.retain(|run| owners.get(run).is_some_and(|(name, _)| wanted.contains_key(name)));
        self.decide();
        self.before = holds::look(self);
    }

    /// Time passes; everything due happens in order.
    pub fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(at) = self.next_step().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = until;
        self.hear(Event::Tick);
        self.settle();
    }

    /// The machine sleeps: the clock goes on, and everything under way comes so much later.
    pub fn sleep(&mut self, span: Span) {
        self.now = self.now + span;
        self.pending = std::mem::take(&mut self.pending).into_iter().map(|((at, sequence), pending)| ((at + span, sequence), pending)).collect();
        self.hear(Event::Tick);
        self.settle();
    }

    fn next_step(&self) -> Option<Time> {
        let pending = self.pending.first_key_value().map(|((at, _), _)| *at);
        [pending, self.core.poll_timeout()].into_iter().flatten().min()
    }

    /// Everything that can happen without time passing happens.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            match self.next_step() {
                Some(at) if at <= self.now => self.step(),
                _ => return,
            }
        }
        panic!("it never comes to rest");
    }

    fn step(&mut self) {
        let due = self.pending.first_key_value().filter(|((at, _), _)| *at <= self.now).map(|(key, _)| *key);
        match due.and_then(|key| self.pending.remove(&key)) {
            Some(Pending::Effect(action, course)) => self.take_effect(action, &course),
            Some(Pending::Answer(event)) => self.hear(event),
            None => self.hear(Event::Tick),
        }
    }

    /// Writes the journal, where somebody keeps one.
    fn note(&mut self, what: impl FnOnce() -> What) {
        if let Some(journal) = &mut self.journal {
            journal.push(Entry { at: self.now, what: what() });
        }
    }

    fn later(&mut self, span: Span, pending: Pending) {
        self.sequence += 1;
        self.pending.insert((self.now + span, self.sequence), pending);
    }

    // ---- hearing and doing ----------------------------------------------------------------------------------------

    /// The core hears something, and decides.
    pub fn hear(&mut self, event: Event) {
        let told = holds::Told::of(&event);
        if self.shown && !matches!(event, Event::Tick | Event::Looked { seen: Ok(_), .. }) {
            println!("{:>10} {}", self.now.0, looks::said(&event));
        }
        if let Event::StartFailed { run, fault: Fault::Interrupted(_) } = &event {
            self.there.extend(self.alive().into_iter().filter(|alive| alive == run));
        }
        self.core.handle(self.now, event);
        self.decide();
        let changed = self.core.take_changed();
        self.before = holds::after(self, &told, &changed, &self.before);
    }

    /// One decision: what is to be remembered is committed before anything else is begun.
    fn decide(&mut self) {
        let actions: Vec<Action> = std::iter::from_fn(|| self.core.poll_action()).collect();
        self.decided += actions.len();
        for action in &actions {
            match action {
                Action::Save(saved) => {
                    if let Saved::Slot(name, replica, Some(record)) = saved
                        && let Some((until, _)) = record.backoff
                    {
                        self.backoffs.insert((name.clone(), *replica), until);
                    }
                    if let Saved::Task(run, Some(record)) = saved
                        && record.stage == Stage::Abandoned
                    {
                        assert!(!self.there.contains(run) || !self.alive().contains(run), "I5: run {run} was given up, and was there");
                    }
                    self.store.save(saved.clone());
                }
                Action::Tell(notice) => {
                    if self.shown {
                        println!("{:>10}   {} {}: {:?}: {}", self.now.0, notice.service, notice.run.unwrap_or(0), notice.kind, notice.message);
                    }
                    holds::count_restarts(self, notice);
                    self.note(|| What::Told(notice.clone()));
                    self.notices.push((self.now, notice.clone()));
                }
                Action::Start { .. }
                | Action::Update { .. }
                | Action::Stop { .. }
                | Action::Destroy { .. }
                | Action::Look { .. }
                | Action::List { .. }
                | Action::Check { .. } => {}
            }
        }
        for action in actions {
            if !matches!(action, Action::Save(_) | Action::Tell(_)) {
                holds::before_doing(self, &action);
                if let Action::Stop { run, .. } = action {
                    self.stopping.insert(run);
                }
                self.begin(action);
            }
        }
    }
}

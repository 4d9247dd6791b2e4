//! A world for the core: engines that hold tasks, a store that remembers, calls that can be held, lost or answered late, and a clock.
//!
//! Every step checks what must hold (see `holds`), so that each story proves the invariants beside its own point.

mod engine;
mod holds;
mod store;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_core::{
    Action, CheckResult, Config, Core, Desired, Event, Exit, Fault, Notice, Phase, Run, Saved, ServiceName, Span, Spec, Time, Verdict, Wanted,
};

pub(crate) use engine::Engine;
pub(crate) use store::Store;
pub(crate) use text::specs;

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
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
pub(crate) struct Course {
    pub(crate) fate: Fate,
    pub(crate) effect_after: Span,
    pub(crate) answer_after: Span,
}

impl Course {
    pub(crate) fn at_once(fate: Fate) -> Course {
        Course { fate, effect_after: Span::ZERO, answer_after: Span::ZERO }
    }
}

/// What is under way.
#[derive(Debug, Clone)]
enum Pending {
    Effect(Action, Course),
    Answer(Event),
}

/// Decides the course of every call.
pub(crate) type Fates = Box<dyn FnMut(&str, &Action) -> Course>;

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) engines: BTreeMap<String, Engine>,
    /// What checks say, by `service` or `service/check`; `Pass` when it is not here.
    pub(crate) verdicts: BTreeMap<String, Verdict>,
    /// Fates of the next calls, by what they are called: `start db`.
    scripted: Vec<(String, Fate)>,
    pub(crate) fates: Option<Fates>,
    held: Vec<(String, Action)>,
    pending: BTreeMap<(Time, u64), Pending>,
    sequence: u64,
    log: Vec<String>,
    pub(crate) notices: Vec<(Time, Notice)>,
    pub(crate) owners: BTreeMap<Run, (ServiceName, u32)>,
    pub(crate) decided: usize,
    /// Until when a slot is to wait, as long as nobody asks for anything.
    pub(crate) backoffs: BTreeMap<(ServiceName, u32), Time>,
    before: holds::Before,
    /// Shows what happens, for whoever looks into one seed.
    pub(crate) shown: bool,
    pub(crate) closing: bool,
    pub(crate) forced: BTreeSet<ServiceName>,
    /// Runs whose stop was begun: it is repeated until it works, whatever is wanted meanwhile.
    pub(crate) stopping: BTreeSet<Run>,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> World {
        World {
            core: Core::new(config.clone()),
            now: Time(1_000_000),
            config,
            store: Store::default(),
            engines: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            scripted: Vec::new(),
            fates: None,
            held: Vec::new(),
            pending: BTreeMap::new(),
            sequence: 0,
            log: Vec::new(),
            notices: Vec::new(),
            owners: BTreeMap::new(),
            decided: 0,
            backoffs: BTreeMap::new(),
            before: holds::Before::default(),
            shown: false,
            closing: false,
            forced: BTreeSet::new(),
            stopping: BTreeSet::new(),
        }
    }

    /// A world where these services were applied (see [`specs`]), and everything that can happen at once has happened.
    pub(crate) fn of(text: &str) -> World {
        let mut world = World::new();
        world.apply(text);
        world
    }

    // ---- what people do -------------------------------------------------------------------------------------------

    pub(crate) fn apply(&mut self, text: &str) {
        self.apply_specs(specs(text));
    }

    pub(crate) fn apply_specs(&mut self, specs: Vec<Spec>) {
        let changes = specs.into_iter().map(|spec| {
            let name = spec.name.clone();
            let spec = Arc::new(spec);
            let fresh = Wanted { spec: Arc::clone(&spec), generation: 1, desired: Desired::Running, starts: 1, restarts: 0 };
            let wanted = self.store.wanted.get(&name).map_or(fresh, |before| Wanted { spec, generation: before.generation + 1, ..before.clone() });
            (name, Some(wanted))
        });
        let changes = changes.collect();
        self.want(changes);
    }

    /// Changes the spec of one service.
    pub(crate) fn edit(&mut self, name: &str, change: impl FnOnce(&mut Spec)) {
        let mut spec = self.store.wanted[name].spec.as_ref().clone();
        change(&mut spec);
        self.apply_specs(vec![spec]);
    }

    pub(crate) fn remove(&mut self, names: &str) {
        let changes = names.split_whitespace().map(|name| (ServiceName::new(name).expect("a name"), None)).collect();
        self.want(changes);
    }

    pub(crate) fn start(&mut self, names: &str) {
        self.request(names, |wanted| {
            wanted.desired = Desired::Running;
            wanted.starts += 1;
        });
    }

    pub(crate) fn stop(&mut self, names: &str) {
        self.request(names, |wanted| wanted.desired = Desired::Stopped);
    }

    pub(crate) fn restart(&mut self, names: &str) {
        self.request(names, |wanted| {
            wanted.desired = Desired::Running;
            wanted.restarts += 1;
        });
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
    pub(crate) fn want(&mut self, changes: Vec<(ServiceName, Option<Wanted>)>) {
        self.store.want(&changes);
        self.backoffs.clear();
        self.hear(Event::Wanted(changes));
        self.settle();
    }

    pub(crate) fn force(&mut self, name: &str) {
        let name = ServiceName::new(name).expect("a name");
        self.forced.insert(name.clone());
        self.hear(Event::Force(vec![name]));
        self.settle();
    }

    pub(crate) fn close(&mut self, force: bool) {
        self.backoffs.clear();
        self.closing = true;
        if force {
            self.forced.extend(self.core.names().cloned().collect::<Vec<_>>());
        }
        self.hear(Event::Close { force });
        self.settle();
    }

    // ---- what happens ---------------------------------------------------------------------------------------------

    /// What becomes of the next call of this kind.
    pub(crate) fn next(&mut self, call: &str, fate: Fate) {
        self.scripted.push((call.to_owned(), fate));
    }

    /// Carries out and answers the oldest held call of this kind.
    pub(crate) fn release(&mut self, call: &str) {
        let position =
            self.held.iter().position(|(name, _)| name == call).unwrap_or_else(|| panic!("nothing held is called {call}: {:?}", self.held));
        let (_, action) = self.held.remove(position);
        self.later(Span::ZERO, Pending::Effect(action, Course::at_once(Fate::Done)));
        self.settle();
    }

    /// A held call fails in this way, after all.
    pub(crate) fn fail(&mut self, call: &str, fate: Fate) {
        let position =
            self.held.iter().position(|(name, _)| name == call).unwrap_or_else(|| panic!("nothing held is called {call}: {:?}", self.held));
        let (_, action) = self.held.remove(position);
        self.later(Span::ZERO, Pending::Effect(action, Course::at_once(fate)));
        self.settle();
    }

    /// The running task of a service exits, and its backend notices.
    pub(crate) fn exit(&mut self, service: &str, code: i32) {
        let run = self.run_of(service).unwrap_or_else(|| panic!("{service} does not run"));
        let name = self.backend_of(run);
        self.engine(&name).exit(run, Exit { code: Some(code), ..Exit::default() });
        self.hear(Event::Hint { backend: name });
        self.settle();
    }

    pub(crate) fn away(&mut self, backend: &str, why: &str) {
        self.engine(backend).away = Some(why.to_owned());
    }

    pub(crate) fn back(&mut self, backend: &str) {
        self.engine(backend).away = None;
    }

    pub(crate) fn says(&mut self, check: &str, verdict: Verdict) {
        self.verdicts.insert(check.to_owned(), verdict);
    }

    /// The host is killed and started again: tasks live on, what was under way is forgotten, of calls and of answers.
    pub(crate) fn restart_host(&mut self, same_boot: bool) {
        self.pending.clear();
        self.held.clear();
        self.start_host(same_boot);
        self.settle();
    }

    /// The same, but what engines were already doing for the old host still takes effect.
    pub(crate) fn kill_host(&mut self, same_boot: bool) {
        self.pending.retain(|_, pending| matches!(pending, Pending::Effect(Action::Start { .. } | Action::Stop { .. } | Action::Destroy { .. }, _)));
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
        }
        self.core = Core::restore(self.config.clone(), self.now, self.store.remembered(same_boot));
        self.closing = false;
        self.forced.clear();
        self.stopping.clear();
        self.decide();
        self.before = holds::look(self);
    }

    /// Time passes; everything due happens in order.
    pub(crate) fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(at) = self.next_step().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = until;
        self.hear(Event::Tick);
        self.settle();
    }

    fn next_step(&self) -> Option<Time> {
        let pending = self.pending.first_key_value().map(|((at, _), _)| *at);
        [pending, self.core.poll_timeout()].into_iter().flatten().min()
    }

    /// Everything that can happen without time passing happens.
    pub(crate) fn settle(&mut self) {
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

    fn later(&mut self, span: Span, pending: Pending) {
        self.sequence += 1;
        self.pending.insert((self.now + span, self.sequence), pending);
    }

    // ---- hearing and doing ----------------------------------------------------------------------------------------

    pub(crate) fn hear(&mut self, event: Event) {
        let told = holds::Told::of(&event);
        if self.shown && !matches!(event, Event::Tick | Event::Looked { seen: Ok(_), .. }) {
            println!("{:>10} {}", self.now.0, said(&event));
        }
        self.core.handle(self.now, event);
        self.decide();
        self.before = holds::after(self, &told, &self.before);
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
                    self.store.save(saved.clone());
                }
                Action::Tell(notice) if self.shown => {
                    println!("{:>10}   {} {}: {:?}: {}", self.now.0, notice.service, notice.run.unwrap_or(0), notice.kind, notice.message)
                }
                Action::Tell(notice) => self.notices.push((self.now, notice.clone())),
                Action::Start { .. }
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

    fn begin(&mut self, action: Action) {
        let call = self.name_of(&action);
        if let Action::Start { run, replica, spec } = &action {
            let until = self.backoffs.remove(&(spec.name.clone(), *replica));
            assert!(until.is_none_or(|until| self.now >= until), "I6: {call} comes before its wait is over");
            self.owners.insert(*run, (spec.name.clone(), *replica));
        }
        if self.shown && !matches!(action, Action::Look { .. }) {
            println!("{:>10}     {call}", self.now.0);
        }
        if matches!(action, Action::Start { .. } | Action::Stop { .. } | Action::Destroy { .. }) {
            self.log.push(call.clone());
        }
        let scripted = self.scripted.iter().position(|(name, _)| *name == call);
        let course = match (scripted, &mut self.fates) {
            (Some(position), _) => Course::at_once(self.scripted.remove(position).1),
            (None, Some(fates)) => fates(&call, &action),
            (None, None) => Course::at_once(Fate::Done),
        };
        if course.fate == Fate::Held {
            self.held.push((call, action));
        } else {
            self.later(course.effect_after, Pending::Effect(action, course));
        }
    }

    fn take_effect(&mut self, action: Action, course: &Course) {
        let interrupted = || Fault::Interrupted("the answer was lost".to_owned());
        let answer = match &course.fate {
            Fate::Late(span) => {
                let unheard = Course { fate: Fate::Done, effect_after: Span::ZERO, answer_after: Span(u64::MAX) };
                self.later(*span, Pending::Effect(action.clone(), unheard));
                failed(&action, interrupted())
            }
            Fate::Fault(fault) => failed(&action, fault.clone()),
            Fate::Done => self.carry_out(&action),
            Fate::Lost | Fate::Held => {
                self.carry_out(&action);
                failed(&action, interrupted())
            }
        };
        holds::one_life_per_slot(self);
        if course.answer_after < Span(u64::MAX) {
            self.later(course.answer_after, Pending::Answer(answer));
        }
    }

    fn carry_out(&mut self, action: &Action) -> Event {
        match action {
            Action::Start { run, spec, .. } => match self.engine(&spec.backend.plugin).start(*run) {
                Ok(()) => Event::Started { run: *run },
                Err(fault) => Event::StartFailed { run: *run, fault },
            },
            Action::Stop { run, backend, .. } => match self.engine(backend).stop(*run) {
                Ok(exit) => Event::Stopped { run: *run, exit },
                Err(fault) => Event::StopFailed { run: *run, fault },
            },
            Action::Destroy { run, backend, force } => Event::Destroyed { run: *run, fault: self.engine(backend).destroy(*run, *force).err() },
            Action::Look { backend, runs } => Event::Looked { backend: backend.clone(), seen: self.engine(backend).look(runs) },
            Action::List { backend } => Event::Listed { backend: backend.clone(), found: self.engine(backend).list() },
            Action::Check { run, check, ticket, spec, .. } => {
                let name = &spec.checks[*check].name;
                let verdict = [format!("{}/{name}", spec.name), spec.name.to_string()]
                    .iter()
                    .find_map(|key| self.verdicts.get(key).copied())
                    .unwrap_or(Verdict::Pass);
                let message = format!("{verdict:?}").to_lowercase();
                Event::Checked(CheckResult { run: *run, check: *check, ticket: *ticket, verdict, message, took: Span(1) })
            }
            Action::Save(_) | Action::Tell(_) => unreachable!("they were done with the decision"),
        }
    }

    // ---- looking --------------------------------------------------------------------------------------------------

    pub(crate) fn engine(&mut self, name: &str) -> &mut Engine {
        self.engines.entry(name.to_owned()).or_default()
    }

    fn backend_of(&self, run: Run) -> String {
        self.engines.iter().find(|(_, engine)| engine.tasks.contains_key(&run)).map(|(name, _)| name.clone()).expect("somebody runs it")
    }

    /// What a call is called: `start db`, `stop db.1` for the second replica, `kill db` for a stop without grace.
    fn name_of(&self, action: &Action) -> String {
        match action {
            Action::Start { replica, spec, .. } => format!("start {}", label(&spec.name, *replica)),
            Action::Stop { run, grace, .. } => format!("{} {}", if *grace == Span::ZERO { "kill" } else { "stop" }, self.label_of(*run)),
            Action::Destroy { run, .. } => format!("destroy {}", self.label_of(*run)),
            Action::Look { backend, .. } => format!("look {backend}"),
            Action::List { backend } => format!("list {backend}"),
            Action::Check { spec, check, .. } => format!("check {}/{}", spec.name, spec.checks[*check].name),
            Action::Save(_) | Action::Tell(_) => String::new(),
        }
    }

    fn label_of(&self, run: Run) -> String {
        self.owners.get(&run).map_or_else(|| format!("#{run}"), |(name, replica)| label(name, *replica))
    }

    /// The starts, stops and destroys since the last call, in order.
    pub(crate) fn done(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }

    /// The same without destroys.
    pub(crate) fn moves(&mut self) -> String {
        let moves: Vec<String> = std::mem::take(&mut self.log).into_iter().filter(|call| !call.starts_with("destroy")).collect();
        moves.join(", ")
    }

    /// The live run of a service, or of one replica (`db.1`).
    pub(crate) fn run_of(&self, label: &str) -> Option<Run> {
        let (name, replica) = label.split_once('.').map_or((label, 0), |(name, replica)| (name, replica.parse().expect("a number")));
        self.core.service(name)?.replicas.into_iter().find(|view| view.replica == replica)?.run
    }

    pub(crate) fn status(&self, name: &str) -> &'static str {
        self.core.status(name).word()
    }

    pub(crate) fn health(&self, name: &str) -> &'static str {
        self.core.service(name).map_or("gone", |view| view.health.word())
    }

    /// `app running, db stopped`, by name.
    pub(crate) fn statuses(&self) -> String {
        let all: Vec<String> = self.core.names().map(|name| format!("{name} {}", self.status(name.as_str()))).collect();
        all.join(", ")
    }

    /// The chain of causes, and the next step with the milliseconds until then.
    pub(crate) fn explain(&self, name: &str) -> String {
        let (mut lines, next) = self.core.explain(name);
        if let Some(next) = next {
            let when = next.at.map_or(String::new(), |at| format!(" in {}", at.since(self.now)));
            lines.push(format!("next: {}{when}", next.what));
        }
        lines.join("\n")
    }

    /// The notices of one kind about one service.
    pub(crate) fn told(&self, service: &str, kind: hostler_core::NoticeKind) -> Vec<&str> {
        self.notices
            .iter()
            .map(|(_, notice)| notice)
            .filter(|notice| notice.kind == kind && notice.service.as_str() == service)
            .map(|notice| &*notice.message)
            .collect()
    }

    /// Lives that an engine keeps going.
    pub(crate) fn alive(&self) -> Vec<Run> {
        let tasks = self.engines.values().flat_map(|engine| &engine.tasks);
        tasks.filter(|(_, phase)| **phase == Phase::Running).map(|(run, _)| *run).collect()
    }
}

fn label(name: &ServiceName, replica: u32) -> String {
    if replica == 0 { name.to_string() } else { format!("{name}.{replica}") }
}

fn said(event: &Event) -> String {
    let Event::Wanted(changes) = event else { return format!("{event:?}") };
    let change = |(name, wanted): &(ServiceName, Option<Wanted>)| {
        let Some(wanted) = wanted else { return format!("\n             remove {name}") };
        let spec = &wanted.spec;
        let edges: Vec<String> = spec
            .dependencies
            .iter()
            .map(|edge| {
                format!("{}{}{}{:?}", edge.service, if edge.optional { "?" } else { "" }, if edge.restart { "!" } else { "" }, edge.condition)
            })
            .collect();
        format!(
            "\n             {name} {:?} {} starts {} restarts {} x{} {} {:?} <- {}",
            wanted.desired,
            spec.enabled,
            wanted.starts,
            wanted.restarts,
            spec.replicas.count,
            spec.task_digest,
            spec.kind,
            edges.join(" ")
        )
    };
    format!("Wanted{}", changes.iter().map(change).collect::<String>())
}

/// The answer to a call that failed.
fn failed(action: &Action, fault: Fault) -> Event {
    match action {
        Action::Start { run, .. } => Event::StartFailed { run: *run, fault },
        Action::Stop { run, .. } => Event::StopFailed { run: *run, fault },
        Action::Destroy { run, .. } => Event::Destroyed { run: *run, fault: Some(fault) },
        Action::Look { backend, .. } => Event::Looked { backend: backend.clone(), seen: Err(fault.message().to_owned()) },
        Action::List { backend } => Event::Listed { backend: backend.clone(), found: Err(fault.message().to_owned()) },
        Action::Check { run, check, ticket, .. } => Event::Checked(CheckResult {
            run: *run,
            check: *check,
            ticket: *ticket,
            verdict: Verdict::Unknown,
            message: fault.message().to_owned(),
            took: Span(1),
        }),
        Action::Save(_) | Action::Tell(_) => unreachable!("they cannot fail"),
    }
}

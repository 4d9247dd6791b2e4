//! The core among liars: plugins say anything about any life at any time, and what it decides still keeps its own promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbitrary::{Arbitrary, Result, Unstructured};
use hostler_core::{
    Action, CheckResult, CheckSpec, Condition, Config, Core, Dependency, Desired, Event, Exit, Fault, Kind, Phase, RestartMode, Run, Saved,
    ServiceName, Span, Spec, Stage, Time, Verdict, Wanted,
};
use hostler_stories::world::Store;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const BACKENDS: [&str; 2] = ["p", "q"];

/// So many things happen in one life at most: what takes more is found by the simulator.
const MOST: usize = 200;

pub(crate) fn core(data: &[u8]) {
    let mut from = Unstructured::new(data);
    let Ok(parallel) = from.int_in_range(1..=4) else { return };
    let config = Config { max_parallel: parallel, seed: data.len() as u64, ..Config::default() };
    let mut liar = Liar {
        core: Core::new(config.clone()),
        config,
        now: Time(1_000),
        store: Store::default(),
        runs: Vec::new(),
        tickets: Vec::new(),
        closing: false,
    };
    for _ in 0..MOST {
        if from.is_empty() || liar.one_thing(&mut from).is_err() {
            break;
        }
    }
    liar.looks();
}

struct Liar {
    core: Core,
    config: Config,
    now: Time,
    store: Store,
    /// Every life there ever was.
    runs: Vec<Run>,
    /// Every question of a check.
    tickets: Vec<(Run, u64)>,
    closing: bool,
}

impl Liar {
    fn one_thing(&mut self, from: &mut Unstructured<'_>) -> Result<()> {
        let event = match from.int_in_range(0..=15)? {
            0 | 1 => self.want(from)?,
            2 => Event::Started { run: self.run(from)? },
            3 => Event::StartFailed { run: self.run(from)?, fault: fault(from)? },
            4 => Event::Stopped { run: self.run(from)?, exit: maybe(from, exit)? },
            5 => Event::StopFailed { run: self.run(from)?, fault: fault(from)? },
            6 => Event::Destroyed { run: self.run(from)?, fault: maybe(from, fault)? },
            7 => Event::Looked { backend: backend(from)?, seen: self.said(from)? },
            8 => Event::Listed { backend: backend(from)?, found: self.said(from)? },
            9 => Event::Seen { backend: backend(from)?, seen: self.said(from)?.unwrap_or_default() },
            10 => self.checked(from)?,
            11 => Event::Hint { backend: backend(from)? },
            12 => Event::Plugin { backend: backend(from)?, missing: bool::arbitrary(from)?.then(|| "gone".to_owned()) },
            13 => Event::Watched { backend: backend(from)?, closely: bool::arbitrary(from)? },
            14 => return self.pass(from),
            _ => return self.rarely(from),
        };
        self.hear(event);
        Ok(())
    }

    fn hear(&mut self, event: Event) {
        self.core.handle(self.now, event);
        self.decide();
    }

    fn rarely(&mut self, from: &mut Unstructured<'_>) -> Result<()> {
        match from.int_in_range(0..=4)? {
            0 => {
                let same_boot = bool::arbitrary(from)?;
                self.core = Core::restore(self.config.clone(), self.now, self.store.remembered(same_boot));
                self.closing = false;
                self.decide();
            }
            1 => {
                self.closing = true;
                self.hear(Event::Close { force: bool::arbitrary(from)? });
            }
            2 => {
                let names = self.store.wanted.keys().cloned().collect();
                self.hear(Event::Force(names));
            }
            3 => {
                self.looks();
                let names = self.store.wanted.keys().cloned().collect();
                self.hear(Event::CheckNow(names));
            }
            _ => {
                let name = ServiceName::new(from.choose(&NAMES)?).expect("a name");
                self.store.want(&[(name.clone(), None)]);
                self.hear(Event::Wanted(vec![(name, None)]));
            }
        }
        Ok(())
    }

    /// Time passes, far or near; at no moment is there work without end.
    fn pass(&mut self, from: &mut Unstructured<'_>) -> Result<()> {
        let span = match from.int_in_range(0..=3)? {
            0 => u64::from(u8::arbitrary(from)?),
            1 => u64::from(u16::arbitrary(from)?),
            2 => u64::from(u32::arbitrary(from)?),
            _ => u64::arbitrary(from)? >> 2,
        };
        self.now = self.now + Span(span);
        for _ in 0..1_000 {
            self.hear(Event::Tick);
            if self.core.poll_timeout().is_none_or(|at| at > self.now) {
                return Ok(());
            }
        }
        panic!("at {:?} it wants to be woken for ever", self.now);
    }

    /// One of the lives there were, or one that nobody has heard of.
    fn run(&self, from: &mut Unstructured<'_>) -> Result<Run> {
        let any = u64::arbitrary(from)?;
        Ok(if any % 8 == 7 || self.runs.is_empty() { any >> 3 } else { self.runs[(any >> 3) as usize % self.runs.len()] })
    }

    fn said(&self, from: &mut Unstructured<'_>) -> Result<std::result::Result<Vec<(Run, Phase)>, String>> {
        if from.int_in_range(0..=7)? == 0 {
            return Ok(Err("away".to_owned()));
        }
        (0..from.int_in_range(0..=4)?).map(|_| Ok((self.run(from)?, phase(from)?))).collect::<Result<Vec<_>>>().map(Ok)
    }

    fn checked(&self, from: &mut Unstructured<'_>) -> Result<Event> {
        let verdict = *from.choose(&[Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Unknown])?;
        let (run, ticket) = match self.tickets.last() {
            Some(_) if bool::arbitrary(from)? => *from.choose(&self.tickets)?,
            _ => (self.run(from)?, u64::arbitrary(from)?),
        };
        Ok(Event::Checked(CheckResult { run, ticket, verdict, message: "m".to_owned(), took: Span(u64::arbitrary(from)?) }))
    }

    fn want(&mut self, from: &mut Unstructured<'_>) -> Result<Event> {
        let at = from.choose_index(NAMES.len())?;
        let name = ServiceName::new(NAMES[at]).expect("a name");
        let before = self.store.wanted.get(&name).cloned();
        let wanted = match before {
            Some(before) if bool::arbitrary(from)? => {
                let desired = if bool::arbitrary(from)? { Desired::Running } else { Desired::Stopped };
                let (starts, restarts) = (before.starts + u64::from(bool::arbitrary(from)?), before.restarts + u64::from(bool::arbitrary(from)?));
                Wanted { desired, starts, restarts, ..before }
            }
            before => {
                let generation = before.as_ref().map_or(1, |before| before.generation + 1);
                let starts = before.as_ref().map_or(1, |before| before.starts);
                let restarts = before.as_ref().map_or(0, |before| before.restarts);
                Wanted {
                    spec: Arc::new(spec(name.clone(), at, from)?),
                    generation,
                    desired: Desired::Running,
                    starts,
                    restarts,
                    scaled: None,
                    held: Default::default(),
                }
            }
        };
        let changes = vec![(name, Some(wanted))];
        self.store.want(&changes);
        Ok(Event::Wanted(changes))
    }

    /// One decision. What is to be remembered is remembered first.
    fn decide(&mut self) {
        let actions: Vec<Action> = std::iter::from_fn(|| self.core.poll_action()).take(20_000).collect();
        assert!(actions.len() < 20_000, "a decision without end");
        for action in &actions {
            if let Action::Save(saved) = action {
                self.store.save(saved.clone());
            }
        }
        let mut stopped = BTreeSet::new();
        for action in actions {
            match action {
                Action::Start { run, replica, spec } => self.starts(run, replica, &spec),
                Action::Stop { run, .. } => assert!(stopped.insert(run), "run {run} is stopped twice in one breath"),
                Action::Destroy { run, .. } => {
                    assert!(self.runs.contains(&run) || run < self.store.next_run || self.is_named(run), "run {run} is nobody's")
                }
                Action::Check { run, ticket, check, spec, .. } => {
                    assert!(check < spec.checks.len());
                    self.tickets.push((run, ticket));
                }
                Action::Save(Saved::NextRun(_) | Saved::Reserve(_) | Saved::Slot(..) | Saved::Task(..))
                | Action::Tell(_)
                | Action::Update { .. }
                | Action::Look { .. }
                | Action::List { .. } => {}
            }
        }
    }

    /// A life that only a liar has named.
    fn is_named(&self, run: Run) -> bool {
        self.core.owner_of(run).is_none()
    }

    fn starts(&mut self, run: Run, replica: u32, spec: &Spec) {
        assert!(self.runs.iter().all(|known| *known < run), "run {run} comes after {:?}", self.runs.last());
        self.runs.push(run);
        let record = self.store.tasks.get(&run).expect("an intent stands before its start");
        assert_eq!(record.stage, Stage::Intent);
        let wanted = &self.store.wanted[&spec.name];
        assert!(
            !self.closing && wanted.desired == Desired::Running && wanted.spec.enabled && replica < wanted.spec.replicas.count,
            "{} is not wanted",
            spec.name
        );
        for edge in spec.dependencies.iter().filter(|edge| !edge.optional) {
            assert!(self.store.wanted.contains_key(&edge.service), "{} starts without {}", spec.name, edge.service);
        }
        let starting = self.store.tasks.values().filter(|record| record.stage == Stage::Intent).count();
        let slots: BTreeMap<_, _> = self
            .store
            .tasks
            .values()
            .filter(|record| record.stage == Stage::Intent)
            .map(|record| ((record.service.clone(), record.replica), ()))
            .collect();
        assert_eq!(starting, slots.len(), "two lives of one slot are being started");
    }

    /// Whoever looks is answered.
    fn looks(&self) {
        let names: Vec<&ServiceName> = self.core.names().collect();
        for name in names {
            let view = self.core.service(name.as_str()).expect("it is named");
            assert!(!view.status.as_str().is_empty());
            let (lines, _) = self.core.explain(name.as_str());
            assert!(lines.iter().all(|line| !line.is_empty()));
            let _ = self.core.is_settled(name.as_str());
        }
    }
}

fn spec(name: ServiceName, at: usize, from: &mut Unstructured<'_>) -> Result<Spec> {
    let mut spec = Spec::new(name, from.choose(&BACKENDS)?, "{}");
    spec.task_digest = format!("{}", from.int_in_range(0..=3)?);
    spec.kind = if from.int_in_range(0..=3)? == 0 { Kind::Oneshot } else { Kind::Service };
    spec.enabled = from.int_in_range(0..=7)? != 0;
    spec.replicas.count = from.int_in_range(1..=3)?;
    spec.restart.mode = *from.choose(&[RestartMode::Always, RestartMode::OnFailure, RestartMode::Never])?;
    spec.restart.max_attempts = maybe(from, |from| from.int_in_range(0..=4))?;
    spec.restart.initial = Span(u64::from(u16::arbitrary(from)?));
    spec.restart.reset_after = Span(u64::from(u32::arbitrary(from)?));
    // A document with a cycle is refused before the core sees it: edges go to those before.
    for before in NAMES.iter().take(at) {
        if from.int_in_range(0..=2)? == 0 {
            let condition = *from.choose(&[None, Some(Condition::Started), Some(Condition::Healthy), Some(Condition::Completed)])?;
            let service = ServiceName::new(before).expect("a name");
            let (optional, restart) = (bool::arbitrary(from)?, bool::arbitrary(from)?);
            spec.dependencies.push(Dependency { optional, restart, condition, ..Dependency::on(service) });
        }
    }
    for name in ["one", "two"].into_iter().take(from.int_in_range(0..=2)?) {
        let mut check = CheckSpec::new(name, "tcp", "{}");
        check.interval = Span(1 + u64::from(u16::arbitrary(from)?));
        check.failure_threshold = from.int_in_range(1..=3)?;
        check.recovery_threshold = from.int_in_range(1..=3)?;
        check.auto_recovery = bool::arbitrary(from)?;
        spec.checks.push(check);
    }
    Ok(spec)
}

fn maybe<T>(from: &mut Unstructured<'_>, one: impl FnOnce(&mut Unstructured<'_>) -> Result<T>) -> Result<Option<T>> {
    if bool::arbitrary(from)? { one(from).map(Some) } else { Ok(None) }
}

fn backend(from: &mut Unstructured<'_>) -> Result<String> {
    Ok((*from.choose(&["p", "q", "nobody"])?).to_owned())
}

fn exit(from: &mut Unstructured<'_>) -> Result<Exit> {
    Ok(Exit { code: Option::arbitrary(from)?, signal: None, out_of_memory: bool::arbitrary(from)?, reason: None })
}

fn phase(from: &mut Unstructured<'_>) -> Result<Phase> {
    Ok(match from.int_in_range(0..=6)? {
        0 => Phase::Pending,
        1 | 2 => Phase::Running,
        3 => Phase::Stopping,
        4 => Phase::Exited(exit(from)?),
        5 => Phase::Gone,
        _ => Phase::Unknown("u".to_owned()),
    })
}

fn fault(from: &mut Unstructured<'_>) -> Result<Fault> {
    let text = "f".to_owned();
    Ok(match from.int_in_range(0..=5)? {
        0 => Fault::Invalid(text),
        1 => Fault::Denied(text),
        2 => Fault::Unsupported(text),
        3 => Fault::Unavailable { message: text, after: maybe(from, |from| Ok(Span(u64::arbitrary(from)?)))? },
        4 => Fault::Interrupted(text),
        _ => Fault::Failed(text),
    })
}

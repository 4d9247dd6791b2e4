//! A world in which every call works at once, so that nothing is measured but deciding.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hostler_core::{Action, CheckResult, Config, Core, Desired, Event, Exit, Phase, Run, ServiceName, Span, Spec, Time, Verdict, Wanted};

pub(super) struct Answers {
    pub(super) core: Core,
    wanted: BTreeMap<ServiceName, Wanted>,
    alive: BTreeSet<Run>,
    now: Time,
}

impl Default for Answers {
    fn default() -> Answers {
        let config = Config { max_parallel: 64, ..Config::default() };
        Answers { core: Core::new(config), wanted: BTreeMap::new(), alive: BTreeSet::new(), now: Time(1_000_000) }
    }
}

impl Answers {
    pub(super) fn alive(&self) -> usize {
        self.alive.len()
    }

    pub(super) fn apply(&mut self, specs: Vec<Spec>) {
        for spec in specs {
            let wanted = Wanted {
                spec: Arc::new(spec),
                generation: 1,
                desired: Desired::Running,
                starts: 1,
                restarts: 0,
                scaled: None,
                held: Default::default(),
            };
            self.wanted.insert(wanted.spec.name.clone(), wanted);
        }
        self.change_all(|_| ());
    }

    /// Changes what is wanted of every service, in one request.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut Wanted)) {
        self.wanted.values_mut().for_each(change);
        let all = self.wanted.iter().map(|(name, wanted)| (name.clone(), Some(wanted.clone()))).collect();
        self.hear(Event::Wanted(all));
    }

    /// The same of each service in a request of its own, in this order.
    pub(super) fn change_each<'a>(&mut self, names: impl IntoIterator<Item = &'a ServiceName>, change: impl Fn(&mut Wanted)) {
        for name in names {
            let wanted = self.wanted.get_mut(name).expect("it was just named");
            change(wanted);
            let wanted = wanted.clone();
            self.hear(Event::Wanted(vec![(name.clone(), Some(wanted))]));
        }
    }

    pub(super) fn remove_all(&mut self) {
        let all = std::mem::take(&mut self.wanted).into_keys().map(|name| (name, None)).collect();
        self.hear(Event::Wanted(all));
    }

    /// Every task exits, one after the other, and is started again after its wait.
    pub(super) fn exit_all(&mut self) {
        let runs: Vec<Run> = self.alive.iter().copied().collect();
        for run in runs {
            if self.alive.remove(&run) {
                let exit = Exit { code: Some(1), ..Exit::default() };
                self.hear(Event::Seen { backend: "process".to_owned(), seen: vec![(run, Phase::Exited(exit))] });
            }
        }
        self.now = self.now + Span::secs(10);
        self.hear(Event::Tick);
    }

    fn hear(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.core.handle(self.now, event);
            while let Some(action) = self.core.poll_action() {
                events.extend(self.answer(action));
            }
        }
    }

    fn answer(&mut self, action: Action) -> Option<Event> {
        let phase = |alive: bool| if alive { Phase::Running } else { Phase::Gone };
        Some(match action {
            Action::Start { run, .. } => {
                self.alive.insert(run);
                Event::Started { run }
            }
            Action::Update { run, ticket, .. } => Event::Updated { run, ticket, fault: None },
            Action::Stop { run, .. } => {
                self.alive.remove(&run);
                Event::Stopped { run, exit: None }
            }
            Action::Destroy { run, .. } => Event::Destroyed { run, fault: None },
            Action::Look { backend, runs } => {
                Event::Looked { backend, seen: Ok(runs.into_iter().map(|run| (run, phase(self.alive.contains(&run)))).collect()) }
            }
            Action::List { backend } => Event::Listed { backend, found: Ok(self.alive.iter().map(|run| (*run, Phase::Running)).collect()) },
            Action::Check { run, ticket, .. } => {
                Event::Checked(CheckResult { run, ticket, verdict: Verdict::Pass, message: String::new(), took: Span(1) })
            }
            Action::Save(_) | Action::Tell(_) => return None,
        })
    }
}

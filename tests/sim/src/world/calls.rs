//! Calls: from what the core wants done over its effect on an engine to the answer, each in its own time.

use std::sync::Arc;

use hostler_core::{Action, CheckResult, Exit, Fault, Phase, Run, Span, Spec, Verdict};

use super::engine::Task;
use super::{Due, World};
use crate::dice::Dice;
use crate::faults::Kind;
use crate::story::{ENGINES, Temper};

/// A start may take this long; then its answer is that nobody knows.
const START_MS: u64 = 300_000;
/// No call takes effect later than this after its host has given it up.
const LATEST_MS: u64 = 30_000;

/// What the host asks of the world.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Start {
        run: Run,
        service: usize,
        replica: u32,
        engine: usize,
        digest: String,
    },
    Update {
        run: Run,
        engine: usize,
        ticket: u64,
        digest: String,
    },
    /// Without a handle nothing was ever started.
    Stop {
        run: Run,
        engine: usize,
        grace: Span,
        handle: bool,
    },
    Destroy {
        run: Run,
        engine: usize,
        force: bool,
        handle: bool,
    },
    Look {
        engine: usize,
        runs: Vec<Run>,
    },
    /// One task, because a wake pointed at it.
    Inspect {
        engine: usize,
        run: Run,
    },
    List {
        engine: usize,
    },
    Check {
        run: Run,
        service: usize,
        replica: u32,
        check: usize,
        ticket: u64,
        spec: Arc<Spec>,
    },
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    Done,
    /// It takes effect, and its answer is lost.
    Lost,
    /// Its answer is lost, and it takes effect so much later.
    Late(u64),
    /// It does not take effect, and fails in this way.
    Refused(Fault),
}

/// What becomes of a call, and when it is answered after it took effect.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) fate: Fate,
    pub(super) answer_after: u64,
    /// The answer comes once more, so much later.
    pub(super) again_after: Option<u64>,
    /// The engine cannot say where some task is.
    opaque: bool,
}

/// What reaches the host.
#[derive(Debug, Clone)]
pub(super) enum News {
    Started { run: Run, phase: Phase },
    StartFailed { run: Run, fault: Fault },
    Updated { run: Run, ticket: u64, fault: Option<Fault> },
    Stopped { run: Run, exit: Option<Exit> },
    StopFailed { run: Run, fault: Fault },
    Destroyed { run: Run, fault: Option<Fault> },
    Looked { engine: usize, seen: Result<Vec<(Run, Phase)>, String> },
    Seen { run: Run, phase: Phase },
    Listed { engine: usize, found: Result<Vec<(Run, usize, u32, Phase)>, String> },
    Checked { result: CheckResult, name: String },
    Wake { engine: usize, run: Option<Run> },
    Plugin { engine: usize, missing: Option<String> },
}

impl World<'_> {
    /// The host begins one effect.
    pub(super) fn begin(&mut self, action: Action) {
        let handle = |world: &World, run: Run| world.host.as_ref().is_some_and(|host| host.handles.contains(&run));
        let call = match action {
            Action::Start { run, replica, spec } => {
                let (service, engine, digest) = (self.numbers[&spec.name], engine_of(&spec.backend.plugin), spec.task_digest.clone());
                Call::Start { run, service, replica, engine, digest }
            }
            Action::Update { run, ticket, spec, .. } => {
                Call::Update { run, engine: engine_of(&spec.backend.plugin), ticket, digest: spec.task_digest.clone() }
            }
            Action::Stop { run, backend, grace, .. } => Call::Stop { run, engine: engine_of(&backend), grace, handle: handle(self, run) },
            Action::Destroy { run, backend, force } => Call::Destroy { run, engine: engine_of(&backend), force, handle: handle(self, run) },
            Action::Look { backend, runs } => {
                let runs = runs.into_iter().filter(|run| handle(self, *run)).collect();
                Call::Look { engine: engine_of(&backend), runs }
            }
            Action::List { backend } => Call::List { engine: engine_of(&backend) },
            Action::Check { run, replica, check, ticket, spec } => {
                Call::Check { run, service: self.numbers[&spec.name], replica, check, ticket, spec }
            }
            Action::Save(_) | Action::Tell(_) => return,
        };
        if !matches!(call, Call::Look { .. } | Call::List { .. } | Call::Check { .. }) {
            self.note(|| format!("        {call:?}"));
        }
        self.call(call);
    }

    pub(super) fn call(&mut self, call: Call) {
        let (kind, service, replica) = match &call {
            Call::Start { service, replica, .. } => (10, *service, *replica),
            Call::Update { run, .. } => self.slot_of(17, *run),
            Call::Stop { run, .. } => self.slot_of(11, *run),
            Call::Destroy { run, .. } => self.slot_of(12, *run),
            Call::Look { engine, .. } => (13, *engine, 0),
            Call::Inspect { engine, .. } => (14, *engine, 0),
            Call::List { engine } => (15, *engine, 0),
            Call::Check { service, replica, .. } => (16, *service, *replica),
        };
        let mut dice = self.dice(kind, service, replica);
        let fate = self.fate(&call, &mut dice);
        let effect_after = self.delay(&call, &mut dice);
        let again = self.rate(Kind::Twice);
        let course = Course {
            fate,
            answer_after: self.delay(&call, &mut dice),
            again_after: dice.percent(again).then(|| dice.below(5_000)),
            opaque: dice.percent(self.rate(Kind::Opaque) / 4),
        };
        self.later(effect_after, Due::Effect { call, course, life: self.life });
    }

    fn slot_of(&self, kind: u64, run: Run) -> (u64, usize, u32) {
        self.watch.owner_of(run).map_or((kind, 0, 0), |(service, replica)| (kind, service, replica))
    }

    fn delay(&self, call: &Call, dice: &mut Dice) -> u64 {
        let late = self.rate(Kind::Late);
        if !dice.percent(2 * late) {
            return dice.below(20);
        }
        let long = if matches!(call, Call::Start { .. }) { 60_000 } else { 9_000 };
        let reach = *dice.pick(&[300, 1_500, 1_500, 5_000, long]);
        dice.below(reach)
    }

    fn fate(&self, call: &Call, dice: &mut Dice) -> Fate {
        let text = || "by chance".to_owned();
        if dice.percent(self.rate(Kind::Lost)) {
            let late = Fate::Late(dice.below(LATEST_MS));
            return match call {
                Call::Start { .. } | Call::Stop { .. } | Call::Destroy { .. } if dice.percent(50) => late,
                // Whoever asks again must not be overtaken by what was asked before: an engine hears one after the other, or not at all.
                Call::Update { .. } if dice.percent(50) => Fate::Refused(Fault::Interrupted(text())),
                Call::Start { .. }
                | Call::Update { .. }
                | Call::Stop { .. }
                | Call::Destroy { .. }
                | Call::Look { .. }
                | Call::Inspect { .. }
                | Call::List { .. }
                | Call::Check { .. } => Fate::Lost,
            };
        }
        if !dice.percent(self.rate(Kind::Refused)) {
            return Fate::Done;
        }
        let after = dice.percent(50).then(|| Span(1_000 + dice.below(20_000)));
        Fate::Refused(match call {
            Call::Start { .. } => match dice.below(8) {
                0..4 => Fault::Failed(text()),
                4..7 => Fault::Unavailable { message: text(), after },
                _ => [Fault::Invalid(text()), Fault::Denied(text()), Fault::Unsupported(text())][dice.index(3)].clone(),
            },
            Call::Update { .. } => match dice.below(4) {
                0 => Fault::Unavailable { message: text(), after },
                1 => Fault::Failed(text()),
                _ => Fault::Unsupported(text()),
            },
            Call::Stop { .. } | Call::Destroy { .. } if dice.percent(50) => Fault::Unavailable { message: text(), after },
            Call::Stop { .. } | Call::Destroy { .. } | Call::Look { .. } | Call::Inspect { .. } | Call::List { .. } | Call::Check { .. } => {
                Fault::Failed(text())
            }
        })
    }

    /// A call reaches its engine. Of a host that is gone, only what engines were already doing still happens.
    pub(super) fn take_effect(&mut self, call: Call, course: Course, life: u64) {
        if life != self.life && !matches!(call, Call::Start { .. } | Call::Stop { .. } | Call::Destroy { .. }) {
            return;
        }
        let interrupted = || Fault::Interrupted("the answer was lost".to_owned());
        let mut answer_after = course.answer_after;
        let news = match &course.fate {
            Fate::Done => self.carry(&call, &course),
            Fate::Lost => {
                self.carry(&call, &course);
                if matches!(call, Call::Start { .. }) && answer_after % 20 == 7 {
                    answer_after = START_MS;
                }
                failed(&call, interrupted())
            }
            // What an engine was doing for a host that is gone has no longer to wait.
            Fate::Late(_) if life != self.life => self.carry(&call, &course),
            Fate::Late(ms) => {
                let quiet = Course { fate: Fate::Done, answer_after: 0, again_after: None, opaque: false };
                // Nobody hears of it: no life of the host has this number.
                self.later(*ms, Due::Effect { call: call.clone(), course: quiet, life: u64::MAX });
                failed(&call, interrupted())
            }
            Fate::Refused(fault) => failed(&call, fault.clone()),
        };
        if life == self.life {
            if let Some(again) = course.again_after.filter(|_| !matches!(news, News::Looked { .. } | News::Listed { .. })) {
                self.later(answer_after + again, Due::News { news: news.clone(), life });
            }
            self.later(answer_after, Due::News { news, life });
        }
    }

    /// Does it, and says what became of it.
    fn carry(&mut self, call: &Call, course: &Course) -> News {
        let at = self.at;
        match call {
            Call::Start { run, service, replica, engine, digest } => match self.start_task(*engine, *run, (*service, *replica), digest) {
                Ok(()) => News::Started { run: *run, phase: self.engines[*engine].look(*run) },
                Err(fault) => News::StartFailed { run: *run, fault },
            },
            Call::Update { run, engine, ticket, digest } => {
                News::Updated { run: *run, ticket: *ticket, fault: self.engines[*engine].change(*run, digest, at).err() }
            }
            Call::Stop { run, handle: false, .. } => News::Stopped { run: *run, exit: None },
            Call::Stop { run, engine, grace, handle: true } => match self.stop_task(*engine, *run, *grace) {
                Ok(exit) => News::Stopped { run: *run, exit },
                Err(fault) => News::StopFailed { run: *run, fault },
            },
            Call::Destroy { run, handle: false, .. } => News::Destroyed { run: *run, fault: None },
            Call::Destroy { run, engine, force, handle: true } => {
                let fault = self.engines[*engine].trouble(at).map(|message| Fault::Unavailable { message, after: None });
                if fault.is_none() {
                    if self.engines[*engine].is_alive(*run) && !force {
                        self.fail("I5", format!("run {run} was to be freed, and runs"));
                    }
                    self.engines[*engine].tasks.remove(run);
                }
                News::Destroyed { run: *run, fault }
            }
            Call::Look { engine, runs } => {
                let this = &self.engines[*engine];
                let opaque = course.opaque.then(|| runs.first().copied()).flatten();
                let phase = |run: Run| if opaque == Some(run) { Phase::Unknown("opaque".to_owned()) } else { this.look(run) };
                let seen = this.trouble(at).map_or_else(|| Ok(runs.iter().map(|run| (*run, phase(*run))).collect()), Err);
                News::Looked { engine: *engine, seen }
            }
            Call::Inspect { engine, run } => match self.engines[*engine].trouble(at) {
                // A look that fails is made up for by the next batch.
                Some(_) => News::Wake { engine: *engine, run: None },
                None => News::Seen { run: *run, phase: self.engines[*engine].look(*run) },
            },
            Call::List { engine } => {
                let this = &self.engines[*engine];
                let opaque = course.opaque.then(|| this.tasks.keys().next_back().copied()).flatten();
                let phase = |run: &Run, task: &Task| if opaque == Some(*run) { Phase::Unknown("opaque".to_owned()) } else { task.phase() };
                let found = this.tasks.iter().map(|(run, task)| (*run, task.service, task.replica, phase(run, task))).collect();
                News::Listed { engine: *engine, found: this.trouble(at).map_or(Ok(found), Err) }
            }
            Call::Check { run, service, check, ticket, spec, .. } => {
                let engine = engine_of(&spec.backend.plugin);
                let mood = self.moods.get(&(*service, *check)).copied().unwrap_or(Verdict::Pass);
                let verdict = if self.engines[engine].is_alive(*run) { mood } else { Verdict::Fail };
                let name = spec.checks.get(*check).map(|check| check.name.clone()).unwrap_or_default();
                let result =
                    CheckResult { run: *run, ticket: *ticket, verdict, message: verdict.as_str().to_owned(), took: Span(course.answer_after) };
                News::Checked { result, name }
            }
        }
    }

    fn start_task(&mut self, engine: usize, run: Run, (service, replica): (usize, u32), digest: &str) -> Result<(), Fault> {
        if let Some(message) = self.engines[engine].trouble(self.at) {
            let after = (self.at < self.engines[engine].missing_until).then_some(Span::secs(5));
            return Err(Fault::Unavailable { message, after });
        }
        let temper = self.tempers[service];
        if temper == Temper::Refuses {
            return Err(Fault::Failed("it cannot be started".to_owned()));
        }
        if !self.engines[engine].started.insert(run) {
            self.fail("I1", format!("run {run} is started twice"));
        }
        let mut others: Vec<Run> = self.alive_in(service, replica);
        others.retain(|other| !self.is_given_up(*other) && !self.is_given_up(run));
        for other in others {
            self.fail("I1", format!("runs {other} and {run} of {}.{replica} are both alive", self.names[service]));
        }
        self.engines[engine].tasks.insert(run, Task { service, replica, digest: digest.to_owned(), ended: None });
        let mut dice = self.dice(20, service, replica);
        let one_shot = self.watch.is_one_shot(run);
        let end = match temper {
            Temper::Flaps { after_ms, code } => Some((after_ms, code)),
            Temper::Steady | Temper::Deaf | Temper::Clings if one_shot => Some((100 + dice.below(20_000), 0)),
            Temper::Steady | Temper::Deaf | Temper::Clings | Temper::Refuses => None,
        };
        if let Some((after, code)) = end {
            self.later(after, Due::End { engine, run, code });
        }
        Ok(())
    }

    /// Every life of a slot that an engine keeps going.
    pub(super) fn alive_in(&self, service: usize, replica: u32) -> Vec<Run> {
        let all = self.engines.iter().flat_map(|engine| engine.alive());
        all.filter(|(_, task)| task.service == service && task.replica == replica).map(|(run, _)| run).collect()
    }

    /// Is it known that nobody wants this life, so that it is destroyed as soon as it is found?
    fn is_given_up(&self, run: Run) -> bool {
        self.watch.is_abandoned(run) || self.host.as_ref().is_some_and(|host| host.core.is_abandoned(run))
    }

    fn stop_task(&mut self, engine: usize, run: Run, grace: Span) -> Result<Option<Exit>, Fault> {
        if let Some(message) = self.engines[engine].trouble(self.at) {
            return Err(Fault::Unavailable { message, after: None });
        }
        let Some(task) = self.engines[engine].tasks.get(&run) else { return Ok(None) };
        match self.tempers[task.service] {
            Temper::Clings if task.ended.is_none() => return Err(Fault::Failed("it clings to life".to_owned())),
            Temper::Deaf if grace > Span::ZERO && task.ended.is_none() && !self.calm => {
                return Err(Fault::Failed("it does not hear".to_owned()));
            }
            Temper::Steady | Temper::Flaps { .. } | Temper::Deaf | Temper::Refuses | Temper::Clings => {}
        }
        self.engines[engine].end(run, Exit { signal: Some("SIGTERM".to_owned()), ..Exit::default() });
        Ok(self.engines[engine].tasks.get(&run).and_then(|task| task.ended.clone()))
    }

    /// A task ends by itself; its engine notices, and its wake may be lost.
    pub(super) fn end_task(&mut self, engine: usize, run: Run, code: i32) {
        if !self.engines[engine].end(run, Exit { code: Some(code), ..Exit::default() }) {
            return;
        }
        self.note(|| format!("run {run} ends with code {code}"));
        let mut dice = self.dice(21, engine, 0);
        if dice.percent(90) && !dice.percent(2 * self.rate(Kind::Hints)) {
            let run = dice.percent(70).then_some(run);
            let delay = dice.below(30);
            self.later(delay, Due::News { news: News::Wake { engine, run }, life: self.life });
        }
    }
}

pub(super) fn engine_of(plugin: &str) -> usize {
    ENGINES.iter().position(|name| *name == plugin).expect("specs name engines that are there")
}

/// The answer of a call that did not work.
fn failed(call: &Call, fault: Fault) -> News {
    let text = fault.message().to_owned();
    match call {
        Call::Start { run, .. } => News::StartFailed { run: *run, fault },
        Call::Update { run, ticket, .. } => News::Updated { run: *run, ticket: *ticket, fault: Some(fault) },
        Call::Stop { run, .. } => News::StopFailed { run: *run, fault },
        Call::Destroy { run, .. } => News::Destroyed { run: *run, fault: Some(fault) },
        Call::Look { engine, .. } => News::Looked { engine: *engine, seen: Err(text) },
        Call::Inspect { engine, .. } => News::Wake { engine: *engine, run: None },
        Call::List { engine } => News::Listed { engine: *engine, found: Err(text) },
        Call::Check { run, check, ticket, spec, .. } => {
            let name = spec.checks.get(*check).map(|check| check.name.clone()).unwrap_or_default();
            let result = CheckResult { run: *run, ticket: *ticket, verdict: Verdict::Unknown, message: text, took: Span(1) };
            News::Checked { result, name }
        }
    }
}

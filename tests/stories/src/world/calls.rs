//! Calls: from the core's action over its effect on an engine to the answer.

use hostler_core::{Action, CheckResult, Event, Fault, Span, Verdict};

use super::{Course, Fate, Pending, What, World, holds};

impl World {
    pub(super) fn begin(&mut self, action: Action) {
        let call = self.name_of(&action);
        if let Action::Start { run, replica, spec } = &action {
            let until = self.backoffs.remove(&(spec.name.clone(), *replica));
            assert!(until.is_none_or(|until| self.now >= until), "I6: {call} comes before its wait is over");
            self.owners.insert(*run, (spec.name.clone(), *replica));
        }
        self.note(|| What::Asked(call.clone(), action.clone()));
        if self.shown && !matches!(action, Action::Look { .. }) {
            println!("{:>10}     {call}", self.now.0);
        }
        if matches!(action, Action::Start { .. } | Action::Update { .. } | Action::Stop { .. } | Action::Destroy { .. }) {
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

    pub(super) fn take_effect(&mut self, action: Action, course: &Course) {
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
            Action::Start { run, spec, .. } => match self.engine(&spec.backend.plugin).start(*run, &spec.task_digest) {
                Ok(()) => Event::Started { run: *run },
                Err(fault) => Event::StartFailed { run: *run, fault },
            },
            Action::Update { run, ticket, spec, .. } => {
                Event::Updated { run: *run, ticket: *ticket, fault: self.engine(&spec.backend.plugin).change(*run, &spec.task_digest).err() }
            }
            Action::Stop { run, backend, .. } => match self.engine(backend).stop(*run) {
                Ok(exit) => Event::Stopped { run: *run, exit },
                Err(fault) => Event::StopFailed { run: *run, fault },
            },
            Action::Destroy { run, backend, force } => Event::Destroyed { run: *run, fault: self.engine(backend).destroy(*run, *force).err() },
            Action::Look { backend, runs } => Event::Looked { backend: backend.clone(), seen: self.engine(backend).look(runs) },
            Action::List { backend } => Event::Listed { backend: backend.clone(), found: self.engine(backend).list() },
            Action::Check { run, check, ticket, spec, .. } => {
                let name = &spec.checks[*check].name;
                let keys = [format!("{}/{name}", spec.name), spec.name.to_string()];
                let verdict = keys.iter().find_map(|key| self.verdicts.get(key).copied()).unwrap_or(Verdict::Pass);
                let words = keys.iter().find_map(|key| self.words.get(key));
                let message = words.map_or_else(|| format!("{verdict:?}").to_lowercase(), String::clone);
                Event::Checked(CheckResult { run: *run, ticket: *ticket, verdict, message, took: Span(1) })
            }
            Action::Save(_) | Action::Tell(_) => unreachable!("they were done with the decision"),
        }
    }
}

/// The answer to a call that failed.
fn failed(action: &Action, fault: Fault) -> Event {
    match action {
        Action::Start { run, .. } => Event::StartFailed { run: *run, fault },
        Action::Update { run, ticket, .. } => Event::Updated { run: *run, ticket: *ticket, fault: Some(fault) },
        Action::Stop { run, .. } => Event::StopFailed { run: *run, fault },
        Action::Destroy { run, .. } => Event::Destroyed { run: *run, fault: Some(fault) },
        Action::Look { backend, .. } => Event::Looked { backend: backend.clone(), seen: Err(fault.message().to_owned()) },
        Action::List { backend } => Event::Listed { backend: backend.clone(), found: Err(fault.message().to_owned()) },
        Action::Check { run, ticket, .. } => {
            Event::Checked(CheckResult { run: *run, ticket: *ticket, verdict: Verdict::Unknown, message: fault.message().to_owned(), took: Span(1) })
        }
        Action::Save(_) | Action::Tell(_) => unreachable!("they cannot fail"),
    }
}

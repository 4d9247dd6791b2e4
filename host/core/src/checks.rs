//! Asking checks, and hearing what they say.

use std::sync::Arc;

use crate::event::{Action, CheckResult, NoticeKind};
use crate::health::{Health, Sample, Verdict};
use crate::machine::Core;
use crate::spec::{CheckSpec, ServiceName};
use crate::task::State;
use crate::timer::Timer;

impl Core {
    /// Asks one check of a running task, unless it is being asked.
    pub(crate) fn ask_check(&mut self, name: &ServiceName, replica: u32, index: usize) {
        let ticket = self.tickets + 1;
        let Some(service) = self.services.get_mut(name) else { return };
        let spec = Arc::clone(&service.spec);
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        let State::Running(life) = &slot.state else { return };
        let run = life.run;
        let Some(check) = slot.checks.get_mut(index).filter(|check| check.ticket.is_none()) else { return };
        check.ticket = Some(ticket);
        self.tickets = ticket;
        self.actions.push_back(Action::Check { run, replica, check: index, ticket, spec });
    }

    /// Asks all checks of these services.
    pub(crate) fn check_now(&mut self, names: &[ServiceName]) {
        for name in names {
            let Some(service) = self.services.get(name) else { continue };
            let replicas: Vec<u32> = service.slots.keys().copied().collect();
            for (replica, index) in
                replicas.into_iter().flat_map(|replica| (0..service.spec.checks.len()).map(move |index| (replica, index))).collect::<Vec<_>>()
            {
                self.ask_check(name, replica, index);
            }
        }
    }

    /// Which check of which replica waits for this answer, by its place in the spec. What none waits for, since its task has ended or the
    /// check is another one by now, changes nothing.
    pub fn asked_by(&self, result: &CheckResult) -> Option<(&ServiceName, u32, usize)> {
        let (name, replica) = self.owner_of(result.run)?;
        let slot = self.services.get(name)?.slots.get(&replica)?;
        let State::Running(life) = &slot.state else { return None };
        let index = slot.checks.iter().position(|check| check.ticket == Some(result.ticket))?;
        (life.run == result.run).then_some((name, replica, index))
    }

    /// Hears an answer; the ticket finds its check, even when a new spec has moved it to another place.
    pub(crate) fn hear_checked(&mut self, result: CheckResult) {
        let now = self.now;
        let roll = self.chance.next();
        let Some((name, replica, index)) = self.asked_by(&result).map(|(name, replica, index)| (name.clone(), replica, index)) else { return };
        let Some(service) = self.services.get_mut(&name) else { return };
        let spec = Arc::clone(&service.spec);
        let Some(slot) = service.slots.get_mut(&replica) else { return };
        let State::Running(life) = &slot.state else { return };
        let since = life.since;
        let (Some(check), Some(check_spec)) = (slot.checks.get_mut(index), spec.checks.get(index)) else { return };
        let message: Arc<str> = result.message.as_str().into();
        check.hear(check_spec, since, Sample::new(now, result.verdict, result.took, message));
        let wait = check.wait(check_spec, roll);
        let unhealthy = check.health == Health::Unhealthy && check_spec.auto_recovery;
        if unhealthy && result.verdict == Verdict::Fail {
            slot.ill.get_or_insert_with(|| format!("check {} says unhealthy: {}", check_spec.name, result.message));
        } else if slot.checks.iter().all(|check| check.health != Health::Unhealthy) {
            slot.ill = None;
        }
        self.timers.set(Timer::Check(name.clone(), replica, index), now + wait);
        self.tell_health(&name, replica, &result.message);
        self.touch(&name);
    }

    /// Tells a change of health once; while nobody can say whether the task is there, that is what people are told.
    fn tell_health(&mut self, name: &ServiceName, replica: u32, message: &str) {
        let Some(slot) = self.slot(name, replica) else { return };
        let (before, after) = (slot.told, slot.health());
        let State::Running(life) = &slot.state else { return };
        if before == after || slot.unknown.is_some() {
            return;
        }
        let run = life.run;
        slot.told = after;
        self.tell(NoticeKind::HealthChanged, name, Some(replica), Some(run), format!("{} -> {}: {message}", before.as_str(), after.as_str()));
    }

    /// The spec has other checks now: those that are the same keep what they know, and all are asked.
    pub(crate) fn change_checks(&mut self, name: &ServiceName, before: &[CheckSpec]) {
        let Some(service) = self.services.get_mut(name) else { return };
        let after = &service.spec.checks;
        for slot in service.slots.values_mut() {
            slot.change_checks(before, after);
            // The check that asked for a restart may be gone; one that still fails asks again.
            slot.ill = None;
            for index in 0..before.len().max(after.len()) {
                self.timers.clear(&Timer::Check(name.clone(), slot.replica, index));
            }
            if matches!(slot.state, State::Running(_)) {
                for index in 0..after.len() {
                    self.timers.set(Timer::Check(name.clone(), slot.replica, index), self.now);
                }
            }
        }
    }
}

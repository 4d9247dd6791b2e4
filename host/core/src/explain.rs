//! Why a service is where it is: a chain of causes, and the next automatic step.

use crate::health::{Health, Verdict};
use crate::machine::Core;
use crate::record::After;
use crate::registry::{Service, leaves, waits_for};
use crate::spec::{Condition, ServiceName};
use crate::task::{Down, Slot, State, Why};
use crate::time::Time;
use crate::timer::Timer;
use crate::view::{Next, Status, slot_status};
use crate::words::times;

/// A chain of causes is told this far.
const FURTHEST: usize = 32;

impl Core {
    /// Why a service is where it is, each sentence explained by the next, and what happens next by itself.
    pub fn explain(&self, name: &str) -> (Vec<String>, Option<Next>) {
        let (mut chain, mut next) = (Vec::new(), None);
        let mut at = self.services.get_key_value(name).map(|(name, _)| name);
        for depth in 0..FURTHEST {
            let Some(name) = at.take() else { break };
            let subject = if depth == 0 { String::new() } else { format!("{name} ") };
            let Some(reason) = self.reason(name) else { break };
            chain.push(format!("{subject}{}", reason.words));
            next = next.or(reason.next);
            at = reason.because_of;
        }
        (chain, next)
    }

    fn reason(&self, name: &ServiceName) -> Option<Reason<'_>> {
        let service = self.services.get(name)?;
        // Of one that has gone, and is only tidied up behind, nothing is to be told.
        let told = service.slots().filter(|slot| !slot.surplus || slot.is_live());
        let Some(slot) = told.max_by_key(|slot| (worth_telling(service, slot), std::cmp::Reverse(slot.replica))) else {
            return if service.wanted.is_some() { self.reason_without_slots(service) } else { None };
        };
        match &slot.state {
            State::Down => self.reason_down(service),
            State::Backoff { until, reason, .. } => Some(Reason::new(format!("waits before a restart: {reason}")).next("restart", Some(*until))),
            State::Starting(life) => {
                let then = leaves(service, slot, service.outlook.down.as_ref());
                let then = then.map_or(String::new(), |because| format!("; is stopped as soon as it is up: {}", because.words()));
                Some(Reason::new(format!("is being started by {}{then}", life.backend)))
            }
            State::Uncertain { life, error, .. } => {
                let why = error.clone().or_else(|| slot.unknown.clone()).unwrap_or_else(|| "after a host restart".to_owned());
                let trouble = self.backend_trouble(&life.backend).map_or(String::new(), |trouble| format!("; {trouble}"));
                let retry = self.timers.at(&Timer::Retry(life.backend.clone()));
                Some(Reason::new(format!("may be running: {} is asked ({why}){trouble}", life.backend)).next("ask the backend", retry))
            }
            State::Running(life) => self.reason_running(name, service, slot, &life.backend),
            State::Stopping { because, asked, .. } => {
                let error = if asked.failures > 0 { format!("; {}", slot.memory.last_error.as_deref().unwrap_or_default()) } else { String::new() };
                let told = Reason::new(format!("is being stopped: {}{error}", because.words()));
                let again = self.timers.at(&Timer::Again(name.clone(), slot.replica)).filter(|_| !asked.now);
                // Somebody wants it again meanwhile.
                let returns = because.after() == After::Rest && service.outlook.down.is_none() && !slot.surplus;
                Some(match again {
                    Some(_) => told.next("stop again", again),
                    None if returns => told.next("start", None),
                    None => told,
                })
            }
            State::Completed { exit, .. } => Some(Reason::new(format!("ran to its end: {exit}"))),
            State::Failed { reason, .. } => Some(
                Reason::new(format!("failed: {reason}"))
                    .next(format!("nothing by itself: `hostler start {name}` or `hostler restart --force {name}` tries again"), None),
            ),
        }
    }

    /// Nobody wants a replica of it.
    fn reason_without_slots(&self, service: &Service) -> Option<Reason<'_>> {
        if service.own_down(self.closing).is_some() {
            return self.reason_down(service);
        }
        let next = format!("nothing by itself: `hostler scale {} 1` starts one", service.spec.name);
        Some(Reason::new("is down: no replica of it is wanted".to_owned()).next(next, None))
    }

    fn reason_down(&self, service: &Service) -> Option<Reason<'_>> {
        let services = &self.services;
        if let Some(why) = service.own_down(self.closing) {
            let reason = Reason::new(format!("is down: {}", Down { why, of: None }.words()));
            let name = &service.spec.name;
            return Some(match why {
                Why::Stopped => reason.next(format!("nothing by itself: `hostler start {name}` starts it"), None),
                Why::Absent => reason.next(format!("nothing by itself: {name} runs again when its engine has it again"), None),
                Why::Disabled => reason.next(format!("nothing by itself: `enabled` is false in the configuration of {name}"), None),
                Why::Removed | Why::Closing => reason,
            });
        }
        if let Some(edge) = service.kept_down_by() {
            let (key, _) = services.get_key_value(&edge.service)?;
            return Some(Reason::new(format!("waits for {key}, which it needs")).because_of(key));
        }
        if let Some(waiting) = waits_for(service, services) {
            let condition = match waiting.condition {
                Condition::Started => "started",
                Condition::Healthy => "healthy",
                Condition::Completed => "completed",
            };
            let words = match waiting.counted {
                Some((holds, needed, of)) if needed == of => format!("waits for {}: {holds} of {of} {condition}", waiting.service),
                Some((holds, needed, of)) => format!("waits for {}: {holds} of {of} {condition}, and {needed} must be", waiting.service),
                None => format!("waits for {} to be {condition}", waiting.service),
            };
            return Some(match services.get_key_value(&waiting.service) {
                Some((key, _)) => Reason::new(words).because_of(key),
                None => Reason::new(format!("{words}, which is not among the services")),
            });
        }
        let backend = &service.spec.backend.plugin;
        if let Some(trouble) = self.backend_trouble(backend) {
            let retry = self.timers.at(&Timer::Retry(backend.clone()));
            return Some(Reason::new(format!("waits for its backend: {trouble}")).next("start", retry));
        }
        let under_way = if self.starting == 1 { "1 start is".to_owned() } else { format!("{} starts are", self.starting) };
        Some(Reason::new(format!("waits for its turn: {under_way} under way")).next("start", None))
    }

    fn reason_running(&self, name: &ServiceName, service: &Service, slot: &Slot, backend: &str) -> Option<Reason<'_>> {
        if let Some(unknown) = &slot.unknown {
            return Some(Reason::new(format!("cannot be looked at: {unknown}")).next("look again", self.timers.at(&Timer::Look(backend.to_owned()))));
        }
        if let Some(because) = leaves(service, slot, service.outlook.down.as_ref()) {
            let words = format!("is about to be stopped: {}", because.words());
            return Some(match self.holder_back(name) {
                Some(holder) => Reason::new(format!("{words}; waits for {holder} to go down first")).because_of(holder),
                None => Reason::new(words),
            });
        }
        if let Some(life) = slot.state.life().filter(|life| !life.is_as(&service.spec)) {
            let again = self.timers.at(&Timer::Again(name.clone(), slot.replica)).filter(|_| !life.change.asked.now);
            let error = if life.change.asked.failures > 0 { slot.memory.last_error.as_deref() } else { None };
            let error = error.map_or(String::new(), |error| format!("; {error}"));
            return Some(Reason::new(format!("is being changed while it runs, by {backend}{error}")).next("change it", again));
        }
        let checks = service.spec.checks.iter().zip(&slot.checks).enumerate();
        let (index, (spec, check)) = checks.max_by_key(|(_, (_, check))| match check.health {
            Health::Healthy => 0,
            Health::Unknown => 1,
            Health::Degraded => 2,
            Health::Unhealthy => 3,
        })?;
        let last = check.last().map_or("no answer yet".to_owned(), |sample| sample.message.to_string());
        // What made it ill, and not that nobody can say how it is now.
        let failure = match check.history.iter().rfind(|sample| sample.verdict == Verdict::Fail) {
            Some(sample) => format!(": {}", sample.message),
            None if check.history.is_empty() => ": no answer yet".to_owned(),
            None => String::new(),
        };
        let silent = if check.is_silent() { format!("; now it cannot say: {last}") } else { String::new() };
        let words = match check.health {
            Health::Healthy => return None,
            Health::Unknown => format!("is not judged yet: check {} says: {last}", spec.name),
            Health::Degraded if check.last().is_some_and(|sample| sample.verdict == Verdict::Warn) => {
                format!("is degraded: check {} warns: {last}", spec.name)
            }
            Health::Degraded => {
                format!("is degraded: check {} failed {} of {} times in a row{failure}{silent}", spec.name, check.failures, spec.failure_threshold)
            }
            Health::Unhealthy => {
                format!("is unhealthy: check {} failed {} in a row{failure}{silent}", spec.name, times(check.failures))
            }
        };
        let at = self.timers.at(&Timer::Check(name.clone(), slot.replica, index));
        Some(Reason::new(words).next(format!("check {}", spec.name), at))
    }
}

/// One link of a cause chain.
struct Reason<'a> {
    words: String,
    next: Option<Next>,
    because_of: Option<&'a ServiceName>,
}

impl<'a> Reason<'a> {
    fn new(words: String) -> Reason<'a> {
        Reason { words, next: None, because_of: None }
    }

    fn next(mut self, what: impl Into<String>, at: Option<Time>) -> Reason<'a> {
        self.next = Some(Next { what: what.into(), at });
        self
    }

    fn because_of(mut self, name: &'a ServiceName) -> Reason<'a> {
        self.because_of = Some(name);
        self
    }
}

/// Which slot's story is told first: the one in the most trouble.
fn worth_telling(service: &Service, slot: &Slot) -> u8 {
    match slot_status(service, slot) {
        Status::Failed => 9,
        Status::Unknown => 8,
        Status::Unhealthy => 7,
        Status::Pending => 6,
        Status::Stopping => 5,
        Status::Starting => 4,
        Status::Running | Status::Scaling => 3,
        Status::Completed => 2,
        Status::Stopped | Status::Disabled | Status::NotFound => 1,
    }
}

//! How many replicas a load asks for: current × load ÷ target, as Kubernetes' horizontal autoscaler has it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::Wanted;
use crate::machine::Core;
use crate::spec::Replicas;
use crate::time::{Span, Time};

/// A load this near to its target, in thousandths of it, changes nothing.
const TOLERANCE: u64 = 100;
/// What a replica that could not be measured is taken to use before anything is scaled down, in thousandths.
const FULL: u64 = 1_000;

/// When a service gets more replicas or fewer, by what they use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscale {
    /// Of the cpu that its `resources` allow, else of one core, in thousandths.
    pub cpu_permille: Option<u32>,
    /// Of the memory that its `resources` allow, in thousandths.
    pub memory_permille: Option<u32>,
    /// From any change of the number to a greater one.
    pub cooldown_up: Span,
    /// From any change of the number to a smaller one; the greatest that was asked for in this time counts.
    pub cooldown_down: Span,
    /// From one measurement to the next.
    pub interval: Span,
}

impl Default for Autoscale {
    /// No target; up after 30 s, down after 5 min, measured every 10 s.
    fn default() -> Self {
        Autoscale { cpu_permille: None, memory_permille: None, cooldown_up: Span::secs(30), cooldown_down: Span::secs(300), interval: Span::secs(10) }
    }
}

/// What the replicas of a service use of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Of all that were measured together, in thousandths of what each may use.
    pub sum_permille: u64,
    /// How many were measured.
    pub measured: u32,
}

/// One round of measurements; what is absent could not be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loads {
    /// Of cpu.
    pub cpu: Option<Load>,
    /// Of memory.
    pub memory: Option<Load>,
}

/// A number that was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) count: u32,
    pub(crate) reason: String,
}

/// What is remembered of the loads of one service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scaler {
    /// When the number last changed, or was first known.
    changed: Option<Time>,
    /// The numbers that loads asked for, within the time that counts.
    asked: VecDeque<(Time, u32)>,
    /// The last load, for people.
    pub(crate) told: Option<String>,
    /// What was decided and is not yet wanted.
    pub(crate) decided: Option<Decision>,
}

impl Scaler {
    /// The number changed, by whomever: waits begin anew.
    pub(crate) fn changed(&mut self, now: Time) {
        *self = Scaler { changed: Some(now), ..Scaler::default() };
    }

    /// Hears a round of measurements, and decides.
    pub(crate) fn hear(&mut self, now: Time, policy: &Autoscale, bounds: (u32, u32), count: u32, loads: &Loads) -> Option<Decision> {
        let changed = *self.changed.get_or_insert(now);
        let asks = self.asks(policy, count, loads);
        // What nobody can say keeps what there is.
        let wanted = asks.unwrap_or(count).clamp(bounds.0, bounds.1);
        while self.asked.front().is_some_and(|(at, _)| now.since(*at) > policy.cooldown_down) {
            self.asked.pop_front();
        }
        self.asked.push_back((now, wanted));
        asks?;
        let since = now.since(changed);
        let most = self.asked.iter().map(|(_, wanted)| *wanted).max().unwrap_or(count);
        let next = if wanted > count && since >= policy.cooldown_up {
            wanted
        } else if most < count && since >= policy.cooldown_down {
            most
        } else {
            return None;
        };
        Some(Decision { count: next, reason: self.told.clone().unwrap_or_default() })
    }

    /// The number that fits the loads best; the greatest where there are several. `None` where none is known.
    fn asks(&mut self, policy: &Autoscale, count: u32, loads: &Loads) -> Option<u32> {
        let targets = [("cpu", policy.cpu_permille, loads.cpu), ("memory", policy.memory_permille, loads.memory)];
        let mut most = None;
        let mut words = Vec::new();
        for (what, target, load) in targets {
            let Some(target) = target else { continue };
            let Some(load) = load.filter(|load| load.measured > 0) else {
                words.push(format!("{what} is not known"));
                continue;
            };
            words.push(format!("{what} is at {} of {}", percent(load.sum_permille / u64::from(load.measured)), percent(u64::from(target))));
            most = most.max(Some(fitting(count, load, target)));
        }
        self.told = (!words.is_empty()).then(|| words.join(", "));
        most
    }
}

fn percent(permille: u64) -> String {
    format!("{} %", permille / 10)
}

/// As many as bring this load to its target. Whoever could not be measured is taken to use nothing before more are asked for, and all it
/// may before fewer are; where that turns the answer round, nothing changes.
fn fitting(count: u32, load: Load, target: u32) -> u32 {
    let (target, missing) = (u64::from(target.max(1)), u64::from(count.saturating_sub(load.measured)));
    let mean = load.sum_permille / u64::from(load.measured.max(1));
    if is_near(mean, target) {
        return count;
    }
    let is_high = mean > target;
    let sum = load.sum_permille.saturating_add(if is_high { 0 } else { missing * FULL.max(target) });
    let all = u64::from(load.measured) + missing;
    if missing > 0 && (is_near(sum / all, target) || (sum / all > target) != is_high) {
        return count;
    }
    u32::try_from(sum.div_ceil(target)).unwrap_or(u32::MAX)
}

fn is_near(mean: u64, target: u64) -> bool {
    mean.abs_diff(target) * 1_000 <= target * TOLERANCE
}

impl Core {
    /// Hears what the replicas of a service use; answers what is to be wanted of it when that asks for another number. Nothing is decided
    /// until the caller has committed it and hands it back as [`Event::Wanted`](crate::Event::Wanted).
    ///
    /// Nothing is scaled that is not to run, or that somebody has scaled to nothing.
    pub fn weigh(&mut self, now: Time, name: &str, loads: &Loads) -> Option<Wanted> {
        self.now = self.now.max(now);
        let (now, closing) = (self.now, self.closing);
        let service = self.services.get_mut(name)?;
        let policy = service.spec.replicas.autoscale?;
        let count = service.count();
        if service.outlook.down.is_some() || service.own_down(closing).is_some() || count == 0 {
            service.scaler = Scaler::default();
            return None;
        }
        let Replicas { min, max, .. } = service.spec.replicas;
        let decision = service.scaler.hear(now, &policy, (min, max), count, loads)?;
        let wanted = service.wanted.as_ref()?.scaled_to(decision.count).ok()?;
        service.scaler.decided = Some(decision);
        Some(wanted)
    }

    /// How a service is scaled by its load, for people; `None` when it is not.
    pub fn scaling(&self, name: &str) -> Option<String> {
        let service = self.services.get(name)?;
        let policy = service.spec.replicas.autoscale?;
        let Replicas { min, max, .. } = service.spec.replicas;
        let load = service.scaler.told.as_deref().unwrap_or("nothing was measured yet");
        let waits = service.scaler.changed.map_or(String::new(), |changed| {
            let left = |cooldown: Span| (changed + cooldown).since(self.now);
            let part = |what: &str, left: Span| (left > Span::ZERO).then(|| format!("; {what} in {left} at the earliest"));
            [part("more", left(policy.cooldown_up)), part("fewer", left(policy.cooldown_down))].into_iter().flatten().collect()
        });
        let count = service.count();
        let replicas = if count == 1 { "replica" } else { "replicas" };
        Some(format!("{count} {replicas}, {min} to {max} by load: {load}{waits}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(sum_permille: u64, measured: u32) -> Load {
        Load { sum_permille, measured }
    }

    #[test]
    fn as_many_are_asked_for_as_bring_the_load_to_its_target() {
        let fits = |count, sum, measured| fitting(count, load(sum, measured), 500);
        assert_eq!(fits(2, 2_000, 2), 4, "both are full, and half is wanted");
        assert_eq!(fits(4, 800, 4), 2);
        assert_eq!(fits(1, 2_600, 1), 6, "what is over is rounded up");
        assert_eq!(fits(3, 1_640, 3), 3, "within a tenth of the target nothing changes");
        assert_eq!(fits(3, 1_400, 3), 3);
        assert_eq!(fits(2, 0, 2), 0, "the bounds are for others to keep");
    }

    #[test]
    fn who_is_not_measured_speaks_for_what_there_is() {
        let fits = |count, sum, measured| fitting(count, load(sum, measured), 500);
        assert_eq!(fits(4, 1_000, 1), 4, "one is full; three that may be idle make it less than enough");
        assert_eq!(fits(2, 100, 1), 2, "one is idle; the other may be full");
        assert_eq!(fits(3, 3_000, 2), 6, "two are far above");
    }

    fn hear(scaler: &mut Scaler, at: u64, count: u32, cpu: Option<u64>) -> Option<u32> {
        let policy = Autoscale { cpu_permille: Some(500), ..Autoscale::default() };
        let loads = Loads { cpu: cpu.map(|cpu| load(cpu * u64::from(count), count)), memory: None };
        scaler.hear(Time(at * 1_000), &policy, (1, 5), count, &loads).map(|decision| decision.count)
    }

    #[test]
    fn up_waits_for_its_cooldown_and_down_for_the_greatest_of_its_own() {
        let mut scaler = Scaler::default();
        assert_eq!(hear(&mut scaler, 0, 1, Some(1_000)), None, "a host that has just begun knows of no change");
        assert_eq!(hear(&mut scaler, 29, 1, Some(1_000)), None);
        assert_eq!(hear(&mut scaler, 30, 1, Some(1_000)), Some(2));
        scaler.changed(Time(30_000));
        assert_eq!(hear(&mut scaler, 60, 2, Some(9_000)), Some(5), "no more than the greatest number");
        scaler.changed(Time(60_000));
        assert_eq!(hear(&mut scaler, 70, 5, Some(10)), None);
        assert_eq!(hear(&mut scaler, 200, 5, Some(300)), None);
        assert_eq!(hear(&mut scaler, 360, 5, Some(10)), Some(3), "at 200 s three were asked for");
        assert_eq!(hear(&mut scaler, 501, 5, Some(10)), Some(1), "that is long ago");
    }

    #[test]
    fn what_is_not_known_scales_nothing_and_is_no_calm() {
        let mut scaler = Scaler::default();
        assert_eq!(hear(&mut scaler, 0, 3, Some(10)), None);
        assert_eq!(hear(&mut scaler, 250, 3, None), None);
        assert_eq!(scaler.told.as_deref(), Some("cpu is not known"));
        assert_eq!(hear(&mut scaler, 400, 3, Some(10)), None, "for a part of the time nobody knew");
        assert_eq!(hear(&mut scaler, 551, 3, Some(10)), Some(1));
        assert_eq!(scaler.told.as_deref(), Some("cpu is at 1 % of 50 %"));
    }
}

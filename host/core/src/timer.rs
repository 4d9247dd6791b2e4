//! One typed timer table with one question: which is the earliest?

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::ServiceName;
use crate::time::Time;

/// What a timer is for. Setting one that is set moves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A slot's wait before a restart ends.
    Backoff(ServiceName, u32),
    /// A slot's run has lasted long enough to start the count anew.
    Stable(ServiceName, u32),
    /// A slot without checks has run long enough to be believed.
    Proven(ServiceName, u32),
    /// A stop or a destroy that failed is tried again.
    Again(ServiceName, u32),
    /// A check is due: service, replica, index of the check.
    Check(ServiceName, u32, usize),
    /// A backend's tasks are looked at.
    Look(String),
    /// A backend is asked for all it has.
    List(String),
    /// A backend that was away is tried again.
    Retry(String),
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Time, Timer)>,
    at: BTreeMap<Timer, Time>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        if let Some(before) = self.at.insert(timer.clone(), at) {
            self.due.remove(&(before, timer.clone()));
        }
        self.due.insert((at, timer));
    }

    pub(crate) fn clear(&mut self, timer: &Timer) {
        if let Some(at) = self.at.remove(timer) {
            self.due.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn at(&self, timer: &Timer) -> Option<Time> {
        self.at.get(timer).copied()
    }

    pub(crate) fn earliest(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one timer that is due.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(Timer::Look("a".into()), Time(5));
        timers.set(Timer::Look("a".into()), Time(9));
        timers.set(Timer::Look("b".into()), Time(7));
        assert_eq!(timers.earliest(), Some(Time(7)));
        assert_eq!(timers.take_due(Time(8)), Some(Timer::Look("b".into())));
        assert_eq!(timers.take_due(Time(8)), None);
        timers.clear(&Timer::Look("a".into()));
        assert_eq!(timers.earliest(), None);
    }
}

//! Calls that broke their plugin: whom to put aside, and when to try again. Numbers in, decision out.
//!
//! A *strike* is a call that broke the plugin: a trap, no answer in time, too much of something, an answer that is none. It is counted for
//! the *subject* that the call was about, a service as a rule; the plugin itself is the subject with the empty name. A subject with
//! [`STRIKES`] in a row is put aside first: one poisoned service must not take the others of its plugin along. Only when [`SUBJECTS`]
//! different ones strike and nothing at all works between them is the plugin itself what is broken.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::{Span, Time};

/// Strikes in a row that put a subject aside.
const STRIKES: u32 = 5;
/// Different subjects that make it the plugin's own trouble, when no call works between their strikes.
const SUBJECTS: usize = 3;
/// The first wait, doubled by each try that fails.
const FIRST: Span = Span::secs(1);
/// The longest wait.
const LONGEST: Span = Span::secs(60);

/// The strikes of one plugin.
#[derive(Debug, Clone, Default)]
pub struct Strikes {
    subjects: BTreeMap<String, Subject>,
    /// Who struck since the last call that worked.
    row: BTreeSet<String>,
    in_a_row: u32,
    quarantine: Option<Rest>,
}

/// Strikes of one subject, since its last call that worked.
#[derive(Debug, Clone)]
pub struct Subject {
    /// How many, in a row.
    pub strikes: u32,
    /// How the last one went.
    pub last: String,
    /// Until when it is put aside, if it is.
    pub rest: Option<Rest>,
}

/// A time without calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Since when calls do not work.
    pub since: Time,
    /// From then on one is tried.
    pub until: Time,
    tries: u32,
}

impl Rest {
    fn first(now: Time) -> Rest {
        Rest { since: now, until: now + FIRST, tries: 0 }
    }

    /// After a try that failed. Calls that were under way when the rest began are no tries.
    fn again(self, now: Time) -> Rest {
        if now < self.until {
            return self;
        }
        let tries = (self.tries + 1).min(16);
        Rest { since: self.since, until: now + Span((FIRST.0 << tries).min(LONGEST.0)), tries }
    }
}

/// What a strike, or a call that worked, changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The subject is put aside.
    Aside,
    /// The subject is called as before.
    TakenBack,
    /// The whole plugin is.
    Quarantined,
    /// The plugin is called as before.
    Recovered,
}

impl Strikes {
    /// May this be called now? Else when, and whether because of the whole plugin.
    ///
    /// # Errors
    /// The rest that is on.
    pub fn permit(&self, subject: &str, now: Time) -> Result<(), Rest> {
        let rests = [self.quarantine, self.subjects.get(subject).and_then(|subject| subject.rest)];
        rests.into_iter().flatten().find(|rest| now < rest.until).map_or(Ok(()), Err)
    }

    /// A call about it broke the plugin.
    pub fn struck(&mut self, subject: &str, now: Time, how: &str) -> Option<Turn> {
        let known = self.subjects.entry(subject.to_owned()).or_insert_with(|| Subject { strikes: 0, last: String::new(), rest: None });
        known.strikes = known.strikes.saturating_add(1);
        how.clone_into(&mut known.last);
        let before = known.rest;
        known.rest = match before {
            Some(rest) => Some(rest.again(now)),
            None => (known.strikes >= STRIKES).then(|| Rest::first(now)),
        };
        let is_aside = before.is_none() && known.rest.is_some();
        self.row.insert(subject.to_owned());
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(rest) = self.quarantine {
            self.quarantine = Some(rest.again(now));
            return None;
        }
        if self.row.len() >= SUBJECTS && self.in_a_row >= STRIKES {
            self.quarantine = Some(Rest::first(now));
            return Some(Turn::Quarantined);
        }
        is_aside.then_some(Turn::Aside)
    }

    /// A call about it worked: the plugin is not what is broken.
    pub fn answered(&mut self, subject: &str) -> Option<Turn> {
        self.row.clear();
        self.in_a_row = 0;
        let was_aside = self.subjects.remove(subject).is_some_and(|subject| subject.rest.is_some());
        if self.quarantine.take().is_some() {
            return Some(Turn::Recovered);
        }
        was_aside.then_some(Turn::TakenBack)
    }

    /// Has it struck since its last call that worked? Then it is called apart from the others.
    pub fn is_suspect(&self, subject: &str) -> bool {
        self.subjects.contains_key(subject)
    }

    /// Nothing to remember?
    pub fn is_clean(&self) -> bool {
        self.subjects.is_empty() && self.quarantine.is_none() && self.in_a_row == 0
    }

    /// Since when, and until when, nothing of it is called.
    pub fn quarantine(&self) -> Option<Rest> {
        self.quarantine
    }

    /// Everybody with strikes, by name.
    pub fn subjects(&self) -> impl Iterator<Item = (&str, &Subject)> {
        self.subjects.iter().map(|(name, subject)| (name.as_str(), subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time(0) + Span::secs(secs)
    }

    #[test]
    fn the_poisoned_one_is_put_aside_and_the_others_go_on() {
        let mut strikes = Strikes::default();
        for n in 1..STRIKES {
            assert_eq!(strikes.struck("bad", at(0), "trap"), None, "{n}");
            assert_eq!(strikes.answered("good"), None);
        }
        assert_eq!(strikes.struck("bad", at(0), "trap"), Some(Turn::Aside));
        assert_eq!(strikes.permit("good", at(0)), Ok(()));
        assert!(strikes.permit("bad", at(0)).is_err_and(|rest| rest.until == at(1)));
        assert_eq!(strikes.permit("bad", at(1)), Ok(()), "one is tried");
        assert_eq!(strikes.struck("bad", at(1), "trap"), None);
        assert!(strikes.permit("bad", at(2)).is_err_and(|rest| rest.until == at(3)), "the wait doubles");
        assert_eq!(strikes.answered("bad"), Some(Turn::TakenBack));
        assert!(strikes.is_clean());
    }

    #[test]
    fn the_wait_has_an_end() {
        let mut strikes = Strikes::default();
        let mut now = at(0);
        for _ in 0..40 {
            strikes.struck("bad", now, "trap");
            now = strikes.permit("bad", now).map_or_else(|rest| rest.until, |()| now);
        }
        strikes.struck("bad", now, "trap");
        assert!(strikes.permit("bad", now).is_err_and(|rest| rest.until == now + LONGEST));
    }

    #[test]
    fn what_was_under_way_is_no_try() {
        let mut strikes = Strikes::default();
        for _ in 0..20 {
            strikes.struck("bad", at(0), "trap");
        }
        assert!(strikes.permit("bad", at(0)).is_err_and(|rest| rest.until == at(1)));
    }

    #[test]
    fn three_that_strike_with_nothing_between_them_are_the_plugins_trouble() {
        let mut strikes = Strikes::default();
        let turns: Vec<Option<Turn>> = ["a", "b", "c", "a", "b"].map(|name| strikes.struck(name, at(0), "trap")).into();
        assert_eq!(turns, [None, None, None, None, Some(Turn::Quarantined)]);
        assert!(strikes.permit("innocent", at(0)).is_err());
        assert_eq!(strikes.permit("innocent", at(1)), Ok(()));
        assert_eq!(strikes.answered("innocent"), Some(Turn::Recovered));
        assert_eq!(strikes.permit("a", at(1)), Ok(()), "its own strikes are few");
        let two = |strikes: &mut Strikes| ["a", "b", "a", "b"].map(|name| strikes.struck(name, at(2), "trap"));
        assert!(!two(&mut strikes).contains(&Some(Turn::Quarantined)), "two are not three");
    }
}

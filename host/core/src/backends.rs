//! Backends: looking at what runs there, listing what is there, and being away.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Action, Phase, Run};
use crate::machine::Core;
use crate::spec::ServiceName;
use crate::time::{Span, Time};
use crate::timer::Timer;

/// From one listing to the next, while there may be something that has to go.
pub(crate) const LIST_SOON: Span = Span::secs(30);
/// A backend that says when it wants to be asked again is held to this: a plugin can neither make the host spin nor be forgotten.
const SOONEST_RETRY: Span = Span::secs(1);
const LATEST_RETRY: Span = Span::secs(300);

/// A backend, as far as deciding needs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backend {
    /// Lives that are looked at.
    pub(crate) watched: BTreeSet<Run>,
    /// Lives that may exist, each with the number of the first listing that was asked for after that was known: an older one says
    /// nothing about it.
    pub(crate) uncertain: BTreeMap<Run, u64>,
    /// Somebody hints at every end there.
    hinted: bool,
    /// A life came that no look has seen yet: its end may have come before anybody knew whose it was.
    unseen: bool,
    looking: bool,
    look_again: bool,
    listing: bool,
    list_again: bool,
    /// Listings asked for so far.
    pub(crate) listings: u64,
    /// Why no task can be started there now.
    pub(crate) away: Option<String>,
    /// How often in a row it was found away.
    tries: u32,
    /// Why its plugin cannot be called at all.
    pub(crate) missing: Option<String>,
}

/// A life that nobody wants, and that may turn up.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) backend: String,
    pub(crate) service: ServiceName,
    pub(crate) replica: u32,
    /// Number of the first listing that counts.
    pub(crate) from: u64,
    /// When a listing last missed it, and for how long it has been missed.
    pub(crate) missed: Option<(Time, Span)>,
    /// People were told that it was found.
    pub(crate) told: bool,
}

impl Core {
    /// Looks at a backend's tasks now, or once more when a look is under way.
    pub(crate) fn look(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        if backend.looking {
            backend.look_again = true;
            return;
        }
        self.timers.clear(&Timer::Look(name.to_owned()));
        if backend.watched.is_empty() || backend.missing.is_some() {
            return;
        }
        backend.looking = true;
        backend.look_again = false;
        backend.unseen = false;
        let runs = backend.watched.iter().copied().collect();
        self.actions.push_back(Action::Look { backend: name.to_owned(), runs });
    }

    /// Ends a look; begins the next at once when somebody asked meanwhile, and soon when this one did not say of everything where it is.
    pub(crate) fn looked(&mut self, name: &str, is_whole: bool) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.looking = false;
        let is_enough = is_whole && backend.hinted && !backend.unseen;
        if backend.look_again {
            self.look(name);
        } else if !backend.watched.is_empty() {
            let wait = if is_enough { self.config.look_seldom } else { self.config.look_every };
            self.timers.set(Timer::Look(name.to_owned()), self.now + wait);
        }
    }

    /// Somebody hints at every end there from now on, or nobody does.
    pub(crate) fn hear_watched(&mut self, name: &str, closely: bool) {
        self.backends.entry(name.to_owned()).or_default().hinted = closely;
        self.look(name);
    }

    /// Asks a backend for all it has, or once more when that is under way.
    pub(crate) fn list(&mut self, name: &str) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        if backend.listing {
            backend.list_again = true;
            return;
        }
        self.timers.clear(&Timer::List(name.to_owned()));
        if backend.missing.is_some() {
            return;
        }
        backend.listing = true;
        backend.list_again = false;
        backend.listings += 1;
        self.actions.push_back(Action::List { backend: name.to_owned() });
    }

    pub(crate) fn listed(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.listing = false;
        if backend.list_again {
            self.list(name);
        } else {
            self.timers.set(Timer::List(name.to_owned()), self.now + self.config.list_every);
            if self.abandoned.values().any(|lost| lost.backend == name) {
                self.list_soon(name);
            }
        }
    }

    /// Lists soon, because something there still has to go.
    pub(crate) fn list_soon(&mut self, name: &str) {
        let (timer, soon) = (Timer::List(name.to_owned()), self.now + LIST_SOON);
        if self.timers.at(&timer).is_some_and(|at| at > soon) {
            self.timers.set(timer, soon);
        }
    }

    /// From now on this life is looked at.
    pub(crate) fn watch(&mut self, name: &str, run: Run) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        backend.uncertain.remove(&run);
        backend.watched.insert(run);
        backend.unseen = true;
        let (timer, soon) = (Timer::Look(name.to_owned()), self.now + self.config.look_every);
        if !backend.looking && self.timers.at(&timer).is_none_or(|at| at > soon) {
            self.timers.set(timer, soon);
        }
        if !backend.listing && self.timers.at(&Timer::List(name.to_owned())).is_none() {
            self.timers.set(Timer::List(name.to_owned()), self.now + self.config.list_every);
        }
    }

    /// From now on this life is asked for.
    pub(crate) fn wonder(&mut self, name: &str, run: Run) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        backend.uncertain.insert(run, backend.listings + 1);
    }

    /// This life is over: nobody looks at it or asks for it any more.
    pub(crate) fn unwatch(&mut self, name: &str, run: Run) {
        if let Some(backend) = self.backends.get_mut(name) {
            backend.watched.remove(&run);
            backend.uncertain.remove(&run);
        }
    }

    /// This life is not wanted, and is destroyed as soon as it is found.
    pub(crate) fn abandon(&mut self, run: Run, backend: &str, service: &ServiceName, replica: u32) {
        let from = self.backends.entry(backend.to_owned()).or_default().listings + 1;
        let lost = Lost { backend: backend.to_owned(), service: service.clone(), replica, from, missed: None, told: false };
        self.abandoned.insert(run, lost);
    }

    /// Why no task can be started there now.
    pub(crate) fn backend_trouble(&self, name: &str) -> Option<&str> {
        let backend = self.backends.get(name)?;
        backend.missing.as_deref().or(backend.away.as_deref())
    }

    /// No task can be started there for a while: 1 s, 2 s, … 30 s, or when it says, within 1 s and 5 min.
    pub(crate) fn backend_is_away(&mut self, name: &str, why: &str, after: Option<Span>) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        let known = backend.away.replace(why.to_owned()).is_some();
        // Several calls that were under way together find out the same thing once.
        if !known || after.is_some() {
            let wait = after.unwrap_or(Span((1_000_u64 << backend.tries.min(5)).min(30_000))).clamp(SOONEST_RETRY, LATEST_RETRY);
            backend.tries = backend.tries.saturating_add(1);
            self.timers.set(Timer::Retry(name.to_owned()), self.now + wait);
        }
        if !known {
            self.touch_backend(name);
        }
    }

    pub(crate) fn backend_is_back(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.tries = 0;
        if backend.away.take().is_some() {
            self.timers.clear(&Timer::Retry(name.to_owned()));
            self.touch_backend(name);
        }
    }

    /// Lets the tasks of a backend try again: the next start or listing finds out.
    pub(crate) fn retry(&mut self, name: &str) {
        let Some(backend) = self.backends.get_mut(name) else { return };
        backend.away = None;
        self.touch_backend(name);
        self.list_if_needed(name);
    }

    /// A plugin came or went. What its backend runs goes on; as long as nobody can ask, it is unknown.
    pub(crate) fn hear_plugin(&mut self, name: &str, missing: Option<String>) {
        let backend = self.backends.entry(name.to_owned()).or_default();
        if backend.missing == missing {
            return;
        }
        backend.missing.clone_from(&missing);
        let watched: Vec<Run> = backend.watched.iter().copied().collect();
        self.touch_backend(name);
        match missing {
            Some(reason) => {
                // There is nobody to look: the next look is the one when it comes back.
                self.timers.clear(&Timer::Look(name.to_owned()));
                watched.into_iter().for_each(|run| self.see(name, run, Phase::Unknown(reason.clone())));
            }
            None => {
                self.look(name);
                self.list_if_needed(name);
            }
        }
    }

    /// Lists at once when something must be found, else in its time.
    fn list_if_needed(&mut self, name: &str) {
        let uncertain = self.backends.get(name).is_some_and(|backend| !backend.uncertain.is_empty());
        if uncertain || self.abandoned.values().any(|lost| lost.backend == name) {
            self.list(name);
        } else if self.backends.get(name).is_some_and(|backend| !backend.listing && !backend.watched.is_empty())
            && self.timers.at(&Timer::List(name.to_owned())).is_none()
        {
            self.timers.set(Timer::List(name.to_owned()), self.now + self.config.list_every);
        }
    }

    fn touch_backend(&mut self, name: &str) {
        let starts_there = self.services.iter().filter(|(_, service)| service.spec.backend.plugin == name).map(|(name, _)| name.clone());
        let mut names: Vec<ServiceName> = starts_there.collect();
        let uncertain = self.backends.get(name).into_iter().flat_map(|backend| backend.uncertain.keys());
        names.extend(uncertain.filter_map(|run| self.runs.get(run)).map(|(name, _)| name.clone()));
        names.iter().for_each(|name| self.touch(name));
    }
}

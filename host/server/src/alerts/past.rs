//! What rules ask of the past: restarts. It is read from the events, those of an earlier host among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hostler_api::{EventKind, EventRecord};
use hostler_core::{Facts, Span, Time};

/// Rules look no further back.
const FURTHEST: Span = Span::secs(86_400);
/// Restarts of one service that are remembered; a rule asks for no more.
const MOST: usize = 1_000;

/// What is remembered of the past.
#[derive(Default)]
pub(super) struct Past {
    restarts: BTreeMap<String, VecDeque<Time>>,
}

/// Whom an event concerns.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concerns {
    Service(String),
    Plugin(String),
}

impl Past {
    /// Hears an event that came at `at`; whom it concerns, as far as rules go.
    pub(super) fn hear(&mut self, at: Time, event: &EventRecord) -> Option<Concerns> {
        let kind = event.kind.as_str();
        if [EventKind::AlertFired, EventKind::AlertResolved, EventKind::AlertUndelivered].iter().any(|own| own.as_str() == kind) {
            return None;
        }
        let whole = |name: &String| event.workspace.as_ref().map_or_else(|| name.clone(), |workspace| format!("{workspace}.{name}"));
        let Some(service) = event.service.as_ref().map(whole) else {
            return event.data["plugin"].as_str().map(|name| Concerns::Plugin(name.to_owned()));
        };
        match EventKind::of(kind) {
            Some(EventKind::Restarting) => self.restarted(&service, at),
            Some(EventKind::Removed) => self.forget(&service),
            _ => {}
        }
        Some(Concerns::Service(service))
    }

    /// Adds what is known of a service to its facts.
    pub(super) fn add_to(&self, service: &str, facts: &mut Facts) {
        facts.restarts = self.restarts.get(service).map(|times| times.iter().copied().collect()).unwrap_or_default();
    }

    /// Forgets whoever is not there any more.
    pub(super) fn keep(&mut self, now: Time, there: &BTreeSet<String>) {
        self.restarts.retain(|service, times| {
            times.retain(|at| now.since(*at) < FURTHEST);
            !times.is_empty() && there.contains(service)
        });
    }

    fn restarted(&mut self, service: &str, at: Time) {
        let times = self.restarts.entry(service.to_owned()).or_default();
        times.push_back(at);
        if times.len() > MOST {
            times.pop_front();
        }
    }

    fn forget(&mut self, service: &str) {
        self.restarts.remove(service);
    }
}

#[cfg(test)]
mod tests {
    use hostler_api::{Shape, Timestamp};
    use serde_json::json;

    use super::*;

    fn event(kind: &str, service: Option<&str>) -> EventRecord {
        let (replica, run, workspace) = (None, None, None);
        let (service, data) = (service.map(str::to_owned), json!({ "plugin": "docker" }));
        EventRecord {
            version: Shape,
            seq: 1,
            at: Timestamp(0),
            kind: kind.to_owned(),
            workspace,
            service,
            replica,
            run,
            message: String::new(),
            data,
        }
    }

    #[test]
    fn restarts_are_remembered_of_whoever_is_there() {
        let mut past = Past::default();
        for secs in [1, 2] {
            assert_eq!(past.hear(Time(secs), &event("restarting", Some("db"))), Some(Concerns::Service("db".to_owned())));
        }
        assert_eq!(past.hear(Time(3), &event("heartbeat-missed", Some("web"))), Some(Concerns::Service("web".to_owned())));
        let facts = |past: &Past, name: &str| {
            let mut facts = Facts::default();
            past.add_to(name, &mut facts);
            facts
        };
        assert_eq!(facts(&past, "db").restarts, [Time(1), Time(2)]);
        past.keep(Time(FURTHEST.0 + 1), &["db".to_owned(), "web".to_owned()].into());
        assert_eq!(facts(&past, "db").restarts, [Time(2)]);
        past.keep(Time(5), &BTreeSet::new());
        assert_eq!((facts(&past, "db"), facts(&past, "web")), (Facts::default(), Facts::default()));
    }

    #[test]
    fn what_alerts_tell_concerns_no_rule() {
        let mut past = Past::default();
        assert_eq!(past.hear(Time(1), &event("alert-fired", Some("db"))), None);
        assert_eq!(past.hear(Time(1), &event("plugin-quarantined", None)), Some(Concerns::Plugin("docker".to_owned())));
    }
}

//! Alerts: what has been wrong for so long that somebody is to be told, and told once.
//!
//! Like the core itself this decides and touches nothing: time and facts are handed in, and turns come out. It asks "how is it?", never
//! "what just changed?": the same facts twice are no second turn, and what cannot be said of a service moves nothing.

#[cfg(test)]
mod properties;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use rule::{AlertRule, Bound, Facts, Figure, Finding, Severity, Trigger, Window};

use crate::spec::ServiceName;
use crate::time::Time;

/// Whom an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A service.
    Service(ServiceName),
    /// A plugin of the host.
    Plugin(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Service(name) => name.fmt(f),
            Subject::Plugin(name) => write!(f, "plugin {name}"),
        }
    }
}

/// An alert by its name: a rule, and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// The rule.
    pub rule: String,
    /// About whom.
    pub subject: Subject,
}

/// A change of an alert: each is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertTurn {
    /// It has held for as long as its rule says.
    Fired {
        /// Which one.
        key: AlertKey,
        /// Since when it has held.
        since: Time,
        /// What is wrong.
        message: String,
    },
    /// It holds no more.
    Resolved {
        /// Which one.
        key: AlertKey,
        /// What is so now.
        message: String,
    },
}

/// An alert under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertStage {
    /// It holds, and not yet for long enough.
    Pending {
        /// Since when.
        since: Time,
        /// Was it so when it was last asked? What cannot be said does not fire.
        certain: bool,
    },
    /// It was told.
    Firing,
}

#[derive(Debug, Clone)]
struct Live {
    stage: AlertStage,
    message: String,
}

/// Every rule, and every alert under way.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    rules: BTreeMap<String, AlertRule>,
    live: BTreeMap<AlertKey, Live>,
}

impl Alerts {
    /// Goes on with alerts that were firing, and with what each said. Their rules come with [`Alerts::set_rules`].
    pub fn restore(firing: impl IntoIterator<Item = (AlertKey, String)>) -> Alerts {
        let live = firing.into_iter().map(|(key, message)| (key, Live { stage: AlertStage::Firing, message })).collect();
        Alerts { rules: BTreeMap::new(), live }
    }

    /// Makes these the rules. Alerts of a rule that is gone are resolved; those of one that looks for something else begin anew.
    pub fn set_rules(&mut self, rules: BTreeMap<String, AlertRule>) -> Vec<AlertTurn> {
        let before = std::mem::replace(&mut self.rules, rules);
        let rules = &self.rules;
        // A host that has just begun has no rules before: what it took up is held against facts.
        let is_other = |name: &str| before.get(name).zip(rules.get(name)).is_some_and(|(before, now)| before.trigger != now.trigger);
        let gone: BTreeMap<AlertKey, &str> = self
            .live
            .keys()
            .filter_map(|key| match rules.get(&key.rule) {
                None => Some((key.clone(), "its rule is gone")),
                Some(rule) if !rule.is_about(&key.subject) => Some((key.clone(), "its rule is about others now")),
                Some(_) if is_other(&key.rule) => Some((key.clone(), "its rule looks for something else now")),
                Some(_) => None,
            })
            .collect();
        gone.into_iter().filter_map(|(key, why)| self.end(&key, why)).collect()
    }

    /// The rules in force.
    pub fn rules(&self) -> &BTreeMap<String, AlertRule> {
        &self.rules
    }

    /// Holds what is known of somebody against every rule about him; `None` is that he is there no more.
    pub fn observe(&mut self, now: Time, subject: &Subject, facts: Option<&Facts>) -> Vec<AlertTurn> {
        let Some(facts) = facts else { return self.end_all(subject, "it is there no more") };
        let findings: Vec<(String, Finding)> = self
            .rules
            .values()
            .filter(|rule| rule.is_about(subject))
            .map(|rule| (rule.name.clone(), if rule.covers(facts) { rule.judge(now, facts) } else { Finding::clear("its rule is about others now") }))
            .collect();
        findings.into_iter().filter_map(|(rule, finding)| self.note(now, AlertKey { rule, subject: subject.clone() }, finding)).collect()
    }

    /// What has become due by time alone.
    pub fn tick(&mut self, now: Time) -> Vec<AlertTurn> {
        let due: Vec<AlertKey> =
            self.live.iter().filter(|(key, live)| self.due(key, live).is_some_and(|at| at <= now)).map(|(key, _)| key.clone()).collect();
        due.into_iter().filter_map(|key| self.fire(key)).collect()
    }

    /// When [`Alerts::tick`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.live.iter().filter_map(|(key, live)| self.due(key, live)).min()
    }

    /// Every alert under way, with what it says.
    pub fn live(&self) -> impl Iterator<Item = (&AlertKey, &AlertStage, &str)> {
        self.live.iter().map(|(key, live)| (key, &live.stage, live.message.as_str()))
    }

    /// Everybody of whom there is an alert under way.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        self.live.keys().map(|key| key.subject.clone()).collect()
    }

    fn due(&self, key: &AlertKey, live: &Live) -> Option<Time> {
        match live.stage {
            AlertStage::Pending { since, certain: true } => Some(since + self.rules.get(&key.rule)?.hold),
            AlertStage::Pending { certain: false, .. } | AlertStage::Firing => None,
        }
    }

    fn note(&mut self, now: Time, key: AlertKey, finding: Finding) -> Option<AlertTurn> {
        match finding {
            Finding::Holds(message) => {
                let live =
                    self.live.entry(key.clone()).or_insert(Live { stage: AlertStage::Pending { since: now, certain: true }, message: String::new() });
                live.message = message;
                if let AlertStage::Pending { certain, .. } = &mut live.stage {
                    *certain = true;
                }
                let is_due = self.due(&key, &self.live[&key]).is_some_and(|at| at <= now);
                if is_due { self.fire(key) } else { None }
            }
            Finding::Clear(message) => self.end(&key, &message),
            Finding::Unknown => {
                if let Some(Live { stage: AlertStage::Pending { certain, .. }, .. }) = self.live.get_mut(&key) {
                    *certain = false;
                }
                None
            }
        }
    }

    fn fire(&mut self, key: AlertKey) -> Option<AlertTurn> {
        let live = self.live.get_mut(&key)?;
        let AlertStage::Pending { since, .. } = live.stage else { return None };
        live.stage = AlertStage::Firing;
        Some(AlertTurn::Fired { message: live.message.clone(), since, key })
    }

    fn end(&mut self, key: &AlertKey, message: &str) -> Option<AlertTurn> {
        let live = self.live.remove(key)?;
        match live.stage {
            AlertStage::Pending { .. } => None,
            AlertStage::Firing => Some(AlertTurn::Resolved { key: key.clone(), message: message.to_owned() }),
        }
    }

    fn end_all(&mut self, subject: &Subject, message: &str) -> Vec<AlertTurn> {
        let keys: Vec<AlertKey> = self.live.keys().filter(|key| key.subject == *subject).cloned().collect();
        keys.iter().filter_map(|key| self.end(key, message)).collect()
    }
}

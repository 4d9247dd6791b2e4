//! `[alerts]` and `[sinks.NAME]`: what is to be told, and to whom.

mod rule;
mod sink;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{AlertRule, Problem, ServiceName, Severity, Span, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::MAX_THINGS;
use super::place::{BAD_NAME, Place, Report, Table};

/// The sink that is always there: the host's own log.
pub const LOG: &str = "log";
/// The key of `[alerts]` that is no rule.
const DEFAULTS: &str = "defaults";
const RULE_HINT: &str = "write [alerts.NAME] on = \"unhealthy\", or [alerts] defaults = true";
const SINK_HINT: &str = "write [sinks.NAME] type = \"webhook\", url = \"https://…\"";

/// What is told, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Alerting {
    /// Rules by name.
    pub rules: BTreeMap<String, AlertRule>,
    /// Whom rules name, by name; the host's log is not among them.
    pub sinks: BTreeMap<String, Sink>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sink {
    /// How.
    pub way: Way,
    /// How long one message may take.
    pub timeout: Span,
    /// How long the first of several is kept, so that the others come with it.
    pub group_wait: Span,
    /// How often a message is tried.
    pub attempts: u32,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A line in the host's log.
    Log,
    /// A POST of JSON.
    Webhook {
        /// Where to.
        url: String,
        /// File of the secret that messages are signed with.
        secret_file: Option<String>,
        /// File of the authorities that vouch for the other side; the machine's own when absent.
        ca: Option<String>,
    },
    /// A program that is given JSON.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
    },
}

impl Way {
    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Way::Log => "log",
            Way::Webhook { .. } => "webhook",
            Way::Command { .. } => "command",
        }
    }
}

impl Sink {
    /// The host's own log.
    pub fn log() -> Sink {
        Sink { way: Way::Log, timeout: sink::TIMEOUT, group_wait: sink::GROUP_WAIT, attempts: 1 }
    }
}

pub(crate) use sink::is_url;

/// Reads `alerts` and `sinks`.
pub(crate) fn read(table: &mut Table<'_>, document: &Value, report: &mut Report) -> Alerting {
    let sinks: BTreeMap<String, Sink> = members(table.take("sinks"), "sink", SINK_HINT, report)
        .into_iter()
        .filter_map(|(name, place)| {
            if name == LOG {
                report.add(
                    Problem::new(&place.at, format!("{BAD_NAME}: the sink `{LOG}` is the host's own log, and always there"))
                        .hint("call this one something else"),
                );
                return None;
            }
            Some((name, sink::read(&place, report)?))
        })
        .collect();
    // From the document, so that a sink with a mistake in it is still there.
    let named: BTreeSet<&str> =
        document.get("sinks").and_then(Value::as_object).into_iter().flat_map(|map| map.keys().map(String::as_str)).chain([LOG]).collect();
    let mut rules = BTreeMap::new();
    for (name, place) in members(table.take("alerts"), "alert", RULE_HINT, report) {
        if name == DEFAULTS && !place.value.is_object() {
            let sinks = read_defaults(&place, &named, report);
            // A rule of the file with the name of a default takes its place.
            for rule in defaults(&sinks) {
                rules.entry(rule.name.clone()).or_insert(rule);
            }
        } else if let Some(rule) = rule::read(name.clone(), &place, &named, report) {
            rules.insert(name, rule);
        }
    }
    Alerting { rules, sinks }
}

/// The rules that nobody has to write.
fn defaults(sinks: &[String]) -> Vec<AlertRule> {
    let rule = |name: &str, trigger, hold, severity| AlertRule {
        name: name.to_owned(),
        trigger,
        hold,
        severity,
        services: Vec::new(),
        categories: Vec::new(),
        sinks: sinks.to_vec(),
    };
    vec![
        rule("unhealthy", Trigger::Unhealthy, Span::ZERO, Severity::Critical),
        rule("degraded", Trigger::Degraded, Span::ZERO, Severity::Warning),
        rule("restarts", Trigger::Restarts { count: rule::RESTARTS, within: rule::WITHIN }, Span::ZERO, Severity::Warning),
        rule("heartbeat-missed", Trigger::HeartbeatMissed, Span::ZERO, Severity::Warning),
    ]
}

/// `true`, or a list of sinks.
fn read_defaults(place: &Place<'_>, named: &BTreeSet<&str>, report: &mut Report) -> Vec<String> {
    match place.value {
        Value::Bool(true) => everybody(named),
        Value::Array(_) => read_sinks(place, named, report),
        _ => {
            report.add(place.wrong("true, or a list of sinks").hint("write defaults = [\"log\"]; leave it out for none"));
            Vec::new()
        }
    }
}

/// Whoever is told by a rule that names nobody: every sink of the file, and the log where there is none.
fn everybody(named: &BTreeSet<&str>) -> Vec<String> {
    let own: Vec<String> = named.iter().filter(|name| **name != LOG).map(|name| (*name).to_owned()).collect();
    if own.is_empty() { vec![LOG.to_owned()] } else { own }
}

fn read_sinks(place: &Place<'_>, named: &BTreeSet<&str>, report: &mut Report) -> Vec<String> {
    let mut sinks = Vec::new();
    for item in place.items("write sinks = [\"log\"]", report) {
        let Some(name) = item.text(report) else { continue };
        if !named.contains(name) {
            let hint = match hostler_core::closest(name, named.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("describe it: [sinks.{name}]; known here: {}", named.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            report.add(item.complain(format_args!("is {name:?}, and there is no such sink")).hint(hint));
        } else if !sinks.iter().any(|known| known == name) {
            sinks.push(name.to_owned());
        }
    }
    sinks
}

/// The members by names that are good ones.
fn members<'a>(place: Option<Place<'a>>, what: &str, hint: &str, report: &mut Report) -> Vec<(String, Place<'a>)> {
    let Some(place) = place else { return Vec::new() };
    let members = place.members(hint, report);
    if members.len() > MAX_THINGS {
        report.add(Problem::new(&place.at, format!("`{}` has {} members; {MAX_THINGS} is the limit", place.name, members.len())));
        return Vec::new();
    }
    let mut good = Vec::new();
    for (name, place) in members {
        match ServiceName::new(name) {
            Ok(_) => good.push((name.to_owned(), place)),
            Err(why) => {
                let why = why.replacen("service name", &format!("{what} name"), 1);
                let (why, hint) = why.split_once("; ").unwrap_or((&why, "use a-z, 0-9, - and _"));
                report.add(Problem::new(&place.at, format!("{BAD_NAME}: {why}")).hint(hint));
            }
        }
    }
    good
}

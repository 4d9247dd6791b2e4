//! What a sink is told: many changes of the same kind are one message.

use std::collections::BTreeSet;

use hostler_api::{Alert, AlertMessage, AlertState, Severity, Shape, Timestamp};

use super::book::Entry;
use crate::clock;

/// Changes in one message, at most; others come with the next.
const MOST: usize = 10_000;
/// Those of them that are listed.
const LISTED: usize = 100;
/// Names in the sentence for people.
const NAMED: usize = 5;

/// The first of these and whatever can be told with it: of the same rule, to the same state, and behind nothing else about the same one.
pub(super) fn group<'a>(waiting: impl Iterator<Item = &'a Entry>) -> Vec<Entry> {
    let mut chosen: Vec<Entry> = Vec::new();
    let mut held: BTreeSet<(&Option<String>, &Option<String>)> = BTreeSet::new();
    for entry in waiting {
        let alert = &entry.alert;
        let of_group = chosen.first().is_none_or(|first| first.alert.rule == alert.rule && first.alert.state == alert.state);
        if chosen.first().is_some_and(|first| first.alert.rule != alert.rule) {
            continue;
        }
        let whom = (&alert.service, &alert.plugin);
        // A second change of the same alert waits for the one between.
        if of_group && !held.contains(&whom) && chosen.len() < MOST {
            chosen.push(entry.clone());
        } else {
            held.insert(whom);
        }
    }
    chosen
}

/// A group as it is told.
pub(super) fn of(owner: &str, group: &[Entry], dropped: u64) -> Option<AlertMessage> {
    let first = &group.first()?.alert;
    Some(AlertMessage {
        version: Shape,
        host: owner.to_owned(),
        test: false,
        rule: first.rule.clone(),
        on: first.on.clone(),
        severity: group.iter().map(|entry| entry.alert.severity).max().unwrap_or_default(),
        state: first.state,
        count: group.len() as u64,
        summary: summary(group),
        at: Timestamp(clock::wall_ms()),
        alerts: group.iter().take(LISTED).map(|entry| entry.alert.clone()).collect(),
        dropped,
    })
}

/// A message about nothing.
pub(super) fn test(owner: &str) -> AlertMessage {
    AlertMessage {
        version: Shape,
        host: owner.to_owned(),
        test: true,
        rule: "test".to_owned(),
        on: "test".to_owned(),
        severity: Severity::Info,
        state: AlertState::Firing,
        count: 0,
        summary: "test: this is a test, and nothing is wrong".to_owned(),
        at: Timestamp(clock::wall_ms()),
        alerts: Vec::new(),
        dropped: 0,
    }
}

fn whom(alert: &Alert) -> String {
    alert.service.clone().or_else(|| alert.plugin.as_ref().map(|name| format!("plugin {name}"))).unwrap_or_default()
}

fn summary(group: &[Entry]) -> String {
    let [first, ..] = group else { return String::new() };
    let word = if first.alert.state == AlertState::Resolved { "resolved: " } else { "" };
    let rule = &first.alert.rule;
    if let [only] = group {
        return format!("{word}{rule}: {} {}", whom(&only.alert), only.alert.message);
    }
    let names: Vec<String> = group.iter().take(NAMED).map(|entry| whom(&entry.alert)).collect();
    let more = if group.len() > NAMED { format!(" and {} more", group.len() - NAMED) } else { String::new() };
    format!("{word}{rule}: {} alerts: {}{more}", group.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, rule: &str, service: &str, state: AlertState) -> Entry {
        let alert = Alert {
            id: Some(number),
            rule: rule.to_owned(),
            on: "unhealthy".to_owned(),
            severity: Severity::Warning,
            state,
            service: Some(service.to_owned()),
            plugin: None,
            message: "is unhealthy".to_owned(),
            since: Timestamp(0),
            fired_at: None,
            resolved_at: None,
            silenced_by: None,
        };
        Entry { number, sink: "ops".to_owned(), alert }
    }

    fn numbers(entries: &[Entry]) -> Vec<u64> {
        group(entries.iter()).iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn a_storm_is_one_message_with_a_list_and_a_count() {
        let storm: Vec<Entry> = (0..250).map(|number| entry(number, "ill", &format!("s{number}"), AlertState::Firing)).collect();
        let message = of("h", &group(storm.iter()), 3).expect("there are some");
        assert_eq!((message.count, message.alerts.len(), message.dropped), (250, 100, 3));
        assert_eq!(message.summary, "ill: 250 alerts: s0, s1, s2, s3, s4 and 245 more");
        let one = of("h", &group(storm[..1].iter()), 0).expect("there is one");
        assert_eq!(one.summary, "ill: s0 is unhealthy");
    }

    #[test]
    fn rules_and_states_are_told_apart_and_the_order_of_one_alert_is_kept() {
        use AlertState::{Firing, Resolved};
        let all = [
            entry(1, "ill", "a", Firing),
            entry(2, "ill", "b", Firing),
            entry(3, "ill", "a", Resolved),
            entry(4, "other", "a", Firing),
            entry(5, "ill", "a", Firing),
            entry(6, "ill", "c", Firing),
        ];
        assert_eq!(numbers(&all), [1, 2, 6]);
        assert_eq!(numbers(&[all[2].clone(), all[3].clone(), all[4].clone()]), [3]);
        assert_eq!(numbers(&[]), [] as [u64; 0]);
    }
}

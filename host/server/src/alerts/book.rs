//! What is remembered of alerts: those that fire, those that were, and the notes of who is still to be told.

use std::collections::{BTreeMap, VecDeque};

use hostler_api::{Alert, AlertState, EventKind, Timestamp};
use hostler_core::{AlertKey, AlertTurn, Alerts, Severity, Subject, WorkspaceName};
use hostler_store::{Store, Txn};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::silence::Record as Silence;
use super::{plugin_of, service_of};
use crate::clock;
use crate::ledger::{self, LedgerError};

const FIRING: &str = "alerts/";
const HISTORY: &str = "alert-history/";
pub(super) const OUTBOX: &str = "alert-outbox/";
/// Under `meta/`: the newest number of an alert or a note.
const LAST: &str = "alerts";
/// Alerts that are over and still known.
pub(super) const KEPT: usize = 1_000;

/// Everything that is known of alerts.
pub(super) struct Book {
    pub(super) alerts: Alerts,
    pub(super) firing: BTreeMap<AlertKey, Record>,
    /// Those that are over, the newest last.
    pub(super) history: VecDeque<Record>,
    pub(super) silences: BTreeMap<String, Silence>,
    last: u64,
}

/// One alert that has fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    id: u64,
    pub(super) key: AlertKey,
    on: String,
    pub(super) severity: Severity,
    since: u64,
    fired_at: u64,
    message: String,
    resolved_at: Option<u64>,
    /// The sinks that were told, or are about to be; nothing while it is silenced.
    told: Option<Vec<String>>,
}

/// A note that a sink is to be told of one change of one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) sink: String,
    pub(super) alert: Alert,
}

/// What is to be committed, and then to be known.
#[derive(Default)]
pub(super) struct Step {
    pub(super) txn: Txn,
    pub(super) entries: Vec<Entry>,
    /// How many notes each sink has no room for.
    pub(super) dropped: BTreeMap<String, u64>,
    changed: Vec<Record>,
    ended: Vec<Record>,
    last: u64,
}

impl Entry {
    pub(super) fn key(&self) -> String {
        format!("{OUTBOX}{}/{:020}", self.sink, self.number)
    }
}

impl Record {
    fn key(&self) -> String {
        format!("{FIRING}{:020}", self.id)
    }

    fn is_of(&self, workspace: &WorkspaceName) -> bool {
        matches!(&self.key.subject, Subject::Service(name) if name.workspace() == workspace.as_str())
    }

    /// As it travels.
    pub(super) fn told(&self, silenced_by: Option<String>) -> Alert {
        Alert {
            id: Some(self.id),
            rule: self.key.rule.clone(),
            on: self.on.clone(),
            severity: self.severity,
            state: if self.resolved_at.is_some() { AlertState::Resolved } else { AlertState::Firing },
            service: service_of(&self.key),
            plugin: plugin_of(&self.key),
            message: self.message.clone(),
            since: Timestamp(self.since),
            fired_at: Some(Timestamp(self.fired_at)),
            resolved_at: self.resolved_at.map(Timestamp),
            silenced_by,
        }
    }

    fn event(&self, kind: EventKind, silenced_by: Option<&str>) -> hostler_store::NewEvent {
        let (word, subject) = (if kind == EventKind::AlertFired { "alert" } else { "alert is over" }, service_of(&self.key));
        let whom = plugin_of(&self.key).map(|name| format!("plugin {name} ")).unwrap_or_default();
        let message = format!("{word} {}: {whom}{}", self.key.rule, self.message);
        let data = json!({
            "message": message, "alert": self.id, "rule": self.key.rule, "on": self.on, "severity": self.severity,
            "plugin": plugin_of(&self.key), "silenced_by": silenced_by,
        });
        ledger::note(kind, subject.as_deref().unwrap_or(ledger::OF_THE_HOST), &data)
    }
}

impl Step {
    pub(super) fn is_empty(&self) -> bool {
        self.txn.ops.is_empty() && self.txn.events.is_empty() && self.dropped.is_empty()
    }

    /// Notes for each sink that has room.
    fn tell(&mut self, sinks: &[String], alert: &Alert, room: &impl Fn(&str) -> usize) {
        for sink in sinks {
            let waiting = self.entries.iter().filter(|entry| entry.sink == *sink).count();
            if waiting >= room(sink) {
                *self.dropped.entry(sink.clone()).or_default() += 1;
                continue;
            }
            self.last += 1;
            let entry = Entry { number: self.last, sink: sink.clone(), alert: alert.clone() };
            self.put(entry.key(), ledger::to_json(&entry));
            self.entries.push(entry);
        }
    }

    fn put(&mut self, key: String, value: Vec<u8>) {
        self.txn = std::mem::take(&mut self.txn).put(key, value);
    }

    fn delete(&mut self, key: String) {
        self.txn = std::mem::take(&mut self.txn).delete(key);
    }
}

impl Book {
    /// What the last host knew.
    pub(super) fn recall(store: &dyn Store) -> Result<Book, LedgerError> {
        let mut book = Book {
            alerts: Alerts::default(),
            firing: BTreeMap::new(),
            history: VecDeque::new(),
            silences: super::silence::recall(store)?,
            last: ledger::meta(store, LAST)?.unwrap_or(0),
        };
        ledger::each(store, FIRING, |_, record: Record| {
            book.firing.insert(record.key.clone(), record);
            Ok(())
        })?;
        ledger::each(store, HISTORY, |_, record: Record| {
            book.history.push_back(record);
            Ok(())
        })?;
        book.history.make_contiguous().sort_by_key(|record| (record.resolved_at, record.id));
        book.alerts = Alerts::restore(book.firing.values().map(|record| (record.key.clone(), record.message.clone())));
        Ok(book)
    }

    /// The silence in force for such an alert.
    pub(super) fn silencer(&self, key: &AlertKey, severity: Severity, now: u64) -> Option<String> {
        self.silences.iter().find(|(_, silence)| silence.is_in_force(now) && silence.is_about(key, severity)).map(|(id, _)| id.clone())
    }

    /// What these turns come to, and what becomes of those of which nobody was told until now. `room` says how many notes a sink takes.
    pub(super) fn plan(&self, turns: &[AlertTurn], room: impl Fn(&str) -> usize) -> Step {
        let now = clock::wall_ms();
        let mut step = Step { last: self.last, ..Step::default() };
        let mut firing: BTreeMap<&AlertKey, Record> = self.untold(now);
        for turn in turns {
            match turn {
                AlertTurn::Fired { key, since, message } => {
                    let Some(record) = self.begin(&mut step, key, clock::wall(*since).0, message, now) else { continue };
                    firing.insert(key, record);
                }
                AlertTurn::Resolved { key, message } => {
                    let Some(before) = firing.remove(key).or_else(|| self.firing.get(key).cloned()) else { continue };
                    self.finish(&mut step, before, message, now, &room);
                }
            }
        }
        for (_, mut record) in firing {
            let sinks = self.alerts.rules().get(&record.key.rule).map(|rule| rule.sinks.clone()).unwrap_or_default();
            if self.silencer(&record.key, record.severity, now).is_none() {
                step.tell(&sinks, &record.told(None), &room);
                record.told = Some(sinks);
            }
            step.put(record.key(), ledger::to_json(&record));
            step.changed.push(record);
        }
        self.trim(&mut step);
        if step.last != self.last {
            step.put(format!("meta/{LAST}"), ledger::to_json(&step.last));
        }
        step
    }

    /// Those of which nobody was told, because they were silenced, and are not any more.
    fn untold(&self, now: u64) -> BTreeMap<&AlertKey, Record> {
        let untold = self.firing.iter().filter(|(_, record)| record.told.is_none());
        untold.filter(|(key, record)| self.silencer(key, record.severity, now).is_none()).map(|(key, record)| (key, record.clone())).collect()
    }

    fn begin(&self, step: &mut Step, key: &AlertKey, since: u64, message: &str, now: u64) -> Option<Record> {
        let rule = self.alerts.rules().get(&key.rule)?;
        step.last += 1;
        let record = Record {
            id: step.last,
            key: key.clone(),
            on: rule.trigger.as_str().to_owned(),
            severity: rule.severity,
            since,
            fired_at: now,
            message: message.to_owned(),
            resolved_at: None,
            told: None,
        };
        let silencer = self.silencer(key, rule.severity, now);
        step.txn.events.push(record.event(EventKind::AlertFired, silencer.as_deref()));
        Some(record)
    }

    fn finish(&self, step: &mut Step, before: Record, message: &str, now: u64, room: &impl Fn(&str) -> usize) {
        let record = Record { resolved_at: Some(now), message: message.to_owned(), ..before };
        step.txn.events.push(record.event(EventKind::AlertResolved, None));
        // Whoever heard nothing of it needs not hear that it is over.
        if let Some(sinks) = &record.told {
            step.tell(sinks, &record.told(None), room);
        }
        step.delete(record.key());
        step.put(history_key(&record), ledger::to_json(&record));
        step.ended.push(record);
    }

    /// Forgets the oldest of those that are over, once all turns are in: what ended just now is among them, where that is much.
    fn trim(&self, step: &mut Step) {
        let over = (self.history.len() + step.ended.len()).saturating_sub(KEPT);
        let oldest: Vec<String> = self.history.iter().chain(&step.ended).take(over).map(history_key).collect();
        oldest.into_iter().for_each(|key| step.delete(key));
    }

    /// Knows what was committed.
    pub(super) fn apply(&mut self, step: &mut Step) {
        self.last = step.last;
        for record in step.ended.drain(..) {
            self.firing.remove(&record.key);
            self.history.push_back(record);
        }
        while self.history.len() > KEPT {
            self.history.pop_front();
        }
        for record in step.changed.drain(..) {
            self.firing.insert(record.key.clone(), record);
        }
    }

    /// Takes out of the store what is kept of a workspace that is removed: its silences, and the alerts that are over.
    pub(super) fn without(&self, workspace: &WorkspaceName, txn: Txn) -> Txn {
        let over = self.history.iter().filter(|record| record.is_of(workspace));
        over.fold(super::silence::without(&self.silences, workspace, txn), |txn, record| txn.delete(history_key(record)))
    }

    /// That is not known any more.
    pub(super) fn forget(&mut self, workspace: &WorkspaceName) {
        self.silences.retain(|_, silence| !silence.is_of(workspace));
        self.history.retain(|record| !record.is_of(workspace));
    }

    /// Everybody whom something is told about, or soon is.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        self.alerts.subjects().into_iter().collect()
    }
}

fn history_key(record: &Record) -> String {
    format!("{HISTORY}{:020}", record.id)
}

#[cfg(test)]
mod tests {
    use hostler_core::{AlertRule, ServiceName, Span, Time, Trigger};
    use hostler_store::Memory;

    use super::*;

    fn key(service: &str) -> AlertKey {
        AlertKey { rule: "ill".to_owned(), subject: Subject::Service(ServiceName::read(service).expect("a name")) }
    }

    fn fired(service: &str) -> AlertTurn {
        AlertTurn::Fired { key: key(service), since: Time(0), message: "is unhealthy".to_owned() }
    }

    fn resolved(service: &str) -> AlertTurn {
        AlertTurn::Resolved { key: key(service), message: "is healthy again".to_owned() }
    }

    fn open(store: &dyn Store) -> Book {
        let mut book = Book::recall(store).expect("what it wrote is good");
        let rule = AlertRule {
            name: "ill".to_owned(),
            trigger: Trigger::Unhealthy,
            hold: Span::ZERO,
            severity: Severity::Critical,
            services: Vec::new(),
            categories: Vec::new(),
            sinks: vec!["ops".to_owned(), "log".to_owned()],
        };
        book.alerts.set_rules([("ill".to_owned(), rule)].into());
        book
    }

    /// Commits and applies; who is to be told of what.
    fn take(store: &dyn Store, book: &mut Book, turns: &[AlertTurn]) -> Vec<(String, AlertState)> {
        let mut step = book.plan(turns, |_| 100);
        if !step.is_empty() {
            store.txn(step.txn.clone()).expect("nobody else writes");
        }
        book.apply(&mut step);
        step.entries.into_iter().map(|entry| (entry.sink, entry.alert.state)).collect()
    }

    #[test]
    fn each_change_is_a_note_for_each_sink_and_outlives_the_host() {
        let store = Memory::new();
        let mut book = open(&store);
        let both = |state| vec![("ops".to_owned(), state), ("log".to_owned(), state)];
        assert_eq!(take(&store, &mut book, &[fired("db")]), both(AlertState::Firing));
        assert_eq!(take(&store, &mut book, &[]), []);
        let mut book = open(&store);
        assert_eq!(book.firing.len(), 1);
        assert_eq!(take(&store, &mut book, &[]), [], "it was told");
        assert_eq!(take(&store, &mut book, &[resolved("db")]), both(AlertState::Resolved));
        let book = open(&store);
        assert_eq!((book.firing.len(), book.history.len()), (0, 1));
        assert_eq!(ledger::keys(&store, OUTBOX).expect("it works").len(), 4, "notes stay until somebody was told");
        assert_eq!(store.events(0, 10).expect("it works").events.len(), 2);
    }

    #[test]
    fn what_fires_and_ends_at_once_is_told_in_full() {
        let store = Memory::new();
        let mut book = open(&store);
        take(&store, &mut book, &[fired("a")]);
        let mut step = book.plan(&[resolved("a"), fired("a"), fired("b")], |_| 100);
        book.apply(&mut step);
        assert_eq!(book.firing.len(), 2);
        assert_eq!(step.entries.len(), 6);
    }

    #[test]
    fn a_sink_without_room_is_counted_and_the_others_are_told() {
        let store = Memory::new();
        let book = open(&store);
        let turns: Vec<AlertTurn> = (0..10).map(|number| fired(&format!("s{number}"))).collect();
        let step = book.plan(&turns, |sink| if sink == "ops" { 3 } else { 100 });
        assert_eq!(step.dropped, [("ops".to_owned(), 7)].into());
        assert_eq!(step.entries.iter().filter(|entry| entry.sink == "log").count(), 10);
    }

    #[test]
    fn what_a_removed_workspace_had_is_taken_out_of_store_and_book() {
        let store = Memory::new();
        let mut book = open(&store);
        for service in ["acme.db", "db"] {
            take(&store, &mut book, &[fired(service)]);
            take(&store, &mut book, &[resolved(service)]);
        }
        let acme = WorkspaceName::new("acme").expect("a name");
        store.txn(book.without(&acme, Txn::new())).expect("nobody else writes");
        book.forget(&acme);
        for book in [book, open(&store)] {
            assert_eq!(book.history.iter().map(|record| service_of(&record.key)).collect::<Vec<_>>(), [Some("db".to_owned())]);
        }
    }

    #[test]
    fn only_so_many_that_are_over_are_kept() {
        let store = Memory::new();
        let mut book = open(&store);
        for _ in 0..KEPT + 5 {
            take(&store, &mut book, &[fired("db")]);
            take(&store, &mut book, &[resolved("db")]);
        }
        assert_eq!(book.history.len(), KEPT);
        assert_eq!(open(&store).history.len(), KEPT);
    }

    #[test]
    fn more_that_end_at_once_leave_no_more_behind() {
        let store = Memory::new();
        let mut book = open(&store);
        let names: Vec<String> = (0..KEPT + 5).map(|number| format!("s{number}")).collect();
        let each = |turn: fn(&str) -> AlertTurn| names.iter().map(|name| turn(name)).collect::<Vec<_>>();
        for _ in 0..2 {
            take(&store, &mut book, &each(fired));
            take(&store, &mut book, &each(resolved));
            assert_eq!((book.history.len(), open(&store).history.len()), (KEPT, KEPT));
        }
        // What an earlier host left is forgotten by the next step.
        let oldest = Record { id: 0, resolved_at: Some(0), ..book.history[0].clone() };
        store.txn(Txn::new().put(history_key(&oldest), ledger::to_json(&oldest))).expect("nobody else writes");
        let mut book = open(&store);
        take(&store, &mut book, &[]);
        assert_eq!((book.history.len(), open(&store).history.len()), (KEPT, KEPT));
    }
}

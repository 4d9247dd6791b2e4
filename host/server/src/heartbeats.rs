//! Who says himself that he is alive: heartbeats, and those that stay away.
//!
//! The book is in memory. What would be missed in the next host is in the store: that a service sends any, how often, what it says of
//! itself, and whether they stay away. That changes in one transaction with the event that tells it ([`turn`]); the rest is written when it
//! changes, and else once a minute. What this host did not hear because it was not there, or slept, is nobody's fault: it listens for as
//! long as it would wait anyway before it says that somebody is missed.

mod beat;
mod turn;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_api::{Heartbeat, HeartbeatRequest, Pulse, PulseCounts};
use hostler_core::{ServiceName, Span, Status, Time};
use hostler_store::{Store, Txn};
use tokio::sync::Notify;

use crate::desk::Desk;
use crate::ledger::{self, LedgerError};
use crate::{HostError, clock};
use beat::{Beat, Record};
use turn::Turn;
pub(crate) use turn::watch;

/// Where they stand in the books.
const PREFIX: &str = "heartbeats/";
/// How old what stands there may be, where nothing but the time has changed.
const KEPT: Span = Span::secs(60);
/// How often the book is looked at, at most and at least.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// Whoever looks later than he had planned, by more than this, was away.
const LATE: Span = Span::secs(2);

/// Everybody who has ever sent one, as long as he is a service.
pub(crate) struct Heartbeats {
    store: Arc<dyn Store>,
    book: Mutex<Book>,
    /// There may be somebody to watch who was not there before, or something to tell.
    wake: Notify,
}

struct Book {
    beats: BTreeMap<ServiceName, Beat>,
    /// When the next look is to be.
    planned: Time,
}

impl Book {
    /// For how long nobody has listened who was to: the host slept, or was stopped.
    fn away(&self, now: Time) -> Option<Span> {
        let late = now.since(self.planned);
        (late > LATE).then_some(late)
    }

    /// One's, and whether it may be said that it is missed.
    fn pulse(&self, beat: &Beat, up: Option<Time>, now: Time) -> Pulse {
        match beat.pulse(up, now) {
            // Until the next look nobody knows what was not heard.
            Pulse::Missed if self.away(now).is_some() => Pulse::Unknown,
            pulse => pulse,
        }
    }
}

impl Heartbeats {
    /// Those that the store knows.
    pub(crate) fn recall(store: Arc<dyn Store>) -> Result<Heartbeats, HostError> {
        let now = clock::now();
        let mut beats = BTreeMap::new();
        let read: Result<(), LedgerError> = ledger::each(&*store, PREFIX, |name, record: Record| {
            let name = ServiceName::read(name).map_err(|_| "its key is no name of a service")?;
            beats.insert(name, Beat::recalled(record, now));
            Ok(())
        });
        read?;
        Ok(Heartbeats { store, book: Mutex::new(Book { beats, planned: now }), wake: Notify::new() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One was sent. Answers what is known of it now.
    pub(crate) fn hear(&self, name: &ServiceName, asked: HeartbeatRequest) -> Heartbeat {
        let now = clock::now();
        let mut book = self.book();
        let is_new = !book.beats.contains_key(name);
        let beat = book.beats.entry(name.clone()).or_insert_with(|| Beat::new(now));
        let changed = beat.hear(asked, now) || is_new;
        // A turn that is on its way ends with what is known then.
        if !beat.turning && (changed || now.since(beat.kept) >= KEPT) {
            beat.kept = now;
            self.keep(name, Some(&beat.record));
        }
        if changed || beat.turning || beat.record.late {
            self.wake.notify_one();
        }
        beat.told(Pulse::Alive)
    }

    /// Writes one down, or forgets it; nobody waits for that.
    fn keep(&self, name: &ServiceName, record: Option<&Record>) {
        let txn = match record {
            Some(record) => Txn::new().put(key(name), ledger::to_json(record)),
            None => Txn::new().delete(key(name)),
        };
        let service = name.clone();
        let done = move |outcome: Result<_, _>| {
            if let Err(error) = outcome {
                tracing::warn!(service = service.as_str(), %error, "a heartbeat cannot be written down");
            }
        };
        self.store.submit(txn, Box::new(done));
    }

    /// Forgets who is no service any more; his record went with what told of it.
    pub(crate) fn forget(&self, name: &ServiceName) {
        self.book().beats.remove(name);
    }

    /// What is known of a service that has sent one.
    pub(crate) fn of(&self, desk: &Desk, name: &ServiceName) -> Option<Heartbeat> {
        let (up, now, book) = (up_since(desk, name), clock::now(), self.book());
        book.beats.get(name).map(|beat| beat.told(book.pulse(beat, up, now)))
    }

    /// Does it stay away? Nothing where nobody can say, and of one that has never sent any.
    pub(crate) fn is_missed(&self, desk: &Desk, name: &ServiceName) -> Option<bool> {
        let (up, now, book) = (up_since(desk, name), clock::now(), self.book());
        match book.pulse(book.beats.get(name)?, up, now) {
            Pulse::Missed => Some(true),
            Pulse::Alive => Some(false),
            Pulse::Unknown => None,
        }
    }

    /// The same in words for its checks; nothing of one that has never sent any.
    pub(crate) fn attributes(&self, desk: &Desk, name: &ServiceName) -> Vec<(String, String)> {
        let (up, now, book) = (up_since(desk, name), clock::now(), self.book());
        let Some(beat) = book.beats.get(name) else { return Vec::new() };
        let mut told = vec![("heartbeat".to_owned(), book.pulse(beat, up, now).as_str().to_owned())];
        if beat.heard && book.away(now).is_none() {
            told.push(("heartbeat-age-ms".to_owned(), now.since(beat.since).0.to_string()));
        }
        told
    }

    /// How many there are among these.
    pub(crate) fn counts<'a>(&self, desk: &Desk, names: impl Iterator<Item = &'a ServiceName>) -> PulseCounts {
        let mut counts = PulseCounts::default();
        for beat in names.filter_map(|name| self.of(desk, name)) {
            counts.services += 1;
            match beat.pulse {
                Pulse::Alive => counts.alive += 1,
                Pulse::Missed => counts.missed += 1,
                Pulse::Unknown => counts.unknown += 1,
            }
            counts.received_total = counts.received_total.saturating_add(beat.received);
            counts.missed_total = counts.missed_total.saturating_add(beat.missed);
        }
        counts
    }

    /// Whose stay away newly, and who is there again; and how long after `asked` to look again. Forgets who is no service any more. What was sent
    /// after `asked` may still wait behind this look, however long the loop was busy: nobody is missed for that.
    fn look(&self, desk: &Desk, asked: Time) -> (Vec<Turn>, Duration) {
        let mut book = self.book();
        let gone: Vec<ServiceName> = book.beats.keys().filter(|name| desk.core.service(name.as_str()).is_none()).cloned().collect();
        for name in gone {
            book.beats.remove(&name);
            self.keep(&name, None);
        }
        book.look(asked, |name| up_since(desk, name))
    }
}

impl Book {
    fn look(&mut self, now: Time, up_since: impl Fn(&ServiceName) -> Option<Time>) -> (Vec<Turn>, Duration) {
        let away = self.away(now);
        let (mut turns, mut next) = (Vec::new(), LOOKS.1);
        for (name, beat) in &mut self.beats {
            let up = up_since(name);
            if let Some(away) = away {
                beat.waits_longer(away, up, now);
            }
            if beat.record.late {
                turns.extend(beat.again.then(|| Turn::back(name, beat)));
                continue;
            }
            // Soon enough to see that it came up.
            let mut wait = beat.record.ttl_ms;
            if let Some(up) = up {
                let due = beat.due(up);
                if due <= now {
                    turns.push(Turn::missed(name, beat, now));
                    continue;
                }
                wait = wait.min(due.since(now).0);
            }
            next = next.min(Duration::from_millis(wait));
        }
        let next = next.clamp(LOOKS.0, LOOKS.1);
        self.planned = now + Span(u64::try_from(next.as_millis()).unwrap_or(u64::MAX));
        (turns, next)
    }
}

/// Where one's record stands.
pub(crate) fn key(name: &ServiceName) -> String {
    format!("{PREFIX}{name}")
}

/// Since when a service is up as people want it; nothing of one that is not, or of which nobody can say.
fn up_since(desk: &Desk, name: &ServiceName) -> Option<Time> {
    let view = desk.core.service(name.as_str())?;
    // One that a check judges by its heartbeats is starting until its first one.
    let is_up = matches!(view.status, Status::Starting | Status::Running | Status::Unhealthy | Status::Scaling);
    // Who comes up anew has time for his first one.
    is_up.then(|| view.replicas.iter().filter_map(|part| part.since).max()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first() -> (Arc<dyn Store>, ServiceName, Heartbeats) {
        let store: Arc<dyn Store> = Arc::new(hostler_store::Memory::new());
        let heartbeats = Heartbeats::recall(Arc::clone(&store)).expect("an empty store is good");
        (store, ServiceName::new("db").expect("a name"), heartbeats)
    }

    fn sent(ttl_ms: u64) -> HeartbeatRequest {
        HeartbeatRequest { ttl_ms: Some(ttl_ms), ..HeartbeatRequest::default() }
    }

    #[test]
    fn what_was_heard_is_there_again_and_nobody_is_missed_for_it() {
        let (store, name, first) = first();
        let metadata = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        let told = first.hear(&name, HeartbeatRequest { metadata: Some(metadata.clone()), ..sent(500) });
        assert_eq!((told.pulse, told.received), (Pulse::Alive, 1));
        first.hear(&name, HeartbeatRequest::default());
        // A write behind the others is an answer to them.
        store.txn(Txn::new()).expect("nobody else writes");
        let second = Heartbeats::recall(store).expect("what the first wrote");
        let book = second.book();
        let beat = &book.beats[&name];
        assert_eq!((beat.record.ttl_ms, &beat.record.metadata, beat.heard, beat.record.late), (500, &metadata, false, false));
    }

    /// Commits what a look says, or loses it; what was told.
    fn settle(store: &Arc<dyn Store>, heartbeats: &Heartbeats, at: Time, is_kept: bool) -> Vec<String> {
        let (turns, _) = heartbeats.book().look(at, |_| Some(Time(0)));
        let txn = turn::txn(&turns);
        let kinds = txn.events.iter().map(|event| event.kind.clone()).collect();
        let done = if is_kept { store.txn(txn).map(drop) } else { Err(hostler_store::StoreError::Busy) };
        heartbeats.settled(turns, &done);
        kinds
    }

    #[test]
    fn whether_they_stay_away_is_known_once_it_is_told_and_told_until_it_is_known() {
        let (store, name, heartbeats) = first();
        heartbeats.hear(&name, sent(100));
        let late = || heartbeats.book().beats[&name].record.late;
        let soon = clock::now() + Span(1_000);
        assert_eq!((settle(&store, &heartbeats, soon, false), late()), (vec!["heartbeat-missed".to_owned()], false));
        assert_eq!((settle(&store, &heartbeats, soon, true), late()), (vec!["heartbeat-missed".to_owned()], true));
        assert_eq!(settle(&store, &heartbeats, soon, true), Vec::<String>::new(), "once");
        heartbeats.hear(&name, sent(60_000));
        assert_eq!((settle(&store, &heartbeats, soon, false), late()), (vec!["heartbeat-back".to_owned()], true));
        // The next host knows of it what was told, and no more.
        let next = Heartbeats::recall(Arc::clone(&store)).expect("what it wrote");
        assert!(next.book().beats[&name].record.late);
        next.hear(&name, sent(60_000));
        assert_eq!(settle(&store, &next, soon, true), ["heartbeat-back"]);
        assert_eq!(store.events(0, 10).expect("it works").events.len(), 2);
        let last = Heartbeats::recall(store).expect("what it wrote");
        let record = last.book().beats[&name].record.clone();
        assert_eq!((record.late, record.missed), (false, 1));
    }

    #[test]
    fn one_that_is_sent_while_it_is_told_that_they_stay_away_is_told_next() {
        let (store, name, heartbeats) = first();
        heartbeats.hear(&name, sent(100));
        let soon = clock::now() + Span(1_000);
        let (turns, _) = heartbeats.book().look(soon, |_| Some(Time(0)));
        let metadata = Some(BTreeMap::from([("region".to_owned(), "eu".to_owned())]));
        heartbeats.hear(&name, HeartbeatRequest { metadata, ..sent(60_000) });
        let done = store.txn(turn::txn(&turns)).map(drop);
        heartbeats.settled(turns, &done);
        assert_eq!(settle(&store, &heartbeats, soon, true), ["heartbeat-back"]);
        store.txn(Txn::new()).expect("nobody else writes");
        let next = Heartbeats::recall(store).expect("what it wrote");
        let record = next.book().beats[&name].record.clone();
        assert_eq!((record.late, record.ttl_ms, record.metadata.len()), (false, 60_000, 1));
    }

    #[test]
    fn who_was_removed_meanwhile_is_not_written_down_again() {
        let (store, name, heartbeats) = first();
        heartbeats.hear(&name, sent(100));
        let (turns, _) = heartbeats.book().look(clock::now() + Span(1_000), |_| Some(Time(0)));
        heartbeats.forget(&name);
        store.txn(Txn::new().delete(key(&name))).expect("nobody else writes");
        let done = store.txn(turn::txn(&turns));
        assert!(matches!(done, Ok(hostler_store::Outcome::Conflict { .. })), "{done:?}");
        heartbeats.settled(turns, &Err(hostler_store::StoreError::Invalid("somebody else changed it".to_owned())));
        assert!(heartbeats.book().beats.is_empty() && ledger::keys(&*store, PREFIX).expect("it works").is_empty());
    }

    #[test]
    fn what_was_not_heard_while_the_host_slept_is_nobodys_fault() {
        let (store, name, heartbeats) = first();
        heartbeats.hear(&name, sent(1_000));
        let slept = clock::now() + Span(3_600_000);
        let pulse = |now| {
            let book = heartbeats.book();
            book.pulse(&book.beats[&name], Some(Time(0)), now)
        };
        assert_eq!(pulse(slept), Pulse::Unknown, "nobody has looked yet");
        assert_eq!(settle(&store, &heartbeats, slept, true), Vec::<String>::new());
        assert_eq!(pulse(slept), Pulse::Alive, "it has what was left of its time");
        let later = slept + Span(3_000);
        assert_eq!(settle(&store, &heartbeats, later, true), ["heartbeat-missed"]);
        assert_eq!(pulse(later), Pulse::Missed);
    }
}

//! Who says himself that he is alive: heartbeats, and those that stay away.
//!
//! The book is in memory. What would be missed in the next host is in the store: that a service sends any, how often, what it says of
//! itself, and whether they stayed away, written when that changes, and else once a minute. What this host did not hear because it was not
//! there is nobody's fault: it listens for as long as it would wait anyway before it says that somebody is missed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_api::{EventKind, Heartbeat, HeartbeatRequest, Pulse, PulseCounts, Shape, Timestamp};
use hostler_core::{ServiceName, Span, Status, Time};
use hostler_store::{Store, Txn};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use crate::desk::Desk;
use crate::http::Door;
use crate::ledger::{self, LedgerError};
use crate::message::Message;
use crate::{HostError, clock};

/// Where they stand in the books.
const PREFIX: &str = "heartbeats/";
/// How old what stands there may be, where nothing but the time has changed.
const KEPT: Span = Span::secs(60);
/// How often the book is looked at, at most and at least.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// All that the next host is to know of one service's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    ttl_ms: u64,
    metadata: BTreeMap<String, String>,
    /// Unix time in milliseconds, for people.
    last_at: u64,
    received: u64,
    missed: u64,
    /// Do they stay away now?
    late: bool,
}

/// One service's, in this host.
#[derive(Debug, Clone)]
struct Beat {
    record: Record,
    /// Since when nothing was heard: the last one, or when this host began to listen.
    since: Time,
    /// Was one heard by this host?
    heard: bool,
    /// When it was last written down.
    kept: Time,
}

impl Beat {
    /// When they are missed, of one that is up since then.
    fn due(&self, up: Time) -> Time {
        self.since.max(up) + Span(self.record.ttl_ms.saturating_mul(HeartbeatRequest::MISSED_AFTER))
    }

    /// Of one that is up since then, or is not.
    fn pulse(&self, up: Option<Time>, now: Time) -> Pulse {
        match up {
            Some(up) if self.due(up) <= now => Pulse::Missed,
            // Whoever came up anew, or was heard by another host, has his time.
            Some(_) if self.heard && !self.record.late => Pulse::Alive,
            Some(_) | None => Pulse::Unknown,
        }
    }
}

/// Everybody who has ever sent one, as long as he is a service.
pub(crate) struct Heartbeats {
    store: Arc<dyn Store>,
    book: Mutex<BTreeMap<ServiceName, Beat>>,
    /// There may be somebody to watch who was not there before.
    wake: Notify,
}

impl Heartbeats {
    /// Those that the store knows.
    pub(crate) fn recall(store: Arc<dyn Store>) -> Result<Heartbeats, HostError> {
        let now = clock::now();
        let mut book = BTreeMap::new();
        let read: Result<(), LedgerError> = ledger::each(&*store, PREFIX, |name, record: Record| {
            let name = ServiceName::read(name).map_err(|_| "its key is no name of a service")?;
            book.insert(name, Beat { record, since: now, heard: false, kept: now });
            Ok(())
        });
        read?;
        Ok(Heartbeats { store, book: Mutex::new(book), wake: Notify::new() })
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Beat>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One was sent. Answers what is known of it now, and whether they had stayed away.
    pub(crate) fn hear(&self, name: &ServiceName, asked: HeartbeatRequest) -> (Heartbeat, bool) {
        let now = clock::now();
        let mut book = self.book();
        let is_new = !book.contains_key(name);
        let beat = book.entry(name.clone()).or_insert_with(|| Beat::new(now));
        let before = (beat.record.ttl_ms, beat.record.metadata.clone());
        let was_late = std::mem::take(&mut beat.record.late);
        beat.record.ttl_ms = asked.ttl_ms.unwrap_or(beat.record.ttl_ms);
        if let Some(metadata) = asked.metadata {
            beat.record.metadata = metadata;
        }
        beat.record.last_at = clock::wall_ms();
        beat.record.received = beat.record.received.saturating_add(1);
        (beat.since, beat.heard) = (now, true);
        let changed = is_new || was_late || before != (beat.record.ttl_ms, beat.record.metadata.clone());
        if changed || now.since(beat.kept) >= KEPT {
            beat.kept = now;
            self.keep(name, Some(&beat.record));
        }
        let told = told(beat, Pulse::Alive);
        drop(book);
        if changed {
            self.wake.notify_one();
        }
        (told, was_late)
    }

    /// Writes one down, or forgets it; nobody waits for that.
    fn keep(&self, name: &ServiceName, record: Option<&Record>) {
        let key = format!("{PREFIX}{name}");
        let txn = match record {
            Some(record) => Txn::new().put(key, ledger::to_json(record)),
            None => Txn::new().delete(key),
        };
        let service = name.clone();
        let done = move |outcome: Result<_, _>| {
            if let Err(error) = outcome {
                tracing::warn!(service = service.as_str(), %error, "a heartbeat cannot be written down");
            }
        };
        self.store.submit(txn, Box::new(done));
    }

    /// What is known of a service that has sent one.
    pub(crate) fn of(&self, desk: &Desk, name: &ServiceName) -> Option<Heartbeat> {
        let up = up_since(desk, name);
        self.book().get(name).map(|beat| told(beat, beat.pulse(up, clock::now())))
    }

    /// The same in words for its checks; nothing of one that has never sent any.
    pub(crate) fn attributes(&self, desk: &Desk, name: &ServiceName) -> Vec<(String, String)> {
        let (up, now) = (up_since(desk, name), clock::now());
        let book = self.book();
        let Some(beat) = book.get(name) else { return Vec::new() };
        let mut told = vec![("heartbeat".to_owned(), beat.pulse(up, now).as_str().to_owned())];
        if beat.heard {
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

    /// Notes whose stay away, and forgets who is no service any more. Answers who is newly missed, and when to look again.
    fn look(&self, desk: &Desk) -> (Vec<(ServiceName, Duration)>, Option<Duration>) {
        let now = clock::now();
        let mut book = self.book();
        let gone: Vec<ServiceName> = book.keys().filter(|name| desk.core.service(name.as_str()).is_none()).cloned().collect();
        for name in gone {
            book.remove(&name);
            self.keep(&name, None);
        }
        let (mut missed, mut next) = (Vec::new(), None::<Duration>);
        for (name, beat) in book.iter_mut().filter(|(_, beat)| !beat.record.late) {
            // Soon enough to see that it came up.
            let mut wait = Duration::from_millis(beat.record.ttl_ms);
            if let Some(up) = up_since(desk, name) {
                let due = beat.due(up);
                if due <= now {
                    beat.record.late = true;
                    beat.record.missed = beat.record.missed.saturating_add(1);
                    beat.kept = now;
                    missed.push((name.clone(), Duration::from_millis(now.since(beat.since).0)));
                    self.keep(name, Some(&beat.record));
                    continue;
                }
                wait = wait.min(Duration::from_millis(due.since(now).0));
            }
            next = Some(next.map_or(wait, |next| next.min(wait)));
        }
        (missed, next.map(|next| next.clamp(LOOKS.0, LOOKS.1)))
    }
}

impl Beat {
    fn new(now: Time) -> Beat {
        let record =
            Record { ttl_ms: HeartbeatRequest::TTL_MS, metadata: BTreeMap::new(), last_at: clock::wall_ms(), received: 0, missed: 0, late: false };
        Beat { record, since: now, heard: true, kept: now }
    }
}

fn told(beat: &Beat, pulse: Pulse) -> Heartbeat {
    let Record { ttl_ms, metadata, last_at, received, missed, .. } = beat.record.clone();
    Heartbeat { version: Shape, pulse, last_at: Timestamp(last_at), ttl_ms, received, missed, metadata }
}

/// Since when a service is up as people want it; nothing of one that is not, or of which nobody can say.
fn up_since(desk: &Desk, name: &ServiceName) -> Option<Time> {
    let view = desk.core.service(name.as_str())?;
    // One that a check judges by its heartbeats is starting until its first one.
    let is_up = matches!(view.status, Status::Starting | Status::Running | Status::Unhealthy | Status::Scaling);
    // Who comes up anew has time for his first one.
    is_up.then(|| view.replicas.iter().filter_map(|part| part.since).max()).flatten()
}

/// Tells whose stay away, for as long as the host is there.
pub(crate) async fn watch(door: Door) {
    loop {
        let heartbeats = Arc::clone(&door.heartbeats);
        let Ok((missed, next)) = door.look(move |desk| heartbeats.look(desk)).await else { return };
        for (name, since) in missed {
            let seconds = since.as_millis();
            tell(&door, &name, EventKind::HeartbeatMissed, &format!("nothing was heard of it for {seconds} ms"));
        }
        match next {
            Some(next) => tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = door.heartbeats.wake.notified() => {}
            },
            None => tokio::select! {
                // Services go, too.
                () = tokio::time::sleep(LOOKS.1) => {}
                () = door.heartbeats.wake.notified() => {}
            },
        }
    }
}

/// Says that one's are there again.
pub(crate) fn tell_back(door: &Door, name: &ServiceName) {
    tell(door, name, EventKind::HeartbeatBack, "it sends heartbeats again");
}

fn tell(door: &Door, name: &ServiceName, kind: EventKind, message: &str) {
    // The loop is gone only when the host is.
    door.outbox.send(Message::Note(ledger::note(kind, name.as_str(), &json!({ "message": message })))).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(ttl_ms: u64, since: u64) -> Beat {
        let record = Record { ttl_ms, metadata: BTreeMap::new(), last_at: 0, received: 1, missed: 0, late: false };
        Beat { record, since: Time(since), heard: true, kept: Time(0) }
    }

    #[test]
    fn who_comes_up_anew_has_as_long_as_who_has_just_sent_one() {
        assert_eq!(beat(1_000, 5_000).due(Time(0)), Time(8_000));
        assert_eq!(beat(1_000, 5_000).due(Time(9_000)), Time(12_000));
    }

    #[test]
    fn of_whom_nothing_was_heard_yet_nobody_can_say() {
        let mut beat = beat(1_000, 0);
        let of = |beat: &Beat, up: Option<u64>, now: u64| beat.pulse(up.map(Time), Time(now));
        assert_eq!((of(&beat, Some(0), 2_999), of(&beat, Some(0), 3_000), of(&beat, None, 9_000)), (Pulse::Alive, Pulse::Missed, Pulse::Unknown));
        beat.record.late = true;
        assert_eq!((of(&beat, Some(5_000), 7_999), of(&beat, Some(5_000), 8_000)), (Pulse::Unknown, Pulse::Missed), "a new life has its time");
        (beat.heard, beat.record.late) = (false, false);
        assert_eq!((of(&beat, Some(0), 1), of(&beat, Some(0), 3_000)), (Pulse::Unknown, Pulse::Missed));
    }

    #[test]
    fn what_was_heard_is_there_again_and_nobody_is_missed_for_it() {
        let store: Arc<dyn Store> = Arc::new(hostler_store::Memory::new());
        let name = ServiceName::new("db").expect("a name");
        let first = Heartbeats::recall(Arc::clone(&store)).expect("an empty store is good");
        let metadata = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
        let (told, was_late) = first.hear(&name, HeartbeatRequest { ttl_ms: Some(500), metadata: Some(metadata.clone()) });
        assert_eq!((told.pulse, told.received, was_late), (Pulse::Alive, 1, false));
        first.hear(&name, HeartbeatRequest::default());
        // A write behind the others is an answer to them.
        store.txn(Txn::new()).expect("nobody else writes");
        let second = Heartbeats::recall(store).expect("what the first wrote");
        let book = second.book();
        let beat = &book[&name];
        assert_eq!((beat.record.ttl_ms, &beat.record.metadata, beat.heard, beat.record.late), (500, &metadata, false, false));
    }
}

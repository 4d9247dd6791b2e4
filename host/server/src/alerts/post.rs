//! One sink: what it is still to be told, in a queue with an end, and the task that tells it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_api::config::Sink;
use hostler_api::metrics::Metric;
use hostler_api::{AlertMessage, EventKind, SinkState};
use hostler_failpoint::failpoint;
use serde_json::json;
use tokio::sync::Notify;

use super::book::Entry;
use super::{Alerting, message, way};
use crate::act::duration;
use crate::ledger;
use crate::message::Message;
use crate::metrics::{Page, number};

/// Changes of alerts that wait for one sink.
pub(super) const ROOM: usize = 10_000;
/// The first rest after a try that did not work; each is twice as long as the one before.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A sink and its queue.
pub(super) struct Post {
    name: String,
    inner: Mutex<Inner>,
    /// Somebody tells it.
    begun: AtomicBool,
    /// There is something to tell.
    filled: Notify,
    /// It is another sink now, or none: who rests looks again.
    changed: Notify,
}

struct Inner {
    sink: Sink,
    waiting: VecDeque<Entry>,
    /// Of which it was not told, since its last message.
    untold: u64,
    delivered: u64,
    failed: u64,
    given_up: u64,
    dropped: u64,
    trouble: Option<String>,
    closed: bool,
}

/// One message, and the notes that it is made of.
struct Letter {
    sink: Sink,
    entries: Vec<Entry>,
    message: AlertMessage,
}

impl Post {
    pub(super) fn new(name: String, sink: Sink) -> Post {
        let inner =
            Inner { sink, waiting: VecDeque::new(), untold: 0, delivered: 0, failed: 0, given_up: 0, dropped: 0, trouble: None, closed: false };
        Post { name, inner: Mutex::new(inner), begun: AtomicBool::new(false), filled: Notify::new(), changed: Notify::new() }
    }

    /// Is this the first who asks? Then he is the one to tell it.
    pub(super) fn begins(&self) -> bool {
        !self.begun.swap(true, Ordering::AcqRel)
    }

    /// From now on it is told so.
    pub(super) fn becomes(&self, sink: Sink) {
        let mut inner = self.inner();
        if inner.sink != sink {
            inner.sink = sink;
            self.changed.notify_one();
        }
    }

    /// Nobody is told any more.
    pub(super) fn close(&self) {
        self.inner().closed = true;
        self.changed.notify_one();
        self.filled.notify_one();
    }

    pub(super) fn push(&self, entry: Entry) {
        self.inner().waiting.push_back(entry);
        self.filled.notify_one();
    }

    /// How many more it takes.
    pub(super) fn room(&self) -> usize {
        ROOM.saturating_sub(self.inner().waiting.len())
    }

    /// So many found no room.
    pub(super) fn drop_some(&self, count: u64) {
        let mut inner = self.inner();
        if inner.untold == 0 {
            tracing::error!(sink = self.name, "too many changes of alerts wait for this sink; it is told how many it misses");
        }
        inner.untold += count;
        inner.dropped += count;
    }

    pub(super) fn sink(&self) -> Sink {
        self.inner().sink.clone()
    }

    pub(super) fn state(&self) -> SinkState {
        let inner = self.inner();
        SinkState {
            name: self.name.clone(),
            kind: inner.sink.way.as_str().to_owned(),
            waiting: inner.waiting.len() as u64,
            delivered: inner.delivered,
            given_up: inner.given_up,
            dropped: inner.dropped,
            trouble: inner.trouble.clone(),
        }
    }

    pub(super) fn add_to(&self, page: &mut Page) {
        let inner = self.inner();
        for (result, count) in [("delivered", inner.delivered), ("failed", inner.failed), ("given-up", inner.given_up)] {
            page.add(Metric::AlertDeliveries, &[&self.name, result], number(count));
        }
        page.add(Metric::AlertDrops, &[&self.name], number(inner.dropped));
        page.add(Metric::AlertsWaiting, &[&self.name], number(inner.waiting.len() as u64));
    }

    /// Tells, until the sink is none any more.
    pub(super) async fn run(self: Arc<Self>, alerting: Arc<Alerting>) {
        loop {
            let (wait, is_empty, closed) = {
                let inner = self.inner();
                (duration(inner.sink.group_wait), inner.waiting.is_empty(), inner.closed)
            };
            if closed {
                let left: Vec<Entry> = self.inner().waiting.drain(..).collect();
                alerting.forget(&left).await;
                return;
            }
            if is_empty {
                self.filled.notified().await;
                continue;
            }
            // What comes with it is told with it.
            tokio::time::sleep(wait).await;
            self.tell_first(&alerting).await;
        }
    }

    /// Tells the first group, however often it takes.
    async fn tell_first(&self, alerting: &Alerting) {
        let mut rest = FIRST_REST;
        for tried in 1.. {
            // What came meanwhile comes with it.
            let Some(letter) = self.next(&alerting.owner) else { return };
            let Err(why) = way::deliver(&letter.sink, &letter.message).await else {
                failpoint!("host.alert.delivered");
                return self.was_taken(alerting, &letter).await;
            };
            tracing::warn!(sink = self.name, tried, why, "a sink did not take a message");
            self.was_refused(&why);
            if tried >= letter.sink.attempts {
                return self.give_up(alerting, &letter, &why).await;
            }
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.changed.notified() => {}
            }
            rest = (rest * 2).min(LONGEST_REST);
        }
    }

    fn next(&self, owner: &str) -> Option<Letter> {
        let inner = self.inner();
        if inner.closed {
            return None;
        }
        let entries = message::group(inner.waiting.iter());
        Some(Letter { message: message::of(owner, &entries, inner.untold)?, sink: inner.sink.clone(), entries })
    }

    async fn was_taken(&self, alerting: &Alerting, letter: &Letter) {
        alerting.forget(&letter.entries).await;
        failpoint!("host.alert.forgotten");
        let mut inner = self.inner();
        inner.remove(&letter.entries);
        inner.untold = inner.untold.saturating_sub(letter.message.dropped);
        inner.delivered += 1;
        inner.trouble = None;
    }

    fn was_refused(&self, why: &str) {
        let mut inner = self.inner();
        inner.failed += 1;
        inner.trouble = Some(why.to_owned());
    }

    async fn give_up(&self, alerting: &Alerting, letter: &Letter, why: &str) {
        let text = format!("sink {} is not told any more: {}: {why}", self.name, letter.message.summary);
        let data = json!({ "message": text, "sink": self.name, "rule": letter.message.rule, "count": letter.message.count, "why": why });
        // The loop is gone only when the host is.
        alerting.outbox.send(Message::Note(ledger::note(EventKind::AlertUndelivered, ledger::OF_THE_HOST, &data))).ok();
        alerting.forget(&letter.entries).await;
        let mut inner = self.inner();
        inner.remove(&letter.entries);
        inner.given_up += 1;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, entries: &[Entry]) {
        let numbers: BTreeSet<u64> = entries.iter().map(|entry| entry.number).collect();
        self.waiting.retain(|entry| !numbers.contains(&entry.number));
    }
}

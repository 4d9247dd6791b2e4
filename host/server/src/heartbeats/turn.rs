//! Heartbeats that stay away, or come again: remembered and told as one.

use std::time::Duration;

use hostler_api::EventKind;
use hostler_core::{ServiceName, Time};
use hostler_failpoint::failpoint;
use hostler_store::{Compare, NewEvent, StoreError, Txn};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::beat::{Beat, Record};
use super::{Heartbeats, key};
use crate::http::Door;
use crate::message::Message;
use crate::{clock, ledger};

/// When a commit did not work.
const AGAIN: Duration = Duration::from_secs(1);
/// Turns of one transaction.
const AT_ONCE: usize = 200;

/// One service's stay away, or are there again: what is to be told, and to be known once it is.
pub(super) struct Turn {
    name: ServiceName,
    record: Record,
    event: NewEvent,
}

impl Turn {
    pub(super) fn missed(name: &ServiceName, beat: &mut Beat, now: Time) -> Turn {
        beat.again = false;
        let record = Record { late: true, missed: beat.record.missed.saturating_add(1), ..beat.record.clone() };
        let message = format!("nothing was heard of it for {} ms", now.since(beat.since).0);
        Turn::of(name, beat, record, EventKind::HeartbeatMissed, &message)
    }

    pub(super) fn back(name: &ServiceName, beat: &mut Beat) -> Turn {
        let record = Record { late: false, ..beat.record.clone() };
        Turn::of(name, beat, record, EventKind::HeartbeatBack, "it sends heartbeats again")
    }

    fn of(name: &ServiceName, beat: &mut Beat, record: Record, kind: EventKind, message: &str) -> Turn {
        beat.turning = true;
        Turn { name: name.clone(), record, event: ledger::note(kind, name.as_str(), &json!({ "message": message })) }
    }
}

/// All of them, or none: whoever was removed meanwhile is nobody's to write down.
pub(super) fn txn(turns: &[Turn]) -> Txn {
    let one = |txn: Txn, turn: &Turn| {
        let key = key(&turn.name);
        txn.compare(Compare::present(key.clone())).put(key, ledger::to_json(&turn.record)).emit(turn.event.clone())
    };
    turns.iter().fold(Txn::new(), one)
}

impl Heartbeats {
    /// Knows what was committed; the next look decides anew about what was not.
    pub(super) fn settled(&self, turns: Vec<Turn>, done: &Result<(), StoreError>) {
        let mut book = self.book();
        for Turn { name, record, .. } in turns {
            let Some(beat) = book.beats.get_mut(&name) else { continue };
            beat.turning = false;
            if done.is_ok() {
                (beat.record.late, beat.record.missed) = (record.late, record.missed);
            }
            // What was heard meanwhile; or it was never written, and then no turn would ever be.
            if beat.record != record || done.is_err() {
                self.keep(&name, Some(&beat.record));
            }
        }
    }
}

/// Tells whose stay away and who is there again, for as long as the host is there.
pub(crate) async fn watch(door: Door) {
    loop {
        let heartbeats = std::sync::Arc::clone(&door.heartbeats);
        let (begun, asked) = (Instant::now(), clock::now());
        let Ok((mut turns, mut next)) = door.look(move |desk| heartbeats.look(desk, asked)).await else { return };
        while !turns.is_empty() {
            let rest = turns.split_off(turns.len().min(AT_ONCE));
            if !tell(&door, std::mem::replace(&mut turns, rest)).await {
                next = next.min(AGAIN);
            }
        }
        tokio::select! {
            () = tokio::time::sleep_until(begun + next) => {}
            () = door.heartbeats.wake.notified() => {}
        }
    }
}

/// Commits some, and then knows of them; false when that cannot be done now.
async fn tell(door: &Door, turns: Vec<Turn>) -> bool {
    let (answer, answered) = oneshot::channel();
    failpoint!("host.heartbeat.decided");
    // The loop is gone only when the host is.
    door.outbox.send(Message::Commit(Box::new(txn(&turns)), answer)).ok();
    let done = answered.await.unwrap_or(Err(StoreError::Closed));
    failpoint!("host.heartbeat.committed");
    if let Err(error) = &done {
        tracing::warn!(%error, "that heartbeats stay away, or are back, cannot be remembered yet, and nobody is told");
    }
    door.heartbeats.settled(turns, &done);
    done.is_ok()
}

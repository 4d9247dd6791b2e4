//! One service's heartbeats, and what they say of it.

use std::collections::BTreeMap;

use hostler_api::{Heartbeat, HeartbeatRequest, Pulse, Shape, Timestamp};
use hostler_core::{Span, Time};
use serde::{Deserialize, Serialize};

use crate::clock;

/// All that the next host is to know of one service's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) ttl_ms: u64,
    pub(super) metadata: BTreeMap<String, String>,
    /// Unix time in milliseconds, for people.
    pub(super) last_at: u64,
    pub(super) received: u64,
    pub(super) missed: u64,
    /// Do they stay away now? As it was told.
    pub(super) late: bool,
}

/// One service's, in this host.
#[derive(Debug, Clone)]
pub(super) struct Beat {
    pub(super) record: Record,
    /// Since when nothing was heard: the last one, or when this host began to listen; later by what it slept meanwhile.
    pub(super) since: Time,
    /// Was one heard by this host?
    pub(super) heard: bool,
    /// And since they were found to stay away?
    pub(super) again: bool,
    /// That they stay away, or do not any more, is about to be told.
    pub(super) turning: bool,
    /// When it was last written down.
    pub(super) kept: Time,
}

impl Beat {
    /// Of one that was never heard before.
    pub(super) fn new(now: Time) -> Beat {
        let record =
            Record { ttl_ms: HeartbeatRequest::TTL_MS, metadata: BTreeMap::new(), last_at: clock::wall_ms(), received: 0, missed: 0, late: false };
        Beat { heard: true, ..Beat::recalled(record, now) }
    }

    /// Of one that another host has heard.
    pub(super) fn recalled(record: Record, now: Time) -> Beat {
        Beat { record, since: now, heard: false, again: false, turning: false, kept: now }
    }

    /// One came. Answers whether it says something new of the service.
    pub(super) fn hear(&mut self, asked: HeartbeatRequest, now: Time) -> bool {
        let before = (self.record.ttl_ms, self.record.metadata.clone());
        self.record.ttl_ms = asked.ttl_ms.unwrap_or(self.record.ttl_ms);
        if let Some(metadata) = asked.metadata {
            self.record.metadata = metadata;
        }
        self.record.last_at = clock::wall_ms();
        self.record.received = self.record.received.saturating_add(1);
        (self.since, self.heard, self.again) = (now, true, true);
        before.0 != self.record.ttl_ms || before.1 != self.record.metadata
    }

    /// When they are missed, of one that is up since then.
    pub(super) fn due(&self, up: Time) -> Time {
        self.since.max(up) + Span(self.record.ttl_ms.saturating_mul(HeartbeatRequest::MISSED_AFTER))
    }

    /// For so long nobody listened: that does not count.
    pub(super) fn waits_longer(&mut self, away: Span, up: Option<Time>, now: Time) {
        self.since = (self.since.max(up.unwrap_or(self.since)) + away).min(now);
    }

    /// Of one that is up since then, or is not.
    pub(super) fn pulse(&self, up: Option<Time>, now: Time) -> Pulse {
        match up {
            Some(up) if self.due(up) <= now && self.record.late => Pulse::Missed,
            // It is, and that is not told yet.
            Some(up) if self.due(up) <= now => Pulse::Unknown,
            // Whoever came up anew, or was heard by another host, has his time.
            Some(_) if self.heard && (self.again || !self.record.late) => Pulse::Alive,
            Some(_) | None => Pulse::Unknown,
        }
    }

    pub(super) fn told(&self, pulse: Pulse) -> Heartbeat {
        let Record { ttl_ms, metadata, last_at, received, missed, .. } = self.record.clone();
        Heartbeat { version: Shape, pulse, last_at: Timestamp(last_at), ttl_ms, received, missed, metadata }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(ttl_ms: u64, since: u64) -> Beat {
        let record = Record { ttl_ms, metadata: BTreeMap::new(), last_at: 0, received: 1, missed: 0, late: false };
        Beat { heard: true, ..Beat::recalled(record, Time(since)) }
    }

    #[test]
    fn who_comes_up_anew_has_as_long_as_who_has_just_sent_one() {
        assert_eq!(beat(1_000, 5_000).due(Time(0)), Time(8_000));
        assert_eq!(beat(1_000, 5_000).due(Time(9_000)), Time(12_000));
    }

    #[test]
    fn who_came_up_anew_waits_longer_too_and_nobody_beyond_now() {
        let mut beat = beat(1_000, 5_000);
        beat.waits_longer(Span(60_000), Some(Time(9_000)), Time(80_000));
        assert_eq!(beat.due(Time(9_000)), Time(72_000));
        beat.waits_longer(Span(60_000), Some(Time(9_000)), Time(80_000));
        assert_eq!(beat.since, Time(80_000));
    }

    #[test]
    fn of_whom_nothing_was_heard_yet_nobody_can_say() {
        let mut beat = beat(1_000, 0);
        let of = |beat: &Beat, up: Option<u64>, now: u64| beat.pulse(up.map(Time), Time(now));
        assert_eq!((of(&beat, Some(0), 2_999), of(&beat, Some(0), 3_000), of(&beat, None, 9_000)), (Pulse::Alive, Pulse::Unknown, Pulse::Unknown));
        beat.record.late = true;
        assert_eq!((of(&beat, Some(0), 3_000), of(&beat, None, 9_000)), (Pulse::Missed, Pulse::Unknown), "once that was told");
        assert_eq!((of(&beat, Some(5_000), 7_999), of(&beat, Some(5_000), 8_000)), (Pulse::Unknown, Pulse::Missed), "a new life has its time");
        beat.again = true;
        assert_eq!(of(&beat, Some(5_000), 7_999), Pulse::Alive);
        (beat.heard, beat.record.late) = (false, false);
        assert_eq!(of(&beat, Some(0), 1), Pulse::Unknown);
    }
}

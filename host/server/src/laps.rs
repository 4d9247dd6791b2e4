//! Where the time goes between a crash and the next life: one line per restart at debug level, for `make bench` and the curious.

use std::collections::BTreeMap;
use std::time::Instant;

use hostler_core::ServiceName;

/// The moments of one restart, as the loop sees them.
#[derive(Debug, Clone, Copy)]
struct Lap {
    woken: Instant,
    seen: Option<Instant>,
    decided: Option<Instant>,
    committed: Option<Instant>,
}

/// Restarts under way.
#[derive(Debug, Default)]
pub(crate) struct Laps(BTreeMap<(ServiceName, u32), Lap>);

impl Laps {
    /// Something pointed at a task.
    pub(crate) fn woken(&mut self, service: &ServiceName, replica: u32) {
        self.0.insert((service.clone(), replica), Lap { woken: Instant::now(), seen: None, decided: None, committed: None });
    }

    /// It was looked at.
    pub(crate) fn seen(&mut self, service: &ServiceName, replica: u32) {
        if let Some(lap) = self.0.get_mut(&(service.clone(), replica)) {
            lap.seen.get_or_insert_with(Instant::now);
        }
    }

    /// Its next life was decided, and the intent committed.
    pub(crate) fn starting(&mut self, service: &ServiceName, replica: u32, decided: Instant) {
        if let Some(lap) = self.0.get_mut(&(service.clone(), replica)) {
            (lap.decided, lap.committed) = (Some(decided), Some(Instant::now()));
        }
    }

    /// Its next life was started: says where the time went.
    pub(crate) fn started(&mut self, service: &ServiceName, replica: u32) {
        let Some(Lap { woken, seen: Some(seen), decided: Some(decided), committed: Some(committed) }) = self.0.remove(&(service.clone(), replica))
        else {
            return;
        };
        let now = Instant::now();
        let micros = |from: Instant, to: Instant| to.saturating_duration_since(from).as_micros();
        tracing::debug!(
            target: "hostler::laps",
            service = service.as_str(),
            look_us = micros(woken, seen),
            decide_us = micros(seen, decided),
            commit_us = micros(decided, committed),
            call_us = micros(committed, now),
            "restarted"
        );
    }
}

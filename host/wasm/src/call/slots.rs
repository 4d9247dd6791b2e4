//! How many calls of a plugin run at a time, and of which kind: what may take long leaves room for what must not wait.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Call;
use crate::error::Failure;
use crate::function::Function;
use crate::plugin::Plugin;

/// The places of one plugin, by who may have them: at most a half, three quarters, or all of them.
pub(crate) struct Places([Arc<Semaphore>; 3]);

impl Places {
    pub(crate) fn new(concurrency: u32) -> Places {
        let quarters = |count: u32| (u64::from(concurrency) * u64::from(count) / 4).max(1);
        Places([2, 3, 4].map(|count| Arc::new(Semaphore::new(usize::try_from(quarters(count)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))))
    }

    /// Those that a call needs a permit of each, always in this order.
    fn of(&self, function: Function, is_asked_for: bool) -> &[Arc<Semaphore>] {
        match function {
            // As long as somebody likes, and as many as he likes: what is started and stopped has the rest.
            _ if is_asked_for => &self.0,
            // A check that runs inside the task is a look.
            Function::Exec => &self.0[2..],
            // A start may pull an image, a stop has its grace. Looks have the rest: a task that nobody can look at is unknown.
            _ if function.changes() => &self.0[1..],
            _ => &self.0[2..],
        }
    }
}

/// The permits of a running call. Given back when it is dropped, however the call ends.
pub(crate) struct Slots {
    _plugin: Vec<OwnedSemaphorePermit>,
    _pool: OwnedSemaphorePermit,
}

impl Plugin {
    /// Waits until there is room for one more instance, for a call of this function.
    pub(crate) async fn slots(&self, function: Function, call: &Call<'_>, until: Instant) -> Result<Slots, Failure> {
        let mut plugin = Vec::with_capacity(3);
        for places in self.places.of(function, call.asked_for) {
            plugin.push(permits(places, 1, until).await?);
        }
        Ok(Slots { _plugin: plugin, _pool: permits(&self.runtime.engine.slots, self.memories, until).await? })
    }
}

async fn permits(places: &Arc<Semaphore>, count: u32, until: Instant) -> Result<OwnedSemaphorePermit, Failure> {
    if let Ok(permit) = Arc::clone(places).try_acquire_many_owned(count) {
        return Ok(permit);
    }
    match tokio::time::timeout_at(until, Arc::clone(places).acquire_many_owned(count)).await {
        Ok(permit) => Ok(permit.expect("the semaphores are never closed")),
        Err(_) => Err(Failure::Busy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_take_long_leaves_places_to_looks_and_what_is_asked_for_to_starts_and_stops() {
        let most = |concurrency: u32, (function, is_asked_for): (Function, bool)| {
            let places = Places::new(concurrency);
            places.of(function, is_asked_for).iter().map(|places| places.available_permits()).min().expect("there is one")
        };
        let calls =
            [(Function::Exec, true), (Function::ReadLogs, true), (Function::Stop, false), (Function::Inspect, false), (Function::Exec, false)];
        let each = |concurrency| calls.map(|call| most(concurrency, call));
        assert_eq!(each(64), [32, 32, 48, 64, 64]);
        assert_eq!(each(4), [2, 2, 3, 4, 4]);
        assert_eq!(each(1), [1; 5]);
        assert_eq!(each(0), [1; 5]);
        assert!(most(u32::MAX, calls[3]) > 1_000);
    }
}

//! What a service manager that has started this process hears of it: `sd_notify(3)` and `sd_watchdog_enabled(3)`. Without one nothing is said.

use std::time::Duration;

use hostler_api::routes;
use sd_notify::NotifyState;

use crate::client::Client;

/// No manager means less.
const SHORTEST: Duration = Duration::from_millis(10);

/// The host answers; from now on, where the manager watches, it hears twice in each of its intervals that the host still does.
pub(crate) fn ready(client: &Client) {
    tell(&[NotifyState::Ready]);
    let mut interval_us = 0;
    if sd_notify::watchdog_enabled(false, &mut interval_us) {
        tokio::spawn(watched(client.clone(), Duration::from_micros(interval_us / 2).max(SHORTEST)));
    }
}

/// The answer comes from the host's loop: one that hangs is silent.
async fn watched(client: Client, pause: Duration) {
    let mut turns = tokio::time::interval(pause);
    loop {
        turns.tick().await;
        if client.get(routes::HOST).await.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// It reads anew what it was told to read.
pub(crate) fn reloading() {
    // It has to be told when that began.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// It has.
pub(crate) fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// It ends, and its services go on.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

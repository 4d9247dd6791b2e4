//! What a service manager that has started this process hears of it: `sd_notify(3)` and `sd_watchdog_enabled(3)`. Without one nothing is said.

use std::process::Stdio;
use std::time::Duration;

use hostler_api::routes;
use sd_notify::NotifyState;
use tokio::process::Command;

use crate::client::Client;

/// How long the manager may take to say what it is about: it is at home, and whoever ends is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// It ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Is it this process alone that has to end, or the whole machine? Nobody who was not started by a manager is told; nor is one told who cannot ask.
pub(crate) async fn takes_the_machine_down() -> bool {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return false;
    }
    let asked = Command::new("systemctl").arg("is-system-running").stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(output)) => output.stdout.trim_ascii() == b"stopping",
        Ok(Err(error)) => {
            tracing::warn!(%error, "systemctl cannot be asked whether the machine goes down");
            false
        }
        Err(_) => {
            tracing::warn!("systemctl does not say in time whether the machine goes down");
            false
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

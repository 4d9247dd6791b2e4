//! What asks a command that stays to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, failed};

/// Ctrl-C, a request to end, and a terminal that goes away. From when this is made none of them ends the process by itself.
pub(crate) struct Signals([Signal; 3]);

impl Signals {
    pub(crate) fn new() -> Result<Signals, Error> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(|kind| signal(kind).map_err(|error| failed(format!("cannot listen for signals: {error}"))));
        Ok(Signals([interrupt?, terminate?, hangup?]))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

//! A door for `tests/fuzz`: a whole host with nobody to run anything, and what the loop makes of a plugin's words. Nobody else goes through it.

use std::path::Path;
use std::time::Duration;

use hostler_core::{Fault, Phase};
use hostler_wasm::CallError;
use hostler_wasm::words::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::{Host, HostOptions, act, desk};

/// Where a plugin says that a task is, as the core hears it.
pub fn phase(status: &Status) -> Phase {
    desk::phase(status)
}

/// Why a call failed, as the core hears it.
pub fn fault(error: &CallError) -> Fault {
    act::fault(error)
}

/// A host in one thread that moves only while somebody asks. It has no keeper, so that nothing is ever run.
pub struct Room {
    runtime: tokio::runtime::Runtime,
    host: Option<Host>,
}

/// How long the host may be silent before its answer is given up.
const SILENCE: Duration = Duration::from_millis(25);

impl Room {
    /// Takes the state directory.
    ///
    /// # Panics
    /// The host does not start.
    pub fn new(options: HostOptions) -> Room {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let host = runtime.block_on(Host::start_without_keeper(options)).expect("the host starts");
        Room { runtime, host: Some(host) }
    }

    /// Sends these bytes over one connection, and then the end of it; answers all that came back, and whether the host closed first.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub fn ask(&self, bytes: &[u8]) -> std::io::Result<(Vec<u8>, bool)> {
        let socket = self.state_dir().join(hostler_api::routes::SOCKET);
        self.runtime.block_on(async {
            let (mut from, mut to) = UnixStream::connect(socket).await?.into_split();
            let sending = async {
                // A host that has heard enough closes.
                to.write_all(bytes).await.ok();
                to
            };
            let mut answer = Vec::new();
            let hearing = async {
                loop {
                    match tokio::time::timeout(SILENCE, from.read_buf(&mut answer)).await {
                        Ok(Ok(0) | Err(_)) => return true,
                        Ok(Ok(_)) => {}
                        Err(_) => return false,
                    }
                }
            };
            let (to, closed) = tokio::join!(sending, hearing);
            drop(to);
            Ok((answer, closed))
        })
    }

    fn state_dir(&self) -> &Path {
        self.host.as_ref().expect("it is taken only at the end").state_dir()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(host) = self.host.take() {
            host.leave();
            self.runtime.block_on(host.wait());
        }
    }
}

//! What runs a command: for a host many threads, for a caller one.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, failed};

/// How long what threads still read or write at the end is waited for: what hangs, say a mount that does not answer, keeps nobody from ending.
const FAREWELL: Duration = Duration::from_secs(5);

/// For a host inside this process.
pub(crate) fn with_many_threads(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(no_runtime)?;
    let done = runtime.block_on(command);
    runtime.shutdown_timeout(FAREWELL);
    done
}

/// For a caller: there before anybody notices.
pub(crate) fn one_thread() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

fn no_runtime(error: std::io::Error) -> Error {
    failed(format!("cannot set up this process: {error}")).into()
}

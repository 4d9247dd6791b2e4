//! What runs a command: for a host many threads, for a caller one.

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, failed};

/// For a host inside this process.
pub(crate) fn many_threads() -> Result<Runtime, Error> {
    Builder::new_multi_thread().enable_all().build().map_err(no_runtime)
}

/// For a caller: there before anybody notices.
pub(crate) fn one_thread() -> Result<Runtime, Error> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

fn no_runtime(error: std::io::Error) -> Error {
    failed(format!("cannot set up this process: {error}")).into()
}

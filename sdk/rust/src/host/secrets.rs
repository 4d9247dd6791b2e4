//! Secrets that the plugin uses and never sees: the host puts them where they are needed.
//!
//! ```no_run
//! use hostler_sdk::host::commands::{self, Command};
//! use hostler_sdk::host::secrets;
//!
//! fn push() -> hostler_sdk::host::Result<commands::Output> {
//!     let token = secrets::place("registry-token")?;
//!     commands::run(&Command { env: vec![("TOKEN".into(), token)], ..Command::new("/usr/bin/push") })
//! }
//! ```

use super::Result;
use crate::imports::secrets;

/// A placeholder for a secret, until this call ends. The host replaces it in environments and standard input of commands, in
/// environments of processes, and in headers of requests to a named endpoint; anywhere else it means nothing.
pub fn place(name: &str) -> Result<String> {
    secrets::place(name)
}

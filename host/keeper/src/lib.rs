//! The keeper: a small process that holds local child processes, so that they outlive the host.
//!
//! Its nouns: a **process** is held under a *key*; its output goes to a **log**, line by line; its end is an **exit**, written
//! down before anybody hears of it. Stopping one stops its whole tree. What the host asks and hears is in [`protocol`]; [`keeper`] is the process
//! itself, started by [`client::ensure`] and left alone from then on; [`client::Client`] speaks to it, blocking.
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! use hostler_keeper::{client, protocol::Command};
//!
//! let dir = Path::new("/var/lib/hostler/keeper");
//! client::ensure(dir, &std::env::current_exe()?, Duration::from_secs(5))?;
//! let mut client = client::Client::connect(dir, "example", false)?;
//! let command = Command { program: "/bin/sleep".into(), args: vec!["60".into()], ..Command::default() };
//! let process = client.spawn("nap-1", "example", command)?;
//! println!("{} is process {:?}", process.key, process.pid);
//! let exit = client.stop("nap-1", "SIGTERM", Duration::from_secs(5))?;
//! assert_eq!(exit.signal.as_deref(), Some("SIGTERM"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod client;
#[doc(hidden)]
pub mod door;
pub mod keeper;
pub mod open_files;
pub mod protocol;

mod append;
mod cgroup;
mod clock;
mod identity;
mod journal;
mod launch;
mod log;
mod pipes;
mod signal;
mod task;
mod tree;
mod user;

pub use signal::name as signal_name;

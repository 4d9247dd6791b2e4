//! Tests of a plugin: against a [`FakeHost`] in milliseconds, and of the real [`Component`]. Feature `test`, for `[dev-dependencies]`.
//!
//! On the machine that compiles, capabilities have no host to go to. A [`FakeHost`] is one for the thread that made it: an engine of
//! processes and one of containers in memory, commands that a test scripts, state, configuration, a clock that moves when it is told to, and faults on request.
//!
//! ```
//! use hostler_sdk::host::{Error, processes};
//! use hostler_sdk::test::FakeHost;
//!
//! let host = FakeHost::new();
//! let sleep = processes::Command::new("/bin/sleep");
//! processes::spawn("web-1", &sleep).expect("it is a new key");
//! processes::spawn("web-1", &sleep).expect("the same again finds it");
//! assert_eq!(host.processes().len(), 1);
//!
//! host.lose_reply("processes.spawn");
//! assert_eq!(processes::spawn("web-2", &sleep), Err(Error::Timeout), "it happened, and nobody was told");
//! assert_eq!(host.processes().len(), 2);
//! ```
//!
//! What waits on WASI itself (HTTP, sockets, files) has no fake; [`Component`] tries it as a host would load it.

mod commands;
mod component;
mod containers;
#[doc(hidden)]
pub mod imports;
mod inputs;
mod processes;
mod secrets;
mod state;
#[cfg(test)]
mod tests;
mod world;

pub use component::Component;
pub use inputs::{output, settings, target, task};
pub use world::{FakeHost, Line};

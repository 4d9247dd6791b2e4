//! Write a Hostler plugin in Rust: implement one trait, name it in one macro.
//!
//! A plugin is a WebAssembly component that is either a [`Backend`], which runs tasks on some engine, or a [`HealthCheck`],
//! which judges whether a task is well. It can do only what it imports and is granted: [`host`] has one module per
//! capability, and what is never called never reaches the component.
//!
//! A whole health check, in 30 lines: it fails while a lock file of a package manager is held.
//!
//! ```
//! use hostler_sdk::host::commands::{self, Command};
//! use hostler_sdk::{Description, Fault, HealthCheck, Report, Target};
//! use std::time::Duration;
//!
//! struct Unlocked;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings { file: String }
//!
//! impl HealthCheck for Unlocked {
//!     type Settings = Settings;
//!
//!     fn describe() -> Description {
//!         Description::new("unlocked", "0.1.0", "Passes while nobody holds a lock file.")
//!             .settings(r#"{ "type": "object", "additionalProperties": false, "required": ["file"],
//!                            "properties": { "file": { "type": "string", "x-path": true } } }"#)
//!             .needs("commands", "asks fuser(1) who holds the file")
//!     }
//!
//!     fn check(_target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
//!         let output = commands::run(&Command { args: vec![settings.file], ..Command::new("/usr/bin/fuser") })?;
//!         Ok(match output.code {
//!             Some(1) => Report::pass("nobody holds it"),
//!             _ => Report::fail("held").detail("holders", String::from_utf8_lossy(&output.out).trim()),
//!         })
//!     }
//! }
//!
//! hostler_sdk::plugin!(health_check: Unlocked);
//! # fn main() {}
//! ```
//!
//! - Settings are plain serde types; [`settings`] turns each mistake into a [`Problem`] at its JSON pointer.
//! - A backend's [`Handle`] is a serde type with a version; the SDK reads and writes it.
//! - What goes wrong is a [`Fault`], named by what the host does next; a capability's error turns into one with `?`.
//! - A plugin that waits on WASI itself (sockets, HTTP) turns on the feature `wasi`, for `deadline::Deadline`.
//! - [`test`] has a fake host for fast tests (feature `test`), and tries the real component.
//! - A panic costs one call; its message and place reach the host's log.
//!
//! `plugins/process` is the example of a backend with abilities, `docs/PLUGINS.md` goes from an empty folder to a plugin that runs.

pub mod backend;
#[doc(hidden)]
pub mod bindings;
#[cfg(feature = "wasi")]
pub mod deadline;
#[doc(hidden)]
pub mod export;
mod handle;
mod health_check;
pub mod host;
mod imports;
mod macros;
mod panic;
pub mod settings;
#[cfg(all(feature = "test", not(target_family = "wasm")))]
pub mod test;
mod words;

pub use backend::{Backend, Discovery, Engine, Exec, Found, Handles, Logs, Page, Scale, Signals, Stats, Update};
pub use handle::Handle;
pub use health_check::{HealthCheck, Report, Target, Verdict};
pub use serde_json::Value;
pub use words::{Description, Endpoint, Exit, Fault, Phase, Problem, Resources, Retry, Status, Task, TaskId};

//! End-to-end tests: the real `hostler`, with real processes, as a person or a script uses it.
//!
//! A [`Yard`] is a temporary directory with a configuration and a state directory of its own. It runs commands to their end
//! ([`Ran`]), keeps programs that stay ([`Live`]), looks at the host over its socket, and ends everything that was started in it when
//! it is dropped. Yards do not know each other, so tests run side by side.
//!
//! ```no_run
//! use hostler_e2e::Yard;
//! let yard = Yard::new();
//! yard.up("[services.db]\nbackend = { type = \"process\", binary = \"sleep\", args = [1000] }");
//! assert_eq!(yard.status("db"), "running");
//! ```
//!
//! Nothing is slept for: [`until`] looks again and again until something holds, and says what it waited for when that never comes. What
//! a machine cannot do ([`can`]) is said by name and passed over, except where `CI` is set: there it fails.

mod can;
mod clients;
mod heard;
mod hook;
mod live;
mod machine;
mod pages;
mod panics;
mod place;
mod ran;
mod services;
mod stream;
mod upgrade;
mod wait;
mod wire;
mod yard;

pub use can::{can, is_root};
pub use hook::{Hook, Takes, Told};
pub use live::Live;
pub use machine::{alive, children, descendants, free_port, kill, parent, signal, started};
pub use pages::Page;
pub use place::{fixture, program, root};
pub use ran::Ran;
pub use stream::{Frame, Message, Socket, Stream};
pub use wait::{until, until_nothing, until_some, until_some_within};
pub use wire::{Answer, ask, hear, raw, raw_tcp, request, request_with};
pub use yard::Yard;

pub use rustix::process::Signal;
pub use serde_json::{Value, from_str as parse, json};

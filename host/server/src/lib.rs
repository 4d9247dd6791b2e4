//! The server moves: it is the only room that waits, and the only place where a decision becomes a deed.
//!
//! A [`Host`] holds one state directory. Its loop (`drive`) hears what happened, hands it to the core, commits what the core decided, and
//! only then acts (`act`: one action, one plugin call). Requests come over HTTP (`http`) and change what is *wanted*; that is committed
//! before the core hears of it. The host can be killed at any instant: what it had committed is taken up by the next one.
//!
//! Reasons to wake, and no others: a message (an action was carried out, a task ended, somebody asks) and a timer of the core.
//!
//! ```no_run
//! # async fn example() -> Result<(), hostler_server::HostError> {
//! use hostler_server::{Host, HostOptions};
//! let host = Host::start(HostOptions::new("/var/lib/hostler".into(), &[], std::env::current_exe().unwrap())).await?;
//! host.wait().await;
//! # Ok(()) }
//! ```

mod act;
mod alerts;
mod apply;
mod audit;
mod autoscale;
mod beside;
mod board;
mod bucket;
mod change;
mod clock;
mod compiler;
mod containers;
mod desk;
mod discovery;
#[doc(hidden)]
pub mod door;
mod drive;
mod engines;
mod feed;
mod front;
mod heartbeats;
mod history;
mod host;
mod http;
mod idempotency;
mod identity;
mod images;
mod instances;
mod laps;
mod ledger;
mod logs;
mod memory;
mod message;
mod metrics;
mod operations;
mod operator;
mod outgoing;
mod plugins;
mod published;
mod queue;
mod record;
mod registry;
mod replica;
mod restore;
mod secrets;
mod sink;
mod speak;
mod state_dir;
mod stats;
mod strangers;
mod tasks;
mod telemetry;
mod upgrade;
mod workspaces;

pub use compiler::{COMPILE_PLUGIN, compile_plugin};
pub use host::{Host, HostError, HostOptions, StoreEngine};
pub use plugins::{BuiltIn, BuiltIns, sha256_of};
pub use restore::restore;

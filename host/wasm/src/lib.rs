//! The wasm room embodies: it is the one room that says `wasmtime`.
//!
//! A [`Runtime`] (one per host) loads components. What loads is a [`Plugin`]: an immutable revision with a [`Role`], its
//! [`Ability`]s, its [`Grants`] and its [`Limits`]. As a [`Backend`] it runs tasks, as a [`HealthCheck`] it judges targets.
//! Every call gets a fresh instance, a deadline around everything it does, and fails by itself: a plugin that traps, loops,
//! eats memory, hangs in a host call or lies about its answer costs one [`CallError`], and nothing else.
//!
//! ```no_run
//! # async fn example(options: hostler_wasm::RuntimeOptions, source: hostler_wasm::PluginSource) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use hostler_wasm::{Call, Runtime};
//!
//! let runtime = Runtime::new(options)?;
//! let plugin = runtime.load(source).await?;
//! let engine = plugin.backend().expect("a backend").fingerprint(Call::within(Duration::from_secs(2))).await?;
//! println!("{} is {}", plugin.name(), if engine.ready { "ready" } else { "not ready" });
//! # Ok(()) }
//! ```
//!
//! Where things are: `role/` is what a plugin may be, `capability/` what it may call, `grant/` what the operator allows (the
//! one place where policy lives), `load` every doubt before the first call, `call` the one way a call is made.

mod bindings;
mod cache;
mod call;
mod capability;
mod compiler;
mod engine;
mod error;
mod function;
mod grant;
mod hooks;
mod json;
mod limits;
mod load;
mod plugin;
pub mod record;
mod resolve;
mod role;
mod runtime;
mod schema;
mod scope;
mod tap;
mod text;
mod turns;
pub mod words;

pub use call::{Call, JsonCallError};
pub use capability::commands::{CommandEnd, run_command};
pub use capability::containers::{EngineNews, EngineReply, EngineRequest, EngineRole};
pub use capability::processes::{ExitNews, KeeperError, KeeperLink, KeeperRole, RestartHook};
pub use compiler::{Compiler, compile};
pub use engine::PoolOptions;
pub use error::{CallError, Failure, FaultText, NextMove, ProblemText};
pub use grant::{
    Access, Capability, CommandsGrant, DirectoryGrant, EndpointGrant, EngineGrant, Grants, HeaderText, HttpGrant, NetworkRules, Private,
    ProcessesGrant, ProgramArgs, ProgramRule, SecretName, StateGrant, Strangers, TcpGrant, Verb, needed, needed_by, stanza_for, stanza_of, unknown,
};
pub use hooks::{
    Called, Denial, Level, NetworkPolicies, PluginLine, PluginSink, Quota, Reveal, SecretError, SecretStore, StateError, StateStore, TaskExec, Wait,
};
pub use json::Spelling;
pub use limits::{Limits, MAX_COMPONENT_BYTES};
pub use load::{LoadError, PluginSource};
pub use plugin::Plugin;
#[doc(hidden)]
pub use role::door;
pub use role::{Backend, HealthCheck};
pub use runtime::{Error, Runtime, RuntimeOptions};
pub use scope::Counts;
pub use tap::{CallInfo, Decision, ImportCall, KILLED, Tap, UNSEEN};
pub use turns::Turns;
pub use words::{Ability, Description, Role};

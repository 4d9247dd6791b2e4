//! What the room asks of the rest of the host: where lines and denials go, where state is kept, how a check reaches into a task.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::CallError;
use crate::grant::NetworkRules;
use crate::words::{ExecCommand, ExecOutput};

/// A boxed future, so that hooks stay objects.
pub type Wait<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Hears what plugins say and what they were refused. Called from within calls: it must not block.
pub trait PluginSink: Send + Sync {
    /// A plugin logged a line, wrote one to stdout or stderr, or the room itself has something to say about a call.
    fn line(&self, line: PluginLine);

    /// A capability said no. For the audit trail.
    fn denied(&self, denial: Denial);

    /// A secret is about to be revealed. For the audit trail: when this answers false, the secret stays where it is.
    fn revealed(&self, _: Reveal) -> bool {
        false
    }

    /// A call failed because of the plugin: a trap, a timeout, a limit, a lie.
    fn failed(&self, plugin: &str, revision: &str, subject: &str, error: &CallError);

    /// Does anybody want to hear of each call?
    fn hears_calls(&self) -> bool {
        false
    }

    /// A call is over, however it ended. Called within the task that made it, where somebody [`hears_calls`](PluginSink::hears_calls).
    fn called(&self, _: &Called<'_>) {}
}

/// Says what calls about a workspace may reach.
pub trait NetworkPolicies: Send + Sync {
    /// The rules beside the plugin's own grant; nothing where there are none. It must not block.
    fn rules(&self, workspace: &str) -> Option<Arc<NetworkRules>>;
}

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Good to know.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

/// One line of a plugin's log. Control characters are escaped already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLine {
    /// The operator's name for the plugin.
    pub plugin: String,
    /// Which revision said it.
    pub revision: String,
    /// During which call: `backend.start`.
    pub function: &'static str,
    /// What the call was about, as the caller named it: a task, a service; empty when about nothing in particular.
    pub subject: String,
    /// How loud.
    pub level: Level,
    /// At most 8 KiB.
    pub message: String,
    /// Beside the message.
    pub fields: BTreeMap<String, String>,
}

/// A call of a plugin that is over.
#[derive(Debug, Clone)]
pub struct Called<'a> {
    /// Whose.
    pub plugin: &'a str,
    /// Which revision of it.
    pub revision: &'a str,
    /// What was called.
    pub function: &'static str,
    /// What the call was about.
    pub subject: &'a str,
    /// When it began, waiting for a free slot included.
    pub begun: SystemTime,
    /// Why it did not work.
    pub error: Option<String>,
}

/// One refusal by a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who asked.
    pub plugin: String,
    /// Which revision of it.
    pub revision: String,
    /// During which call.
    pub function: &'static str,
    /// What the call was about.
    pub subject: String,
    /// Which capability: `processes`, `http`, …
    pub capability: &'static str,
    /// What was asked for and refused.
    pub what: String,
}

/// How much a plugin may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of keys and values together.
    pub bytes: u64,
    /// Number of keys.
    pub keys: u32,
}

/// Why state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The value is not the expected one.
    #[error("conflict: {0}")]
    Conflict(String),
    /// It would go past the quota.
    #[error("quota: {0}")]
    Quota(String),
    /// The store cannot be asked now.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Keeps what plugins want remembered, each plugin in a space of its own. The room has checked keys and sizes already.
pub trait StateStore: Send + Sync {
    /// The value, or nothing when the key was never set.
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<Option<Vec<u8>>, StateError>>;

    /// Sets a value durably, compares with `expected` where there is one, and refuses to go past `quota`: all in one step.
    fn set<'a>(&'a self, plugin: &'a str, key: &'a str, value: Vec<u8>, expected: Option<Vec<u8>>, quota: Quota) -> Wait<'a, Result<(), StateError>>;

    /// Deletes a key; of what is gone it succeeds.
    fn delete<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<(), StateError>>;

    /// The keys that start with `prefix`, sorted, at most `limit`.
    fn keys<'a>(&'a self, plugin: &'a str, prefix: &'a str, limit: usize) -> Wait<'a, Result<Vec<String>, StateError>>;
}

/// Why a secret cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no secret of that name.
    #[error("there is no secret of that name")]
    Unknown,
    /// It is there, and cannot be read now.
    #[error("{0}")]
    Unavailable(String),
}

/// Keeps secrets. What a plugin may do with which is decided before it is asked.
pub trait SecretStore: Send + Sync {
    /// The value as it is now. It is asked for each time it is needed, and nobody here keeps it.
    fn read<'a>(&'a self, name: &'a str) -> Wait<'a, Result<String, SecretError>>;
}

/// A secret's value was handed to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reveal {
    /// To whom.
    pub plugin: String,
    /// Which revision of it.
    pub revision: String,
    /// During which call.
    pub function: &'static str,
    /// What the call was about.
    pub subject: String,
    /// The name of the secret.
    pub secret: String,
}

/// Reaches into the task that a check looks at, through whichever backend runs it. Given per check call.
pub trait TaskExec: Send + Sync {
    /// Has the task's backend the `exec` ability?
    fn available(&self) -> bool;

    /// Runs a command inside the task, usually by [`crate::Backend::exec`] of its backend.
    fn run(&self, command: ExecCommand) -> Wait<'_, Result<ExecOutput, CallError>>;
}

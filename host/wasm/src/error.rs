//! What can go wrong with a call into a plugin, and what the host does next.

use std::time::Duration;

use crate::limits::MAX_TEXT_BYTES;
use crate::text::escape;
use crate::words::{Fault, Problem};

/// A call that did not answer as the contract promises, or that answered with a fault.
///
/// Its text names the plugin and the function: ``plugin `web`: backend.start: …``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}`: {function}: {why}")]
pub struct CallError {
    /// The operator's name for the plugin.
    pub plugin: String,
    /// Interface and function: `backend.start`.
    pub function: &'static str,
    /// Could the call have changed something outside before it broke?
    pub changes: bool,
    /// What happened.
    pub why: Failure,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The plugin answered with a fault of its own.
    Fault(Fault),
    /// It broke: a panic, an endless recursion, an impossible memory access. The message is its own where it left one.
    Trapped {
        /// For people.
        message: String,
    },
    /// The call's time was up; guest loops and host calls are both covered.
    Deadline {
        /// How long it was allowed to take.
        after: Duration,
    },
    /// It asked for more memory, tables, handles or bytes than it may have.
    Limit(String),
    /// It answered something that the contract does not allow.
    Malformed(String),
    /// It does not have the ability.
    Unsupported,
    /// The call never began: every slot was taken until its deadline.
    Busy,
}

/// What the host does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextMove {
    /// It can never work as asked: report it, do not retry.
    Report,
    /// Nothing happened: retry with backoff, at the earliest after this long, and blame no task.
    Retry {
        /// The engine's own wish.
        after: Option<Duration>,
    },
    /// It failed and left nothing: a failed attempt of this task.
    Fail,
    /// It may have happened: look (`inspect`, `list`) before anything else.
    Look,
    /// Nothing is left of the task.
    Gone,
}

impl CallError {
    /// What the host does next. A changing call that trapped or ran out of time may have happened; a looking one did not.
    pub fn next_move(&self) -> NextMove {
        match &self.why {
            Failure::Fault(fault) => fault_move(fault),
            Failure::Trapped { .. } | Failure::Deadline { .. } | Failure::Limit(_) | Failure::Malformed(_) => {
                if self.changes {
                    NextMove::Look
                } else {
                    NextMove::Retry { after: None }
                }
            }
            Failure::Unsupported => NextMove::Report,
            Failure::Busy => NextMove::Retry { after: None },
        }
    }

    /// The plugin itself misbehaved, as opposed to answering that something is wrong.
    pub fn is_plugins_fault(&self) -> bool {
        match self.why {
            Failure::Trapped { .. } | Failure::Deadline { .. } | Failure::Limit(_) | Failure::Malformed(_) => true,
            Failure::Fault(_) | Failure::Unsupported | Failure::Busy => false,
        }
    }

    /// Why it failed, for events and records: harmless to a terminal, and at most 4 KiB however long the plugin's own words are.
    pub fn brief(&self) -> String {
        escape(&self.why.to_string(), MAX_TEXT_BYTES)
    }

    /// The fault, when the plugin answered one.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.why {
            Failure::Fault(fault) => Some(fault),
            _ => None,
        }
    }
}

fn fault_move(fault: &Fault) -> NextMove {
    match fault {
        Fault::Invalid(_) | Fault::Conflict(_) | Fault::Denied(_) | Fault::Unsupported(_) => NextMove::Report,
        Fault::Unavailable(retry) => NextMove::Retry { after: retry.after.map(Duration::from_millis) },
        Fault::Interrupted(_) => NextMove::Look,
        Fault::Other(_) => NextMove::Fail,
        Fault::Gone => NextMove::Gone,
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Fault(fault) => write!(out, "{}", FaultText(fault)),
            Failure::Trapped { message } => write!(out, "the plugin broke: {message}"),
            Failure::Deadline { after } => write!(out, "no answer within {after:?}"),
            Failure::Limit(what) => write!(out, "over its limit: {what}"),
            Failure::Malformed(what) => write!(out, "the answer breaks the contract: {what}"),
            Failure::Unsupported => write!(out, "the plugin does not have this ability"),
            Failure::Busy => write!(out, "every slot for calls was taken until the deadline"),
        }
    }
}

/// A fault as people read it.
pub struct FaultText<'a>(pub &'a Fault);

impl std::fmt::Display for FaultText<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Fault::Invalid(problems) => {
                out.write_str("invalid")?;
                for (place, problem) in problems.iter().enumerate() {
                    write!(out, "{} {}", if place == 0 { ":" } else { ";" }, ProblemText(problem))?;
                }
                Ok(())
            }
            Fault::Unavailable(retry) => write!(out, "unavailable: {}", retry.message),
            Fault::Interrupted(text) => write!(out, "interrupted: {text}"),
            Fault::Conflict(text) => write!(out, "conflict: {text}"),
            Fault::Denied(text) => write!(out, "denied: {text}"),
            Fault::Gone => out.write_str("gone"),
            Fault::Unsupported(text) => write!(out, "unsupported: {text}"),
            Fault::Other(text) => out.write_str(text),
        }
    }
}

/// A problem as people read it: place, message, hint.
pub struct ProblemText<'a>(pub &'a Problem);

impl std::fmt::Display for ProblemText<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { at, message, hint } = self.0;
        if !at.is_empty() {
            write!(out, "{at}: ")?;
        }
        out.write_str(message)?;
        match hint {
            Some(hint) => write!(out, " ({hint})"),
            None => Ok(()),
        }
    }
}

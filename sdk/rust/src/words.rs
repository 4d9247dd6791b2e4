//! The words that every plugin speaks: tasks, phases, statuses, problems and faults.

use crate::host;
use std::fmt;

pub use crate::bindings::imports::hostler::plugin::types::{Endpoint, Exit, Fault, Phase, Problem, Resources, Retry, Status, TaskId};

/// One thing to run, with its settings already read.
#[derive(Debug, Clone, PartialEq)]
pub struct Task<S> {
    /// One life of one replica of one service; `id.id` goes onto whatever is created.
    pub id: TaskId,
    /// Same id and same digest is the same request.
    pub spec_digest: String,
    /// The `settings` of the service file.
    pub settings: S,
    /// What the host wants in the task's environment.
    pub env: Vec<(String, String)>,
    /// What the task may use at most.
    pub resources: Resources,
    /// To be written onto the real thing where it can carry labels.
    pub labels: Vec<(String, String)>,
}

/// What a plugin says of itself; its `describe` must be pure and always answer the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) config_schema: String,
    pub(crate) settings_schema: String,
    pub(crate) needs: Vec<(String, String)>,
}

impl Description {
    /// A plugin without configuration, settings or needs. `version` is usually `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            config_schema: NOTHING.into(),
            settings_schema: NOTHING.into(),
            needs: Vec::new(),
        }
    }

    /// The JSON Schema (2020-12) of what a service file says to this plugin: the task's or the check's settings.
    pub fn settings(mut self, schema: &str) -> Self {
        self.settings_schema = schema.into();
        self
    }

    /// The JSON Schema (2020-12) of the plugin's own configuration, `plugins.NAME.config`.
    pub fn config(mut self, schema: &str) -> Self {
        self.config_schema = schema.into();
        self
    }

    /// One capability the plugin asks for, and why; an operator reads the reason before granting it.
    pub fn needs(mut self, capability: &str, reason: &str) -> Self {
        self.needs.push((capability.into(), reason.into()));
        self
    }
}

/// The schema of an empty object.
const NOTHING: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false}"#;

impl Problem {
    /// `at` is a JSON pointer into the document: `/args/0`, or nothing for the whole of it.
    pub fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into(), hint: None }
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Fault {
    /// The request can never work, because of one place in the settings.
    pub fn invalid(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Problem::new(at, message)])
    }

    /// Nothing happened, and it may work later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(Retry { message: message.into(), after: None })
    }
}

impl Fault {
    /// As [`Fault::unavailable`], and the engine says when to ask again.
    pub fn unavailable_for(message: impl Into<String>, time: std::time::Duration) -> Self {
        let after = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self::Unavailable(Retry { message: message.into(), after: Some(after) })
    }

    /// It may have happened: the host looks before it does anything else.
    pub fn interrupted(what: impl Into<String>) -> Self {
        Self::Interrupted(what.into())
    }

    /// Something of that name exists and differs.
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict(what.into())
    }

    /// A grant or a credential is missing; the text names it.
    pub fn denied(what: impl Into<String>) -> Self {
        Self::Denied(what.into())
    }

    /// This backend cannot do that at all.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// For people; nothing follows from it.
    pub fn other(what: impl Into<String>) -> Self {
        Self::Other(what.into())
    }
}

impl From<Vec<Problem>> for Fault {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Invalid(problems)
    }
}

/// What a capability's refusal means for the call that needed it. Good for most calls; a plugin that knows better matches first.
impl From<host::Error> for Fault {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Denied(grant) => Self::Denied(grant),
            host::Error::NotFound => Self::Gone,
            host::Error::Conflict(what) => Self::Conflict(what),
            host::Error::Unavailable(why) => Self::unavailable(why),
            host::Error::Timeout => Self::Interrupted("the deadline passed".into()),
            host::Error::Invalid(what) => Self::invalid("", what),
            host::Error::Other(what) => Self::Other(what),
        }
    }
}

impl Phase {
    /// Ended with a code of its own.
    pub fn exited(code: i32) -> Self {
        Self::Exited(Exit { code: Some(code), ..Exit::unexplained() })
    }
}

impl Exit {
    /// An end of which nothing is known.
    pub fn unexplained() -> Self {
        Self { code: None, signal: None, out_of_memory: false, at: None, reason: None }
    }
}

impl Status {
    /// A phase, and nothing else known.
    pub fn new(phase: Phase) -> Self {
        Self { phase, started_at: None, endpoints: Vec::new(), attributes: Vec::new() }
    }

    /// The engine knows nothing of the task.
    pub fn gone() -> Self {
        Self::new(Phase::Gone)
    }

    /// The engine cannot be asked now; the text says why. Never a reason to restart.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::new(Phase::Unknown(why.into()))
    }

    /// Adds something for people: pid, container id, unit name.
    pub fn attribute(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.attributes.push((name.into(), value.to_string()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_deadline_may_have_done_something() {
        assert!(matches!(Fault::from(host::Error::Timeout), Fault::Interrupted(_)));
    }

    #[test]
    fn a_missing_grant_stays_readable() {
        assert_eq!(Fault::from(host::Error::Denied("processes /bin/x".into())), Fault::Denied("processes /bin/x".into()));
    }

    #[test]
    fn an_exit_without_a_code_invents_none() {
        assert_eq!(Exit::unexplained().code, None);
        assert_eq!(Phase::exited(0), Phase::Exited(Exit { code: Some(0), ..Exit::unexplained() }));
    }
}

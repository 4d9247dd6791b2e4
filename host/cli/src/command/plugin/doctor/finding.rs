//! One thing that was looked at.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// It works, and will annoy somebody.
    Doubtful,
    /// It will not work.
    Wrong,
}

/// One thing that was looked at, what it is like, and the command that mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How bad it is.
    pub(super) level: Level,
    /// Stable, for programs: `core-module`, `wrong-shape`, …
    pub(super) kind: &'static str,
    /// For people.
    pub(super) what: String,
    /// A command, or what to write where.
    pub(super) mend: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(super) fn fine(kind: &'static str, what: impl Into<String>) -> Finding {
        Finding { level: Level::Fine, kind, what: what.into(), mend: None }
    }

    /// It works, and will annoy somebody.
    pub(super) fn doubtful(kind: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { level: Level::Doubtful, kind, what: what.into(), mend: Some(mend.into()) }
    }

    /// It will not work.
    pub(super) fn wrong(kind: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { level: Level::Wrong, kind, what: what.into(), mend: Some(mend.into()) }
    }
}

//! How a request fails: one table of codes, the HTTP status each travels with, and the exit code it ends the command line with.

use hostler_core::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::{Shape, schema};

/// Why something did not work, by what the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request itself makes no sense: a field or flag is wrong.
    Invalid,
    /// The configuration was refused; `problems` says where and why.
    Config,
    /// Nobody vouches for the caller: no token, or one that is not good.
    Unauthenticated,
    /// The caller, or a plugin, may not do that.
    Denied,
    /// There is no such service, plugin or route.
    NotFound,
    /// Something stands in the way: another operation, another host, a failed service without `force`.
    Conflict,
    /// It would be more than its workspace may have.
    Quota,
    /// It is not what the caller has read (`If-Match`), or is there already (`If-None-Match`): read it again.
    Changed,
    /// The caller asks too often: the answer says when to come back.
    TooMany,
    /// Not done within the time given; it may still happen.
    Timeout,
    /// Cannot be done now: shutting down, the backend is away. May work later.
    Unavailable,
    /// It was tried and did not work.
    Failed,
    /// No host answers on the socket. Only a client says this.
    Unreachable,
    /// The store failed in the middle of a write: it may have been done or not. The host has to be started anew, which knows it.
    Unknown,
    /// A fault of the host itself.
    Internal,
}

/// Code, HTTP status, exit code.
const TABLE: [(Code, u16, u8); 15] = [
    (Code::Invalid, 400, 2),
    (Code::Config, 422, 3),
    (Code::Unauthenticated, 401, 5),
    (Code::Denied, 403, 5),
    (Code::NotFound, 404, 1),
    (Code::Conflict, 409, 1),
    (Code::Quota, 409, 1),
    (Code::Changed, 412, 1),
    (Code::TooMany, 429, 1),
    (Code::Timeout, 504, 1),
    (Code::Unavailable, 503, 1),
    (Code::Failed, 502, 1),
    (Code::Unreachable, 523, 4),
    (Code::Unknown, 520, 1),
    (Code::Internal, 500, 1),
];

impl Code {
    /// Every code.
    pub fn all() -> impl Iterator<Item = Code> {
        TABLE.into_iter().map(|(code, _, _)| code)
    }

    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Invalid => "invalid",
            Code::Config => "config",
            Code::Unauthenticated => "unauthenticated",
            Code::Denied => "denied",
            Code::NotFound => "not-found",
            Code::Conflict => "conflict",
            Code::Quota => "quota",
            Code::Changed => "changed",
            Code::TooMany => "too-many",
            Code::Timeout => "timeout",
            Code::Unavailable => "unavailable",
            Code::Failed => "failed",
            Code::Unreachable => "unreachable",
            Code::Unknown => "unknown",
            Code::Internal => "internal",
        }
    }

    /// The HTTP status it travels with.
    pub fn http_status(self) -> u16 {
        self.row().1
    }

    /// The exit code of a command that ends with it: 1 operation failed, 2 usage, 3 configuration, 4 cannot reach the host, 5 denied.
    pub fn exit_code(self) -> u8 {
        self.row().2
    }

    /// The code for an HTTP status that came without a document: the table read backwards, else by its class.
    pub fn from_http_status(status: u16) -> Code {
        let known = TABLE.into_iter().find(|(_, candidate, _)| *candidate == status).map(|(code, _, _)| code);
        known.unwrap_or(if (400..500).contains(&status) { Code::Invalid } else { Code::Internal })
    }

    fn row(self) -> (Code, u16, u8) {
        TABLE.into_iter().find(|(code, _, _)| *code == self).expect("the table holds every code, a test says so")
    }
}

/// The document of a failed request (`application/problem+json`), and of a failed command with `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Version of this shape.
    #[serde(default)]
    pub version: Shape,
    /// What kind of failure.
    pub code: Code,
    /// What and why, for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where: a file, a service, a path of the state directory.
    #[serde(rename = "where")]
    pub place: Option<String>,
    /// Every mistake of a refused document.
    #[serde(default)]
    #[schemars(with = "Vec<schema::Problem>")]
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure without hint and place.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { version: Shape, code, message: message.into(), hint: None, place: None, problems: Vec::new() }
    }

    /// A refused configuration.
    pub fn config(problems: Vec<Problem>) -> Failure {
        let message = match problems.len() {
            1 => "the configuration has a mistake".to_owned(),
            count => format!("the configuration has {count} mistakes"),
        };
        Failure { problems, ..Failure::new(Code::Config, message) }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with where it is.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Failure {
        self.place = Some(place.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_row_and_a_status_that_says_most_of_it() {
        let every = [
            Code::Invalid,
            Code::Config,
            Code::Unauthenticated,
            Code::Denied,
            Code::NotFound,
            Code::Conflict,
            Code::Quota,
            Code::Changed,
            Code::TooMany,
            Code::Timeout,
            Code::Unavailable,
            Code::Failed,
            Code::Unreachable,
            Code::Unknown,
            Code::Internal,
        ];
        assert!(Code::all().eq(every));
        for code in every {
            let first = if code == Code::Quota { Code::Conflict } else { code };
            assert_eq!(Code::from_http_status(code.http_status()), first);
            assert_eq!(serde_json::to_value(code).expect("a word"), code.as_str());
        }
    }

    #[test]
    fn exit_codes_are_the_promised_ones() {
        let codes = [Code::Failed, Code::Invalid, Code::Config, Code::Unreachable, Code::Denied].map(Code::exit_code);
        assert_eq!(codes, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_failure_reads_on_the_wire_as_documented() {
        let failure = Failure::new(Code::NotFound, "there is no service `dd`").hint("did you mean `db`?");
        let text = serde_json::to_string(&failure).expect("it has no maps with odd keys");
        assert_eq!(
            text,
            r#"{"version":1,"code":"not-found","message":"there is no service `dd`","hint":"did you mean `db`?","where":null,"problems":[]}"#
        );
        assert_eq!(serde_json::from_str::<Failure>(&text).expect("what it wrote"), failure);
    }
}

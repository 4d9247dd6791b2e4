//! Reaching into what runs: signals and commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;
use crate::base64;

/// `POST /services/{name}/signal`: the signal is sent once the answer is there; what it does is seen in the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// `SIGHUP`, or `HUP`.
    pub signal: String,
    /// Only to this replica; to each that runs when absent.
    #[serde(default)]
    pub replica: Option<u32>,
}

/// Who got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignalResult {
    /// Version of this shape.
    pub version: Shape,
    /// Whose replicas.
    pub service: String,
    /// By its full name.
    pub signal: String,
    /// The replicas it was sent to.
    pub replicas: Vec<u32>,
}

/// `POST /services/{name}/exec`: runs a command inside one replica, to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    /// Added to the task's own environment.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
    /// What it reads, as base64.
    #[serde(default)]
    pub stdin_base64: Option<String>,
    /// In this replica; the first that runs when absent.
    #[serde(default)]
    pub replica: Option<u32>,
    /// Its whole process group is killed after this; a minute when absent, an hour at most.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

impl ExecRequest {
    /// A command that reads these bytes.
    pub fn new(command: Vec<String>, stdin: &[u8]) -> ExecRequest {
        let stdin_base64 = (!stdin.is_empty()).then(|| base64::encode(stdin));
        ExecRequest { command, env: std::collections::BTreeMap::new(), stdin_base64, replica: None, timeout_ms: None }
    }

    /// What it reads; `None` when that is no base64.
    pub fn stdin(&self) -> Option<Vec<u8>> {
        self.stdin_base64.as_deref().map_or(Some(Vec::new()), base64::decode)
    }
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecResult {
    /// Version of this shape.
    pub version: Shape,
    /// Whose replica.
    pub service: String,
    /// Which one.
    pub replica: u32,
    /// Absent when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<String>,
    /// Its standard output.
    pub out: Said,
    /// Its standard error.
    pub err: Said,
    /// Was output dropped, because there was too much of it?
    pub truncated: bool,
}

/// Bytes that are usually text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// What is not UTF-8 is replaced by U+FFFD, and `bytes_base64` has it as it was.
    pub text: String,
    /// Only where the text is not all of it.
    pub bytes_base64: Option<String>,
}

impl Said {
    /// These bytes.
    pub fn new(bytes: Vec<u8>) -> Said {
        match String::from_utf8(bytes) {
            Ok(text) => Said { text, bytes_base64: None },
            Err(odd) => Said { text: String::from_utf8_lossy(odd.as_bytes()).into_owned(), bytes_base64: Some(base64::encode(odd.as_bytes())) },
        }
    }

    /// The bytes as they were.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_base64.as_deref().and_then(base64::decode).unwrap_or_else(|| self.text.clone().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_way() {
        for bytes in [&b""[..], b"text\n", b"\xff\x00odd"] {
            assert_eq!(Said::new(bytes.to_vec()).bytes(), bytes);
            assert_eq!(ExecRequest::new(vec!["cat".to_owned()], bytes).stdin().as_deref(), Some(bytes));
        }
        assert_eq!(ExecRequest { stdin_base64: Some("no base64!".to_owned()), ..ExecRequest::new(Vec::new(), b"") }.stdin(), None);
    }
}

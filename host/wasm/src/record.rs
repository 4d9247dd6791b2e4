//! A recording: every call of one plugin, with what it called and what it was answered, as lines of JSON.
//!
//! The first line is a [`Header`], then comes one line for each call that has ended, and `{"full":true}` where there was no room for more. Text of settings marked `x-secret`, and what the
//! `secrets-reveal` capability hands out, is replaced everywhere. Requests of `wasi:http` are kept with their answers; connections of
//! `wasi:sockets` and files of `wasi:filesystem` cannot be: [`Header::not_recorded`] names them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod recorder;
mod redact;

pub use recorder::Recorder;
pub use redact::{REDACTED, Redactor};

/// Version of the format.
pub const RECORDING: u32 = 1;

/// What was recorded, and under which conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`RECORDING`]; another one is not read.
    pub recording: u32,
    /// The operator's name for the plugin.
    pub plugin: String,
    /// `backend` or `health-check`.
    pub role: String,
    /// blake3 of the component, in hexadecimal.
    pub digest: String,
    /// The tag that everything of the host carried.
    pub owner: String,
    /// The plugin's configuration, without its secrets.
    pub config: Value,
    /// Unix time, milliseconds.
    pub at: u64,
    /// Imports whose answers are not kept, because there is no call with an answer behind them.
    pub not_recorded: Vec<String>,
}

/// One call that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// Counted in the order in which calls began.
    pub call: u64,
    /// Interface and function: `backend.start`.
    pub function: String,
    /// One value for each argument.
    pub arguments: Value,
    /// What happened within it, in order.
    pub events: Vec<Event>,
    /// Where its random bytes came from, in hexadecimal.
    pub seed: String,
    /// What it answered; absent when it broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// Why it has no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// It was too long: what came after its last event is not kept, and it cannot be played back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Something that a guest heard from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It called an import.
    Import {
        /// `hostler:host/processes.spawn`
        name: String,
        /// One value for each argument.
        arguments: Value,
        /// Absent when the call ended before it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Value>,
    },
    /// It looked at the wall clock: nanoseconds since 1970.
    Wall(u64),
    /// It looked at the monotonic clock: nanoseconds.
    Monotonic(u64),
}

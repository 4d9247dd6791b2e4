//! The nouns of the protocol: commands, processes, exits, lines and usage.

use serde::{Deserialize, Serialize};

use super::frame::FrameError;

/// One process to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// An absolute path.
    pub program: String,
    /// Without the program itself.
    #[serde(default)]
    pub args: Vec<String>,
    /// The whole environment; nothing is inherited. The keeper adds its own marker, `HOSTLER_TASK`.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Working directory, absolute; the root directory when absent.
    #[serde(default)]
    pub directory: Option<String>,
    /// A user name, or `uid[:gid]`; the keeper's own user when absent.
    #[serde(default)]
    pub user: Option<String>,
    /// Names the log; the key when absent. `[a-z0-9._-]`, no leading dot, at most 240 bytes.
    #[serde(default)]
    pub log_name: Option<String>,
    /// Thousandths of one core.
    #[serde(default)]
    pub cpu_millis: Option<u32>,
    /// Limit of the whole tree.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Kept and answered as they are; they mean something to the client alone.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
}

/// How a process ended.
///
/// Without code and without signal it is known to have ended but not how: it outlived the keeper that started it, and
/// only a parent learns an exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Absent when a signal ended it; never invented as 0.
    #[serde(default)]
    pub code: Option<i32>,
    /// `SIGKILL`, `SIGTERM`, …
    #[serde(default)]
    pub signal: Option<String>,
    /// The kernel killed a process of this tree because of its memory limit.
    #[serde(default)]
    pub out_of_memory: bool,
    /// Unix time, milliseconds.
    pub at: u64,
}

/// Where a process is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Something of its tree is alive: its first process, or others that outlived it and are being killed or stopped.
    Running,
    /// Its first process has ended, and nothing of its tree is alive.
    Exited(Exit),
    /// Nothing of its tree is alive, and no keeper saw its first process end; the text says what is known.
    Unknown(String),
}

/// What the keeper knows of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// As given to `Spawn`.
    pub key: String,
    /// As given to `Spawn`.
    pub owner: String,
    /// Of its first process, while it runs and after.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Unix time, milliseconds.
    pub started_at: u64,
    /// Where it is in its life.
    pub state: State,
    /// Where its output goes.
    #[serde(default)]
    pub log_name: String,
    /// What was asked and could not be done, for people.
    #[serde(default)]
    pub notes: Vec<String>,
    /// As given to `Spawn`.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line without its bytes, which travel in the frame's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineHead {
    /// Unix time, milliseconds.
    pub at: u64,
    /// Which output.
    pub origin: Origin,
    /// The next line of this origin belongs to the same written line.
    #[serde(default)]
    pub continued: bool,
    /// Bytes of the body that are this line's.
    pub len: u32,
}

/// One line as it was written; without its newline, and with any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Unix time, milliseconds.
    pub at: u64,
    /// Which output.
    pub origin: Origin,
    /// The next line of this origin belongs to the same written line.
    pub continued: bool,
    /// Without the newline.
    pub bytes: Vec<u8>,
}

/// A page of a log, in the order the keeper read it from the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// Oldest first.
    pub lines: Vec<Line>,
    /// Resumes exactly after the last line; stays valid across restarts of everybody.
    pub next: String,
    /// Lines between the cursor and this page were rotated away.
    pub gap: bool,
}

impl Lines {
    /// Puts the heads of a [`super::Response::Lines`] and its frame's body together.
    ///
    /// Fails when the heads promise another number of bytes than the body has.
    pub fn join(heads: &[LineHead], next: String, gap: bool, body: &[u8]) -> Result<Lines, FrameError> {
        let mut rest = body;
        let mut lines = Vec::with_capacity(heads.len());
        for head in heads {
            let (bytes, after) = rest.split_at_checked(head.len as usize).ok_or(FrameError::ShortBody)?;
            rest = after;
            lines.push(Line { at: head.at, origin: head.origin, continued: head.continued, bytes: bytes.to_vec() });
        }
        if rest.is_empty() { Ok(Lines { lines, next, gap }) } else { Err(FrameError::ShortBody) }
    }
}

/// What a process and all its descendants use. Absent is not measured, which is not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Unix time, milliseconds.
    pub at: u64,
    /// Counts up over the life of the process.
    #[serde(default)]
    pub cpu_nanos: Option<u64>,
    /// Resident.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// As applied; absent when there is no limit in force.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// How many processes.
    #[serde(default)]
    pub processes: Option<u32>,
}

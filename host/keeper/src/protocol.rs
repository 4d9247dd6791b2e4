//! The words between the keeper and its clients, and the frames they travel in.
//!
//! A client sends [`Request`]s, each under an id of its own choosing (not 0). The keeper answers each with one
//! [`Response`] under the same id; answers may overtake each other, because a stop answers only when the whole tree
//! is gone. After [`Request::Subscribe`] it also pushes [`Event`]s, under the id [`EVENT_ID`].
//!
//! Unknown fields are ignored and absent optional ones take their default, so that either side may be the newer one; a request
//! of an unknown kind is answered with [`ErrorKind::Invalid`].

use serde::{Deserialize, Serialize};

mod frame;
mod words;

pub use frame::{Decoder, EVENT_ID, Frame, FrameError, MAX_FRAME_BYTES, encode};
pub use words::{Command, Exit, Line, LineHead, Lines, Origin, Process, State, Usage};

/// Version of the protocol; both sides say theirs in `Hello`.
pub const PROTOCOL: u32 = 1;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Introduces the client; must be the first request of a connection. Answer: [`Response::Hello`].
    Hello {
        /// The client's [`PROTOCOL`].
        protocol: u32,
        /// For people: who is connected.
        client: String,
        /// "I am the host now": every older exclusive connection is closed first, and what it sent but was not yet
        /// processed is dropped.
        #[serde(default)]
        exclusive: bool,
    },
    /// Asks for events on this connection. Answer: [`Response::Done`].
    Subscribe,
    /// Starts a process, or finds the one that is there. Answer: [`Response::Process`].
    ///
    /// The same key and command finds the process, exited or not; the same key with another command or owner is a conflict.
    Spawn {
        /// Unique in this keeper: `[a-z0-9._-]`, no leading dot, at most 160 bytes.
        key: String,
        /// On whose behalf; what [`Request::List`] filters by.
        owner: String,
        /// What to run.
        command: Command,
    },
    /// Looks. Answer: [`Response::Processes`], one per key and in their order.
    Inspect {
        /// Which ones.
        keys: Vec<String>,
    },
    /// Signals the process group, waits, kills what is left of the tree. Answer, once nothing of it is alive:
    /// [`Response::Exit`].
    ///
    /// A stop that runs already is joined: the earlier of the two deadlines counts, and `signal` is not sent. Of what is
    /// [`State::Unknown`] there is no exit to answer: that is [`ErrorKind::NotFound`], and nothing of its tree is alive all the same.
    Stop {
        /// Which one.
        key: String,
        /// Sent first: `SIGTERM`, `TERM`, …
        signal: String,
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
    },
    /// Signals the process group. Answer: [`Response::Done`].
    Signal {
        /// Which one.
        key: String,
        /// `SIGHUP`, `HUP`, …
        signal: String,
    },
    /// Drops the record of what has ended; its log stays. Answer: [`Response::Done`], also for what is not there.
    Forget {
        /// Which one.
        key: String,
    },
    /// Every process whose owner starts with `owner`, ended ones included. Answer: [`Response::List`].
    List {
        /// Prefix of the owner; absent means everybody's.
        #[serde(default)]
        owner: Option<String>,
    },
    /// Reads a log. Answer: [`Response::Lines`], the lines' bytes back to back in the frame's body.
    ///
    /// With `cursor` it reads what follows it; else with `tail` the last lines; else from the oldest line kept.
    ReadLog {
        /// Which log.
        log_name: String,
        /// [`Lines::next`] of an earlier answer.
        #[serde(default)]
        cursor: Option<String>,
        /// How many of the last lines.
        #[serde(default)]
        tail: Option<u32>,
        /// Most bytes of line data to return; at least one line is returned when there is one.
        max_bytes: u32,
    },
    /// Measures whole trees. Answer: [`Response::Usage`], one per key and in their order.
    Measure {
        /// Which ones.
        keys: Vec<String>,
    },
    /// Deletes a log; a conflict while a running process writes to it. Answer: [`Response::Done`], also for what is not there.
    DropLog {
        /// Which log.
        log_name: String,
    },
    /// Ends the keeper. Answer: [`Response::Done`], then it is gone.
    Shutdown {
        /// Refuse with a conflict while something runs; otherwise everything is stopped first (SIGTERM, ten seconds, SIGKILL).
        if_idle: bool,
    },
}

/// What the keeper answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To `Hello`.
    Hello(Greeting),
    /// It is done, and there is nothing to say about it.
    Done,
    /// To `Spawn`.
    Process(Process),
    /// To `Inspect`; absent where the keeper knows no such key.
    Processes(Vec<Option<Process>>),
    /// To `List`, sorted by key.
    List(Vec<Process>),
    /// To `Stop`: how it ended.
    Exit(Exit),
    /// To `ReadLog`; [`Lines::join`] puts the heads and the frame's body together.
    Lines {
        /// One per line.
        lines: Vec<LineHead>,
        /// Resumes exactly after the last line.
        next: String,
        /// Lines between the cursor and this page were rotated away.
        gap: bool,
    },
    /// To `Measure`; absent where nothing runs.
    Usage(Vec<Option<Usage>>),
    /// It did not happen.
    Error(Refusal),
}

/// What the keeper says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The keeper's [`PROTOCOL`].
    pub protocol: u32,
    /// The keeper's process.
    pub pid: u32,
    /// Unix time, milliseconds.
    pub started_at: u64,
    /// The kernel's boot id: after a reboot nothing of the past is alive.
    pub boot_id: String,
    /// The keeper's software version.
    pub version: String,
    /// Whether limits can be applied.
    pub cgroup: CgroupReport,
}

/// What the machine lets the keeper limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupReport {
    /// Both cpu and memory limits work.
    pub usable: bool,
    /// For people: which cgroups, or why not.
    pub why: String,
}

/// Why a request did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// By what the client does next.
    pub kind: ErrorKind,
    /// For people.
    pub text: String,
}

impl Refusal {
    /// A refusal of that kind.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Refusal {
        Refusal { kind, text: text.into() }
    }

    /// A refusal of something that can never work.
    pub fn invalid(text: impl Into<String>) -> Refusal {
        Refusal::new(ErrorKind::Invalid, text)
    }
}

/// Why, by what the client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// There is no such process (any more).
    NotFound,
    /// Something of that name exists and differs, or still runs.
    Conflict,
    /// The request can never work.
    Invalid,
    /// Nothing happened; may work later.
    Unavailable,
    /// For people. Also stands for a kind that a newer keeper knows.
    #[serde(other)]
    Other,
}

/// What the keeper pushes to subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A process ended, and nothing of its tree is alive. A new keeper knows it too; a machine that falls within the next second may forget it.
    ///
    /// What became [`State::Unknown`] is not told: there is no exit.
    Exited {
        /// Which one.
        key: String,
        /// Whose.
        owner: String,
        /// How.
        exit: Exit,
        /// What [`Request::Inspect`] answers from now on, until it is forgotten; absent from an older keeper.
        #[serde(default)]
        process: Option<Box<Process>>,
    },
}

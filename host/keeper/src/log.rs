//! Logs: what processes write, line by line, in size-rotated files.

mod lines;
mod reader;
mod segment;
mod writer;

pub(crate) use lines::{Cut, cut};
pub(crate) use reader::{From, read};
pub(crate) use writer::{Writer, remove};

/// Longest text of one stored line; what is longer goes on in the next.
pub(crate) const MAX_LINE_BYTES: usize = 16 * 1024;

/// How much of each log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) segment_bytes: u64,
    pub(crate) segments: usize,
}

/// Why a log was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("cursor {0:?} is none of ours")]
    BadCursor(String),
    #[error("{0}")]
    Io(#[from] rustix::io::Errno),
}

#[cfg(test)]
mod tests;

//! Short-lived commands on the host's machine: argv only, no shell.

use super::Result;
use crate::imports::commands;

pub use commands::{Command, Output};

impl Command {
    /// A program by its absolute path, or by a bare name when the grant lets the host resolve it. Keeps 64 KiB of each output.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), stdin: Vec::new(), directory: None, max_output: 64 * 1024 }
    }
}

/// Runs a command to its end. At the call's deadline its whole process group is killed, and the answer is
/// [`Timeout`](super::Error::Timeout).
pub fn run(command: &Command) -> Result<Output> {
    commands::run(command)
}

//! Long-lived processes on the host's machine, held by the keeper: they outlive plugin and host.

use super::{Result, millis};
use crate::imports::processes;
use std::time::Duration;

pub use processes::{Command, Exit, Line, Lines, Origin, Process, State, Usage};

impl Command {
    /// A program by its absolute path, with neither arguments nor environment.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            directory: None,
            user: None,
            log_name: None,
            cpu_millis: None,
            memory_bytes: None,
            labels: Vec::new(),
        }
    }
}

impl Process {
    /// The value of a label it was started with.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// Starts a process in a session of its own, or finds the one that this key and command started before.
/// The same key with another command is [`Conflict`](super::Error::Conflict).
pub fn spawn(key: &str, command: &Command) -> Result<Process> {
    processes::spawn(key, command)
}

/// One answer per key, in their order; nothing where the keeper knows no such key.
pub fn inspect(keys: &[String]) -> Result<Vec<Option<Process>>> {
    processes::inspect(keys)
}

/// Signals the process group, waits up to `grace`, kills what is left of the tree, and returns once nothing of it is alive.
pub fn stop(key: &str, signal: &str, grace: Duration) -> Result<Exit> {
    processes::stop(key, signal, millis(grace))
}

/// Sends a signal, by name, to the process group.
pub fn signal(key: &str, signal: &str) -> Result<()> {
    processes::signal(key, signal)
}

/// Drops the record of an exited process; its log stays.
pub fn forget(key: &str) -> Result<()> {
    processes::forget(key)
}

/// Every process of this plugin, exited ones included.
pub fn list() -> Result<Vec<Process>> {
    processes::list()
}

/// Reads a log from `cursor`, or its last `tail` lines when there is no cursor, up to `max_bytes` of line data.
pub fn read_log(log_name: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines> {
    processes::read_log(log_name, cursor, tail, max_bytes)
}

/// One answer per key, in their order; nothing where nothing runs.
pub fn measure(keys: &[String]) -> Result<Vec<Option<Usage>>> {
    processes::measure(keys)
}

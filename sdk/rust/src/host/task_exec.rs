//! Commands inside the task that is being checked, through whichever backend runs it. For health checks only.

use super::{Result, commands};
use crate::imports::task_exec;

/// Has the backend of this task the `exec` ability?
pub fn available() -> bool {
    task_exec::available()
}

/// As [`commands::run`], but inside the task.
pub fn run(command: &commands::Command) -> Result<commands::Output> {
    task_exec::run(command)
}

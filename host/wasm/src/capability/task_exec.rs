//! `hostler:host/task-exec`: a command inside the task that is being checked, through the backend that runs it.

use std::sync::Arc;

use wasmtime::component::Linker;

use super::CallState;
use super::commands::cut;
use crate::bindings::hostler::host::commands::{Command, Output};
use crate::bindings::hostler::host::errors::Error;
use crate::bindings::hostler::host::task_exec;
use crate::error::{CallError, Failure, FaultText};
use crate::hooks::TaskExec;
use crate::limits::MAX_OUTPUT_BYTES;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};
use crate::words::{ExecCommand, Fault};

/// One call's way into the task.
pub(super) struct TaskExecutor {
    hook: Option<Arc<dyn TaskExec>>,
    scope: Scope,
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    task_exec::add_to_linker::<_, Through<TaskExecutor>>(linker, |call| {
        Tapped::new(call.task_exec.as_mut().expect("linked only where granted"), &call.scope)
    })
}

pub(super) fn build(hook: Option<Arc<dyn TaskExec>>, scope: &Scope) -> TaskExecutor {
    TaskExecutor { hook, scope: scope.clone() }
}

impl task_exec::Host for TaskExecutor {
    async fn available(&mut self) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.available())
    }

    async fn run(&mut self, command: Command) -> Result<Output, Error> {
        self.scope.permit("task-exec").map_err(Error::Denied)?;
        let Some(hook) = self.hook.as_ref().filter(|hook| hook.available()) else {
            return Err(Error::Unavailable("the task's backend cannot run commands inside it".to_owned()));
        };
        let most = usize::try_from(command.max_output).unwrap_or(usize::MAX).min(MAX_OUTPUT_BYTES);
        let remaining = self.scope.remaining();
        let asked = ExecCommand {
            program: command.program,
            args: command.args,
            env: command.env,
            stdin: command.stdin,
            deadline: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
        };
        let answer = tokio::time::timeout_at(self.scope.until(), hook.run(asked)).await.map_err(|_| Error::Timeout)?;
        let mut output = answer.map_err(error)?;
        let out_cut = cut(&mut output.out, most);
        let err_cut = cut(&mut output.err, most);
        let truncated = output.truncated | out_cut | err_cut;
        Ok(Output { code: output.exit.code, signal: output.exit.signal, out: output.out, err: output.err, truncated })
    }
}

fn error(error: CallError) -> Error {
    match error.why {
        Failure::Fault(fault) => match fault {
            Fault::Invalid(_) => Error::Invalid(FaultText(&fault).to_string()),
            Fault::Unavailable(retry) => Error::Unavailable(retry.message),
            Fault::Gone => Error::Unavailable("the task does not run".to_owned()),
            Fault::Unsupported(text) => Error::Unavailable(text),
            Fault::Conflict(text) => Error::Conflict(text),
            Fault::Denied(text) => Error::Denied(text),
            Fault::Interrupted(text) | Fault::Other(text) => Error::Other(text),
        },
        Failure::Deadline { .. } => Error::Timeout,
        Failure::Unsupported | Failure::Busy => Error::Unavailable(error.to_string()),
        Failure::Trapped { .. } | Failure::Limit(_) | Failure::Malformed(_) => Error::Other(error.to_string()),
    }
}

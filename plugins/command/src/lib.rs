//! Health check `command`: runs a command in the task or on the host, and judges by its exit code.

mod settings;

use hostler_sdk::host::{Error, Result as HostResult, commands, task_exec};
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use settings::{Place, Settings};
use std::time::Duration;

/// The plugin.
struct Command;

impl HealthCheck for Command {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("command", env!("CARGO_PKG_VERSION"), "Runs a command, and judges by its exit code.")
            .settings(include_str!("../check.json"))
            .needs("commands", "runs the commands of checks on the host")
            .needs("task-exec", "runs the commands of checks inside the task, where its backend can")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    /// The host ends the command, with all that it started, when the check's time is over.
    fn check(target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        settings.check()?;
        let expected = settings.expected_exit_code;
        let place = settings.run_in.unwrap_or_else(usual_place);
        let command = settings.command(&target);
        let name = name(&command.program).to_owned();
        let end = run(place, &command);
        let hint = matches!(end, Err(Error::NotFound)) && name.contains(' ');
        let mut report = Report::of_command(&name, end, expected)?;
        if hint {
            report.message.push_str(" (no shell splits it: put the arguments into `args`)");
        }
        Ok(report.detail("ran-in", place))
    }
}

/// In the task where its backend can: what `pg_isready` sees in the container is what counts.
fn usual_place() -> Place {
    if task_exec::available() { Place::Task } else { Place::Host }
}

fn run(place: Place, command: &commands::Command) -> HostResult<commands::Output> {
    match place {
        Place::Task => task_exec::run(command),
        Place::Host => commands::run(command),
    }
}

/// The last part of a path: what people call the program.
fn name(program: &str) -> &str {
    program.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(program)
}

hostler_sdk::plugin!(health_check: Command);

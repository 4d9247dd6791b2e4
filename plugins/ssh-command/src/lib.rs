//! Health check `ssh-command`: runs a command on another host, and judges by its exit code.
//!
//! A command that does not end in time fails, and is killed over there. A link that does not hold is the checker's trouble: unknown.
//! The two are told apart by going there first: what that took is left for the way back, so that the command's end is heard.

mod settings;

use hostler_remote::{Config, Remote};
use hostler_sdk::host::{Error, commands, context};
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use settings::Settings;
use std::time::Duration;

/// The plugin.
struct SshCommand;

impl HealthCheck for SshCommand {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("ssh-command", env!("CARGO_PKG_VERSION"), "Runs a command on another host, and judges by its exit code.")
            .settings(include_str!("../check.json"))
            .config(include_str!("../config.json"))
            .needs("commands", "runs ssh, and test and mkdir for the private directory of its connections")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn check(target: Target, settings: Settings, deadline: Duration) -> Result<Report, Fault> {
        settings.check()?;
        let (link, reuse) = (settings.link(), Config::read()?.reuse(""));
        let remote = Remote::only(&link, &reuse);
        let way = match remote.reach() {
            Ok(way) => way,
            Err(trouble) => return nobody_knows(trouble.into()),
        };
        let Some(limit) = limit(context::remaining().min(deadline), way) else {
            let why =
                format!("the way to {} took {} ms, which leaves the command no time: give the check a longer timeout", link.name(), way.as_millis());
            return Ok(Report::unknown(why));
        };
        let command = settings.command(&target, limit);
        let name = command.program.rsplit('/').next().unwrap_or_default().to_owned();
        let output = match remote.run(&command, settings.working_dir.as_deref()) {
            Ok(output) => output,
            Err(fault) => return nobody_knows(fault),
        };
        let late = output.exit.signal.is_some() && output.exit.reason.is_some();
        let end =
            commands::Output { code: output.exit.code, signal: output.exit.signal, out: output.out, err: output.err, truncated: output.truncated };
        let report = Report::of_command(&name, if late { Err(Error::Timeout) } else { Ok(end) }, settings.expected_exit_code)?;
        Ok(report.detail("host", link.name()))
    }
}

/// A link that does not hold says nothing of the service.
fn nobody_knows(fault: Fault) -> Result<Report, Fault> {
    match fault {
        Fault::Unavailable(retry) => Ok(Report::unknown(retry.message)),
        Fault::Interrupted(why) => Ok(Report::unknown(why)),
        fault => Err(fault),
    }
}

/// What the command gets of the time that is left: not what the way took, which is half of it at most, since the connection stands now.
fn limit(left: Duration, way: Duration) -> Option<Duration> {
    let limit = left.saturating_sub(way.min(left / 2)).saturating_sub(MARGIN);
    (limit >= LEAST).then_some(limit)
}

/// For what the other host does around a command.
const MARGIN: Duration = Duration::from_millis(150);

/// Less is no time for a command.
const LEAST: Duration = Duration::from_millis(100);

hostler_sdk::plugin!(health_check: SshCommand);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_what_the_way_leaves() {
        let ms = Duration::from_millis;
        assert_eq!(limit(ms(3000), ms(100)), Some(ms(2750)));
        assert_eq!(limit(ms(1000), ms(2000)), Some(ms(350)), "a connection that was slow to stand stands");
        assert_eq!(limit(ms(300), ms(2700)), None);
    }
}

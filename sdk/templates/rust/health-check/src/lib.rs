//! A health check: has a file a text in it? It asks grep(1), whose exit code says it.

use hostler_sdk::host::Error;
use hostler_sdk::host::commands::{self, Command};
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use serde::Deserialize;
use std::time::Duration;

/// The plugin.
struct Plugin;

/// What a service file says of one check; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    file: String,
    text: String,
}

/// Of the program: where Debian, Alpine and their kin have it.
const GREP: &str = "/bin/grep";

impl HealthCheck for Plugin {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Passes while a file has a text in it.")
            .settings(include_str!("../check.json"))
            .needs("commands", "asks grep(1) what is in the file: programs = [\"/bin/grep\"]")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        if settings.text.contains('\n') { Err(vec![Problem::new("/text", "is more than one line")]) } else { Ok(()) }
    }

    /// The target's failing is a verdict; not being able to look is unknown, and moves no counter.
    fn check(_target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        let Settings { file, text } = settings;
        let args = ["-q", "-F", "-e", &text, "--", &file].map(str::to_owned);
        let end = match commands::run(&Command { args: args.into(), ..Command::new(GREP) }) {
            Ok(end) => end,
            Err(Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => return Ok(Report::unknown(format!("grep did not run: {error:?}"))),
        };
        Ok(match end.code {
            Some(0) => Report::pass(format!("{file} has it")),
            Some(1) => Report::fail(format!("{file} does not have it")),
            _ => Report::unknown(format!("grep could not read {file}")),
        })
    }
}

hostler_sdk::plugin!(health_check: Plugin);

#[cfg(test)]
mod tests;

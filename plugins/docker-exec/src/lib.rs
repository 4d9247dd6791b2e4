//! Health check `docker-exec`: the exit code of a command inside the container.
//!
//! The container's own backend runs it, so that it works for whatever backend can run commands in its tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_sdk::host::commands::Command;
use hostler_sdk::host::task_exec;
use hostler_sdk::settings::{Argv, Text, pointer_key};
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use serde::Deserialize;

/// The plugin.
struct DockerExec;

/// What a service file says about one check; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    command: Argv,
    #[serde(default)]
    args: Vec<Text>,
    #[serde(default)]
    expected_exit_code: i32,
    #[serde(default)]
    env: BTreeMap<String, Text>,
}

/// What only a shell understands, as words of their own.
const OPERATORS: [&str; 10] = ["|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1"];

impl Settings {
    fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        match self.command.words() {
            Err(why) => problems.push(Problem::new("/command", why).hint("or write a list of words")),
            Ok(words) if words.first().is_none_or(String::is_empty) => {
                problems.push(Problem::new("/command", "names no program").hint("give a program of the container, such as `pg_isready -U postgres`"));
            }
            Ok(words) => {
                let operator = words.iter().find(|word| matches!(self.command, Argv::Line(_)) && OPERATORS.contains(&word.as_str()));
                problems.extend(operator.map(|operator| {
                    Problem::new("/command", format!("has `{operator}`, and no shell reads it"))
                        .hint("write [\"sh\", \"-c\", \"…\"] where the image has a shell")
                }));
                if words.iter().any(|word| word.contains('\0')) {
                    problems.push(Problem::new("/command", "contains a NUL byte, which no program can be given"));
                }
            }
        }
        let nul = self.args.iter().enumerate().filter(|(_, arg)| arg.0.contains('\0'));
        problems.extend(nul.map(|(index, _)| Problem::new(format!("/args/{index}"), "contains a NUL byte, which no program can be given")));
        for (name, _) in self.env.iter().filter(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.0.contains('\0')) {
            problems.push(Problem::new(format!("/env/{}", pointer_key(name)), "is no variable: its name is empty, or has `=` or NUL in it"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn command(self) -> Command {
        let mut words = self.command.words().unwrap_or_default().into_iter().chain(self.args.into_iter().map(String::from));
        let program = words.next().unwrap_or_default();
        let env = self.env.into_iter().map(|(name, value)| (name, value.0)).collect();
        Command { args: words.collect(), env, ..Command::new(program) }
    }
}

impl HealthCheck for DockerExec {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("docker-exec", env!("CARGO_PKG_VERSION"), "Passes when a command inside the container ends with the expected exit code.")
            .settings(include_str!("../check.json"))
            .needs("task-exec", "runs the command inside the container")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn check(_target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        settings.check()?;
        if !task_exec::available() {
            return Ok(Report::unknown("the service's backend runs no commands in its tasks"));
        }
        let expected = settings.expected_exit_code;
        let command = settings.command();
        Report::of_command(&command.program, task_exec::run(&command), expected)
    }
}

hostler_sdk::plugin!(health_check: DockerExec);

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings;

    #[track_caller]
    fn places(text: &str) -> Vec<String> {
        let settings: Settings = settings::parse(text).expect("the shapes are right");
        settings.check().err().unwrap_or_default().into_iter().map(|problem| problem.at).collect()
    }

    #[test]
    fn a_line_is_split_into_words_and_no_shell_reads_it() {
        let settings: Settings =
            settings::parse(r#"{"command": "pg_isready -U 'se curity' $HOME", "args": ["-q", 5]}"#).expect("the shapes are right");
        let command = settings.command();
        assert_eq!(
            (command.program.as_str(), command.args.as_slice()),
            ("pg_isready", ["-U", "se curity", "$HOME", "-q", "5"].map(String::from).as_slice())
        );
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        assert_eq!(places(r#"{"command": "pg_isready -q"}"#), [""; 0]);
        assert_eq!(places(r#"{"command": ["sh", "-c", "a | b"]}"#), [""; 0]);
        assert_eq!(places(r#"{"command": ["test", ">", "5"]}"#), [""; 0], "a list means what it says");
        for text in [r#"{"command": ""}"#, r#"{"command": []}"#, r#"{"command": "a 'b"}"#, r#"{"command": "a | b"}"#, r#"{"command": ["a\u0000"]}"#] {
            assert_eq!(places(text), ["/command"], "{text}");
        }
        assert_eq!(places(r#"{"command": "a", "args": ["\u0000"], "env": {"A=": 1}}"#), ["/args/0", "/env/A="]);
    }
}

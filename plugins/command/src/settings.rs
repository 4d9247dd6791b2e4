//! What a service file says about one check; `check.json` says the same as a schema.

use hostler_sdk::host::commands;
use hostler_sdk::settings::Text;
use hostler_sdk::{Problem, Target};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    command: Argv,
    #[serde(default)]
    args: Vec<Text>,
    #[serde(default)]
    pub(crate) expected_exit_code: i32,
    #[serde(default)]
    env: BTreeMap<String, Text>,
    working_dir: Option<String>,
    pub(crate) run_in: Option<Place>,
}

/// `pg_isready`, or `[pg_isready, -h, localhost]`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a program, or a list of a program and its arguments")]
enum Argv {
    Program(String),
    Line(Vec<Text>),
}

/// Where the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    Task,
    Host,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "task",
            Self::Host => "host",
        })
    }
}

impl Settings {
    /// A command has a program.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let missing = match &self.command {
            Argv::Program(program) => program.is_empty(),
            Argv::Line(line) => line.first().is_none_or(|program| program.0.is_empty()),
        };
        if missing {
            return Err(vec![Problem::new("/command", "names no program").hint("give a name or a path, such as `pg_isready`")]);
        }
        Ok(())
    }

    /// The command line, with whom it checks in its environment.
    pub(crate) fn command(self, target: &Target) -> commands::Command {
        let mut line = match self.command {
            Argv::Program(program) => vec![program],
            Argv::Line(line) => line.into_iter().map(String::from).collect(),
        };
        line.extend(self.args.into_iter().map(String::from));
        let mut env = BTreeMap::from([
            ("HOSTLER_WORKSPACE".to_owned(), target.workspace.clone()),
            ("HOSTLER_SERVICE".to_owned(), target.service.clone()),
            ("HOSTLER_REPLICA".to_owned(), target.replica.to_string()),
        ]);
        env.extend(self.env.into_iter().map(|(name, value)| (name, value.0)));
        let mut line = line.into_iter();
        let program = line.next().unwrap_or_default();
        commands::Command { args: line.collect(), env: env.into_iter().collect(), directory: self.working_dir, ..commands::Command::new(program) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings::parse;

    fn target() -> Target {
        Target { workspace: "main".into(), service: "db".into(), replica: 0, endpoints: vec![], attributes: vec![] }
    }

    fn line(settings: &str) -> Vec<String> {
        let command = parse::<Settings>(settings).expect("the settings are readable").command(&target());
        [vec![command.program], command.args].concat()
    }

    #[test]
    fn a_bare_name_is_a_command() {
        assert_eq!(line(r#"{"command": "pg_isready"}"#), ["pg_isready"]);
    }

    #[test]
    fn a_list_is_a_command_line_and_args_follow() {
        assert_eq!(line(r#"{"command": ["redis-cli", "-p", 6379], "args": ["ping"]}"#), ["redis-cli", "-p", "6379", "ping"]);
    }

    #[test]
    fn nothing_is_split_or_expanded() {
        assert_eq!(line(r#"{"command": "a b; $(c)", "args": ["x y"]}"#), ["a b; $(c)", "x y"]);
    }

    #[test]
    fn a_command_without_a_program_is_refused() {
        for settings in [r#"{"command": ""}"#, r#"{"command": []}"#, r#"{"command": ["", "x"]}"#] {
            let problems = parse::<Settings>(settings).expect("the shape is right").check().expect_err("no program");
            assert_eq!(problems[0].at, "/command", "{settings}");
        }
    }

    #[test]
    fn a_wrong_shape_is_named_at_its_place() {
        let problems = parse::<Settings>(r#"{"command": {"run": "x"}}"#).expect_err("an object is no command");
        assert_eq!(problems[0].at, "/command");
        assert!(problems[0].message.contains("a program, or a list"), "{}", problems[0].message);
        let problems = parse::<Settings>(r#"{"command": "x", "run_in": "moon"}"#).expect_err("there is no moon");
        assert_eq!(problems[0].at, "/run_in");
    }
}

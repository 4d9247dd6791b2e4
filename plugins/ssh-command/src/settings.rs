//! What a service file says of one check; `check.json` says the same as a schema.

use hostler_remote::{Link, quote};
use hostler_sdk::backend::ExecCommand;
use hostler_sdk::settings::{Text, pointer_key};
use hostler_sdk::{Problem, Target};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

hostler_remote::reached! {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Settings {
        host: String,
        user: Option<String>,
        command: Argv,
        #[serde(default)]
        args: Vec<Text>,
        #[serde(default)]
        pub(crate) expected_exit_code: i32,
        #[serde(default)]
        env: BTreeMap<String, Text>,
        pub(crate) working_dir: Option<String>,
    }
}

/// `pg_isready`, or `[pg_isready, -q]`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a program, or a list of a program and its arguments")]
enum Argv {
    Program(String),
    Line(Vec<Text>),
}

impl Settings {
    /// The way there; the same as a task's that says the same.
    pub(crate) fn link(&self) -> Link {
        self.way(&self.host, self.user.as_deref())
    }

    /// What neither ssh nor a shell nor a program can be given.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = self.link().check();
        let line = self.line();
        let program = line.first().map_or("", String::as_str);
        if program.is_empty() || program.starts_with('-') || (program.contains('/') && !program.starts_with('/')) {
            problems.push(
                Problem::new("/command", "names no program of the other host")
                    .hint("an absolute path over there, or a bare name such as `pg_isready`"),
            );
        }
        if line.iter().any(|word| word.contains('\0')) {
            problems.push(Problem::new("/args", "contains a NUL byte, which no program can be given"));
        }
        if self.working_dir.as_deref().is_some_and(|dir| !dir.starts_with('/') || dir.contains('\0')) {
            problems.push(Problem::new("/working_dir", "is not absolute").hint("a path on the other host"));
        }
        problems.extend(quote::bad_names(&self.env));
        for (name, _) in self.env.iter().filter(|(_, value)| value.0.contains('\0')) {
            problems.push(Problem::new(format!("/env/{}", pointer_key(name)), "contains a NUL byte, which no program can be given"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The command line, with whom it checks in its environment.
    pub(crate) fn command(&self, target: &Target, limit: Duration) -> ExecCommand {
        let mut line = self.line().into_iter();
        let mut env = BTreeMap::from([
            ("HOSTLER_WORKSPACE".to_owned(), target.workspace.clone()),
            ("HOSTLER_SERVICE".to_owned(), target.service.clone()),
            ("HOSTLER_REPLICA".to_owned(), target.replica.to_string()),
        ]);
        env.extend(self.env.iter().map(|(name, value)| (name.clone(), value.0.clone())));
        let program = line.next().unwrap_or_default();
        ExecCommand { program, args: line.collect(), env: env.into_iter().collect(), stdin: Vec::new(), deadline: limit }
    }

    fn line(&self) -> Vec<String> {
        let of_command = match &self.command {
            Argv::Program(program) => vec![program.clone()],
            Argv::Line(line) => line.iter().map(|word| word.0.clone()).collect(),
        };
        of_command.into_iter().chain(self.args.iter().map(|arg| arg.0.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings::parse;

    #[test]
    fn mistakes_are_named_at_their_places() {
        let json = r#"{"host": "-oX=y", "command": ["./x", "a\u0000"], "working_dir": "rel", "env": {"A-B": 1}}"#;
        let problems = parse::<Settings>(json).expect("the shapes are right").check().expect_err("five mistakes");
        let places: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
        assert_eq!(places, ["/host", "/command", "/args", "/working_dir", "/env/A-B"]);
    }

    #[test]
    fn a_list_is_a_command_line_and_args_follow() {
        let settings: Settings = parse(r#"{"host": "h", "command": ["redis-cli", "-p", 6379], "args": ["ping; id"]}"#).expect("readable");
        assert_eq!(settings.line(), ["redis-cli", "-p", "6379", "ping; id"]);
    }
}

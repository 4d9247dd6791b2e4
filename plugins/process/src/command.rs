//! From a task to the command that the keeper spawns.

use hostler_sdk::host::processes::Command;
use hostler_sdk::settings::{Text, pointer_key};
use hostler_sdk::{Problem, Task, TaskId};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Label: the digest of the spec it was started from.
pub(crate) const DIGEST: &str = "spec-digest";

/// Label: the name of its log.
pub(crate) const LOG: &str = "log";

/// What a service file says about one process; `task.json` says the same as a schema.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    binary: String,
    #[serde(default)]
    args: Vec<Text>,
    #[serde(default)]
    env: BTreeMap<String, Text>,
    working_dir: Option<String>,
    user: Option<Text>,
}

impl Settings {
    /// What no operating system takes: an empty program, a NUL anywhere, a variable without a name or with `=` in it.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if self.binary.is_empty() {
            problems.push(Problem::new("/binary", "is empty").hint("give the path of a program"));
        }
        let args = self.args.iter().enumerate().map(|(index, arg)| (format!("/args/{index}"), arg.0.as_str()));
        let env = self.env.iter().map(|(name, value)| (variable(name), value.0.as_str()));
        let names = self.env.keys().map(|name| (variable(name), name.as_str()));
        let directory = self.working_dir.iter().map(|text| ("/working_dir".to_owned(), text.as_str()));
        let user = self.user.iter().map(|text| ("/user".to_owned(), text.0.as_str()));
        let binary = [("/binary".to_owned(), self.binary.as_str())];
        for (at, text) in binary.into_iter().chain(args).chain(names).chain(env).chain(directory).chain(user) {
            if text.contains('\0') {
                problems.push(Problem::new(at, "contains a NUL byte, which no program can be given"));
            }
        }
        for name in self.env.keys().filter(|name| name.is_empty() || name.contains('=')) {
            problems.push(Problem::new(variable(name), "is no name for a variable: it is empty or contains `=`"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// The pointer to an environment variable.
fn variable(name: &str) -> String {
    format!("/env/{}", pointer_key(name))
}

/// The command of a task, and the name of its log.
pub(crate) fn command(task: Task<Settings>) -> (Command, String) {
    let log = log_name(&task.id);
    let Task { id, spec_digest, settings, env, resources, .. } = task;
    let command = Command {
        args: settings.args.into_iter().map(String::from).collect(),
        env: environment(&id, env, settings.env),
        directory: settings.working_dir,
        user: settings.user.map(String::from),
        log_name: Some(log.clone()),
        cpu_millis: resources.cpu_millis,
        memory_bytes: resources.memory_bytes,
        labels: vec![(DIGEST.into(), spec_digest), (LOG.into(), log.clone())],
        ..Command::new(settings.binary)
    };
    (command, log)
}

/// The host's variables, then who the process is, then the user's own; the later wins. In a fixed order, because the keeper
/// compares commands.
fn environment(id: &TaskId, host: Vec<(String, String)>, own: BTreeMap<String, Text>) -> Vec<(String, String)> {
    let mut env: BTreeMap<String, String> = host.into_iter().collect();
    env.insert("HOSTLER_WORKSPACE".into(), id.workspace.clone());
    env.insert("HOSTLER_SERVICE".into(), id.service.clone());
    env.insert("HOSTLER_REPLICA".into(), id.replica.to_string());
    env.insert("HOSTLER_RUN".into(), id.run.to_string());
    env.extend(own.into_iter().map(|(name, value)| (name, value.0)));
    env.into_iter().collect()
}

/// `WORKSPACE.SERVICE.REPLICA`: the runs of one replica share a log. Dots, because names have none: `a-b` + `c` is not `a` + `b-c`.
fn log_name(id: &TaskId) -> String {
    let name = format!("{}.{}.{}", plain(&id.workspace), plain(&id.service), id.replica);
    if name.len() > 200 || name.starts_with('.') { id.id.clone() } else { name }
}

/// What a log's name cannot have, or uses for itself, is spelled out (`_` of a service is `_5f`), so that no two names meet.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => plain.push(char::from(byte)),
            other => plain.push_str(&format!("_{other:02x}")),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::{Resources, settings};

    fn task(settings: &str) -> Task<Settings> {
        Task {
            id: TaskId { id: "main-web-0-7".into(), workspace: "main".into(), service: "web".into(), replica: 0, run: 7 },
            spec_digest: "d1".into(),
            settings: settings::parse(settings).expect("the test's settings are readable"),
            env: vec![("A".into(), "host".into()), ("B".into(), "host".into())],
            resources: Resources { cpu_millis: Some(500), memory_bytes: None, storage_bytes: None },
            labels: Vec::new(),
        }
    }

    #[test]
    fn settings_win_over_the_hosts_environment() {
        let (command, _) = command(task(r#"{"binary": "/bin/x", "env": {"B": "own", "PORT": 8080}}"#));
        let value = |name: &str| command.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!((value("A"), value("B"), value("PORT")), (Some("host"), Some("own"), Some("8080")));
        assert_eq!((value("HOSTLER_SERVICE"), value("HOSTLER_REPLICA"), value("HOSTLER_RUN")), (Some("web"), Some("0"), Some("7")));
    }

    #[test]
    fn a_variable_is_given_once() {
        let (command, _) = command(task(r#"{"binary": "/bin/x", "env": {"A": "own"}}"#));
        assert_eq!(command.env.iter().filter(|(name, _)| name == "A").count(), 1);
    }

    #[test]
    fn the_same_task_makes_the_same_command() {
        let settings = r#"{"binary": "/bin/x", "args": ["-p", 80], "env": {"Z": "1", "A": "2"}, "user": 33}"#;
        assert_eq!(command(task(settings)), command(task(settings)));
    }

    #[test]
    fn runs_of_a_replica_share_a_log_and_strangers_do_not() {
        let name = |workspace: &str, service: &str, run: u64| {
            log_name(&TaskId { id: "x".into(), workspace: workspace.into(), service: service.into(), replica: 1, run })
        };
        assert_eq!(name("main", "web", 1), name("main", "web", 2));
        assert_eq!(name("main", "web", 1), "main.web.1");
        assert_ne!(name("a-b", "c", 1), name("a", "b-c", 1));
        assert_ne!(name("main", "A_b", 1), name("main", "a_b", 1));
        assert_eq!(name("", "web", 1), "x");
        assert_eq!(name("main", &"w".repeat(300), 1), "x");
    }

    #[test]
    fn what_no_system_takes_is_refused_at_its_place() {
        let settings: Settings =
            settings::parse(r#"{"binary": "", "args": ["ok", "a\u0000b"], "env": {"A=B": "x", "C/D": "\u0000"}}"#).expect("the shapes are right");
        let problems = settings.check().expect_err("four mistakes");
        let places: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
        assert_eq!(places, ["/binary", "/args/1", "/env/C~1D", "/env/A=B"]);
    }

    #[test]
    fn arguments_arrive_as_they_are() {
        let (command, _) = command(task(r#"{"binary": "/bin/x", "args": ["$(id)", "a b", ";", "-x", "\n"]}"#));
        assert_eq!(command.args, ["$(id)", "a b", ";", "-x", "\n"]);
    }
}

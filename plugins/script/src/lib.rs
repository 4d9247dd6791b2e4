//! Health check `script`: runs a script on the host, and judges by its exit code.

use hostler_sdk::host::commands::{self, Command};
use hostler_sdk::settings::Text;
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The plugin.
struct Script;

/// What a service file says about one check; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    path: String,
    #[serde(default)]
    args: Vec<Text>,
    #[serde(default)]
    expected_exit_code: i32,
    #[serde(default)]
    env: BTreeMap<String, Text>,
    working_dir: Option<String>,
}

impl HealthCheck for Script {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("script", env!("CARGO_PKG_VERSION"), "Runs a script, and judges by its exit code.")
            .settings(include_str!("../check.json"))
            .needs("commands", "runs the scripts that checks name")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        if settings.path.is_empty() {
            return Err(vec![Problem::new("/path", "is empty").hint("give the path of an executable script")]);
        }
        Ok(())
    }

    /// The host ends the script, with all that it started, when the check's time is over.
    fn check(target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        let expected = settings.expected_exit_code;
        let name = name(&settings.path).to_owned();
        Report::of_command(&name, commands::run(&command(&target, settings)), expected)
    }
}

/// The last part of a path: what people call the script.
fn name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

fn command(target: &Target, settings: Settings) -> Command {
    let mut env = BTreeMap::from([
        ("HOSTLER_WORKSPACE".to_owned(), target.workspace.clone()),
        ("HOSTLER_SERVICE".to_owned(), target.service.clone()),
        ("HOSTLER_REPLICA".to_owned(), target.replica.to_string()),
    ]);
    env.extend(settings.env.into_iter().map(|(name, value)| (name, value.0)));
    Command {
        args: settings.args.into_iter().map(String::from).collect(),
        env: env.into_iter().collect(),
        directory: settings.working_dir,
        ..Command::new(settings.path)
    }
}

hostler_sdk::plugin!(health_check: Script);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_knows_whom_it_checks() {
        let settings = hostler_sdk::settings::parse(r#"{"path": "/x/check.sh", "args": ["-p", 80], "env": {"A": "b"}}"#);
        let target = Target { workspace: "main".into(), service: "web".into(), replica: 2, endpoints: vec![], attributes: vec![] };
        let command = command(&target, settings.expect("the settings are readable"));
        let env: Vec<_> = command.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["A=b", "HOSTLER_REPLICA=2", "HOSTLER_SERVICE=web", "HOSTLER_WORKSPACE=main"]);
        assert_eq!((command.program.as_str(), command.args), ("/x/check.sh", vec!["-p".to_owned(), "80".to_owned()]));
    }

    #[test]
    fn a_script_is_called_by_its_last_name() {
        assert_eq!((name("/opt/checks/db.sh"), name("db.sh"), name("/")), ("db.sh", "db.sh", "/"));
    }
}

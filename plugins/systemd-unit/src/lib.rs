//! Health check `systemd-unit`: what systemd itself says of a unit.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_sdk::host::Error;
use hostler_sdk::host::commands::{self, Command, Output};
use hostler_sdk::settings::Text;
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use serde::Deserialize;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const ID: &str = "/usr/bin/id";

/// The plugin.
struct SystemdUnit;

/// What a service file says about one check; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    unit: Option<String>,
    #[serde(default)]
    scope: Scope,
    user: Option<Text>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    #[default]
    System,
    User,
}

impl HealthCheck for SystemdUnit {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("systemd-unit", env!("CARGO_PKG_VERSION"), "Passes while systemd says that a unit is active.")
            .settings(include_str!("../check.json"))
            .needs("commands", "asks systemctl for the unit's state, and id(1) for a user's number")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(unit) = settings.unit.as_deref().filter(|unit| !is_unit(unit)) {
            let problem = Problem::new("/unit", format!("`{}` is no unit's name", unit.escape_debug()));
            problems.push(problem.hint("as `systemctl` shows it, with its kind: nginx.service, backup.timer"));
        }
        match &settings.user {
            Some(_) if settings.scope == Scope::System => problems.push(Problem::new("/user", "goes with `scope = \"user\"` alone")),
            Some(user) if !is_user(&user.0) => problems.push(Problem::new("/user", format!("`{}` is no user", user.0.escape_debug()))),
            _ => {}
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn check(target: Target, settings: Settings, _deadline: Duration) -> Result<Report, Fault> {
        Self::validate(Settings { unit: settings.unit.clone(), scope: settings.scope, user: settings.user.clone() })?;
        let told = |name: &str| target.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let own = settings.unit.is_none();
        let Some(unit) = settings.unit.or_else(|| told("unit")).filter(|unit| is_unit(unit)) else {
            return Ok(Report::unknown("no unit is named, and the service's backend tells of none"));
        };
        let uid = match (settings.scope, told("uid").filter(|_| own)) {
            (_, Some(uid)) if uid.bytes().all(|byte| byte.is_ascii_digit()) => Some(uid),
            (Scope::User, _) => match number(settings.user.as_ref())? {
                Some(uid) => Some(uid),
                None => return Ok(Report::unknown("there is no such user")),
            },
            (Scope::System, _) => None,
        };
        match run(SYSTEMCTL, arguments(&unit, uid.as_deref()), uid.map(|uid| ("XDG_RUNTIME_DIR".into(), format!("/run/user/{uid}")))) {
            Ok(output) => Ok(judged(&unit, &output)),
            Err(Error::NotFound) => Ok(Report::unknown(format!("there is no systemd here: {SYSTEMCTL} is missing"))),
            Err(Error::Timeout) => Ok(Report::unknown("systemd did not answer in time")),
            Err(Error::Unavailable(why)) => Ok(Report::unknown(why)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The number of a user, or of the host's own; nothing when there is no such user.
fn number(user: Option<&Text>) -> Result<Option<String>, Fault> {
    let mut args = vec!["-u".to_owned()];
    args.extend(user.into_iter().flat_map(|user| ["--".to_owned(), user.0.clone()]));
    let output = run(ID, args, None)?;
    Ok((output.code == Some(0)).then(|| String::from_utf8_lossy(&output.out).trim().to_owned()))
}

fn arguments(unit: &str, uid: Option<&str>) -> Vec<String> {
    let scope = uid.into_iter().flat_map(|uid| ["--user".to_owned(), format!("--machine={uid}@.host")]);
    let words = ["--no-pager", "--no-ask-password", "show", "--property=LoadState,ActiveState,SubState,Result,StateChangeTimestamp", "--", unit];
    scope.chain(words.map(str::to_owned)).collect()
}

fn run(program: &str, args: Vec<String>, scope: Option<(String, String)>) -> Result<Output, Error> {
    let fixed = [("LC_ALL", "C"), ("TZ", "UTC"), ("SYSTEMD_COLORS", "0")];
    let env = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(scope).collect();
    commands::run(&Command { args, env, ..Command::new(program) })
}

/// What systemd says, as a verdict.
fn judged(unit: &str, output: &Output) -> Report {
    if output.code != Some(0) {
        let said = String::from_utf8_lossy(&output.err);
        return Report::unknown(format!("systemd cannot be asked: {}", said.lines().next().unwrap_or("it does not say why")));
    }
    let said = String::from_utf8_lossy(&output.out);
    let facts: BTreeMap<&str, &str> = said.lines().filter_map(|line| line.split_once('=')).collect();
    let fact = |name: &str| facts.get(name).copied().unwrap_or_default();
    if fact("LoadState") == "not-found" {
        return Report::fail(format!("{unit}: there is no such unit"));
    }
    let since = Some(fact("StateChangeTimestamp")).filter(|since| !since.is_empty()).map(|since| format!(" since {since}")).unwrap_or_default();
    let message = format!("{unit} is {} ({}){since}", fact("ActiveState"), fact("SubState"));
    let report = match fact("ActiveState") {
        "active" => Report::pass(message),
        "activating" | "reloading" | "refreshing" | "deactivating" => Report::warn(message),
        "failed" => Report::fail(format!("{message}: {}", fact("Result"))),
        "inactive" => Report::fail(message),
        _ => Report::unknown(message),
    };
    report.detail("active-state", fact("ActiveState")).detail("sub-state", fact("SubState"))
}

/// Letters, digits and a few signs, with a kind behind the last dot: no option, no path, no pattern.
fn is_unit(unit: &str) -> bool {
    let kinds = ["service", "socket", "timer", "target", "mount", "automount", "path", "slice", "scope", "swap", "device"];
    let kind = unit.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, kind)| kind);
    unit.len() <= 255
        && kind.is_some_and(|kind| kinds.contains(&kind))
        && !unit.starts_with('-')
        && unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte))
}

fn is_user(user: &str) -> bool {
    !user.is_empty() && !user.starts_with('-') && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte))
}

hostler_sdk::plugin!(health_check: SystemdUnit);

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Verdict;

    #[track_caller]
    fn judges(said: &str, verdict: Verdict, message: &str) {
        let output = Output { code: Some(0), signal: None, out: said.into(), err: vec![], truncated: false };
        let report = judged("web.service", &output);
        assert_eq!((report.verdict, report.message.as_str()), (verdict, message));
    }

    #[test]
    fn states_are_verdicts() {
        let since = "StateChangeTimestamp=Sat 2026-11-21 15:23:09 UTC";
        judges(
            &format!("LoadState=loaded\nActiveState=active\nSubState=running\n{since}"),
            Verdict::Pass,
            "web.service is active (running) since Sat 2026-11-21 15:23:09 UTC",
        );
        judges("LoadState=loaded\nActiveState=activating\nSubState=auto-restart\n", Verdict::Warn, "web.service is activating (auto-restart)");
        judges(
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\n",
            Verdict::Fail,
            "web.service is failed (failed): exit-code",
        );
        judges("LoadState=loaded\nActiveState=inactive\nSubState=dead\nStateChangeTimestamp=\n", Verdict::Fail, "web.service is inactive (dead)");
        judges("LoadState=not-found\nActiveState=inactive\nSubState=dead\n", Verdict::Fail, "web.service: there is no such unit");
    }

    #[test]
    fn who_cannot_be_asked_is_unknown() {
        let output = Output { code: Some(1), signal: None, out: vec![], err: b"Failed to connect to bus: Host is down\n".to_vec(), truncated: false };
        let report = judged("x.service", &output);
        assert_eq!((report.verdict, report.message.as_str()), (Verdict::Unknown, "systemd cannot be asked: Failed to connect to bus: Host is down"));
    }

    #[test]
    fn no_name_is_an_option_a_path_or_a_pattern() {
        for unit in ["", "nginx", "-x.service", "--host=evil.service", "a/b.service", "*.service", "a\n.service", ".service", "a.conf"] {
            assert!(!is_unit(unit), "{unit}");
        }
        assert!(is_unit("nginx.service") && is_unit("backup@daily.timer") && is_unit(r"srv-a\x2db.mount"));
    }
}

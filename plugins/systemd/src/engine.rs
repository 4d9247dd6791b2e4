//! Speaking with systemd: its own command-line tools, argument by argument.

use std::time::Duration;

use hostler_sdk::Fault;
use hostler_sdk::host::commands::{self, Command, Output};
use hostler_sdk::host::{Error, context};
use serde::{Deserialize, Serialize};
use wasip2::clocks::monotonic_clock;

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";
const JOURNALCTL: &str = "/usr/bin/journalctl";
const ID: &str = "/usr/bin/id";

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// The machine's.
    System,
    /// That of the user with this id.
    User(u32),
}

/// Why systemd did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It could not be asked: nothing happened.
    Away(String),
    /// The connection broke, or time ran out, after it was asked: it may have happened.
    Lost(String),
    /// This user may not, or a grant is missing.
    Denied(String),
    /// It said no.
    Refused(String),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Fault {
        match trouble {
            Trouble::Away(why) => Fault::unavailable(why),
            Trouble::Lost(why) => Fault::Interrupted(why),
            Trouble::Denied(what) => Fault::Denied(what),
            Trouble::Refused(why) => Fault::Other(why),
        }
    }
}

/// What a failure means once something was done already: the host has to look.
pub(crate) fn underway(fault: Fault) -> Fault {
    match fault {
        Fault::Unavailable(retry) => Fault::Interrupted(retry.message),
        Fault::Denied(what) => Fault::Interrupted(format!("denied on the way: {what}")),
        other => other,
    }
}

impl Scope {
    /// The options that lead a tool there. A user's own systemd is spoken to directly where the host is that user, else as the
    /// superuser, who may: the tools choose by themselves.
    pub(crate) fn options(self) -> Vec<String> {
        match self {
            Scope::System => Vec::new(),
            Scope::User(uid) => vec!["--user".into(), format!("--machine={uid}@.host")],
        }
    }

    fn env(self) -> Option<(String, String)> {
        match self {
            Scope::System => None,
            Scope::User(uid) => Some(("XDG_RUNTIME_DIR".into(), format!("/run/user/{uid}"))),
        }
    }

    /// Runs `systemctl VERB…`; what it printed.
    pub(crate) fn systemctl(self, words: &[&str]) -> Result<String, Trouble> {
        let mut args = self.options();
        args.extend(["--no-pager".into(), "--no-ask-password".into()]);
        args.extend(words.iter().map(|&word| word.to_owned()));
        let output = run(SYSTEMCTL, args, self.env().into_iter().collect(), MANY_UNITS)?;
        printed(output)
    }

    /// Runs `systemd-run` with these options, for this program; `env` is what it takes values of `--setenv=NAME` from.
    pub(crate) fn systemd_run(self, options: Vec<String>, program: Vec<String>, mut env: Vec<(String, String)>) -> Result<(), Trouble> {
        let mut args = self.options();
        args.extend(["--no-ask-password".into(), "--quiet".into()]);
        args.extend(options);
        args.push("--".into());
        args.extend(program);
        env.extend(self.env());
        printed(run(SYSTEMD_RUN, args, env, 64 << 10)?).map(drop)
    }

    /// The words of a command that a unit of the same systemd runs, to speak with it.
    pub(crate) fn own_systemctl(self, words: &[&str]) -> Vec<String> {
        let user = matches!(self, Scope::User(_)).then_some("--user");
        [SYSTEMCTL].into_iter().chain(user).chain(words.iter().copied()).map(str::to_owned).collect()
    }
}

/// Reads the journal, up to `most` bytes of JSON.
pub(crate) fn journal(words: Vec<String>, most: u32) -> Result<Output, Trouble> {
    let mut args: Vec<String> = ["--quiet", "--no-pager", "--output=json"].map(str::to_owned).into();
    args.extend(words);
    let output = run(JOURNALCTL, args, Vec::new(), most)?;
    match output.code {
        Some(0) => Ok(output),
        // Nothing matches: older versions call that a failure.
        Some(1) if output.out.is_empty() && output.err.is_empty() => Ok(output),
        _ => Err(refusal(&output)),
    }
}

/// The number of a user, or of the host's own.
pub(crate) fn uid_of(user: Option<&str>) -> Result<u32, Fault> {
    let mut args = vec!["-u".to_owned()];
    args.extend(user.into_iter().flat_map(|user| ["--".to_owned(), user.to_owned()]));
    let output = run(ID, args, Vec::new(), 4 << 10)?;
    let text = String::from_utf8_lossy(&output.out);
    match (output.code, text.trim().parse()) {
        (Some(0), Ok(uid)) => Ok(uid),
        _ => Err(Fault::invalid("/user", format!("there is no user `{}`", user.unwrap_or_default()))),
    }
}

/// Waits, so that one look follows another.
pub(crate) fn pause(length: Duration) {
    monotonic_clock::subscribe_duration(hostler_sdk::deadline::nanos(length)).block();
}

/// Looks again and again until there is something, or the call's time is nearly over: then nothing.
pub(crate) fn until<T>(mut look: impl FnMut() -> Result<Option<T>, Trouble>) -> Result<Option<T>, Trouble> {
    let mut wait = Duration::from_millis(10);
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if context::remaining() < wait + SPARE {
            return Ok(None);
        }
        pause(wait);
        wait = (wait * 2).min(Duration::from_millis(250));
    }
}

/// Output of a look at very many units.
const MANY_UNITS: u32 = 16 << 20;
/// What a call keeps to answer in.
const SPARE: Duration = Duration::from_millis(500);

fn run(program: &str, args: Vec<String>, env: Vec<(String, String)>, max_output: u32) -> Result<Output, Trouble> {
    let fixed = [("LC_ALL", "C"), ("TZ", "UTC"), ("SYSTEMD_COLORS", "0"), ("SYSTEMD_LOG_LEVEL", "warning")];
    let mut all: Vec<(String, String)> = env;
    all.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let command = Command { args, env: all, max_output, ..Command::new(program) };
    commands::run(&command).map_err(|error| match error {
        Error::Denied(grant) => Trouble::Denied(grant),
        Error::NotFound => Trouble::Away(format!("there is no systemd here: {program} is missing")),
        Error::Timeout => Trouble::Lost(format!("{program} did not end in time")),
        Error::Unavailable(why) => Trouble::Away(why),
        Error::Conflict(why) | Error::Invalid(why) | Error::Other(why) => Trouble::Refused(why),
    })
}

fn printed(output: Output) -> Result<String, Trouble> {
    if output.code == Some(0) && !output.truncated {
        return Ok(String::from_utf8_lossy(&output.out).into_owned());
    }
    Err(refusal(&output))
}

fn refusal(output: &Output) -> Trouble {
    if output.truncated && output.code == Some(0) {
        return Trouble::Refused("systemd said more than fits".into());
    }
    let said = String::from_utf8_lossy(&output.err);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("See ")).collect();
    let text = if said.is_empty() { "systemd said no, and not why".to_owned() } else { said.join("; ") };
    classify(text)
}

/// systemd's tools tell why in words alone, and always the same when the language is `C`.
fn classify(text: String) -> Trouble {
    const AWAY: [&str; 4] = ["Failed to connect to", "not been booted with systemd", "Failed to get D-Bus connection", "Host is down"];
    const LOST: [&str; 6] =
        ["Connection reset", "Transport endpoint is not connected", "disconnected", "Connection timed out", "No reply", "Connection terminated"];
    const DENIED: [&str; 4] = ["Access denied", "Permission denied", "Interactive authentication required", "Operation not permitted"];
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match () {
        () if has(&DENIED) => Trouble::Denied(text),
        () if has(&AWAY) => Trouble::Away(text),
        () if has(&LOST) => Trouble::Lost(text),
        () => Trouble::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_told_by_what_follows() {
        let check = |text: &str, expected: fn(String) -> Trouble| assert_eq!(classify(text.into()), expected(text.into()), "{text}");
        check("Failed to connect to bus: No such file or directory", Trouble::Away);
        check("System has not been booted with systemd as init system (PID 1). Can't operate.", Trouble::Away);
        check("Failed to connect to bus: Permission denied", Trouble::Denied);
        check("Failed to start transient service unit: Access denied", Trouble::Denied);
        check("Failed to get properties: Connection reset by peer", Trouble::Lost);
        check("Failed to start transient service unit: Unit x.service was already loaded or has a fragment file.", Trouble::Refused);
    }

    #[test]
    fn a_users_systemd_is_named_by_number() {
        assert_eq!(Scope::User(1000).options(), ["--user", "--machine=1000@.host"]);
        assert!(Scope::System.options().is_empty());
        assert_eq!(Scope::User(7).own_systemctl(&["kill"]), ["/usr/bin/systemctl", "--user", "kill"]);
    }
}

//! The role of a health check.

use crate::host::{self, Error, commands::Output};
use crate::{Description, Endpoint, Fault, Problem};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::time::Duration;

pub use crate::bindings::health_check::exports::hostler::plugin::health_check::{Report, Target, Verdict};

/// Judges a target once. Thresholds, intervals, history and what follows from a verdict are the host's.
///
/// A target that does not answer in time fails; a checker that cannot judge answers [`Report::unknown`] or a fault, which
/// moves no counter.
pub trait HealthCheck {
    /// The settings of one check. `#[serde(deny_unknown_fields)]` belongs on it; see [`crate::settings`].
    type Settings: DeserializeOwned;

    /// Says what the plugin is and needs. Pure: calls no capability, and always answers the same.
    fn describe() -> Description;

    /// Checks what a schema cannot say, without side effects. The settings were readable when this is called.
    fn validate(_settings: Self::Settings) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    /// Looks once. `deadline` is what is left of the check's timeout.
    fn check(target: Target, settings: Self::Settings, deadline: Duration) -> Result<Report, Fault>;
}

impl Target {
    /// An endpoint of the task by its name.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }
}

impl Report {
    /// The target is well.
    pub fn pass(message: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, message)
    }

    /// The target works, and something is not right: reads as degraded.
    pub fn warn(message: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, message)
    }

    /// The target is not well, or did not answer in time.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, message)
    }

    /// The checker could not look.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, message)
    }

    /// A figure for people: status code, milliseconds.
    pub fn detail(mut self, name: &str, value: impl Display) -> Self {
        self.details.push((name.into(), value.to_string()));
        self
    }

    /// What the end of a command says: the expected exit code passes; another one, a signal or no end in time fails; a command
    /// that could not be run is the checker's trouble, so unknown. Of its output, the first line of standard error is told.
    pub fn of_command(name: &str, end: host::Result<Output>, expected: i32) -> Result<Self, Fault> {
        Ok(match end {
            Ok(output) => Self::of_output(name, &output, expected),
            Err(Error::Timeout) => Self::fail(format!("{name} did not end in time")),
            Err(Error::NotFound) => Self::unknown(format!("{name}: there is no such program")),
            Err(Error::Invalid(why)) => Self::unknown(format!("{name} cannot be run: {why}")),
            Err(Error::Unavailable(why)) => Self::unknown(format!("{name} could not be run now: {why}")),
            Err(error) => return Err(error.into()),
        })
    }

    fn of_output(name: &str, output: &Output, expected: i32) -> Self {
        let Some(code) = output.code else {
            let signal = output.signal.as_deref().unwrap_or("something unknown");
            return Self::fail(format!("{name} was ended by {signal}"));
        };
        if code == expected {
            return Self::pass(format!("{name} exited with {code}")).detail("exit-code", code);
        }
        let said = first_line(&output.err);
        let colon = if said.is_empty() { "" } else { ": " };
        Self::fail(format!("{name} exited with {code}, expected {expected}{colon}{said}")).detail("exit-code", code)
    }

    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: one_line(&message.into()), details: Vec::new() }
    }
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("").chars().take(200).collect()
}

/// The contract wants one line of at most 4 KiB; what comes from outside may be anything.
fn one_line(message: &str) -> String {
    let mut line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST - '…'.len_utf8()));
        line.push('…');
    }
    line
}

/// Bytes of a message.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let report = Report::fail(format!("a\nb\x1b[31m{}", "ü".repeat(5000)));
        assert!(report.message.starts_with("a b [31mü"));
        assert!(report.message.len() <= LONGEST && report.message.ends_with('…') && !report.message.contains(char::is_control));
    }

    fn ended(code: Option<i32>, signal: Option<&str>, err: &str) -> host::Result<Output> {
        Ok(Output { code, signal: signal.map(Into::into), out: b"secret".to_vec(), err: err.into(), truncated: false })
    }

    fn judged(end: host::Result<Output>, verdict: Verdict, message: &str) {
        let report = Report::of_command("pg_isready", end, 0).expect("it is a report");
        assert_eq!((report.verdict, report.message.as_str()), (verdict, message));
    }

    #[test]
    fn the_end_of_a_command_is_a_verdict() {
        judged(ended(Some(0), None, ""), Verdict::Pass, "pg_isready exited with 0");
        judged(ended(Some(2), None, ""), Verdict::Fail, "pg_isready exited with 2, expected 0");
        judged(ended(Some(2), None, "\n no answer \nmore"), Verdict::Fail, "pg_isready exited with 2, expected 0: no answer");
        judged(ended(None, Some("SIGSEGV"), ""), Verdict::Fail, "pg_isready was ended by SIGSEGV");
        judged(Err(Error::Timeout), Verdict::Fail, "pg_isready did not end in time");
    }

    #[test]
    fn a_checker_in_trouble_knows_nothing_of_the_target() {
        judged(Err(Error::NotFound), Verdict::Unknown, "pg_isready: there is no such program");
        judged(Err(Error::Unavailable("busy".into())), Verdict::Unknown, "pg_isready could not be run now: busy");
        let denied = Report::of_command("x", Err(Error::Denied("commands x".into())), 0);
        assert_eq!(denied, Err(Fault::Denied("commands x".into())));
    }

    #[test]
    fn a_report_carries_its_verdict_and_figures() {
        let report = Report::warn("slow").detail("ms", 1200);
        assert_eq!((report.verdict, report.details), (Verdict::Warn, vec![("ms".to_owned(), "1200".to_owned())]));
    }
}

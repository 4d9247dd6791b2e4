//! The role of a health check.

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

    fn new(verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: one_line(&message.into()), details: Vec::new() }
    }
}

/// The contract wants one line of at most 4 KiB; what comes from outside may be anything.
fn one_line(message: &str) -> String {
    let mut line = String::new();
    for character in message.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + character.len_utf8() > 4096 {
            break;
        }
        line.push(character);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let report = Report::fail(format!("a\nb\x1b[31m{}", "ü".repeat(5000)));
        assert!(report.message.starts_with("a b [31mü"));
        assert!(report.message.len() <= 4096 && !report.message.contains(char::is_control));
    }

    #[test]
    fn a_report_carries_its_verdict_and_figures() {
        let report = Report::warn("slow").detail("ms", 1200);
        assert_eq!((report.verdict, report.details), (Verdict::Warn, vec![("ms".to_owned(), "1200".to_owned())]));
    }
}

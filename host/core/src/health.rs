//! What a row of check results means. Verdicts come from plugins; thresholds, periods and history are ours, the same for all.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chance::spread;
use crate::record::CheckRecord;
use crate::spec::CheckSpec;
use crate::time::{Span, Time};
use crate::uptime::Uptime;

/// How many results are remembered per check.
pub const HISTORY: usize = 100;

/// What one check said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All is well.
    Pass,
    /// It works, with trouble: degraded.
    Warn,
    /// It does not work: counts.
    Fail,
    /// Nobody can say: moves no counter.
    Unknown,
}

impl Verdict {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
            Verdict::Unknown => "unknown",
        }
    }
}

/// How well a service is, by its checks: what a row of results means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// No check has said anything, or none can.
    #[default]
    Unknown,
    /// All is well.
    Healthy,
    /// Some failures, fewer than the threshold, or a warning.
    Degraded,
    /// The threshold is reached.
    Unhealthy,
}

impl Health {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Unhealthy => "unhealthy",
        }
    }

    /// Composite health: any unhealthy → unhealthy, else any degraded → degraded, else healthy; without data, or with a part
    /// that has none, unknown.
    pub fn of_all(parts: impl IntoIterator<Item = Health>) -> Health {
        let (mut worst, mut unknown, mut any) = (Health::Healthy, false, false);
        for part in parts {
            any = true;
            match part {
                Health::Unknown => unknown = true,
                Health::Healthy | Health::Degraded | Health::Unhealthy => worst = worst.max(part),
            }
        }
        match worst {
            Health::Unhealthy | Health::Degraded => worst,
            Health::Healthy | Health::Unknown if unknown || !any => Health::Unknown,
            Health::Healthy | Health::Unknown => Health::Healthy,
        }
    }
}

/// One remembered result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it came.
    pub at: Time,
    /// What it said.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Span,
    /// One line for people.
    pub message: Arc<str>,
    /// How well the replica was by this check after it; nobody knows before it is heard.
    pub health: Health,
}

impl Sample {
    pub(crate) fn new(at: Time, verdict: Verdict, took: Span, message: Arc<str>) -> Sample {
        Sample { at, verdict, took, message, health: Health::Unknown }
    }
}

/// One check of one slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    pub(crate) health: Health,
    pub(crate) failures: u32,
    pub(crate) successes: u32,
    /// Has it passed in this life?
    pub(crate) passed: bool,
    /// When the last failure counted, before the first pass.
    counted: Option<Time>,
    /// How often it was asked in this life.
    asked: u32,
    /// The question that is under way.
    pub(crate) ticket: Option<u64>,
    pub(crate) history: VecDeque<Sample>,
    pub(crate) uptime: Uptime,
}

impl Check {
    /// Takes up again what was remembered over a host restart.
    pub(crate) fn restored(record: &CheckRecord) -> Check {
        let CheckRecord { health, failures, successes, passed, .. } = *record;
        Check { health, failures, successes, passed, ..Check::default() }
    }

    /// What must be there tomorrow; counts beyond their thresholds say nothing more.
    pub(crate) fn record(&self, spec: &CheckSpec) -> CheckRecord {
        CheckRecord {
            name: spec.name.clone(),
            health: self.health,
            failures: self.failures.min(spec.failure_threshold),
            successes: self.successes.min(spec.recovery_threshold),
            passed: self.passed,
        }
    }

    /// A new life begins: no verdict, and the history goes on.
    pub(crate) fn new_life(&mut self) {
        self.health = Health::Unknown;
        self.failures = 0;
        self.successes = 0;
        self.passed = false;
        self.counted = None;
        self.asked = 0;
        self.ticket = None;
        self.uptime.pause();
    }

    pub(crate) fn last(&self) -> Option<&Sample> {
        self.history.back()
    }

    /// Could nobody say, when it was last asked in this life?
    pub(crate) fn is_silent(&self) -> bool {
        self.asked > 0 && self.last().is_some_and(|sample| sample.verdict == Verdict::Unknown)
    }

    /// Hears one result of a life that began at `since`.
    pub(crate) fn hear(&mut self, spec: &CheckSpec, since: Time, sample: Sample) {
        self.ticket = None;
        self.asked = self.asked.saturating_add(1);
        self.uptime.hear(sample.at, sample.verdict, Span(spec.interval.0.saturating_mul(2).saturating_add(spec.timeout.0)));
        match sample.verdict {
            Verdict::Pass => self.pass(spec),
            Verdict::Warn => self.warn(),
            Verdict::Fail if self.counts(spec, since, sample.at) => self.fail(spec, sample.at),
            Verdict::Unknown if planted!(7) => self.fail(spec, sample.at),
            Verdict::Fail | Verdict::Unknown => {}
        }
        self.remember(sample);
    }

    fn pass(&mut self, spec: &CheckSpec) {
        self.passed = true;
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        match self.health {
            Health::Unhealthy if self.successes < spec.recovery_threshold => {}
            Health::Unhealthy | Health::Unknown | Health::Degraded | Health::Healthy => self.health = Health::Healthy,
        }
    }

    fn warn(&mut self) {
        self.passed = true;
        self.failures = 0;
        match self.health {
            Health::Unhealthy => self.successes = 0,
            Health::Unknown | Health::Degraded | Health::Healthy => self.health = Health::Degraded,
        }
    }

    fn fail(&mut self, spec: &CheckSpec, at: Time) {
        self.counted = Some(at);
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        self.health = if self.failures >= spec.failure_threshold {
            Health::Unhealthy
        } else {
            match self.health {
                Health::Unhealthy => Health::Unhealthy,
                Health::Unknown if !self.passed => Health::Unknown,
                Health::Unknown | Health::Healthy | Health::Degraded => Health::Degraded,
            }
        };
    }

    /// Before the first pass the check is asked more often than its interval, so that a start is seen early; a failure then
    /// counts once per interval, and not within the start period.
    fn counts(&self, spec: &CheckSpec, since: Time, at: Time) -> bool {
        if self.passed {
            return true;
        }
        let last = self.counted.unwrap_or(since);
        at.since(since) >= spec.start_period && at.since(last).0 >= spec.interval.0 - spec.interval.0 / 5
    }

    fn remember(&mut self, mut sample: Sample) {
        sample.health = self.health;
        if let Some(last) = self.history.back().filter(|last| last.message == sample.message) {
            sample.message = Arc::clone(&last.message);
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(sample);
    }

    /// How long to wait before asking again: the interval ±10 %; before the first verdict of a life 50 ms, doubling up to 2 s.
    pub(crate) fn wait(&self, spec: &CheckSpec, roll: u64) -> Span {
        let eager = !self.passed && self.health == Health::Unknown;
        if eager {
            let millis = 50_u64 << self.asked.saturating_sub(1).min(6);
            return Span(millis.min(2_000).min(spec.interval.0));
        }
        Span(spread(spec.interval.0, 100, roll))
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays verdicts, one per interval, `p`ass `w`arn `f`ail `u`nknown, and shows the health after each.
    fn plays(check: &mut Check, from: u64, verdicts: &str) -> String {
        let spec = CheckSpec::new("c", "tcp", "{}");
        verdicts
            .chars()
            .enumerate()
            .map(|(n, letter)| {
                let verdict = match letter {
                    'p' => Verdict::Pass,
                    'w' => Verdict::Warn,
                    'f' => Verdict::Fail,
                    _ => Verdict::Unknown,
                };
                let at = Time((from + n as u64 + 1) * 30_000);
                check.hear(&spec, Time(0), Sample::new(at, verdict, Span(1), "m".into()));
                match check.health {
                    Health::Unknown => '?',
                    Health::Healthy => 'H',
                    Health::Degraded => 'D',
                    Health::Unhealthy => 'U',
                }
            })
            .collect()
    }

    #[test]
    fn three_failures_make_unhealthy_and_two_passes_make_well() {
        assert_eq!(plays(&mut Check::default(), 0, "pffpfffpp"), "HDDHDDUUH");
    }

    #[test]
    fn unknown_moves_no_counter() {
        assert_eq!(plays(&mut Check::default(), 0, "upfufuufu"), "?HDDDDDUU");
    }

    #[test]
    fn before_the_first_pass_failures_are_silent_until_the_threshold() {
        assert_eq!(plays(&mut Check::default(), 0, "ffp"), "??H");
        assert_eq!(plays(&mut Check::default(), 0, "fff"), "??U");
    }

    #[test]
    fn a_warning_degrades_and_is_no_pass() {
        assert_eq!(plays(&mut Check::default(), 0, "wpfffwpp"), "DHDDUUUH");
    }

    #[test]
    fn eager_questions_count_once_per_interval() {
        let spec = CheckSpec::new("c", "tcp", "{}");
        let mut check = Check::default();
        for at in [0, 50, 150, 350, 750, 1_550, 3_150] {
            check.hear(&spec, Time(0), Sample::new(Time(at), Verdict::Fail, Span(1), "refused".into()));
        }
        assert_eq!((check.health, check.failures), (Health::Unknown, 0));
        assert_eq!(check.wait(&spec, 0), Span(2_000));
    }

    #[test]
    fn the_history_holds_the_last_hundred() {
        let mut check = Check::default();
        plays(&mut check, 0, &"p".repeat(250));
        assert_eq!(check.history.len(), HISTORY);
    }

    #[test]
    fn composite_health_takes_the_worst() {
        use Health::{Degraded, Healthy, Unhealthy, Unknown};
        assert_eq!(Health::of_all([]), Unknown);
        assert_eq!(Health::of_all([Healthy, Unknown]), Unknown);
        assert_eq!(Health::of_all([Healthy, Healthy]), Healthy);
        assert_eq!(Health::of_all([Healthy, Degraded, Unknown]), Degraded);
        assert_eq!(Health::of_all([Degraded, Unhealthy, Unknown]), Unhealthy);
    }
}

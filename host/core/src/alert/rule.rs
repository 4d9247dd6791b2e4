//! What a rule looks for, and whether it holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::health::Health;
use crate::pattern;
use crate::spec::Category;
use crate::time::{Span, Time};
use crate::view::Status;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody may want to know.
    Info,
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody has to do something.
    Critical,
}

impl Severity {
    /// Each, the least first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// A length of time over which uptime is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
}

/// A figure of a service, of all its replicas together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Memory, in bytes.
    Memory,
    /// Thousandths of a core.
    Cpu,
    /// Processes.
    Processes,
    /// Replicas that run.
    ReplicasRunning,
    /// Replicas that run and are well.
    ReplicasHealthy,
}

impl Figure {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Figure::Memory => "memory",
            Figure::Cpu => "cpu",
            Figure::Processes => "processes",
            Figure::ReplicasRunning => "replicas-running",
            Figure::ReplicasHealthy => "replicas-healthy",
        }
    }

    /// Has somebody to measure it?
    pub fn is_measured(self) -> bool {
        match self {
            Figure::Memory | Figure::Cpu | Figure::Processes => true,
            Figure::ReplicasRunning | Figure::ReplicasHealthy => false,
        }
    }
}

/// What a figure must not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// More than this is wrong.
    Above(u64),
    /// Less than this is wrong.
    Below(u64),
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Its checks say that it is not well.
    Unhealthy,
    /// A check has begun to fail.
    Degraded,
    /// It has failed for good.
    Failed,
    /// It was restarted so often.
    Restarts {
        /// As often as this.
        count: u32,
        /// Within so long.
        within: Span,
    },
    /// It has sent no heartbeat for too long.
    HeartbeatMissed,
    /// A check of it passed for too small a share of the time.
    Uptime {
        /// Less than so many thousandths.
        below_permille: u32,
        /// Of this time.
        window: Window,
    },
    /// A figure passes its bound.
    Metric {
        /// Which one.
        figure: Figure,
        /// What it must not pass.
        bound: Bound,
    },
    /// A plugin is in quarantine.
    PluginQuarantined,
}

impl Trigger {
    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Trigger::Unhealthy => "unhealthy",
            Trigger::Degraded => "degraded",
            Trigger::Failed => "failed",
            Trigger::Restarts { .. } => "restarts",
            Trigger::HeartbeatMissed => "heartbeat-missed",
            Trigger::Uptime { .. } => "uptime",
            Trigger::Metric { .. } => "metric",
            Trigger::PluginQuarantined => "plugin-quarantined",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// What people call it.
    pub name: String,
    /// What it looks for.
    pub trigger: Trigger,
    /// For how long it must hold.
    pub hold: Span,
    /// How bad it is.
    pub severity: Severity,
    /// Services, by patterns of their names; every one when empty. For a rule about plugins, their names.
    pub services: Vec<String>,
    /// Categories of services; every one when empty.
    pub categories: Vec<Category>,
    /// Who is told.
    pub sinks: Vec<String>,
}

/// What is known of somebody at one moment. What is not known is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// In one word.
    pub status: Option<Status>,
    /// How well it is.
    pub health: Option<Health>,
    /// Why it is as it is: a sentence of the core's.
    pub cause: Option<String>,
    /// What it is for.
    pub category: Option<Category>,
    /// When it was restarted, as far back as any rule looks.
    pub restarts: Vec<Time>,
    /// Is its heartbeat overdue? Absent where it sends none.
    pub heartbeat_missed: Option<bool>,
    /// Thousandths of the watched time in which its worst check passed.
    pub uptime_permille: BTreeMap<Window, u32>,
    /// What was measured of it.
    pub figures: BTreeMap<Figure, u64>,
    /// Of a plugin: why it is in quarantine, or that it is not.
    pub quarantine: Option<Option<String>>,
}

/// What a rule says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is so; and how.
    Holds(String),
    /// It is not so; and how it is.
    Clear(String),
    /// Nobody can say.
    Unknown,
}

impl Finding {
    pub(super) fn clear(text: &str) -> Finding {
        Finding::Clear(text.to_owned())
    }
}

impl AlertRule {
    /// Is it about such a one, by his name?
    pub fn is_about(&self, subject: &Subject) -> bool {
        let named = |name: &str| self.services.is_empty() || self.services.iter().any(|wanted| pattern::matches(wanted, name));
        match (subject, &self.trigger) {
            (Subject::Plugin(name), Trigger::PluginQuarantined) => named(name),
            (Subject::Plugin(_), _) | (Subject::Service(_), Trigger::PluginQuarantined) => false,
            (Subject::Service(name), _) => named(name.as_str()),
        }
    }

    /// Is it about one of this category?
    pub(super) fn covers(&self, facts: &Facts) -> bool {
        self.categories.is_empty() || facts.category.is_none_or(|category| self.categories.contains(&category))
    }

    /// Does it hold?
    pub fn judge(&self, now: Time, facts: &Facts) -> Finding {
        // What the core says of it begins with the same words; it may be about something else just now.
        let because = |what: &str| facts.cause.clone().filter(|cause| cause.starts_with(what)).unwrap_or_else(|| what.to_owned());
        match &self.trigger {
            Trigger::PluginQuarantined => match &facts.quarantine {
                Some(Some(why)) => Finding::Holds(format!("is in quarantine: {why}")),
                Some(None) => Finding::clear("answers again"),
                None => Finding::Unknown,
            },
            _ if facts.status.is_some_and(is_at_rest) => Finding::Clear(format!("is {} now", facts.status.map_or("", Status::as_str))),
            Trigger::Unhealthy => match facts.health {
                Some(Health::Unhealthy) => Finding::Holds(because("is unhealthy")),
                Some(Health::Healthy) => Finding::clear("is healthy again"),
                Some(Health::Degraded) => Finding::clear("is better, and still degraded"),
                Some(Health::Unknown) | None => Finding::Unknown,
            },
            Trigger::Degraded => match facts.health {
                Some(Health::Degraded) => Finding::Holds(because("is degraded")),
                Some(Health::Healthy) => Finding::clear("is healthy again"),
                // Worse than what was told: it is not over.
                Some(Health::Unhealthy | Health::Unknown) | None => Finding::Unknown,
            },
            Trigger::Failed => match facts.status {
                Some(Status::Failed) => Finding::Holds(because("failed")),
                Some(Status::Running | Status::Unhealthy | Status::Completed) => Finding::clear("runs again"),
                Some(_) | None => Finding::Unknown,
            },
            Trigger::Restarts { count, within } => restarts(now, facts, *count, *within),
            Trigger::HeartbeatMissed => match facts.heartbeat_missed {
                Some(true) => Finding::Holds("has sent no heartbeat for too long".to_owned()),
                Some(false) => Finding::clear("sends heartbeats again"),
                None => Finding::Unknown,
            },
            Trigger::Uptime { below_permille, window } => match facts.uptime_permille.get(window) {
                Some(share) if share < below_permille => {
                    Finding::Holds(format!("was well for {} of the time, less than {}", percent(*share), percent(*below_permille)))
                }
                Some(share) => Finding::Clear(format!("was well for {} of the time", percent(*share))),
                None => Finding::Unknown,
            },
            Trigger::Metric { figure, bound } => facts.figures.get(figure).map_or(Finding::Unknown, |value| bounded(*figure, *bound, *value)),
        }
    }
}

/// Somebody wants it so, or it has done its work: nothing is wrong.
fn is_at_rest(status: Status) -> bool {
    match status {
        Status::NotFound | Status::Disabled | Status::Stopping | Status::Stopped | Status::Completed => true,
        Status::Pending | Status::Starting | Status::Running | Status::Unhealthy | Status::Failed | Status::Scaling | Status::Unknown => false,
    }
}

fn restarts(now: Time, facts: &Facts, count: u32, within: Span) -> Finding {
    let recent = facts.restarts.iter().filter(|at| now.since(**at) < within).count();
    if recent >= usize::try_from(count).unwrap_or(usize::MAX) {
        return Finding::Holds(format!("was restarted {recent} times within {within}"));
    }
    Finding::Clear(format!("was restarted {recent} times within {within}, fewer than {count}"))
}

fn bounded(figure: Figure, bound: Bound, value: u64) -> Finding {
    let (name, told) = (figure.as_str(), told(figure, value));
    match bound {
        Bound::Above(most) if value > most => Finding::Holds(format!("{name} is {told}, above {}", self::told(figure, most))),
        Bound::Below(least) if value < least => Finding::Holds(format!("{name} is {told}, below {}", self::told(figure, least))),
        Bound::Above(_) | Bound::Below(_) => Finding::Clear(format!("{name} is {told}")),
    }
}

/// A figure as people read it.
fn told(figure: Figure, value: u64) -> String {
    match figure {
        Figure::Memory if value >= 1 << 20 => format!("{} MiB", value >> 20),
        Figure::Memory => format!("{value} bytes"),
        Figure::Cpu => format!("{value}m of a core"),
        Figure::Processes | Figure::ReplicasRunning | Figure::ReplicasHealthy => value.to_string(),
    }
}

fn percent(permille: u32) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

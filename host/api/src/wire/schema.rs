//! The core's words as JSON Schema knows them: the core itself says nothing of schemas. Tests hold each against what the core writes.

#![expect(dead_code, reason = "these are never made: only their schemas are asked for")]

use schemars::JsonSchema;

/// How well something is.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Health {
    Unknown,
    Healthy,
    Degraded,
    Unhealthy,
}

/// What one check said once.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Pass,
    Warn,
    Fail,
    Unknown,
}

/// What is believed of a service.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Status {
    NotFound,
    Disabled,
    Pending,
    Starting,
    Running,
    Unhealthy,
    Stopping,
    Stopped,
    Completed,
    Failed,
    Scaling,
    Unknown,
}

/// Does it run for ever, or to its end?
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Service,
    Oneshot,
}

/// What a service is for.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Category {
    Infrastructure,
    Ai,
    Monitoring,
    Application,
}

/// How bad it is.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Severity {
    Info,
    Warning,
    Critical,
}

/// What of a dependency must hold before its dependent starts.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum Condition {
    Started,
    Healthy,
    Completed,
}

/// Of how many replicas of a dependency its condition must hold.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Quorum {
    Word(QuorumWord),
    Some(u32),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum QuorumWord {
    All,
    Any,
}

/// One edge of the graph: the service that holds it starts after `service`.
#[derive(JsonSchema)]
pub(crate) struct Dependency {
    /// Whom it needs.
    service: String,
    /// An optional edge orders when both are wanted, and never blocks.
    optional: bool,
    /// Absent: `completed` for a one-shot, `healthy` where the dependency has checks, else `started`.
    condition: Option<Condition>,
    /// A new run of the dependency restarts the dependent too.
    restart: bool,
    /// Of how many of its replicas the condition must hold; all when absent.
    #[schemars(default, skip_serializing_if = "Option::is_none")]
    healthy: Option<Quorum>,
}

/// One mistake: where, what, and what to do about it.
#[derive(JsonSchema)]
pub(crate) struct Problem {
    /// JSON pointer (RFC 6901) into the document; empty for the whole of it.
    at: String,
    /// What is wrong and why, one sentence.
    message: String,
    /// What to write instead.
    #[schemars(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

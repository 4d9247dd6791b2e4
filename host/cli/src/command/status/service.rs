//! One service, for people.

use hostler_api::{CheckState, Exit, Replica, Service, ServiceDetail, Usage};
use hostler_core::{Condition, Dependency, Quorum};
use jiff::tz::TimeZone;

use super::Lines;
use crate::command::explain::{chain, next_text};
use crate::command::ps::health_cell;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Paint, Table, bytes, elapsed, health_colour, local_zone, percent, stamp, status_colour, visible};

pub(super) fn show(detail: &ServiceDetail, context: &Context) -> Result<(), Error> {
    let paint = context.out.paint;
    context.out.line(head(detail, paint, &local_zone()))?;
    if detail.replicas.len() > 1 {
        context.out.line("")?;
        context.out.table(&replicas(&detail.replicas))?;
    }
    if !detail.checks.is_empty() {
        context.out.line("")?;
        context.out.table(&checks(&detail.checks, detail.replicas.len() > 1))?;
    }
    Ok(())
}

fn head(detail: &ServiceDetail, paint: Paint, zone: &TimeZone) -> String {
    let service = &detail.service;
    let status = paint.of(status_colour(service.status), service.status.as_str());
    let health = paint.of(health_colour(service.health), service.health.as_str());
    let mut lines = Lines::new(format!("{} is {status}, health {health}{}", paint.of(Colour::Bold, &service.name), chain(&detail.because)));
    lines.maybe("called", service.display_name.as_deref().map(visible));
    lines.maybe("next", service.next.as_ref().map(next_text));
    lines.add("backend", visible(&service.backend));
    let up = service.uptime_ms.map(|ms| format!("{} (since {})", elapsed(ms), service.started_at.map_or_else(String::new, |at| stamp(at, zone))));
    lines.maybe("up", up);
    lines.maybe("startup", service.startup_time_ms.map(elapsed));
    lines.maybe("replicas", counted(service));
    lines.add("restarts", restarts(service, zone));
    lines.maybe("last error", service.last_error.as_deref().map(visible));
    lines.maybe("needs", list(detail.dependencies.iter().map(edge)));
    lines.maybe("needed by", list(detail.dependents.iter().cloned()));
    lines.maybe("labels", list(detail.labels.iter().map(|(key, value)| visible(&format!("{key}={value}")).into_owned())));
    if let [only] = detail.replicas.as_slice() {
        add_replica(&mut lines, only, zone);
    }
    lines.0
}

fn add_replica(lines: &mut Lines, replica: &Replica, zone: &TimeZone) {
    lines.add("run", replica.run.to_string());
    lines.maybe("pid", replica.pid.map(|pid| pid.to_string()));
    lines.maybe("uses", replica.usage.as_ref().and_then(usage));
    lines.maybe("last exit", replica.last_exit.as_ref().map(|exit| exit_text(exit, zone)));
    for endpoint in &replica.endpoints {
        lines.add("endpoint", visible(&format!("{} {}://{}:{}", endpoint.name, endpoint.protocol, endpoint.host, endpoint.port)));
    }
    for (key, value) in replica.attributes.iter().filter(|(key, _)| *key != "pid") {
        lines.add(&visible(key), visible(value));
    }
}

/// Of a service that has but one, and can have no more, nothing.
fn counted(service: &Service) -> Option<String> {
    let counts = service.replicas;
    let varies = counts.wanted != 1 || counts.max > 1;
    varies.then(|| format!("{} wanted ({} to {}), {} running, {} healthy", counts.wanted, counts.min, counts.max, counts.running, counts.healthy))
}

fn restarts(service: &Service, zone: &TimeZone) -> String {
    let last = service.last_restart_at.map_or_else(String::new, |at| format!(", the last one {}", stamp(at, zone)));
    let budget = service.max_restart_attempts.map_or_else(String::new, |max| format!(", {} of {max} attempts used", service.restart_attempts));
    format!("{}{last}{budget}; {} failures", service.restart_count, service.failure_count)
}

fn edge(edge: &Dependency) -> String {
    let condition = edge.condition.map(|condition| match condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::Completed => "completed",
    });
    let quorum = match edge.healthy {
        Quorum::All => None,
        Quorum::Any => Some("one replica is enough".to_owned()),
        Quorum::Some(number) => Some(format!("{number} replicas are enough")),
    };
    let words = [edge.optional.then_some("optional"), condition, edge.restart.then_some("restarts with it")];
    let notes: Vec<String> = words.into_iter().flatten().map(str::to_owned).chain(quorum).collect();
    if notes.is_empty() { edge.service.to_string() } else { format!("{} ({})", edge.service, notes.join(", ")) }
}

fn list(parts: impl Iterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn usage(usage: &Usage) -> Option<String> {
    let limit = usage.memory_limit_bytes.map_or_else(String::new, |limit| format!(" of {}", bytes(limit)));
    let memory = usage.memory_bytes.map(|used| format!("{}{limit} memory", bytes(used)));
    let cpu = usage.cpu_nanos.map(|nanos| format!("{} cpu", elapsed(nanos / 1_000_000)));
    let processes = usage.processes.map(|count| format!("{count} processes"));
    list([memory, cpu, processes].into_iter().flatten())
}

/// `code 1 at 2025-10-22 06:00:00`.
pub(crate) fn exit_text(exit: &Exit, zone: &TimeZone) -> String {
    let how = match (exit.code, &exit.signal) {
        (Some(code), _) => format!("code {code}"),
        (None, Some(signal)) => signal.clone(),
        (None, None) => "in an unknown way".to_owned(),
    };
    let memory = if exit.out_of_memory { ", out of memory" } else { "" };
    let reason = exit.reason.as_deref().map_or_else(String::new, |reason| format!(", {reason}"));
    let at = exit.at.map_or_else(String::new, |at| format!(" at {}", stamp(at, zone)));
    visible(&format!("{how}{memory}{reason}{at}")).into_owned()
}

fn replicas(replicas: &[Replica]) -> Table {
    let mut table = Table::new(&["REPLICA", "STATUS", "HEALTH", "UPTIME", "RESTARTS", "PID", "RUN", "WHY"]);
    for replica in replicas {
        table.row(vec![
            Cell::new(replica.replica.to_string()),
            Cell::painted(replica.status.as_str(), status_colour(replica.status)),
            health_cell(replica.health),
            Cell::maybe(replica.uptime_ms.map(elapsed)),
            Cell::new(replica.restart_count.to_string()),
            Cell::maybe(replica.pid),
            Cell::new(replica.run.to_string()),
            Cell::painted(replica.cause.as_deref().unwrap_or(""), Colour::Dim),
        ]);
    }
    table
}

fn checks(checks: &[CheckState], several: bool) -> Table {
    let mut table = Table::new(&["CHECK", "TYPE", "HEALTH", "FAILURES", "UPTIME 1H", "24H", "7D", "TIME", "LAST"]);
    for check in checks {
        let last = check.history.last();
        let name = if several { format!("{}/{}", check.check, check.replica) } else { check.check.clone() };
        table.row(vec![
            Cell::new(name),
            Cell::new(&check.plugin),
            health_cell(check.health),
            Cell::new(format!("{}/{}", check.consecutive_failures, check.failure_threshold)),
            Cell::new(percent(check.uptime.uptime_1h)),
            Cell::new(percent(check.uptime.uptime_24h)),
            Cell::new(percent(check.uptime.uptime_7d)),
            Cell::maybe(last.and_then(|last| last.response_time_ms).map(|ms| format!("{ms:.1}ms"))),
            Cell::painted(last.map_or("", |last| &last.message), Colour::Dim),
        ]);
    }
    table
}

//! What the desk knows, as figures: of each service first as a document, and from that as lines of a page.

use std::collections::BTreeMap;

use hostler_api::metrics::Metric;
use hostler_api::{CheckMetrics, Durations, Failure, MeasuredUsage, ReplicaCounts, ReplicaMetrics, ServiceMetrics, Shape, UptimeRatio};
use hostler_core::{ReplicaView, Run, ServiceView, Status, Time};
use hostler_wasm::words::Usage;

use super::{Page, number};
use crate::desk::Desk;
use crate::stats::Life;
use crate::{clock, speak};

/// One service, without what it uses.
pub(crate) fn of_service(desk: &Desk, name: &str) -> Result<ServiceMetrics, Failure> {
    desk.core.service(name).map(|view| service(desk, &view)).ok_or_else(|| speak::not_found(desk, name))
}

fn service(desk: &Desk, view: &ServiceView<'_>) -> ServiceMetrics {
    let up = |part: &&ReplicaView<'_>| matches!(part.status, Status::Running | Status::Unhealthy);
    let spoken = speak::service(desk, view);
    let replicas: Vec<ReplicaMetrics> = view.replicas.iter().map(replica).collect();
    ServiceMetrics {
        version: Shape,
        service: view.spec.name.as_str().to_owned(),
        up: view.replicas.iter().any(|part| up(&part)),
        status: view.status,
        health: view.health,
        replica_counts: spoken.replicas,
        uptime_seconds: replicas.iter().filter_map(|part| part.uptime_seconds).reduce(f64::max),
        restarts: replicas.iter().map(|part| part.restarts).sum(),
        failures: replicas.iter().map(|part| part.failures).sum(),
        usage: MeasuredUsage::default(),
        checks: view.spec.checks.iter().enumerate().map(|(at, spec)| check(desk, view, at, &spec.name)).collect(),
        replicas,
    }
}

fn replica(part: &ReplicaView<'_>) -> ReplicaMetrics {
    ReplicaMetrics {
        replica: part.replica,
        uptime_seconds: part.since.map(age),
        restarts: part.restarts,
        failures: part.failures,
        usage: MeasuredUsage::default(),
    }
}

fn age(since: Time) -> f64 {
    number(clock::now().since(since).0) / 1_000.0
}

fn check(desk: &Desk, view: &ServiceView<'_>, at: usize, name: &str) -> CheckMetrics {
    let latency = desk.latencies.get(&(view.spec.name.clone(), name.to_owned()));
    let ratio = |permille: Option<u32>| permille.map(|permille| f64::from(permille) / 1_000.0);
    let uptime = view.replicas.iter().filter_map(|part| {
        let [hour, day, week] = part.checks.get(at)?.uptime_permille.map(ratio);
        Some(UptimeRatio { replica: part.replica, hour, day, week })
    });
    CheckMetrics {
        check: name.to_owned(),
        results: latency.map(|latency| latency.results().map(|(verdict, count)| (verdict.to_owned(), count)).into()).unwrap_or_default(),
        duration: latency.map_or_else(Durations::default, super::Latency::told),
        uptime: uptime.collect(),
    }
}

/// Everything that the desk knows; what services use is added later, by whoever has measured it.
pub(crate) fn of_host(desk: &Desk, page: &mut Page) -> Vec<ServiceMetrics> {
    let names: Vec<&str> = desk.core.names().map(hostler_core::ServiceName::as_str).collect();
    let services: Vec<ServiceMetrics> = names.iter().filter_map(|name| of_service(desk, name).ok()).collect();
    for ((service, check), latency) in &desk.latencies {
        latency.add_to(page, service.as_str(), check);
    }
    for (kind, count) in &desk.told {
        page.add(Metric::Events, &[kind.as_str()], number(*count));
    }
    plugins(desk, page);
    page.add(Metric::HostInfo, &[env!("CARGO_PKG_VERSION")], 1.0);
    page.add(Metric::HostReady, &[], flag(speak::is_ready(desk)));
    page.add(Metric::HostUptimeSeconds, &[], age(desk.started_at));
    page.add_known(Metric::StoreCommits, &[], desk.commits.map(number));
    page.add(Metric::StoreTrouble, &[], flag(desk.trouble.is_some()));
    services
}

fn plugins(desk: &Desk, page: &mut Page) {
    for (name, slot) in desk.plugins.table().slots {
        page.add(Metric::PluginQuarantined, &[&name], flag(desk.plugins.quarantine(&name).is_some()));
        let Ok(plugin) = slot.state else { continue };
        let counts = plugin.counts();
        page.add(Metric::PluginCalls, &[&name], number(counts.calls));
        page.add(Metric::PluginDenials, &[&name], number(counts.denied));
        let reasons = [("trap", counts.traps), ("timeout", counts.timeouts), ("limit", counts.limits), ("malformed", counts.malformed)];
        for (reason, count) in reasons {
            page.add(Metric::PluginFailures, &[&name, reason], number(count));
        }
    }
}

pub(crate) fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// What was measured of each life, by service and replica.
pub(crate) fn usages(lives: &[Life], measured: &BTreeMap<Run, Usage>) -> BTreeMap<(String, u32), MeasuredUsage> {
    let one = |life: &Life| Some(((life.service.to_string(), life.replica), used(measured.get(&life.run)?, life.memory_limit)));
    lives.iter().filter_map(one).collect()
}

fn used(usage: &Usage, memory_limit: Option<u64>) -> MeasuredUsage {
    MeasuredUsage {
        cpu_seconds: usage.cpu_nanos.map(|nanos| number(nanos) / 1e9),
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes.or(memory_limit),
        network_received_bytes: usage.network_received_bytes,
        network_sent_bytes: usage.network_sent_bytes,
        processes: usage.processes.map(u64::from),
    }
}

/// Puts what was measured where it belongs. A sum is known when each of its parts is.
pub(crate) fn add_usage(service: &mut ServiceMetrics, usages: &BTreeMap<(String, u32), MeasuredUsage>) {
    for part in &mut service.replicas {
        part.usage = usages.get(&(service.service.clone(), part.replica)).copied().unwrap_or_default();
    }
    let running: Vec<&MeasuredUsage> = service.replicas.iter().filter(|part| part.uptime_seconds.is_some()).map(|part| &part.usage).collect();
    let sum = |pick: fn(&MeasuredUsage) -> Option<u64>| {
        let parts: Option<Vec<u64>> = running.iter().map(|usage| pick(usage)).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.iter().sum())
    };
    let cpu: Option<Vec<f64>> = running.iter().map(|usage| usage.cpu_seconds).collect();
    service.usage = MeasuredUsage {
        cpu_seconds: cpu.filter(|parts| !parts.is_empty()).map(|parts| parts.iter().sum()),
        memory_bytes: sum(|usage| usage.memory_bytes),
        memory_limit_bytes: sum(|usage| usage.memory_limit_bytes),
        network_received_bytes: sum(|usage| usage.network_received_bytes),
        network_sent_bytes: sum(|usage| usage.network_sent_bytes),
        processes: sum(|usage| usage.processes),
    };
}

/// One service's lines of a page.
pub(crate) fn told(service: &ServiceMetrics, page: &mut Page) {
    let name = service.service.as_str();
    page.add(Metric::ServiceUp, &[name], flag(service.up));
    page.add(Metric::ServiceStatus, &[name, service.status.as_str()], 1.0);
    page.add(Metric::ServiceHealth, &[name, service.health.as_str()], 1.0);
    let ReplicaCounts { wanted, running, healthy, .. } = service.replica_counts;
    page.add(Metric::ServiceReplicasWanted, &[name], f64::from(wanted));
    page.add(Metric::ServiceReplicasRunning, &[name], f64::from(running));
    page.add(Metric::ServiceReplicasHealthy, &[name], f64::from(healthy));
    for part in &service.replicas {
        replica_told(name, part, page);
    }
    for check in &service.checks {
        for uptime in &check.uptime {
            let replica = uptime.replica.to_string();
            for (window, ratio) in [("1h", uptime.hour), ("24h", uptime.day), ("7d", uptime.week)] {
                page.add_known(Metric::CheckUptimeRatio, &[name, &replica, &check.check, window], ratio);
            }
        }
    }
}

fn replica_told(name: &str, part: &ReplicaMetrics, page: &mut Page) {
    let replica = part.replica.to_string();
    let labels = [name, replica.as_str()];
    let known = |count: Option<u64>| count.map(number);
    page.add_known(Metric::ServiceUptimeSeconds, &labels, part.uptime_seconds);
    page.add(Metric::ServiceRestarts, &labels, number(part.restarts));
    page.add(Metric::ServiceFailures, &labels, number(part.failures));
    page.add_known(Metric::ServiceCpuSeconds, &labels, part.usage.cpu_seconds);
    page.add_known(Metric::ServiceMemoryBytes, &labels, known(part.usage.memory_bytes));
    page.add_known(Metric::ServiceMemoryLimitBytes, &labels, known(part.usage.memory_limit_bytes));
    page.add_known(Metric::ServiceNetworkReceivedBytes, &labels, known(part.usage.network_received_bytes));
    page.add_known(Metric::ServiceNetworkSentBytes, &labels, known(part.usage.network_sent_bytes));
    page.add_known(Metric::ServiceProcesses, &labels, known(part.usage.processes));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(replica: u32, running: bool) -> ReplicaMetrics {
        ReplicaMetrics { replica, uptime_seconds: running.then_some(1.0), restarts: 0, failures: 0, usage: MeasuredUsage::default() }
    }

    #[test]
    fn a_sum_of_which_a_part_is_not_known_is_not_known() {
        let counts = ReplicaCounts { wanted: 3, min: 1, max: 3, running: 2, healthy: 2 };
        let mut service = ServiceMetrics {
            version: Shape,
            service: "web".to_owned(),
            up: true,
            status: Status::Running,
            health: hostler_core::Health::Healthy,
            replica_counts: counts,
            uptime_seconds: None,
            restarts: 0,
            failures: 0,
            usage: MeasuredUsage::default(),
            replicas: vec![part(0, true), part(1, true), part(2, false)],
            checks: Vec::new(),
        };
        let usage = |memory, cpu| MeasuredUsage { memory_bytes: memory, cpu_seconds: cpu, ..MeasuredUsage::default() };
        let of = |replica| ("web".to_owned(), replica);
        add_usage(&mut service, &[(of(0), usage(Some(3), Some(0.5))), (of(1), usage(Some(4), None))].into());
        assert_eq!((service.usage.memory_bytes, service.usage.cpu_seconds), (Some(7), None));
        assert_eq!(service.replicas[2].usage, MeasuredUsage::default());
    }
}

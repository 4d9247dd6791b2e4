//! What the desk knows of somebody, as rules ask for it.

use std::collections::BTreeMap;

use hostler_core::{Facts, Figure, Health, ReplicaView, ServiceView, Status, Subject, Window};

use crate::desk::Desk;
use crate::stats::{Figures, Life};

/// Everybody whom a rule may be about.
pub(super) fn everybody(desk: &Desk) -> Vec<Subject> {
    let services = desk.core.names().filter(|name| desk.core.wanted(name.as_str()).is_some()).cloned().map(Subject::Service);
    services.chain(desk.plugins.table().slots.into_keys().map(Subject::Plugin)).collect()
}

/// One of them; nothing when he is not there any more.
pub(super) fn of(desk: &Desk, subject: &Subject) -> Option<Facts> {
    match subject {
        Subject::Service(name) => {
            let view = desk.core.wanted(name.as_str()).and_then(|_| desk.core.service(name.as_str()))?;
            Some(Facts { heartbeat_missed: desk.heartbeats.is_missed(desk, name), ..service(&view) })
        }
        Subject::Plugin(name) => desk.plugins.slot(name).map(|_| plugin(desk, name)),
    }
}

fn plugin(desk: &Desk, name: &str) -> Facts {
    Facts { quarantine: Some(desk.plugins.quarantine(name).map(|(why, _)| why)), ..Facts::default() }
}

fn service(view: &ServiceView<'_>) -> Facts {
    let count = |holds: fn(&&ReplicaView<'_>) -> bool| view.replicas.iter().filter(holds).count() as u64;
    let running = count(|part| matches!(part.status, Status::Running | Status::Unhealthy));
    let healthy = count(|part| part.status == Status::Running && part.health == Health::Healthy);
    Facts {
        status: Some(view.status),
        health: Some(view.health),
        cause: view.cause.first().cloned(),
        category: Some(view.spec.category),
        uptime_permille: uptime(view),
        figures: [(Figure::ReplicasRunning, running), (Figure::ReplicasHealthy, healthy)].into(),
        ..Facts::default()
    }
}

/// The worst check of the worst replica, in each window.
fn uptime(view: &ServiceView<'_>) -> BTreeMap<Window, u32> {
    let checks = || view.replicas.iter().flat_map(|part| &part.checks);
    let windows = [(Window::Hour, 0), (Window::Day, 1), (Window::Week, 2)];
    windows.into_iter().filter_map(|(window, at)| Some((window, checks().filter_map(|check| check.uptime_permille[at]).min()?))).collect()
}

/// What all lives of a service use together; a sum is known when each of its parts is.
pub(super) fn measured<'a>(lives: &[Life], of: impl Fn(&Life) -> Option<&'a Figures>) -> BTreeMap<Figure, u64> {
    let figures: Option<Vec<&Figures>> = lives.iter().map(of).collect();
    let Some(figures) = figures.filter(|figures| !figures.is_empty()) else { return BTreeMap::new() };
    let sum = |pick: fn(&Figures) -> Option<u64>| figures.iter().map(|figures| pick(figures)).sum::<Option<u64>>();
    let all = [
        (Figure::Memory, sum(|figures| figures.usage.memory_bytes)),
        (Figure::Cpu, sum(|figures| figures.cpu_millis)),
        (Figure::Processes, sum(|figures| figures.usage.processes.map(u64::from))),
    ];
    all.into_iter().filter_map(|(figure, value)| Some((figure, value?))).collect()
}

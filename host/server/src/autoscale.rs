//! Services that are scaled by their load: measured at their interval, weighed by the core.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hostler_api::Code;
use hostler_core::{Load, Loads, ServiceName, Status};
use tokio::time::Instant;

use crate::desk::Desk;
use crate::drive::Driver;
use crate::http::Door;
use crate::message::Message;
use crate::stats::{self, Life, Measured};
use crate::{act, clock};

/// A service to be measured.
struct Scaled {
    name: String,
    interval: Duration,
    /// Thousandths of a core that each replica may use.
    cpu_millis: u64,
    lives: Vec<Life>,
}

/// Measures, as long as the host is there and some service asks for it.
pub(crate) async fn watch(door: Door) {
    let mut due: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let Ok(scaled) = door.look(scaled).await else { return };
        let names: BTreeSet<&str> = scaled.iter().map(|service| service.name.as_str()).collect();
        due.retain(|name, _| names.contains(name.as_str()));
        let now = Instant::now();
        let round: Vec<&Scaled> = scaled.iter().filter(|service| due.get(&service.name).is_none_or(|at| *at <= now)).collect();
        due.extend(round.iter().map(|service| (service.name.clone(), now + service.interval)));
        if !round.is_empty() {
            let lives: Vec<Life> = round.iter().flat_map(|service| service.lives.clone()).collect();
            let measured = door.meter.measure(&door.plugins, &lives).await;
            for service in round {
                let weigh = Message::Weigh { service: service.name.clone(), loads: loads(service, &measured) };
                // The loop is gone only when the host is.
                door.outbox.send(weigh).ok();
            }
        }
        match due.values().min() {
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(*next) => {}
                () = door.meter.changed() => {}
            },
            None => door.meter.changed().await,
        }
    }
}

fn scaled(desk: &Desk) -> Vec<Scaled> {
    let names = desk.core.names().filter_map(|name| desk.core.wanted(name.as_str()));
    let scaled = names.filter_map(|wanted| {
        let (spec, policy) = (&wanted.spec, wanted.spec.replicas.autoscale?);
        let name = spec.name.to_string();
        let up: BTreeSet<u32> = desk.core.replicas(&name).into_iter().filter(serves).map(|part| part.replica).collect();
        let mut lives = stats::lives(desk, [&spec.name]).unwrap_or_default();
        lives.retain(|life| up.contains(&life.replica));
        let cpu_millis = spec.resources.cpu_millis.map_or(1_000, u64::from).max(1);
        Some(Scaled { interval: act::duration(policy.interval), name, cpu_millis, lives })
    });
    scaled.collect()
}

/// One that starts or stops says nothing of the load.
fn serves(part: &hostler_core::ReplicaView<'_>) -> bool {
    !part.surplus && matches!(part.status, Status::Running | Status::Unhealthy)
}

fn loads(service: &Scaled, measured: &Measured) -> Loads {
    let figures = || service.lives.iter().filter_map(|life| measured.of(life));
    let together = |shares: Vec<u64>| {
        let load = Load {
            sum_permille: shares.iter().fold(0, |sum: u64, share| sum.saturating_add(*share)),
            measured: u32::try_from(shares.len()).unwrap_or(u32::MAX),
        };
        (load.measured > 0).then_some(load)
    };
    Loads {
        cpu: together(figures().filter_map(|figures| Some(figures.cpu_millis?.saturating_mul(1_000) / service.cpu_millis)).collect()),
        memory: together(figures().filter_map(|figures| figures.memory_permille).collect()),
    }
}

impl Driver {
    /// What a load asks for is committed as what a person asks for is. What cannot be committed now is asked for again with the next load.
    pub(crate) async fn weigh(&mut self, service: &str, loads: &Loads) {
        if self.desk.shutting_down {
            return;
        }
        let Some(after) = self.desk.core.weigh(clock::now(), service, loads) else { return };
        let name: ServiceName = after.spec.name.clone();
        if let Err(failure) = self.want(&[name], |_, _, wanted| *wanted = after.clone()).await {
            // What its workspace may not have is asked for with every load.
            if failure.code == Code::Quota {
                tracing::debug!(service, message = failure.message, "its load asks for more replicas than its workspace may have");
                return;
            }
            tracing::warn!(service, message = failure.message, "its number of replicas cannot be changed now");
        }
    }
}

//! Who is where: services for those who look for one.

use std::collections::BTreeMap;
use std::time::Instant;

use hostler_api::{
    Code, Endpoint, Failure, Health, Pulse, Registry, RegistryEndpoint, RegistryEntry, RegistryQuery, RegistryStatistics, Replica, Service, Shape,
    Status, config,
};
use hostler_core::{CheckSpec, ServiceName, ServiceView, WorkspaceName};
use serde_json::Value;

use crate::desk::Desk;
use crate::speak::{self, Past};

/// What is asked for, read.
pub(crate) struct Wish {
    query: RegistryQuery,
    metadata: Vec<(String, String)>,
}

impl Wish {
    /// Reads what a service is to say of itself.
    ///
    /// # Errors
    /// It is not written as `name=text,name=text`.
    pub(crate) fn read(query: RegistryQuery) -> Result<Wish, Failure> {
        let parts = query.metadata.as_deref().into_iter().flat_map(|text| text.split(',')).filter(|part| !part.is_empty());
        let pair = |part: &str| {
            let wrong = || Failure::new(Code::Invalid, format!("`metadata` has `{}`: write region=eu,tier=2", part.escape_default()));
            part.split_once('=').map(|(name, text)| (name.to_owned(), text.to_owned())).ok_or_else(wrong)
        };
        Ok(Wish { metadata: parts.map(pair).collect::<Result<_, _>>()?, query })
    }

    fn fits(&self, entry: &RegistryEntry) -> bool {
        let RegistryQuery { category, healthy, status, pulse, .. } = &self.query;
        let says = |name: &str| entry.heartbeat.as_ref().and_then(|beat| beat.metadata.get(name)).or_else(|| entry.labels.get(name));
        category.is_none_or(|category| category == entry.category)
            && healthy.is_none_or(|healthy| healthy == entry.healthy)
            && status.is_none_or(|status| status == entry.status)
            && pulse.is_none_or(|pulse| entry.heartbeat.as_ref().is_some_and(|beat| beat.pulse == pulse))
            && self.metadata.iter().all(|(name, text)| says(name) == Some(text))
    }
}

/// Those of these services that somebody looks for.
pub(crate) fn list<'a>(desk: &'a Desk, names: impl Iterator<Item = &'a ServiceName>, wish: &Wish) -> Registry {
    let mut services: Vec<RegistryEntry> = names.filter_map(|name| entry(desk, name)).filter(|entry| wish.fits(entry)).collect();
    if wish.query.healthy == Some(true) {
        services.iter_mut().for_each(|entry| entry.endpoints.retain(|endpoint| endpoint.healthy));
    }
    Registry { version: Shape, services }
}

fn entry(desk: &Desk, name: &ServiceName) -> Option<RegistryEntry> {
    let view = desk.core.service(name.as_str())?;
    let detail = speak::detail(desk, name.as_str(), Past::LeftOut)?;
    let heartbeat = desk.heartbeats.of(desk, name);
    let missed = heartbeat.as_ref().is_some_and(|beat| beat.pulse == Pulse::Missed);
    let endpoints = detail.replicas.iter().flat_map(|replica| endpoints(&view, replica, missed)).collect();
    let Service { display_name, category, status, health, replicas, .. } = detail.service;
    Some(RegistryEntry {
        name: name.local().to_owned(),
        display_name,
        category,
        labels: detail.labels,
        status,
        health,
        healthy: replicas.healthy > 0 && !missed,
        replicas,
        endpoints,
        heartbeat,
    })
}

/// Where a replica listens: where its backend says, else where its checks ask it.
fn endpoints(view: &ServiceView<'_>, replica: &Replica, missed: bool) -> Vec<RegistryEndpoint> {
    let is_up = matches!(replica.status, Status::Running | Status::Unhealthy);
    if !is_up {
        return Vec::new();
    }
    let healthy = !missed && (view.spec.checks.is_empty() || replica.health == Health::Healthy);
    let (source, found) = match replica.endpoints.is_empty() {
        false => ("backend", replica.endpoints.clone()),
        true => ("check", view.spec.checks.iter().filter_map(asked_at).collect()),
    };
    found.into_iter().map(|endpoint| RegistryEndpoint { replica: replica.replica, healthy, source: source.to_owned(), endpoint }).collect()
}

/// Where a check asks, as far as its settings say so by themselves.
fn asked_at(check: &CheckSpec) -> Option<Endpoint> {
    if config::refers(&check.settings) {
        return None;
    }
    let settings: Value = serde_json::from_str(&check.settings).ok()?;
    let (host, port, protocol) = match check.plugin.as_str() {
        "tcp" => {
            let host = settings["host"].as_str().unwrap_or("127.0.0.1").to_owned();
            (host, u16::try_from(settings["port"].as_u64()?).ok()?, "tcp")
        }
        "http" => {
            let url: axum::http::Uri = settings["url"].as_str()?.parse().ok()?;
            let protocol = if url.scheme_str() == Some("https") { "https" } else { "http" };
            let port = url.port_u16().unwrap_or(if protocol == "https" { 443 } else { 80 });
            (url.host()?.to_owned(), port, protocol)
        }
        _ => return None,
    };
    Some(Endpoint { name: check.name.clone(), host, port, protocol: protocol.to_owned() })
}

/// How many there are of which kind, and how long the order of that workspace's services takes to find.
pub(crate) fn statistics<'a>(desk: &'a Desk, workspace: &WorkspaceName, names: impl Iterator<Item = &'a ServiceName>) -> RegistryStatistics {
    let names: Vec<&ServiceName> = names.collect();
    let begun = Instant::now();
    drop(speak::graph(desk, workspace));
    let dependency_resolution_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    let mut told = RegistryStatistics {
        version: Shape,
        services: 0,
        healthy: 0,
        by_status: BTreeMap::new(),
        by_health: BTreeMap::new(),
        by_category: BTreeMap::new(),
        heartbeats: desk.heartbeats.counts(desk, names.iter().copied()),
        dependency_resolution_ms,
    };
    for entry in names.into_iter().filter_map(|name| entry(desk, name)) {
        told.services += 1;
        told.healthy += usize::from(entry.healthy);
        *told.by_status.entry(entry.status.as_str().to_owned()).or_default() += 1;
        *told.by_health.entry(entry.health.as_str().to_owned()).or_default() += 1;
        let category = serde_json::to_value(entry.category).unwrap_or_default();
        *told.by_category.entry(category.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_where_it_asks() {
        let of = |plugin: &str, settings: &str| {
            asked_at(&CheckSpec::new("port", plugin, settings)).map(|found| format!("{}://{}:{}", found.protocol, found.host, found.port))
        };
        assert_eq!(of("tcp", r#"{"port": 5432}"#).as_deref(), Some("tcp://127.0.0.1:5432"));
        assert_eq!(of("http", r#"{"url": "https://shop.example/health"}"#).as_deref(), Some("https://shop.example:443"));
        assert_eq!(of("http", r#"{"url": "http://[::1]:8080"}"#).as_deref(), Some("http://[::1]:8080"));
        for (plugin, settings) in [("tcp", r#"{"port": 70000}"#), ("tcp", "{}"), ("http", "{}"), ("command", "{}"), ("tcp", "no json")] {
            assert_eq!(of(plugin, settings), None, "{plugin} {settings}");
        }
    }

    #[test]
    fn a_wish_for_metadata_is_pairs() {
        let read = |text: &str| Wish::read(RegistryQuery { metadata: Some(text.to_owned()), ..RegistryQuery::default() });
        assert_eq!(read("region=eu,tier=").map(|wish| wish.metadata.len()).ok(), Some(2));
        assert!(read("region").is_err());
    }
}

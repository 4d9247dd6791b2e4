//! Where services listen, as their backends said last: what references in settings and environment are filled in with.

use std::collections::BTreeMap;

use hostler_api::config::{self, Reference, ReferenceTo};
use hostler_core::{Spec, Status};
use hostler_wasm::Plugin;
use hostler_wasm::words::Endpoint;
use serde_json::Value;

use crate::desk::Desk;

/// The endpoints of each service that somebody may refer to, by replica.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published(BTreeMap<String, Vec<Vec<Endpoint>>>);

impl Published {
    /// For a service: of itself, and of what it depends on, all of one workspace. Nothing where it refers to nobody.
    pub(crate) fn around(desk: &Desk, spec: &Spec) -> Published {
        let texts = spec.env.values().chain([&spec.backend.settings]).chain(spec.checks.iter().map(|check| &check.settings));
        if !texts.into_iter().any(|text| config::refers(text)) {
            return Published::default();
        }
        let names = spec.dependencies.iter().map(|edge| &edge.service).chain([&spec.name]);
        Published(names.map(|name| (name.local().to_owned(), endpoints(desk, name.as_str()))).collect())
    }

    /// A spec as its backend is to have it.
    ///
    /// # Errors
    /// What is referred to and is not published.
    pub(crate) fn fill(&self, spec: &Spec, plugin: &Plugin) -> Result<Spec, String> {
        let mut filled = spec.clone();
        for value in filled.env.values_mut() {
            if let Some(text) = config::fill(value, &|reference| self.find(reference))? {
                *value = text;
            }
        }
        filled.backend.settings = self.fill_settings(&spec.backend.settings, plugin)?;
        Ok(filled)
    }

    /// Settings as their plugin is to have them.
    ///
    /// # Errors
    /// What is referred to and is not published.
    pub(crate) fn fill_settings(&self, settings: &str, plugin: &Plugin) -> Result<String, String> {
        if !config::refers(settings) {
            return Ok(settings.to_owned());
        }
        let mut value: Value = serde_json::from_str(settings).unwrap_or_default();
        config::fill_all(&mut value, &|reference| self.find(reference))?;
        config::settle_types(&mut value, &plugin.description().settings_schema);
        Ok(config::canonical(&value))
    }

    fn find(&self, reference: &Reference<'_>) -> Result<String, String> {
        let Reference { written, service, wanted } = reference;
        let replicas = self.0.get(*service).map(Vec::as_slice).unwrap_or_default();
        let firsts = || replicas.iter().filter_map(|endpoints| endpoints.first()).map(address);
        let named = |name: &str| replicas.iter().flatten().find(|endpoint| endpoint.name == name);
        let found = match wanted {
            ReferenceTo::First => firsts().next(),
            ReferenceTo::Each => Some(firsts().collect::<Vec<_>>().join(",")).filter(|text| !text.is_empty()),
            ReferenceTo::Host(name) => named(name).map(|endpoint| endpoint.host.clone()),
            ReferenceTo::Port(name) => named(name).map(|endpoint| endpoint.port.to_string()),
        };
        found.ok_or_else(|| {
            let there: Vec<&str> = replicas.iter().flatten().map(|endpoint| endpoint.name.as_str()).collect();
            let what = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            format!("`{written}` cannot be filled in: of its endpoints, {service} publishes {what}")
        })
    }
}

/// Of what runs, by index.
fn endpoints(desk: &Desk, name: &str) -> Vec<Vec<Endpoint>> {
    let up = desk.core.replicas(name).into_iter().filter(|part| !part.surplus && !matches!(part.status, Status::Stopping | Status::Unknown));
    up.filter_map(|part| Some(desk.seen.get(&part.run?)?.endpoints.clone())).collect()
}

fn address(endpoint: &Endpoint) -> String {
    // An IPv6 address needs its brackets before a port.
    if endpoint.host.contains(':') { format!("[{}]:{}", endpoint.host, endpoint.port) } else { format!("{}:{}", endpoint.host, endpoint.port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str, host: &str, port: u16) -> Endpoint {
        Endpoint { name: name.to_owned(), host: host.to_owned(), port, protocol: "tcp".to_owned() }
    }

    #[test]
    fn each_form_finds_its_own() {
        let replicas =
            vec![vec![endpoint("main", "127.0.0.1", 32768), endpoint("admin", "127.0.0.1", 32769)], Vec::new(), vec![endpoint("main", "::1", 32770)]];
        let published = Published([("db".to_owned(), replicas), ("none".to_owned(), Vec::new())].into());
        let filled = |text: &str| config::fill(text, &|reference| published.find(reference)).map(Option::unwrap_or_default);
        assert_eq!(filled("${services.db.endpoint}").as_deref(), Ok("127.0.0.1:32768"));
        assert_eq!(filled("${services.db.endpoints}").as_deref(), Ok("127.0.0.1:32768,[::1]:32770"));
        assert_eq!(filled("tcp://${services.db.endpoints.admin.host}:${services.db.endpoints.admin.port}/").as_deref(), Ok("tcp://127.0.0.1:32769/"));
        let why = filled("${services.db.endpoints.web.port}").expect_err("there is none");
        assert_eq!(why, "`${services.db.endpoints.web.port}` cannot be filled in: of its endpoints, db publishes main, admin, main");
        assert!(filled("${services.none.endpoints}").expect_err("there is none").ends_with("none publishes none"));
    }
}

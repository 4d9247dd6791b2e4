//! What a workspace may not write: what is the host's to say, and plugins that the host's people did not list for it.

use std::sync::Arc;

use hostler_api::{Code, Failure, config};
use hostler_core::{Problem, Spec, WorkspaceName, pointer_key};
use hostler_wasm::{Capability, Plugin};
use serde_json::Value;

use super::{Record, Workspaces};
use crate::plugins::PluginTable;

/// Keys of a document that say something of the host, its plugins or its files.
const OF_THE_HOST: [&str; 7] = ["settings", "plugins", "networks", "secrets", "discovery", "alerts", "sinks"];

/// What a document of a workspace must not have.
pub(crate) fn doubt_document(document: &Value) -> Vec<Problem> {
    let there = OF_THE_HOST.iter().filter(|key| document.get(key).is_some());
    let problem = |key: &&str| {
        Problem::new(format!("/{key}"), format!("`{key}` is the host's to say, and this is a workspace's document"))
            .hint("leave it out; whoever runs the host writes it into the configuration of the workspace `default`")
    };
    there.map(problem).collect()
}

impl Workspaces {
    /// What of these services their workspace may not have. Their names are those that it has for them.
    ///
    /// # Errors
    /// There is no such workspace any more.
    pub(crate) fn doubt_services(&self, workspace: &WorkspaceName, read: &config::Config, table: &PluginTable) -> Result<Vec<Problem>, Failure> {
        let record = self.get(workspace.as_str());
        let record = record.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no workspace `{workspace}` any more")))?;
        let doubt = |spec: &Spec| doubt_service(workspace, &record, read, table, spec);
        Ok(read.services.values().flat_map(doubt).collect())
    }
}

fn doubt_service(workspace: &WorkspaceName, record: &Record, read: &config::Config, table: &PluginTable, spec: &Spec) -> Vec<Problem> {
    let at = format!("/services/{}", pointer_key(spec.name.as_str()));
    let mut problems = Vec::new();
    let checks = spec.checks.iter().enumerate();
    let of_checks = checks.map(|(index, check)| (check.plugin.as_str(), read.check_place(spec.name.as_str(), index).unwrap_or_default()));
    for (plugin, at) in std::iter::once((spec.backend.plugin.as_str(), format!("{at}/backend"))).chain(of_checks) {
        if !record.may_use(plugin) {
            // The same of one that there is and of one that there is not.
            let message = format!("workspace `{workspace}` may not use a plugin `{plugin}`");
            let may = if record.plugins.is_empty() { "none".to_owned() } else { record.plugins.join(", ") };
            problems.push(Problem::new(format!("{at}/type"), message).hint(format!("it may use {may}; whoever runs the host can list more for it")));
        }
    }
    if !record.settings.container_enabled && table.get(&spec.backend.plugin).is_ok_and(is_for_containers) {
        let message = format!("workspace `{workspace}` has no containers: its setting `container_enabled` is false");
        problems.push(Problem::new(format!("{at}/backend/type"), message).hint("change the setting, or take another backend"));
    }
    if !workspace.is_default() && !spec.secrets.is_empty() {
        let message = "`secrets` names files of the host, which are none of a workspace's";
        problems
            .push(Problem::new(format!("{at}/secrets"), message).hint("write what it needs into `env`, or ask whoever runs the host for a grant"));
    }
    problems
}

fn is_for_containers(plugin: Arc<Plugin>) -> bool {
    hostler_wasm::needed(plugin.permissions().iter().map(String::as_str)).contains(&Capability::Containers)
}

//! What a component in a file is, without a host.

use std::path::Path;
use std::sync::Arc;

use hostler_api::{Counters, Examined, Need, Plugin, PluginDetail, PluginState, Role, Shape};
use hostler_wasm::{
    CallError, Capability, Compiler, Denial, Grants, Limits, PluginLine, PluginSink, PluginSource, PoolOptions, Reveal, Runtime, RuntimeOptions,
    stanza_of,
};

use super::lock::digests;
use super::trial::read;
use crate::error::{Error, failed};

/// Looks at a component under a plugin's name, else under its file's; answers its bytes, too. Nothing of it is granted or kept.
pub(super) async fn examine(path: &Path, name: Option<&str>) -> Result<(Examined, Vec<u8>), Error> {
    let bytes = read(path)?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().to_ascii_lowercase().replace('_', "-"));
    let fitting = hostler_core::check_plugin_name(&stem).map_or_else(|_| "plugin".to_owned(), |()| stem.clone());
    let name = name.map_or(fitting, str::to_owned);
    let dir = tempfile::tempdir().map_err(|error| failed(format!("cannot make a directory to compile in: {error}")))?;
    let exe = std::env::current_exe().map_err(|error| failed(format!("cannot find the program's own file: {error}")))?;
    let options = RuntimeOptions {
        cache_dir: dir.path().join("cache"),
        owner: "inspect".to_owned(),
        keeper: None,
        state: None,
        sink: Arc::new(Silence),
        pool: PoolOptions { instances: 4, ..PoolOptions::default() },
        compiler: Some(Compiler { program: exe, args: vec![hostler_server::COMPILE_PLUGIN.into()] }),
    };
    let runtime = Runtime::new(options).map_err(|error| failed(error.to_string()))?;
    let origin = path.display().to_string();
    let (config, grants, limits) = (serde_json::Value::Null, Grants::default(), Limits::default());
    let source = PluginSource { name, bytes: bytes.clone(), origin, config, grants, limits, expected_digest: None };
    let plugin = runtime.examine(source).await.map_err(|error| failed(error.to_string()).at(path.display().to_string()))?;
    Ok((told(&plugin, &bytes), bytes))
}

fn told(plugin: &hostler_wasm::Plugin, bytes: &[u8]) -> Examined {
    let description = plugin.description();
    let (blake3, sha256) = digests(bytes);
    Examined {
        detail: PluginDetail {
            version: Shape,
            plugin: Plugin {
                engine: None,
                name: plugin.name().to_owned(),
                role: Some(match plugin.role() {
                    hostler_wasm::Role::Backend => Role::Backend,
                    hostler_wasm::Role::HealthCheck => Role::HealthCheck,
                }),
                plugin_version: Some(description.version.clone()),
                summary: Some(description.summary.clone()),
                origin: plugin.origin().to_owned(),
                state: PluginState::Ok,
                reason: None,
                hint: None,
                digest: Some(blake3),
                revision: None,
                abilities: plugin.abilities().iter().map(ToString::to_string).collect(),
                imports: plugin.permissions(),
                needs: description.needs.iter().map(|(what, why)| Need { what: what.clone(), why: why.clone() }).collect(),
                grants: Default::default(),
                default_grants: false,
                limits: Default::default(),
                counters: Counters::default(),
                used_by: Vec::new(),
                health: hostler_api::PluginHealth::default(),
                upgraded: None,
                note: None,
            },
            config_schema: Some(description.config_schema.clone()),
            settings_schema: Some(description.settings_schema.clone()),
        },
        sha256,
        stanza: stanza(plugin),
    }
}

/// What it imports and what it says it needs, as grants.
fn stanza(plugin: &hostler_wasm::Plugin) -> String {
    let needed = hostler_wasm::needed_by(plugin);
    if needed.is_empty() { String::new() } else { stanza_of(needed, plugin.name()) }
}

/// Nobody listens: what describes itself says nothing beside that.
struct Silence;

impl PluginSink for Silence {
    fn line(&self, _: PluginLine) {}
    fn denied(&self, _: Denial) {}
    fn revealed(&self, _: Reveal) -> bool {
        false
    }
    fn failed(&self, _: &str, _: &str, _: &str, _: &CallError) {}
}

/// Is that capability one that its author speaks of?
pub(super) fn capability(name: &str) -> Option<Capability> {
    Capability::named(name)
}

//! What the configuration says of a plugin, and what of it is kept.

use hostler_api::config::{PluginEntry, Source};
use serde_json::{Value, json};

/// What a configuration says of a plugin, with what the lock beside it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub(crate) entry: PluginEntry,
    /// `blake3:…`, the one component that may be loaded from there.
    pub(crate) locked: Option<String>,
    /// The configuration has it no longer: it stays until its last task is gone.
    pub(crate) leaving: bool,
}

/// As it stands in the store: the words of the configuration.
pub(super) fn stored(named: &Named) -> Value {
    let entry = &named.entry;
    let source = match &entry.source {
        Source::BuiltIn => "built-in".to_owned(),
        Source::File(path) => path.clone(),
    };
    json!({
        "source": source, "digest": entry.digest, "config": entry.config, "grants": entry.grants, "limits": entry.limits,
        "locked": named.locked, "leaving": named.leaving,
    })
}

/// Reads what was stored.
pub(crate) fn read_stored(value: &Value) -> Named {
    let table = |key: &str| value.get(key).filter(|value| !value.is_null()).cloned();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let source = match text("source") {
        Some(path) if path != "built-in" => Source::File(path),
        Some(_) | None => Source::BuiltIn,
    };
    let entry = PluginEntry { source, digest: text("digest"), config: table("config"), grants: table("grants"), limits: table("limits") };
    let leaving = value.get("leaving").and_then(Value::as_bool).unwrap_or_default();
    Named { entry, locked: text("locked"), leaving }
}

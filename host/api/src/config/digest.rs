//! One text for one meaning, and a short name for it.

use std::fmt::Write;

use hostler_core::Spec;
use serde_json::{Value, json};

/// JSON without spaces and with sorted keys, so that equal documents are equal texts.
///
/// ```
/// let value = serde_json::json!({ "b": [1, 2], "a": { "d": null, "c": "x" } });
/// assert_eq!(hostler_api::config::canonical(&value), r#"{"a":{"c":"x","d":null},"b":[1,2]}"#);
/// ```
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            // The map of serde_json keeps the order of writing when any crate of the build asks for it.
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(&Value::String(key.clone()), text);
                text.push(':');
                write_value(value, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            write!(text, "{value}").expect("writing into a string cannot fail");
        }
    }
}

/// Names what a running task is made from: kind, plugin, settings, environment, paths of secrets, resources and labels.
///
/// Two specs with the same digest differ at most in what can change while a task runs (checks, policies, dependencies, replicas).
/// Call it again after changing one of those parts, as [`resolve_paths`](super::resolve_paths) does to the settings.
pub fn task_digest(spec: &Spec) -> String {
    let parts = json!({
        "kind": spec.kind,
        "plugin": spec.backend.plugin,
        "settings": spec.backend.settings,
        "env": spec.env,
        "secrets": spec.secrets,
        "resources": spec.resources,
        "labels": spec.labels,
    });
    format!("blake3:{}", blake3::hash(canonical(&parts).as_bytes()).to_hex())
}

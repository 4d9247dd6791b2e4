//! One text for one meaning, and a short name for it.

use std::fmt::Write;

use hostler_core::{Resources, Spec};
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
    digest(spec, &spec.backend.settings, spec.resources)
}

/// Names the same without what a backend changes while a task runs: the limits of processor and memory, and the settings of which its `schema`
/// says `"x-change": "live"`.
///
/// Two specs with the same one differ at most in what [`task_digest`] leaves out, and in these.
pub fn fixed_digest(spec: &Spec, schema: &Value) -> String {
    let mut settings: Value = serde_json::from_str(&spec.backend.settings).unwrap_or_default();
    if let (Some(settings), Some(properties)) = (settings.as_object_mut(), schema["properties"].as_object()) {
        settings.retain(|key, _| properties.get(key).is_none_or(|property| property["x-change"] != "live"));
    }
    let resources = Resources { cpu_millis: None, memory_bytes: None, ..spec.resources };
    digest(spec, &canonical(&settings), resources)
}

fn digest(spec: &Spec, settings: &str, resources: Resources) -> String {
    let parts = json!({
        "kind": spec.kind,
        "plugin": spec.backend.plugin,
        "settings": settings,
        "env": spec.env,
        "secrets": spec.secrets,
        "resources": resources,
        "labels": spec.labels,
    });
    format!("blake3:{}", blake3::hash(canonical(&parts).as_bytes()).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_core::ServiceName;

    #[test]
    fn what_a_backend_changes_while_a_task_runs_is_left_out() {
        let schema = json!({ "properties": { "level": { "x-change": "live" }, "image": { "x-change": "recreate" } } });
        let of = |settings: &str, memory: u64, storage: u64| {
            let mut spec = Spec::new(ServiceName::new("db").expect("a name"), "docker", settings);
            spec.resources = Resources { cpu_millis: None, memory_bytes: Some(memory), storage_bytes: Some(storage) };
            (task_digest(&spec), fixed_digest(&spec, &schema))
        };
        let (task, fixed) = of(r#"{"image":"a","level":1}"#, 64, 1);
        let (other_task, other_fixed) = of(r#"{"image":"a","level":2}"#, 128, 1);
        assert!(task != other_task && fixed == other_fixed);
        assert_ne!(of(r#"{"image":"b","level":1}"#, 64, 1).1, fixed);
        assert_ne!(of(r#"{"image":"a","level":1}"#, 64, 2).1, fixed);
    }
}

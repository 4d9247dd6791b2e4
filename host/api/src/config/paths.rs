//! Paths in a file mean places beside that file, wherever the host was started.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// Marks a property of a plugin's schema whose value is a path on the host.
const PATH: &str = "x-path";
/// Marks the property that is the directory to work in.
const BASE_DIR: &str = "x-base-dir";
/// No sensible schema is deeper.
const DEEPEST: usize = 32;

/// `path` seen from `base_dir`, without `.` and `..`; `~/` is the home directory of whoever runs this program.
///
/// ```
/// # use std::path::Path;
/// let base = Path::new("/srv/shop");
/// assert_eq!(hostler_api::config::absolute("./bin/api", base), Path::new("/srv/shop/bin/api"));
/// assert_eq!(hostler_api::config::absolute("/bin/sh", base), Path::new("/bin/sh"));
/// ```
pub fn absolute(path: &str, base_dir: &Path) -> PathBuf {
    let whole = match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => base_dir.join(path),
    };
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

/// Makes the paths in a plugin's `settings` absolute, as far as its JSON Schema says which values are paths.
///
/// A property with `"x-path": true` is resolved when it contains a slash or starts with `.` or `~/`: a bare name is a program to look up.
/// A property with `"x-base-dir": true` is always resolved, and is set to `base_dir` when it is absent.
/// Where a list may stand in its place, that is a program with its arguments, and the first item is the path.
/// Lists of paths (`items`) and tables within tables (`properties`) are followed.
pub fn resolve_paths(settings: &mut Value, schema: &Value, base_dir: &Path) {
    resolve(settings, schema, base_dir, DEEPEST);
}

fn resolve(value: &mut Value, schema: &Value, base_dir: &Path, deepest: usize) {
    if deepest == 0 {
        return;
    }
    let marked = |mark: &str| schema.get(mark) == Some(&Value::Bool(true));
    match value {
        Value::String(text) if marked(BASE_DIR) || (marked(PATH) && looks_like_a_path(text)) => {
            *text = absolute(text, base_dir).to_string_lossy().into_owned();
        }
        Value::Array(items) => {
            if let (true, Some(Value::String(program))) = (marked(PATH), items.first_mut())
                && looks_like_a_path(program)
            {
                *program = absolute(program, base_dir).to_string_lossy().into_owned();
            }
            let Some(of_items) = schema.get("items") else { return };
            for item in items {
                resolve(item, of_items, base_dir, deepest - 1);
            }
        }
        Value::Object(map) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, of_property) in properties {
                if of_property.get(BASE_DIR) == Some(&Value::Bool(true)) && !map.contains_key(name) {
                    map.insert(name.clone(), Value::String(base_dir.to_string_lossy().into_owned()));
                } else if let Some(member) = map.get_mut(name) {
                    resolve(member, of_property, base_dir, deepest - 1);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn looks_like_a_path(text: &str) -> bool {
    text.contains('/') || text.starts_with('.')
}

/// Turns texts into the numbers and flags that a plugin's schema asks for, as far as they are exactly that.
///
/// `port = "${DB_PORT:-5432}"` is a text, because every interpolated value is one; a schema that says `"type": "integer"` means 5432.
/// What does not fit is left alone, for the schema to refuse.
pub fn settle_types(settings: &mut Value, schema: &Value) {
    settle(settings, schema, DEEPEST);
}

fn settle(value: &mut Value, schema: &Value, deepest: usize) {
    if deepest == 0 {
        return;
    }
    match value {
        Value::String(text) => {
            let settled = match schema.get("type").and_then(Value::as_str) {
                Some("integer") => text.parse::<i64>().ok().map(Value::from),
                Some("number") => text.parse::<i64>().ok().map(Value::from).or_else(|| text.parse::<f64>().ok().map(Value::from)),
                Some("boolean") => text.parse::<bool>().ok().map(Value::from),
                _ => None,
            };
            // A number that is not finite has become null.
            if let Some(settled) = settled.filter(|settled| !settled.is_null()) {
                *value = settled;
            }
        }
        Value::Array(items) => {
            let Some(of_items) = schema.get("items") else { return };
            for item in items {
                settle(item, of_items, deepest - 1);
            }
        }
        Value::Object(map) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, of_property) in properties {
                if let Some(member) = map.get_mut(name) {
                    settle(member, of_property, deepest - 1);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

//! How much one document may be, before anybody looks closer.

use hostler_core::{Problem, pointer_key};
use serde_json::Value;

/// Bytes of one document.
pub const MAX_DOCUMENT_BYTES: u64 = 16 << 20;
/// Tables and lists within each other.
pub const MAX_DEPTH: usize = 64;
/// Services of one document.
pub const MAX_SERVICES: usize = 50_000;
/// Plugins, and networks, of one document.
pub(crate) const MAX_THINGS: usize = 1_000;

/// Refuses a document that is too deep or too large, or that hides a NUL character. Nothing here recurses.
pub(crate) fn within_limits(document: &Value) -> Result<(), Problem> {
    let mut bytes: u64 = 0;
    let mut open: Vec<(&Value, Step)> = vec![(document, Step { parent: 0, depth: 0, key: Key::None })];
    let mut steps: Vec<Step> = Vec::new();
    while let Some((value, step)) = open.pop() {
        let depth = step.depth;
        steps.push(step);
        let here = steps.len() - 1;
        if depth > MAX_DEPTH {
            return Err(Problem::new(pointer(&steps, here), format!("tables and lists are nested more than {MAX_DEPTH} deep")));
        }
        let down = |key| Step { parent: here, depth: depth + 1, key };
        bytes += match value {
            Value::String(text) => text.len() as u64 + 2,
            Value::Object(map) => map.keys().map(|key| key.len() as u64 + 4).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => 2,
        };
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(
                Problem::new("", format!("the document is larger than {} MiB", MAX_DOCUMENT_BYTES >> 20)).hint("split it, or keep data out of it")
            );
        }
        match value {
            Value::String(text) if text.contains('\0') => {
                return Err(Problem::new(pointer(&steps, here), "a text contains a NUL character").hint("no program can be handed one; remove it"));
            }
            Value::Array(items) => open.extend(items.iter().enumerate().map(|(index, item)| (item, down(Key::Index(index))))),
            Value::Object(map) => {
                if let Some(key) = map.keys().find(|key| key.contains('\0')) {
                    return Err(Problem::new(pointer(&steps, here), format!("the key {key:?} contains a NUL character")));
                }
                open.extend(map.iter().map(|(key, item)| (item, down(Key::Name(key)))));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

/// One step down from `parent`, by its number.
struct Step<'a> {
    parent: usize,
    depth: usize,
    key: Key<'a>,
}

enum Key<'a> {
    None,
    Index(usize),
    Name(&'a str),
}

fn pointer(steps: &[Step<'_>], mut at: usize) -> String {
    let mut keys = Vec::new();
    while at != 0 {
        keys.push(match steps[at].key {
            Key::None => String::new(),
            Key::Index(index) => index.to_string(),
            Key::Name(name) => pointer_key(name),
        });
        at = steps[at].parent;
    }
    keys.iter().rev().map(|key| format!("/{key}")).collect()
}

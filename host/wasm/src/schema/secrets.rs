//! Which parts of settings are secrets: where the schema says `x-secret`, however it gets there.

use hostler_core::pointer_key;
use serde_json::{Map, Value};

/// The mark.
pub(crate) const MARK: &str = "x-secret";
/// Steps through one schema. One that wants more has lost its way: then all of the settings are secrets.
const MOST: u32 = 20_000;
/// References and alternatives within one another, at one place of the settings.
const DEEPEST: u32 = 16;

/// The places of all secrets, as JSON pointers; the whole when the schema cannot be followed.
pub(crate) fn places(schema: &Value, settings: &Value) -> Vec<String> {
    let mut walk = Walk { root: schema, left: MOST, found: Vec::new() };
    if walk.at(schema, settings, String::new(), DEEPEST).is_none() {
        return vec![String::new()];
    }
    walk.found
}

struct Walk<'a> {
    root: &'a Value,
    left: u32,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Nothing when there were too many steps.
    fn at(&mut self, schema: &'a Value, value: &Value, place: String, deeper: u32) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let Some(schema) = schema.as_object() else { return Some(()) };
        if schema.get(MARK) == Some(&Value::Bool(true)) {
            self.found.push(place);
            return Some(());
        }
        for same in self.of_the_same(schema) {
            self.at(same, value, place.clone(), deeper.checked_sub(1)?)?;
        }
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    for schema in of_key(schema, key) {
                        self.at(schema, inner, format!("{place}/{}", pointer_key(key)), DEEPEST)?;
                    }
                }
            }
            Value::Array(items) => {
                for (index, inner) in items.iter().enumerate() {
                    let own = schema.get("prefixItems").and_then(|items| items.get(index));
                    for schema in own.or_else(|| schema.get("items")).into_iter().chain(schema.get("contains")) {
                        self.at(schema, inner, format!("{place}/{index}"), DEEPEST)?;
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Schemas of the very same value.
    fn of_the_same(&self, schema: &'a Map<String, Value>) -> Vec<&'a Value> {
        let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
        let single = ["if", "then", "else"].into_iter().filter_map(|key| schema.get(key));
        let referred = ["$ref", "$dynamicRef"].into_iter().filter_map(|key| self.root.pointer(schema.get(key)?.as_str()?.strip_prefix('#')?));
        lists.chain(single).chain(referred).collect()
    }
}

/// Schemas of what stands under a key. Patterns are not compared: one too many hides one value too many.
fn of_key<'a>(schema: &'a Map<String, Value>, key: &str) -> Vec<&'a Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(key));
    let patterns = schema.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(|patterns| patterns.values());
    let others = ["additionalProperties", "unevaluatedProperties"].into_iter().filter(|_| named.is_none()).filter_map(|key| schema.get(key));
    named.into_iter().chain(patterns).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mark_is_found_however_the_schema_gets_there() {
        let settings = json!({ "a": { "b": ["x", "y"] }, "c/d": "z" });
        let check = |schema: Value, expected: &[&str]| assert_eq!(places(&schema, &settings), expected, "{schema}");
        let secret = json!({ "x-secret": true });
        check(json!({ "properties": { "a": secret } }), &["/a"]);
        check(json!({ "properties": { "c/d": secret } }), &["/c~1d"]);
        check(json!({ "properties": { "a": { "properties": { "b": { "items": secret } } } } }), &["/a/b/0", "/a/b/1"]);
        check(json!({ "properties": { "a": { "properties": { "b": { "prefixItems": [{}, secret] } } } } }), &["/a/b/1"]);
        check(json!({ "additionalProperties": { "$ref": "#/$defs/s" }, "$defs": { "s": secret } }), &["/a", "/c~1d"]);
        check(json!({ "oneOf": [{ "properties": { "a": { "anyOf": [{}, secret] } } }] }), &["/a"]);
        check(json!({ "if": {}, "then": { "patternProperties": { "^c": secret } } }), &["/a", "/c~1d"]);
        check(json!({ "properties": { "a": { "x-secret": false } } }), &[]);
        check(json!({}), &[]);
    }

    #[test]
    fn a_schema_that_cannot_be_followed_hides_everything() {
        let turns: Vec<Value> = (0..10).map(|_| json!({ "$ref": "#" })).collect();
        assert_eq!(places(&json!({ "anyOf": turns }), &json!({ "a": 1 })), [""]);
        assert_eq!(places(&json!({ "$ref": "#" }), &json!({ "a": 1 })), [""]);
    }
}

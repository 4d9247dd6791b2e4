//! JSON Schemas of plugins, applied to what people wrote: every problem at its place, with a hint.

use hostler_core::{closest, pointer_key};
use serde_json::Value;

use crate::words::Problem;

pub(crate) mod secrets;

/// One compiled schema.
pub(crate) struct Schema {
    document: Value,
    validator: jsonschema::Validator,
    has_secrets: bool,
}

/// Most problems reported of one document.
const MAX_PROBLEMS: usize = 64;

impl Schema {
    /// Compiles a schema. It must describe an object, and may refer only to itself.
    pub(crate) fn compile(document: Value) -> Result<Schema, String> {
        if !document.is_object() {
            return Err("it is not a JSON object".to_owned());
        }
        let validator = jsonschema::validator_for(&document).map_err(|error| error.to_string())?;
        let has_secrets = document.to_string().contains(secrets::MARK);
        Ok(Schema { document, validator, has_secrets })
    }

    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// Every problem of `value`, in the document's order.
    pub(crate) fn problems(&self, value: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        let secrets = if self.has_secrets { secrets::places(&self.document, value) } else { Vec::new() };
        for error in self.validator.iter_errors(value).take(MAX_PROBLEMS) {
            self.report(&error, value, &secrets, &mut problems);
        }
        problems
    }

    /// `value` with the schema's defaults where it says nothing.
    pub(crate) fn with_defaults(&self, value: &Value) -> Value {
        let mut filled = value.clone();
        fill(&self.document, &mut filled);
        filled
    }

    fn report(&self, error: &jsonschema::ValidationError<'_>, value: &Value, secrets: &[String], problems: &mut Vec<Problem>) {
        use jsonschema::error::ValidationErrorKind as Kind;
        let at = error.instance_path().as_str().to_owned();
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let known = self.known_keys(error.schema_path().as_str());
                for key in unexpected {
                    problems.push(Problem {
                        at: format!("{at}/{}", pointer_key(key)),
                        message: format!("unknown key `{key}`"),
                        hint: hint(key, &known),
                    });
                }
            }
            // `additionalProperties: false` without any property is told, once per key, as a schema that allows nothing
            Kind::FalseSchema if error.schema_path().as_str().ends_with("/additionalProperties") => {
                let object = value.pointer(&at).and_then(Value::as_object);
                for key in object.into_iter().flat_map(|object| object.keys()) {
                    let problem = Problem { at: format!("{at}/{}", pointer_key(key)), message: format!("unknown key `{key}`"), hint: hint(key, &[]) };
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                problems.push(Problem { at, message: format!("`{key}` is missing"), hint: None });
            }
            _ => {
                let secret = secrets.iter().any(|place| at == *place || at.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with('/')));
                // an object or a list may hold secrets further down
                let whole = error.instance().is_object() || error.instance().is_array();
                let message = match (secret, whole) {
                    (true, _) => "the value does not fit (not shown: it is a secret)".to_owned(),
                    (false, true) => error.masked().to_string(),
                    (false, false) => error.to_string(),
                };
                problems.push(Problem { at, message, hint: None });
            }
        }
    }

    /// The keys that the object schema around a keyword knows.
    fn known_keys(&self, keyword: &str) -> Vec<String> {
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        let properties = self.document.pointer(&format!("{parent}/properties"));
        properties.and_then(Value::as_object).map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// Does it mark anything as a secret?
    pub(crate) fn has_secrets(&self) -> bool {
        self.has_secrets
    }

    /// `value` with each secret replaced by a text that is another one for each.
    pub(crate) fn concealed(&self, value: &Value) -> Value {
        let mut concealed = value.clone();
        for place in secrets::places(&self.document, value) {
            if let Some(secret) = concealed.pointer_mut(&place) {
                *secret = Value::String(format!("a secret {}", blake3::hash(secret.to_string().as_bytes())));
            }
        }
        concealed
    }
}

fn hint(key: &str, known: &[String]) -> Option<String> {
    if known.is_empty() {
        return Some("no keys are known here".to_owned());
    }
    Some(match closest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys: {}", known.join(", ")),
    })
}

fn fill(schema: &Value, value: &mut Value) {
    if let (Some(properties), Some(object)) = (schema.get("properties").and_then(Value::as_object), value.as_object_mut()) {
        for (key, property) in properties {
            if let (None, Some(default)) = (object.get(key), property.get("default")) {
                object.insert(key.clone(), default.clone());
            }
            // a default may leave out what has a default of its own
            if let Some(inner) = object.get_mut(key) {
                fill(property, inner);
            }
        }
    }
    if let (Some(items), Some(array)) = (schema.get("items"), value.as_array_mut()) {
        for inner in array {
            fill(items, inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_default_is_filled_in_like_what_somebody_wrote() {
        let limits = json!({ "type": "object", "properties": { "cpu": { "default": 1 } }, "default": {} });
        let schema = Schema::compile(json!({ "type": "object", "properties": { "limits": limits } })).expect("a schema");
        assert_eq!(schema.with_defaults(&json!({})), json!({ "limits": { "cpu": 1 } }));
    }

    #[test]
    fn a_secret_is_concealed_and_still_another_one_when_it_changes() {
        let document = json!({ "properties": { "pin": { "$ref": "#/$defs/pin" } }, "$defs": { "pin": { "type": "string", "x-secret": true } } });
        let schema = Schema::compile(document).expect("a schema");
        let concealed = |pin: &str| schema.concealed(&json!({ "pin": pin, "mode": "fast" }));
        assert_eq!(concealed("one")["mode"], "fast");
        assert!(!concealed("one").to_string().contains("one") && concealed("one") == concealed("one") && concealed("one") != concealed("two"));
        let problems = schema.problems(&json!({ "pin": 4711 }));
        assert!(problems.len() == 1 && !problems[0].message.contains("4711"), "a reference hides nothing: {}", problems[0].message);
    }

    fn schema() -> Schema {
        Schema::compile(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["binary"],
            "additionalProperties": false,
            "properties": {
                "binary": { "type": "string", "minLength": 1 },
                "args": { "type": "array", "items": { "type": "string" }, "default": [] },
                "token": { "type": "string", "pattern": "^[a-z]+$", "x-secret": true },
                "limits": { "type": "object", "additionalProperties": false, "properties": { "soft": { "type": "integer", "default": 3 } } }
            }
        }))
        .expect("compiles")
    }

    fn check(value: &Value, expected: &[(&str, &str, Option<&str>)]) {
        let problems = schema().problems(value);
        let found: Vec<_> = problems.iter().map(|p| (p.at.as_str(), p.message.as_str(), p.hint.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_problem_has_its_place() {
        check(&json!({"binary": "x"}), &[]);
        check(&json!({}), &[("", "`binary` is missing", None)]);
        check(&json!({"binary": "x", "agrs": []}), &[("/agrs", "unknown key `agrs`", Some("did you mean `args`?"))]);
        check(&json!({"binary": "x", "limits": {"so/ft": 1}}), &[("/limits/so~1ft", "unknown key `so/ft`", Some("did you mean `soft`?"))]);
        check(&json!({"binary": 7}), &[("/binary", "7 is not of type \"string\"", None)]);
        check(
            &json!({"binary": "x", "completely-else": 1}),
            &[("/completely-else", "unknown key `completely-else`", Some("known keys: args, binary, limits, token"))],
        );
    }

    #[test]
    fn where_no_key_is_known_every_key_is_unknown() {
        let schema = Schema::compile(json!({"type": "object", "additionalProperties": false})).expect("compiles");
        let problems = schema.problems(&json!({"colour/tone": "red", "size": 2}));
        assert_eq!(problems.len(), 2);
        assert_eq!((problems[0].at.as_str(), problems[0].message.as_str()), ("/colour~1tone", "unknown key `colour/tone`"));
    }

    #[test]
    fn secrets_are_never_shown() {
        let problems = schema().problems(&json!({"binary": "x", "token": "CANARY-1"}));
        assert_eq!(problems.len(), 1);
        assert!(!problems[0].message.contains("CANARY"), "{}", problems[0].message);
    }

    #[test]
    fn defaults_are_filled_in() {
        let filled = schema().with_defaults(&json!({"binary": "x", "limits": {}}));
        assert_eq!(filled, json!({"binary": "x", "limits": {"soft": 3}, "args": []}));
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        assert!(Schema::compile(json!(true)).is_err());
        assert!(Schema::compile(json!({"type": 7})).is_err());
        assert!(Schema::compile(json!({"$ref": "https://example.com/other.json"})).is_err());
    }
}

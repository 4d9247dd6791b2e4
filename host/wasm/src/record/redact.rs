//! Takes secrets out of what is kept.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::secrets::places;
use crate::text::{find, replaced};

/// Stands where a secret stood; the same everywhere, so that what was equal stays equal.
pub const REDACTED: &str = "[redacted]";

/// Shorter texts are found in too many places; they are replaced where they stand alone.
const SHORT: usize = 4;

/// Texts that must not be kept.
#[derive(Debug, Default)]
pub struct Redactor(BTreeSet<String>);

impl Redactor {
    /// Learns the values of every setting that its schema marks `x-secret`.
    pub(crate) fn learn(&mut self, schema: &Value, settings: &Value) {
        for secret in places(schema, settings).iter().filter_map(|place| settings.pointer(place)) {
            self.learn_all(secret);
        }
    }

    /// Every text of a value is a secret.
    pub fn learn_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.learn_text(text),
            Value::Number(number) => {
                self.0.insert(number.to_string());
            }
            Value::Array(items) => match text_of(items) {
                Some(text) if !text.is_empty() => {
                    self.0.insert(text);
                }
                _ => items.iter().for_each(|item| self.learn_all(item)),
            },
            Value::Object(fields) => fields.values().for_each(|value| self.learn_all(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// This text is a secret.
    pub(super) fn learn_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.0.insert(text.to_owned());
        // as it stands inside a JSON document
        let quoted = Value::String(text.to_owned()).to_string();
        self.0.insert(quoted[1..quoted.len() - 1].to_owned());
    }

    /// Was nothing learned?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value without what was learned.
    pub fn take_out(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => match bytes_of(&items) {
                Some(bytes) => {
                    let redacted = self.bytes(bytes.clone());
                    if redacted == bytes { Value::Array(items) } else { redacted.into_iter().map(Value::from).collect() }
                }
                None => items.into_iter().map(|item| self.take_out(item)).collect(),
            },
            Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (self.text(key), self.take_out(value))).collect()),
            other => other,
        }
    }

    fn text(&self, text: String) -> String {
        String::from_utf8(self.bytes(text.into_bytes())).expect("text with parts of it replaced by text")
    }

    fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        // the longest first: one may be a part of another
        let mut found: Vec<&[u8]> = self.0.iter().map(String::as_bytes).filter(|secret| find(&bytes, secret).is_some()).collect();
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.into_iter().fold(bytes, |bytes, secret| match secret.len() < SHORT {
            true if bytes == secret => REDACTED.as_bytes().to_vec(),
            true => bytes,
            false => replaced(&bytes, secret, REDACTED.as_bytes(), usize::MAX).unwrap_or_default(),
        })
    }
}

/// A list of bytes.
fn bytes_of(items: &[Value]) -> Option<Vec<u8>> {
    if items.is_empty() {
        return None;
    }
    items.iter().map(|item| item.as_u64().and_then(|number| u8::try_from(number).ok())).collect()
}

/// A list of bytes that is text.
fn text_of(items: &[Value]) -> Option<String> {
    String::from_utf8(bytes_of(items)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_nowhere() {
        let mut secrets = Redactor::default();
        let schema = json!({ "properties": { "token": { "x-secret": true }, "name": {} } });
        secrets.learn(&schema, &json!({ "token": "hunter\"2", "name": "web" }));
        let settings = json!({ "token": "hunter\"2" }).to_string();
        let kept = secrets.take_out(json!({ "settings": settings, "env": [["T", "hunter\"2"]], "stdin": b"say hunter\"2 twice", "name": "web" }));
        let text = kept.to_string();
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("web") && text.contains(REDACTED), "{text}");
        let stdin: Vec<u8> = serde_json::from_value(kept["stdin"].clone()).expect("bytes");
        assert_eq!(stdin, b"say [redacted] twice");
        let mixed = secrets.take_out(json!(b"\xff hunter\"2 \xfe"));
        assert_eq!(mixed, json!(b"\xff [redacted] \xfe"), "bytes that are no text have it no more");
    }

    #[test]
    fn a_short_secret_stays_a_part_of_other_words() {
        let mut secrets = Redactor::default();
        secrets.learn_all(&json!("a"));
        assert_eq!(secrets.take_out(json!(["banana", "a"])), json!(["banana", REDACTED]));
    }
}

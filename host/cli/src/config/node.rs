//! A document as it was written: every value and every key with its place in the text.

use std::collections::HashMap;
use std::ops::Range;

use hostler_core::{Problem, pointer_key};
use serde_json::{Map, Value};

use super::problems::Finding;

pub(crate) use hostler_yaml::{Data, Key, MOST_VALUES, Node};

/// Tables and lists within each other, as the API's own limit.
pub(crate) const MAX_DEPTH: usize = hostler_api::config::MAX_DEPTH;
const _: () = assert!(MAX_DEPTH == hostler_yaml::MAX_DEPTH, "a document in YAML may be as deep as any other");

/// Complains about more than [`MOST_VALUES`].
pub(crate) fn too_many_values(span: Range<usize>) -> Finding {
    Finding::at(span, Problem::new("", format!("the document has more than {MOST_VALUES} values")))
}

/// Where each value of a document was written, by JSON pointer.
#[derive(Debug, Clone, Default)]
pub struct Spans(HashMap<String, Span>);

/// Where one value was written, in bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its key, unless it is an item of a list or the document.
    pub key: Option<Range<usize>>,
    /// The value itself.
    pub value: Range<usize>,
    /// Is it a table or a list, which is shown by its key?
    pub holds_others: bool,
}

impl Spans {
    /// The place of `pointer`, or of the nearest value around it that was written: what is missing is missing there.
    pub fn nearest(&self, pointer: &str) -> Option<(&Span, bool)> {
        let mut at = pointer;
        loop {
            if let Some(span) = self.0.get(at) {
                return Some((span, at.len() == pointer.len()));
            }
            at = &at[..at.rfind('/')?];
        }
    }

    /// The place of exactly `pointer`.
    pub fn get(&self, pointer: &str) -> Option<&Span> {
        self.0.get(pointer)
    }
}

/// Takes a document apart into plain JSON and the places of its values; keys written twice are reported, and the first one stays.
pub(crate) fn flatten(node: Node, findings: &mut Vec<Finding>) -> (Value, Spans) {
    let mut spans = Spans::default();
    let value = flatten_one(node, None, String::new(), &mut spans, findings);
    (value, spans)
}

fn flatten_one(node: Node, key: Option<Range<usize>>, at: String, spans: &mut Spans, findings: &mut Vec<Finding>) -> Value {
    let holds_others = matches!(node.data, Data::List(_) | Data::Table(_));
    let value = match node.data {
        Data::Null => Value::Null,
        Data::Flag(flag) => Value::Bool(flag),
        Data::Number(number) => Value::Number(number),
        Data::Text(text) => Value::String(text),
        Data::List(items) => {
            items.into_iter().enumerate().map(|(index, item)| flatten_one(item, None, format!("{at}/{index}"), spans, findings)).collect()
        }
        Data::Table(members) => {
            let mut map = Map::new();
            for (key, member) in members {
                let below = format!("{at}/{}", pointer_key(&key.text));
                if map.contains_key(&key.text) {
                    findings.push(written_twice(&key, below, spans));
                    continue;
                }
                let value = flatten_one(member, Some(key.span), below, spans, findings);
                map.insert(key.text, value);
            }
            Value::Object(map)
        }
    };
    spans.0.insert(at, Span { key, value: node.span, holds_others });
    value
}

fn written_twice(key: &Key, at: String, spans: &Spans) -> Finding {
    let first = spans.0.get(&at).and_then(|span| span.key.clone());
    let problem = Problem::new(at, format!("the key `{}` is written twice", key.text)).hint("keep one of the two");
    Finding { problem, span: Some(key.span.clone()), first }
}

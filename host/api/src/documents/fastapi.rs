//! Requests read as FastAPI reads them, and refused as it refuses them: status 422, and every mistake at its place in `detail`.
//!
//! Types are as lenient as pydantic's: `"2"`, `2.0` and `true` are numbers where they can be, `"yes"` and `1` are truths, and a field that nobody
//! knows is passed over.

use std::collections::BTreeMap;

use hostler_core::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One mistake in a request.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Mistake {
    /// What kind, in one word.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where: `body` or `query`, and then key by key.
    pub loc: Vec<Value>,
    /// For people.
    pub msg: String,
    /// What stands there.
    pub input: Value,
    /// What the sentence speaks of; in a box, because most mistakes have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Box<Value>>,
}

/// The answer to a request with mistakes, or to one that could not be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Refused{D}")]
pub struct Refused<D> {
    /// A sentence, or every mistake.
    pub detail: D,
}

/// Whichever of the two it is, for whoever reads both.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Detail {
    /// Why, for people.
    Sentence(String),
    /// Every mistake.
    Mistakes(Vec<Mistake>),
}

/// A body, or a table in it, while it is read.
#[derive(Debug)]
pub struct Fields {
    whole: Value,
    loc: Vec<Value>,
    mistakes: Vec<Mistake>,
}

impl Fields {
    /// The fields of a body.
    ///
    /// # Errors
    /// It is empty, no JSON, or no object.
    pub fn of_body(bytes: &[u8]) -> Result<Fields, Vec<Mistake>> {
        let loc = vec![json!("body")];
        if bytes.is_empty() {
            return Err(vec![missing(loc, Value::Null)]);
        }
        let whole = serde_json::from_slice(bytes).map_err(|error| vec![no_json(bytes, &error)])?;
        Fields::of(whole, loc).map_err(|mistake| vec![mistake])
    }

    fn of(whole: Value, loc: Vec<Value>) -> Result<Fields, Mistake> {
        if whole.is_object() {
            return Ok(Fields { whole, loc, mistakes: Vec::new() });
        }
        let msg = "Input should be a valid dictionary or object to extract fields from".to_owned();
        Err(Mistake { kind: "model_attributes_type", loc, msg, input: whole, ctx: None })
    }

    /// A text that must be there; an empty one when it is not.
    pub fn text(&mut self, key: &str) -> String {
        let Some(value) = self.required(key) else { return String::new() };
        let read = text(&value, self.at(key));
        self.read(read)
    }

    /// A whole number between bounds, both included.
    pub fn number(&mut self, key: &str, default: Option<u32>, least: u32, most: u32) -> u32 {
        let value = match (self.whole.get(key).cloned(), default) {
            (Some(value), _) => value,
            (None, Some(default)) => return default,
            (None, None) => return self.required(key).map_or(0, |_| 0),
        };
        let read = number(&value, least, most, self.at(key));
        self.read(read)
    }

    /// A truth, `default` when nothing is said.
    pub fn truth(&mut self, key: &str, default: bool) -> bool {
        let Some(value) = self.whole.get(key).cloned() else { return default };
        let read = truth(&value, self.at(key));
        self.read(read)
    }

    /// One of these words, the first when nothing is said and it may be left out.
    pub fn one_of(&mut self, key: &str, words: &[&'static str], required: bool) -> &'static str {
        let value = if required { self.required(key) } else { self.whole.get(key).cloned() };
        let Some(value) = value else { return words[0] };
        if let Some(word) = words.iter().find(|word| value == **word) {
            return word;
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let expected = quoted.join(" or ");
        let mistake = Mistake {
            kind: "literal_error",
            loc: self.at(key),
            msg: format!("Input should be {expected}"),
            input: value,
            ctx: Some(Box::new(json!({ "expected": expected }))),
        };
        self.mistakes.push(mistake);
        words[0]
    }

    /// Texts by name; none when nothing is said.
    pub fn texts(&mut self, key: &str) -> BTreeMap<String, String> {
        self.each(key, text)
    }

    /// Ports by name, from 0; none when nothing is said.
    pub fn ports(&mut self, key: &str) -> BTreeMap<String, u16> {
        self.each(key, |value, loc| Ok(u16::try_from(number(value, 0, u32::from(u16::MAX), loc)?).unwrap_or(u16::MAX)))
    }

    /// The fields of a table that must be there.
    pub fn table(&mut self, key: &str) -> Option<Fields> {
        let value = self.required(key)?;
        Fields::of(value, self.at(key)).map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// Takes over what was wrong in a table of this one.
    pub fn take_over(&mut self, table: Fields) {
        self.mistakes.extend(table.mistakes);
    }

    /// A mistake in what several fields say together.
    pub fn doubt(&mut self, what: &str) {
        self.mistakes.push(Mistake {
            kind: "value_error",
            loc: self.loc.clone(),
            msg: format!("Value error, {what}"),
            input: self.whole.clone(),
            ctx: None,
        });
    }

    /// Is anything wrong so far?
    pub fn is_fine(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// What was read, when nothing was wrong.
    ///
    /// # Errors
    /// Every mistake.
    pub fn done<T>(self, read: T) -> Result<T, Vec<Mistake>> {
        if self.mistakes.is_empty() { Ok(read) } else { Err(self.mistakes) }
    }

    fn at(&self, key: &str) -> Vec<Value> {
        self.loc.iter().cloned().chain([json!(key)]).collect()
    }

    fn required(&mut self, key: &str) -> Option<Value> {
        let value = self.whole.get(key).cloned();
        if value.is_none() {
            self.mistakes.push(missing(self.at(key), self.whole.clone()));
        }
        value
    }

    fn read<T: Default>(&mut self, read: Result<T, Mistake>) -> T {
        read.map_err(|mistake| self.mistakes.push(mistake)).unwrap_or_default()
    }

    fn each<T>(&mut self, key: &str, read: impl Fn(&Value, Vec<Value>) -> Result<T, Mistake>) -> BTreeMap<String, T> {
        let table: Map<String, Value> = match self.whole.get(key).cloned() {
            None => return BTreeMap::new(),
            Some(Value::Object(table)) => table,
            Some(other) => {
                let msg = "Input should be a valid dictionary".to_owned();
                self.mistakes.push(Mistake { kind: "dict_type", loc: self.at(key), msg, input: other, ctx: None });
                return BTreeMap::new();
            }
        };
        let mut found = BTreeMap::new();
        for (name, value) in table {
            let loc = self.at(key).into_iter().chain([json!(name)]).collect();
            match read(&value, loc) {
                Ok(value) => drop(found.insert(name, value)),
                Err(mistake) => self.mistakes.push(mistake),
            }
        }
        found
    }
}

/// A truth in a query: the last one of that name counts, and another name is passed over.
///
/// # Errors
/// It is none.
pub fn truth_of_query(pairs: &[(String, String)], key: &str, default: bool) -> Result<bool, Vec<Mistake>> {
    let Some((_, text)) = pairs.iter().rev().find(|(name, _)| name == key) else { return Ok(default) };
    truth(&json!(text), vec![json!("query"), json!(key)]).map_err(|mistake| vec![mistake])
}

/// A mistake that was found behind the types: `at` is a JSON pointer into the body.
pub fn of_problem(problem: &Problem, at: &str, body: &Value) -> Mistake {
    let keys = at.split('/').filter(|key| !key.is_empty()).map(|key| json!(key.replace("~1", "/").replace("~0", "~")));
    let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
    Mistake {
        kind: "value_error",
        loc: [json!("body")].into_iter().chain(keys).collect(),
        msg: format!("Value error, {}{hint}", problem.message),
        input: body.pointer(at).cloned().unwrap_or_default(),
        ctx: None,
    }
}

fn missing(loc: Vec<Value>, input: Value) -> Mistake {
    Mistake { kind: "missing", loc, msg: "Field required".to_owned(), input, ctx: None }
}

/// Where the reader gave up, counted in bytes from the beginning.
fn no_json(bytes: &[u8], error: &serde_json::Error) -> Mistake {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let before: usize = lines.map(<[u8]>::len).sum();
    let at = (before + error.column().saturating_sub(1)).min(bytes.len());
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or(&text);
    Mistake {
        kind: "json_invalid",
        loc: vec![json!("body"), json!(at)],
        msg: "JSON decode error".to_owned(),
        input: json!({}),
        ctx: Some(Box::new(json!({ "error": why }))),
    }
}

fn text(value: &Value, loc: Vec<Value>) -> Result<String, Mistake> {
    let wrong = || Mistake { kind: "string_type", loc, msg: "Input should be a valid string".to_owned(), input: value.clone(), ctx: None };
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

fn number(value: &Value, least: u32, most: u32, loc: Vec<Value>) -> Result<u32, Mistake> {
    let wrong = |kind, msg: &str, loc| Mistake { kind, loc, msg: msg.to_owned(), input: value.clone(), ctx: None };
    let found = match value {
        Value::Bool(truth) => i64::from(*truth),
        Value::Number(number) => match whole(number) {
            Some(number) => number,
            None => return Err(wrong("int_from_float", "Input should be a valid integer, got a number with a fractional part", loc)),
        },
        Value::String(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return Err(wrong("int_parsing", "Input should be a valid integer, unable to parse string as an integer", loc)),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(wrong("int_type", "Input should be a valid integer", loc)),
    };
    let beyond = |kind, words: &str, key: &str, bound: u32, loc| Mistake {
        kind,
        loc,
        msg: format!("Input should be {words} than or equal to {bound}"),
        input: value.clone(),
        ctx: Some(Box::new(json!({ key: bound }))),
    };
    match u32::try_from(found) {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ if found < i64::from(least) => Err(beyond("greater_than_equal", "greater", "ge", least, loc)),
        _ => Err(beyond("less_than_equal", "less", "le", most, loc)),
    }
}

/// A number without a fraction; what no `i64` holds is as far away as one can be.
fn whole(number: &serde_json::Number) -> Option<i64> {
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    if number.is_u64() {
        return Some(i64::MAX);
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond the bounds of an i64 becomes its bound")]
    Some(float as i64)
}

fn truth(value: &Value, loc: Vec<Value>) -> Result<bool, Mistake> {
    let found = match value {
        Value::Bool(truth) => return Ok(*truth),
        Value::Number(number) if number.as_f64().is_some_and(|float| float.fract() == 0.0) => whole(number).and_then(|number| match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => None,
        },
        Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
            let msg = "Input should be a valid boolean".to_owned();
            return Err(Mistake { kind: "bool_type", loc, msg, input: value.clone(), ctx: None });
        }
    };
    found.ok_or_else(|| {
        let msg = "Input should be a valid boolean, unable to interpret input".to_owned();
        Mistake { kind: "bool_parsing", loc, msg, input: value.clone(), ctx: None }
    })
}

#[cfg(test)]
mod tests;

//! Reading settings: every mistake at its JSON pointer.

mod argv;

pub use argv::{Argv, words};

use crate::Problem;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde_json::Value;
use std::fmt;

/// No file has more mistakes than a person reads at once.
const MANY: usize = 20;

/// Reads settings into the plugin's own type.
///
/// Put `#[serde(deny_unknown_fields)]` on it: each unknown key then becomes a [`Problem`] at its own pointer (rule B2 of the
/// contract), several at once, beside the first wrong or missing value.
///
/// ```
/// use hostler_sdk::settings;
///
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings { binary: String }
///
/// let problems = settings::parse::<Settings>(r#"{"binary": "/bin/true", "ars": ["-x"]}"#).unwrap_err();
/// assert_eq!(problems[0].at, "/ars");
/// assert_eq!(problems[0].message, "unknown key `ars`");
/// ```
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Vec<Problem>> {
    let mut document: Value = serde_json::from_str(json).map_err(|error| vec![Problem::new("", format!("not JSON: {error}"))])?;
    let mut problems = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&document) {
            Ok(settings) if problems.is_empty() => return Ok(settings),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let mut at = pointer(error.path());
        let problem = problem(&mut at, &error.inner().to_string());
        let unknown_key = problem.message.starts_with("unknown key");
        problems.push(problem);
        // with the unknown key taken out, the next mistake shows
        if problems.len() == MANY || !unknown_key || !remove(&mut document, &at) {
            return Err(problems);
        }
    }
}

/// Says in the user's words what serde says in Rust's.
fn problem(at: &mut String, message: &str) -> Problem {
    if let Some((key, rest)) = quoted(message, "unknown field `") {
        // the path ends at the key or at the object around it, depending on where serde stopped
        if !at.ends_with(&format!("/{}", pointer_key(key))) {
            *at = format!("{at}/{}", pointer_key(key));
        }
        let problem = Problem::new(at.as_str(), format!("unknown key `{key}`"));
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        return if known.is_empty() { problem } else { problem.hint(format!("known keys: {}", known.join(", "))) };
    }
    if let Some((key, _)) = quoted(message, "missing field `") {
        return Problem::new(at.as_str(), format!("`{key}` is missing"));
    }
    Problem::new(at.as_str(), message)
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    message.strip_prefix(before)?.split_once('`')
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", pointer_key(key))),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// A key as a segment of a JSON pointer (RFC 6901), for the place of a [`Problem`].
pub fn pointer_key(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn remove(document: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    let Some(Value::Object(object)) = document.pointer_mut(parent) else { return false };
    object.remove(&key).is_some()
}

/// A string that a person may also have written as a whole number or as `true`: an argument, an environment value.
///
/// A fraction is refused: what was `1.10` in the file would arrive as `1.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl<'de> de::Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string (put it in quotes)")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Text, E> {
                Ok(Text(text))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        binary: String,
        #[serde(default)]
        args: Vec<Text>,
        #[serde(default)]
        env: BTreeMap<String, Text>,
        limits: Option<Limits>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        files: Option<u32>,
    }

    fn check(json: &str, expected: &[(&str, &str)]) {
        let problems = parse::<Settings>(json).expect_err("the document has mistakes");
        let found: Vec<_> = problems.iter().map(|problem| (problem.at.as_str(), problem.message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_unknown_key_is_named_at_its_place() {
        check(
            r#"{"binary": "x", "ars": [], "limits": {"file/s": 3}, "~": 1}"#,
            &[("/ars", "unknown key `ars`"), ("/limits/file~1s", "unknown key `file/s`"), ("/~0", "unknown key `~`")],
        );
    }

    #[test]
    fn an_unknown_key_does_not_hide_a_wrong_value() {
        check(r#"{"a": 1, "binary": 7}"#, &[("/a", "unknown key `a`"), ("/binary", "invalid type: integer `7`, expected a string")]);
    }

    #[test]
    fn a_missing_key_is_named() {
        check(r#"{}"#, &[("", "`binary` is missing")]);
    }

    #[test]
    fn a_fraction_is_refused_where_text_is_meant() {
        check(r#"{"binary": "x", "args": ["a", 1.10]}"#, &[("/args/1", "invalid type: floating point `1.1`, expected a string (put it in quotes)")]);
    }

    #[test]
    fn no_json_is_one_problem_of_the_whole() {
        let problems = parse::<Settings>("{").expect_err("it is cut off");
        assert_eq!((problems.len(), problems[0].at.as_str()), (1, ""));
    }

    #[test]
    fn numbers_and_flags_read_as_text() {
        let settings: Settings = parse(r#"{"binary": "x", "args": [8080, true, "-v"], "env": {"PORT": 80}}"#).expect("all of it is text");
        assert_eq!(settings.args, [Text("8080".into()), Text("true".into()), Text("-v".into())]);
        assert_eq!(settings.env["PORT"], Text("80".into()));
    }

    #[test]
    fn a_flood_of_mistakes_is_cut() {
        let keys: Vec<String> = (0..500).map(|n| format!(r#""k{n}": 1"#)).collect();
        let problems = parse::<Settings>(&format!("{{{}}}", keys.join(","))).expect_err("500 unknown keys");
        assert_eq!(problems.len(), MANY);
    }
}

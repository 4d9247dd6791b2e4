//! Files of services, and files of variables.

use std::path::Path;

use hostler::config::{ConfigError, Loaded, Look};
use hostler::door;
use serde_json::{Map, Value};

/// Larger inputs find nothing that smaller ones do not, and take long.
const LONGEST: usize = 16 << 10;

/// The first byte says which format, the rest is the text.
pub(crate) fn spec(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if text.len() > LONGEST {
        return;
    }
    match read(text, ["a.toml", "a.yaml", "a.json"][usize::from(*first) % 3]) {
        Ok(loaded) => means_the_same_in_other_words(&loaded),
        Err(error) => says_what_and_where(&error, text),
    }
}

fn read(text: &str, name: &str) -> Result<Loaded, ConfigError> {
    let environment = |name: &str| match name {
        "SET" => Some("a $value ${SET}".to_owned()),
        "EMPTY" => Some(String::new()),
        "N" => Some("3".to_owned()),
        _ => None,
    };
    door::load_text(text, name, Path::new("/nowhere"), &environment)
}

fn says_what_and_where(error: &ConfigError, text: &str) {
    let problems: Vec<_> = error.problems().collect();
    assert!(!problems.is_empty(), "a refusal without a reason");
    assert!(problems.iter().all(|problem| !problem.message.trim().is_empty()), "a problem without words");
    let json = error.to_json();
    let told = json.as_array().expect("a list of problems");
    assert_eq!(told.len(), problems.len(), "both forms say the same");
    let lines = text.lines().count().max(1) as u64 + 1;
    for one in told {
        let line = one["line"].as_u64().expect("every mistake in a text has a place");
        assert!((1..=lines).contains(&line) && one["column"].as_u64().is_some_and(|column| column > 0), "{one} is outside of the text");
    }
    for look in [Look::Plain, Look::Drawn, Look::Coloured] {
        let drawn = error.render(look);
        assert!(!drawn.is_empty());
        let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(look == Look::Coloured || !drawn.contains(acts), "a message that a terminal would obey: {drawn:?}");
    }
}

/// What was read is written down again, as JSON, with its keys backwards, and as YAML, and must mean what it meant.
fn means_the_same_in_other_words(loaded: &Loaded) {
    let written = literal(&loaded.document);
    let forwards = serde_json::to_string(&written).expect("JSON");
    let again = read(&forwards, "b.json").unwrap_or_else(|error| panic!("{forwards}\nis refused: {error}"));
    assert_eq!(again.document, loaded.document, "the same document");
    assert_eq!(again.config, loaded.config, "the same meaning");
    let turned = read(&backwards(&written), "c.json").unwrap_or_else(|error| panic!("{forwards}\nis refused backwards: {error}"));
    assert_eq!(turned.config, loaded.config, "the order of keys means nothing");
    let yaml = serde_json::to_string_pretty(&written).expect("JSON");
    let yaml = read(&yaml, "d.yaml").unwrap_or_else(|error| panic!("{yaml}\nis refused as YAML: {error}"));
    assert_eq!(yaml.config, loaded.config, "YAML holds JSON");
}

/// The document as one writes it who wants no variable to be filled in.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), literal(value))).collect::<Map<_, _>>().into(),
        other => other.clone(),
    }
}

/// JSON with the keys of every table from last to first.
fn backwards(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().rev().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), backwards(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// A file of `NAME=VALUE` lines: what was read, written with quotes, is read again as the same.
pub(crate) fn env(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match door::env_lines(text) {
        Ok(variables) => {
            let written: String = variables.iter().map(|(name, value)| format!("{name}=\"{}\"\n", escaped(value))).collect();
            assert_eq!(door::env_lines(&written).as_ref(), Ok(&variables), "{written}");
            for (name, value) in &variables {
                assert!(hostler_api::config::is_env_name(name) && value.len() <= text.len(), "{name}");
            }
        }
        Err(why) => {
            let number = why.strip_prefix("line ").and_then(|rest| rest.split(' ').next()).and_then(|number| number.parse::<usize>().ok());
            assert!(number.is_some_and(|number| (1..=text.split('\n').count()).contains(&number)), "{why}");
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

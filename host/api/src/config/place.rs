//! A cursor over one document: where we are, what was asked for, and what was found instead.

use hostler_core::{Problem, closest, pointer_key};
use serde_json::{Map, Value};

/// So many mistakes are kept; who made more has seen enough.
const MOST: usize = 1_000;

/// How every message about an unknown key begins: what draws it then points at the key, not at its value.
const UNKNOWN_KEY: &str = "unknown key";

/// The same for a key that is a bad name.
pub(crate) const BAD_NAME: &str = "bad name";

/// Does the mistake lie in the key at `problem.at`, rather than in the value behind it?
pub fn about_key(problem: &Problem) -> bool {
    problem.message.starts_with(UNKNOWN_KEY) || problem.message.starts_with(BAD_NAME)
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Problem>);

impl Report {
    /// Adds one, unless there are more than enough.
    pub(crate) fn add(&mut self, problem: Problem) {
        if self.0.len() < MOST {
            self.0.push(problem);
        }
    }

    /// All of them.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    /// What is written there.
    pub(crate) value: &'a Value,
    /// JSON pointer to it.
    pub(crate) at: String,
    /// What to call it in a message: `interval`, `dependencies[1]`.
    pub(crate) name: String,
}

impl<'a> Place<'a> {
    /// The whole document.
    pub(crate) fn whole(value: &'a Value) -> Place<'a> {
        Place { value, at: String::new(), name: "the document".to_owned() }
    }

    /// The member `key` of this table.
    fn member(at: &str, key: &str, value: &'a Value) -> Place<'a> {
        Place { value, at: format!("{at}/{}", pointer_key(key)), name: key.to_owned() }
    }

    /// Complains that what is written here is not `expected`.
    pub(crate) fn wrong(&self, expected: &str) -> Problem {
        Problem::new(&self.at, format!("`{}` is {}, and must be {expected}", self.name, found(self.value)))
    }

    /// Complains about what is written here, by name.
    pub(crate) fn complain(&self, what: impl std::fmt::Display) -> Problem {
        Problem::new(&self.at, format!("`{}` {what}", self.name))
    }

    /// The table here; `what` says what it describes, `hint` how to write one.
    pub(crate) fn table(&self, what: &str, hint: &str, report: &mut Report) -> Option<Table<'a>> {
        match self.value {
            Value::Object(map) => Some(Table { map, at: self.at.clone(), what: what.to_owned(), asked: Vec::new() }),
            _ => {
                report.add(self.wrong("a table").hint(hint));
                None
            }
        }
    }

    /// The members of the table here, whose keys are free.
    pub(crate) fn members(&self, hint: &str, report: &mut Report) -> Vec<(&'a str, Place<'a>)> {
        match self.value {
            Value::Object(map) => map.iter().map(|(key, value)| (key.as_str(), Place::member(&self.at, key, value))).collect(),
            _ => {
                report.add(self.wrong("a table").hint(hint));
                Vec::new()
            }
        }
    }

    /// The items of the list here.
    pub(crate) fn items(&self, hint: &str, report: &mut Report) -> Vec<Place<'a>> {
        match self.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| Place { value, at: format!("{}/{index}", self.at), name: format!("{}[{index}]", self.name) })
                .collect(),
            _ => {
                report.add(self.wrong("a list").hint(hint));
                Vec::new()
            }
        }
    }

    /// The text here, not empty.
    pub(crate) fn text(&self, report: &mut Report) -> Option<&'a str> {
        match self.value {
            Value::String(text) if text.is_empty() => {
                report.add(self.complain("is empty").hint("write a text, or remove the key"));
                None
            }
            Value::String(text) => Some(text),
            _ => {
                report.add(self.wrong("a text"));
                None
            }
        }
    }

    /// Yes or no; the texts `true` and `false` count, because an interpolated value is always a text.
    pub(crate) fn flag(&self, report: &mut Report) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => {
                report.add(self.wrong("true or false"));
                None
            }
        }
    }

    /// A whole number within `range`; a text of digits counts, because an interpolated value is always a text.
    pub(crate) fn whole_number(&self, range: std::ops::RangeInclusive<u32>, report: &mut Report) -> Option<u32> {
        let number = match self.value {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64)),
            Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            report.add(self.wrong(&format!("a whole number between {} and {}", range.start(), range.end())));
        }
        number
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, words: &[(&str, T)], report: &mut Report) -> Option<T> {
        let list = words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let Value::String(text) = self.value else {
            report.add(self.wrong(&format!("one of {list}")));
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            return Some(*value);
        }
        // Compose writes `service_healthy`, others `OnFailure`.
        let plain = text.to_ascii_lowercase().replace('_', "-");
        let plain = plain.strip_prefix("service-").unwrap_or(&plain);
        let problem = self.complain(format_args!("is {text:?}, and must be one of {list}"));
        report.add(match closest(plain, words.iter().map(|(word, _)| *word)) {
            Some(word) => problem.hint(format!("did you mean `{word}`?")),
            None => problem,
        });
        None
    }
}

/// A table with a fixed set of keys: each key that is asked for is known, and all others are mistakes.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    map: &'a Map<String, Value>,
    /// JSON pointer to it.
    pub(crate) at: String,
    what: String,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// What stands behind `key`.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Place<'a>> {
        self.asked.push(key);
        self.map.get(key).map(|value| Place::member(&self.at, key, value))
    }

    /// What stands behind the one of `keys` that is there; two at once are a mistake.
    pub(crate) fn take_one_of(&mut self, keys: &[&'static str], report: &mut Report) -> Option<Place<'a>> {
        let mut places = keys.iter().filter_map(|key| self.take(key)).collect::<Vec<_>>().into_iter();
        let first = places.next()?;
        for other in places {
            let message = format!("says again what `{}` says", first.name);
            report.add(other.complain(message).hint("keep one of the two"));
        }
        Some(first)
    }

    /// The members nobody asked for, for the plugin.
    pub(crate) fn rest(&self) -> Map<String, Value> {
        self.map.iter().filter(|(key, _)| !self.asked.contains(&key.as_str())).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Complains about a key that must be there.
    pub(crate) fn missing(&self, key: &str, hint: &str) -> Problem {
        Problem::new(&self.at, format!("{} has no `{key}`", self.what)).hint(hint)
    }

    /// Complains about every key nobody asked for; `known_elsewhere` says what to do about some of them.
    pub(crate) fn finish(self, known_elsewhere: &[(&str, &str)], report: &mut Report) {
        for key in self.map.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            let hint = match known_elsewhere.iter().find(|(word, _)| word == key) {
                Some((_, hint)) => (*hint).to_owned(),
                None => match closest(key, self.asked.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("known here: {}", self.asked.join(", ")),
                },
            };
            let at = format!("{}/{}", self.at, pointer_key(key));
            report.add(Problem::new(at, format!("{UNKNOWN_KEY} `{key}` in {}", self.what)).hint(hint));
        }
    }
}

/// What is written there, in few words.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) if text.chars().count() > 40 => format!("the text {:?}…", text.chars().take(40).collect::<String>()),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

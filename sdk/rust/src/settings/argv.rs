use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;

use super::Text;

/// A command line as people write it: a line, split into words by [`words`], or a list of words that nothing splits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argv {
    /// `"pg_isready -U security"`
    Line(String),
    /// `["pg_isready", "-U", "security"]`
    Words(Vec<String>),
}

impl Argv {
    /// Its words; why there are none, for a line whose quotes do not end.
    pub fn words(&self) -> Result<Vec<String>, &'static str> {
        match self {
            Self::Line(line) => words(line),
            Self::Words(words) => Ok(words.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Argv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Argv;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command line, or a list of its words")
            }
            fn visit_str<E: de::Error>(self, line: &str) -> Result<Argv, E> {
                Ok(Argv::Line(line.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Argv, A::Error> {
                let mut words = Vec::new();
                while let Some(Text(word)) = items.next_element()? {
                    words.push(word);
                }
                Ok(Argv::Words(words))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Splits a line into words as a shell does, quotes and backslashes included. Nothing else that a shell does is done: `$`, `*`, `;` and
/// `|` are letters like others.
///
/// ```
/// use hostler_sdk::settings::words;
/// assert_eq!(words(r#"psql -c "select 1" it\'s '$HOME'"#), Ok(["psql", "-c", "select 1", "it's", "$HOME"].map(String::from).into()));
/// assert!(words("echo 'never").is_err());
/// ```
pub fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => found.extend(word.take()),
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("ends in a backslash")?),
            other => word.get_or_insert_default().push(other),
        }
    }
    found.extend(word);
    Ok(found)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    for c in chars {
        match c {
            '\'' => return Ok(()),
            other => word.push(other),
        }
    }
    Err("has a `'` without its end")
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
                None => break,
            },
            other => word.push(other),
        }
    }
    Err("has a `\"` without its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_and_nothing_in_it_is_run() {
        let all = |line: &str, expected: &[&str]| assert_eq!(words(line).expect("its quotes end"), expected, "{line}");
        all("", &[]);
        all("  pg_isready   -U\tsecurity\n", &["pg_isready", "-U", "security"]);
        all("a '' \"\"", &["a", "", ""]);
        all("echo $(id); `x` | y && *", &["echo", "$(id);", "`x`", "|", "y", "&&", "*"]);
        all(r#"a"b c"'d e'f \  "\n\"\\""#, &["ab cd ef", " ", r#"\n"\"#]);
    }

    #[test]
    fn a_quote_that_does_not_end_is_said() {
        for line in ["'", "a \"b", "a\\", "\"\\\""] {
            assert!(words(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let argv: Argv = serde_json::from_str(r#"["sh", "-c", "a  b", 5]"#).expect("it is a list of words");
        assert_eq!(argv.words().expect("a list has its words"), ["sh", "-c", "a  b", "5"]);
        let refused = serde_json::from_str::<Argv>("5").expect_err("a number is no command");
        assert!(refused.to_string().contains("a command line, or a list"), "{refused}");
    }
}

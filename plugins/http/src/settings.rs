//! What a service file says about one check; `check.json` says the same as a schema.

use crate::url::Url;
use hostler_sdk::Problem;
use hostler_sdk::settings::{Text, pointer_key};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) url: Url,
    #[serde(default = "get")]
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    #[serde(default)]
    pub(crate) expected_status: Expected,
    pub(crate) body_contains: Option<String>,
}

fn get() -> String {
    "GET".into()
}

impl Settings {
    /// What would be refused on the way: a method or header that HTTP cannot carry, a header that is not the request's to set.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if !is_token(&self.method) {
            problems.push(Problem::new("/method", format!("`{}` is no HTTP method", self.method.escape_default())));
        }
        for (name, value) in &self.headers {
            let at = format!("/headers/{}", pointer_key(name));
            if !is_token(name) {
                problems.push(Problem::new(at, format!("`{}` is no name for a header", name.escape_default())));
            } else if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
                problems.push(Problem::new(at, format!("`{name}` belongs to the connection")).hint("leave it out; Host comes from the url"));
            } else if value.0.contains(|c: char| c.is_control() && c != '\t') {
                problems.push(Problem::new(at, format!("the value of `{name}` contains a control character")));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// Headers that speak of the connection, which is the host's.
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// RFC 9110.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The statuses that mean healthy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Expected(Vec<RangeInclusive<u16>>);

impl Default for Expected {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl Expected {
    pub(crate) fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

/// As people write it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a status such as 200, a range such as \"200-299\", or a list of both")]
enum Written {
    One(Span),
    List(Vec<Span>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Span {
    Number(u16),
    Text(String),
}

impl TryFrom<Written> for Expected {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let spans = match written {
            Written::One(span) => vec![span],
            Written::List(spans) if spans.is_empty() => return Err("the list of expected statuses is empty".into()),
            Written::List(spans) => spans,
        };
        spans.into_iter().map(range).collect::<Result<_, _>>().map(Self)
    }
}

fn range(span: Span) -> Result<RangeInclusive<u16>, String> {
    let text = match span {
        Span::Number(number) => number.to_string(),
        Span::Text(text) => text,
    };
    let (start, end) = text.split_once('-').unwrap_or((&text, &text));
    let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    match (status(start), status(end)) {
        (Some(start), Some(end)) if start <= end => Ok(start..=end),
        (Some(_), Some(_)) => Err(format!("the range {text} is empty: its end comes before its start")),
        _ => Err(format!("`{}` is neither a status from 100 to 599 nor a range such as 200-299", text.escape_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings::parse;

    fn expected(json: &str) -> Result<String, String> {
        parse::<Settings>(&format!(r#"{{"url": "http://x", "expected_status": {json}}}"#))
            .map(|settings| settings.expected_status.to_string())
            .map_err(|problems| format!("{} {}", problems[0].at, problems[0].message))
    }

    #[test]
    fn a_status_is_a_number_a_range_or_a_list() {
        assert_eq!(expected("200"), Ok("200".into()));
        assert_eq!(expected(r#""200""#), Ok("200".into()));
        assert_eq!(expected(r#""200 - 399""#), Ok("200-399".into()));
        assert_eq!(expected(r#"[200, 204, "400-404"]"#), Ok("200, 204, 400-404".into()));
    }

    #[test]
    fn what_is_no_status_is_refused_at_its_place() {
        for json in ["99", "600", "70000", r#""2xx""#, r#""299-200""#, "[]", "{}", "[[200]]", r#""-""#] {
            let error = expected(json).expect_err(json);
            assert!(error.starts_with("/expected_status "), "{json}: {error}");
        }
    }

    #[test]
    fn what_http_cannot_carry_is_refused() {
        let settings = r#"{"url": "http://x", "method": "GE T",
            "headers": {"Host": "y", "a b": "c", "X": "a\r\nY: b", "Accept": "*/*"}}"#;
        let problems = parse::<Settings>(settings).expect("the shapes are right").check().expect_err("four mistakes");
        let places: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
        assert_eq!(places, ["/method", "/headers/Host", "/headers/X", "/headers/a b"]);
    }

    #[test]
    fn a_bad_url_is_named_at_its_place() {
        let problems = parse::<Settings>(r#"{"url": "localhost:80"}"#).expect_err("it has no scheme");
        assert_eq!((problems[0].at.as_str(), problems[0].message.as_str()), ("/url", "the url does not begin with http:// or https://"));
    }
}

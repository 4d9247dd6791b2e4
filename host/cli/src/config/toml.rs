//! TOML, with every value's place.

use std::ops::Range;

use hostler_core::Problem;
use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Data, Key, MAX_DEPTH, MOST_VALUES, Node, too_many_values};
use super::problems::Finding;

/// Dotted keys are tables within tables, which the parser itself does not count.
const MOST_DOTS: usize = 32;
/// A broken file makes the parser stumble over its own recovery; the first few words are the useful ones.
const SYNTAX_SHOWN: usize = 5;
/// There can be one for each byte.
const ERRORS_SEEN: usize = 200;

/// Reads a text; what is not TOML is reported, and then there is no document.
pub(crate) fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    if let Some(at) = too_many_dots(text) {
        findings.push(Finding::at(at, Problem::new("", format!("a key has more than {MOST_DOTS} dots")).hint("write fewer tables within tables")));
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        report_syntax(text, &errors, findings);
        return None;
    }
    let mut values = 0;
    convert_table(document.get_ref(), 0..text.len().min(1), 0, &mut values, findings)
}

fn report_syntax(text: &str, errors: &[toml::de::Error], findings: &mut Vec<Finding>) {
    let mut lines = Vec::new();
    let mut headers_twice = Vec::new();
    for error in errors.iter().take(ERRORS_SEEN) {
        let span = error.span().unwrap_or(0..0);
        let start = span.start.min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count();
        if lines.contains(&line) {
            continue;
        }
        let duplicate = error.message() == "duplicate key";
        if duplicate {
            // Every key of a table that stands there twice is there twice.
            let header = header_before(text, start);
            if headers_twice.contains(&header) {
                continue;
            }
            if header.is_some_and(|header| header <= start && !text[header..start].contains('\n')) {
                headers_twice.push(header);
            }
        }
        lines.push(line);
        let problem = match text.get(span.clone()) {
            Some(key) if duplicate => {
                Problem::new("", format!("the key `{}` is written twice", key.trim_matches(['"', '\'']))).hint("keep one of the two")
            }
            _ => in_own_words(error.message()),
        };
        findings.push(Finding::at(span, problem));
        if lines.len() == SYNTAX_SHOWN {
            break;
        }
    }
}

/// Where the last line before `at` begins that is a table's header.
fn header_before(text: &str, at: usize) -> Option<usize> {
    let line_end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    let mut end = line_end;
    loop {
        let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        if text[start..end].trim_start().starts_with('[') {
            return Some(start);
        }
        end = start.checked_sub(1)?;
    }
}

fn in_own_words(message: &str) -> Problem {
    if message.contains("recursion depth") {
        return Problem::new("", format!("tables and lists are nested more than {MAX_DEPTH} deep"));
    }
    let problem = Problem::new("", format!("this is not TOML: {message}"));
    if message.starts_with("invalid unquoted key") { problem.hint("put a key with other letters in quotes") } else { problem }
}

fn convert(value: &Spanned<DeValue<'_>>, depth: usize, values: &mut usize, findings: &mut Vec<Finding>) -> Option<Node> {
    let span = value.span();
    if depth > MAX_DEPTH {
        findings.push(Finding::at(span, Problem::new("", format!("tables and lists are nested more than {MAX_DEPTH} deep"))));
        return None;
    }
    *values += 1;
    if *values > MOST_VALUES {
        // Once is enough.
        if *values == MOST_VALUES + 1 {
            findings.push(too_many_values(span));
        }
        return None;
    }
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.clone().into_owned()),
        DeValue::Boolean(flag) => Data::Flag(*flag),
        DeValue::Integer(integer) => match integer_of(integer.as_str(), integer.radix()) {
            Some(number) => Data::Number(number),
            None => return refuse(span, "this whole number is too large", "64 bits must hold it; put it in quotes if it is a text", findings),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Data::Number(number),
            None => return refuse(span, "`inf` and `nan` mean nothing here", "write a number", findings),
        },
        DeValue::Datetime(_) => return refuse(span, "a date means nothing here", "put it in quotes if it is a text", findings),
        DeValue::Array(items) => Data::List(items.iter().filter_map(|item| convert(item, depth + 1, values, findings)).collect()),
        DeValue::Table(table) => return convert_table(table, span, depth, values, findings),
    };
    Some(Node { span, data })
}

fn convert_table(table: &DeTable<'_>, span: Range<usize>, depth: usize, values: &mut usize, findings: &mut Vec<Finding>) -> Option<Node> {
    let mut members: Vec<(Key, Node)> = Vec::with_capacity(table.len());
    for (key, value) in table {
        if let Some(node) = convert(value, depth + 1, values, findings) {
            members.push((Key { span: key.span(), text: key.get_ref().clone().into_owned() }, node));
        }
    }
    Some(Node { span, data: Data::Table(members) })
}

fn integer_of(digits: &str, radix: u32) -> Option<Number> {
    let signed = i64::from_str_radix(digits, radix).ok().map(Number::from);
    signed.or_else(|| u64::from_str_radix(digits, radix).ok().map(Number::from))
}

fn refuse(span: Range<usize>, message: &str, hint: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    findings.push(Finding::at(span, Problem::new("", message).hint(hint)));
    None
}

/// The place of a key with too many dots. Texts and comments are skipped, and numbers have one dot at most.
fn too_many_dots(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut at, mut dots, mut start) = (0, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = end_of_text(bytes, at);
                continue;
            }
            b'#' => {
                at += bytes[at..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            b'.' => dots += 1,
            b'\n' | b'=' | b',' | b'[' | b']' | b'{' | b'}' => (dots, start) = (0, at + 1),
            _ => {}
        }
        if dots > MOST_DOTS {
            return Some(start..at);
        }
        at += 1;
    }
    None
}

/// Where the text that begins at `at` ends: behind its closing quotes, or at the end of the line (of the file, for three quotes).
fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let long = bytes[at..].starts_with(&[quote; 3]);
    let mut end = at + if long { 3 } else { 1 };
    while end < bytes.len() {
        match bytes[end] {
            b'\\' if quote == b'"' => end += 1,
            b'\n' if !long => return end,
            b if b == quote && !long => return end + 1,
            b if b == quote && bytes[end..].starts_with(&[quote; 3]) => return end + 3,
            _ => {}
        }
        end += 1;
    }
    bytes.len()
}

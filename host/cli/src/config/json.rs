//! JSON, with every value's place.

use std::ops::Range;

use hostler_core::Problem;
use serde::de::IgnoredAny;

use super::node::{Data, Key, MAX_DEPTH, MOST_VALUES, Node, too_many_values};
use super::problems::Finding;

/// Reads a text; what is not JSON is reported, and then there is no document.
pub(crate) fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    if text.trim().is_empty() {
        return Some(Node { span: 0..0, data: Data::Null });
    }
    // The strict parser speaks first: behind it, every text here is good JSON, and only places are to be found.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let at = offset(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        findings.push(Finding::at(at..at, Problem::new("", format!("this is not JSON: {message}"))));
        return None;
    }
    let mut reader = Reader { text, at: 0, values: 0 };
    reader.value(0).map_err(|finding| findings.push(finding)).ok()
}

/// The byte of a line and a column, both counted from one.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Node, Finding> {
        if depth > MAX_DEPTH {
            let problem = Problem::new("", format!("tables and lists are nested more than {MAX_DEPTH} deep"));
            return Err(Finding::at(self.at..self.at, problem));
        }
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(too_many_values(self.at..self.at));
        }
        self.space();
        let start = self.at;
        let data = match self.peek() {
            b'{' => Data::Table(self.members(depth)?),
            b'[' => Data::List(self.items(depth)?),
            b'"' => Data::Text(self.string().1),
            _ => {
                let rest = &self.text.as_bytes()[start..];
                let end = rest.iter().position(|b| matches!(b, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n')).unwrap_or(rest.len());
                self.at = start + end;
                match &self.text[start..self.at] {
                    "null" => Data::Null,
                    "true" => Data::Flag(true),
                    "false" => Data::Flag(false),
                    number => serde_json::from_str(number)
                        .map_err(|_| Finding::at(start..self.at, Problem::new("", "this number is too large")))
                        .map(Data::Number)?,
                }
            }
        };
        Ok(Node { span: start..self.at, data })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Finding> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                b'"' => {
                    let (span, text) = self.string();
                    self.space();
                    self.at += 1;
                    members.push((Key { span, text }, self.value(depth + 1)?));
                }
                b',' => self.at += 1,
                _ => {
                    self.at += 1;
                    return Ok(members);
                }
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Finding> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.space();
            match self.peek() {
                b']' | 0 => {
                    self.at += 1;
                    return Ok(items);
                }
                b',' => self.at += 1,
                _ => items.push(self.value(depth + 1)?),
            }
        }
    }

    fn string(&mut self) -> (Range<usize>, String) {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                b'\\' => self.at += 2,
                b'"' | 0 => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        (start..self.at, serde_json::from_str(&self.text[start..self.at]).unwrap_or_default())
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// The next byte; zero at the end, which good JSON has nowhere inside.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
}

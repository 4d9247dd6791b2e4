//! `${VAR}` in values: from the environment, with defaults, and `$$` for a dollar.

use std::ops::Range;

use hostler_core::{Problem, pointer_key};

use super::node::{Data, Node};
use super::problems::Finding;

const FORMS: &str = "write ${NAME}, ${NAME:-default}, ${NAME:?message}, or $${ for a literal ${";

/// Replaces the variables in every text of a document; keys are left alone. What is unset or malformed is reported.
pub(crate) fn interpolate(node: &mut Node, source: &str, env: &dyn Fn(&str) -> Option<String>, findings: &mut Vec<Finding>) {
    Walk { source, env, findings }.visit(node, &mut Vec::new());
}

struct Walk<'a> {
    source: &'a str,
    env: &'a dyn Fn(&str) -> Option<String>,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    fn visit(&mut self, node: &mut Node, path: &mut Vec<String>) {
        match &mut node.data {
            Data::Text(text) if text.contains('$') => match replace(text, self.env) {
                Ok(replaced) => *text = replaced,
                Err(mistake) => self.report(mistake, &node.span, path),
            },
            Data::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.step(index.to_string(), item, path);
                }
            }
            Data::Table(members) => {
                for (key, member) in members {
                    self.step(pointer_key(&key.text), member, path);
                }
            }
            Data::Null | Data::Flag(_) | Data::Number(_) | Data::Text(_) => {}
        }
    }

    fn step(&mut self, key: String, node: &mut Node, path: &mut Vec<String>) {
        path.push(key);
        self.visit(node, path);
        path.pop();
    }

    /// The label goes under the variable itself, when the text stands in the source as it is (no escapes before it).
    fn report(&mut self, mistake: Mistake, span: &Range<usize>, path: &[String]) {
        let written = self.source.get(span.clone()).unwrap_or("");
        let span = match written.find(&mistake.written) {
            Some(at) if !mistake.written.is_empty() => span.start + at..span.start + at + mistake.written.len(),
            _ => span.clone(),
        };
        let at: String = path.iter().map(|key| format!("/{key}")).collect();
        self.findings.push(Finding::at(span, Problem::new(at, mistake.message).hint(mistake.hint)));
    }
}

struct Mistake {
    written: String,
    message: String,
    hint: String,
}

fn replace(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Mistake> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        replaced.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            replaced.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix("${") {
            let Some(end) = inside.find('}') else {
                return Err(malformed(rest, "`${` is never closed"));
            };
            replaced.push_str(&one(&rest[..end + 3], &inside[..end], env)?);
            rest = &inside[end + 1..];
        } else {
            replaced.push('$');
            rest = &rest[1..];
        }
    }
    replaced.push_str(rest);
    Ok(replaced)
}

fn one(written: &str, inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Mistake> {
    // The host fills it in when something is started: no variable's name has a dot.
    if inside.starts_with("services.") {
        return Ok(written.to_owned());
    }
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed(written, &format!("`{written}` names no variable")));
    }
    let value = env(name);
    let filled = value.clone().filter(|value| !value.is_empty());
    if rest.is_empty() {
        return value.ok_or_else(|| Mistake {
            written: written.to_owned(),
            message: format!("the environment has no variable `{name}`"),
            hint: format!("set it, give it a default (${{{name}:-…}}), or write $${{{name}}} for the text itself"),
        });
    }
    if let Some(default) = rest.strip_prefix(":-") {
        if default.contains("${") {
            return Err(malformed(written, &format!("`{written}` has a variable within a variable")));
        }
        return Ok(filled.unwrap_or_else(|| default.replace("$$", "$")));
    }
    if let Some(message) = rest.strip_prefix(":?") {
        let message = if message.is_empty() { "it must be set" } else { message };
        return filled.ok_or_else(|| Mistake {
            written: written.to_owned(),
            message: format!("the environment has no value for `{name}`: {message}"),
            hint: format!("set {name}"),
        });
    }
    Err(malformed(written, &format!("`{written}` is not understood")))
}

fn malformed(written: &str, message: &str) -> Mistake {
    Mistake { written: written.lines().next().unwrap_or("").to_owned(), message: message.to_owned(), hint: FORMS.to_owned() }
}

//! What is wrong with a configuration, drawn beside the lines that say it.

mod drawing;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use hostler_api::config::about_key;
use hostler_core::Problem;
use serde_json::{Value, json};

use super::node::Spans;

pub use drawing::Look;

/// So many are drawn.
const SHOWN: usize = 50;

/// A problem and the bytes of the text that it is about.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) problem: Problem,
    pub(crate) span: Option<Range<usize>>,
    /// Where the same was said first.
    pub(crate) first: Option<Range<usize>>,
}

impl Finding {
    /// A problem at a place in the text.
    pub(crate) fn at(span: Range<usize>, problem: Problem) -> Finding {
        Finding { problem, span: Some(span), first: None }
    }

    /// A problem at a place in the document, which `spans` finds in the text.
    pub(crate) fn placed(problem: Problem, spans: &Spans) -> Finding {
        let span = spans.nearest(&problem.at).map(|(span, exact)| match &span.key {
            // What is missing, a bad key, and a table as a whole are shown by the key.
            Some(key) if !exact || span.holds_others || about_key(&problem) => key.clone(),
            _ => span.value.clone(),
        });
        Finding { problem, span, first: None }
    }
}

/// Why a configuration cannot be used: every mistake in it, with its place in the file.
///
/// It displays as plain text; [`ConfigError::render`] draws it for a terminal, and [`ConfigError::to_json`] is for programs.
#[derive(Debug, Clone)]
pub struct ConfigError {
    /// The file, as the user calls it.
    pub(crate) name: String,
    /// What it says; absent when it could not be read.
    pub(crate) text: Option<Arc<str>>,
    findings: Vec<Finding>,
}

impl ConfigError {
    /// Mistakes in the order of the file.
    pub(crate) fn new(name: String, text: Option<Arc<str>>, mut findings: Vec<Finding>) -> ConfigError {
        findings
            .sort_by(|a, b| (a.span.as_ref().map(|span| span.start), &a.problem.at).cmp(&(b.span.as_ref().map(|span| span.start), &b.problem.at)));
        ConfigError { name, text, findings }
    }

    /// The mistakes, in the order of the file.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.findings.iter().map(|finding| &finding.problem)
    }

    /// For a person: each mistake with its line, at most fifty of them.
    pub fn render(&self, look: Look) -> String {
        let mut drawn = String::new();
        for finding in self.findings.iter().take(SHOWN) {
            drawn.push_str(&drawing::draw_one(&self.name, self.text.as_deref(), finding, look));
            drawn.push('\n');
        }
        let count = self.findings.len();
        if count > SHOWN {
            drawn.push_str(&format!("and {} more\n", count - SHOWN));
        }
        let name = crate::out::visible(&self.name);
        drawn.push_str(&if count == 1 { format!("1 problem in {name}\n") } else { format!("{count} problems in {name}\n") });
        drawn
    }

    /// For a program: all mistakes, `[{file, line, column, at, message, hint}]`; line and column count from one, and are null
    /// for a file that could not be read.
    pub fn to_json(&self) -> Value {
        let one = |finding: &Finding| {
            let place = self.text.as_deref().zip(finding.span.as_ref()).map(|(text, span)| drawing::line_and_column(text, span.start));
            json!({
                "file": self.name,
                "line": place.map(|(line, _)| line),
                "column": place.map(|(_, column)| column),
                "at": finding.problem.at,
                "message": finding.problem.message,
                "hint": finding.problem.hint,
            })
        };
        self.findings.iter().map(one).collect()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Look::Plain).trim_end())
    }
}

impl std::error::Error for ConfigError {}

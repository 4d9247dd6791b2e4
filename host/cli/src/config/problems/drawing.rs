//! One mistake as miette draws it: what, where, the line with a mark under the place, and what to do.

use std::fmt;
use std::io::IsTerminal;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

use super::Finding;
use crate::out::visible;

const WIDTH: usize = 100;
/// Characters of a line shown on either side of the place; a whole file can be one line.
const AROUND: usize = 120;

/// How problems are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Plain letters: for files, pipes and tests.
    Plain,
    /// Lines and marks, without colour.
    Drawn,
    /// Lines, marks and colour.
    Coloured,
}

impl Look {
    /// What standard error can show; `NO_COLOR` is respected.
    pub fn of_stderr() -> Look {
        if !std::io::stderr().is_terminal() {
            return Look::Plain;
        }
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Look::Drawn,
            _ => Look::Coloured,
        }
    }

    fn theme(self) -> GraphicalTheme {
        match self {
            Look::Plain => GraphicalTheme::none(),
            Look::Drawn => GraphicalTheme::unicode_nocolor(),
            Look::Coloured => GraphicalTheme::unicode(),
        }
    }
}

/// Draws one mistake; without a text or a place, its message and hint alone.
pub(crate) fn draw_one(name: &str, text: Option<&str>, finding: &Finding, look: Look) -> String {
    let line = text.zip(finding.span.as_ref()).map(|(text, span)| Line::around(name, text, span));
    let mut hint = finding.problem.hint.as_deref().map(|hint| visible(hint).into_owned());
    if let (Some(text), Some(first)) = (text, &finding.first) {
        let (number, _) = line_and_column(text, first.start);
        hint = Some(format!("the first is in line {number}; {}", hint.unwrap_or_default()));
    }
    let message = match line {
        Some(_) => visible(&finding.problem.message).into_owned(),
        None => format!("{}: {}", visible(name), visible(&finding.problem.message)),
    };
    let shown = Shown { message, hint, line };
    let mut drawn = String::new();
    let handler =
        GraphicalReportHandler::new_themed(look.theme()).with_width(WIDTH).with_links(false).with_context_lines(0).without_syntax_highlighting();
    handler.render_report(&mut drawn, &shown).expect("a line, a place within it, and a string to write to");
    drawn.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Line and column of a byte, in characters, both counted from one.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let at = floor(text, at);
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    (text[..start].matches('\n').count() + 1, text[start..at].chars().count() + 1)
}

#[derive(Debug)]
struct Shown {
    message: String,
    hint: Option<String>,
    line: Option<Line>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.line.as_ref().map(|line| line as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let line = self.line.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(line.mark.clone()))))
    }
}

/// The one line that is shown, made safe to show, and the place in it.
#[derive(Debug)]
struct Line {
    name: String,
    number: usize,
    column: usize,
    text: String,
    mark: Range<usize>,
}

impl Line {
    fn around(name: &str, text: &str, span: &Range<usize>) -> Line {
        let start = floor(text, span.start);
        let (number, column) = line_and_column(text, start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line_end = line_start + text[line_start..line_end].trim_end_matches('\r').len();
        let start = start.min(line_end);
        let end = floor(text, span.end).clamp(start, line_end);
        let end = start + text[start..end].trim_end().len();

        let before: String = last(&text[line_start..start], AROUND);
        let marked: String = first(&text[start..end], AROUND);
        let after: String = first(&text[end..line_end], AROUND);
        let mark = before.len()..before.len() + marked.len();
        Line { name: visible(name).into_owned(), number, column, text: format!("{before}{marked}{after}\n"), mark }
    }
}

impl SourceCode for Line {
    /// Always the whole line: it is all there is.
    fn read_span<'a>(&'a self, _: &SourceSpan, _: usize, _: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = SourceSpan::from(0..self.text.len());
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), self.text.as_bytes(), whole, self.number - 1, self.column - 1, 1)))
    }
}

/// The first characters, tabs kept, made visible.
fn first(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", visible(&text[..cut])),
        None => visible(text).into_owned(),
    }
}

/// The last characters.
fn last(text: &str, most: usize) -> String {
    match text.char_indices().rev().nth(most) {
        Some((cut, c)) => format!("…{}", visible(&text[cut + c.len_utf8()..])),
        None => visible(text).into_owned(),
    }
}

/// The nearest beginning of a character at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

//! Everything that reaches standard output and standard error.
//!
//! Text for people is aligned, coloured only on a terminal, and shows control characters of others' making as escapes. `--json` prints
//! the wire's documents as they came, on standard output; a failure is then one JSON document on standard error.

mod escape;
mod human;
mod live;
mod paint;
mod table;

use std::io::{self, IsTerminal, Write};

use hostler_api::Failure;

pub(crate) use escape::visible;
pub(crate) use human::{age, bytes, clock, elapsed, local_zone, percent, stamp};
pub(crate) use live::Live;
pub(crate) use paint::{Colour, Paint, health_colour, status_colour};
pub(crate) use table::{Cell, Table};

use crate::error::Error;

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    /// Documents instead of text?
    pub(crate) json: bool,
    /// Is standard output a terminal?
    pub(crate) terminal: bool,
    /// Colours on standard output.
    pub(crate) paint: Paint,
}

impl Out {
    /// For this process's standard output.
    pub(crate) fn new(json: bool, no_color: bool) -> Out {
        let terminal = io::stdout().is_terminal();
        Out { json, terminal, paint: Paint::new(terminal && colours_wanted(no_color)) }
    }

    /// One line, or several that belong together, written at once.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<(), Error> {
        let mut whole = text.as_ref().to_owned();
        whole.push('\n');
        self.raw(whole.as_bytes())
    }

    /// A table, as wide as the terminal allows.
    pub(crate) fn table(&self, table: &Table) -> Result<(), Error> {
        self.raw(table.draw(self.paint, self.width()).as_bytes())
    }

    /// A document as it came, and a newline.
    pub(crate) fn document(&self, document: &[u8]) -> Result<(), Error> {
        let mut whole = document.trim_ascii_end().to_vec();
        whole.push(b'\n');
        self.raw(&whole)
    }

    /// Bytes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Columns of the terminal; none when it is not one.
    pub(crate) fn width(&self) -> Option<usize> {
        let size = self.terminal.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok()).flatten()?;
        (size.ws_col >= 20).then_some(usize::from(size.ws_col))
    }
}

/// A remark that is no result: to standard error, so that output stays clean.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says on standard error why a command failed.
pub(crate) fn report(error: &Error, json: bool, no_color: bool) {
    let paint = Paint::new(io::stderr().is_terminal() && colours_wanted(no_color));
    let text = match error {
        Error::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => return,
        Error::Output(cause) if json => json_line(&crate::error::failed(format!("cannot write the output: {cause}"))),
        Error::Output(cause) => failure_text(&crate::error::failed(format!("cannot write the output: {cause}")), paint),
        Error::Failure(failure) | Error::Unusable(failure) if json => json_line(failure),
        Error::Drawn { failure, places, .. } if json => with_places(failure, places),
        Error::Failure(failure) | Error::Unusable(failure) => failure_text(failure, paint),
        Error::Drawn { drawing, .. } => drawing.trim_end().to_owned(),
    };
    note(&text);
}

/// A failure whose problems know their lines.
fn with_places(failure: &Failure, places: &serde_json::Value) -> String {
    let mut document = serde_json::to_value(failure).expect("a failure is strings and numbers");
    document["problems"] = places.clone();
    document.to_string()
}

fn json_line(failure: &Failure) -> String {
    serde_json::to_string(failure).expect("a failure is strings and numbers")
}

/// Kind and what, where, why each place is wrong, and what to do.
fn failure_text(failure: &Failure, paint: Paint) -> String {
    let mut text = format!("{} {}", paint.of(Colour::Red, "error:"), visible(&failure.message));
    if let Some(place) = &failure.place {
        text.push_str(&format!("\n  {} {}", paint.of(Colour::Dim, "where:"), visible(place)));
    }
    for problem in &failure.problems {
        let at = if problem.at.is_empty() { String::new() } else { format!("{}: ", visible(&problem.at)) };
        text.push_str(&format!("\n  - {at}{}", visible(&problem.message)));
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("\n    {} {}", paint.of(Colour::Cyan, "hint:"), visible(hint)));
        }
    }
    if let Some(hint) = &failure.hint {
        let hint: Vec<_> = hint.lines().map(visible).collect();
        text.push_str(&format!("\n  {} {}", paint.of(Colour::Cyan, "hint:"), hint.join("\n    ")));
    }
    text
}

/// `--no-color`, or `NO_COLOR` set to anything but nothing (no-color.org).
pub(crate) fn colours_wanted(no_color: bool) -> bool {
    !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use hostler_api::Code;
    use hostler_core::Problem;

    use super::*;

    #[test]
    fn a_failure_says_what_where_why_and_what_to_do() {
        let mut failure = Failure::new(Code::Config, "the configuration has a mistake").at("hostler.toml").hint("see `hostler validate`\nand fix it");
        failure.problems.push(Problem::new("/services/db", "unknown key `bakend`\x1b[2J").hint("did you mean `backend`?"));
        let expected = "error: the configuration has a mistake\n  where: hostler.toml\n  - /services/db: unknown key `bakend`\\u{1b}[2J\n    \
                        hint: did you mean `backend`?\n  hint: see `hostler validate`\n    and fix it";
        assert_eq!(failure_text(&failure, Paint::new(false)), expected);
    }
}

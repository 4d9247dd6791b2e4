//! Log lines as they are printed.

use hostler_api::{LogItem, LogLine, Origin};
use jiff::tz::TimeZone;

use super::Item;
use crate::error::Error;
use crate::out::{Colour, Out, clock, local_zone, visible};

/// Each service keeps one of these.
const COLOURS: [Colour; 5] = [Colour::Cyan, Colour::Green, Colour::Magenta, Colour::Blue, Colour::Yellow];
/// Lines are collected up to here before they are written.
const BUFFER: usize = 64 * 1024;

/// Prints items, buffered.
#[derive(Debug)]
pub(super) struct Page {
    out: Out,
    names: Vec<String>,
    width: usize,
    timestamps: bool,
    zone: TimeZone,
    buffer: Vec<u8>,
    /// A line whose end has not come: it is continued by the next of the same writer.
    open: Option<(String, u32, Origin)>,
}

impl Page {
    pub(super) fn new(out: Out, names: &[String], timestamps: bool) -> Page {
        let width = names.iter().map(String::len).max().unwrap_or(0);
        Page { out, names: names.to_vec(), width, timestamps, zone: local_zone(), buffer: Vec::new(), open: None }
    }

    pub(super) fn print(&mut self, (item, raw): &Item) -> Result<(), Error> {
        if self.out.json {
            self.buffer.extend_from_slice(raw);
            self.buffer.push(b'\n');
        } else {
            self.put(item);
        }
        if self.buffer.len() > BUFFER { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        let full = std::mem::take(&mut self.buffer);
        self.out.raw(&full)
    }

    /// Ends an open line, and writes what is left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.close();
        self.flush()
    }

    fn put(&mut self, item: &LogItem) {
        match item {
            LogItem::Line(line) => self.line(line),
            LogItem::Gap { service, .. } => {
                self.close();
                let text = format!("… earlier lines of {service} were rotated away\n");
                self.buffer.extend_from_slice(self.out.paint.of(Colour::Dim, &text).as_bytes());
            }
            // The command says it, on standard error.
            LogItem::Error { .. } | LogItem::Cursor { .. } => {}
        }
    }

    fn line(&mut self, line: &LogLine) {
        let writer = (line.service.clone(), line.replica, line.origin);
        if self.open.as_ref() != Some(&writer) {
            self.close();
            self.begin(line);
        }
        if self.out.terminal {
            self.buffer.extend_from_slice(visible(&line.text).as_bytes());
        } else {
            self.buffer.extend_from_slice(&line.bytes());
        }
        self.open = line.continued.then_some(writer);
        if !line.continued {
            self.buffer.push(b'\n');
        }
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.buffer.push(b'\n');
        }
    }

    /// Time and name, where they are wanted.
    fn begin(&mut self, line: &LogLine) {
        if self.timestamps {
            let at = line.at.map_or_else(|| "-".to_owned(), |at| clock(at, &self.zone));
            self.buffer.extend_from_slice(self.out.paint.of(Colour::Dim, &at).as_bytes());
            self.buffer.push(b' ');
        }
        if self.names.len() > 1 || line.replica > 0 {
            let index = self.names.iter().position(|name| *name == line.service).unwrap_or(0);
            let name = if line.replica == 0 { line.service.clone() } else { format!("{}/{}", line.service, line.replica) };
            let prefix = format!("{name:<width$} |", width = self.width);
            self.buffer.extend_from_slice(self.out.paint.of(COLOURS[index % COLOURS.len()], &prefix).as_bytes());
            self.buffer.push(b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Paint;

    fn printed(terminal: bool, names: &[&str], lines: &[(&str, Origin, &[u8], bool)]) -> Vec<u8> {
        let out = Out { json: false, terminal, paint: Paint::new(false) };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut page = Page::new(out, &names, false);
        for (service, origin, bytes, continued) in lines {
            let line = LogLine { continued: *continued, ..LogLine::new(service, 0, None, *origin, bytes.to_vec()) };
            page.put(&LogItem::Line(line));
        }
        page.close();
        page.buffer
    }

    #[test]
    fn a_pipe_gets_the_bytes_as_they_were_written() {
        let lines = [("a", Origin::Out, &b"x\xff\x1b[31m"[..], true), ("a", Origin::Out, b"y\0", false), ("a", Origin::Out, b"", false)];
        assert_eq!(printed(false, &["a"], &lines), b"x\xff\x1b[31my\0\n\n");
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let lines = [("a", Origin::Err, &b"\x1b[2Jgone\xff"[..], false)];
        assert_eq!(printed(true, &["a"], &lines), "\\u{1b}[2Jgone\u{fffd}\n".as_bytes());
    }

    #[test]
    fn several_services_are_told_apart_and_never_share_a_line() {
        let lines = [("web", Origin::Out, &b"GET "[..], true), ("db", Origin::Out, b"ready", false), ("web", Origin::Out, b"/ 200", false)];
        assert_eq!(printed(false, &["web", "db"], &lines), b"web | GET \ndb  | ready\nweb | / 200\n");
    }
}

//! Lines that scroll by, and on a terminal one line below them that changes in place.

use std::io::Write;

use super::Out;

/// Output of a command that stays. It never fails: a terminal that went away must not keep a host from stopping its services in order.
#[derive(Debug)]
pub(crate) struct Live {
    out: Out,
    bottom: String,
}

impl Live {
    /// On this output; without a terminal there is no bottom line, and with `--json` there are only documents.
    pub(crate) fn new(out: Out) -> Live {
        Live { out, bottom: String::new() }
    }

    /// A line above the bottom line.
    pub(crate) fn line(&mut self, text: &str) {
        if self.out.json {
            return;
        }
        let clear = if self.bottom.is_empty() { "" } else { "\r\x1b[2K" };
        self.write(&format!("{clear}{text}\n{}", self.bottom));
    }

    /// A document as it came, for `--json`.
    pub(crate) fn document(&mut self, document: &[u8]) {
        self.write(&format!("{}\n", String::from_utf8_lossy(document.trim_ascii_end())));
    }

    /// Replaces the bottom line, cut to the terminal's width so that it stays one line. `text` has no colours.
    pub(crate) fn bottom(&mut self, text: &str) {
        let Some(width) = self.out.width().filter(|_| !self.out.json) else { return };
        let text: String = text.chars().take(width - 1).collect();
        if text != self.bottom {
            self.bottom = text;
            self.write(&format!("\r\x1b[2K{}", self.bottom));
        }
    }

    fn write(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        // Nobody reads it any more; what is done goes on.
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bottom("");
    }
}

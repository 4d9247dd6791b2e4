//! A door for `tests/fuzz`, which holds what is read back from disk and from pipes against arbitrary bytes. Nobody else goes through it.

use std::path::Path;
use std::rc::Rc;

use rustix::fd::OwnedFd;

use crate::journal::{self, Journal};
use crate::log::{self, Limits, Writer};
use crate::protocol::{Lines, Origin};

/// Opens the journal of a directory and answers its records as JSON, oldest first; with a key, a record about that one is added.
///
/// # Errors
/// The journal is refused.
pub fn journal(dir: &Path, boot_id: &str, add: Option<&str>) -> Result<Vec<String>, String> {
    let (mut journal, records) = Journal::open(dir, boot_id, || Ok("fuzz".to_owned())).map_err(|error| error.to_string())?;
    if let Some(key) = add {
        journal.write(&journal::Record::Gone { key: key.to_owned() }).map_err(|error| error.to_string())?;
    }
    Ok(records.iter().map(|record| serde_json::to_string(record).expect("records are plain data")).collect())
}

/// A line of a journal, whole whatever it says.
pub fn journal_line(json: &[u8]) -> Vec<u8> {
    journal::framed(json)
}

/// What the journal of this length and these records is after a compaction, as [`journal`] answers it.
///
/// # Errors
/// The journal is refused, before or after.
pub fn compacted_journal(dir: &Path, boot_id: &str) -> Result<Vec<String>, String> {
    let (mut journal, records) = Journal::open(dir, boot_id, || Ok("fuzz".to_owned())).map_err(|error| error.to_string())?;
    journal.compact(journal.next_run(), &records).map_err(|error| error.to_string())?;
    self::journal(dir, boot_id, None)
}

/// Where to begin reading a log.
#[derive(Debug, Clone)]
pub enum From {
    /// With the oldest line.
    Oldest,
    /// With the last so many lines.
    Tail(u32),
    /// After an earlier page.
    Cursor(String),
}

/// A log without a process.
pub struct Log {
    logs: Rc<OwnedFd>,
    writer: Writer,
}

impl Log {
    /// The log `log` below a directory, whatever is in its files.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn open(dir: &Path, segment_bytes: u64, segments: usize) -> std::io::Result<Log> {
        let logs = Rc::new(OwnedFd::from(std::fs::File::open(dir)?));
        let writer = Writer::new(&logs, "log", Limits { segment_bytes, segments });
        Ok(Log { logs, writer })
    }

    /// Adds a line, to be on disk after the next flush.
    pub fn push(&mut self, origin: Origin, continued: bool, text: &[u8]) {
        self.writer.push(origin, continued, text);
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        self.writer.flush();
    }

    /// One page.
    ///
    /// # Errors
    /// The cursor is none of ours.
    pub fn read(&self, from: &From, max_bytes: u32) -> Result<Lines, String> {
        let from = match from {
            From::Oldest => log::From::Oldest,
            From::Tail(lines) => log::From::Tail(*lines),
            From::Cursor(text) => log::From::Cursor(text.clone()),
        };
        let page = log::read(&self.logs, "log", &from, max_bytes).map_err(|error| error.to_string())?;
        Ok(Lines::join(&page.heads, page.next, page.gap, &page.body).expect("a page's heads say the length of its body"))
    }
}

/// One stored line of a stream: its bytes, and whether it goes on in the next.
pub type Cut = (Vec<u8>, bool);

/// Cuts what a stream brought into lines; answers how many bytes they used.
pub fn cut(bytes: &[u8], ended: bool) -> (Vec<Cut>, usize) {
    let (cuts, used) = log::cut(bytes, ended);
    (cuts.into_iter().map(|cut| (cut.text.to_vec(), cut.continued)).collect(), used)
}

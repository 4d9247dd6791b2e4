//! The keeper's memory: an append-only file of what happened to each key.
//!
//! A record is *written* before the thing it announces happens or is told, and survives `kill -9` of the keeper from then on. Only a fall
//! of the machine un-writes what is not *synced* yet. It ends every process too, so a spawn that it un-writes leaves nothing behind; but a
//! completed process must stay completed. So what ended is synced, with all before it, a moment after it was told: see `docs/decisions/0004`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use hostler_failpoint::failpoint;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, fdatasync, fsync, ftruncate, openat, renameat, unlinkat};

use crate::append::append;

mod record;
mod syncer;

pub(crate) use record::{Header, Intent, Record, framed};
use syncer::Syncer;

const NAME: &str = "journal";
const NEW_NAME: &str = "journal.new";
const TORN_NAME: &str = "journal.torn";
const VERSION: u32 = 1;
/// A file no longer than this is never worth a compaction.
const SHORT: u64 = 256 * 1024;

/// Why a journal cannot be used. None of these is repaired silently.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading, writing or syncing failed.
    #[error("keeper journal {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Bytes before the end are damaged.
    #[error(
        "keeper journal {} is damaged at byte {offset}, with good records after it; nothing was changed. Its processes still run. \
         Restore the file from a backup, or move it away to start with an empty one: what it held is then no longer known",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
    },
    /// Written by a newer keeper.
    #[error("keeper journal {} was written by a newer version (format {found}, this one knows {VERSION}); run that version", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
}

/// An open journal.
pub(crate) struct Journal {
    dir: OwnedFd,
    path: PathBuf,
    file: OwnedFd,
    header: Header,
    /// Bytes of whole records in the file.
    len: u64,
    /// Records that are not in the file yet: the disk was full.
    pending: Vec<u8>,
    needs_sync: bool,
    syncer: Syncer,
    /// Length from which on a compaction is worth it, or worth another try.
    compact_above: u64,
    /// The operator was told that records wait.
    has_complained: bool,
}

impl Journal {
    /// Opens or creates the journal in `dir`; answers it with all its records, oldest first.
    ///
    /// A torn last record, as a crash in mid-write leaves it, is cut off and kept beside the journal as `journal.torn`. So is everything from
    /// the first damaged record on when nothing was written since the machine started: its fall may have left a hole in what was not synced.
    pub(crate) fn open(dir: &Path, boot_id: &str, instance: impl FnOnce() -> io::Result<String>) -> Result<(Journal, Vec<Record>), JournalError> {
        let path = dir.join(NAME);
        let fault = |source: io::Error| JournalError::Io { path: path.clone(), source };
        let dir_fd = OwnedFd::from(File::open(dir).map_err(fault)?);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(fault(error)),
        };
        let Parsed { header, records, good } = parse(&path, &bytes, boot_id)?;
        if good < bytes.len() {
            std::fs::write(dir.join(TORN_NAME), &bytes[good..]).map_err(fault)?;
            failpoint!("keeper.journal.torn-end-kept");
            eprintln!("hostler keeper: the end of {} was torn by a crash; its {} bytes are kept in {TORN_NAME}", path.display(), bytes.len() - good);
        }
        let file = openat(&dir_fd, NAME, OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o600));
        let file = file.map_err(|error| fault(error.into()))?;
        ftruncate(&file, good as u64).map_err(|error| fault(error.into()))?;
        let fresh = header.is_none();
        let header = match header {
            Some(header) => header,
            None => Header { version: VERSION, instance: instance().map_err(fault)?, next_run: 1 },
        };
        let len = good as u64;
        let mut journal = Journal {
            dir: dir_fd,
            path,
            file,
            header,
            len,
            pending: Vec::new(),
            needs_sync: false,
            syncer: Syncer::default(),
            compact_above: SHORT,
            has_complained: false,
        };
        if fresh {
            failpoint!("keeper.journal.made");
            journal.pending = record::line(&journal.header);
            journal.needs_sync = true;
            journal.try_settle()?;
        }
        Ok((journal, records))
    }

    /// The random name of this state directory.
    pub(crate) fn instance(&self) -> &str {
        &self.header.instance
    }

    /// A run number at or above which none was ever given out, as far as compaction dropped its record.
    pub(crate) fn next_run(&self) -> u64 {
        self.header.next_run
    }

    /// Writes a record, or leaves no trace of it. For what may simply not happen when the disk is full.
    pub(crate) fn write(&mut self, record: &Record) -> Result<(), JournalError> {
        self.flush()?;
        self.pending = record::line(record);
        self.flush().inspect_err(|_| self.pending.clear())
    }

    /// Writes a record now or, when the disk is full, later: for what has happened already.
    pub(crate) fn note(&mut self, record: &Record) {
        self.pending.extend(record::line(record));
        if let Err(error) = self.flush() {
            self.complain(&error);
        }
    }

    /// As [`Journal::note`], and to be synced by what settles the journal next.
    pub(crate) fn note_durably(&mut self, record: &Record) {
        self.note(record);
        self.needs_sync = true;
    }

    /// Writes what waits for space, and syncs what asked to be.
    ///
    /// On a disk that is full it cannot. What happened is told all the same: it is true, and is written as soon as there is space.
    pub(crate) fn settle(&mut self) {
        match self.try_settle() {
            Ok(()) => self.has_complained = false,
            Err(error) => self.complain(&error),
        }
    }

    /// As [`Journal::settle`], but the disk's part of it is done beside the caller. How it went shows in the next call; until then this is
    /// [behind](Journal::is_behind).
    pub(crate) fn begin_to_settle(&mut self) {
        if let Err(error) = self.flush() {
            return self.complain(&error);
        }
        match self.syncer.outcome() {
            Some(Err(errno)) => {
                self.needs_sync = true;
                self.complain(&self.fault(errno));
            }
            Some(Ok(())) => self.has_complained = false,
            None => {}
        }
        if self.needs_sync && !self.syncer.is_at_work {
            match self.syncer.begin(&self.file) {
                // what is written from here on asks for the next one
                Ok(()) => self.needs_sync = false,
                // no thread or no descriptor to be had
                Err(_) => self.settle(),
            }
        }
    }

    fn complain(&mut self, error: &JournalError) {
        if !std::mem::replace(&mut self.has_complained, true) {
            eprintln!("hostler keeper: {error}; what happens is kept in memory until it can be written");
        }
    }

    fn try_settle(&mut self) -> Result<(), JournalError> {
        self.flush()?;
        if self.needs_sync {
            fdatasync(&self.file).map_err(|error| self.fault(error))?;
            self.needs_sync = false;
        }
        Ok(())
    }

    /// Is there something to be settled, or underway?
    pub(crate) fn is_behind(&self) -> bool {
        self.needs_sync || self.syncer.is_at_work || !self.pending.is_empty()
    }

    /// Has enough been appended since the last compaction to make one worth it?
    pub(crate) fn wants_compaction(&self) -> bool {
        self.len > self.compact_above
    }

    /// Replaces the file by one that holds only `records`. The old one stays in force until the new one is on disk.
    ///
    /// When that fails, it is not wanted again before the file is twice as long: what fails now will most likely fail in the next turn too.
    pub(crate) fn compact(&mut self, next_run: u64, records: &[Record]) -> Result<(), JournalError> {
        let header = Header { next_run, ..self.header.clone() };
        let mut bytes = record::line(&header);
        records.iter().for_each(|record| bytes.extend(record::line(record)));
        self.file = self.replace(&bytes).map_err(|error| {
            self.compact_above = 2 * self.len;
            self.fault(error)
        })?;
        failpoint!("keeper.compact.opened");
        self.header = header;
        self.len = bytes.len() as u64;
        self.compact_above = SHORT.max(4 * self.len);
        self.pending.clear();
        self.needs_sync = false;
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> rustix::io::Result<OwnedFd> {
        let file = self.write_new(bytes).inspect_err(|_| {
            // half a file would only take space from a disk that is short of it
            let _ = unlinkat(&self.dir, NEW_NAME, AtFlags::empty());
        })?;
        // The new file is in force already. Where its name cannot be synced, a fall of the machine may bring the old one back, whole.
        let _ = fsync(&self.dir);
        Ok(file)
    }

    fn write_new(&self, bytes: &[u8]) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&self.dir, NEW_NAME, flags, Mode::from_raw_mode(0o600))?;
        append(&file, bytes, 0)?;
        failpoint!("keeper.compact.filled");
        fsync(&file)?;
        failpoint!("keeper.compact.synced");
        renameat(&self.dir, NEW_NAME, &self.dir, NAME)?;
        failpoint!("keeper.compact.renamed");
        Ok(file)
    }

    /// Moves pending records to the file, all or none of them.
    fn flush(&mut self) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        failpoint!("keeper.journal.before-append");
        self.len = append(&self.file, &self.pending, self.len).map_err(|error| self.fault(error))?;
        failpoint!("keeper.journal.appended");
        self.pending.clear();
        Ok(())
    }

    fn fault(&self, error: rustix::io::Errno) -> JournalError {
        JournalError::Io { path: self.path.clone(), source: error.into() }
    }
}

struct Parsed {
    header: Option<Header>,
    records: Vec<Record>,
    /// Bytes of whole records.
    good: usize,
}

fn parse(path: &Path, bytes: &[u8], boot_id: &str) -> Result<Parsed, JournalError> {
    let mut parsed = Parsed { header: None, records: Vec::new(), good: 0 };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    for line in lines.by_ref() {
        let Some(text) = line.strip_suffix(b"\n").filter(|text| record::is_whole(text)) else { break };
        if parsed.header.is_none() {
            let header = record::parse::<Header>(text).ok_or_else(|| damaged(path, 0))?;
            if header.version != VERSION {
                return Err(JournalError::TooNew { path: path.to_owned(), found: header.version });
            }
            parsed.header = Some(header);
        } else {
            // a whole record that says nothing we know was written by a newer keeper
            let record = record::parse::<Record>(text);
            parsed.records.push(record.ok_or_else(|| JournalError::TooNew { path: path.to_owned(), found: VERSION + 1 })?);
        }
        parsed.good += line.len();
    }
    let good_follows = lines.any(|line| line.strip_suffix(b"\n").is_some_and(record::is_whole));
    // Whatever was synced stands before a hole that a fall of the machine left, and every spawn since would name this boot.
    let machine_fell = !boot_id.is_empty() && !bytes.windows(boot_id.len()).any(|text| text == boot_id.as_bytes());
    // a first record that is damaged is no torn tail: there would be nothing left
    let headless = parsed.header.is_none() && bytes.contains(&b'\n');
    if (good_follows && !machine_fell) || headless { Err(damaged(path, parsed.good)) } else { Ok(parsed) }
}

fn damaged(path: &Path, offset: usize) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), offset }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Result<(Journal, Vec<Record>), JournalError> {
        Journal::open(dir, "", || Ok("test".into()))
    }

    fn gone(key: &str) -> Record {
        Record::Gone { key: key.into() }
    }

    fn written(dir: &Path, keys: &[&str]) -> Vec<u8> {
        let (mut journal, _) = open(dir).expect("opens");
        keys.iter().for_each(|key| journal.write(&gone(key)).expect("writes"));
        std::fs::read(dir.join(NAME)).expect("reads")
    }

    #[test]
    fn a_journal_cut_anywhere_in_its_last_record_keeps_the_others() {
        let dir = tempfile::tempdir().expect("tempdir");
        let bytes = written(dir.path(), &["a", "b", "c"]);
        let last = record::line(&gone("c")).len();
        for cut in bytes.len() - last..bytes.len() {
            std::fs::write(dir.path().join(NAME), &bytes[..cut]).expect("writes");
            let (mut journal, records) = open(dir.path()).expect("tolerates a torn tail");
            assert_eq!(records, [gone("a"), gone("b")], "cut at {cut}");
            journal.write(&gone("d")).expect("writes on");
            assert_eq!(open(dir.path()).expect("opens").1, [gone("a"), gone("b"), gone("d")]);
        }
    }

    #[test]
    fn damage_in_the_middle_is_refused_and_nothing_is_changed() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut bytes = written(dir.path(), &["a", "b", "c"]);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        std::fs::write(dir.path().join(NAME), &bytes).expect("writes");
        let error = open(dir.path()).err().expect("refuses");
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert_eq!(std::fs::read(dir.path().join(NAME)).expect("reads"), bytes);
    }

    #[test]
    fn a_hole_that_a_fall_of_the_machine_left_costs_only_what_is_behind_it() {
        let stopping = |boot: &str| Record::Stopping { key: "c".into(), signal: "TERM".into(), deadline: 1, boot_id: boot.into() };
        let with_hole = |records: &[Record]| {
            let dir = tempfile::tempdir().expect("tempdir");
            let (mut journal, _) = open(dir.path()).expect("opens");
            records.iter().for_each(|record| journal.write(record).expect("writes"));
            let mut bytes = std::fs::read(dir.path().join(NAME)).expect("reads");
            let hole = bytes.len() - record::line(records.last().expect("some")).len() - 3;
            bytes[hole] = 0;
            std::fs::write(dir.path().join(NAME), &bytes).expect("writes");
            dir
        };
        let fallen = with_hole(&[gone("a"), gone("b"), stopping("before")]);
        let (_, records) = Journal::open(fallen.path(), "now", || Ok("test".into())).expect("opens");
        assert_eq!(records, [gone("a")]);
        let rotten = with_hole(&[gone("a"), gone("b"), stopping("now")]);
        assert!(matches!(Journal::open(rotten.path(), "now", || Ok("test".into())), Err(JournalError::Damaged { .. })));
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("tempdir");
        let newer = record::line(&Header { version: 9, instance: "x".into(), next_run: 1 });
        std::fs::write(dir.path().join(NAME), newer).expect("writes");
        assert!(matches!(open(dir.path()), Err(JournalError::TooNew { found: 9, .. })));
    }

    #[test]
    fn an_end_is_written_at_once_and_waits_for_its_sync() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (mut journal, _) = open(dir.path()).expect("opens");
        journal.note(&gone("a"));
        assert!(!journal.is_behind(), "only what must survive the machine is synced");
        journal.note_durably(&gone("b"));
        assert_eq!(open(dir.path()).expect("opens").1, [gone("a"), gone("b")]);
        assert!(journal.is_behind());
        journal.settle();
        assert!(!journal.is_behind());
    }

    #[test]
    fn a_sync_beside_the_loop_is_underway_until_it_is_known_how_it_went() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (mut journal, _) = open(dir.path()).expect("opens");
        let until_settled = |journal: &mut Journal| {
            while journal.is_behind() {
                journal.begin_to_settle();
                std::thread::yield_now();
            }
        };
        for round in 0..3 {
            journal.note_durably(&gone("a"));
            journal.begin_to_settle();
            assert!(journal.syncer.is_at_work && !journal.needs_sync, "round {round}");
            journal.note_durably(&gone("b"));
            assert!(journal.needs_sync, "what came after it began needs another one");
            until_settled(&mut journal);
        }
        // a pipe cannot be synced, which the kernel says as a failing disk would
        let (_reader, pipe) = rustix::pipe::pipe().expect("a pipe");
        journal.syncer.begin(&pipe).expect("begins");
        while journal.syncer.is_at_work && !journal.has_complained {
            journal.begin_to_settle();
            std::thread::yield_now();
        }
        assert!(journal.has_complained && journal.is_behind(), "it is tried again");
        until_settled(&mut journal);
        assert!(!journal.has_complained);
    }

    #[test]
    fn compaction_keeps_what_it_is_given_and_the_instance() {
        let dir = tempfile::tempdir().expect("tempdir");
        written(dir.path(), &["a", "b"]);
        let (mut journal, _) = open(dir.path()).expect("opens");
        journal.compact(7, &[gone("b")]).expect("compacts");
        journal.write(&gone("c")).expect("writes on");
        let (journal, records) = Journal::open(dir.path(), "", || Ok("other".into())).expect("opens");
        assert_eq!((journal.instance(), journal.next_run()), ("test", 7));
        assert_eq!(records, [gone("b"), gone("c")]);
    }
}

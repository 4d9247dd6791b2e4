//! Opening a store: lock, look, and refuse what is not sound before anything is touched.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_failpoint::failpoint;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::{damaged, fault};
use super::{APPLICATION_ID, Options, SCHEMA_VERSION};
use crate::StoreError;
use crate::file::{private, replace_file, sync_names};

const SCHEMA: &str = "
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        last_event INTEGER NOT NULL,
        watch_floor INTEGER NOT NULL, -- deletions up to this revision are forgotten
        digest INTEGER NOT NULL -- the sum of all entries' digests
    ) STRICT;
    INSERT INTO meta VALUES (1, 0, 0, 0, 0);
    CREATE TABLE entries (
        key TEXT NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        value BLOB, -- NULL: deleted by this revision
        digest INTEGER NOT NULL -- of the three before it
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        revision INTEGER NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        at_unix_ms INTEGER NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE TABLE leases (
        name TEXT NOT NULL PRIMARY KEY,
        epoch INTEGER NOT NULL,
        holder TEXT, -- NULL: released
        expires_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE replies (
        revision INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        first_event INTEGER
    ) STRICT;
";

/// Questions that only make sense when the schema is whole.
const PROBES: [&str; 5] = [
    "SELECT id, revision, last_event, watch_floor, digest FROM meta",
    "SELECT key, revision, value, digest FROM entries",
    "SELECT seq, revision, kind, subject, at_unix_ms, data FROM events",
    "SELECT name, epoch, holder, expires_ms FROM leases",
    "SELECT revision, key, first_event FROM replies",
];

/// The writing connection, and the lock that makes it the only one.
pub(super) struct Opened {
    // Fields drop in this order: the lock goes last.
    pub(super) connection: Connection,
    pub(super) log: Log,
    pub(super) _lock: Lock,
}

/// The write-ahead log, to be synced.
pub(super) struct Log {
    path: PathBuf,
    /// Once it is there. SQLite has no locks on it that closing it could end.
    file: Option<File>,
}

impl Log {
    /// Makes durable whatever was committed.
    ///
    /// SQLite makes the log with the first commit, or cannot make it, as on a full disk, and goes on without one: it syncs every commit
    /// itself until the log has been seen. From then on it syncs what a checkpoint needs, and commits are synced here.
    pub(super) fn sync(&mut self, connection: &Connection) -> io::Result<()> {
        if let Some(file) = &self.file {
            return file.sync_data();
        }
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        // SQLite says nothing when it could not sync the name.
        sync_names(&self.path)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(io::Error::other)?;
        self.file = Some(file);
        Ok(())
    }
}

/// The right to be the one process that has the store open.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        failpoint!("store.close.checkpointed");
        // Closing would not do: a child that is just being forked has the file open for another moment.
        let _released = self.0.unlock();
    }
}

pub(super) fn open(path: &Path, options: Options) -> Result<Opened, StoreError> {
    let lock = lock(path)?;
    failpoint!("store.open.locked");
    match fs::symlink_metadata(path) {
        Ok(_) => check_header(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(StoreError::io(path, "looking at", error)),
    }
    make_private(path)?;
    let had_log = has_log(path);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A connection that is closed moves the log into the file and deletes it: not into one that is refused.
    let keep_log = |keep| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map_err(|error| fault(path, "opening", error));
    keep_log(had_log)?;
    check_content(path, &connection)?;
    failpoint!("store.open.checked");
    keep_log(false)?;
    configure(&connection, options).map_err(|error| fault(path, "opening", error))?;
    failpoint!("store.open.configured");
    Ok(Opened { connection, log: Log { path: companion(path, "-wal"), file: None }, _lock: lock })
}

/// A connection for reading; the writer has made sure that the file is sound.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // Whoever reads has the kernel's cache. (This already reads the file: not before it is known to be sound.)
    connection.execute_batch("PRAGMA cache_size = -256").map_err(|error| fault(path, "opening", error))?;
    Ok(connection)
}

/// Refuses a snapshot that is not a sound store of a version we know.
pub(super) fn check_snapshot(file: &Path) -> Result<(), StoreError> {
    let checked = check_header(file).and_then(|()| check_content(file, &connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?));
    checked.map_err(|error| match error {
        StoreError::Corrupt { path, reason } | StoreError::Unwritable { path, reason } => StoreError::Snapshot { path, reason },
        StoreError::TooNew { path, found, supported } => {
            StoreError::Snapshot { path, reason: format!("it has schema version {found}, this Hostler knows up to {supported}") }
        }
        other => other,
    })
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let lock_path = path.with_extension("lock");
    let failed = |error| StoreError::io(&lock_path, "locking", error);
    let mut file = private(OpenOptions::new().read(true).write(true).create(true)).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: path.to_owned(), pid: pid_in(&mut file) }),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // The pid is a courtesy to people; a full disk is no reason to refuse reading.
    let _courtesy = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock(file))
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes an empty store under another name first: under the final name there is a whole store or none, so that an empty
/// file can only mean damage.
fn create(path: &Path) -> Result<(), StoreError> {
    if has_log(path) {
        let reason = format!("it is gone, but its write-ahead log {} is still there", companion(path, "-wal").display());
        return Err(StoreError::Corrupt { path: path.to_owned(), reason });
    }
    replace_file(path, |temporary| {
        let connection = connect(temporary, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};");
        let made = connection.execute_batch(&format!("BEGIN; {SCHEMA} {marks} COMMIT;"));
        made.map_err(|error| fault(path, "creating", error))
    })
}

/// Judges the first bytes without SQLite, which would take an empty file for a new database.
fn check_header(path: &Path) -> Result<(), StoreError> {
    let corrupt = |reason: &str| Err(StoreError::Corrupt { path: path.to_owned(), reason: reason.to_owned() });
    let metadata = fs::symlink_metadata(path).map_err(|error| StoreError::io(path, "looking at", error))?;
    if !metadata.is_file() {
        return corrupt("it is not a regular file");
    }
    let mut header = [0; 100];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return corrupt("it is cut off within its first 100 bytes"),
        Err(error) => return Err(StoreError::io(path, "reading", error)),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        // A power cut in a checkpoint tears pages that the log still has whole, the first among them: SQLite judges both.
        if has_log(path) {
            return Ok(());
        }
        return corrupt("its header is damaged, or it is not a database");
    }
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    check_marks(path, word(68), word(60))
}

fn check_marks(path: &Path, application_id: u32, version: u32) -> Result<(), StoreError> {
    let corrupt = |reason: String| Err(StoreError::Corrupt { path: path.to_owned(), reason });
    match version {
        _ if application_id != APPLICATION_ID => corrupt("it is a database of another program".to_owned()),
        SCHEMA_VERSION => Ok(()),
        newer if newer > SCHEMA_VERSION => Err(StoreError::TooNew { path: path.to_owned(), found: newer, supported: SCHEMA_VERSION }),
        other => corrupt(format!("its schema version {other} never existed")),
    }
}

/// A snapshot that was copied into place may be open to others; SQLite gives its companions the same mode.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::io(path, "looking at", error))?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(|error| StoreError::io(path, "changing the mode of", error))
}

/// Judges what SQLite reads, the write-ahead log included. SQLite's own check sees the structure; the digests see that no
/// entry is missing or altered.
fn check_content(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let failed = |error| fault(path, "checking", error);
    let mark = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).map_err(failed);
    check_marks(path, mark("application_id")?, mark("user_version")?)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict != "ok" {
        return Err(damaged(path, verdict));
    }
    PROBES.iter().try_for_each(|probe| connection.prepare(probe).map(drop)).map_err(failed)?;
    let counters = super::read::counters(connection).map_err(failed)?;
    if super::read::digest_of_all(connection).map_err(failed)? != counters.digest {
        return Err(StoreError::Corrupt { path: path.to_owned(), reason: "some of its entries are missing or damaged".to_owned() });
    }
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |error| fault(path, "opening", error);
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    // SQLite quietly opens for reading what it may not write.
    if access.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) && connection.is_readonly("main").map_err(failed)? {
        return Err(StoreError::Unwritable { path: path.to_owned(), reason: "the file is read-only".to_owned() });
    }
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;").map_err(failed)?;
    Ok(connection)
}

/// As it is until [`Log::sync`] has seen the log.
fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    let _mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    // The writer sees the same pages again and again.
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA shrink_memory; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 16777216;")?;
    if let Some(pages) = options.max_pages {
        let _limit: u32 = connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0))?;
    }
    Ok(())
}

fn has_log(path: &Path) -> bool {
    fs::metadata(companion(path, "-wal")).is_ok_and(|metadata| metadata.len() > 0)
}

pub(super) fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

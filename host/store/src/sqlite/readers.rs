//! Connections for reading: lent to whoever asks, and not more than so many at a time.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::fault::fault;
use super::open;
use crate::StoreError;

/// How many are lent at a time, at most. Each has a cache, and a file that stays open after it is closed, as long as the writer has it open: SQLite
/// cannot close one file of several without losing the locks of all (<https://www.sqlite.org/src/doc/trunk/src/os_unix.c>, "Posix Advisory Locking").
const MOST: usize = 16;
/// How many are kept while nobody reads.
const IDLE: usize = 4;

/// Connections for reading, opened when needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    desk: Mutex<Desk>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, desk: Mutex::default(), returned: Condvar::new() }
    }

    /// Closes all connections, so that the writer's is the last one and can tidy up.
    pub(super) fn close(&self) {
        self.desk().idle.clear();
    }

    /// Answers a question on a connection that nobody else uses meanwhile; waits for one while too many are in use. Whoever asks asks nothing
    /// else meanwhile.
    pub(super) fn with<T, E: Into<Failure>>(&self, ask: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, StoreError> {
        let mut loan = self.lend();
        let connection = loan.connection.take().map_or_else(|| open::reader(&self.path), Ok)?;
        let answer = ask(&connection).map_err(|error| match error.into() {
            Failure::Sql(error) => fault(&self.path, "reading", error),
            Failure::Store(error) => error,
        })?;
        loan.connection = Some(connection);
        Ok(answer)
    }

    fn lend(&self) -> Loan<'_> {
        let desk = self.returned.wait_while(self.desk(), |desk| desk.lent >= MOST);
        let mut desk = desk.unwrap_or_else(PoisonError::into_inner);
        desk.lent += 1;
        Loan { readers: self, connection: desk.idle.pop() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of those that may be in use. A connection that is in it at its end is kept for the next.
struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut desk = self.readers.desk();
        if desk.idle.len() < IDLE {
            desk.idle.extend(self.connection.take());
        } else {
            // It is closed before another one is opened in its place.
            self.connection = None;
        }
        desk.lent -= 1;
        drop(desk);
        self.readers.returned.notify_one();
    }
}

/// Why a question has no answer.
pub(super) enum Failure {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::Sqlite;

    fn open_files(path: &Path) -> usize {
        let files = fs::read_dir("/proc/self/fd").expect("Linux says what is open").flatten();
        files.filter(|file| fs::read_link(file.path()).is_ok_and(|target| target == path)).count()
    }

    #[test]
    fn however_many_read_at_once_few_files_are_open() {
        let dir = tempfile::tempdir().expect("there is a place");
        let path = dir.path().join("store.db");
        let store = Sqlite::open(&path).expect("it opens");
        let (readers, all) = (&store.readers, Barrier::new(MOST));
        let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..8 * MOST {
                let (reading, most, all) = (&reading, &most, &all);
                scope.spawn(move || {
                    let answer = readers.with(|connection| {
                        most.fetch_max(1 + reading.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        // As many as may be are there at once.
                        all.wait();
                        reading.fetch_sub(1, Ordering::SeqCst);
                        // Whoever fails gives its place back like everybody else.
                        connection.query_row(if number % 2 == 0 { "SELECT 1" } else { "SELECT nothing" }, [], |row| row.get::<_, i64>(0))
                    });
                    assert_eq!(answer.is_ok(), number % 2 == 0);
                });
            }
        });
        assert_eq!(most.into_inner(), MOST);
        // The writer's is one more.
        let open = open_files(&path.canonicalize().expect("it is there"));
        assert!(open <= MOST + 1, "{open} are open");
        assert!(readers.desk().idle.len() <= IDLE && readers.desk().lent == 0);
    }
}

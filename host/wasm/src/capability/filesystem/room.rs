//! The quota of one granted directory, shared by all calls of a plugin.
//!
//! What a plugin writes is taken from what was left when the tree was last measured. When that is used up, the tree is
//! measured again: others may have freed something, or the plugin wrote over what was there already.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use super::measure;

/// Where measuring found too little, it is not done again sooner than this, unless the plugin itself made room.
const AGAIN: Duration = Duration::from_secs(1);

/// How much may still be written.
pub(super) struct Room {
    quota: u64,
    dir: Arc<File>,
    books: Mutex<Books>,
    /// Files that are open for writing: one that is unlinked meanwhile is in no directory, and takes its room until it is closed.
    open: Mutex<Vec<Weak<File>>>,
    /// One measures; the others wait for what it finds. Held by the measuring itself, which may take longer than whoever asked for it waits.
    measuring: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Books {
    left: u64,
    /// Taken, and perhaps not on the disk yet.
    in_flight: u64,
    /// When the tree was measured, and what was left then; absent when it has to be measured before anything is taken.
    measured: Option<(Instant, u64)>,
    /// Something was made smaller since the last measuring began, which may not have seen it.
    freed: bool,
}

/// Bytes on their way to the disk.
pub(super) struct Charge {
    room: Arc<Room>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.room.books().in_flight -= self.bytes;
    }
}

/// What a write takes: whole blocks, as on a disk.
pub(super) fn cost(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(measure::LEAST)
}

impl Room {
    pub(super) fn new(quota: u64, dir: Arc<File>) -> Room {
        Room { quota, dir, books: Mutex::default(), open: Mutex::default(), measuring: Arc::default() }
    }

    /// Takes room for `bytes`, measuring where that may help. Nothing when there is none.
    pub(super) async fn take(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        match self.take_now(bytes) {
            Some(charge) => Some(charge),
            None => {
                self.refill(bytes).await;
                self.take_now(bytes)
            }
        }
    }

    /// Takes room for `bytes` from what is known to be left.
    pub(super) fn take_now(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        let mut books = self.books();
        books.left = books.left.checked_sub(bytes)?;
        books.in_flight += bytes;
        Some(Charge { room: Arc::clone(self), bytes })
    }

    /// What is known to be left.
    pub(super) fn left(&self) -> u64 {
        self.books().left
    }

    /// Measures again, unless that was just done or somebody else made room for `bytes` meanwhile. Whoever gives up leaves the measuring to
    /// itself: what it finds is there for the next one.
    pub(super) async fn refill(self: &Arc<Self>, bytes: u64) {
        let measuring = Arc::clone(&self.measuring).lock_owned().await;
        if self.is_known(bytes) {
            return;
        }
        let room = Arc::clone(self);
        let measured = tokio::task::spawn_blocking(move || {
            let _one_at_a_time = measuring;
            room.measure();
        });
        if measured.await.is_err() {
            self.book(0);
        }
    }

    /// Is there room for `bytes`, or was just found that there is none?
    fn is_known(&self, bytes: u64) -> bool {
        let books = self.books();
        books.left >= bytes || books.measured.is_some_and(|(at, found)| found < bytes && at.elapsed() < AGAIN)
    }

    /// Walks the tree, for as long as that takes, and writes down what is left.
    fn measure(&self) {
        self.books().freed = false;
        let open = self.open_files();
        let used = measure::tree(&self.dir).and_then(|tree| Ok(tree.saturating_add(measure::unlinked(&open)?)));
        // a tree that cannot be measured has no room: a quota that nobody checks is none
        self.book(used.map_or(0, |used| self.quota.saturating_sub(used)));
    }

    /// So much was left by the tree, and what is on its way has to go in there, too.
    fn book(&self, left: u64) {
        let mut books = self.books();
        books.left = left.saturating_sub(books.in_flight);
        books.measured = (!books.freed).then(|| (Instant::now(), books.left));
    }

    /// A file below was opened for writing.
    pub(super) fn opened(&self, file: &Arc<File>) {
        let mut open = self.open.lock().expect("no code panics while it holds this lock");
        open.retain(|file| file.strong_count() > 0);
        open.push(Arc::downgrade(file));
    }

    fn open_files(&self) -> Vec<Arc<File>> {
        self.open.lock().expect("no code panics while it holds this lock").iter().filter_map(Weak::upgrade).collect()
    }

    /// The plugin made something smaller: the next measuring need not wait.
    pub(super) fn freed(&self) {
        let mut books = self.books();
        (books.measured, books.freed) = (None, true);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no code panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[tokio::test]
    async fn many_small_writes_take_what_they_take_on_the_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let room = Arc::new(Room::new(40 << 10, Arc::new(File::open(dir.path()).expect("it is there"))));
        let file = dir.path().join("file");
        for written in 0..1_000 {
            let charge = room.take(cost(1)).await.unwrap_or_else(|| panic!("{written} bytes are not 40 KiB"));
            std::fs::write(&file, vec![1; written + 1]).expect("ours");
            drop(charge);
        }
    }

    #[tokio::test]
    async fn a_full_directory_has_room_again_when_something_is_deleted() {
        let dir = tempfile::tempdir().expect("a directory");
        let room = Arc::new(Room::new(100 << 10, Arc::new(File::open(dir.path()).expect("it is there"))));
        let file = dir.path().join("file");
        let charge = room.take(80 << 10).await.expect("it is empty");
        assert!(room.take(40 << 10).await.is_none(), "taken, if not written yet");
        std::fs::write(&file, vec![1; 80 << 10]).expect("ours");
        drop(charge);
        assert!(room.take(40 << 10).await.is_none());
        std::fs::remove_file(&file).expect("ours");
        room.freed();
        assert!(room.take(80 << 10).await.is_some());
    }

    #[tokio::test]
    async fn a_measuring_that_outlives_its_caller_is_booked_and_is_the_only_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let room = Arc::new(Room::new(40 << 10, Arc::new(File::open(dir.path()).expect("it is there"))));
        {
            // what every measuring begins with has to wait
            let _open = room.open.lock().expect("ours");
            for _ in 0..2 {
                let taking = pin!(room.take(8 << 10));
                assert!(taking.poll(&mut Context::from_waker(Waker::noop())).is_pending(), "its caller goes away");
            }
            assert!(Arc::clone(&room.measuring).try_lock_owned().is_err(), "the measuring does not");
        }
        drop(room.measuring.lock().await);
        assert_eq!(room.left(), 40 << 10, "nobody else has to measure");
    }

    #[tokio::test]
    async fn what_is_freed_while_it_is_measured_is_worth_another_look() {
        let dir = tempfile::tempdir().expect("a directory");
        let room = Arc::new(Room::new(40 << 10, Arc::new(File::open(dir.path()).expect("it is there"))));
        let file = dir.path().join("file");
        std::fs::write(&file, vec![1; 40 << 10]).expect("ours");
        assert!(room.take(8 << 10).await.is_none());
        // as a measuring does that began before, and ends after
        room.freed();
        std::fs::remove_file(&file).expect("ours");
        room.book(0);
        assert!(room.take(8 << 10).await.is_some());
    }
}

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
    /// One measures; the others wait for what it finds.
    measuring: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Books {
    left: u64,
    /// Taken, and perhaps not on the disk yet.
    in_flight: u64,
    /// When the tree was measured, and what was left then; absent when it has to be measured before anything is taken.
    measured: Option<(Instant, u64)>,
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
        Room { quota, dir, books: Mutex::default(), open: Mutex::default(), measuring: tokio::sync::Mutex::default() }
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

    /// Measures again, unless that was just done or somebody else made room for `bytes` meanwhile.
    pub(super) async fn refill(&self, bytes: u64) {
        let _one_at_a_time = self.measuring.lock().await;
        {
            let books = self.books();
            if books.left >= bytes || books.measured.is_some_and(|(at, found)| found < bytes && at.elapsed() < AGAIN) {
                return;
            }
        }
        let (dir, open) = (Arc::clone(&self.dir), self.open_files());
        let measured =
            tokio::task::spawn_blocking(move || Ok::<_, rustix::io::Errno>(measure::tree(&dir)?.saturating_add(measure::unlinked(&open)?)));
        let measured = measured.await;
        let mut books = self.books();
        // a tree that cannot be measured has no room: a quota that nobody checks is none
        books.left = match measured {
            Ok(Ok(used)) => self.quota.saturating_sub(used).saturating_sub(books.in_flight),
            Ok(Err(_)) | Err(_) => 0,
        };
        books.measured = Some((Instant::now(), books.left));
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
        self.books().measured = None;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no code panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

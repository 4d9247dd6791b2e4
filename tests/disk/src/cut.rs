//! Cutting the power everywhere: images along a trace, each one verified.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io, thread};

use tempfile::TempDir;

use crate::disk::Op;
use crate::history::{History, Promise};
use crate::image::{Image, Left, Platter};
use crate::random::Random;
use crate::verify::verify;

/// How often chance is asked for an image at one place before the next place is tried.
const DRAWS: usize = 4;
/// So many broken images are enough to know.
const FAILURES: usize = 5;

/// What became of a number of images.
#[derive(Debug, Default)]
pub struct Report {
    /// How many were made, no two with the same choices from the same disk.
    pub images: usize,
    /// Those that broke a promise; after a few of them the rest is left out.
    pub failures: Vec<Failure>,
}

/// A broken promise.
#[derive(Debug)]
pub struct Failure {
    /// The cut is before this operation of the trace.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
    /// The image as it was before it was opened, when it is kept.
    pub kept: Option<PathBuf>,
}

/// One cut: what is left, and what must hold.
struct Cut {
    at: usize,
    image: Image,
    promise: Promise,
}

/// Makes so many images along a trace, evenly, and verifies each; failing ones are kept under `keep`.
///
/// There may be fewer when the trace is too short for so many different ones.
pub fn cut_everywhere(trace: &[Op], history: &History, images: usize, seed: u64, keep: Option<&Path>) -> Report {
    let (cuts, queue) = mpsc::sync_channel(8);
    let queue = Mutex::new(queue);
    let failures = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let images = thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| verify_all(&queue, history, &failures, keep));
        }
        let is_enough = || failures.lock().unwrap_or_else(PoisonError::into_inner).len() >= FAILURES;
        make(trace, images, seed, cuts, is_enough)
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|failure: &Failure| failure.at);
    Report { images, failures }
}

/// Sends images; tells how many.
fn make(trace: &[Op], images: usize, seed: u64, cuts: SyncSender<Cut>, is_enough: impl Fn() -> bool) -> usize {
    let mut random = Random::new(seed);
    let mut platter = Platter::new(trace);
    let mut promise = Promise::default();
    let mut seen = HashSet::new();
    for at in 0..=trace.len() {
        // Where nothing is pending there is one image only; what is missing for an even spread is made up for later.
        let due = images * (at + 1) / (trace.len() + 1);
        for _ in 0..DRAWS * (due - seen.len()).min(DRAWS) {
            if seen.len() == due {
                break;
            }
            let left = [Left::Nothing, Left::Everything, Left::Some][random.below(10).min(2)];
            let image = platter.image(left, &mut random);
            let mut known = DefaultHasher::new();
            (image.fingerprint, promise).hash(&mut known);
            if seen.insert(known.finish()) && cuts.send(Cut { at, image, promise }).is_err() {
                return seen.len();
            }
        }
        match trace.get(at) {
            Some(Op::Note(note)) => promise.hear(*note),
            Some(_) => platter.play(at),
            None => {}
        }
        if is_enough() {
            break;
        }
    }
    seen.len()
}

fn verify_all(queue: &Mutex<Receiver<Cut>>, history: &History, failures: &Mutex<Vec<Failure>>, keep: Option<&Path>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(cut) = next else { return };
        if let Err(reason) = cut.verify(history) {
            let kept = keep.and_then(|keep| cut.keep(keep, &reason).ok());
            failures.lock().unwrap_or_else(PoisonError::into_inner).push(Failure { at: cut.at, reason, kept });
        }
    }
}

impl Cut {
    fn verify(&self, history: &History) -> Result<(), String> {
        let place = scratch().map_err(|error| format!("no place for an image: {error}"))?;
        self.image.write(place.path()).map_err(|error| format!("writing an image: {error}"))?;
        verify(place.path(), history, &self.promise)
    }

    fn keep(&self, keep: &Path, reason: &str) -> io::Result<PathBuf> {
        let place = keep.join(format!("cut-{}-{:x}", self.at, self.image.fingerprint));
        fs::create_dir_all(&place)?;
        self.image.write(&place)?;
        fs::write(place.join("reason.txt"), format!("before operation {}\n{:?}\n{reason}\n", self.at, self.promise))?;
        Ok(place)
    }
}

/// A directory for a moment, in memory where there is such a place: images are many, and nobody needs them to last.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> io::Result<TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir_in(env::temp_dir()))
}

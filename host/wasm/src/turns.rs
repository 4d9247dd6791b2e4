//! Work on disks that may not answer, so much at a time for each name: what hangs keeps a thread of the host's, whoever still waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// So many at a time of each name; more wait, in the order in which they came.
#[derive(Debug)]
pub struct Turns {
    at_once: usize,
    /// The names under which somebody works or waits; others are forgotten when the next one comes.
    names: Mutex<BTreeMap<String, Weak<Semaphore>>>,
}

impl Turns {
    /// So many at a time of each name.
    pub const fn new(at_once: usize) -> Turns {
        Turns { at_once, names: Mutex::new(BTreeMap::new()) }
    }

    /// Works on a thread where waiting for the disk is fine, once it is this name's turn. What was given up before that is never begun; what
    /// is begun keeps its turn until it is done, not until nobody waits any more.
    pub async fn run<T: Send + 'static>(&self, name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let turn = self.of(name).acquire_owned().await.expect("the semaphore is never closed");
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        working.await
    }

    fn of(&self, name: &str) -> Arc<Semaphore> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = names.get(name).and_then(Weak::upgrade) {
            return turns;
        }
        names.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(self.at_once));
        names.insert(name.to_owned(), Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    #[tokio::test]
    async fn what_hangs_takes_only_so_many_threads() {
        let (turns, begun, both) = (Turns::new(2), Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let (answers, stuck) = std::sync::mpsc::channel::<()>();
        let stuck = Arc::new(Mutex::new(stuck));
        for _ in 0..5 {
            let (begun, stuck) = (Arc::clone(&begun), Arc::clone(&stuck));
            let hang = move || {
                begun.fetch_add(1, Ordering::SeqCst);
                // until the other end is dropped
                stuck.lock().expect("no code panics while it holds this lock").recv().ok();
            };
            // whoever waits goes away; the threads do not
            assert!(timeout(Duration::ZERO, turns.run("dead", hang)).await.is_err(), "it hangs, or waits for its turn");
        }
        turns.run("alive", || ()).await.expect("it has turns of its own");
        drop(answers);
        // two at once, so both that hung are done
        let meet = || {
            let both = Arc::clone(&both);
            move || both.wait().is_leader()
        };
        let (one, other) = tokio::join!(turns.run("dead", meet()), turns.run("dead", meet()));
        assert_ne!(one.expect("it ran"), other.expect("it ran"));
        assert_eq!(begun.load(Ordering::SeqCst), 2, "what was given up in the queue is never begun");
    }

    #[tokio::test]
    async fn a_name_that_nobody_uses_is_forgotten() {
        let turns = Turns::new(1);
        for name in ["one", "other"] {
            turns.run(name, || ()).await.expect("it ran");
        }
        let names = turns.names.lock().expect("no code panics while it holds this lock");
        assert!(names.keys().eq(["other"]), "{names:?}");
    }
}

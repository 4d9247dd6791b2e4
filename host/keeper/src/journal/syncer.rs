//! Syncing beside the loop: a busy disk takes tens of milliseconds for it, and nobody who waits for a start or an end is to wait for that too.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use hostler_failpoint::failpoint;
use rustix::fd::OwnedFd;
use rustix::fs::fdatasync;
use rustix::io::{Errno, Result};

/// It only makes system calls; a signal's handler may run on it.
const STACK_BYTES: usize = 64 * 1024;

/// The keeper's second thread, begun with the first sync; ends with this.
#[derive(Default)]
pub(super) struct Syncer {
    thread: Option<(Sender<OwnedFd>, Receiver<Result<()>>)>,
    /// A sync was begun, and how it went has not been taken.
    pub(super) is_at_work: bool,
}

impl Syncer {
    /// Begins to sync all that was written to a file until now. Not while it [is at work](Syncer::is_at_work).
    pub(super) fn begin(&mut self, file: &OwnedFd) -> std::io::Result<()> {
        let file = file.try_clone()?;
        let (files, _) = match &mut self.thread {
            Some(thread) => thread,
            none => none.insert(start()?),
        };
        self.is_at_work = files.send(file).is_ok();
        if self.is_at_work { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    }

    /// How the last sync went, once: nothing while it goes on, or when there was none.
    pub(super) fn outcome(&mut self) -> Option<Result<()>> {
        let (_, outcomes) = self.thread.as_ref().filter(|_| self.is_at_work)?;
        let outcome = match outcomes.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(Errno::IO),
        };
        self.is_at_work = false;
        Some(outcome)
    }
}

fn start() -> std::io::Result<(Sender<OwnedFd>, Receiver<Result<()>>)> {
    let ((files, todo), (done, outcomes)) = (channel::<OwnedFd>(), channel());
    let work = move || {
        for file in todo {
            failpoint!("keeper.journal.before-sync");
            let outcome = fdatasync(&file);
            failpoint!("keeper.journal.synced");
            drop(file);
            if done.send(outcome).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().name("keeper-sync".into()).stack_size(STACK_BYTES).spawn(work)?;
    Ok((files, outcomes))
}

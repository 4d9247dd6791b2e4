//! Which starts need not wait for the disk.

use hostler_core::{Remembered, Run, Saved};

/// Which starts may begin once their intent is written, before it is durable.
///
/// What is written survives the end of the host, and falls only with the machine. A task that falls with the machine, too, therefore
/// never lives without its intent; all that could be used twice is its number, so that must lie below a durable reserve.
#[derive(Debug, Clone, Copy)]
pub struct Ahead {
    reserve: Run,
    /// In the decision that is being committed.
    next: Option<Run>,
}

impl Ahead {
    /// As a host begins: what is remembered is durable.
    pub fn new(remembered: &Remembered) -> Ahead {
        Ahead { reserve: remembered.reserved, next: None }
    }

    /// May this life begin when its intent is written? `falls` is whether no task of its backend outlives the machine.
    pub fn may_begin(&self, run: Run, falls: bool) -> bool {
        falls && run < self.reserve
    }

    /// This is part of the decision that is being committed.
    pub fn saves(&mut self, saved: &Saved) {
        if let Saved::Reserve(run) = saved {
            self.next = Some(*run);
        }
    }

    /// The decision is durable.
    pub fn durable(&mut self) {
        self.reserve = self.next.take().unwrap_or(self.reserve);
    }
}

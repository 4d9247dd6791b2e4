//! The host and its keeper, as processes.

use std::thread;
use std::time::Duration;

use crate::place::Place;
use crate::processes::{self, Memory, Used};
use crate::{Fallible, figures};

/// The two processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) host: u32,
    pub(crate) keeper: u32,
}

impl Pair {
    /// Of the host that runs in a place.
    pub(crate) fn of(place: &Place) -> Fallible<Pair> {
        let host = place.connect()?.get("/api/v1/host")?;
        let both = figures::pid_in(&host["pid"]).zip(figures::pid_in(&host["keeper"]["pid"]));
        both.map(|(host, keeper)| Pair { host, keeper }).ok_or_else(|| "the host does not say its pid and its keeper's".into())
    }

    /// What they have in memory: the host's, the keeper's.
    pub(crate) fn memory(self) -> Fallible<[Memory; 2]> {
        let of = |pid| processes::memory(pid).ok_or_else(|| format!("process {pid} is gone"));
        Ok([of(self.host)?, of(self.keeper)?])
    }

    /// The parts of a core that they use over a time: the host, the keeper.
    pub(crate) fn idle(self, secs: u64) -> [f64; 2] {
        let look = || [self.host, self.keeper].map(|pid| Used::by(&[pid]));
        let before = look();
        thread::sleep(Duration::from_secs(secs));
        let after = look();
        [0, 1].map(|at| after[at].since(&before[at]))
    }
}

//! An engine that holds tasks, whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Exit, Fault, Phase, Run};

/// The engine whose tasks fall with the machine; the other one's it starts, or remembers, by itself.
pub(super) const FALLS: usize = 0;

/// What an engine knows of one task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) service: usize,
    pub(super) replica: u32,
    /// What it is made of now.
    pub(super) digest: String,
    /// How it ended.
    pub(super) ended: Option<Exit>,
}

impl Task {
    pub(super) fn phase(&self) -> Phase {
        self.ended.clone().map_or(Phase::Running, Phase::Exited)
    }
}

#[derive(Debug)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// Until when it cannot be reached.
    pub(super) away_until: u64,
    /// Until when its plugin is not there.
    pub(super) missing_until: u64,
    /// Every task it has: running, or ended and not yet destroyed.
    pub(super) tasks: BTreeMap<Run, Task>,
    /// Every run it ever started.
    pub(super) started: BTreeSet<Run>,
}

impl Engine {
    pub(super) fn new(name: &'static str) -> Engine {
        Engine { name, away_until: 0, missing_until: 0, tasks: BTreeMap::new(), started: BTreeSet::new() }
    }

    /// Why it cannot be asked, if so.
    pub(super) fn trouble(&self, at: u64) -> Option<String> {
        if at < self.missing_until {
            return Some(format!("there is no plugin {}", self.name));
        }
        (at < self.away_until).then(|| format!("engine {} is away", self.name))
    }

    pub(super) fn is_alive(&self, run: Run) -> bool {
        self.tasks.get(&run).is_some_and(|task| task.ended.is_none())
    }

    pub(super) fn end(&mut self, run: Run, exit: Exit) -> bool {
        match self.tasks.get_mut(&run).filter(|task| task.ended.is_none()) {
            Some(task) => {
                task.ended = Some(exit);
                true
            }
            None => false,
        }
    }

    /// Changes a task while it runs.
    pub(super) fn change(&mut self, run: Run, digest: &str, at: u64) -> Result<(), Fault> {
        if let Some(message) = self.trouble(at) {
            return Err(Fault::Unavailable { message, after: None });
        }
        match self.tasks.get_mut(&run).filter(|task| task.ended.is_none()) {
            Some(task) => {
                digest.clone_into(&mut task.digest);
                Ok(())
            }
            None => Err(Fault::Failed("it does not run".to_owned())),
        }
    }

    pub(super) fn look(&self, run: Run) -> Phase {
        self.tasks.get(&run).map_or(Phase::Gone, Task::phase)
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = (Run, &Task)> {
        self.tasks.iter().filter(|(_, task)| task.ended.is_none()).map(|(run, task)| (*run, task))
    }
}

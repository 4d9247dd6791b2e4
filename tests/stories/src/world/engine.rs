//! An engine that holds tasks, whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Exit, Fault, Phase, Run};

/// Who runs tasks.
#[derive(Debug, Default)]
pub struct Engine {
    /// Why it cannot be asked.
    pub away: Option<String>,
    /// Every task it has: running, or exited and not yet destroyed.
    pub tasks: BTreeMap<Run, Phase>,
    /// Every run it ever started.
    pub started: BTreeSet<Run>,
    /// The digest of each task that it has.
    pub digests: BTreeMap<Run, String>,
}

impl Engine {
    /// Brings a task up.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn start(&mut self, run: Run, digest: &str) -> Result<(), Fault> {
        self.reach()?;
        assert!(!self.started.contains(&run), "run {run} was started twice");
        self.started.insert(run);
        self.tasks.insert(run, Phase::Running);
        self.digests.insert(run, digest.to_owned());
        Ok(())
    }

    /// Changes a task while it runs.
    ///
    /// # Errors
    /// It cannot be asked, or the task does not run.
    pub fn change(&mut self, run: Run, digest: &str) -> Result<(), Fault> {
        self.reach()?;
        if self.tasks.get(&run) != Some(&Phase::Running) {
            return Err(Fault::Failed("it does not run".to_owned()));
        }
        self.digests.insert(run, digest.to_owned());
        Ok(())
    }

    /// Takes a task down, and says how it ended.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn stop(&mut self, run: Run) -> Result<Option<Exit>, Fault> {
        self.reach()?;
        let Some(phase) = self.tasks.get_mut(&run) else { return Ok(None) };
        if *phase == Phase::Running {
            *phase = Phase::Exited(Exit { signal: Some("SIGTERM".to_owned()), ..Exit::default() });
        }
        match phase {
            Phase::Exited(exit) => Ok(Some(exit.clone())),
            Phase::Pending | Phase::Running | Phase::Stopping | Phase::Gone | Phase::Unknown(_) => Ok(None),
        }
    }

    /// Forgets a task.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn destroy(&mut self, run: Run, force: bool) -> Result<(), Fault> {
        self.reach()?;
        assert!(force || self.tasks.get(&run) != Some(&Phase::Running), "run {run} was to be destroyed alive");
        self.tasks.remove(&run);
        self.digests.remove(&run);
        Ok(())
    }

    /// Where these tasks are.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn look(&self, runs: &[Run]) -> Result<Vec<(Run, Phase)>, String> {
        self.away.clone().map_or(Ok(()), Err)?;
        Ok(runs.iter().map(|run| (*run, self.tasks.get(run).cloned().unwrap_or(Phase::Gone))).collect())
    }

    /// Every task it has.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn list(&self) -> Result<Vec<(Run, Phase)>, String> {
        self.away.clone().map_or(Ok(()), Err)?;
        Ok(self.tasks.iter().map(|(run, phase)| (*run, phase.clone())).collect())
    }

    /// A task ends by itself.
    pub fn exit(&mut self, run: Run, exit: Exit) {
        self.tasks.insert(run, Phase::Exited(exit));
    }

    fn reach(&self) -> Result<(), Fault> {
        match &self.away {
            Some(why) => Err(Fault::Unavailable { message: why.clone(), after: None }),
            None => Ok(()),
        }
    }
}

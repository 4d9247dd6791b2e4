//! What is durable: held against what was decided, and against what a host reads after it was started again.

use hostler_core::{Remembered, Run, Saved, Stage, Time, Verdict};

use super::{Acked, Books, Judged, Watch, broken};
use crate::world::Part;

impl Books {
    fn keep(&mut self, saved: &Saved) {
        match saved {
            Saved::NextRun(_) | Saved::Reserve(_) => {}
            Saved::Task(run, Some(record)) => drop(self.tasks.insert(*run, record.clone())),
            Saved::Task(run, None) => {
                self.tasks.remove(run);
                let of = (*run, String::new())..(run + 1, String::new());
                let said: Vec<(Run, String)> = self.said.range(of).map(|(key, _)| key.clone()).collect();
                for key in said {
                    self.said.remove(&key);
                }
            }
            Saved::Slot(name, replica, Some(record)) => drop(self.slots.insert((name.clone(), *replica), record.as_ref().clone())),
            Saved::Slot(name, replica, None) => drop(self.slots.remove(&(name.clone(), *replica))),
        }
    }

    pub(super) fn say(&mut self, run: Run, check: &str, verdict: Verdict) {
        if verdict != Verdict::Unknown {
            self.said.insert((run, check.to_owned()), verdict);
        }
    }
}

impl Watch {
    pub(super) fn note(&mut self, saved: &Saved) {
        self.decided.keep(saved);
        if let Saved::Task(run, None) = saved {
            self.tickets.retain(|(other, _), _| other != run);
        }
    }

    /// A decision is durable, with all of its records and notices.
    pub(crate) fn committed(
        &mut self,
        parts: &[(Time, Part)],
        verdicts: Vec<(Run, String, Verdict)>,
        first_event: Option<u64>,
        alive: impl Fn(Run) -> bool,
    ) -> Judged {
        for (run, check, verdict) in verdicts {
            self.durable.say(run, &check, verdict);
        }
        for (at, part) in parts {
            match part {
                Part::Saved(saved) => {
                    self.numbered(saved)?;
                    self.waits(*at, saved)?;
                    if let Saved::Slot(name, ..) = saved {
                        self.renewed.remove(name);
                    }
                    self.durable.keep(saved);
                }
                Part::Told(notice) => self.told(*at, notice, &alive)?,
            }
        }
        let notices = parts.iter().filter_map(|(_, part)| match part {
            Part::Told(notice) => Some(notice),
            Part::Saved(_) => None,
        });
        self.events.committed(notices, first_event)
    }

    /// A run number is never used twice.
    fn numbered(&mut self, saved: &Saved) -> Judged {
        match saved {
            Saved::NextRun(run) if *run <= self.next_run => broken("I1", format!("the next run was {} and becomes {run}", self.next_run)),
            Saved::NextRun(run) => {
                self.next_run = *run;
                Ok(())
            }
            Saved::Reserve(run) => {
                self.reserve = *run;
                Ok(())
            }
            Saved::Task(run, Some(record)) if record.stage == Stage::Intent && !self.durable.tasks.contains_key(run) => {
                if *run <= self.newest {
                    return broken("I1", format!("run {run} is used again, after {}", self.newest));
                }
                self.newest = *run;
                Ok(())
            }
            Saved::Task(..) | Saved::Slot(..) => Ok(()),
        }
    }

    /// I10: what a host reads after it was started again is what was durable, and what people were told that holds.
    pub(crate) fn recalled(&mut self, remembered: &Remembered, acked: &[Option<Acked>]) -> Judged {
        self.decided = self.durable.clone();
        self.stopping.clear();
        self.tickets.clear();
        self.forced.clear();
        self.closing = false;
        if !remembered.tasks.iter().map(|(run, record)| (run, record)).eq(self.durable.tasks.iter()) {
            return broken("I10", format!("{:?} was durable, and {:?} is remembered", self.durable.tasks, remembered.tasks));
        }
        let slots = remembered.slots.iter().filter(|(name, replica, record)| self.durable.slots.get(&(name.clone(), *replica)) != Some(record));
        if let Some(slot) = slots.into_iter().next().or_else(|| (remembered.slots.len() < self.durable.slots.len()).then(|| &remembered.slots[0])) {
            return broken("I10", format!("{slot:?} is remembered otherwise than it was kept"));
        }
        for (name, number) in &self.numbers {
            let found = remembered.wanted.iter().find(|(other, _)| other == name).map_or(Acked::Removed, |(_, wanted)| Acked::Wanted(wanted.desired));
            if let Some(acked) = acked[*number].filter(|acked| *acked != found) {
                return broken("I10", format!("{name}: {acked:?} was promised, and {found:?} is remembered"));
            }
        }
        let gone: Vec<_> = self.wanted.keys().filter(|name| remembered.wanted.iter().all(|(other, _)| other != *name)).cloned().collect();
        let changes: Vec<_> = remembered
            .wanted
            .iter()
            .map(|(name, wanted)| (name.clone(), Some(wanted.clone())))
            .chain(gone.into_iter().map(|name| (name, None)))
            .collect();
        if changes.iter().any(|(name, wanted)| self.wanted.get(name) != wanted.as_ref()) {
            self.wants(&changes);
        }
        Ok(())
    }
}

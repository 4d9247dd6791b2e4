//! A store that remembers what it was told, and nothing else.

use std::collections::BTreeMap;

use hostler_core::{Remembered, Run, Saved, ServiceName, SlotRecord, TaskRecord, Wanted};

/// What must be there tomorrow.
#[derive(Debug, Default, Clone)]
pub struct Store {
    /// No run number below this one may be used again.
    pub next_run: Run,
    /// Where the next boot of the machine begins to count.
    pub reserved: Run,
    /// What is wanted.
    pub wanted: BTreeMap<ServiceName, Wanted>,
    /// Every slot.
    pub slots: BTreeMap<(ServiceName, u32), SlotRecord>,
    /// Every life.
    pub tasks: BTreeMap<Run, TaskRecord>,
}

impl Store {
    /// Keeps what is wanted.
    pub fn want(&mut self, changes: &[(ServiceName, Option<Wanted>)]) {
        for (name, wanted) in changes {
            match wanted {
                Some(wanted) => self.wanted.insert(name.clone(), wanted.clone()),
                None => self.wanted.remove(name),
            };
        }
    }

    /// Keeps what the core wants kept.
    pub fn save(&mut self, saved: Saved) {
        match saved {
            Saved::NextRun(run) => {
                assert!(run > self.next_run, "run numbers only grow");
                self.next_run = run;
            }
            Saved::Reserve(run) => {
                assert!(run > self.reserved, "reserves only grow");
                self.reserved = run;
            }
            Saved::Task(run, Some(record)) => {
                self.tasks.insert(run, record);
            }
            Saved::Task(run, None) => {
                self.tasks.remove(&run);
            }
            Saved::Slot(name, replica, Some(record)) => {
                self.slots.insert((name, replica), *record);
            }
            Saved::Slot(name, replica, None) => {
                self.slots.remove(&(name, replica));
            }
        }
    }

    /// What a new host begins with.
    pub fn remembered(&self, same_boot: bool) -> Remembered {
        Remembered {
            next_run: self.next_run,
            reserved: self.reserved,
            wanted: self.wanted.iter().map(|(name, wanted)| (name.clone(), wanted.clone())).collect(),
            slots: self.slots.iter().map(|((name, replica), record)| (name.clone(), *replica, record.clone())).collect(),
            tasks: self.tasks.iter().map(|(run, record)| (*run, record.clone())).collect(),
            same_boot,
        }
    }
}

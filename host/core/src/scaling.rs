//! Which slots a service has: as many as are wanted, each under an index that stays its own as long as it lives.

use std::collections::BTreeSet;

use crate::event::Run;
use crate::health::Health;
use crate::registry::Service;
use crate::task::{Slot, State};

impl Service {
    /// Makes the slots that are missing, and chooses those that are too many. Says whether any changed.
    ///
    /// Who has to go is chosen once and remembered, so that no later news changes it; gaps are left where they are. Whoever comes takes the
    /// lowest index that is free, also of one that has not gone yet.
    pub(crate) fn count_slots(&mut self) -> bool {
        let Some(wished) = self.wanted.as_ref() else { return false };
        let count = wished.count() as usize;
        let held = wished.held.clone();
        let let_go = self.hold(&held);
        let mut wanted = self.slots().filter(|slot| !slot.surplus).count();
        let changed = wanted != count || let_go.is_some();
        // Who is not held any more comes back before anybody new.
        for replica in let_go.into_iter().flatten().take(count.saturating_sub(wanted)) {
            wanted += usize::from(self.slots.get_mut(&replica).is_some_and(|slot| std::mem::take(&mut slot.surplus)));
        }
        let checks = self.spec.checks.len();
        let mut index = 0;
        while wanted < count {
            if held.contains(&index) {
                index += 1;
                continue;
            }
            let slot = self.slots.entry(index).or_insert_with(|| Box::new(Slot { surplus: true, ..Slot::new(index, checks) }));
            wanted += usize::from(std::mem::take(&mut slot.surplus));
            index += 1;
        }
        while wanted > count {
            let last = self.slots.values_mut().filter(|slot| !slot.surplus).max_by_key(|slot| worth_leaving(slot));
            last.expect("there are more than are wanted").surplus = true;
            wanted -= 1;
        }
        changed
    }

    /// Holds these down and nobody else; whom it lets go of, or nothing where nothing changed.
    fn hold(&mut self, held: &BTreeSet<u32>) -> Option<Vec<u32>> {
        let changed: Vec<u32> = self.slots().filter(|slot| slot.held != held.contains(&slot.replica)).map(|slot| slot.replica).collect();
        for slot in self.slots.values_mut() {
            slot.held = held.contains(&slot.replica);
            slot.surplus |= slot.held;
        }
        let let_go = changed.iter().copied().filter(|replica| !held.contains(replica)).collect();
        (!changed.is_empty()).then_some(let_go)
    }
}

/// The greatest goes first: the least well, among these the newest, and of those that nothing is alive of the last.
fn worth_leaving(slot: &Slot) -> (u8, Run, u32) {
    let unwell = match &slot.state {
        State::Failed { .. } => 6,
        State::Backoff { .. } => 5,
        State::Running(_) if slot.unknown.is_some() => 3,
        State::Running(_) if slot.checks.is_empty() => 0,
        State::Running(_) => match slot.health() {
            Health::Unhealthy => 4,
            Health::Unknown => 2,
            Health::Degraded => 1,
            Health::Healthy => 0,
        },
        State::Uncertain { .. } => 3,
        State::Down | State::Starting(_) | State::Stopping { .. } => 2,
        State::Completed { .. } => 0,
    };
    (unwell, slot.state.life().map_or(Run::MAX, |life| life.run), slot.replica)
}

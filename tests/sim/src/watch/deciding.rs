//! What one event may lead to: I7, and who may be started and stopped.

use std::collections::BTreeSet;

use hostler_core::{Action, CheckRecord, Core, Health, NoticeKind, Run, SlotRecord, Stage, Status, Verdict};

use super::{Acked, Heard, Judged, Slot, Watch, broken};

/// A check of a life that begins: its name aside.
const FRESH: (Health, u32, u32, bool) = (Health::Unknown, 0, 0, false);

impl Watch {
    /// The core heard something, and decided this.
    pub(crate) fn decided<'a>(
        &mut self,
        core: &Core,
        heard: &Heard,
        actions: impl Iterator<Item = &'a Action> + Clone,
        alive: impl Fn(Run) -> bool,
        acked: &[Option<Acked>],
    ) -> Judged {
        if let Heard::Checked { run, name, verdict } = heard {
            self.decided.say(*run, name, *verdict);
        }
        let mut starting: BTreeSet<Slot> = BTreeSet::new();
        for action in actions.clone() {
            let Action::Tell(notice) = action else { continue };
            if let (NoticeKind::Starting, Some(replica)) = (notice.kind, notice.replica) {
                starting.insert((notice.service.clone(), replica));
            }
            if matches!(heard, Heard::CannotSay(_)) && matches!(notice.kind, NoticeKind::Exited | NoticeKind::Restarting) {
                return broken("I7", format!("a backend could not say, and {} is {:?}: {}", notice.service, notice.kind, notice.message));
            }
        }
        for action in actions {
            match action {
                Action::Save(saved) => {
                    if let hostler_core::Saved::Slot(name, replica, Some(record)) = saved {
                        self.judged_by_results(&(name.clone(), *replica), record, heard, &starting)?;
                    }
                    self.note(saved);
                }
                Action::Start { run, replica, spec } => {
                    self.may_start(core, spec, *replica, acked)?;
                    self.owned(*run, spec, *replica);
                }
                Action::Stop { run, .. } if self.stopping.insert(*run) => self.may_stop(core, *run, &alive)?,
                Action::Check { run, check, ticket, spec, .. } => {
                    let name = spec.checks.get(*check).map(|check| check.name.clone()).unwrap_or_default();
                    self.tickets.insert((*run, name), *ticket);
                }
                Action::Update { .. }
                | Action::Stop { .. }
                | Action::Tell(_)
                | Action::Destroy { .. }
                | Action::Look { .. }
                | Action::List { .. } => {}
            }
        }
        match heard {
            Heard::CannotSay(backend) => self.reads_unknown(core, backend),
            Heard::Wanted | Heard::Restored | Heard::Checked { .. } | Heard::Other => Ok(()),
        }
    }

    /// I7: no verdict changes without a result that says something, or a step of its life.
    fn judged_by_results(&self, slot: &Slot, record: &SlotRecord, heard: &Heard, starting: &BTreeSet<Slot>) -> Judged {
        let Some(before) = self.decided.slots.get(slot) else { return Ok(()) };
        if matches!(heard, Heard::Wanted) || (matches!(heard, Heard::Restored) && self.renewed.contains(&slot.0)) {
            return Ok(());
        }
        for check in &record.checks {
            let (name, said) = (&check.name, |check: &CheckRecord| (check.health, check.failures, check.successes, check.passed));
            let known = before.checks.iter().find(|other| other.name == *name).map(said);
            let now = said(check);
            let by_result = || match heard {
                Heard::Checked { run, name: check, verdict } => {
                    *verdict != Verdict::Unknown
                        && check == name
                        && self.owners.get(run).is_some_and(|owner| (&owner.0, owner.1) == (&slot.0, slot.1))
                }
                Heard::Wanted | Heard::Restored | Heard::CannotSay(_) | Heard::Other => false,
            };
            let lives_anew = now == FRESH && (known.is_none() || starting.contains(slot));
            if known != Some(now) && !lives_anew && !by_result() {
                return broken("I7", format!("check {name} of {}.{} goes from {known:?} to {now:?} on {heard:?}", slot.0, slot.1));
            }
        }
        Ok(())
    }

    /// I7: what nobody can say reads as unknown.
    fn reads_unknown(&self, core: &Core, backend: &str) -> Judged {
        for (run, record) in self.decided.tasks.iter().filter(|(_, record)| record.backend == backend && record.stage == Stage::Started) {
            for replica in core.replicas(record.service.as_str()).into_iter().filter(|replica| replica.run == Some(*run)) {
                if !matches!(replica.status, Status::Unknown | Status::Stopping) || replica.health == Health::Healthy {
                    let (status, health) = (replica.status.as_str(), replica.health.as_str());
                    return broken("I7", format!("{backend} cannot say, and run {run} of {} reads {status} and {health}", record.service));
                }
            }
        }
        Ok(())
    }
}

//! I6, and what was reached or given up: restarts within their policy, parked means parked, completed means completed.

use hostler_core::{Notice, NoticeKind, RestartPolicy, Run, Saved, Time};

use super::{Judged, Watch, broken};

/// What the world counts of one slot.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Restarts in a row.
    pub(super) count: u32,
    /// Until when it waits, as long as nobody asks for anything.
    pub(super) until: Option<Time>,
    /// Failed: nothing more happens without a request.
    pub(super) parked: bool,
    /// Ran to its end: the same.
    pub(super) completed: bool,
    /// When the life that goes on began, in this boot.
    pub(super) since: Option<Time>,
    /// Somebody asked for it since it was last started: it may be started once more.
    pub(super) asked: bool,
    /// The life before lasted: the count begins anew.
    stable: bool,
}

impl Watch {
    pub(super) fn told(&mut self, now: Time, notice: &Notice, alive: &impl Fn(Run) -> bool) -> Judged {
        let (Some(replica), Some(run)) = (notice.replica, notice.run) else { return Ok(()) };
        let slot = (notice.service.clone(), replica);
        let label = format!("{}.{replica}", notice.service);
        let policy = self.wanted.get(&notice.service).map(|wanted| wanted.spec.restart).unwrap_or_default();
        let since = self.rows.get(&slot).and_then(|row| row.since);
        let row = self.rows.entry(slot).or_default();
        match notice.kind {
            NoticeKind::Starting => {
                row.since = None;
                row.stable = false;
                if std::mem::take(&mut row.asked) {
                    row.count = 0;
                }
                if row.parked {
                    return broken("I6", format!("{label} was parked, and is started as run {run} without a request"));
                }
                if row.completed {
                    return broken("I10", format!("{label} has run to its end, and is started as run {run} without a request"));
                }
                if let Some(until) = row.until.take().filter(|until| now < *until) {
                    return broken("I6", format!("{label} is started as run {run}, {} before its wait is over", until.since(now)));
                }
            }
            NoticeKind::Started => row.since = Some(now),
            NoticeKind::Restarting => {
                row.count += 1;
                if policy.max_attempts.is_some_and(|max| row.count > max) {
                    return broken("I6", format!("{label} is restarted {} times in a row: {}", row.count, notice.message));
                }
            }
            NoticeKind::Failed => row.parked = !row.asked,
            NoticeKind::Completed => {
                row.completed = !row.asked;
                row.count = 0;
            }
            NoticeKind::Exited | NoticeKind::Stopping | NoticeKind::Stopped => {
                // Of a life that an earlier host or boot started, the records know when; the world only that it is long ago.
                let lasted = since.is_none_or(|since| now.since(since) >= policy.reset_after);
                row.stable = notice.kind == NoticeKind::Exited && since.is_some_and(|since| now.since(since) >= policy.reset_after);
                if lasted {
                    row.count = 0;
                }
                if notice.kind != NoticeKind::Stopping && alive(run) {
                    return broken("I10", format!("run {run} of {label} is called {:?}, and is alive", notice.kind));
                }
            }
            NoticeKind::Adopted
            | NoticeKind::StartFailed
            | NoticeKind::HealthChanged
            | NoticeKind::StopFailed
            | NoticeKind::Unknown
            | NoticeKind::Known
            | NoticeKind::Abandoned
            | NoticeKind::Trouble
            | NoticeKind::Removed
            | NoticeKind::Scaled
            | NoticeKind::Updated
            | NoticeKind::UpdateFailed => {}
        }
        Ok(())
    }

    /// A wait before a restart is as long as the policy says.
    pub(super) fn waits(&mut self, now: Time, saved: &Saved) -> Judged {
        let Saved::Slot(name, replica, Some(record)) = saved else { return Ok(()) };
        let slot = (name.clone(), *replica);
        let known = self.durable.slots.get(&slot).and_then(|before| before.backoff.as_ref()).map(|(until, _)| *until);
        let until = record.backoff.as_ref().map(|(until, _)| *until);
        let Some(until) = until.filter(|until| known != Some(*until)) else { return Ok(()) };
        let policy = self.wanted.get(name).map(|wanted| wanted.spec.restart).unwrap_or_default();
        let row = self.rows.entry(slot).or_default();
        row.until = Some(until);
        if row.stable && record.memory.attempts != 1 {
            return broken("I6", format!("{name}.{replica} had a good run, and is restarted for the {}th time", record.memory.attempts));
        }
        row.stable = false;
        let (least, most) = bounds(&policy, record.memory.attempts);
        let wait = until.since(now).0;
        if wait < least || wait > most {
            return broken("I6", format!("{name}.{replica} waits {wait} ms before restart {}, not {least} to {most}", record.memory.attempts));
        }
        Ok(())
    }
}

/// The shortest and the longest wait before the `attempt`-th restart in a row.
fn bounds(policy: &RestartPolicy, attempt: u32) -> (u64, u64) {
    let mut wait = u128::from(policy.initial.0);
    for _ in 1..attempt.min(1_000) {
        wait = (wait * u128::from(policy.factor_permille.max(1_000)) / 1_000).min(u128::from(policy.max.0));
    }
    let wait = wait.min(u128::from(policy.max.0));
    let reach = wait * u128::from(policy.jitter_permille) / 1_000;
    let ms = |wait: u128| u64::try_from(wait).unwrap_or(u64::MAX);
    (ms(wait - reach), ms(wait + reach))
}

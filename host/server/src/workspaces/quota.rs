//! How much there is in a workspace, beside how much there may be. The loop asks before it commits, so that no two requests share a rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hostler_api::{Code, EventKind, Failure, QuotaUse, Quotas};
use hostler_core::{Problem, ServiceName, Spec, Wanted};
use hostler_store::{NewEvent, Txn};
use serde_json::json;

use crate::bucket::{Bucket, Rate};
use crate::desk::Desk;
use crate::drive::Driver;
use crate::ledger;
use crate::speak::running_checks;

/// One minute.
const MINUTE_MS: u64 = 60_000;

/// What a workspace uses.
pub(crate) fn used(desk: &Desk, workspace: &str) -> QuotaUse {
    let theirs = desk.core.names().filter(|name| name.workspace() == workspace);
    let wanted = theirs.filter_map(|name| desk.core.wanted(name.as_str()));
    QuotaUse { events_left_out: desk.event_rates.left_out(workspace), ..sum(wanted) }
}

fn sum<'a>(wanted: impl Iterator<Item = &'a Wanted>) -> QuotaUse {
    let mut plugins: BTreeSet<&str> = BTreeSet::new();
    let mut used = QuotaUse::default();
    for wanted in wanted {
        let (spec, number) = (&wanted.spec, u64::from(wanted.number()));
        let each = |amount: u64| amount.saturating_mul(number);
        used.services += 1;
        used.replicas = used.replicas.saturating_add(number);
        used.cpu_millis = used.cpu_millis.saturating_add(each(spec.resources.cpu_millis.map_or(0, u64::from)));
        used.memory_bytes = used.memory_bytes.saturating_add(each(spec.resources.memory_bytes.unwrap_or(0)));
        used.checks_per_minute = used.checks_per_minute.saturating_add(each(checks_per_minute(spec)));
        plugins.insert(&spec.backend.plugin);
        plugins.extend(spec.checks.iter().map(|check| check.plugin.as_str()));
    }
    used.plugins = plugins.len() as u64;
    used
}

/// Of one replica, rounded up.
fn checks_per_minute(spec: &Spec) -> u64 {
    spec.checks.iter().map(|check| MINUTE_MS.div_ceil(check.interval.0.max(1))).sum()
}

/// The first limit that a change goes beyond. Who is beyond one already may still have less.
fn doubt(workspace: &str, quotas: &Quotas, before: &QuotaUse, after: &QuotaUse) -> Result<(), Failure> {
    let each = [
        ("services", quotas.services, before.services, after.services),
        ("replicas", quotas.replicas, before.replicas, after.replicas),
        ("cpu_millis", quotas.cpu_millis, before.cpu_millis, after.cpu_millis),
        ("memory_bytes", quotas.memory_bytes, before.memory_bytes, after.memory_bytes),
        ("checks_per_minute", quotas.checks_per_minute, before.checks_per_minute, after.checks_per_minute),
        ("plugins", quotas.plugins, before.plugins, after.plugins),
    ];
    let beyond = each
        .into_iter()
        .find_map(|(what, limit, used, asked)| limit.filter(|limit| asked > *limit && asked > used).map(|limit| (what, limit, used, asked)));
    let Some((what, limit, used, asked)) = beyond else { return Ok(()) };
    let message = format!("workspace `{workspace}` may have {limit} {what}, has {used}, and would have {asked}");
    let problem = Problem::new(format!("/quotas/{what}"), format!("limit {limit}, used {used}, asked {asked}"));
    let failure = Failure { problems: vec![problem], ..Failure::new(Code::Quota, message) };
    Err(failure.hint(format!("remove or scale down what is not needed, or ask whoever runs the host for more: `hostler workspace set {workspace}`")))
}

/// Where it is limited, it has to be known.
fn doubt_unknown(workspace: &str, quotas: &Quotas, before: Option<&Wanted>, after: &Wanted) -> Result<(), Failure> {
    // What it had before, it may keep; with more replicas it would have more of what nobody knows.
    if before.is_some_and(|before| before.spec == after.spec && before.number() >= after.number()) {
        return Ok(());
    }
    let resources = &after.spec.resources;
    let lacks = [
        ("cpu", "cpu_millis", quotas.cpu_millis.is_some() && resources.cpu_millis.is_none()),
        ("memory", "memory_bytes", quotas.memory_bytes.is_some() && resources.memory_bytes.is_none()),
    ];
    let Some((key, what, _)) = lacks.into_iter().find(|(.., lacks)| *lacks) else { return Ok(()) };
    let name = after.spec.name.local();
    let message = format!("service `{name}` does not say how much {key} it may use, and workspace `{workspace}` has a quota of that");
    let problem = Problem::new(format!("/quotas/{what}"), message.clone());
    let failure = Failure { problems: vec![problem], ..Failure::new(Code::Quota, message) };
    Err(failure.hint(format!("write resources = {{ {key} = … }} under [services.{name}]")))
}

impl Desk {
    /// Refuses what would be more than a workspace may have, all of these changes together.
    pub(crate) fn doubt_quotas(&self, changes: &[(ServiceName, Option<Wanted>)]) -> Result<(), Failure> {
        let workspaces: BTreeSet<&str> = changes.iter().map(|(name, _)| name.workspace()).collect();
        for workspace in workspaces {
            let Some(record) = self.workspaces.get(workspace) else { continue };
            let quotas = record.quotas;
            if quotas == Quotas::default() {
                continue;
            }
            let names = self.core.names().filter(|name| name.workspace() == workspace);
            let before: BTreeMap<&ServiceName, &Wanted> = names.filter_map(|name| Some((name, self.core.wanted(name.as_str())?))).collect();
            let mut after = before.clone();
            for (name, wanted) in changes.iter().filter(|(name, _)| name.workspace() == workspace) {
                match wanted {
                    Some(wanted) => {
                        doubt_unknown(workspace, &quotas, before.get(name).copied(), wanted)?;
                        after.insert(name, wanted);
                    }
                    None => drop(after.remove(name)),
                }
            }
            doubt(workspace, &quotas, &sum(before.values().copied()), &sum(after.values().copied()))?;
        }
        Ok(())
    }
}

impl Driver {
    /// Refuses checks at once for which what their intervals leave of a workspace's limit is not enough, now or ever.
    pub(crate) fn take_checks(&mut self, names: &[ServiceName]) -> Result<(), Failure> {
        let workspaces: BTreeSet<&str> = names.iter().map(ServiceName::workspace).collect();
        for workspace in workspaces {
            let limit = self.desk.workspaces.get(workspace).and_then(|record| record.quotas.checks_per_minute);
            let Some(limit) = limit else { continue };
            let theirs: Vec<ServiceName> = names.iter().filter(|name| name.workspace() == workspace).cloned().collect();
            let asked = running_checks(&self.desk, &theirs).count() as u64;
            let used = used(&self.desk, workspace).checks_per_minute;
            self.desk.check_rates.take(workspace, asked, limit.saturating_sub(used), Instant::now()).map_err(|refused| {
                let message = format!("workspace `{workspace}` may have {limit} checks per minute, {used} of which come at their intervals; {asked} at once are too many");
                match refused {
                    Refused::For(wait) => {
                        let hint = format!("there is room for them in {} s; checks at their intervals go on", wait.as_secs() + 1);
                        Failure::new(Code::TooMany, message).hint(hint)
                    }
                    Refused::Always => {
                        let problem = Problem::new("/quotas/checks_per_minute".to_owned(), format!("limit {limit}, used {used}, asked {asked}"));
                        let failure = Failure { problems: vec![problem], ..Failure::new(Code::Quota, message) };
                        failure.hint("ask for fewer services at once, or give their checks longer intervals")
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Refuses services of a workspace that was removed while they were read.
    pub(crate) fn refuse_homeless(&self, names: &[ServiceName]) -> Result<(), Failure> {
        names.iter().try_for_each(|name| self.refuse_gone(name.workspace()))
    }

    /// Refuses what is of a workspace that was removed meanwhile.
    pub(crate) fn refuse_gone(&self, workspace: &str) -> Result<(), Failure> {
        match self.desk.workspaces.get(workspace) {
            Some(_) => Ok(()),
            None => Err(Failure::new(Code::NotFound, format!("there is no workspace `{workspace}` any more"))),
        }
    }

    /// The same of all events of a transaction.
    pub(crate) fn within_rates(&mut self, mut txn: Txn) -> Txn {
        txn.events = std::mem::take(&mut txn.events).into_iter().flat_map(|event| self.kept(event)).collect();
        txn
    }

    /// What of an event is kept: nothing beyond the rate of its workspace, and then with the next one how many there were.
    pub(crate) fn kept(&mut self, event: NewEvent) -> Vec<NewEvent> {
        let workspace = event.subject.split_once('.').map(|(workspace, _)| workspace.to_owned());
        let Some(workspace) = workspace else { return vec![event] };
        let limit = self.desk.workspaces.get(&workspace).and_then(|record| record.quotas.events_per_second);
        let missed = match self.desk.event_rates.take(&workspace, limit, Instant::now()) {
            None => return Vec::new(),
            Some(0) => return vec![event],
            Some(missed) => missed,
        };
        let message = format!("{missed} events of this workspace were left out: there were more than {} in a second", limit.unwrap_or(0));
        let told = ledger::note(EventKind::EventsLeftOut, &event.subject, &json!({ "message": message, "count": missed }));
        vec![told, event]
    }
}

/// How fast each workspace's events come. A workspace without a limit has no entry.
#[derive(Debug, Default)]
pub(crate) struct EventRates(BTreeMap<String, Flow>);

#[derive(Debug)]
struct Flow {
    bucket: Bucket,
    /// Since the last that was kept.
    missed: u64,
    /// Since the host began.
    left_out: u64,
}

impl EventRates {
    /// May one more be kept? Then how many were not since the last one.
    fn take(&mut self, workspace: &str, limit: Option<u64>, now: Instant) -> Option<u64> {
        let Some(limit) = limit else { return Some(self.0.get_mut(workspace).map_or(0, |flow| std::mem::take(&mut flow.missed))) };
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 events in a second")]
        let per_second = limit.max(1) as f64;
        // Everything that one request does comes at once.
        let rate = Rate { per_second, at_once: per_second * 2.0 };
        let flow = self.0.entry(workspace.to_owned()).or_insert_with(|| Flow { bucket: Bucket::full(rate, now), missed: 0, left_out: 0 });
        if limit > 0 && flow.bucket.take(rate, now).is_ok() {
            return Some(std::mem::take(&mut flow.missed));
        }
        flow.missed += 1;
        flow.left_out += 1;
        None
    }

    /// How many were left out since the host began.
    pub(crate) fn left_out(&self, workspace: &str) -> u64 {
        self.0.get(workspace).map_or(0, |flow| flow.left_out)
    }

    /// The workspace is gone.
    pub(crate) fn forget(&mut self, workspace: &str) {
        self.0.remove(workspace);
    }
}

/// Checks that were asked for beside their intervals, of each workspace that has a limit.
#[derive(Debug, Default)]
pub(crate) struct CheckRates(BTreeMap<String, Bucket>);

/// Why checks are not asked.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// There is room for them after this time.
    For(Duration),
    /// There is never room for so many.
    Always,
}

impl CheckRates {
    /// Takes so many of what is left for a minute, or none.
    fn take(&mut self, workspace: &str, number: u64, left: u64, now: Instant) -> Result<(), Refused> {
        if number == 0 {
            return Ok(());
        }
        if number > left {
            return Err(Refused::Always);
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 checks in a minute")]
        let (number, at_once) = (number as f64, left as f64);
        let rate = Rate { per_second: at_once / 60.0, at_once };
        let bucket = self.0.entry(workspace.to_owned()).or_insert_with(|| Bucket::full(rate, now));
        bucket.take_some(number, rate, now).map_err(Refused::For)
    }

    /// The workspace is gone.
    pub(crate) fn forget(&mut self, workspace: &str) {
        self.0.remove(workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_at_once_have_what_the_intervals_leave() {
        let (mut rates, start) = (CheckRates::default(), Instant::now());
        assert_eq!(rates.take("acme", 7, 6, start), Err(Refused::Always));
        assert_eq!(rates.take("acme", 1, 0, start), Err(Refused::Always));
        assert_eq!(rates.take("acme", 0, 0, start), Ok(()), "nothing is never too much");
        assert_eq!(rates.take("acme", 4, 6, start), Ok(()));
        let Err(Refused::For(wait)) = rates.take("acme", 4, 6, start) else { panic!("two are left") };
        assert!(wait > Duration::from_secs(19) && wait < Duration::from_secs(21), "{wait:?}");
        assert_eq!(rates.take("other", 4, 6, start), Ok(()), "each has its own");
        assert_eq!(rates.take("acme", 4, 6, start + Duration::from_secs(21)), Ok(()));
    }

    #[test]
    fn who_is_beyond_a_limit_may_have_less_but_not_more() {
        let of = |replicas| QuotaUse { replicas, ..QuotaUse::default() };
        let quotas = Quotas { replicas: Some(4), ..Quotas::default() };
        for (before, after, refused) in [(0, 4, false), (3, 5, true), (9, 8, false), (9, 9, false), (9, 10, true)] {
            let doubted = doubt("acme", &quotas, &of(before), &of(after));
            assert_eq!(doubted.is_err(), refused, "{before} {after}");
        }
        let refused = doubt("acme", &quotas, &of(3), &of(5)).expect_err("it is too much");
        assert_eq!(refused.code, Code::Quota);
        assert_eq!(refused.message, "workspace `acme` may have 4 replicas, has 3, and would have 5");
    }

    #[test]
    fn events_beyond_their_rate_are_counted_and_told_with_the_next() {
        let (mut rates, start) = (EventRates::default(), Instant::now());
        let kept: Vec<Option<u64>> = (0..5).map(|_| rates.take("acme", Some(1), start)).collect();
        assert_eq!(kept, [Some(0), Some(0), None, None, None]);
        let later = start + Duration::from_secs(1);
        assert_eq!((rates.take("acme", Some(1), later), rates.take("acme", Some(1), later)), (Some(3), None));
        assert_eq!((rates.left_out("acme"), rates.left_out("other")), (4, 0));
        assert_eq!(rates.take("acme", None, later), Some(1));
        assert_eq!(rates.take("other", Some(0), later), None);
    }
}

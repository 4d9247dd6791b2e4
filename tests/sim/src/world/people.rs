//! People: what they ask for is committed first, and only then does the core hear of it. As in the server's `change`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_core::{Desired, Event, Graph, Load, Loads, Remembered, ServiceName, Spec, Starting, Status, Wanted, doubt};
use hostler_ledger::{self as ledger, WantedRecord};
use hostler_store::Txn;

use super::World;
use crate::story::Story;
use crate::watch::{Acked, Heard};

/// What people have in their file, and what they were told that holds.
pub(super) struct People {
    pub(super) file: BTreeMap<ServiceName, Spec>,
    /// What was acknowledged of each service; nothing where an answer never came.
    acked: Vec<Option<Acked>>,
}

impl People {
    pub(super) fn new(story: &Story, count: usize) -> People {
        let file = story.services.iter().flatten().map(|spec| (spec.name.clone(), spec.clone())).collect();
        People { file, acked: vec![None; count] }
    }

    pub(super) fn acked(&self) -> &[Option<Acked>] {
        &self.acked
    }
}

impl World<'_> {
    /// Can a request be made? While a commit is under way it waits; what waits is refused when the disk is full.
    pub(super) fn may_ask(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.waiting.is_none()) && self.at >= self.disk.full_until
    }

    fn may_start(&self) -> bool {
        self.may_ask() && self.host.as_ref().is_some_and(|host| !host.closing)
    }

    /// Those that are wanted, of these numbers.
    fn known(&self, services: &[usize]) -> BTreeSet<ServiceName> {
        let Some(host) = &self.host else { return BTreeSet::new() };
        services.iter().map(|service| self.names[*service].clone()).filter(|name| host.core.wanted(name.as_str()).is_some()).collect()
    }

    pub(super) fn people_start(&mut self, services: &[usize]) {
        let named = self.known(services);
        let Some(host) = self.host.as_ref().filter(|_| self.may_start()) else { return };
        let core = &host.core;
        let spec = |name: &ServiceName| core.wanted(name.as_str()).map(|wanted| Arc::clone(&wanted.spec));
        if named.iter().any(|name| spec(name).is_some_and(|spec| !spec.enabled)) {
            return;
        }
        let chosen = core.graph().with_dependencies(named.clone(), |from, to| {
            spec(from).is_some_and(|spec| spec.dependencies.iter().any(|edge| edge.service == *to && !edge.optional))
        });
        self.want(&chosen, |name, status, wanted| {
            let again = named.contains(name) || matches!(status, Status::Failed | Status::Stopped);
            wanted.desired = Desired::Running;
            wanted.starts += u64::from(again);
        });
    }

    pub(super) fn people_stop(&mut self, services: &[usize], force: bool) {
        let named = self.known(services);
        if !self.may_ask() || named.is_empty() {
            return;
        }
        if !self.want(&named, |_, _, wanted| wanted.desired = Desired::Stopped) {
            return;
        }
        let Some(host) = &self.host else { return };
        let judged = self.watch.stopped_at_once(&host.core, &named);
        self.judge(judged);
        if force {
            self.people_force(&named);
        }
    }

    /// What is beyond the bounds is refused, and so changes nothing.
    pub(super) fn people_scale(&mut self, service: usize, count: u32) {
        let named = self.known(&[service]);
        if self.may_start() && !named.is_empty() {
            self.want(&named, |_, _, wanted| *wanted = wanted.scaled_to(count).unwrap_or_else(|_| wanted.clone()));
        }
    }

    /// What the replicas use is measured; what the host decides from it is committed and heard as if somebody had asked for it.
    pub(super) fn weigh(&mut self, service: usize, permille: u64, measured: u32) {
        let now = self.now();
        let name = self.names[service].clone();
        let Some(host) = self.host.as_mut().filter(|host| host.waiting.is_none() && !host.closing) else { return };
        let load = Load { sum_permille: permille * u64::from(measured), measured };
        let Some(wanted) = host.core.weigh(now, name.as_str(), &Loads { cpu: Some(load), memory: None }) else { return };
        let judged = self.watch.may_scale(now, &name, &wanted, measured);
        self.judge(judged);
        if self.at >= self.disk.full_until {
            self.request(vec![(name, Some(wanted))], Txn::new());
        }
    }

    pub(super) fn people_force(&mut self, named: &BTreeSet<ServiceName>) {
        if self.host.as_ref().is_some_and(|host| host.waiting.is_none()) {
            self.watch.forced(named.iter());
            self.hear_event(Event::Force(named.iter().cloned().collect()));
        }
    }

    pub(super) fn people_restart(&mut self, services: &[usize]) {
        let named = self.known(services);
        if self.may_start() {
            self.want(&named, |_, _, wanted| {
                wanted.desired = Desired::Running;
                wanted.restarts += 1;
            });
        }
    }

    /// Changes what is wanted of services: committed, then heard. False when nobody lived to say so.
    fn want(&mut self, names: &BTreeSet<ServiceName>, change: impl Fn(&ServiceName, Status, &mut Wanted)) -> bool {
        let Some(host) = &self.host else { return false };
        let mut changes = Vec::new();
        for name in names {
            let Some(wanted) = host.core.wanted(name.as_str()) else { continue };
            let mut after = wanted.clone();
            change(name, host.core.status(name.as_str()), &mut after);
            if after != *wanted {
                changes.push((name.clone(), Some(after)));
            }
        }
        changes.is_empty() || self.request(changes, Txn::new())
    }

    /// Makes the file the wanted one.
    pub(super) fn people_apply(&mut self, starting: Starting) {
        // What is doubted is refused as a whole.
        if !self.may_start() || !doubt(&self.people.file).is_empty() {
            return;
        }
        let Some(host) = &self.host else { return };
        let mut changes = Vec::new();
        for (name, spec) in &self.people.file {
            let (before, status) = (host.core.wanted(name.as_str()), host.core.status(name.as_str()));
            let after = Wanted::applied(before, Arc::new(spec.clone()), status, starting);
            if before != Some(&after) {
                changes.push((name.clone(), Some(after)));
            }
        }
        let gone = host.core.names().filter(|name| !self.people.file.contains_key(*name));
        changes.extend(gone.map(|name| (name.clone(), None)));
        let starts = self.story.config.max_parallel;
        self.request(changes, Txn::new().put("meta/max-parallel", ledger::to_json(&starts)));
    }

    /// A request is committed, and only then heard; whoever is killed between the two has promised nothing.
    fn request(&mut self, changes: Vec<(ServiceName, Option<Wanted>)>, txn: Txn) -> bool {
        let numbers: Vec<usize> = changes.iter().map(|(name, _)| self.numbers[name]).collect();
        numbers.iter().for_each(|number| self.people.acked[*number] = None);
        if !self.moves() {
            return false;
        }
        let Some(host) = &mut self.host else { return false };
        host.generation += 1;
        let mut txn = txn.put("meta/generation", ledger::to_json(&host.generation));
        for (name, wanted) in &changes {
            txn = match wanted {
                Some(wanted) => {
                    let record = WantedRecord { wanted: wanted.clone(), written: Default::default(), origin: None };
                    txn.put(ledger::wanted_key(name), ledger::to_json(&record))
                }
                None => txn.delete(ledger::wanted_key(name)),
            };
        }
        if let Err(error) = self.disk.commit(txn) {
            self.fail("I8", format!("the store refuses a request: {error}"));
            return false;
        }
        if !self.moves() {
            return false;
        }
        for ((_, wanted), number) in changes.iter().zip(&numbers) {
            self.people.acked[*number] = Some(wanted.as_ref().map_or(Acked::Removed, |wanted| Acked::Wanted(wanted.desired)));
        }
        self.note(|| changes.iter().map(said).collect());
        self.watch.scales(self.now(), &changes);
        self.watch.wants(&changes);
        self.handle(Event::Wanted(changes), &Heard::Wanted);
        self.carry_out();
        self.host.is_some()
    }

    /// I9: the same once more changes nothing.
    pub(super) fn people_apply_again(&mut self) {
        if !self.may_start() {
            return;
        }
        self.handle(Event::Tick, &Heard::Other);
        let now = self.now();
        let Some(host) = &mut self.host else { return };
        let same = host.core.names().filter_map(|name| {
            let wanted = host.core.wanted(name.as_str())?;
            Some((name.clone(), Some(Wanted { spec: Arc::new(wanted.spec.as_ref().clone()), ..wanted.clone() })))
        });
        let same: Vec<(ServiceName, Option<Wanted>)> = same.collect();
        host.core.handle(now, Event::Wanted(same));
        if let Some(action) = host.core.poll_action() {
            return self.fail("I9", format!("an identical spec changed something: {action:?}"));
        }
        self.carry_out();
    }

    /// Whoever got no answer looks what became of it.
    pub(super) fn people_recall(&mut self, remembered: &Remembered) {
        let known: BTreeMap<&ServiceName, Desired> = remembered.wanted.iter().map(|(name, wanted)| (name, wanted.desired)).collect();
        for (number, name) in self.names.iter().enumerate() {
            let found = known.get(name).map_or(Acked::Removed, |desired| Acked::Wanted(*desired));
            self.people.acked[number].get_or_insert(found);
        }
    }

    /// The file, with one change; a change that would be refused is taken back.
    pub(super) fn edit_file(&mut self, change: impl FnOnce(&mut BTreeMap<ServiceName, Spec>)) {
        let before = self.people.file.clone();
        change(&mut self.people.file);
        if !doubt(&self.people.file).is_empty() || Graph::new(self.people.file.values()).cycle().is_some() {
            self.people.file = before;
        }
    }
}

fn said((name, wanted): &(ServiceName, Option<Wanted>)) -> String {
    let Some(wanted) = wanted else { return format!("\n               removes {name}") };
    let spec = &wanted.spec;
    let edges: Vec<String> = spec
        .dependencies
        .iter()
        .map(|edge| {
            let marks = format!("{}{}", if edge.optional { "?" } else { "" }, if edge.restart { "!" } else { "" });
            let quorum = if edge.healthy.is_all() { String::new() } else { format!("={:?}", edge.healthy) };
            edge.condition.map_or(format!("{}{marks}{quorum}", edge.service), |condition| format!("{}{marks}:{condition:?}{quorum}", edge.service))
        })
        .collect();
    format!(
        "\n               {name} {:?} {:?}{} on {} x{}, starts {} restarts {}, {:?} {:?}, checks {:?} <- {}",
        wanted.desired,
        spec.kind,
        if spec.enabled { "" } else { " disabled" },
        spec.task_digest,
        wanted.count(),
        wanted.starts,
        wanted.restarts,
        spec.restart.mode,
        spec.restart.max_attempts,
        spec.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(),
        edges.join(" ")
    )
}

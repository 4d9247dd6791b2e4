//! Requests: what is wanted is committed first, and only then does the core hear of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hostler_api::{Code, EventKind, Failure};
use hostler_core::{Desired, Event, ServiceName, Status, Wanted, WorkspaceName};
use hostler_failpoint::failpoint;
use hostler_store::{Store, StoreError, Txn};

use crate::apply::{self, Prepared};
use crate::beside::{self, OnlyIf};
use crate::clock;
use crate::drive::Driver;
use crate::ledger::{self, WantedRecord, Written};
use crate::message::{Accepted, Change, Mark, Writing};
use crate::{alerts, upgrade};

/// Services as they were written.
type Document = BTreeMap<ServiceName, Written>;

impl Driver {
    /// Carries out a request, as far as it can be at once.
    pub(crate) async fn change(&mut self, change: Change) -> Result<Accepted, Failure> {
        let last_event = self.desk.last_event;
        let (whose, change) = change.apart();
        let whose = whose.as_ref();
        let is_one = matches!(change, Change::Add(_));
        let services = match change {
            Change::Start { names, deps } => self.request_start(whose, names, deps).await?,
            Change::Stop { names, force } => self.request_stop(whose, names, force).await?,
            Change::Restart { names, force } => self.request_restart(whose, names, force).await?,
            Change::Scale(counts) => self.request_scale(counts).await?,
            Change::Replica { name, replica, wish, force } => self.request_replica(name, replica, wish, force).await?,
            Change::Apply(prepared) => self.apply(*prepared).await?,
            Change::Add(added) => self.add(*added).await?,
            Change::Remove { names, only_if, force } => {
                let names = self.remove(names, false, &only_if).await?;
                if force {
                    self.desk.core.handle(clock::now(), Event::Force(names.clone()));
                }
                names
            }
            Change::Release(names) => self.remove(names, true, &OnlyIf::Anyhow).await?,
            Change::Absent(names) => self.absent(names).await?,
            Change::Down { keep, force } => self.request_down(whose, keep, force).await?,
            Change::CheckNow(names) => {
                let names = self.known(whose, names)?;
                self.take_checks(&names)?;
                self.desk.core.handle(clock::now(), Event::CheckNow(names.clone()));
                names
            }
            Change::Revise(revise) => self.revise(*revise).await?,
            Change::Estate(asked) => self.settle_estate(*asked).await?,
            Change::Within(..) => unreachable!("nothing stays within after it was taken apart"),
            Change::Shutdown { stop_services, force } => self.shut_down(stop_services, force),
        };
        self.desk.alerting.look_again();
        let tag = services.first().filter(|_| is_one && services.len() == 1).and_then(|name| beside::tag(&self.desk, name));
        Ok(Accepted { generation: self.desk.generation, last_event, services, tag })
    }

    /// The same, and writes these marks in its transaction. A change that finds everything as it wants it has none of its own: then they get one.
    pub(crate) async fn change_marked(&mut self, change: Change, marks: Vec<Mark>) -> Result<Accepted, Failure> {
        self.marks = marks;
        let accepted = self.change(change).await;
        self.chosen.clear();
        let left = std::mem::take(&mut self.marks);
        if let Ok(accepted) = &accepted {
            let txn = left.into_iter().fold(Txn::new(), |txn, mark| mark(txn, accepted));
            if !txn.ops.is_empty() {
                self.commit(txn).await.map_err(|error| commit_failure(&error))?;
            }
        }
        accepted
    }

    fn marked(&mut self, txn: Txn) -> Txn {
        let services = std::mem::take(&mut self.chosen);
        let made = Accepted { generation: self.desk.generation + 1, last_event: self.desk.last_event, services, tag: None };
        std::mem::take(&mut self.marks).into_iter().fold(txn, |txn, mark| mark(txn, &made))
    }

    /// Whom the change is about that is to be committed, for those who mark it.
    pub(crate) fn choose(&mut self, names: &[ServiceName]) {
        if !self.marks.is_empty() {
            self.chosen = names.to_vec();
        }
    }

    /// All of theirs when none is named; an unknown one is refused by name.
    fn known(&self, whose: Option<&WorkspaceName>, names: Vec<ServiceName>) -> Result<Vec<ServiceName>, Failure> {
        if names.is_empty() {
            let wanted = self.desk.core.names().filter(|name| is_of(name, whose) && self.desk.core.wanted(name.as_str()).is_some());
            return Ok(wanted.cloned().collect());
        }
        for name in &names {
            if self.desk.core.wanted(name.as_str()).is_none() {
                return Err(crate::speak::not_found(&self.desk, name.as_str()));
            }
        }
        Ok(names)
    }

    /// Writes what changes nothing that is wanted, unless its workspace is gone; what is known from then on is known at once.
    pub(crate) async fn write(&mut self, Writing { workspace, txn, then }: Writing) -> Result<(), Failure> {
        self.refuse_gone(workspace.as_str())?;
        let txn = self.within_rates(txn);
        self.commit(txn).await.map_err(|error| commit_failure(&error))?;
        then();
        Ok(())
    }

    pub(crate) fn refuse_when_closing(&self) -> Result<(), Failure> {
        if self.desk.shutting_down {
            return Err(Failure::new(Code::Unavailable, "the host is shutting down").hint("start it again with `hostler up` or `hostler serve`"));
        }
        Ok(())
    }

    async fn request_start(&mut self, whose: Option<&WorkspaceName>, names: Vec<ServiceName>, deps: bool) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        let asked_all = names.is_empty();
        let names = self.known(whose, names)?;
        let graph = self.desk.core.graph();
        let core = &self.desk.core;
        let required = |from: &ServiceName, to: &ServiceName| {
            let spec = core.wanted(from.as_str()).map(|wanted| &wanted.spec);
            spec.is_some_and(|spec| spec.dependencies.iter().any(|edge| edge.service == *to && !edge.optional))
        };
        let chosen = if deps { graph.with_dependencies(names.clone(), required) } else { names.iter().cloned().collect() };
        let named: BTreeSet<ServiceName> = names.into_iter().collect();
        for name in &named {
            let disabled = core.wanted(name.as_str()).is_some_and(|wanted| !wanted.spec.enabled);
            if disabled && !asked_all {
                return Err(Failure::new(Code::Conflict, format!("service `{}` is disabled", name.local()))
                    .hint("set `enabled = true` in its file, and apply it"));
            }
        }
        let order: Vec<ServiceName> = graph.start_order().into_iter().filter(|name| chosen.contains(name)).collect();
        self.want(&order, |name, status, wanted| {
            // A dependency that is up, or has run to its end, stays as it is.
            let again = (named.contains(name) && !asked_all) || matches!(status, Status::Failed | Status::Stopped);
            wanted.desired = Desired::Running;
            wanted.starts += u64::from(again);
            if named.contains(name) || asked_all {
                wanted.held.clear();
            }
        })
        .await?;
        Ok(order)
    }

    async fn request_stop(&mut self, whose: Option<&WorkspaceName>, names: Vec<ServiceName>, force: bool) -> Result<Vec<ServiceName>, Failure> {
        let names = self.known(whose, names)?;
        let chosen: BTreeSet<&ServiceName> = names.iter().collect();
        let order: Vec<ServiceName> = self.desk.core.graph().start_order().into_iter().rev().filter(|name| chosen.contains(name)).collect();
        self.want(&order, |_, _, wanted| wanted.desired = Desired::Stopped).await?;
        if force {
            self.desk.core.handle(clock::now(), Event::Force(order.clone()));
        }
        Ok(order)
    }

    async fn request_restart(&mut self, whose: Option<&WorkspaceName>, names: Vec<ServiceName>, force: bool) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        let asked_all = names.is_empty();
        let mut names = self.known(whose, names)?;
        if asked_all {
            names.retain(|name| self.is_to_run(name, force));
        }
        for name in &names {
            if !force && self.desk.core.status(name.as_str()) == Status::Failed {
                let (because, _) = self.desk.core.explain(name.as_str());
                let why = because.first().cloned().unwrap_or_default();
                let name = name.local();
                let failure = Failure::new(Code::Conflict, format!("service `{name}` {why}"));
                return Err(failure.hint(format!("`hostler restart --force {name}` tries again, and starts the count of restarts anew")));
            }
        }
        let chosen: BTreeSet<&ServiceName> = names.iter().collect();
        let order: Vec<ServiceName> = self.desk.core.graph().start_order().into_iter().filter(|name| chosen.contains(name)).collect();
        self.want(&order, |_, _, wanted| {
            wanted.desired = Desired::Running;
            wanted.restarts += 1;
        })
        .await?;
        Ok(order)
    }

    /// All of them, or none where one is beyond its bounds.
    async fn request_scale(&mut self, counts: BTreeMap<ServiceName, u32>) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        if counts.is_empty() {
            return Err(Failure::new(Code::Invalid, "no service is named").hint("name each with its number of replicas"));
        }
        let names = self.known(None, counts.keys().cloned().collect())?;
        for (name, count) in &counts {
            let Some(wanted) = self.desk.core.wanted(name.as_str()) else { continue };
            if let Err(why) = wanted.scaled_to(*count) {
                let name = name.local();
                let failure = Failure::new(Code::Invalid, format!("service `{name}` cannot be scaled to {count}: {why}"));
                let hint = format!("its configuration sets the bounds: replicas = {{ min = …, max = … }} under [services.{name}]");
                return Err(failure.hint(hint));
            }
        }
        self.want(&names, |name, _, wanted| {
            if let Ok(scaled) = wanted.scaled_to(counts[name]) {
                *wanted = scaled;
            }
        })
        .await?;
        Ok(names)
    }

    /// Is it one that a restart of everything means? What was stopped by hand or is done stays so, and what has failed starts only by force.
    fn is_to_run(&self, name: &ServiceName, force: bool) -> bool {
        let wanted = self.desk.core.wanted(name.as_str());
        let status = self.desk.core.status(name.as_str());
        wanted.is_some_and(|wanted| wanted.desired == Desired::Running && wanted.spec.enabled)
            && status != Status::Completed
            && (force || status != Status::Failed)
    }

    async fn request_down(&mut self, whose: Option<&WorkspaceName>, keep: bool, force: bool) -> Result<Vec<ServiceName>, Failure> {
        if keep {
            return self.request_stop(whose, Vec::new(), force).await;
        }
        let order: Vec<ServiceName> = self.desk.core.graph().start_order().into_iter().rev().filter(|name| is_of(name, whose)).collect();
        let mut txn = self.new_generation();
        for name in &order {
            txn = txn.delete(ledger::wanted_key(name));
        }
        self.choose(&order);
        self.commit_request(txn).await?;
        failpoint!("host.down.committed");
        let gone = order.iter().map(|name| (name.clone(), None)).collect();
        self.desk.core.handle(clock::now(), Event::Wanted(gone));
        failpoint!("host.down.decided");
        if force {
            self.desk.core.handle(clock::now(), Event::Force(order.clone()));
        }
        for name in &order {
            self.desk.written.remove(name);
            self.desk.origins.remove(name);
        }
        Ok(order)
    }

    fn shut_down(&mut self, stop_services: bool, force: bool) -> Vec<ServiceName> {
        self.desk.shutting_down = true;
        failpoint!("host.shutdown.asked");
        if !stop_services {
            self.leaving = true;
            return Vec::new();
        }
        self.desk.core.handle(clock::now(), Event::Close { force });
        failpoint!("host.shutdown.closing");
        self.desk.core.graph().start_order().into_iter().rev().collect()
    }

    /// Changes what is wanted of services: committed, then heard.
    pub(crate) async fn want(&mut self, names: &[ServiceName], change: impl Fn(&ServiceName, Status, &mut Wanted)) -> Result<(), Failure> {
        let mut txn = self.new_generation();
        let mut changes = Vec::new();
        for name in names {
            let Some(wanted) = self.desk.core.wanted(name.as_str()) else { continue };
            let mut after = wanted.clone();
            change(name, self.desk.core.status(name.as_str()), &mut after);
            if after != *wanted {
                txn = self.put_wanted(txn, name, &after);
                changes.push((name.clone(), Some(after)));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.desk.doubt_quotas(&changes)?;
        self.choose(names);
        self.commit_request(txn).await?;
        self.desk.core.handle(clock::now(), Event::Wanted(changes));
        failpoint!("host.request.decided");
        Ok(())
    }

    pub(crate) fn put_wanted(&self, txn: Txn, name: &ServiceName, wanted: &Wanted) -> Txn {
        let record = WantedRecord {
            wanted: wanted.clone(),
            written: self.desk.written.get(name).cloned().unwrap_or_default(),
            origin: self.desk.origins.get(name).cloned(),
        };
        txn.put(ledger::wanted_key(name), ledger::to_json(&record))
    }

    pub(crate) fn new_generation(&self) -> Txn {
        Txn::new().put("meta/generation", ledger::to_json(&(self.desk.generation + 1)))
    }

    pub(crate) async fn commit_request(&mut self, txn: Txn) -> Result<(), Failure> {
        failpoint!("host.request.before-commit");
        let txn = self.marked(txn);
        self.commit(txn).await.map_err(|error| commit_failure(&error))?;
        failpoint!("host.request.committed");
        self.desk.generation += 1;
        Ok(())
    }

    /// Makes a prepared configuration the wanted one.
    async fn apply(&mut self, prepared: Prepared) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        if !self.desk.plugins.is_of_now(&prepared.plugins) {
            let failure = Failure::new(Code::Conflict, "a plugin was upgraded while this configuration was read");
            return Err(failure.hint("nothing was changed; apply it again"));
        }
        if !prepared.workspace.is_default() {
            return self.apply_within(prepared).await;
        }
        let changes = apply::wanted_after(&self.desk, &prepared);
        apply::refuse(&self.desk, &prepared, &changes)?;
        let Prepared { written, mut plugins, secrets, max_parallel, common, discovery, listen, telemetry, alerting, .. } = prepared;
        let before_written = self.write_document(&WorkspaceName::default(), written);
        let mut txn = self.put_changes(&WorkspaceName::default(), &changes, &before_written);
        for name in self.desk.plugins.removed_by(&plugins) {
            match self.desk.plugins.slot(&name).filter(|_| self.desk.has_lives_at(&name)) {
                // Somebody has to end them.
                Some(slot) => plugins.keep_for_its_tasks(name, slot),
                None => match forget_plugin(Arc::clone(&self.store), txn, &name).await {
                    Ok(more) => txn = more,
                    Err(error) => {
                        self.desk.written = before_written;
                        return Err(store_failure(&error));
                    }
                },
            }
        }
        txn = self.desk.secrets.save(&secrets, plugins.save(txn));
        for (name, what) in self.desk.plugins.loaded_by(&plugins) {
            txn = txn.emit(upgrade::event(EventKind::PluginLoaded, &name, format!("plugin {name} is {what}")));
        }
        for name in self.desk.plugins.reset_by(&plugins) {
            txn = txn.emit(upgrade::event(
                EventKind::PluginReset,
                &name,
                format!("plugin {name} is what the configuration leads to again: that has changed"),
            ));
        }
        failpoint!("host.apply.planned");
        let names: Vec<ServiceName> = changes.iter().map(|(name, _)| name.clone()).collect();
        self.choose(&names);
        txn = txn
            .put("meta/max-parallel", ledger::to_json(&max_parallel))
            .put("meta/common", ledger::to_json(&common))
            .put("meta/discovery", ledger::to_json(&discovery));
        txn = txn.put("meta/listen", ledger::to_json(&listen)).put(alerts::CONFIG, ledger::to_json(&alerting));
        txn = txn.put("meta/telemetry", ledger::to_json(&telemetry));
        if let Err(failure) = self.commit_request(txn).await {
            self.desk.written = before_written;
            return Err(failure);
        }
        failpoint!("host.apply.committed");
        self.desk.secrets.swap(secrets);
        self.desk.discoveries.look_for(discovery);
        self.desk.front.want(listen);
        self.desk.alerting.want(alerting);
        self.desk.telemetry.want(telemetry);
        for (backend, missing) in self.desk.plugins.swap(plugins) {
            self.desk.core.handle(clock::now(), Event::Plugin { backend, missing });
        }
        self.desk.engines.ask_now();
        self.watch_closely();
        failpoint!("host.apply.plugins-swapped");
        self.desk.core.set_max_parallel(max_parallel);
        self.desk.common = common;
        self.desk.keep_checks(&changes);
        self.desk.core.handle(clock::now(), Event::Wanted(changes));
        self.desk.meter.change();
        failpoint!("host.apply.decided");
        Ok(names)
    }

    /// Writes a workspace's document in the place of the one before, beside what was asked for by name and what is of others; what was written
    /// before.
    fn write_document(&mut self, workspace: &WorkspaceName, written: Document) -> Document {
        let stays = |name: &ServiceName| name.workspace() != workspace.as_str() || self.desk.origins.contains_key(name);
        let beside = self.desk.written.iter().filter(|(name, _)| stays(name)).map(|(name, written)| (name.clone(), written.clone()));
        let after = beside.chain(written).collect();
        std::mem::replace(&mut self.desk.written, after)
    }

    /// Puts what a document changes of its workspace, and what it only writes differently.
    fn put_changes(&self, workspace: &WorkspaceName, changes: &[(ServiceName, Option<Wanted>)], before_written: &Document) -> Txn {
        let changed: BTreeSet<&ServiceName> = changes.iter().map(|(name, _)| name).collect();
        let txn = changes.iter().fold(self.new_generation(), |txn, (name, wanted)| match wanted {
            Some(wanted) => self.put_wanted(txn, name, wanted),
            None => txn.delete(ledger::wanted_key(name)),
        });
        let theirs = self.desk.written.iter().filter(|(name, _)| name.workspace() == workspace.as_str() && !changed.contains(name));
        let rewritten = theirs.filter(|(name, written)| before_written.get(*name) != Some(*written));
        let wanted = rewritten.filter_map(|(name, _)| Some((name, self.desk.core.wanted(name.as_str())?)));
        wanted.fold(txn, |txn, (name, wanted)| self.put_wanted(txn, name, wanted))
    }

    /// The same of another workspace than `default`: its services change, and nothing of the host.
    async fn apply_within(&mut self, prepared: Prepared) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_gone(prepared.workspace.as_str())?;
        let changes = apply::wanted_after(&self.desk, &prepared);
        apply::refuse(&self.desk, &prepared, &changes)?;
        let Prepared { workspace, written, .. } = prepared;
        let before_written = self.write_document(&workspace, written);
        let txn = self.put_changes(&workspace, &changes, &before_written);
        let names: Vec<ServiceName> = changes.iter().map(|(name, _)| name.clone()).collect();
        self.choose(&names);
        if let Err(failure) = self.commit_request(txn).await {
            self.desk.written = before_written;
            return Err(failure);
        }
        self.desk.keep_checks(&changes);
        self.desk.core.handle(clock::now(), Event::Wanted(changes));
        self.desk.meter.change();
        Ok(names)
    }

    /// Takes out the plugins that stayed for tasks alone, when the last of these is gone. Answers whether it did.
    pub(crate) async fn see_off(&mut self) -> bool {
        let mut any = false;
        let gone: Vec<String> = self.desk.plugins.leaving().into_iter().filter(|name| !self.desk.has_lives_at(name)).collect();
        for name in gone {
            let told = upgrade::event(EventKind::PluginRemoved, &name, format!("plugin {name} is gone, with its last task"));
            let forgotten = forget_plugin(Arc::clone(&self.store), Txn::new().emit(told), &name).await;
            let committed = match forgotten {
                Ok(txn) => self.commit(txn).await,
                Err(error) => Err(error),
            };
            match committed {
                Ok(()) => {
                    any = true;
                    self.desk.plugins.take_out(&name);
                    let missing = Some(format!("plugin `{name}` was removed"));
                    self.desk.core.handle(clock::now(), Event::Plugin { backend: name, missing });
                }
                // The next round tries again.
                Err(error) => tracing::error!(plugin = name, %error, "a plugin without tasks could not be taken out yet"),
            }
        }
        any
    }
}

impl Change {
    /// What is asked, and of which workspace; of every one where there is none.
    fn apart(self) -> (Option<WorkspaceName>, Change) {
        match self {
            Change::Within(whose, change) => (whose, change.apart().1),
            change => (Some(WorkspaceName::default()), change),
        }
    }
}

fn is_of(name: &ServiceName, whose: Option<&WorkspaceName>) -> bool {
    whose.is_none_or(|workspace| name.workspace() == workspace.as_str())
}

/// Takes out a plugin and what it keeps: whatever bears its name later begins anew.
async fn forget_plugin(store: Arc<dyn Store>, txn: Txn, name: &str) -> Result<Txn, StoreError> {
    let prefix = format!("plugin-state/{name}/");
    let keys = tokio::task::spawn_blocking(move || ledger::keys(&*store, &prefix)).await;
    let txn = txn.delete(format!("plugins/{name}")).delete(format!("revisions/{name}"));
    Ok(keys.unwrap_or(Err(StoreError::Closed))?.into_iter().fold(txn, Txn::delete))
}

/// A read of the store that did not work, for whoever asked.
pub(crate) fn unreadable(error: &StoreError) -> Failure {
    let failure = Failure::new(Code::Unavailable, format!("the store cannot be read: {error}"));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A commit that did not work, for whoever asked: it was not done, or nobody knows.
pub(crate) fn commit_failure(error: &StoreError) -> Failure {
    // The one error that says nothing of what is on the disk.
    if matches!(error, StoreError::Engine { .. }) {
        let failure = Failure::new(Code::Unknown, format!("whether this was done is not known: {error}"));
        return failure
            .hint("the host writes nothing any more; end it and start it again: it goes on from what is on the disk, and says what that is");
    }
    store_failure(error)
}

/// A read, or a commit that is known to have changed nothing, for whoever asked.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::new(Code::Unavailable, format!("nothing was changed: {error}"));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

//! Services that stand in no configuration: somebody asked for them by name, and an apply leaves them alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hostler_api::{Code, Failure, config};
use hostler_core::{Desired, Event, ServiceName, Spec, Starting, Wanted, WorkspaceName};
use serde_json::{Map, Value};

use crate::apply;
use crate::clock;
use crate::desk::Desk;
use crate::drive::Driver;
use crate::http::Door;
use crate::ledger::{self, Instance, Origin, Written};
use crate::operator;
use crate::plugins::PluginTable;

/// How often something is read and changed, where others change it at the same time. Each time one of them is done.
const TRIES: usize = 16;

/// Services that may become wanted, beside the others.
pub(crate) struct Added {
    pub(crate) services: BTreeMap<ServiceName, (Spec, Origin)>,
    written: BTreeMap<ServiceName, Written>,
    /// Where their parts stand.
    placed: config::Placed,
    plugins: PluginTable,
    starting: Starting,
    /// What must hold of each.
    pub(crate) only_if: OnlyIf,
}

/// What must hold of a service before it is changed: somebody else may have changed it since it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum OnlyIf {
    /// Nothing.
    #[default]
    Anyhow,
    /// It is not there.
    Absent,
    /// It is there, as somebody wrote it.
    There,
    /// It has one of these tags.
    Tagged(Vec<String>),
    /// It is this instance, as it was read: also what of it is nothing of the service must be the same.
    Is(Box<Instance>),
}

impl OnlyIf {
    fn doubt(&self, desk: &Desk, name: &ServiceName) -> Result<(), Failure> {
        let (now, is) = (tag(desk, name), desk.origins.get(name));
        let name = name.local();
        let message = match (self, now) {
            (OnlyIf::Anyhow, _) | (OnlyIf::Absent, None) | (OnlyIf::There, Some(_)) => return Ok(()),
            (OnlyIf::Tagged(tags), Some(now)) if tags.contains(&now) => return Ok(()),
            (OnlyIf::Is(instance), Some(_)) if matches!(is, Some(Origin::Instance(now)) if now == instance) => return Ok(()),
            (OnlyIf::Absent, Some(_)) => format!("there is a service `{name}` already"),
            (OnlyIf::There | OnlyIf::Tagged(_) | OnlyIf::Is(_), None) => format!("there is no service `{name}` any more"),
            (OnlyIf::Tagged(_) | OnlyIf::Is(_), Some(_)) => format!("service `{name}` was changed since it was read"),
        };
        Err(Failure::new(Code::Changed, message).hint("nothing was changed; read it again, and decide anew"))
    }
}

/// Reads and changes, and does both anew for as long as somebody else was faster, within reason: what is changed is what was read.
///
/// # Errors
/// Those of the last time.
pub(crate) async fn until_unchanged<T, F: Future<Output = Result<T, Failure>>>(attempt: impl Fn() -> F) -> Result<T, Failure> {
    for _ in 1..TRIES {
        match attempt().await {
            Err(failure) if failure.code == Code::Changed => {}
            done => return done,
        }
    }
    attempt().await
}

/// A short name for a service as it is wanted: another one after each change of it. It gives away nothing of its secrets.
pub(crate) fn tag(desk: &Desk, name: &ServiceName) -> Option<String> {
    let generation = desk.core.wanted(name.as_str())?.generation;
    let written = config::canonical(&operator::written(desk, name).value());
    Some(format!("{generation}-{}", &blake3::hash(written.as_bytes()).to_hex()[..16]))
}

impl Added {
    /// Do they go together with what is wanted now? Whoever is at the loop knows, and nobody before.
    ///
    /// # Errors
    /// Every mistake, in the document's places.
    pub(crate) fn doubt(&self, desk: &Desk) -> Result<(), Failure> {
        let specs = self.services.iter().map(|(name, (spec, _))| (name.clone(), spec.clone())).collect();
        let problems = desk.core.doubt_beside(&specs);
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::config(problems.into_iter().map(|problem| self.placed.in_place(problem)).collect()))
    }
}

/// Reads services of one workspace as a document has them, and lets the plugins in force doubt what concerns them. Whether they go together
/// with the others is said by [`Added::doubt`].
///
/// # Errors
/// Every mistake, in the document's places.
pub(crate) async fn prepare(
    door: &Door,
    workspace: &WorkspaceName,
    services: Vec<(ServiceName, Value, Origin)>,
    starting: Starting,
) -> Result<Added, Failure> {
    // Nobody's directory: relative paths are relative to the root.
    prepare_at(Path::new("/"), door, workspace, services, starting).await
}

/// The same with a directory that relative paths are relative to.
///
/// # Errors
/// The same.
pub(crate) async fn prepare_at(
    base_dir: &Path,
    door: &Door,
    workspace: &WorkspaceName,
    services: Vec<(ServiceName, Value, Origin)>,
    starting: Starting,
) -> Result<Added, Failure> {
    let table = door.plugins.table();
    let members: Map<String, Value> = services.iter().map(|(name, value, _)| (name.local().to_owned(), value.clone())).collect();
    // Only the host's own document has something in common.
    let common = if workspace.is_default() { door.look(|desk| desk.common.clone()).await? } else { config::Common::default() };
    let mut read = config::read_beside(&members, &common).map_err(Failure::config)?;
    let mut problems = door.workspaces.doubt_services(workspace, &read, &table)?;
    // What it may not use is not asked.
    if problems.is_empty() {
        apply::doubt(&mut read, &table, base_dir, &mut problems).await;
    }
    if !problems.is_empty() {
        return Err(Failure::config(problems));
    }
    let read = read.within(workspace);
    let (written, placed) = (apply::written(&read), read.placed);
    let mut specs = read.services;
    let services = services.into_iter().filter_map(|(name, _, origin)| Some((name.clone(), (specs.remove(&name)?, origin)))).collect();
    Ok(Added { services, written, placed, plugins: table, starting, only_if: OnlyIf::default() })
}

impl Desk {
    /// Refuses what would take the name of a service that somebody else asked for.
    pub(crate) fn refuse_others<'a>(&self, names: impl IntoIterator<Item = &'a ServiceName>) -> Result<(), Failure> {
        let Some((name, origin)) = names.into_iter().find_map(|name| Some((name.local(), self.origins.get(name)?))) else { return Ok(()) };
        let failure = Failure::new(Code::Conflict, format!("service `{name}` is there already, and not of a configuration: {}", told(origin)));
        Err(failure.hint("give this one another name, or let go of that one first"))
    }

    /// Refuses to let go of what others need that stand in no configuration: they would wait for ever. Of those of a configuration, that says
    /// what becomes of them.
    pub(crate) fn refuse_needed(&self, gone: &BTreeSet<&ServiceName>) -> Result<(), Failure> {
        let core = &self.core;
        let needs = |other: &ServiceName, name: &ServiceName| {
            let edges = core.wanted(other.as_str()).into_iter().flat_map(|wanted| &wanted.spec.dependencies);
            edges.into_iter().any(|edge| edge.service == *name && !edge.optional)
        };
        for name in gone {
            let mut beside = core.graph().dependents(name.as_str()).filter(|other| !gone.contains(other) && self.origins.contains_key(*other));
            if let Some(other) = beside.find(|other| needs(other, name)) {
                let message = format!("service `{}` depends on `{}`, and stands in no configuration", other.local(), name.local());
                return Err(Failure::new(Code::Conflict, message).hint("remove that one first, or take the dependency out of it"));
            }
        }
        Ok(())
    }
}

impl Driver {
    /// Wants these, as far as nobody else has their names.
    pub(crate) async fn add(&mut self, added: Added) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        if !self.desk.plugins.is_of_now(&added.plugins) {
            return Err(Failure::new(Code::Conflict, "a plugin was upgraded meanwhile").hint("nothing was changed; ask again"));
        }
        for name in added.services.keys() {
            added.only_if.doubt(&self.desk, name)?;
        }
        added.doubt(&self.desk)?;
        let Added { services, mut written, starting, .. } = added;
        for (name, (_, origin)) in &services {
            match self.desk.origins.get(name) {
                Some(before) if is_same(before, origin) => {}
                Some(_) => self.desk.refuse_others([name])?,
                None => refuse_configured(&self.desk, name)?,
            }
        }
        self.refuse_shared_folders(&services)?;
        let mut replaced = Vec::new();
        let mut txn = self.new_generation();
        let mut changes = Vec::new();
        let names: Vec<ServiceName> = services.keys().cloned().collect();
        self.refuse_homeless(&names)?;
        for (name, (spec, origin)) in services {
            let before = self.desk.core.wanted(name.as_str());
            let mut after = Wanted::applied(before, Arc::new(spec), self.desk.core.status(name.as_str()), starting);
            if after.desired == Desired::Absent {
                (after.desired, after.starts) = (Desired::Running, after.starts + 1);
            }
            replaced.push((name.clone(), self.desk.written.get(&name).cloned(), self.desk.origins.get(&name).cloned()));
            self.desk.written.insert(name.clone(), written.remove(&name).unwrap_or_default());
            // Whoever was the first stays the one who made it.
            match self.desk.origins.get(&name) {
                Some(Origin::Request { .. }) => {}
                _ => drop(self.desk.origins.insert(name.clone(), origin)),
            }
            txn = self.put_wanted(txn, &name, &after);
            if self.desk.core.wanted(name.as_str()) != Some(&after) {
                changes.push((name, Some(after)));
            }
        }
        self.choose(&names);
        let done = match self.desk.doubt_quotas(&changes) {
            Ok(()) => self.commit_request(txn).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = done {
            for (name, written, origin) in replaced {
                put_back(&mut self.desk.written, &name, written);
                put_back(&mut self.desk.origins, &name, origin);
            }
            return Err(failure);
        }
        self.desk.keep_checks(&changes);
        self.desk.core.handle(clock::now(), Event::Wanted(changes));
        Ok(names)
    }

    /// What these were taken over from is not there any more; who was stopped by hand stays so.
    pub(crate) async fn absent(&mut self, mut names: Vec<ServiceName>) -> Result<Vec<ServiceName>, Failure> {
        names.retain(|name| self.desk.core.wanted(name.as_str()).is_some_and(|wanted| wanted.desired == Desired::Running));
        self.want(&names, |_, _, wanted| wanted.desired = Desired::Absent).await?;
        Ok(names)
    }

    /// Forgets services that stand in no configuration: stops them first, or lets go of what was taken over, which goes on as it is.
    pub(crate) async fn remove(&mut self, names: Vec<ServiceName>, release: bool, only_if: &OnlyIf) -> Result<Vec<ServiceName>, Failure> {
        for name in &names {
            only_if.doubt(&self.desk, name)?;
            if self.desk.core.wanted(name.as_str()).is_none() {
                return Err(crate::speak::not_found(&self.desk, name.as_str()));
            }
            if !self.desk.origins.contains_key(name) {
                let failure = Failure::new(Code::Conflict, format!("service `{}` stands in the configuration", name.local()));
                return Err(failure.hint("take it out of its file, and apply that"));
            }
            if release && matches!(self.desk.origins.get(name), Some(Origin::Image(_) | Origin::Request { .. } | Origin::Instance(_))) {
                let failure = Failure::new(Code::Conflict, format!("service `{}` was not taken over: this host made its tasks", name.local()));
                return Err(failure.hint("remove it, which ends them"));
            }
        }
        self.desk.refuse_needed(&names.iter().collect())?;
        let mut txn = names.iter().fold(self.new_generation(), |txn, name| txn.delete(ledger::wanted_key(name)));
        let mut released = Vec::new();
        if release {
            released = names.iter().flat_map(|name| self.desk.core.replicas(name.as_str())).filter_map(|replica| replica.run).collect();
            txn = released.iter().fold(txn, |txn, run| txn.put(ledger::released_key(*run), ledger::to_json(&true)));
        }
        self.commit_request(txn).await?;
        self.desk.released.extend(released);
        for name in &names {
            self.desk.written.remove(name);
            self.desk.origins.remove(name);
        }
        let gone = names.iter().map(|name| (name.clone(), None)).collect();
        self.desk.core.handle(clock::now(), Event::Wanted(gone));
        Ok(names)
    }
}

fn put_back<V>(map: &mut BTreeMap<ServiceName, V>, name: &ServiceName, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(name.clone(), value)),
        None => drop(map.remove(name)),
    }
}

/// Refuses what would take the name of a service of the configuration.
pub(crate) fn refuse_configured(desk: &Desk, name: &ServiceName) -> Result<(), Failure> {
    if desk.origins.contains_key(name) || desk.core.wanted(name.as_str()).is_none() {
        return Ok(());
    }
    let failure = Failure::new(Code::Conflict, format!("service `{}` stands in the configuration", name.local()));
    Err(failure.hint("give this one another name"))
}

/// Does the same one ask again? What a pattern finds may be another thing than before, under the same name.
fn is_same(before: &Origin, now: &Origin) -> bool {
    match (before, now) {
        (Origin::Discovery { backend, pattern, .. }, Origin::Discovery { backend: at, pattern: by, .. }) => backend == at && pattern == by,
        (Origin::Instance(before), Origin::Instance(now)) => before.id == now.id,
        (Origin::Request { .. }, Origin::Request { .. }) => true,
        (before, now) => before == now,
    }
}

/// Who asked for it, for people.
pub(crate) fn told(origin: &Origin) -> String {
    match origin {
        Origin::Image(image) => format!("replicas of the image `{image}`"),
        Origin::Request { .. } => "somebody asked for it by itself".to_owned(),
        Origin::Discovery { backend, pattern, .. } => format!("found by the pattern `{pattern}` of `discovery.{backend}`"),
        Origin::Adoption { backend, key } => format!("`{key}`, taken over from {backend}"),
        Origin::Instance(instance) => format!("the service instance {}", instance.id),
    }
}

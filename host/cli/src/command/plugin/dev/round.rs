//! One round: build, try, swap. Nothing that the host knows is changed before it has taken the new component.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hostler_api::{Code, Failure, Revised, RevisedTo, Shape, UpgradeRequest, routes};
use hostler_componentize::{BuildError, Guest, Language, Project};
use hostler_conformance::{Against, Group, Subject};

use super::build::Builds;
use super::{Told, in_full};
use crate::client::Client;
use crate::command::plugin::build::not_built;
use crate::command::plugin::lock;
use crate::command::plugin::named::{Named, named, service_file};
use crate::command::plugin::new::no_project;
use crate::context::Context;
use crate::error::Error;
use crate::out::{bytes, elapsed, note};

/// What makes one project's component, again and again.
pub(super) struct Maker<'a> {
    context: &'a Context,
    project: Project,
    /// What the host calls it, when somebody said so.
    name: Option<String>,
    builds: Builds,
}

/// A swap that the host watches.
pub(super) struct Swapped {
    pub(super) client: Client,
    pub(super) revised: Revised,
}

/// How far a round came, and the words for it.
type Outcome = (&'static str, String);

/// What a round that came to its end did.
enum Done {
    Swapped(Box<Swapped>, String),
    /// Nothing was swapped, and nothing is wrong.
    Fine(Outcome),
}

impl<'a> Maker<'a> {
    pub(super) fn new(dir: &Path, name: Option<String>, context: &'a Context) -> Result<Maker<'a>, Error> {
        let project = Project::open(dir).map_err(no_project)?;
        Ok(Maker { context, project, name, builds: Builds::new() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.project.dir
    }

    /// Ends a build that is under way.
    pub(super) async fn abandon(&self) {
        self.builds.abandon().await;
    }

    pub(super) async fn round(&self) -> (Told, Option<Swapped>) {
        let begun = Instant::now();
        let (outcome, text, good, swapped) = match self.made().await {
            Ok(Done::Swapped(swapped, text)) => ("swapped", text, true, Some(*swapped)),
            Ok(Done::Fine((outcome, text))) => (outcome, text, true, None),
            Err((outcome, text)) => (outcome, text, false, None),
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        (Told { version: Shape, outcome, text: format!("{text} ({})", elapsed(took_ms)), took_ms, good }, swapped)
    }

    async fn made(&self) -> Result<Done, Outcome> {
        // a service file with a mistake is the next `hostler apply`'s business
        let named = named(&self.component(), self.context).ok().flatten();
        let guest = self.built().await?;
        let config = named.as_ref().and_then(|named| named.entry.config.clone());
        let cases = self.quick_check(&guest.path, config).await?;
        let built = format!("{} {}, {cases} cases kept", guest.name, bytes(guest.size));
        self.swapped(named.as_ref(), &guest.path, built).await
    }

    /// Where the service file has it.
    fn component(&self) -> PathBuf {
        self.project.dir.join(format!("{}.wasm", self.project.name))
    }

    /// The new component, beside the one that the host knows.
    async fn built(&self) -> Result<Guest, Outcome> {
        let beside = self.project.work_dir().join("dev").join(format!("{}.wasm", self.project.name));
        // cargo speaks for itself
        let say: fn(&str) = if self.project.language == Language::Rust { |_| () } else { note };
        let built = self.builds.build(&self.project, &beside, say).await;
        built.map_err(|error| match error {
            BuildError::Cargo(_) => ("does not compile", "cargo's messages are above".to_owned()),
            error @ BuildError::Tool { .. } => ("does not compile", error.to_string()),
            error => ("not built", not_built(error).to_string()),
        })
    }

    /// The cases that take a moment: is it a plugin, and does each step of a life do what it says?
    async fn quick_check(&self, component: &Path, config: Option<serde_json::Value>) -> Result<usize, Outcome> {
        let bytes = std::fs::read(component).map_err(|error| ("not built", format!("{}: {error}", component.display())))?;
        let subject = Subject {
            name: self.project.name.clone(),
            bytes,
            origin: self.project.dir.display().to_string(),
            config: config.unwrap_or_default(),
            settings: None,
            grants: None,
            against: Against::Fake,
        };
        let quick = |case: &hostler_conformance::Case| matches!(case.group, Group::Static | Group::Lifecycle);
        let report = hostler_conformance::check(subject, &quick).await.map_err(|error| ("not tried", error.to_string()))?;
        let failures: Vec<String> = report.failed().iter().map(|case| case.text().trim_end().to_owned()).collect();
        if failures.is_empty() { Ok(report.counts().0) } else { Err(("breaks the contract", failures.join("\n"))) }
    }

    /// Asks the host that runs to take it, as `hostler plugin upgrade` does; then it lies where the service file has it, and is what is pinned there.
    async fn swapped(&self, named: Option<&Named>, beside: &Path, built: String) -> Result<Done, Outcome> {
        let name = self.name.as_ref().or(named.map(|named| &named.name)).unwrap_or(&self.project.name);
        let file = service_file(&self.component(), self.context);
        let state_dir = self.context.state_dir(file.as_deref()).map_err(|error| ("not swapped", error.to_string()))?;
        let client = Client::new(&state_dir);
        if !client.is_there().await {
            self.put(beside)?;
            return Ok(Done::Fine(("built", format!("{built}; no host runs here to swap it into (`hostler up --detach` starts one)"))));
        }
        let asked = ask(&client, name, beside).await;
        match asked {
            Ok(revised) if revised.outcome == RevisedTo::Waits => {
                let upgrade = format!("hostler plugin upgrade {name} {}", beside.display());
                Err(("waits", format!("{built}; it wants to do more than it was granted, and that is yours to decide: {upgrade}")))
            }
            Ok(revised) => {
                self.put(beside)?;
                if let Some(file) = file {
                    let followed = lock::follow(&file, name, &self.component(), &revised.to.digest, &client).await;
                    followed.map_err(|error| ("not pinned", format!("{built}; the host has it, and {error}")))?;
                }
                if revised.outcome == RevisedTo::Same {
                    return Ok(Done::Fine(("same", format!("{built}; the host has it already"))));
                }
                let text = format!("{built}; {} live tasks go on", revised.tasks);
                Ok(Done::Swapped(Box::new(Swapped { client, revised }), text))
            }
            Err(failure) if failure.code == Code::NotFound => {
                self.put(beside)?;
                let add = format!("hostler plugin add {name} {}", self.component().display());
                Ok(Done::Fine(("built", format!("{built}; the host that runs does not know `{name}`: {add}"))))
            }
            Err(failure) => Err(("refused", in_full(&failure))),
        }
    }

    /// Where the service file has it: whole, or as it was.
    fn put(&self, beside: &Path) -> Result<(), Outcome> {
        let path = self.component();
        let partial = self.project.dir.join(format!(".{}.wasm.partial", self.project.name));
        let done = std::fs::copy(beside, &partial).and_then(|_| std::fs::rename(&partial, &path));
        done.map_err(|error| ("not written", format!("{}: {error}", path.display())))
    }
}

async fn ask(client: &Client, name: &str, component: &Path) -> Result<Revised, Failure> {
    let source = component.to_string_lossy().into_owned();
    let request = UpgradeRequest { source, ..UpgradeRequest::default() };
    client.while_it_compiles().post(&routes::of(routes::UPGRADE, name), &request).await?.read()
}

//! Backend `docker`: containers of an engine that speaks Docker's API, made for a task or taken over as they are.
//!
//! A task is a container whose labels say whose it is and what it was made from, so that every call finds it again and
//! [`list`](Backend::list) rebuilds everything after every other memory is lost. What cannot be written onto a container stands in the plugin's
//! `state`: limits that were changed while it ran ([`changed`]), and containers that were there before us ([`taken`]).

mod changed;
mod engines;
mod facts;
mod log;
mod more;
mod mounts;
mod ports;
mod refused;
mod settings;
mod signals;
mod spec;
mod start;
mod status;
mod survey;
mod taken;
#[cfg(test)]
mod tests;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engines::{unseen, untouched};
use facts::Held;
use hostler_sdk::backend::{Candidate, Chunk, ExecCommand, Outcome, Output, Usage};
use hostler_sdk::host::containers::{self, Command, Container, Whose};
use hostler_sdk::host::{Error, context};
use hostler_sdk::{Backend, Description, Discovery, Engine, Exec, Exit, Fault, Found, Logs, Page, Problem, Signals, Stats, Status, Task, Update};
use settings::Settings;
use status::is_up;

/// The plugin.
struct Docker;

/// Bytes of each output of a command that are kept, as the contract has it.
const MOST_OUTPUT: u32 = 16 << 20;

impl Backend for Docker {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new("docker", env!("CARGO_PKG_VERSION"), "Containers of an engine that speaks Docker's API.")
            .settings(include_str!("../task.json"))
            .config(include_str!("../config.json"))
            .needs("containers", "makes, looks at and ends containers, on the engines that are granted")
            .needs("state", "remembers on which engines it has started something, what it has taken over, and limits that were changed")
            .needs("secrets", "passwords of image registries, which it does not see")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.read().map(drop)
    }

    fn fingerprint() -> Result<Engine, Fault> {
        engines::fingerprint()
    }

    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        let read = task.settings.read()?;
        engines::remember(&task.settings.engine)?;
        match task.settings.container.clone() {
            Some(name) => taken::start(&task, &name),
            None => start::start(&spec::plan(&context::owner(), task, read)),
        }
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        let seen = Seen::of_all(handles)?;
        handles.iter().map(|held| seen.status(held)).collect()
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        let signal = signal.unwrap_or("");
        if !signal.is_empty() && !signals::is_one(signal) {
            return Err(Fault::invalid("", format!("no signal is called `{}`", signal.escape_debug())));
        }
        if handle.taken.is_some() {
            match look(&handle)? {
                Some(container) if handle.is_this_life(&container) => {}
                Some(container) => return Ok(status::of(&handle, &container, "")),
                None => return Ok(Status::gone()),
            }
        }
        match containers::stop(&handle.engine, &handle.container, signal, grace) {
            Ok(container) if is_up(&container.state) => Err(Fault::Interrupted(format!("{} is still stopping", container.name))),
            Ok(container) => Ok(status::of(&handle, &container, "")),
            Err(Error::NotFound) => Ok(Status::gone()),
            Err(Error::Timeout) => Err(Fault::Interrupted(format!("{} is still stopping", status::short(&handle.container)))),
            Err(error) => Err(error.into()),
        }
    }

    fn destroy(handle: Held, force: bool) -> Result<(), Fault> {
        if let Some(container) = look(&handle)?.filter(|container| is_up(&container.state) && handle.is_this_life(container)) {
            if !force {
                return Err(Fault::Conflict(format!("{} runs; stop it first", container.name)));
            }
            if handle.taken.is_some() {
                Self::stop(handle.clone(), Some("SIGKILL"), Duration::ZERO)?;
            }
        }
        if handle.taken.is_some() {
            return taken::forget(&handle.task);
        }
        match containers::remove(&handle.engine, &handle.container, force) {
            Ok(()) | Err(Error::NotFound) => changed::forget(&handle.task),
            Err(error) => Err(error.into()),
        }
    }

    /// An engine that cannot be asked fails the whole listing: what is not listed counts as gone.
    fn list(cursor: Option<&str>) -> Result<Page<Held>, Fault> {
        let mut found = Vec::new();
        for engine in engines::known()? {
            found.extend(made(&engine)?);
            found.extend(taken::list(&engine)?);
        }
        Ok(Page::of(found, cursor))
    }
}

/// Every container of this host's own on one engine.
fn made(engine: &str) -> Result<Vec<Found<Held>>, Fault> {
    let containers = containers::list(engine, Whose::Ours, &[(facts::TASK.into(), String::new())]).map_err(|error| untouched(engine, error))?;
    if containers.is_empty() {
        return Ok(Vec::new());
    }
    let host = engines::host(engine)?;
    let changed: BTreeSet<String> = changed::tasks()?.into_iter().collect();
    let found = containers.iter().map(|container| {
        let task = container.label(facts::TASK).unwrap_or_default().to_owned();
        let held = Held { engine: engine.to_owned(), container: container.id.clone(), task: task.clone(), taken: None };
        let since = if changed.contains(&task) { changed::digest(&task)? } else { None };
        let spec_digest = since.or_else(|| container.label(facts::DIGEST).map(str::to_owned));
        Ok(Found { id: task, status: status::of(&held, container, &host), handle: held, spec_digest })
    });
    found.collect()
}

fn look(held: &Held) -> Result<Option<Container>, Fault> {
    let seen = containers::inspect(&held.engine, std::slice::from_ref(&held.container)).map_err(|error| untouched(&held.engine, error))?;
    Ok(seen.into_iter().next().flatten())
}

/// What each engine says of these tasks' containers, in one call each.
struct Seen<'a> {
    engines: BTreeMap<&'a str, Result<Sight, String>>,
}

/// One engine's containers by id, and where its ports are reached.
struct Sight {
    containers: BTreeMap<String, Container>,
    host: String,
}

impl<'a> Seen<'a> {
    fn of_all(handles: &'a [Held]) -> Result<Self, Fault> {
        let names: BTreeSet<&str> = handles.iter().map(|held| held.engine.as_str()).collect();
        let mut engines = BTreeMap::new();
        for engine in names {
            let ids: Vec<String> = handles.iter().filter(|held| held.engine == engine).map(|held| held.container.clone()).collect();
            let sight = match containers::inspect(engine, &ids) {
                Ok(found) => engines::host_if_known(engine)?
                    .map(|host| Sight { containers: ids.into_iter().zip(found).filter_map(|(id, found)| Some((id, found?))).collect(), host }),
                Err(error) => Err(unseen(engine, error)?),
            };
            engines.insert(engine, sight);
        }
        Ok(Self { engines })
    }

    fn status(&self, held: &Held) -> Result<Status, Fault> {
        Ok(match self.engines.get(held.engine.as_str()) {
            Some(Ok(sight)) => sight.containers.get(&held.container).map_or_else(Status::gone, |container| status::of(held, container, &sight.host)),
            Some(Err(why)) => Status::unknown(why.clone()),
            None => Status::unknown("its engine was not asked"),
        })
    }
}

impl Logs for Docker {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        log::read(&handle, cursor, tail, max_bytes)
    }
}

impl Stats for Docker {
    fn measure(handles: &[Held]) -> Result<Vec<Option<Usage>>, Fault> {
        let mut usages: BTreeMap<&str, containers::Usage> = BTreeMap::new();
        let engines: BTreeSet<&str> = handles.iter().map(|held| held.engine.as_str()).collect();
        for engine in engines {
            let ids: Vec<&str> = handles.iter().filter(|held| held.engine == engine).map(|held| held.container.as_str()).collect();
            let owned: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            match containers::measure(engine, &owned) {
                Ok(found) => usages.extend(ids.into_iter().zip(found).filter_map(|(id, usage)| Some((id, usage?)))),
                Err(error) => drop(unseen(engine, error)?),
            }
        }
        Ok(handles.iter().map(|held| usages.get(held.container.as_str()).cloned().map(status::usage)).collect())
    }
}

impl Exec for Docker {
    fn exec(handle: Held, command: ExecCommand) -> Result<Output, Fault> {
        let ExecCommand { program, args, env, stdin, deadline } = command;
        let command = Command { args, env, stdin, max_output: MOST_OUTPUT, ..Command::new(program) };
        match containers::exec(&handle.engine, &handle.container, &command, deadline) {
            Ok(output) => {
                let exit = Exit { code: output.code, signal: output.signal, ..Exit::unexplained() };
                Ok(Output { exit, out: output.out, err: output.err, truncated: output.truncated })
            }
            // A container that is paused, or has ended, runs nothing.
            Err(Error::Conflict(why) | Error::Unavailable(why)) => match look(&handle)?.filter(|container| is_up(&container.state)) {
                Some(_) => Err(Fault::unavailable(why)),
                None => Err(Fault::Gone),
            },
            Err(error) => Err(error.into()),
        }
    }
}

impl Signals for Docker {
    const SUPPORTED: &'static [&'static str] = signals::NAMES;

    fn send(handle: Held, signal: &str) -> Result<(), Fault> {
        match containers::signal(&handle.engine, &handle.container, signal) {
            Err(Error::Conflict(_)) => Err(Fault::Gone),
            sent => Ok(sent?),
        }
    }
}

impl Update for Docker {
    /// Limits change while it runs; anything else takes another container.
    fn update(handle: Held, task: Task<Settings>) -> Result<Outcome, Fault> {
        let read = task.settings.read()?;
        if handle.taken.is_some() || task.settings.container.is_some() || task.settings.engine != handle.engine {
            return Ok(Outcome::NeedsRecreate);
        }
        let container = look(&handle)?.ok_or(Fault::Gone)?;
        let plan = spec::plan(&context::owner(), task, read);
        let before =
            changed::of(&handle.task)?.map(|change| change.limits).or_else(|| container.label(facts::LIMITS).map(str::to_owned)).unwrap_or_default();
        let now = facts::limits_written(&plan.spec.limits);
        let lifted = before.split(',').any(|limit| !limit.is_empty() && !now.split(',').any(|kept| kept == limit));
        // Running means nothing is in the way of a change; an engine lifts no limit from what runs.
        if container.label(facts::SAME) != Some(&plan.same) || lifted {
            return Ok(Outcome::NeedsRestart);
        }
        match containers::update(&handle.engine, &handle.container, plan.spec.limits) {
            Ok(()) => {
                changed::remember(&handle.task, &changed::Change { digest: plan.digest, limits: now })?;
                Ok(Outcome::Applied)
            }
            // What it uses already may be over the new limit.
            Err(Error::Invalid(_) | Error::Conflict(_)) => Ok(Outcome::NeedsRestart),
            Err(error) => Err(error.into()),
        }
    }
}

impl Discovery for Docker {
    fn survey() -> Result<Vec<Candidate>, Fault> {
        survey::survey()
    }

    fn release(handle: Held) -> Result<(), Fault> {
        match handle.taken {
            Some(_) => taken::forget(&handle.task),
            None if look(&handle)?.is_none() => Ok(()),
            None => Err(Fault::Unsupported("this container was made for its task, and goes with it".into())),
        }
    }

    fn kill(key: &str) -> Result<(), Fault> {
        survey::kill(key)
    }
}

hostler_sdk::plugin!(backend: Docker, abilities: [Logs, Stats, Exec, Signals, Update, Handles, Discovery]);

//! Backend `package`: installs a release beside the one that runs, switches to it, and back when it fails.
//!
//! A start reads the package twice: once to refuse whatever does not belong there, before anything is written, and once to unpack
//! it, or to send it over. On this machine the processes are the keeper's, so they outlive this plugin and the host; the key of a process
//! is the task's id. With `host`, everything after the first reading happens on that host, over ssh (`far.rs`).

mod far;
mod install;
mod release;
mod settings;
// A process of the keeper's is told to the host in one way; the file has one place.
#[path = "../../process/src/status.rs"]
mod status;
mod watch;

use hostler_remote::{Config, Link, Remote, hosts};
use hostler_sdk::backend::{Chunk, Usage};
use hostler_sdk::host::{Error, processes};
use hostler_sdk::{Backend, Description, Engine, Fault, Found, Handle, Logs, Page, Phase, Problem, Signals, Stats, Status, Task, TaskId};
use install::{DIGEST, Install, LOG, NOTE, RELEASE};
use serde::{Deserialize, Serialize};
use settings::Settings;
use std::time::Duration;

/// The plugin.
struct Package;

/// The tasks of other backends on another host are none of its business.
const KIND: &str = ".packages";

/// What finds a process again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// The task's id, which is the keeper's key.
    key: String,
    log: String,
    /// Where it is, unless it is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
}

impl Handle for Held {}

impl Backend for Package {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new("package", env!("CARGO_PKG_VERSION"), "Releases of packages, switched in one step and back when they fail.")
            .settings(include_str!("../task.json"))
            .config(include_str!("../config.json"))
            .needs("filesystem", "reads packages, and unpacks them beside each other")
            .needs("commands", "runs hooks and scripts of packages, chmod for what may be run, and ssh with test and mkdir where a `host` is named")
            .needs("state", "remembers on which hosts it has installed something")
            .needs("processes", "starts, watches and stops the programs of packages")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn fingerprint() -> Result<Engine, Fault> {
        Ok(match processes::list() {
            Ok(held) => Engine::ready(format!("the keeper answers, and holds {}", held.len())),
            Err(Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => Engine::away(format!("the keeper does not answer: {error}")),
        })
    }

    /// What runs under this id already is the answer: a release is installed once per task.
    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        task.settings.check()?;
        let key = task.id.id.clone();
        let log = log_name(&task.id);
        if let Some(link) = task.settings.link() {
            hosts::remember(&link)?;
            far::start(&task, &link, &Config::read()?.reuse(KIND), &log)?;
            return Ok(Held { log: key.clone(), key, link: Some(link) });
        }
        if let Some(process) = processes::inspect(std::slice::from_ref(&key))?.pop().flatten() {
            return match process.label(DIGEST) {
                Some(other) if other != task.spec_digest => Err(Fault::Conflict(format!("{key} runs already, from another spec ({other})"))),
                _ => Ok(Held { key, log, link: None }),
            };
        }
        Install::of(&task, &log)?.run()?;
        Ok(Held { key, log, link: None })
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        let near = |keys: &[String]| match processes::inspect(keys) {
            Ok(found) => Ok(found.into_iter().map(|process| process.map_or_else(Status::gone, seen)).collect()),
            Err(Error::Denied(grant)) => Err(Fault::Denied(grant)),
            Err(error) => Ok(keys.iter().map(|_| Status::unknown(format!("the keeper does not answer: {error}"))).collect()),
        };
        each(handles, near, |tasks| hosts::inspect(tasks, &Config::read()?.reuse(KIND)))
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        if let Some(link) = &handle.link {
            let signal = signal.unwrap_or("SIGTERM");
            if !Self::SUPPORTED.contains(&signal) {
                return Err(Fault::invalid("", format!("no signal is called `{signal}`")));
            }
            return Remote::only(link, &Config::read()?.reuse(KIND)).stop(&handle.key, signal, grace);
        }
        match processes::stop(&handle.key, signal.unwrap_or("SIGTERM"), grace) {
            Ok(exit) => Ok(Status::new(status::exited(exit))),
            Err(Error::NotFound) => look(&handle),
            Err(error) => Err(error.into()),
        }
    }

    /// Releases stay: the next task runs one of them.
    fn destroy(handle: Held, force: bool) -> Result<(), Fault> {
        if let Some(link) = &handle.link {
            return Remote::only(link, &Config::read()?.reuse(KIND)).destroy(&handle.key, force);
        }
        match processes::forget(&handle.key) {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(Error::Conflict(_)) if force => {
                Self::stop(handle.clone(), Some("SIGKILL"), Duration::ZERO)?;
                match processes::forget(&handle.key) {
                    Ok(()) | Err(Error::NotFound) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn list(_cursor: Option<&str>) -> Result<Page<Held>, Fault> {
        let mut items: Vec<Found<Held>> = processes::list()?.into_iter().map(found).collect();
        let config = Config::read()?;
        let (links, reuse) = (config.known()?, config.reuse(KIND));
        for (left, link) in (1..=links.len() as u32).rev().zip(links) {
            for (id, spec_digest, status) in (Remote { link: &link, reuse: &reuse, among: left }).list()? {
                // its log goes by its id over there
                let handle = Held { key: id.clone(), log: id.clone(), link: Some(link.clone()) };
                items.push(Found { id, handle, spec_digest, status });
            }
        }
        Ok(Page { items, next: None })
    }
}

impl Logs for Package {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        if let Some(link) = &handle.link {
            return Remote::only(link, &Config::read()?.reuse(KIND)).read(&handle.key, cursor, tail, max_bytes);
        }
        Ok(status::chunk(processes::read_log(&handle.log, cursor, tail, max_bytes)?))
    }
}

impl Stats for Package {
    fn measure(handles: &[Held]) -> Result<Vec<Option<Usage>>, Fault> {
        let near = |keys: &[String]| Ok(processes::measure(keys)?.into_iter().map(|usage| usage.map(status::usage)).collect());
        each(handles, near, |tasks| hosts::measure(tasks, &Config::read()?.reuse(KIND)))
    }
}

impl Signals for Package {
    const SUPPORTED: &'static [&'static str] =
        &["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGALRM", "SIGWINCH"];

    fn send(handle: Held, signal: &str) -> Result<(), Fault> {
        if let Some(link) = &handle.link {
            return Remote::only(link, &Config::read()?.reuse(KIND)).send(&handle.key, signal);
        }
        Ok(processes::signal(&handle.key, signal)?)
    }
}

/// The runs of one replica share a log. What a log's name cannot have is spelled out, so that no two names meet.
fn log_name(id: &TaskId) -> String {
    let plain = |name: &str| -> String {
        let spelled = |byte: u8| {
            if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' { char::from(byte).to_string() } else { format!("_{byte:02x}") }
        };
        name.bytes().map(spelled).collect()
    };
    let name = format!("{}.{}.{}", plain(&id.workspace), plain(&id.service), id.replica);
    if name.len() > 200 || name.starts_with('.') { id.id.clone() } else { name }
}

/// Asks the keeper about what is here and the other hosts about the rest, and puts the answers into the order of the handles.
fn each<T>(
    handles: &[Held],
    near: impl Fn(&[String]) -> Result<Vec<T>, Fault>,
    far: impl Fn(&[(&Link, &str)]) -> Result<Vec<T>, Fault>,
) -> Result<Vec<T>, Fault> {
    let keys: Vec<String> = handles.iter().filter(|handle| handle.link.is_none()).map(|handle| handle.key.clone()).collect();
    let tasks: Vec<(&Link, &str)> = handles.iter().filter_map(|handle| Some((handle.link.as_ref()?, handle.key.as_str()))).collect();
    let mut here = if keys.is_empty() { Vec::new() } else { near(&keys)? }.into_iter();
    let mut there = if tasks.is_empty() { Vec::new() } else { far(&tasks)? }.into_iter();
    Ok(handles.iter().filter_map(|handle| if handle.link.is_none() { here.next() } else { there.next() }).collect())
}

fn look(handle: &Held) -> Result<Status, Fault> {
    let status = processes::inspect(std::slice::from_ref(&handle.key))?.pop().flatten().map_or_else(Status::gone, seen);
    match status.phase {
        Phase::Running | Phase::Pending | Phase::Stopping => Err(Fault::Interrupted(format!("{} is not down yet", handle.key))),
        Phase::Exited(_) | Phase::Gone | Phase::Unknown(_) => Ok(status),
    }
}

/// Which release it is, and why it is not another one.
fn seen(process: processes::Process) -> Status {
    let shown = [RELEASE, NOTE].map(|name| (name, process.label(name).map(str::to_owned)));
    shown
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(status::of(process), |status, (name, value)| status.attribute(name, value))
}

fn found(process: processes::Process) -> Found<Held> {
    let log = process.label(LOG).unwrap_or(&process.key).to_owned();
    let handle = Held { key: process.key.clone(), log, link: None };
    let spec_digest = process.label(DIGEST).map(str::to_owned);
    Found { id: process.key.clone(), handle, spec_digest, status: seen(process) }
}

hostler_sdk::plugin!(backend: Package, abilities: [Logs, Stats, Signals]);

//! Backend `process`: local processes, held by the keeper, so that they outlive this plugin and the host.
//!
//! The keeper does the holding; what is left here is translation. A task's id is the key of its process, so every call finds it
//! again, and two labels on the process (its digest and the name of its log) let [`list`](Backend::list) rebuild everything
//! after every other memory is lost.

use crate::command::{self, DIGEST, LOG, Settings};
use crate::status;
use hostler_sdk::backend::{Chunk, Usage};
use hostler_sdk::host::{Error, processes};
use hostler_sdk::{Backend, Description, Engine, Fault, Found, Handle, Logs, Page, Problem, Signals, Stats, Status, Task};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The plugin.
pub(crate) struct Process;

/// What finds a process again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The task's id, which is the keeper's key.
    pub(crate) key: String,
    /// The log that all runs of one replica share.
    log: String,
}

impl Handle for Held {}

impl Backend for Process {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new("process", env!("CARGO_PKG_VERSION"), "Local processes that outlive the host.")
            .settings(include_str!("../task.json"))
            .needs("processes", "starts, watches and stops the programs that services name")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn fingerprint() -> Result<Engine, Fault> {
        Ok(match processes::list() {
            Ok(held) => {
                let running = held.iter().filter(|process| process.state == processes::State::Running).count();
                let mut engine = Engine::ready("the keeper answers");
                engine.attributes = vec![("running".into(), running.to_string()), ("held".into(), held.len().to_string())];
                engine
            }
            Err(Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => Engine::away(format!("the keeper does not answer: {error}")),
        })
    }

    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        task.settings.check()?;
        let key = task.id.id.clone();
        let digest = task.spec_digest.clone();
        let (command, log) = command::command(task);
        let process = processes::spawn(&key, &command)?;
        match process.label(DIGEST) {
            Some(other) if other != digest => Err(Fault::Conflict(format!("{key} runs already, from another spec ({other})"))),
            _ => Ok(Held { key, log }),
        }
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        match processes::inspect(&keys(handles)) {
            Ok(found) => Ok(found.into_iter().map(|process| process.map_or_else(Status::gone, status::of)).collect()),
            Err(Error::Denied(grant)) => Err(Fault::Denied(grant)),
            Err(error) => Ok(handles.iter().map(|_| Status::unknown(format!("the keeper does not answer: {error}"))).collect()),
        }
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        match processes::stop(&handle.key, signal.unwrap_or("SIGTERM"), grace) {
            Ok(exit) => Ok(Status::new(status::exited(exit))),
            Err(Error::NotFound) => look(&handle),
            Err(error) => Err(error.into()),
        }
    }

    fn destroy(handle: Held, force: bool) -> Result<(), Fault> {
        match processes::forget(&handle.key) {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(Error::Conflict(_)) if force => {
                Self::stop(handle.clone(), Some("SIGKILL"), Duration::ZERO)?;
                gone(processes::forget(&handle.key))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn list(cursor: Option<&str>) -> Result<Page<Held>, Fault> {
        Ok(Page::of(processes::list()?.into_iter().map(found).collect(), cursor))
    }
}

impl Logs for Process {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        Ok(status::chunk(processes::read_log(&handle.log, cursor, tail, max_bytes)?))
    }
}

impl Stats for Process {
    fn measure(handles: &[Held]) -> Result<Vec<Option<Usage>>, Fault> {
        Ok(processes::measure(&keys(handles))?.into_iter().map(|usage| usage.map(status::usage)).collect())
    }
}

impl Signals for Process {
    const SUPPORTED: &'static [&'static str] = &[
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGKILL", "SIGCHLD", "SIGSTOP", "SIGTSTP",
        "SIGCONT", "SIGWINCH", "SIGPWR",
    ];

    fn send(handle: Held, signal: &str) -> Result<(), Fault> {
        Ok(processes::signal(&handle.key, signal)?)
    }
}

fn keys(handles: &[Held]) -> Vec<String> {
    handles.iter().map(|handle| handle.key.clone()).collect()
}

/// What is there now, when there was nothing to stop.
fn look(handle: &Held) -> Result<Status, Fault> {
    let found = processes::inspect(std::slice::from_ref(&handle.key))?.into_iter().next().flatten();
    Ok(found.map_or_else(Status::gone, status::of))
}

fn gone(forgotten: Result<(), Error>) -> Result<(), Fault> {
    match forgotten {
        Ok(()) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn found(process: processes::Process) -> Found<Held> {
    let key = process.key.clone();
    let log = process.label(LOG).unwrap_or(&key).to_owned();
    let spec_digest = process.label(DIGEST).map(str::to_owned);
    Found { id: key.clone(), handle: Held { key, log }, status: status::of(process), spec_digest }
}

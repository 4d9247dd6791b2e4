//! A backend: runs programs as tasks. The host's keeper holds the processes, so they outlive this plugin and the host; a task's id is the
//! key of its process, and a label carries the digest of what was asked, so every task is found again after every other memory is lost.

use hostler_sdk::backend::{Chunk, Line, Origin};
use hostler_sdk::host::{Error, processes};
use hostler_sdk::{Backend, Description, Engine, Exit, Fault, Found, Handle, Logs, Page, Phase, Problem, Status, Task};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The plugin.
struct Plugin;

/// What a service file says of one task; `task.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    program: String,
    #[serde(default)]
    args: Vec<String>,
}

/// What finds a task again: the key of its process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Held {
    key: String,
}

impl Handle for Held {}

/// Label: the digest of the spec that a process was started from.
const DIGEST: &str = "spec-digest";

impl Backend for Plugin {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Runs programs on this machine.")
            .settings(include_str!("../task.json"))
            .needs("processes", "starts, watches and stops the programs that services name")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        let relative = !settings.program.starts_with('/');
        if relative { Err(vec![Problem::new("/program", "is no absolute path").hint("begin it with a slash")]) } else { Ok(()) }
    }

    fn fingerprint() -> Result<Engine, Fault> {
        Ok(match processes::list() {
            Ok(held) => Engine::ready(format!("{} processes are held", held.len())),
            Err(Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => Engine::away(error.to_string()),
        })
    }

    /// `spawn` finds what the same key and command started before, so a repeated start is the same task.
    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        let command = processes::Command {
            args: task.settings.args,
            env: task.env,
            cpu_millis: task.resources.cpu_millis,
            memory_bytes: task.resources.memory_bytes,
            labels: vec![(DIGEST.into(), task.spec_digest)],
            ..processes::Command::new(task.settings.program)
        };
        let process = processes::spawn(&task.id.id, &command)?;
        Ok(Held { key: process.key })
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        let keys: Vec<String> = handles.iter().map(|handle| handle.key.clone()).collect();
        match processes::inspect(&keys) {
            Ok(found) => Ok(found.iter().map(|process| process.as_ref().map_or_else(Status::gone, status)).collect()),
            Err(Error::Denied(grant)) => Err(Fault::Denied(grant)),
            // whoever cannot be asked has not ended: the host waits, and restarts nothing
            Err(error) => Ok(handles.iter().map(|_| Status::unknown(error.to_string())).collect()),
        }
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        match processes::stop(&handle.key, signal.unwrap_or("SIGTERM"), grace) {
            Ok(exit) => Ok(Status::new(Phase::Exited(ended(&exit)))),
            Err(Error::NotFound) => Ok(Self::inspect(&[handle])?.remove(0)),
            Err(error) => Err(error.into()),
        }
    }

    fn destroy(handle: Held, force: bool) -> Result<(), Fault> {
        if force {
            Self::stop(handle.clone(), Some("SIGKILL"), Duration::ZERO)?;
        }
        match processes::forget(&handle.key) {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn list(_cursor: Option<&str>) -> Result<Page<Held>, Fault> {
        let found = |process: processes::Process| Found {
            id: process.key.clone(),
            status: status(&process),
            spec_digest: process.label(DIGEST).map(str::to_owned),
            handle: Held { key: process.key },
        };
        Ok(Page { items: processes::list()?.into_iter().map(found).collect(), next: None })
    }
}

impl Logs for Plugin {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        let page = processes::read_log(&handle.key, cursor, tail, max_bytes)?;
        let origin = |origin| {
            if origin == processes::Origin::Err { Origin::Err } else { Origin::Out }
        };
        let line = |line: processes::Line| Line { at: Some(line.at), origin: origin(line.origin), continued: line.continued, bytes: line.bytes };
        Ok(Chunk { lines: page.lines.into_iter().map(line).collect(), next: page.next, gap: page.gap })
    }
}

fn status(process: &processes::Process) -> Status {
    let phase = match &process.state {
        processes::State::Running => Phase::Running,
        processes::State::Exited(exit) => Phase::Exited(ended(exit)),
        // nothing of it is alive, and nothing is invented about its end
        processes::State::Unknown(why) => Phase::Exited(Exit { reason: Some(why.clone()), ..Exit::unexplained() }),
    };
    let status = Status { started_at: Some(process.started_at), ..Status::new(phase) };
    match process.pid {
        Some(pid) => status.attribute("pid", pid),
        None => status,
    }
}

fn ended(exit: &processes::Exit) -> Exit {
    Exit { code: exit.code, signal: exit.signal.clone(), out_of_memory: exit.out_of_memory, at: Some(exit.at), reason: None }
}

hostler_sdk::plugin!(backend: Plugin, abilities: [Logs]);

#[cfg(test)]
mod tests;

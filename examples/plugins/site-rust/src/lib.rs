//! Backend `site-rust`: a task is a folder that is served over HTTP. The server is Python's own; the host's keeper holds it, so it outlives this plugin
//! and the host. A task's id is the key of its process, and labels carry what else has to be known after every other memory is lost.

use hostler_sdk::backend::{Chunk, Line, Origin};
use hostler_sdk::host::{Error, processes};
use hostler_sdk::{Backend, Description, Endpoint, Engine, Exit, Fault, Found, Handle, Logs, Page, Phase, Problem, Status, Task};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The plugin.
struct Site;

/// What a service file says of one site; `task.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    directory: String,
    port: u16,
    #[serde(default = "loopback")]
    address: String,
}

fn loopback() -> String {
    "127.0.0.1".into()
}

/// What finds a site again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    key: String,
}

impl Handle for Held {}

const DIGEST: &str = "spec-digest";
const PLACE: &str = "place";

impl Settings {
    fn check(&self) -> Result<IpAddr, Vec<Problem>> {
        let relative = !self.directory.starts_with('/');
        let problem = relative.then(|| Problem::new("/directory", "is no path: begin it with `/` or `./`")).or((self.port == 0).then(|| Problem::new("/port", "is 0")));
        let no_address = |_| vec![Problem::new("/address", format!("`{}` is no address", self.address.escape_default()))];
        let address: IpAddr = self.address.parse().map_err(no_address)?;
        problem.map_or(Ok(address), |problem| Err(vec![problem]))
    }
}

impl Backend for Site {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new("site-rust", env!("CARGO_PKG_VERSION"), "Serves folders over HTTP.")
            .settings(include_str!("../task.json"))
            .needs("processes", "runs Python's web server: programs = [{ program = \"/usr/bin/python3\", args = [\"-m\", \"http.server\", \"...\"] }]")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check().map(|_| ())
    }

    fn fingerprint() -> Result<Engine, Fault> {
        Ok(match processes::list() {
            Ok(held) => Engine::ready(format!("{} servers are held", held.len())),
            Err(Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => Engine::away(error.to_string()),
        })
    }

    /// `spawn` finds what the same key and command started before, so a repeated start is the same site.
    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        let address = task.settings.check()?;
        let Settings { directory, port, .. } = task.settings;
        let args = ["-m", "http.server", "--bind", &address.to_string(), "--directory", &directory, &port.to_string()].map(str::to_owned).to_vec();
        let labels = vec![(DIGEST.into(), task.spec_digest), (PLACE.into(), format!("{port} {address}"))];
        // its lines are there when they are written, not when a buffer is full
        let env = [task.env, vec![("PYTHONUNBUFFERED".into(), "1".into())]].concat();
        let command = processes::Command { args, env, labels, ..processes::Command::new("/usr/bin/python3") };
        Ok(Held { key: processes::spawn(&task.id.id, &command)?.key })
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        let keys: Vec<String> = handles.iter().map(|handle| handle.key.clone()).collect();
        match processes::inspect(&keys) {
            Ok(found) => Ok(found.iter().map(|process| process.as_ref().map_or_else(Status::gone, status)).collect()),
            Err(Error::Denied(grant)) => Err(Fault::Denied(grant)),
            Err(error) => Ok(handles.iter().map(|_| Status::unknown(error.to_string())).collect()),
        }
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        match processes::stop(&handle.key, signal.unwrap_or("SIGTERM"), grace) {
            Ok(exit) => Ok(Status::new(ended(&exit))),
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
        let found = |process: processes::Process| {
            let (id, status, spec_digest) = (process.key.clone(), status(&process), process.label(DIGEST).map(str::to_owned));
            Found { id, status, spec_digest, handle: Held { key: process.key } }
        };
        Ok(Page { items: processes::list()?.into_iter().map(found).collect(), next: None })
    }
}

impl Logs for Site {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        let page = processes::read_log(&handle.key, cursor, tail, max_bytes)?;
        let origin = |origin| if origin == processes::Origin::Err { Origin::Err } else { Origin::Out };
        let line = |line: processes::Line| Line { at: Some(line.at), origin: origin(line.origin), continued: line.continued, bytes: line.bytes };
        Ok(Chunk { lines: page.lines.into_iter().map(line).collect(), next: page.next, gap: page.gap })
    }
}

/// The site is where its label says: a person sees it in `hostler status`, and a health check can be told.
fn status(process: &processes::Process) -> Status {
    let phase = match &process.state {
        processes::State::Running => Phase::Running,
        processes::State::Exited(exit) => ended(exit),
        processes::State::Unknown(why) => Phase::Exited(Exit { reason: Some(why.clone()), ..Exit::unexplained() }),
    };
    let mut status = Status { started_at: Some(process.started_at), ..Status::new(phase) };
    if let (Phase::Running, Some((port, host))) = (&status.phase, process.label(PLACE).and_then(|place| place.split_once(' '))) {
        let endpoint = Endpoint { name: "http".into(), host: host.into(), port: port.parse().unwrap_or_default(), protocol: "http".into() };
        status.endpoints.push(endpoint);
    }
    process.pid.map_or(status.clone(), |pid| status.attribute("pid", pid))
}

fn ended(exit: &processes::Exit) -> Phase {
    Phase::Exited(Exit { code: exit.code, signal: exit.signal.clone(), out_of_memory: exit.out_of_memory, at: Some(exit.at), reason: None })
}

hostler_sdk::plugin!(backend: Site, abilities: [Logs]);

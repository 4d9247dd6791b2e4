//! Backend `ssh`: tasks that run detached on other hosts, over OpenSSH's client, so that they outlive the link, this plugin and the host.
//!
//! The work is done over there, by the scripts of `hostler-remote`; what is left here is which host a task is on. Hosts that a task
//! was ever started on are kept in the plugin's `state`, and those of its configuration are always known, so that
//! [`list`](Backend::list) can ask them all.

mod settings;

use hostler_remote::{Config, Link, Remote, Reuse, hosts};
use hostler_sdk::backend::{Chunk, ExecCommand, Output, Usage};
use hostler_sdk::host::commands;
use hostler_sdk::{Backend, Description, Engine, Exec, Fault, Found, Handle, Logs, Page, Problem, Signals, Stats, Status, Task};
use serde::{Deserialize, Serialize};
use settings::{Settings, Wanted};
use std::time::Duration;

/// The plugin.
struct Ssh;

/// What finds a task again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    link: Link,
    id: String,
}

impl Handle for Held {}

impl Backend for Ssh {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new("ssh", env!("CARGO_PKG_VERSION"), "Tasks on other hosts, detached, over OpenSSH.")
            .settings(include_str!("../task.json"))
            .config(include_str!("../config.json"))
            .needs("commands", "runs ssh, and test and mkdir for the private directory of its connections")
            .needs("state", "remembers on which hosts it has started tasks")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn fingerprint() -> Result<Engine, Fault> {
        let version = commands::run(&commands::Command { args: vec!["-V".into()], ..commands::Command::new("ssh") });
        Ok(match version {
            Ok(output) if output.code == Some(0) => Engine::ready(String::from_utf8_lossy(&output.err).trim()),
            Ok(output) => Engine::away(format!("`ssh -V` ended with {:?}", output.code)),
            Err(hostler_sdk::host::Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => Engine::away(format!("there is no OpenSSH client: {error}")),
        })
    }

    /// The host is remembered first: a task on a host that nobody remembers would never be listed.
    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        task.settings.check()?;
        let reuse = Config::read()?.reuse("");
        let wanted = Wanted::of(task);
        hosts::remember(&wanted.link)?;
        Remote::only(&wanted.link, &reuse).start(&wanted.spec())?;
        Ok(Held { link: wanted.link.clone(), id: wanted.id().to_owned() })
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        hosts::inspect(&tasks(handles), &Config::read()?.reuse(""))
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        let signal = signal.unwrap_or("SIGTERM");
        if !Self::SUPPORTED.contains(&signal) {
            return Err(Fault::invalid("", format!("no signal is called `{signal}`")));
        }
        handle.remote(&Config::read()?.reuse("")).stop(&handle.id, signal, grace)
    }

    fn destroy(handle: Held, force: bool) -> Result<(), Fault> {
        handle.remote(&Config::read()?.reuse("")).destroy(&handle.id, force)
    }

    /// All on one page. A host that cannot be asked fails the whole listing: what is not listed counts as gone.
    fn list(_cursor: Option<&str>) -> Result<Page<Held>, Fault> {
        let config = Config::read()?;
        let reuse = config.reuse("");
        let mut items = Vec::new();
        let links = config.known()?;
        for (left, link) in (1..=links.len() as u32).rev().zip(links) {
            for (id, spec_digest, status) in (Remote { link: &link, reuse: &reuse, among: left }).list()? {
                items.push(Found { handle: Held { link: link.clone(), id: id.clone() }, id, status, spec_digest });
            }
        }
        Ok(Page { items, next: None })
    }
}

impl Logs for Ssh {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        handle.remote(&Config::read()?.reuse("")).read(&handle.id, cursor, tail, max_bytes)
    }
}

impl Stats for Ssh {
    fn measure(handles: &[Held]) -> Result<Vec<Option<Usage>>, Fault> {
        hosts::measure(&tasks(handles), &Config::read()?.reuse(""))
    }
}

impl Exec for Ssh {
    fn exec(handle: Held, command: ExecCommand) -> Result<Output, Fault> {
        handle.remote(&Config::read()?.reuse("")).exec(&handle.id, &command)
    }
}

impl Signals for Ssh {
    const SUPPORTED: &'static [&'static str] =
        &["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGALRM", "SIGWINCH"];

    fn send(handle: Held, signal: &str) -> Result<(), Fault> {
        handle.remote(&Config::read()?.reuse("")).send(&handle.id, signal)
    }
}

impl Held {
    fn remote<'a>(&'a self, reuse: &'a Reuse) -> Remote<'a> {
        Remote::only(&self.link, reuse)
    }
}

fn tasks(handles: &[Held]) -> Vec<(&Link, &str)> {
    handles.iter().map(|handle| (&handle.link, handle.id.as_str())).collect()
}

hostler_sdk::plugin!(backend: Ssh, abilities: [Logs, Stats, Exec, Signals]);

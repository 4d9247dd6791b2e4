//! Hosts that there may be tasks on: those that one was ever started on, kept in the plugin's `state`, and those of its configuration.

use crate::call::{Reuse, Trouble};
use crate::link::Link;
use crate::task::Remote;
use hostler_sdk::backend::Usage;
use hostler_sdk::host::{context, state};
use hostler_sdk::{Fault, Status};
use serde::Deserialize;

/// A plugin's own configuration, as its `config.json` says it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    control_dir: Option<String>,
    control_persist: Option<u32>,
    #[serde(default)]
    hosts: Vec<Link>,
    #[serde(default)]
    forget: Vec<String>,
}

impl Config {
    /// The one of this call.
    pub fn read() -> Result<Self, Fault> {
        Ok(context::config()?)
    }

    /// How connections are kept, for a kind of tasks: the backend `ssh` has the one without a name.
    pub fn reuse(&self, kind: &'static str) -> Reuse {
        Reuse { control_dir: self.control_dir.clone(), control_persist: self.control_persist, kind }
    }

    /// Every host that there may be tasks on.
    pub fn known(&self) -> Result<Vec<Link>, Fault> {
        let mut links = self.hosts.clone();
        for key in state::keys(HOSTS)? {
            let Some(text) = state::get(&key)? else { continue };
            let link: Link = serde_json::from_slice(&text).map_err(|error| Fault::Other(format!("a remembered host is unreadable: {error}")))?;
            links.push(link);
        }
        links.retain(|link| !self.forget.contains(&link.host));
        let mut once: Vec<Link> = Vec::new();
        links.into_iter().for_each(|link| {
            if !once.contains(&link) {
                once.push(link)
            }
        });
        Ok(once)
    }
}

/// Keys of the hosts that tasks were started on.
const HOSTS: &str = "hosts/";

/// Before a task is started there: one on a host that nobody remembers would never be listed.
pub fn remember(link: &Link) -> Result<(), Fault> {
    let text = serde_json::to_vec(link).map_err(|error| Fault::Other(error.to_string()))?;
    Ok(state::set(&format!("{HOSTS}{}", link.digest()), &text)?)
}

/// Asks each host once about all its tasks, and puts the answers into the order of the tasks.
pub fn by_host<T>(tasks: &[(&Link, &str)], reuse: &Reuse, ask: impl Fn(Remote<'_>, &[&str]) -> Result<Vec<T>, Fault>) -> Result<Vec<T>, Fault> {
    let mut links: Vec<&Link> = Vec::new();
    for (link, _) in tasks {
        if !links.contains(link) {
            links.push(link);
        }
    }
    let mut answers: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    for (left, link) in (1..=links.len() as u32).rev().zip(links) {
        let places: Vec<usize> = (0..tasks.len()).filter(|at| tasks[*at].0 == link).collect();
        let ids: Vec<&str> = places.iter().map(|at| tasks[*at].1).collect();
        for (at, answer) in places.into_iter().zip(ask(Remote { link, reuse, among: left }, &ids)?) {
            answers[at] = Some(answer);
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// One status per task. Of a host that cannot be asked, unknown.
pub fn inspect(tasks: &[(&Link, &str)], reuse: &Reuse) -> Result<Vec<Status>, Fault> {
    by_host(tasks, reuse, |remote, ids| match remote.inspect(ids) {
        Ok(statuses) => Ok(statuses),
        Err(Trouble::Fault(Fault::Denied(grant))) => Err(Fault::Denied(grant)),
        Err(trouble) => Ok(ids.iter().map(|_| Status::unknown(trouble.reason())).collect()),
    })
}

/// One measure per task. Of a host that is away nothing is measured.
pub fn measure(tasks: &[(&Link, &str)], reuse: &Reuse) -> Result<Vec<Option<Usage>>, Fault> {
    by_host(tasks, reuse, |remote, ids| match remote.measure(ids) {
        Ok(usages) => Ok(usages),
        Err(Fault::Denied(grant)) => Err(Fault::Denied(grant)),
        Err(_) => Ok(ids.iter().map(|_| None).collect()),
    })
}

/// Declares settings with everything that says how a host is reached, beside those that are written out, which are `host` and `user` among others:
/// whether they have to be there, and what else they mean, is each plugin's own. `way` makes a [`Link`] of them.
#[macro_export]
macro_rules! reached {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$of:meta])* $seen:vis $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$of])* $seen $field: $type,)*
            port: Option<u16>,
            key_file: Option<String>,
            jump: Option<String>,
            known_hosts: Option<String>,
            #[serde(default)]
            accept_new: bool,
            connect_timeout: Option<u16>,
            state_dir: Option<String>,
        }

        impl $name {
            /// The way there. What stands for its default is left out, so that both ways to write it share one connection.
            fn way(&self, host: &str, user: Option<&str>) -> $crate::Link {
                $crate::Link {
                    host: host.to_owned(),
                    port: self.port.filter(|port| *port != 22),
                    user: user.map(str::to_owned),
                    key_file: self.key_file.clone(),
                    jump: self.jump.clone(),
                    known_hosts: self.known_hosts.clone(),
                    accept_new: self.accept_new,
                    connect_timeout: self.connect_timeout.filter(|seconds| *seconds != 5),
                    state_dir: self.state_dir.clone(),
                }
            }
        }
    };
}

//! From what an engine says to what the host hears.

use hostler_sdk::backend::Usage;
use hostler_sdk::host::containers::{self, Container, Ended, Port, State};
use hostler_sdk::{Endpoint, Exit, Phase, Status};

use crate::facts::Held;
use crate::signals;

/// Does anything of it live?
pub(crate) fn is_up(state: &State) -> bool {
    matches!(state, State::Running | State::Paused | State::Restarting)
}

/// The status of a task, from its container; `host` is where the engine's ports are reached.
pub(crate) fn of(held: &Held, container: &Container, host: &str) -> Status {
    if !held.is_this_life(container) {
        let reason = format!("{} was started anew by somebody else, as another life of it", container.name);
        return Status::new(Phase::Exited(Exit { reason: Some(reason), ..Exit::unexplained() }));
    }
    let mut status = Status { started_at: container.started_at, ..Status::new(phase(held, container)) };
    if is_up(&container.state) {
        status.endpoints = endpoints(&container.ports, host);
    }
    status = status.attribute("container", short(&container.id)).attribute("name", &container.name).attribute("image", &container.image);
    if let Some(pid) = container.pid.filter(|pid| *pid != 0) {
        status = status.attribute("pid", pid);
    }
    if let Some((health, output)) = &container.health {
        status = status.attribute("health", health);
        if let Some(line) = first_line(output) {
            status = status.attribute("health-output", line);
        }
    }
    if container.state == State::Paused {
        status = status.attribute("paused", true).attribute("note", format!("paused: `docker unpause {}` lets it go on", container.name));
    }
    for address in &container.addresses {
        if let Some(ip) = &address.ip {
            status = status.attribute(&format!("address.{}", address.network), ip);
        }
    }
    if container.engine_restarts > 0 {
        status = status.attribute("engine-restarts", container.engine_restarts);
    }
    status
}

fn phase(held: &Held, container: &Container) -> Phase {
    match &container.state {
        State::Running | State::Paused => Phase::Running,
        // It never gets any further by itself.
        State::Created if held.taken.is_none() => ended_for("it was made, and never started: its start was cut short"),
        State::Created => ended_for("it was never started"),
        State::Restarting => {
            ended_for(&format!("it ended, and the engine itself starts it again: its restart policy is `{}`", container.restart_policy))
        }
        State::Removing => Phase::Stopping,
        State::Exited(ended) => Phase::Exited(exit(ended)),
        State::Dead(ended) => {
            let exit = exit(ended);
            let reason = exit
                .reason
                .clone()
                .map_or("the engine could not remove all of it".to_owned(), |reason| format!("{reason}; the engine could not remove all of it"));
            Phase::Exited(Exit { reason: Some(reason), ..exit })
        }
    }
}

fn ended_for(reason: &str) -> Phase {
    Phase::Exited(Exit { reason: Some(reason.to_owned()), ..Exit::unexplained() })
}

/// An engine tells a signal as 128 and its number, which a program may say too. Only of one that ran out of memory it is certain.
fn exit(ended: &Ended) -> Exit {
    let Ended { code, out_of_memory, at, error } = ended;
    let error = error.clone().filter(|error| !error.is_empty());
    if *out_of_memory && *code == 137 {
        let reason = error.unwrap_or_else(|| "out of memory".to_owned());
        return Exit { code: None, signal: Some("SIGKILL".into()), out_of_memory: true, at: *at, reason: Some(reason) };
    }
    let maybe = signals::by_number(code - 128).map(|name| format!("{code} is how the engine tells an end by {name}, if it is not the program's own"));
    let reason = error.or(out_of_memory.then(|| "one of its processes ran out of memory".to_owned())).or(maybe);
    Exit { code: Some(*code), signal: None, out_of_memory: *out_of_memory, at: *at, reason }
}

/// Published ports, each once: an engine that listens for IPv4 and IPv6 says so twice.
fn endpoints(ports: &[Port], host: &str) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = Vec::new();
    for port in ports {
        let Some(number) = port.host_port else { continue };
        let endpoint = Endpoint {
            name: format!("{}/{}", port.container_port, port.protocol),
            host: reached_at(port.host_ip.as_deref(), host),
            port: number,
            protocol: port.protocol.clone(),
        };
        if !found.iter().any(|known| known.name == endpoint.name && known.port == endpoint.port) {
            found.push(endpoint);
        }
    }
    found
}

fn reached_at(ip: Option<&str>, host: &str) -> String {
    match ip {
        None | Some("" | "0.0.0.0" | "::") => host.to_owned(),
        Some(ip) => ip.to_owned(),
    }
}

/// What it uses now.
pub(crate) fn usage(usage: containers::Usage) -> Usage {
    Usage {
        at: usage.at,
        cpu_nanos: usage.cpu_nanos,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        disk_free_bytes: usage.disk_free_bytes,
        network_received_bytes: usage.network_received_bytes,
        network_sent_bytes: usage.network_sent_bytes,
        processes: usage.processes,
    }
}

/// A container's id as people know it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The first line that says something, as letters that a terminal can show.
fn first_line(output: &str) -> Option<String> {
    let line = output.lines().map(str::trim).find(|line| !line.is_empty())?;
    let shown = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    Some(line.chars().take(200).map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, out_of_memory: bool) -> Exit {
        exit(&Ended { code, out_of_memory, at: Some(5), error: None })
    }

    #[test]
    fn an_end_is_told_as_it_is_known() {
        assert_eq!((ended(0, false).code, ended(0, false).reason), (Some(0), None));
        assert_eq!((ended(3, false).code, ended(3, false).reason), (Some(3), None));
        let killed = ended(137, false);
        assert_eq!((killed.code, killed.signal, killed.out_of_memory), (Some(137), None, false), "a program may say 137 too");
        assert!(killed.reason.is_some_and(|reason| reason.contains("SIGKILL")));
        assert!(ended(143, false).reason.is_some_and(|reason| reason.contains("SIGTERM")));
        let oom = ended(137, true);
        assert_eq!((oom.code, oom.signal.as_deref(), oom.out_of_memory), (None, Some("SIGKILL"), true));
        let child = ended(1, true);
        assert_eq!((child.code, child.out_of_memory), (Some(1), true), "a child was killed, and the program ended by itself");
        assert_eq!(ended(255, false).reason, None);
    }

    #[test]
    fn a_port_is_an_endpoint_once() {
        let port = |ip: &str, host_port| Port { container_port: 80, protocol: "tcp".into(), host_ip: Some(ip.into()), host_port };
        let found =
            endpoints(&[port("0.0.0.0", Some(4000)), port("::", Some(4000)), port("10.0.0.1", Some(4001)), port("0.0.0.0", None)], "127.0.0.1");
        let shown: Vec<String> = found.iter().map(|one| format!("{} {}:{}", one.name, one.host, one.port)).collect();
        assert_eq!(shown, ["80/tcp 127.0.0.1:4000", "80/tcp 10.0.0.1:4001"]);
    }

    #[test]
    fn what_a_check_wrote_is_one_line_that_does_nothing() {
        assert_eq!(first_line("\n \x1b[31mit's \"bad\"\nmore"), Some("\\u{1b}[31mit's \"bad\"".into()));
        assert_eq!(first_line(" \n"), None);
    }
}

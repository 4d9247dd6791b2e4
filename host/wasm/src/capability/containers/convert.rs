//! From what an engine answers to the contract's words. Whatever is missing or of another type is as if it were not there: engines differ.

use std::collections::BTreeSet;

use serde_json::Value;

use super::time::millis;
use crate::bindings::hostler::host::containers::{Address, Container, Ended, EngineInfo, Image, Mount, MountKind, Port, State};
use crate::limits::MAX_TEXT_BYTES;
use crate::text::escape;

/// What `GET /containers/ID/json` says.
pub(super) fn container(said: &Value) -> Option<Container> {
    let config = &said["Config"];
    let state = &said["State"];
    let ports = ports(said);
    Some(Container {
        id: said["Id"].as_str()?.to_owned(),
        name: text(&said["Name"]).trim_start_matches('/').to_owned(),
        image: text(&config["Image"]),
        image_id: text(&said["Image"]),
        labels: pairs(&config["Labels"]),
        state: phase(state)?,
        health: health(state),
        pid: state["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
        created_at: said["Created"].as_str().and_then(millis).unwrap_or_default(),
        started_at: state["StartedAt"].as_str().and_then(millis),
        exposed: exposed(&config["ExposedPorts"])
            .into_iter()
            .filter(|(port, kind)| !ports.iter().any(|it| it.container_port == *port && it.protocol == *kind))
            .collect(),
        ports,
        addresses: addresses(&said["NetworkSettings"]["Networks"]),
        mounts: items(&said["Mounts"]).filter_map(mount).collect(),
        engine_restarts: said["RestartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        restart_policy: Some(text(&said["HostConfig"]["RestartPolicy"]["Name"])).filter(|name| !name.is_empty()).unwrap_or_else(|| "no".to_owned()),
        user: text(&config["User"]),
        command: said["Path"].as_str().into_iter().chain(items(&said["Args"]).filter_map(Value::as_str)).map(str::to_owned).collect(),
        env_names: items(&config["Env"]).filter_map(Value::as_str).map(|set| set.split('=').next().unwrap_or(set).to_owned()).collect(),
    })
}

/// A state that is not known is none: nobody may take it for an end.
fn phase(state: &Value) -> Option<State> {
    Some(match state["Status"].as_str()? {
        "created" | "configured" | "initialized" => State::Created,
        "running" | "stopping" => State::Running,
        "paused" => State::Paused,
        "restarting" => State::Restarting,
        "removing" => State::Removing,
        "exited" | "stopped" => State::Exited(ended(state)),
        "dead" => State::Dead(ended(state)),
        _ => return None,
    })
}

fn ended(state: &Value) -> Ended {
    Ended {
        code: state["ExitCode"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
        out_of_memory: state["OOMKilled"].as_bool().unwrap_or_default(),
        at: state["FinishedAt"].as_str().and_then(millis),
        error: state["Error"].as_str().filter(|error| !error.is_empty()).map(|error| escape(error, MAX_TEXT_BYTES)),
    }
}

fn health(state: &Value) -> Option<(String, String)> {
    // Podman called it otherwise
    let health = [&state["Health"], &state["Healthcheck"]].into_iter().find(|health| health.is_object())?;
    let status = health["Status"].as_str().filter(|status| !status.is_empty() && *status != "none")?;
    let last = items(&health["Log"]).last().map(|last| text(&last["Output"])).unwrap_or_default();
    Some((status.to_owned(), escape(last.trim(), MAX_TEXT_BYTES)))
}

/// Of what runs what the engine chose, else what was asked for.
fn ports(said: &Value) -> Vec<Port> {
    let published = read_ports(&said["NetworkSettings"]["Ports"]);
    if published.is_empty() { read_ports(&said["HostConfig"]["PortBindings"]) } else { published }
}

fn read_ports(bindings: &Value) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for (name, places) in bindings.as_object().into_iter().flatten() {
        let Some((container_port, protocol)) = port_name(name) else { continue };
        // Published at every address, it is published once for each version of the protocol, and not always at the same port.
        let is_at = |place: &Value, every: &[&str]| place["HostIp"].as_str().is_none_or(|ip| every.contains(&ip));
        let is_at_each = items(places).any(|place| is_at(place, &["", "0.0.0.0"]));
        for place in items(places).filter(|place| !is_at_each || place["HostIp"] != "::") {
            let host_ip = place["HostIp"].as_str().filter(|_| !is_at(place, &["", "0.0.0.0", "::"])).map(str::to_owned);
            let host_port = place["HostPort"].as_str().and_then(|port| port.parse().ok()).filter(|port| *port != 0);
            let port = Port { container_port, protocol: protocol.clone(), host_ip, host_port };
            // one for each version of the protocol says the same twice
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

fn exposed(ports: &Value) -> Vec<(u16, String)> {
    ports.as_object().into_iter().flatten().filter_map(|(name, _)| port_name(name)).collect()
}

/// `80/tcp`
fn port_name(name: &str) -> Option<(u16, String)> {
    let (port, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
    Some((port.parse().ok()?, protocol.to_owned()))
}

fn addresses(networks: &Value) -> Vec<Address> {
    let ip = |network: &Value| {
        let read = |name: &str| network[name].as_str().filter(|ip| !ip.is_empty()).map(str::to_owned);
        read("IPAddress").or_else(|| read("GlobalIPv6Address"))
    };
    networks.as_object().into_iter().flatten().map(|(name, network)| Address { network: name.clone(), ip: ip(network) }).collect()
}

fn mount(said: &Value) -> Option<Mount> {
    let kind = match said["Type"].as_str()? {
        "bind" => MountKind::Bind,
        "volume" => MountKind::Volume,
        "tmpfs" => MountKind::Tmpfs,
        _ => return None,
    };
    let source = if kind == MountKind::Volume { text(&said["Name"]) } else { text(&said["Source"]) };
    Some(Mount { kind, source, target: text(&said["Destination"]), read_only: !said["RW"].as_bool().unwrap_or(true), size_bytes: None })
}

/// What `GET /info` says, and `/version`.
pub(super) fn info(said: &Value, version: &Value, api: (u32, u32), host: Option<String>) -> EngineInfo {
    let podman = items(&version["Components"]).any(|part| text(&part["Name"]).starts_with("Podman"));
    let driver = text(&said["Driver"]);
    let driver_says = |name: &str| items(&said["DriverStatus"]).find(|pair| pair[0] == name).map(|pair| text(&pair[1])).unwrap_or_default();
    EngineInfo {
        product: if podman { "Podman" } else { "Docker" }.to_owned(),
        version: text(&version["Version"]),
        api_version: format!("{}.{}", api.0, api.1),
        operating_system: text(&said["OperatingSystem"]),
        architecture: text(&said["Architecture"]),
        host,
        cpus: said["NCPU"].as_u64().and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or_default(),
        memory_bytes: said["MemTotal"].as_u64().unwrap_or_default(),
        limits_storage: ["btrfs", "zfs", "devicemapper", "windowsfilter"].contains(&driver.as_str())
            || (driver.starts_with("overlay") && driver_says("Backing Filesystem") == "xfs"),
        storage_driver: driver,
        warnings: items(&said["Warnings"]).filter_map(Value::as_str).map(|line| escape(line, MAX_TEXT_BYTES)).collect(),
    }
}

/// What `GET /images/NAME/json` says.
pub(super) fn image(said: &Value) -> Option<Image> {
    let config = &said["Config"];
    let test = items(&config["Healthcheck"]["Test"]).next().and_then(Value::as_str);
    Some(Image {
        id: said["Id"].as_str()?.to_owned(),
        digests: items(&said["RepoDigests"]).filter_map(Value::as_str).map(str::to_owned).collect(),
        created_at: said["Created"].as_str().and_then(millis),
        size_bytes: said["Size"].as_u64().unwrap_or_default(),
        has_health_check: test.is_some_and(|test| test != "NONE"),
        exposed: exposed(&config["ExposedPorts"]),
        volumes: config["Volumes"].as_object().into_iter().flatten().map(|(path, _)| path.clone()).collect(),
        user: text(&config["User"]),
    })
}

/// Names and texts, sorted.
pub(super) fn pairs(map: &Value) -> Vec<(String, String)> {
    map.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) fn items(list: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_engines_leave_out_is_not_there() {
        let bare = json!({ "Id": "a", "State": { "Status": "exited", "ExitCode": 137, "OOMKilled": true }, "Config": { "Labels": null, "Env": null }, "Mounts": null });
        let read = container(&bare).expect("a container");
        assert_eq!(read.state, State::Exited(Ended { code: 137, out_of_memory: true, at: None, error: None }));
        assert_eq!((read.health, read.restart_policy.as_str()), (None, "no"));
        assert!(container(&json!({ "Id": "a", "State": { "Status": "melting" } })).is_none(), "an unknown state is no end");
        assert!(container(&json!([])).is_none());
    }

    #[test]
    fn a_port_that_is_published_for_both_protocols_is_one() {
        let said =
            json!({ "Ports": { "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "32768" }, { "HostIp": "::", "HostPort": "32768" }], "81/udp": null } });
        let ports = read_ports(&said["Ports"]);
        let one = Port { container_port: 80, protocol: "tcp".to_owned(), host_ip: None, host_port: Some(32_768) };
        assert_eq!(ports, std::slice::from_ref(&one));
        let apart = json!({ "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "32768" }, { "HostIp": "::", "HostPort": "32771" }] });
        assert_eq!(read_ports(&apart), std::slice::from_ref(&one), "whoever is told one address is told that of IPv4");
        let other = Port { host_ip: None, host_port: Some(32_771), ..one.clone() };
        let two = json!({ "80/tcp": [{ "HostIp": "", "HostPort": "32768" }, { "HostIp": "", "HostPort": "32771" }] });
        assert_eq!(read_ports(&two), [one, other.clone()]);
        assert_eq!(read_ports(&json!({ "80/tcp": [{ "HostIp": "::", "HostPort": "32771" }] })), [other]);
    }
}

//! Ports to publish, in every spelling that people know.

use hostler_sdk::Problem;
use hostler_sdk::host::containers::Port;

use crate::written::{At, Problems, noted, text};

/// No range is longer: it would be a mistake.
const LONGEST_RANGE: u16 = 1024;

const HINT: &str = "\"8080:80\", \"127.0.0.1:8080:80/tcp\", \"80\" for a port that the engine chooses, or { \"80/tcp\" = 8080 }";

/// Reads a list, or a table from container port to host port.
pub(crate) fn ports(at: &At<'_>, problems: &mut Problems) -> Vec<Port> {
    let mut ports = Vec::new();
    if let Some(items) = at.items() {
        for item in items {
            ports.extend(item_ports(&item, problems));
        }
    } else if let Some(entries) = at.entries() {
        for (key, value) in entries {
            ports.extend(entry_ports(key, &value, problems));
        }
    } else {
        problems.push(at.wrong("is neither a list nor a table of ports", HINT));
    }
    taken_twice(at, &ports, problems);
    ports
}

fn item_ports(item: &At<'_>, problems: &mut Problems) -> Vec<Port> {
    if item.value.is_object() {
        return table_port(item, problems).into_iter().collect();
    }
    let read = item.text().ok_or_else(|| item.wrong("is no port", HINT)).and_then(|text| spelled(item, &text));
    noted(read, problems).unwrap_or_default()
}

/// `{ container_port = 80, host_port = 8080, host_ip = "127.0.0.1", protocol = "tcp" }`
fn table_port(item: &At<'_>, problems: &mut Problems) -> Option<Port> {
    if !item.has_only(&["container_port", "host_port", "host_ip", "protocol"], problems) {
        return None;
    }
    let Some(container) = item.get("container_port") else {
        problems.push(item.wrong("`container_port` is missing", HINT));
        return None;
    };
    let container_port = noted(number(&container, &container.text().unwrap_or_default()), problems)?;
    let host_port = match item.get("host_port") {
        Some(at) => noted(host_number(&at, &at.text().unwrap_or_default()), problems)?,
        None => None,
    };
    let host_ip = match text(item, "host_ip", problems) {
        Some(ip) => Some(noted(address(item, &ip), problems)?),
        None => None,
    };
    let protocol = noted(protocol(item, &text(item, "protocol", problems).unwrap_or_else(|| "tcp".into())), problems)?;
    Some(Port { container_port, protocol, host_ip, host_port })
}

/// `"80/tcp" = 0`: the engine chooses at 0, at nothing and at an empty text; a list publishes it several times.
fn entry_ports(key: &str, value: &At<'_>, problems: &mut Problems) -> Vec<Port> {
    let container = key.split_once('/').map_or((key, "tcp"), |(port, protocol)| (port, protocol));
    let container = number(value, container.0).and_then(|port| Ok((port, protocol(value, container.1)?)));
    let Some((container_port, protocol)) = noted(container, problems) else { return Vec::new() };
    let mut one = |place: &At<'_>| {
        let read = match place.text() {
            _ if place.value.is_null() => Ok((None, None)),
            Some(text) => host_place(place, &text),
            None => Err(place.wrong("is no port", HINT)),
        };
        let (host_ip, host_port) = noted(read, problems)?;
        Some(Port { container_port, protocol: protocol.clone(), host_ip, host_port })
    };
    match value.items() {
        Some(items) => items.filter_map(|item| one(&item)).collect(),
        None => one(value).into_iter().collect(),
    }
}

/// `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, each port also a range.
fn spelled(at: &At<'_>, written: &str) -> Result<Vec<Port>, Problem> {
    let wrong = |what: String| at.wrong(what, HINT);
    let (places, named) = written.split_once('/').unwrap_or((written, "tcp"));
    let protocol = protocol(at, named)?;
    let (host, container) = places.rsplit_once(':').map_or((None, places), |(host, container)| (Some(host), container));
    let (first, last) = range(at, container)?;
    let count = last - first;
    let (host_ip, host_ports) = match host {
        None => (None, None),
        Some(host) => {
            let (ip, ports) = host.rsplit_once(':').map_or((None, host), |(ip, ports)| (Some(ip), ports));
            let ip = ip.filter(|ip| !ip.is_empty()).map(|ip| address(at, ip)).transpose()?;
            let ports = if ports.is_empty() || ports == "0" { None } else { Some(range(at, ports)?) };
            (ip, ports)
        }
    };
    if host_ports.is_some_and(|(first, last)| last - first != count) {
        return Err(wrong(format!("`{}` maps ranges of different lengths", written.escape_debug())));
    }
    let port = |step: u16| Port {
        container_port: first + step,
        protocol: protocol.clone(),
        host_ip: host_ip.clone(),
        host_port: host_ports.map(|(first, _)| first + step),
    };
    Ok((0..=count).map(port).collect())
}

/// `8080`, `127.0.0.1:8080`, `0`, or nothing.
fn host_place(at: &At<'_>, written: &str) -> Result<(Option<String>, Option<u16>), Problem> {
    let (ip, port) = written.rsplit_once(':').map_or((None, written), |(ip, port)| (Some(ip), port));
    let ip = ip.filter(|ip| !ip.is_empty()).map(|ip| address(at, ip)).transpose()?;
    Ok((ip, host_number(at, port)?))
}

fn host_number(at: &At<'_>, written: &str) -> Result<Option<u16>, Problem> {
    if written.is_empty() || written == "0" { Ok(None) } else { number(at, written).map(Some) }
}

fn range(at: &At<'_>, written: &str) -> Result<(u16, u16), Problem> {
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    let (first, last) = (number(at, first)?, number(at, last)?);
    if last < first || last - first >= LONGEST_RANGE {
        return Err(at.wrong(format!("`{}` is no range of at most {LONGEST_RANGE} ports", written.escape_debug()), HINT));
    }
    Ok((first, last))
}

fn number(at: &At<'_>, written: &str) -> Result<u16, Problem> {
    let plain = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    let port = written.parse().ok().filter(|port| plain && *port != 0);
    port.ok_or_else(|| at.wrong(format!("`{}` is no port: 1 to 65535", written.escape_debug()), HINT))
}

fn protocol(at: &At<'_>, written: &str) -> Result<String, Problem> {
    let known = ["tcp", "udp", "sctp"].contains(&written);
    known.then(|| written.to_owned()).ok_or_else(|| at.wrong(format!("`{}` is no protocol", written.escape_debug()), "tcp, udp or sctp"))
}

fn address(at: &At<'_>, written: &str) -> Result<String, Problem> {
    let inner = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    let ip: Result<std::net::IpAddr, _> = inner.parse();
    ip.map(|ip| ip.to_string()).map_err(|_| at.wrong(format!("`{}` is no address of the engine's machine", written.escape_debug()), HINT))
}

/// The same port of the engine's machine cannot be given away twice.
fn taken_twice(at: &At<'_>, ports: &[Port], problems: &mut Problems) {
    let place = |port: &Port| (port.host_port, port.protocol.clone(), port.host_ip.clone());
    for (index, port) in ports.iter().enumerate().filter(|(_, port)| port.host_port.is_some()) {
        if ports[..index].iter().any(|before| place(before) == place(port)) {
            let number = port.host_port.unwrap_or_default();
            problems.push(
                at.wrong(format!("publishes port {number}/{} twice", port.protocol), "each port of the machine goes to one port of the container"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Value;

    fn read(json: &str) -> (Vec<String>, Vec<String>) {
        let value: Value = json.parse().expect("the test writes JSON");
        let mut problems = Vec::new();
        let ports = ports(&At::new("/ports", &value), &mut problems);
        let shown = ports.iter().map(|port| {
            let host = port.host_port.map_or("?".to_owned(), |port| port.to_string());
            format!("{}{host}>{}/{}", port.host_ip.as_ref().map(|ip| format!("{ip} ")).unwrap_or_default(), port.container_port, port.protocol)
        });
        (shown.collect(), problems.into_iter().map(|problem| problem.at).collect())
    }

    #[track_caller]
    fn good(json: &str, expected: &[&str]) {
        let (ports, problems) = read(json);
        assert_eq!((ports, problems), (expected.iter().map(|port| (*port).to_owned()).collect(), Vec::new()), "{json}");
    }

    #[test]
    fn every_spelling_is_read() {
        good(r#"["8080:80"]"#, &["8080>80/tcp"]);
        good(r#"["127.0.0.1:0:80/tcp", "127.0.0.1::81"]"#, &["127.0.0.1 ?>80/tcp", "127.0.0.1 ?>81/tcp"]);
        good(r#"["80", 443, "53/udp", "0:9"]"#, &["?>80/tcp", "?>443/tcp", "?>53/udp", "?>9/tcp"]);
        good(r#"["[::1]:8080:80", "9000-9001:90-91/udp"]"#, &["::1 8080>80/tcp", "9000>90/udp", "9001>91/udp"]);
        good(
            r#"{"80/tcp": 0, "81": 8081, "82/udp": "127.0.0.1:8082", "83": null, "84": [1084, "::1:2084"]}"#,
            &["?>80/tcp", "8081>81/tcp", "127.0.0.1 8082>82/udp", "?>83/tcp", "1084>84/tcp", "::1 2084>84/tcp"],
        );
        good(
            r#"[{"container_port": 80, "host_port": 8080, "host_ip": "127.0.0.1"}, {"container_port": "53", "protocol": "udp"}]"#,
            &["127.0.0.1 8080>80/tcp", "?>53/udp"],
        );
        good("[]", &[]);
    }

    #[test]
    fn every_mistake_is_named_at_its_place() {
        let bad = |json: &str, expected: &[&str]| assert_eq!(read(json).1, expected, "{json}");
        bad(
            r#"["http", "80:", ":", "0", "70000", "80/icmp", "a:80:80", "1-3:1-2", "9-1:9-1", "-1", "8O", "80:80:80:80x"]"#,
            &[
                "/ports/0",
                "/ports/1",
                "/ports/2",
                "/ports/3",
                "/ports/4",
                "/ports/5",
                "/ports/6",
                "/ports/7",
                "/ports/8",
                "/ports/9",
                "/ports/10",
                "/ports/11",
            ],
        );
        bad(r#"[true, {"port": 80}, {"container_port": 80, "host_ip": "x"}, {}]"#, &["/ports/0", "/ports/1/port", "/ports/2", "/ports/3"]);
        bad(r#"{"http": 80, "80/tcp": "x", "81/tcp": [0, true]}"#, &["/ports/80~1tcp", "/ports/81~1tcp/1", "/ports/http"]);
        bad(r#""80""#, &["/ports"]);
        bad(r#"["80:80", "80:81"]"#, &["/ports"]);
        bad(r#"["1-60000:1-60000"]"#, &["/ports/0"]);
    }
}

//! `ports`, short and long.

use super::{Value, lost};
use crate::import::Import;
use crate::read::{Spot, Taking};
use crate::template::Template;

/// All published ports, in the short form.
pub(super) fn ports(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<Value> {
    let mut ports: Vec<String> = Vec::new();
    for item in spot.items() {
        let text = if item.is_table() { long(import, &item) } else { short(import, &item) };
        ports.extend(text.filter(|text| !ports.contains(text)));
    }
    (!ports.is_empty()).then(|| Value::texts(ports))
}

fn short(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<String> {
    let template = spot.template(import)?;
    let today = import.resolve_template(spot.item.place, &spot.key, &template)?;
    if !checked(import, spot, &today) {
        return None;
    }
    Some(import.write(spot.item.place, &spot.key, &template))
}

/// Is `[[IP:]HOST:]CONTAINER[/PROTOCOL]` what the backend can read?
fn checked(import: &mut Import<'_>, spot: &Spot<'_>, text: &str) -> bool {
    const HINT: &str = "write \"8080:80\", \"127.0.0.1:8080:80/tcp\" or \"3000-3005:3000-3005\", in quotes";
    let (places, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (host, container) = places.rsplit_once(':').map_or((None, places), |(host, container)| (Some(host), container));
    let ports = host.map(|host| host.rsplit_once(':').map_or((None, host), |(ip, ports)| (Some(ip), ports)));
    let Some(inner) = range(container) else {
        spot.mistake(import, "this is no port", HINT);
        return false;
    };
    if !["tcp", "udp", "sctp"].contains(&protocol) {
        spot.mistake(import, "a port is of tcp, udp or sctp", HINT);
        return false;
    }
    let Some((ip, published)) = ports else { return true };
    if ip.is_some_and(|ip| !ip.is_empty() && ip.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_err()) {
        spot.mistake(import, "this names no address of the machine", HINT);
        return false;
    }
    let outer = if published.is_empty() || published == "0" { Some(inner) } else { range(published) };
    let Some(outer) = outer else {
        spot.mistake(import, "this is no port", HINT);
        return false;
    };
    let (inside, outside) = (inner.1 - inner.0, outer.1 - outer.0);
    match outside == inside {
        true => true,
        false if inside == 0 => {
            spot.note(
                import,
                "one of a range of ports cannot be chosen; this port is not published",
                "write one port, or 0 for one that the engine chooses",
            );
            false
        }
        false => {
            spot.mistake(import, "the two ranges are of different lengths", HINT);
            false
        }
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last && last - first < 1_024).then_some((first, last))
}

fn long(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<String> {
    let mut table = Taking::new(spot, import);
    let Some(target) = table.take("target") else {
        spot.mistake(import, "the container's port is not named", "write target: 80, and published: 8080");
        return None;
    };
    let mut text = Template::default();
    let published = table.take("published").and_then(|spot| spot.template(import));
    let ip = table.take("host_ip").and_then(|spot| spot.template(import));
    if let Some(ip) = ip {
        text.append(ip);
        text.push_str(":");
        text.append(published.unwrap_or_else(|| Template::literal("0")));
        text.push_str(":");
    } else if let Some(published) = published {
        text.append(published);
        text.push_str(":");
    }
    text.append(target.template(import)?);
    if let Some(protocol) = table.take("protocol").and_then(|spot| spot.template(import)).filter(|protocol| protocol.as_literal() != Some("tcp")) {
        text.push_str("/");
        text.append(protocol);
    }
    // On one machine both modes are the same; the names are for people.
    table.skip(&["mode", "name", "app_protocol"]);
    lost::unknown(import, table);
    let today = import.resolve_template(spot.place, &spot.key, &text)?;
    checked(import, spot, &today).then(|| import.write(spot.place, &spot.key, &text))
}

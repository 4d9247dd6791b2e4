//! The TCP door: where it is, how it is protected, and by which names it answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hostler_core::Problem;
use serde_json::Value;

use super::limits::MAX_THINGS;
use super::place::{Place, Report, Table};
use super::{Listen, TlsFiles};

const LISTEN_HINT: &str = "write \"127.0.0.1:7070\", or a port alone for the loopback address";
const TLS_HINT: &str = "write tls = { certificate = \"cert.pem\", key = \"key.pem\" }";
const HOSTS_HINT: &str = "write allowed_hosts = [\"hostler.example\"]";
const ORIGINS_HINT: &str = "write allowed_origins = [\"https://console.example\"]";

/// Reads `listen` and the keys that belong to it.
pub(crate) fn read(table: &mut Table<'_>, report: &mut Report) -> Option<Listen> {
    let place = table.take("listen");
    let beside = [table.take("tls"), table.take("allowed_hosts"), table.take("allowed_origins")];
    let Some(place) = place else {
        for orphan in beside.iter().flatten() {
            report.add(orphan.complain("says how to listen, and there is no `listen`").hint(LISTEN_HINT));
        }
        return None;
    };
    let address = read_address(&place, report);
    let [tls, hosts, origins] = beside;
    let protected = tls.is_some();
    let tls = tls.and_then(|place| read_tls(&place, report));
    let allowed_hosts = hosts.map(|place| list(&place, HOSTS_HINT, report, host)).unwrap_or_default();
    let allowed_origins = origins.map(|place| list(&place, ORIGINS_HINT, report, origin)).unwrap_or_default();
    let address = address?;
    if !address.ip().is_loopback() && !protected {
        let problem = place.complain(format_args!("is {address}, which others can reach: tokens would travel in the clear"));
        report.add(problem.hint(format!("{TLS_HINT}, or listen on 127.0.0.1")));
    }
    Some(Listen { address, tls, allowed_hosts, allowed_origins })
}

fn read_address(place: &Place<'_>, report: &mut Report) -> Option<SocketAddr> {
    let loopback = |port: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let address = match place.value {
        Value::Number(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()).map(loopback),
        Value::String(text) => match text.parse::<u16>() {
            Ok(port) => Some(loopback(port)),
            Err(_) => text.replacen("localhost:", "127.0.0.1:", 1).parse().ok(),
        },
        _ => None,
    };
    if address.is_none() {
        report.add(place.wrong("an address and a port between 0 and 65535").hint(LISTEN_HINT));
    }
    address
}

fn read_tls(place: &Place<'_>, report: &mut Report) -> Option<TlsFiles> {
    let mut table = place.table("`tls`", TLS_HINT, report)?;
    let mut file = |key: &'static str, needed: bool| {
        let found = table.take(key);
        if needed && found.is_none() {
            report.add(table.missing(key, TLS_HINT));
        }
        found.and_then(|place| place.text(report).map(str::to_owned))
    };
    let (certificate, key, client_ca) = (file("certificate", true), file("key", true), file("client_ca", false));
    table.finish(&[("cert", "write `certificate`"), ("ca", "write `client_ca`")], report);
    Some(TlsFiles { certificate: certificate?, key: key?, client_ca })
}

fn list(place: &Place<'_>, hint: &str, report: &mut Report, read: fn(&str) -> Result<String, &'static str>) -> Vec<String> {
    let items = place.items(hint, report);
    if items.len() > MAX_THINGS {
        report.add(Problem::new(&place.at, format!("`{}` has {} members; {MAX_THINGS} is the limit", place.name, items.len())));
        return Vec::new();
    }
    let mut found = Vec::new();
    for item in items {
        match item.text(report).map(read) {
            Some(Ok(text)) => found.push(text),
            Some(Err(why)) => report.add(item.complain(why).hint(hint)),
            None => {}
        }
    }
    found
}

/// A name, without port: a host is the same at each of its ports.
fn host(text: &str) -> Result<String, &'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let is_name = !text.contains(':') || text.starts_with('[') && text.ends_with(']');
    if text.chars().all(good) && is_name { Ok(text.to_ascii_lowercase()) } else { Err("is no name of a host (a port and `*` do not belong here)") }
}

/// Scheme and host, with a port where it is not the scheme's own, as a browser writes it.
fn origin(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c)) => Ok(text.to_ascii_lowercase()),
        _ => Err("is no origin: it is `https://` or `http://` and a host, without a path"),
    }
}

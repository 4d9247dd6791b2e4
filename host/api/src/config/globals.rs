//! Settings, plugins and networks: what a document says beside its services.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostler_core::Problem;
use serde_json::Value;

use super::limits::MAX_THINGS;
use super::listen;
use super::place::{Place, Report, Table};
use super::telemetry;
use super::{Network, PluginEntry, Settings, Source, StoreKind, values};

const PLUGIN_HINT: &str = "write [plugins.NAME] source = \"./plugin.wasm\"";
const NETWORK_HINT: &str = "write [networks.NAME] type = \"lan\", subnet = \"192.168.1.0/24\"";
const DIGEST_HINT: &str = "write \"sha256:\" and 64 hexadecimal digits, as `sha256sum FILE` prints them";

/// Reads `version`: 1.0, as text or number, and what an absent one means.
pub(crate) fn read_version(table: &mut Table<'_>, report: &mut Report) {
    let Some(place) = table.take("version") else { return };
    let good = match place.value {
        Value::String(text) => text == "1.0" || text == "1",
        Value::Number(number) => number.as_f64() == Some(1.0),
        _ => false,
    };
    if !good {
        report.add(place.wrong("\"1.0\", the one version there is"));
    }
}

/// Reads `settings`.
pub(crate) fn read_settings(table: &mut Table<'_>, report: &mut Report) -> Settings {
    let mut settings = Settings::default();
    let Some(place) = table.take("settings") else { return settings };
    let Some(mut table) = place.table("`settings`", "write [settings] and its keys below", report) else { return settings };
    settings.state_dir = table.take("state_dir").and_then(|place| place.text(report)).map(str::to_owned);
    if let Some(number) = table.take("max_parallel").and_then(|place| place.whole_number(1..=1_024, report)) {
        settings.max_parallel = number;
    }
    if let Some(span) = table.take("default_timeout").and_then(|place| values::span_above_zero(&place, report)) {
        settings.default_timeout = span;
    }
    settings.listen = listen::read(&mut table, report);
    settings.telemetry = telemetry::read(&mut table, report);
    settings.log = table.take("log").and_then(|place| place.text(report)).map(str::to_owned);
    if let Some(place) = table.take("store") {
        settings.store = read_store(&place, report).unwrap_or_default();
    }
    settings.built_in_plugins = table.take("built_in_plugins").map(|place| {
        let items = place.items("write built_in_plugins = [\"process\", \"http\"]", report);
        items.iter().filter_map(|place| values::plugin_name(place, report)).collect()
    });
    table.finish(&[("max_parallel_operations", "write `max_parallel`"), ("timeout", "write `default_timeout`")], report);
    settings
}

fn read_store(place: &Place<'_>, report: &mut Report) -> Option<StoreKind> {
    let kinds = [("sqlite", StoreKind::Sqlite), ("memory", StoreKind::Memory)];
    if let Value::String(_) = place.value {
        return place.choice(&kinds, report);
    }
    let mut table = place.table("`store`", "write store = { type = \"sqlite\" }", report)?;
    let kind = match table.take("type") {
        Some(place) => place.choice(&kinds, report),
        None => {
            report.add(table.missing("type", "write type = \"sqlite\""));
            None
        }
    };
    table.finish(&[], report);
    kind
}

/// Reads `plugins`.
pub(crate) fn read_plugins(table: &mut Table<'_>, report: &mut Report) -> BTreeMap<String, PluginEntry> {
    let mut plugins = BTreeMap::new();
    let Some(place) = table.take("plugins") else { return plugins };
    for (name, place) in few(&place, PLUGIN_HINT, report) {
        let name = values::plugin_key(name, &place.at, report);
        if let (Some(entry), Some(name)) = (read_plugin(&place, report), name) {
            plugins.insert(name, entry);
        }
    }
    plugins
}

fn read_plugin(place: &Place<'_>, report: &mut Report) -> Option<PluginEntry> {
    let mut table = place.table(&format!("plugin `{}`", place.name), PLUGIN_HINT, report)?;
    let source = match table.take("source").map(|place| place.text(report)) {
        None | Some(Some("built-in")) => Source::BuiltIn,
        Some(Some(path)) => Source::File(path.to_owned()),
        Some(None) => Source::BuiltIn,
    };
    let digest = table.take("digest").and_then(|place| read_digest(&place, report));
    let config = read_json(&mut table, "config", report);
    let grants = read_json(&mut table, "grants", report);
    let limits = read_json(&mut table, "limits", report);
    table.finish(&[("path", "write `source`"), ("file", "write `source`"), ("permissions", "write `grants`")], report);
    Some(PluginEntry { source, digest, config, grants, limits })
}

/// A table that somebody else gives its types.
fn read_json(table: &mut Table<'_>, key: &'static str, report: &mut Report) -> Option<Value> {
    let place = table.take(key)?;
    if place.value.is_object() {
        return Some(place.value.clone());
    }
    report.add(place.wrong("a table"));
    None
}

fn read_digest(place: &Place<'_>, report: &mut Report) -> Option<String> {
    let text = place.text(report)?.to_ascii_lowercase();
    let good = match text.split_once(':') {
        Some(("sha256" | "blake3", digits)) => digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => false,
    };
    if !good {
        report.add(place.wrong("a digest").hint(DIGEST_HINT));
        return None;
    }
    Some(text)
}

/// Reads `networks`.
pub(crate) fn read_networks(table: &mut Table<'_>, report: &mut Report) -> BTreeMap<String, Network> {
    let mut networks = BTreeMap::new();
    let Some(place) = table.take("networks") else { return networks };
    for (name, place) in few(&place, NETWORK_HINT, report) {
        let name = values::network_name(name, &place.at, report);
        if let (Some(network), Some(name)) = (read_network(&place, report), name) {
            networks.insert(name, network);
        }
    }
    networks
}

#[derive(Clone, Copy)]
enum NetworkKind {
    Lan,
    WireGuard,
}

fn read_network(place: &Place<'_>, report: &mut Report) -> Option<Network> {
    let mut table = place.table(&format!("network `{}`", place.name), NETWORK_HINT, report)?;
    let Some(kind) = table.take("type") else {
        report.add(table.missing("type", NETWORK_HINT));
        return None;
    };
    let network = match kind.choice(&[("lan", NetworkKind::Lan), ("wireguard", NetworkKind::WireGuard)], report)? {
        NetworkKind::Lan => required(&mut table, "subnet", "write subnet = \"192.168.1.0/24\"", report)
            .and_then(|place| read_subnet(&place, report))
            .map(|subnet| Network::Lan { subnet }),
        NetworkKind::WireGuard => required(&mut table, "config", "write config = \"/etc/wireguard/wg0.conf\"", report)
            .and_then(|place| place.text(report).map(str::to_owned))
            .map(|config| Network::Wireguard { config }),
    };
    table.finish(&[], report);
    network
}

fn required<'a>(table: &mut Table<'a>, key: &'static str, hint: &str, report: &mut Report) -> Option<Place<'a>> {
    let place = table.take(key);
    if place.is_none() {
        report.add(table.missing(key, hint));
    }
    place
}

fn read_subnet(place: &Place<'_>, report: &mut Report) -> Option<String> {
    let text = place.text(report)?;
    let good = text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    });
    if !good {
        report.add(place.wrong("an address range").hint("write \"192.168.1.0/24\""));
        return None;
    }
    Some(text.to_owned())
}

/// The members, unless there are far too many of them.
fn few<'a>(place: &Place<'a>, hint: &str, report: &mut Report) -> Vec<(&'a str, Place<'a>)> {
    let members = place.members(hint, report);
    if members.len() > MAX_THINGS {
        report.add(Problem::new(&place.at, format!("`{}` has {} members; {MAX_THINGS} is the limit", place.name, members.len())));
        return Vec::new();
    }
    members
}

//! Networks: containers find each other by the services' names, as in Compose.

use std::collections::BTreeSet;

use super::{Around, Members, Value, engine_name, lost, plain, put, top_level};
use crate::import::Import;
use crate::read::{Spot, Taking};

/// Puts `networks` or `network_mode` into the backend's settings.
pub(super) fn attach(import: &mut Import<'_>, around: &Around<'_>, name: &str, table: &mut Taking<'_>, to: &mut Members) {
    let (mode, networks, container) = (table.take("network_mode"), table.take("networks"), table.take("container_name"));
    let mut names = vec![plain(name)];
    if let Some(container) = container {
        container.note(
            import,
            "the host names containers itself",
            "find it by its label hostler.service, or use `hostler exec`; in its networks it keeps the name",
        );
        names.extend(container.text(import));
    }
    names.extend(around.aliases.get(name).into_iter().flatten().map(|alias| plain(alias)));
    if let Some(mode) = mode {
        let word = mode.item.word().unwrap_or_default();
        if word.starts_with("service:") {
            let hint = "give both services the same networks, or write network_mode = \"container:NAME\" of a container with a fixed name";
            mode.note(import, "a service cannot share the network of another service's container", hint);
        } else {
            if networks.is_some() {
                mode.mistake(import, "`network_mode` and `networks` stand beside each other", "keep one of them");
            }
            let text = mode.text(import).filter(|mode| mode != "default");
            import.asks.network_modes.extend(text.clone().filter(|mode| mode == "host" || mode.contains(':')));
            put(to, "network_mode", text.map(Value::Text));
            return;
        }
    }
    let mut attached = Vec::new();
    match networks {
        None => attached.extend(one(import, around, "default", None, &names)),
        Some(spot) if spot.is_table() => {
            for member in spot.members(import) {
                attached.extend(one(import, around, &member.name(&spot), Some(&member), &names));
            }
        }
        Some(spot) => {
            for item in spot.items() {
                if let Some(network) = item.word(import) {
                    attached.extend(one(import, around, &network, Some(&item), &names));
                }
            }
        }
    }
    put(to, "networks", (!attached.is_empty()).then_some(Value::List(attached)));
}

fn one(import: &mut Import<'_>, around: &Around<'_>, network: &str, spot: Option<&Spot<'_>>, names: &[String]) -> Option<Value> {
    let described = top_level(around, "networks", network);
    if let (None, Some(spot)) = (&described, spot)
        && network != "default"
    {
        spot.mistake(import, format!("there is no network `{network}`"), format!("write `{network}:` under the `networks` of the whole file"));
        return None;
    }
    let mut aliases: Vec<String> = names.to_vec();
    if let Some(spot) = spot.filter(|spot| spot.is_table()) {
        let mut table = Taking::new(spot, import);
        aliases.extend(table.take("aliases").map(|spot| spot.texts(import)).unwrap_or_default());
        lost::rest(import, table, "a container's place in a network is the engine's choice", "find it by its name");
    }
    let mut known = BTreeSet::new();
    aliases.retain(|alias| known.insert(alias.clone()));
    let name = engine_name(import, described.as_ref(), network);
    Some(Value::Table(vec![("name".to_owned(), Value::Text(name)), ("aliases".to_owned(), Value::texts(aliases))]))
}

/// `extra_hosts`: lines `NAME:ADDRESS` or `NAME=ADDRESS`, or a table.
pub(super) fn hosts(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<Value> {
    let mut hosts = Vec::new();
    for (name, address, place) in spot.pairs(import, &['=', ':']) {
        match address {
            Some(address) => {
                let address = import.write(place.item.place, &place.key, &address);
                hosts.push(format!("{}:{address}", plain(&name)));
            }
            None => place.mistake(import, "this names no address", "write \"db:10.0.0.7\""),
        }
    }
    (!hosts.is_empty()).then(|| Value::texts(hosts))
}

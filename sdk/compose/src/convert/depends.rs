//! `depends_on` and `links`: who starts after whom, and what must hold first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Around, Members, Value, health, lost, put};
use crate::import::Import;
use crate::read::{Spot, Taking};

const CONDITIONS: [&str; 3] = ["service_started", "service_healthy", "service_completed_successfully"];

/// One edge as it was written.
struct Edge<'i> {
    service: String,
    condition: String,
    restart: bool,
    required: bool,
    spot: Spot<'i>,
}

/// All edges of a service, each other service once.
fn edges<'i>(import: &mut Import<'_>, depends_on: Option<&Spot<'i>>, links: Option<&Spot<'i>>) -> Vec<Edge<'i>> {
    let mut edges = Vec::new();
    let plain = |service: String, spot: Spot<'i>| Edge { service, condition: CONDITIONS[0].to_owned(), restart: false, required: true, spot };
    match depends_on {
        Some(spot) if spot.is_table() => {
            for member in spot.members(import) {
                let mut edge = plain(member.name(spot), member.clone());
                let mut table = Taking::new(&member, import);
                edge.condition = table.take("condition").and_then(|spot| condition(import, &spot)).unwrap_or(edge.condition);
                edge.restart = table.take("restart").and_then(|spot| spot.flag(import)).unwrap_or(false);
                edge.required = table.take("required").and_then(|spot| spot.flag(import)).unwrap_or(true);
                lost::unknown(import, table);
                edges.push(edge);
            }
        }
        Some(spot) => {
            for item in spot.items() {
                edges.extend(item.word(import).map(|name| plain(name, item.clone())));
            }
        }
        None => {}
    }
    for link in links.iter().flat_map(|links| links.items()) {
        let Some(word) = link.word(import) else { continue };
        let name = word.split(':').next().unwrap_or_default().to_owned();
        edges.push(plain(name, link));
    }
    let mut known = BTreeSet::new();
    edges.retain(|edge| known.insert(edge.service.clone()));
    edges
}

fn condition(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<String> {
    let word = spot.word(import)?;
    if !CONDITIONS.contains(&word.as_str()) {
        spot.mistake(import, "this is no condition", format!("write {}", CONDITIONS.join(", ")));
        return None;
    }
    Some(word)
}

/// What one service's edges say of the others.
pub(super) fn look(import: &mut Import<'_>, name: &str, service: &Spot<'_>, around: &mut Around<'_>) {
    let links = service.member("links").filter(|links| !links.is_null());
    for link in links.iter().flat_map(|links| links.items()) {
        if let Some((other, alias)) = link.word(import).as_deref().and_then(|word| word.split_once(':')) {
            around.aliases.entry(other.to_owned()).or_default().insert(alias.to_owned());
        }
    }
    let depends_on = service.member("depends_on").filter(|spot| !spot.is_null());
    for edge in edges(import, depends_on.as_ref(), links.as_ref()) {
        if !around.names.contains_key(&edge.service) {
            if edge.required {
                edge.spot.mistake(import, format!("there is no service `{}`", edge.service), "look at its name");
            }
            continue;
        }
        match edge.condition.as_str() {
            "service_healthy" => drop(around.checked.insert(edge.service.clone())),
            "service_completed_successfully" => drop(around.oneshots.insert(edge.service.clone())),
            _ => {}
        }
        around.edges.entry(name.to_owned()).or_default().push((edge.service, edge.spot.place));
    }
}

/// Refuses services that wait for each other.
pub(super) fn refuse_cycles(import: &mut Import<'_>, around: &Around<'_>) {
    // What waits for nobody is taken away, until nothing is left or only circles are.
    let mut waits: BTreeMap<&str, usize> = around.names.keys().map(|name| (name.as_str(), around.edges.get(name).map_or(0, Vec::len))).collect();
    let mut dependents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, edges) in &around.edges {
        edges.iter().for_each(|(other, _)| dependents.entry(other).or_default().push(name));
    }
    let mut free: Vec<&str> = waits.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = free.pop() {
        waits.remove(name);
        for dependent in dependents.get(name).into_iter().flatten() {
            let Some(count) = waits.get_mut(dependent) else { continue };
            *count -= 1;
            if *count == 0 {
                free.push(dependent);
            }
        }
    }
    let Some(first) = waits.keys().next() else { return };
    let mut way = vec![*first];
    loop {
        let name = way.last().copied().unwrap_or_default();
        let Some((next, place)) = around.edges.get(name).and_then(|edges| edges.iter().find(|(other, _)| waits.contains_key(other.as_str()))) else {
            return;
        };
        if let Some(at) = way.iter().position(|known| known == next) {
            let circle: Vec<&str> = way[at..].iter().copied().chain([next.as_str()]).collect();
            let shown = if circle.len() > 16 { format!("{} -> …", circle[..16].join(" -> ")) } else { circle.join(" -> ") };
            let key = format!("services.{name}.depends_on");
            import.mistake(*place, &key, format!("services wait for each other: {shown}"), "take one of the dependencies out");
            return;
        }
        way.push(next);
    }
}

/// The service file's `dependencies`: only what is not said by the dependency itself.
pub(super) fn dependencies(import: &mut Import<'_>, around: &Around<'_>, name: &str, table: &mut Taking<'_>) -> Option<Value> {
    let (depends_on, links) = (table.take("depends_on"), table.take("links"));
    let mut list = Vec::new();
    for edge in edges(import, depends_on.as_ref(), links.as_ref()) {
        let Some(service) = around.names.get(&edge.service) else {
            edge.spot.note(import, format!("there is no service `{}`; it need not be there, so nobody waits for it", edge.service), "");
            continue;
        };
        let mut members = Members::new();
        put(&mut members, "service", Some(Value::Text(service.clone())));
        let (checked, oneshot) = (around.checked.contains(&edge.service), around.oneshots.contains(&edge.service));
        let condition = match edge.condition.as_str() {
            "service_started" => (checked || oneshot).then_some("started"),
            "service_healthy" if health::is_off(around, &edge.service) => {
                edge.spot.note(import, "the other one has no health to wait for; it is waited for until it has started", "give it a healthcheck");
                Some("started")
            }
            "service_healthy" => oneshot.then_some("healthy"),
            _ => None,
        };
        put(&mut members, "condition", condition.map(|condition| Value::Text(condition.to_owned())));
        put(&mut members, "restart", edge.restart.then_some(Value::Flag(true)));
        let absent = around.inactive.get(&edge.service).filter(|_| !around.inactive.contains_key(name));
        if let Some(profile) = absent {
            let message = format!("`{}` belongs to the profile `{profile}`, which is not active: the edge was made optional", edge.service);
            edge.spot.note(import, message, format!("import with --profile {profile}"));
        }
        put(&mut members, "optional", (!edge.required || absent.is_some()).then_some(Value::Flag(true)));
        list.push(if members.len() == 1 { Value::Text(service.clone()) } else { Value::Table(members) });
    }
    (!list.is_empty()).then_some(Value::List(list))
}

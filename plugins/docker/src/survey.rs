//! What runs on the engines and is nobody's here.

use hostler_sdk::backend::Candidate;
use hostler_sdk::host::containers::{self, Container, Whose};
use hostler_sdk::host::{Error, context};
use hostler_sdk::{Fault, Value};

use crate::engines::{self, untouched};
use crate::facts::{self, Held};
use crate::{status, taken};

/// Facts of one candidate, and bytes of one of them.
const MOST_FACTS: usize = 256;
const LONGEST_FACT: usize = 1024;

/// Everything that this host neither made nor took over, as far as it may be seen.
pub(crate) fn survey() -> Result<Vec<Candidate>, Fault> {
    let owner = context::owner();
    let mut candidates = Vec::new();
    for engine in engines::known()? {
        let ours = taken::containers_of(&engine)?;
        let host = engines::host(&engine)?;
        let stranger = |container: &Container| container.label(facts::OWNER) != Some(&owner) && !ours.contains(&container.id);
        candidates.extend(seen(&engine)?.iter().filter(|container| stranger(container)).map(|container| candidate(&engine, container, &host)));
    }
    Ok(candidates)
}

/// Everybody's containers where that is granted; else those of other hosts.
fn seen(engine: &str) -> Result<Vec<Container>, Fault> {
    let found = match containers::list(engine, Whose::All, &[]) {
        Err(Error::Denied(_)) => containers::list(engine, Whose::Tagged, &[]),
        found => found,
    };
    found.map_err(|error| untouched(engine, error))
}

fn candidate(engine: &str, container: &Container, host: &str) -> Candidate {
    let held =
        Held { engine: engine.to_owned(), container: container.id.clone(), task: String::new(), taken: Some(container.started_at.unwrap_or(0)) };
    let mut settings = serde_json::Map::from_iter([("container".to_owned(), Value::from(container.name.clone()))]);
    if engine != "default" {
        settings.insert("engine".into(), engine.into());
    }
    let tag = container.label(facts::OWNER).map(|owner| (owner.to_owned(), container.label(facts::TASK).unwrap_or_default().to_owned()));
    Candidate {
        key: format!("{engine}/{}", container.id),
        name: container.name.clone(),
        settings: Value::Object(settings).to_string(),
        status: status::of(&held, container, host),
        facts: facts_of(engine, container),
        tag,
    }
}

/// What patterns are held against.
fn facts_of(engine: &str, container: &Container) -> Vec<(String, String)> {
    let mut facts = vec![("engine".to_owned(), engine.to_owned()), ("image".to_owned(), container.image.clone())];
    facts.push(("created".into(), container.created_at.to_string()));
    let named = [("compose.project", "com.docker.compose.project"), ("compose.service", "com.docker.compose.service"), ("owner", facts::OWNER)];
    facts.extend(named.iter().filter_map(|(name, label)| Some(((*name).to_owned(), container.label(label)?.to_owned()))));
    facts.extend(container.ports.iter().filter_map(|port| {
        let host = port.host_port?;
        Some((format!("port.{}/{}", port.container_port, port.protocol), host.to_string()))
    }));
    facts.push(("restart-policy".into(), container.restart_policy.clone()));
    facts.extend(container.labels.iter().map(|(name, value)| (format!("label.{name}"), value.clone())));
    // Anybody may write labels: what is too much for a host to take is left out, and not the candidate.
    facts.retain(|(name, value)| name.len().max(value.len()) <= LONGEST_FACT);
    facts.truncate(MOST_FACTS);
    facts
}

/// Ends and removes a candidate.
pub(crate) fn kill(key: &str) -> Result<(), Fault> {
    let (engine, id) = key.split_once('/').ok_or_else(|| Fault::invalid("", format!("`{}` is no candidate's key", key.escape_debug())))?;
    if taken::containers_of(engine)?.iter().any(|container| container == id) {
        return Err(Fault::Conflict(format!("{} was taken over meanwhile: it is a service now", status::short(id))));
    }
    match containers::remove(engine, id, true) {
        Ok(()) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

//! What already runs on engines and is nobody's here: looked at, shown, and taken over where a pattern knows it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hostler_api::config::{Discovery, Pattern};
use hostler_api::{AdoptRequest, Code, Endpoint, Failure, Found, FoundList, Shape, Tag, Timestamp};
use hostler_core::{Run, ServiceName, Starting, WorkspaceName, closest};
use hostler_wasm::words::{Candidate, Phase, Status};
use hostler_wasm::{Ability, Call};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::beside;
use crate::desk::Desk;
use crate::http::Door;
use crate::ledger::Origin;
use crate::message::{Accepted, Change};

/// How long an engine may take to say what runs on it.
const SURVEY: Duration = Duration::from_secs(20);
/// How long nothing is done where nothing is looked for.
const LONG: Duration = Duration::from_secs(3_600);

/// What is looked for, and what was found.
#[derive(Default)]
pub(crate) struct Discoveries {
    wanted: RwLock<BTreeMap<String, Discovery>>,
    now: Notify,
}

/// What one engine has.
struct Survey {
    backend: String,
    found: Result<Vec<Candidate>, String>,
}

impl Discoveries {
    /// From now on this is looked for, at once.
    pub(crate) fn look_for(&self, wanted: BTreeMap<String, Discovery>) {
        *self.wanted.write().unwrap_or_else(PoisonError::into_inner) = wanted;
        self.now.notify_one();
    }

    /// What is looked for.
    fn wanted(&self) -> BTreeMap<String, Discovery> {
        self.wanted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at each engine at its interval, until the host ends.
    pub(crate) async fn watch(self: Arc<Self>, door: Door) {
        let mut due: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let wanted = self.wanted();
            due.retain(|backend, _| wanted.contains_key(backend));
            for (backend, discovery) in &wanted {
                if due.get(backend).is_none_or(|due| *due <= Instant::now()) {
                    self.settle(&door, backend, discovery).await;
                    due.insert(backend.clone(), Instant::now() + Duration::from_millis(discovery.interval.0));
                }
            }
            if let Err(failure) = let_go(&door, &wanted).await {
                tracing::warn!(why = %failure.message, "what no pattern looks for any more was not let go of yet");
            }
            let next = due.values().min().map_or(LONG, |due| due.saturating_duration_since(Instant::now()));
            if tokio::time::timeout(next, self.now.notified()).await.is_ok() {
                due.clear();
            }
        }
    }

    /// Makes services of what the patterns know, and says so of those that are gone.
    async fn settle(&self, door: &Door, backend: &str, discovery: &Discovery) {
        let candidates = match survey(door, backend).await {
            Ok(candidates) => candidates,
            Err(why) => return tracing::warn!(backend, why, "nothing could be discovered"),
        };
        let at = backend.to_owned();
        let Ok((bound, taken)) = door.look(move |desk| (desk.origins.clone(), taken(desk, &at))).await else { return };
        let matched = matches(backend, discovery, &candidates, &taken, &bound);
        let is_there = |name: &ServiceName, key: &str| {
            candidates.iter().any(|candidate| candidate.key == key) || taken.contains_key(name) || matched.iter().any(|(matched, ..)| matched == name)
        };
        let lost = bound.iter().filter(|(name, origin)| key_at(origin, backend).is_some_and(|key| !is_there(name, key)));
        let mut absent = Vec::new();
        for (name, _) in lost {
            if is_gone(door, backend, name).await {
                absent.push(name.clone());
            }
        }
        let mut services = Vec::new();
        for (name, pattern, candidate) in matched {
            let origin = Origin::Discovery { backend: backend.to_owned(), pattern: pattern.0.to_string(), key: candidate.key.clone() };
            services.push((name, pattern.1.service(backend, &settings(candidate), published(candidate, pattern.1.port)), origin));
        }
        // One by one: a mistake in one keeps no other away.
        for service in services {
            let name = service.0.clone();
            let added = match beside::prepare(door, &WorkspaceName::default(), vec![service], Starting::New).await {
                Ok(added) => door.change(Change::Add(Box::new(added))).await.map(drop),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = added {
                let why = failure.problems.first().map_or_else(|| failure.message.clone(), |problem| format!("{}: {}", problem.at, problem.message));
                tracing::warn!(backend, service = %name, why, "what was discovered was not taken over");
            }
        }
        if !absent.is_empty()
            && let Err(failure) = door.change(Change::Absent(absent)).await
        {
            tracing::warn!(backend, why = %failure.message, "what is gone was not told yet");
        }
    }
}

/// Lets go of services whose pattern is gone.
async fn let_go(door: &Door, wanted: &BTreeMap<String, Discovery>) -> Result<(), Failure> {
    let bound = door.look(origins).await?;
    let without = bound.into_iter().filter_map(|(name, origin)| match origin {
        Origin::Discovery { backend, pattern, .. } => {
            let known = wanted.get(&backend).is_some_and(|discovery| discovery.patterns.contains_key(pattern.as_str()));
            (!known).then_some(name)
        }
        Origin::Image(_) | Origin::Request { .. } | Origin::Instance(_) | Origin::Adoption { .. } => None,
    });
    let without: Vec<ServiceName> = without.collect();
    if without.is_empty() {
        return Ok(());
    }
    door.change(Change::Release(without)).await.map(drop)
}

fn origins(desk: &Desk) -> BTreeMap<ServiceName, Origin> {
    desk.origins.clone()
}

/// What the engine calls what a service was taken over from.
fn key_at<'a>(origin: &'a Origin, at: &str) -> Option<&'a str> {
    match origin {
        Origin::Discovery { backend, key, .. } | Origin::Adoption { backend, key } => (backend == at).then_some(key),
        Origin::Image(_) | Origin::Request { .. } | Origin::Instance(_) => None,
    }
}

/// Does the engine know nothing any more of what this service has held? As long as anything of it is kept, no survey shows it.
async fn is_gone(door: &Door, backend: &str, name: &ServiceName) -> bool {
    let own = name.clone();
    let handles = door.look(move |desk| {
        let is_own = |run: &&Run| desk.core.owner_of(**run).is_some_and(|(service, _)| *service == own);
        desk.handles.keys().filter(is_own).map(|run| desk.handles[run].handle.clone()).collect::<Vec<_>>()
    });
    let Ok(handles) = handles.await else { return false };
    if handles.is_empty() {
        return true;
    }
    let Some(plugin) = door.plugins.get(backend) else { return false };
    let Some(role) = plugin.backend() else { return false };
    let seen = role.inspect(Call::within(SURVEY).about(name.as_str()).of(name.workspace()), &handles).await;
    seen.is_ok_and(|seen| seen.iter().all(|status| matches!(status.phase, Phase::Gone)))
}

/// What was taken over and is held, as it was found: an engine shows it to nobody any more.
fn taken(desk: &Desk, backend: &str) -> BTreeMap<ServiceName, Candidate> {
    let held = desk.origins.iter().filter_map(|(name, origin)| {
        let key = key_at(origin, backend)?;
        let run = desk.core.replicas(name.as_str()).iter().find_map(|replica| replica.run)?;
        let unseen = || Status { phase: Phase::Pending, started_at: None, endpoints: Vec::new(), attributes: Vec::new() };
        let status = desk.seen.get(&run).cloned().unwrap_or_else(unseen);
        if matches!(status.phase, Phase::Gone) {
            return None;
        }
        let mut settings = desk.written.get(name)?.value().get("backend")?.clone();
        settings.as_object_mut()?.remove("type");
        let (key, facts) = (key.to_owned(), Vec::new());
        Some((name.clone(), Candidate { name: key.clone(), key, settings: settings.to_string(), status, facts, tag: None }))
    });
    held.collect()
}

/// Which candidate becomes which service. What a service has, it keeps as long as it is there.
fn matches<'a>(
    backend: &str,
    discovery: &'a Discovery,
    candidates: &'a [Candidate],
    taken: &'a BTreeMap<ServiceName, Candidate>,
    bound: &BTreeMap<ServiceName, Origin>,
) -> Vec<(ServiceName, (&'a ServiceName, &'a Pattern), &'a Candidate)> {
    let mut matched: Vec<(ServiceName, (&ServiceName, &Pattern), &Candidate)> = Vec::new();
    for (name, pattern) in &discovery.patterns {
        let is_of = |service: &ServiceName| matches!(bound.get(service), Some(Origin::Discovery { pattern, .. }) if pattern == name.as_str());
        let before = matched.len();
        matched.extend(taken.iter().filter(|(service, _)| is_of(service)).map(|(service, candidate)| (service.clone(), (name, pattern), candidate)));
        if !pattern.each && matched.len() > before {
            continue;
        }
        let is_free = |candidate: &&Candidate| !matched.iter().any(|(.., other)| other.key == candidate.key);
        let mut known: Vec<&Candidate> =
            candidates.iter().filter(is_free).filter(|candidate| pattern.matching.knows(&candidate.name, &candidate.facts)).collect();
        // What runs comes before what does not, and then the older one.
        known.sort_by_key(|candidate| (!matches!(candidate.status.phase, Phase::Running), candidate.status.started_at, &candidate.key));
        if !pattern.each {
            let kept = bound.get(name).and_then(|origin| key_at(origin, backend));
            let chosen = known.iter().find(|candidate| Some(candidate.key.as_str()) == kept).or(known.first()).copied();
            known = chosen.into_iter().collect();
        }
        for candidate in known {
            let own = if pattern.each { each_name(name, &candidate.name) } else { name.clone() };
            if !matched.iter().any(|(other, ..)| *other == own) {
                matched.push((own, (name, pattern), candidate));
            }
        }
    }
    matched
}

/// The name of one of several: `web-shop-1` of the pattern `web` and the container `shop_1`.
fn each_name(pattern: &ServiceName, candidate: &str) -> ServiceName {
    service_name(&format!("{pattern}-{candidate}")).unwrap_or_else(|| pattern.clone())
}

/// The nearest good name.
pub(crate) fn service_name(text: &str) -> Option<ServiceName> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut name = String::new();
    for c in text.to_ascii_lowercase().chars() {
        let c = if good(c) || c == '_' { c } else { '-' };
        if good(c) || (!name.is_empty() && !name.ends_with('-')) {
            name.push(c);
        }
    }
    name.truncate(63);
    ServiceName::new(name.trim_end_matches(['-', '_'])).ok()
}

fn settings(candidate: &Candidate) -> Value {
    serde_json::from_str(&candidate.settings).unwrap_or_else(|_| json!({}))
}

/// Where a port of it is reached; the only one when none is named.
fn published(candidate: &Candidate, port: Option<u16>) -> Option<(&str, u16)> {
    let endpoints = &candidate.status.endpoints;
    let found = match port {
        Some(port) => {
            endpoints.iter().find(|endpoint| endpoint.name == port.to_string() || endpoint.name.split('/').next() == Some(&port.to_string()))
        }
        None => None,
    };
    found.map(|endpoint| (endpoint.host.as_str(), endpoint.port))
}

/// Everything on an engine that this host does not own.
async fn survey(door: &Door, backend: &str) -> Result<Vec<Candidate>, String> {
    let plugin = door.plugins.get(backend).ok_or_else(|| door.plugins.why_not(backend))?;
    if !plugin.abilities().contains(&Ability::Discovery) {
        return Err(format!("backend `{backend}` cannot say what runs on its engine"));
    }
    let role = plugin.backend().ok_or_else(|| format!("plugin `{backend}` is no backend"))?;
    role.survey(Call::within(SURVEY)).await.map_err(|error| error.brief())
}

/// Every engine that can say what runs on it, or one.
async fn surveys(door: &Door, only: Option<&str>) -> Vec<Survey> {
    let can = |name: &str| door.plugins.get(name).is_some_and(|plugin| plugin.abilities().contains(&Ability::Discovery));
    let names: Vec<String> = match only {
        Some(name) => vec![name.to_owned()],
        None => door.plugins.backends().into_iter().map(|(name, _)| name).filter(|name| can(name)).collect(),
    };
    let mut all = Vec::new();
    for backend in names {
        let found = survey(door, &backend).await;
        all.push(Survey { backend, found });
    }
    all
}

/// What there is to take over.
pub(crate) async fn list(door: &Door, only: Option<&str>) -> Result<FoundList, Failure> {
    let surveys = surveys(door, only).await;
    let (bound, wanted, owner) = door.look(|desk| (desk.origins.clone(), desk.discoveries.wanted(), desk.owner.clone())).await?;
    let mut list = FoundList { version: Shape, found: Vec::new(), away: BTreeMap::new() };
    for Survey { backend, found } in surveys {
        match found {
            Err(why) => drop(list.away.insert(backend, why)),
            Ok(candidates) => {
                let patterns = wanted.get(&backend);
                list.found.extend(candidates.into_iter().map(|candidate| told(&backend, candidate, &bound, patterns, &owner)));
            }
        }
    }
    Ok(list)
}

fn told(backend: &str, candidate: Candidate, bound: &BTreeMap<ServiceName, Origin>, discovery: Option<&Discovery>, owner: &str) -> Found {
    let service = bound.iter().find(|(_, origin)| key_at(origin, backend) == Some(&candidate.key)).map(|(name, _)| name.to_string());
    let knows = |(_, pattern): &(&ServiceName, &Pattern)| pattern.matching.knows(&candidate.name, &candidate.facts);
    let pattern = discovery.and_then(|discovery| discovery.patterns.iter().find(knows)).map(|(name, _)| name.to_string());
    Found {
        backend: backend.to_owned(),
        key: candidate.key,
        name: candidate.name,
        phase: phase(&candidate.status.phase).to_owned(),
        started_at: candidate.status.started_at.map(Timestamp),
        endpoints: candidate
            .status
            .endpoints
            .into_iter()
            .map(|endpoint| Endpoint { name: endpoint.name, host: endpoint.host, port: endpoint.port, protocol: endpoint.protocol })
            .collect(),
        facts: candidate.facts.into_iter().collect(),
        service,
        pattern,
        tag: candidate.tag.map(|(by, id)| Tag { ours: by == owner, owner: by, id }),
    }
}

pub(crate) fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Running => "running",
        Phase::Stopping => "stopping",
        Phase::Exited(_) => "exited",
        Phase::Gone => "gone",
        Phase::Unknown(_) => "unknown",
    }
}

/// Takes something over, as it is.
pub(crate) async fn adopt(door: &Door, asked: AdoptRequest) -> Result<Accepted, Failure> {
    let surveys = surveys(door, asked.backend.as_deref()).await;
    let mut named: Vec<(String, Candidate)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut away = Vec::new();
    for Survey { backend, found } in surveys {
        match found {
            Err(why) => away.push(format!("{backend}: {why}")),
            Ok(candidates) => {
                names.extend(candidates.iter().map(|candidate| candidate.name.clone()));
                let meant =
                    |candidate: &Candidate| candidate.name == asked.what || candidate.key == asked.what || is_short(&asked.what, &candidate.key);
                named.extend(candidates.into_iter().filter(meant).map(|candidate| (backend.clone(), candidate)));
            }
        }
    }
    let (backend, candidate) = match named.len() {
        1 => named.remove(0),
        0 => return Err(nothing_there(&asked.what, &names, &away)),
        _ => {
            let where_they_are: Vec<String> = named.iter().map(|(backend, candidate)| format!("{} at {backend}", candidate.key)).collect();
            let failure =
                Failure::new(Code::Conflict, format!("several are called `{}`: {}", asked.what.escape_default(), where_they_are.join(", ")));
            return Err(failure.hint("say which with its key, or --backend"));
        }
    };
    let name = match &asked.service {
        Some(name) => ServiceName::new(name).map_err(|why| Failure::new(Code::Invalid, why))?,
        None => service_name(&candidate.name).ok_or_else(|| {
            Failure::new(Code::Invalid, format!("`{}` makes no name of a service", candidate.name.escape_default()))
                .hint("name the service with --as")
        })?,
    };
    let mut definition: Map<String, Value> = asked.definition;
    if definition.contains_key("backend") {
        return Err(Failure::new(Code::Invalid, "`backend` of what is taken over is what it is").hint("leave it out of the definition"));
    }
    let mut settings = settings(&candidate);
    if let Some(table) = settings.as_object_mut() {
        table.insert("type".to_owned(), json!(backend));
    }
    definition.insert("backend".to_owned(), settings);
    let origin = Origin::Adoption { backend, key: candidate.key };
    let already = door
        .look({
            let origin = origin.clone();
            let name = name.clone();
            move |desk| {
                let bound = desk.origins.iter().find(|(_, own)| key_at(own, origin_backend(&origin)) == origin_key(&origin));
                (bound.map(|(name, _)| name.clone()), desk.core.wanted(name.as_str()).is_some())
            }
        })
        .await?;
    match already {
        (Some(by), _) if by != name => {
            let failure = Failure::new(Code::Conflict, format!("it is the service `{by}` already"));
            return Err(failure.hint(format!("`hostler release {by}` lets go of it")));
        }
        (None, true) => {
            let failure = Failure::new(Code::Conflict, format!("there is a service `{name}` already"));
            return Err(failure.hint("name this one with --as"));
        }
        (Some(_) | None, _) => {}
    }
    let service = vec![(name.clone(), Value::Object(definition), origin)];
    // What runs on an engine is the host's.
    let whose = WorkspaceName::default();
    let added = beside::prepare(door, &whose, service, Starting::AtRest).await?;
    let accepted = door.change(Change::Add(Box::new(added))).await?;
    Ok(Accepted { services: vec![name], ..accepted })
}

fn origin_backend(origin: &Origin) -> &str {
    match origin {
        Origin::Discovery { backend, .. } | Origin::Adoption { backend, .. } => backend,
        Origin::Image(_) | Origin::Request { .. } | Origin::Instance(_) => "",
    }
}

fn origin_key(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Discovery { key, .. } | Origin::Adoption { key, .. } => Some(key),
        Origin::Image(_) | Origin::Request { .. } | Origin::Instance(_) => None,
    }
}

/// `3f2a9c…` of a longer id, as people copy it; a key may say before it which engine is meant.
fn is_short(text: &str, key: &str) -> bool {
    text.len() >= 8 && (key.starts_with(text) || key.rsplit('/').next().is_some_and(|id| id.starts_with(text)))
}

fn nothing_there(what: &str, names: &[String], away: &[String]) -> Failure {
    let mut message = format!("no engine has `{}`", what.escape_default());
    if !away.is_empty() {
        message.push_str(&format!("; not asked: {}", away.join("; ")));
    }
    let failure = Failure::new(Code::NotFound, message);
    match closest(what, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`hostler discover` shows what there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(key: &str, name: &str, started_at: u64) -> Candidate {
        let status = Status { phase: Phase::Running, started_at: Some(started_at), endpoints: Vec::new(), attributes: Vec::new() };
        Candidate { key: key.into(), name: name.into(), settings: "{}".into(), status, facts: vec![("image".into(), "nginx:1".into())], tag: None }
    }

    fn discovery(each: bool) -> Discovery {
        let document = json!({ "discovery": { "docker": { "patterns": { "web": { "match": { "image": "nginx:*" }, "each": each } } } } });
        hostler_api::config::read(&document).expect("it is a good one").discovery["docker"].clone()
    }

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).expect("a good name")
    }

    fn found(pattern: &str, key: &str) -> Origin {
        Origin::Discovery { backend: "docker".into(), pattern: pattern.into(), key: key.into() }
    }

    fn names(each: bool, candidates: &[Candidate], taken: &BTreeMap<ServiceName, Candidate>, bound: &BTreeMap<ServiceName, Origin>) -> Vec<String> {
        let discovery = discovery(each);
        let matched = matches("docker", &discovery, candidates, taken, bound);
        matched.into_iter().map(|(name, _, candidate)| format!("{name} {}", candidate.key)).collect()
    }

    #[test]
    fn the_oldest_is_chosen_and_stays_chosen() {
        let candidates = [candidate("b", "two", 5), candidate("a", "one", 9)];
        let none = BTreeMap::new();
        assert_eq!(names(false, &candidates, &none, &BTreeMap::new()), ["web b"]);
        let bound = [(name("web"), found("web", "a"))].into();
        assert_eq!(names(false, &candidates, &none, &bound), ["web a"], "it was there before");
        let taken = [(name("web"), candidate("a", "one", 9))].into();
        assert_eq!(names(false, &candidates[..1], &taken, &bound), ["web a"], "it is held, and no engine shows it");
    }

    #[test]
    fn each_becomes_a_service_with_a_name_of_its_own() {
        let candidates = [candidate("a", "/Shop__1", 1), candidate("b", "shop 2", 2)];
        let none = BTreeMap::new();
        assert_eq!(names(true, &candidates, &none, &BTreeMap::new()), ["web-shop__1 a", "web-shop-2 b"]);
        let (bound, taken) = ([(name("web-shop__1"), found("web", "a"))].into(), [(name("web-shop__1"), candidate("a", "x", 1))].into());
        assert_eq!(names(true, &candidates[1..], &taken, &bound), ["web-shop__1 a", "web-shop-2 b"]);
    }
}

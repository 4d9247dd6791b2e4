//! From one document to services of a service file.

mod command;
mod depends;
mod deploy;
mod environment;
mod health;
mod lost;
mod mounts;
mod network;
mod ports;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use crate::import::Import;
use crate::load::PARTS;
use crate::paths;
use crate::read::{Spot, Taking};
use crate::template::Template;
use crate::tree::{Item, Key, Place};

/// What will be written.
pub(crate) struct Stack {
    pub(crate) services: Vec<Service>,
}

/// One service of the service file.
pub(crate) struct Service {
    /// Its name there.
    pub(crate) name: String,
    /// Its name in the Compose file.
    pub(crate) original: String,
    /// Keys of the service itself.
    pub(crate) head: Members,
    /// Settings of the backend.
    pub(crate) backend: Members,
    pub(crate) env: Members,
    /// Labels of the container.
    pub(crate) labels: Members,
    pub(crate) health_check: Members,
}

/// Keys and values in their order.
pub(crate) type Members = Vec<(String, Value)>;

/// A value of the service file; texts are in its form, variables and all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Flag(bool),
    List(Vec<Value>),
    Table(Members),
}

impl Value {
    /// A list of texts.
    pub(crate) fn texts(texts: impl IntoIterator<Item = String>) -> Value {
        Value::List(texts.into_iter().map(Value::Text).collect())
    }
}

/// Writes a key, when there is something to write.
pub(crate) fn put(members: &mut Members, key: &str, value: Option<Value>) {
    members.extend(value.map(|value| (key.to_owned(), value)));
}

/// The services and what each needs to know of the others.
pub(crate) struct Around<'i> {
    pub(crate) root: &'i Item,
    /// Names in the service file by those in the Compose file.
    pub(crate) names: BTreeMap<String, String>,
    /// Services that are not active, each with its first profile.
    pub(crate) inactive: BTreeMap<String, String>,
    /// Those whose health is looked at.
    pub(crate) checked: BTreeSet<String>,
    /// Those that run to their end.
    pub(crate) oneshots: BTreeSet<String>,
    /// Whom each service waits for, and where that is said.
    pub(crate) edges: BTreeMap<String, Vec<(String, Place)>>,
    /// Names by which others find a service, beside its own.
    pub(crate) aliases: BTreeMap<String, BTreeSet<String>>,
}

/// Turns the whole document into a stack.
pub(crate) fn convert(import: &mut Import<'_>, root: &Item) -> Stack {
    let whole = Spot { item: root, place: Place::default(), key: String::new() };
    lost::document(import, &whole);
    let Some(services) = whole.member("services").filter(|services| !services.item.members().is_empty()) else {
        let start = Place { file: 0, line: 1, column: 1 };
        import.mistake(start, "services", "there are no services", "write `services:` and below it what is to run");
        return Stack { services: Vec::new() };
    };
    let spots: Vec<(String, Spot<'_>)> = services.members(import).into_iter().map(|spot| (spot.name(&services), spot)).collect();
    let mut around = look_around(import, root, &spots);
    let mut stack = Stack { services: Vec::new() };
    for (name, spot) in &spots {
        if !spot.is_table() {
            spot.wrong(import, "a table", "write image: NAME below it");
            continue;
        }
        if let Some(profile) = inactive_profile(import, spot) {
            around.inactive.insert(name.clone(), profile);
        }
    }
    for (name, spot) in spots.iter().filter(|(_, spot)| spot.is_table()) {
        let service = service::convert(import, &around, name, spot);
        stack.services.push(service);
    }
    stack
}

/// The first of the profiles of a service, when none of them is active.
fn inactive_profile(import: &mut Import<'_>, service: &Spot<'_>) -> Option<String> {
    let profiles: Vec<String> = service.member("profiles")?.items().iter().filter_map(|spot| spot.word(import)).collect();
    let active = &import.request.profiles;
    if profiles.iter().any(|profile| active.iter().any(|active| active == profile || active == "*")) {
        return None;
    }
    profiles.into_iter().next()
}

fn look_around<'i>(import: &mut Import<'_>, root: &'i Item, spots: &[(String, Spot<'i>)]) -> Around<'i> {
    let mut around = Around {
        root,
        names: BTreeMap::new(),
        inactive: BTreeMap::new(),
        checked: BTreeSet::new(),
        oneshots: BTreeSet::new(),
        edges: BTreeMap::new(),
        aliases: BTreeMap::new(),
    };
    let mut taken = BTreeSet::new();
    // A name that is good already is nobody else's.
    let (good, others): (Vec<_>, Vec<_>) = spots.iter().partition(|(name, _)| paths::service(name, &mut BTreeSet::new()) == *name);
    for (name, _) in good.into_iter().chain(others) {
        around.names.insert(name.clone(), paths::service(name, &mut taken));
    }
    for (name, spot) in spots {
        if health::is_checked(import, spot) {
            around.checked.insert(name.clone());
        }
    }
    for (name, spot) in spots {
        depends::look(import, name, spot, &mut around);
    }
    depends::refuse_cycles(import, &around);
    around
}

/// Looks up a top-level volume, network, secret or config.
pub(crate) fn top_level<'i>(around: &Around<'i>, part: &str, name: &str) -> Option<Spot<'i>> {
    let (key, item) = member_of(around.root, part)?;
    let above = Spot::of(key, item, "");
    above.member(name)
}

fn member_of<'i>(root: &'i Item, name: &str) -> Option<(&'i Key, &'i Item)> {
    root.members().iter().find(|(key, _)| key.text == name).map(|(key, item)| (key, item))
}

/// The engine's name of a top-level volume or network: its `name`, its key when it is external, else with the project's name before it.
pub(crate) fn engine_name(import: &mut Import<'_>, spot: Option<&Spot<'_>>, key: &str) -> String {
    let project = import.project.clone();
    let own = || format!("{project}_{key}");
    let Some(spot) = spot.filter(|spot| !spot.is_null()) else { return own() };
    let mut table = Taking::new(spot, import);
    let external = table.take("external");
    let named = table.take("name").or_else(|| external.as_ref().filter(|external| external.is_table())?.member("name"));
    if let Some(name) = named.and_then(|named| named.text(import)) {
        return name;
    }
    match external {
        Some(external) if external.is_table() || external.flag(import) == Some(true) => key.to_owned(),
        _ => own(),
    }
}

/// A text without variables, as the service file has it.
pub(crate) fn plain(text: &str) -> String {
    Template::literal(text).write(&|_| None).text
}

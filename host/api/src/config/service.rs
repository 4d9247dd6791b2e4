//! One service of a document.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{BackendSpec, Category, CheckSpec, Condition, Dependency, Kind, MAX_REPLICAS, Problem, Quorum, ServiceName, Spec, closest};
use serde_json::Value;

use super::check::read_checks;
use super::digest::{canonical, task_digest};
use super::place::{Place, Report, Table};
use super::{Common, policy, values};

const BACKEND_HINT: &str = "write backend = { type = \"process\", binary = \"./bin/server\" }";
const DEPENDENCIES_HINT: &str = "write dependencies = [\"db\", { service = \"cache\", optional = true }]";
const IN_BACKEND: &str = "it belongs into the `backend` table, where the plugin reads it";

/// Keys that other tools know, and where they are here.
const ELSEWHERE: [(&str, &str); 22] = [
    ("depends_on", "write `dependencies`"),
    ("dependson", "write `dependencies`"),
    ("requires", "write `dependencies`"),
    ("needs", "write `dependencies`"),
    ("healthcheck", "write `health_check`"),
    ("environment", "write `env`"),
    ("scale", "write `replicas`"),
    ("stop_grace_period", "write stop = { grace = \"30s\" }"),
    ("stop_signal", "write stop = { signal = \"SIGTERM\" }"),
    ("interval", "it belongs into `health_check`"),
    ("retries", "it belongs into `health_check`; of restarts, write `max_attempts` in `restart`"),
    ("networks", "write network = \"NAME\""),
    ("type", "the plugin is named by `type` in the `backend` table; one-shots say kind = \"oneshot\""),
    ("binary", IN_BACKEND),
    ("command", IN_BACKEND),
    ("args", IN_BACKEND),
    ("working_dir", IN_BACKEND),
    ("user", IN_BACKEND),
    ("image", IN_BACKEND),
    ("ports", IN_BACKEND),
    ("volumes", IN_BACKEND),
    ("host", IN_BACKEND),
];

/// What a service takes from the rest of the document.
pub(crate) struct Surroundings<'a> {
    pub(crate) common: &'a Common,
    /// The services there are, good names and bad ones.
    pub(crate) services: &'a BTreeSet<&'a str>,
}

/// Where the parts of a service stand that the core doubts by their number.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Places {
    /// Index in the document of each dependency that was read.
    pub(crate) dependencies: Vec<usize>,
    /// Pointer below the service of each check that was read.
    pub(crate) checks: Vec<String>,
}

/// Reads one service; what cannot be read is reported, and stands at its default.
pub(crate) fn read_service(name: ServiceName, place: &Place<'_>, around: &Surroundings<'_>, report: &mut Report) -> Option<(Spec, Places)> {
    let mut table = place.table(&format!("service `{name}`"), BACKEND_HINT, report)?;
    let mut spec = Spec::new(name, "", "{}");
    read_words(&mut table, &mut spec, report);
    spec.labels = read_texts(&mut table, "labels", "write labels = { team = \"web\" }", report);
    if let Some(backend) = read_backend(&mut table, report) {
        spec.backend = backend;
    }
    let (dependencies, dependency_places) = read_dependencies(&mut table, around, report);
    spec.dependencies = dependencies;
    let (checks, check_places): (Vec<CheckSpec>, Vec<String>) = read_checks(&mut table, report).into_iter().unzip();
    spec.checks = checks;
    spec.restart = policy::read_restart(&mut table, spec.kind, report);
    spec.stop = policy::read_stop(&mut table, report);
    spec.timeout = table.take("timeout").and_then(|place| values::span_above_zero(&place, report)).unwrap_or(around.common.default_timeout);
    spec.resources = policy::read_resources(&mut table, report);
    spec.replicas = policy::read_replicas(&mut table, report);
    read_environment(&mut table, &mut spec, report);
    spec.network = read_network(&mut table, around, report);
    table.finish(&ELSEWHERE, report);
    spec.task_digest = task_digest(&spec);
    Some((spec, Places { dependencies: dependency_places, checks: check_places }))
}

fn read_words(table: &mut Table<'_>, spec: &mut Spec, report: &mut Report) {
    spec.display_name = table.take("display_name").and_then(|place| place.text(report)).map(str::to_owned);
    let categories = [
        ("infrastructure", Category::Infrastructure),
        ("ai", Category::Ai),
        ("monitoring", Category::Monitoring),
        ("application", Category::Application),
    ];
    if let Some(category) = table.take("category").and_then(|place| place.choice(&categories, report)) {
        spec.category = category;
    }
    if let Some(kind) = table.take("kind").and_then(|place| place.choice(&[("service", Kind::Service), ("oneshot", Kind::Oneshot)], report)) {
        spec.kind = kind;
    }
    if let Some(flag) = table.take("critical").and_then(|place| place.flag(report)) {
        spec.critical = flag;
    }
    if let Some(flag) = table.take("enabled").and_then(|place| place.flag(report)) {
        spec.enabled = flag;
    }
}

fn read_texts(table: &mut Table<'_>, key: &'static str, hint: &str, report: &mut Report) -> BTreeMap<String, String> {
    let Some(place) = table.take(key) else { return BTreeMap::new() };
    let members = place.members(hint, report);
    members.into_iter().filter_map(|(name, place)| Some((name.to_owned(), values::scalar_text(&place, report)?))).collect()
}

fn read_backend(service: &mut Table<'_>, report: &mut Report) -> Option<BackendSpec> {
    let Some(place) = service.take("backend") else {
        report.add(service.missing("backend", BACKEND_HINT));
        return None;
    };
    let mut table = place.table("`backend`", BACKEND_HINT, report)?;
    let Some(named) = table.take("type") else {
        report.add(table.missing("type", "name the plugin that runs it: type = \"process\""));
        return None;
    };
    let plugin = values::plugin_name(&named, report)?;
    Some(BackendSpec { plugin, settings: canonical(&Value::Object(table.rest())) })
}

fn read_dependencies(table: &mut Table<'_>, around: &Surroundings<'_>, report: &mut Report) -> (Vec<Dependency>, Vec<usize>) {
    let Some(place) = table.take("dependencies") else { return (Vec::new(), Vec::new()) };
    let items = place.items(DEPENDENCIES_HINT, report);
    items.iter().enumerate().filter_map(|(index, place)| Some((read_dependency(place, around, report)?, index))).unzip()
}

fn read_dependency(place: &Place<'_>, around: &Surroundings<'_>, report: &mut Report) -> Option<Dependency> {
    match place.value {
        Value::String(name) => dependency_name(name, place, around, report).map(Dependency::on),
        Value::Object(_) => {
            let mut table = place.table("the dependency", DEPENDENCIES_HINT, report)?;
            let named = table.take("service");
            if named.is_none() {
                report.add(table.missing("service", "name the service: { service = \"db\" }"));
            }
            let optional = table.take("optional").and_then(|place| place.flag(report)).unwrap_or(false);
            let conditions = [("started", Condition::Started), ("healthy", Condition::Healthy), ("completed", Condition::Completed)];
            let condition = table.take("condition").and_then(|place| place.choice(&conditions, report));
            let restart = table.take("restart").and_then(|place| place.flag(report)).unwrap_or(false);
            let healthy = table.take("healthy").and_then(|place| read_quorum(&place, report)).unwrap_or_default();
            table.finish(&[("name", "write `service`"), ("required", "write `optional`")], report);
            let named = named?;
            let service = dependency_name(named.text(report)?, &named, around, report)?;
            Some(Dependency { service, optional, condition, restart, healthy })
        }
        _ => {
            report.add(place.wrong("a service's name or a table").hint(DEPENDENCIES_HINT));
            None
        }
    }
}

/// `healthy`: of how many replicas the condition must hold.
fn read_quorum(place: &Place<'_>, report: &mut Report) -> Option<Quorum> {
    match place.value {
        Value::String(text) if !text.bytes().all(|b| b.is_ascii_digit()) => place.choice(&[("all", Quorum::All), ("any", Quorum::Any)], report),
        Value::String(_) | Value::Number(_) => place.whole_number(1..=MAX_REPLICAS, report).map(Quorum::Some),
        _ => {
            report.add(place.wrong("`all`, `any` or a number of replicas").hint("write healthy = \"any\", or healthy = 2"));
            None
        }
    }
}

fn dependency_name(name: &str, place: &Place<'_>, around: &Surroundings<'_>, report: &mut Report) -> Option<ServiceName> {
    ServiceName::new(name)
        .map_err(|why| {
            // A service of this very name is refused at its own place; once is enough.
            if !around.services.contains(name) {
                let (why, hint) = why.split_once("; ").unwrap_or((&why, ""));
                report.add(Problem::new(&place.at, why).hint(hint));
            }
        })
        .ok()
}

fn read_environment(table: &mut Table<'_>, spec: &mut Spec, report: &mut Report) {
    if let Some(place) = table.take("env_file") {
        report.add(
            place
                .complain("names a file beside the document, which only the command line can read")
                .hint("apply the file with `hostler`, or write its lines into `env`"),
        );
    }
    if let Some(place) = table.take("env") {
        for (name, place) in place.members("write env = { LOG_LEVEL = \"debug\" }", report) {
            if let (Some(name), Some(value)) = (values::env_name(name, &place.at, report), values::scalar_text(&place, report)) {
                spec.env.insert(name, value);
            }
        }
    }
    let Some(place) = table.take("secrets") else { return };
    for (name, place) in place.members("write secrets = { DB_PASSWORD = \"/run/secrets/db\" }", report) {
        let (Some(name), Some(path)) = (values::env_name(name, &place.at, report), place.text(report)) else { continue };
        if spec.env.contains_key(&name) {
            report.add(Problem::new(&place.at, format!("`{name}` stands in `env` too")).hint("keep the secret, and remove it from `env`"));
        }
        spec.secrets.insert(name, path.to_owned());
    }
}

fn read_network(table: &mut Table<'_>, around: &Surroundings<'_>, report: &mut Report) -> Option<String> {
    let place = table.take("network")?;
    let name = place.text(report)?;
    if around.common.networks.contains(name) {
        return Some(name.to_owned());
    }
    let hint = match closest(name, around.common.networks.iter().map(String::as_str)) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("describe it under [networks.{}]", if name.len() > 63 { "NAME" } else { name }),
    };
    report.add(Problem::new(&place.at, format!("there is no network `{name}`")).hint(hint));
    None
}

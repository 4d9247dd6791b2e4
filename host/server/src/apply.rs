//! From a document to specs that can be wanted: read, plugins asked, paths made absolute, every doubt raised.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_api::{ApplyRequest, Change, Code, Failure, MissingPlugin, Plan, PlannedChange, Shape, config};
use hostler_core::{ChangeKind, Problem, ServiceName, Spec, Starting, pointer_key};
use hostler_failpoint::failpoint;
use hostler_wasm::{Call, Plugin};
use serde_json::Value;

use crate::desk::Desk;
use crate::ledger::Written;
use crate::plugins::{PluginTable, Plugins};

/// How long a plugin may take to doubt one service's settings.
const VALIDATE: Duration = Duration::from_secs(5);

/// A configuration that may become the wanted one.
pub(crate) struct Prepared {
    pub(crate) specs: BTreeMap<ServiceName, Spec>,
    pub(crate) written: BTreeMap<ServiceName, Written>,
    pub(crate) plugins: PluginTable,
    pub(crate) max_parallel: u32,
    pub(crate) starting: Starting,
    pub(crate) only: Option<Vec<ServiceName>>,
    pub(crate) missing: Vec<MissingPlugin>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads a request, loads the plugins it names, and lets them doubt what concerns them.
///
/// # Errors
/// The document cannot be read at all; mistakes that plugins find are in the answer.
pub(crate) async fn prepare(plugins: &Arc<Plugins>, request: ApplyRequest) -> Result<Prepared, Failure> {
    let base_dir = Path::new(&request.base_dir);
    if !base_dir.is_absolute() {
        return Err(Failure::new(Code::Invalid, format!("`base_dir` is `{}`, and must be an absolute path", request.base_dir)));
    }
    let mut read = config::read(&request.document).map_err(Failure::config)?;
    let mut problems = Vec::new();
    if read.settings.listen.is_some() {
        let problem =
            Problem::new("/settings/listen", "this host answers on its unix socket only: it would need tokens to be safe on TCP, and has none yet");
        problems.push(problem.hint("remove `listen`; `hostler --state-dir DIR …` finds the socket"));
    }
    let only = chosen(request.services, &read, &mut problems)?;
    let table = plugins.prepare(&read.plugins, read.settings.built_in_plugins.as_deref(), base_dir, &mut problems).await;
    let mut missing: BTreeMap<String, MissingPlugin> = BTreeMap::new();
    let names: Vec<ServiceName> = read.services.keys().cloned().collect();
    for name in names {
        let places = Places::of(&read, &name);
        let Some(spec) = read.services.get_mut(name.as_str()) else { continue };
        doubt_backend(spec, &table, base_dir, &places, &mut problems, &mut missing).await;
        doubt_checks(spec, &table, base_dir, &places, &mut problems, &mut missing).await;
        for path in spec.secrets.values_mut() {
            *path = config::absolute(path, base_dir).to_string_lossy().into_owned();
        }
        spec.task_digest = config::task_digest(spec);
    }
    failpoint!("host.apply.prepared");
    Ok(Prepared {
        specs: read.services,
        written: read.written.iter().map(|(name, value)| (name.clone(), Written::from(value))).collect(),
        plugins: table,
        max_parallel: read.settings.max_parallel,
        starting: match (request.start, request.start_stopped) {
            (false, _) => Starting::Nothing,
            (true, false) => Starting::New,
            (true, true) => Starting::AtRest,
        },
        only,
        missing: missing.into_values().collect(),
        problems,
    })
}

fn chosen(services: Option<Vec<String>>, read: &config::Config, problems: &mut Vec<Problem>) -> Result<Option<Vec<ServiceName>>, Failure> {
    let Some(services) = services.filter(|services| !services.is_empty()) else { return Ok(None) };
    let mut names = Vec::new();
    for text in services {
        let name = ServiceName::new(&text).map_err(|why| Failure::new(Code::Invalid, why))?;
        if !read.services.contains_key(&name) {
            problems.push(Problem::new("/services", format!("there is no service `{name}` to start")));
        }
        names.push(name);
    }
    Ok(Some(names))
}

/// Where the parts of one service are in the user's document.
struct Places {
    service: String,
    checks: Vec<String>,
}

impl Places {
    fn of(read: &config::Config, name: &ServiceName) -> Places {
        let count = read.services.get(name.as_str()).map_or(0, |spec| spec.checks.len());
        Places {
            service: format!("/services/{}", pointer_key(name.as_str())),
            checks: (0..count).map(|index| read.check_place(name.as_str(), index).unwrap_or_default()).collect(),
        }
    }
}

async fn doubt_backend(
    spec: &mut Spec,
    table: &PluginTable,
    base_dir: &Path,
    places: &Places,
    problems: &mut Vec<Problem>,
    missing: &mut BTreeMap<String, MissingPlugin>,
) {
    let at = format!("{}/backend", places.service);
    let name = spec.backend.plugin.clone();
    let Some(plugin) = find(table, &name, "backend", &spec.name, &at, problems, missing) else { return };
    let Some(backend) = plugin.backend() else {
        problems.push(Problem::new(format!("{at}/type"), format!("plugin `{name}` is a health check, not a backend")));
        return;
    };
    let mut found = settle(&plugin, &mut spec.backend.settings, base_dir);
    if found.is_empty() {
        let call = Call::within(VALIDATE).about(spec.name.as_str());
        found = backend.validate(call, &spec.backend.settings).await.map_or_else(|error| vec![trouble(&error)], problems_of);
    }
    problems.extend(found.into_iter().map(|problem| below(&at, problem)));
}

async fn doubt_checks(
    spec: &mut Spec,
    table: &PluginTable,
    base_dir: &Path,
    places: &Places,
    problems: &mut Vec<Problem>,
    missing: &mut BTreeMap<String, MissingPlugin>,
) {
    let service = spec.name.clone();
    for (check, at) in spec.checks.iter_mut().zip(&places.checks) {
        let Some(plugin) = find(table, &check.plugin, "health check", &service, at, problems, missing) else { continue };
        let Some(health_check) = plugin.health_check() else {
            problems.push(Problem::new(format!("{at}/type"), format!("plugin `{}` is a backend, not a health check", check.plugin)));
            continue;
        };
        let mut found = settle(&plugin, &mut check.settings, base_dir);
        if found.is_empty() {
            let call = Call::within(VALIDATE).about(service.as_str());
            found = health_check.validate(call, &check.settings).await.map_or_else(|error| vec![trouble(&error)], problems_of);
        }
        problems.extend(found.into_iter().map(|problem| below(at, problem)));
    }
}

/// Fills in what the plugin's schema says, and holds the settings against it.
fn settle(plugin: &Plugin, settings: &mut String, base_dir: &Path) -> Vec<Problem> {
    let mut value: Value = serde_json::from_str(settings).unwrap_or_default();
    let schema = &plugin.description().settings_schema;
    config::settle_types(&mut value, schema);
    config::resolve_paths(&mut value, schema, base_dir);
    let found = problems_of(plugin.validate_settings(&value));
    if found.is_empty() {
        *settings = config::canonical(&plugin.with_defaults(&value));
    }
    found
}

fn problems_of(problems: Vec<hostler_wasm::words::Problem>) -> Vec<Problem> {
    problems.into_iter().map(|problem| Problem { at: problem.at, message: problem.message, hint: problem.hint }).collect()
}

fn trouble(error: &hostler_wasm::CallError) -> Problem {
    Problem::new("", format!("the plugin could not check this: {error}"))
}

fn below(at: &str, problem: Problem) -> Problem {
    Problem { at: format!("{at}{}", problem.at), ..problem }
}

fn find(
    table: &PluginTable,
    name: &str,
    role: &str,
    service: &ServiceName,
    at: &str,
    problems: &mut Vec<Problem>,
    missing: &mut BTreeMap<String, MissingPlugin>,
) -> Option<Arc<Plugin>> {
    match table.get(name) {
        Ok(plugin) => Some(plugin),
        Err(why) => {
            let entry = missing.entry(name.to_owned()).or_insert_with(|| MissingPlugin {
                name: name.to_owned(),
                used_by: Vec::new(),
                reason: why.reason.clone(),
                hint: why.hint.clone(),
            });
            if !entry.used_by.iter().any(|other| other == service.as_str()) {
                entry.used_by.push(service.to_string());
            }
            let message = if why.refused {
                format!("{role} plugin `{name}` cannot be used: {}", why.reason)
            } else {
                format!("there is no {role} plugin `{name}`")
            };
            problems.push(Problem { at: format!("{at}/type"), message, hint: Some(why.hint) });
            None
        }
    }
}

/// What applying would do.
pub(crate) fn plan(desk: &Desk, prepared: &Prepared, applied: bool) -> Plan {
    let core = &desk.core;
    let now: BTreeMap<ServiceName, &Spec> = core.names().filter_map(|name| Some((name.clone(), core.wanted(name.as_str())?.spec.as_ref()))).collect();
    let differences = |name: &ServiceName| now.get(name).zip(prepared.specs.get(name)).map(|(before, after)| config::differences(before, after));
    let changes = hostler_core::plan(&now, &prepared.specs).into_iter().map(|change| PlannedChange {
        reasons: differences(&change.service).unwrap_or_default(),
        service: change.service.to_string(),
        change: match change.kind {
            ChangeKind::Create => Change::Create,
            ChangeKind::UpdateLive => Change::UpdateLive,
            ChangeKind::Recreate => Change::Recreate,
            ChangeKind::Remove => Change::Remove,
            ChangeKind::Unchanged => Change::Unchanged,
        },
    });
    Plan {
        version: Shape,
        applied,
        generation: desk.generation,
        last_event: desk.last_event,
        changes: changes.collect(),
        missing_plugins: prepared.missing.clone(),
        problems: prepared.problems.clone(),
    }
}

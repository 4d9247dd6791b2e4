//! From a document to specs that can be wanted: read, plugins asked, paths made absolute, every doubt raised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_api::config::{Alerting, Discovery, Listen, Telemetry, Way};
use hostler_api::{ApplyRequest, Change, Code, Failure, MissingPlugin, Plan, PlannedChange, Shape, config};
use hostler_core::{ChangeKind, Problem, ServiceName, Spec, Starting, Wanted, WorkspaceName, pointer_key};
use hostler_failpoint::failpoint;
use hostler_wasm::{Ability, Call, Plugin};
use serde_json::Value;

use crate::desk::Desk;
use crate::front;
use crate::ledger::Written;
use crate::plugins::{PluginTable, Plugins};
use crate::secrets;
use crate::speak;
use crate::workspaces::{self, Workspaces};

/// How long a plugin may take to doubt one service's settings.
const VALIDATE: Duration = Duration::from_secs(5);

/// A configuration that may become the wanted one.
pub(crate) struct Prepared {
    /// Whose; only that of `default` says more than services.
    pub(crate) workspace: WorkspaceName,
    pub(crate) specs: BTreeMap<ServiceName, Spec>,
    pub(crate) written: BTreeMap<ServiceName, Written>,
    pub(crate) plugins: PluginTable,
    /// Name and file.
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) max_parallel: u32,
    /// What services beside the document have of it.
    pub(crate) common: config::Common,
    /// What is looked for on engines, by backend.
    pub(crate) discovery: BTreeMap<String, Discovery>,
    /// The TCP door.
    pub(crate) listen: Option<Listen>,
    /// Where traces go.
    pub(crate) telemetry: Option<Telemetry>,
    /// Who is told of what.
    pub(crate) alerting: Alerting,
    pub(crate) starting: Starting,
    pub(crate) only: Option<Vec<ServiceName>>,
    pub(crate) missing: Vec<MissingPlugin>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads a request, loads the plugins it names, and lets them doubt what concerns them.
///
/// # Errors
/// The document cannot be read at all; mistakes that plugins find are in the answer.
pub(crate) async fn prepare(
    plugins: &Arc<Plugins>,
    workspaces: &Workspaces,
    workspace: WorkspaceName,
    request: ApplyRequest,
) -> Result<Prepared, Failure> {
    let base_dir = Path::new(&request.base_dir);
    if !base_dir.is_absolute() {
        return Err(Failure::new(Code::Invalid, format!("`base_dir` is `{}`, and must be an absolute path", request.base_dir)));
    }
    let mut read = config::read(&request.document).map_err(Failure::config)?;
    let mut problems = Vec::new();
    // Whose document it is comes first: nobody else has a door, and no file is opened for what is refused.
    let listen = read.settings.listen.take().filter(|_| workspace.is_default()).map(|listen| listening(listen, base_dir, &mut problems));
    let alerting = alerting(std::mem::take(&mut read.alerting), base_dir);
    let mut telemetry = read.settings.telemetry.take();
    telemetry.iter_mut().flat_map(|telemetry| &mut telemetry.ca).for_each(|ca| *ca = config::absolute(ca, base_dir).to_string_lossy().into_owned());
    let only = chosen(request.services, &read, &mut problems)?;
    let table = if workspace.is_default() {
        plugins.prepare(&read.plugins, read.settings.built_in_plugins.as_deref(), base_dir, &mut problems).await
    } else {
        problems.extend(workspaces::doubt_document(&request.document));
        plugins.table()
    };
    let refused = workspaces.doubt_services(&workspace, &read, &table)?;
    // What it may not use is not asked.
    let missing = if refused.is_empty() { doubt(&mut read, &table, base_dir, &mut problems).await } else { Vec::new() };
    problems.extend(refused);
    let (read, only) = (read.within(&workspace), only.map(|names| names.iter().map(|name| name.within(&workspace)).collect()));
    failpoint!("host.apply.prepared");
    Ok(Prepared {
        written: written(&read),
        specs: read.services,
        plugins: table,
        secrets: secrets::absolute(read.secrets, base_dir),
        max_parallel: read.settings.max_parallel,
        common: read.common,
        discovery: read.discovery,
        listen,
        telemetry,
        alerting,
        starting: match (request.start, request.start_stopped) {
            (false, _) => Starting::Nothing,
            (true, false) => Starting::New,
            (true, true) => Starting::AtRest,
        },
        only,
        missing,
        problems,
        workspace,
    })
}

/// A door whose certificates, as named from anywhere, can be used.
fn listening(mut listen: Listen, base_dir: &Path, problems: &mut Vec<Problem>) -> Listen {
    if let Some(tls) = &mut listen.tls {
        for file in [&mut tls.certificate, &mut tls.key].into_iter().chain(&mut tls.client_ca) {
            *file = config::absolute(file, base_dir).to_string_lossy().into_owned();
        }
        problems.extend(front::doubt(tls));
    }
    listen
}

/// Sinks whose files are named from anywhere. A program without a slash in its name is looked for where programs are.
fn alerting(mut alerting: Alerting, base_dir: &Path) -> Alerting {
    let absolute = |path: &mut String| *path = config::absolute(path, base_dir).to_string_lossy().into_owned();
    for sink in alerting.sinks.values_mut() {
        match &mut sink.way {
            Way::Webhook { secret_file, ca, .. } => secret_file.iter_mut().chain(ca).for_each(absolute),
            Way::Command { command } => command.iter_mut().take(1).filter(|program| program.contains('/')).for_each(absolute),
            Way::Log => {}
        }
    }
    alerting
}

/// Lets the plugins doubt what concerns them, and makes what they need of it absolute; the plugins that are not there.
pub(crate) async fn doubt(read: &mut config::Config, table: &PluginTable, base_dir: &Path, problems: &mut Vec<Problem>) -> Vec<MissingPlugin> {
    let mut missing: BTreeMap<String, MissingPlugin> = BTreeMap::new();
    let names: Vec<ServiceName> = read.services.keys().cloned().collect();
    for name in names {
        let places = Places::of(read, &name);
        let Some(spec) = read.services.get_mut(name.as_str()) else { continue };
        doubt_backend(spec, table, base_dir, &places, problems, &mut missing).await;
        doubt_checks(spec, table, base_dir, &places, problems, &mut missing).await;
        for path in spec.secrets.values_mut() {
            *path = config::absolute(path, base_dir).to_string_lossy().into_owned();
        }
        spec.task_digest = config::task_digest(spec);
        let live = table.get(&spec.backend.plugin).ok().filter(|plugin| plugin.abilities().contains(&Ability::Update));
        spec.fixed_digest = live.map(|plugin| config::fixed_digest(spec, &plugin.description().settings_schema));
    }
    missing.into_values().collect()
}

/// Each service as it was written.
pub(crate) fn written(read: &config::Config) -> BTreeMap<ServiceName, Written> {
    read.written.iter().map(|(name, value)| (name.clone(), Written::from(value))).collect()
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
        let call = Call::within(VALIDATE).about(spec.name.as_str()).of(spec.name.workspace());
        found = backend.validate(call, &imagined(&plugin, &spec.backend.settings)).await.map_or_else(|error| vec![trouble(&error)], problems_of);
    }
    problems.extend(found.into_iter().map(|problem| below(&at, problem)));
    problems.extend(doubt_signal(spec, &plugin, &places.service).await);
}

/// A signal that its backend cannot send would only show when the service is stopped.
async fn doubt_signal(spec: &Spec, plugin: &Plugin, service: &str) -> Option<Problem> {
    let signal = spec.stop.signal.as_ref()?;
    let backend = plugin.backend().filter(|_| plugin.abilities().contains(&Ability::Signals))?;
    let call = Call::within(VALIDATE).about(spec.name.as_str()).of(spec.name.workspace());
    let supported = backend.supported_signals(call).await.ok().filter(|supported| !supported.contains(signal))?;
    let problem = Problem::new(format!("{service}/stop/signal"), format!("backend `{}` cannot send `{signal}`", plugin.name()));
    Some(problem.hint(format!("it can send {}", supported.join(", "))))
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
            let call = Call::within(VALIDATE).about(service.as_str()).of(service.workspace());
            found = health_check.validate(call, &imagined(&plugin, &check.settings)).await.map_or_else(|error| vec![trouble(&error)], problems_of);
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
    let mut tried = value.clone();
    // What cannot be filled in was refused when the document was read.
    config::fill_all(&mut tried, &config::stand_in).ok();
    config::settle_types(&mut tried, schema);
    let found = problems_of(plugin.validate_settings(&tried));
    if found.is_empty() {
        *settings = config::canonical(&plugin.with_defaults(&value));
    }
    found
}

/// Settings with an endpoint that could be in the place of each that will be.
pub(crate) fn imagined(plugin: &Plugin, settings: &str) -> String {
    if !config::refers(settings) {
        return settings.to_owned();
    }
    let mut value: Value = serde_json::from_str(settings).unwrap_or_default();
    config::fill_all(&mut value, &config::stand_in).ok();
    config::settle_types(&mut value, &plugin.description().settings_schema);
    config::canonical(&value)
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

/// A spec to compare: what its plugins call secrets differs where they do, and is not in it.
fn concealed(spec: &Spec, plugins: &PluginTable) -> Spec {
    let mut spec = spec.clone();
    let backend = (&spec.backend.plugin, &mut spec.backend.settings);
    for (plugin, settings) in spec.checks.iter_mut().map(|check| (&check.plugin, &mut check.settings)).chain([backend]) {
        if let Ok(plugin) = plugins.get(plugin)
            && plugin.has_secrets()
        {
            *settings = config::canonical(&plugin.conceal(&serde_json::from_str(settings).unwrap_or_default()));
        }
    }
    spec
}

/// What making it the wanted configuration changes of the services of its workspace.
pub(crate) fn wanted_after(desk: &Desk, prepared: &Prepared) -> Vec<(ServiceName, Option<Wanted>)> {
    let Prepared { workspace, specs, starting, only, .. } = prepared;
    let chosen = only.as_ref().map(|names| with_required(names, specs));
    let of_document = specs.iter().filter_map(|(name, spec)| {
        let before = desk.core.wanted(name.as_str());
        let starting = if chosen.as_ref().is_none_or(|chosen| chosen.contains(name)) { *starting } else { Starting::Nothing };
        let after = Wanted::applied(before, Arc::new(spec.clone()), desk.core.status(name.as_str()), starting);
        (before != Some(&after)).then(|| (name.clone(), Some(after)))
    });
    let is_left_out = |name: &&ServiceName| name.workspace() == workspace.as_str() && !desk.origins.contains_key(*name) && !specs.contains_key(*name);
    of_document.chain(desk.core.names().filter(is_left_out).map(|name| (name.clone(), None))).collect()
}

fn with_required(names: &[ServiceName], specs: &BTreeMap<ServiceName, Spec>) -> BTreeSet<ServiceName> {
    let graph = hostler_core::Graph::new(specs.values());
    graph.with_dependencies(names.to_vec(), |from, to| {
        specs.get(from).is_some_and(|spec| spec.dependencies.iter().any(|edge| edge.service == *to && !edge.optional))
    })
}

/// May it change this, beside what others have asked for, and within what its workspace may have?
///
/// # Errors
/// The first reason why not.
pub(crate) fn refuse(desk: &Desk, prepared: &Prepared, changes: &[(ServiceName, Option<Wanted>)]) -> Result<(), Failure> {
    desk.refuse_others(prepared.specs.keys())?;
    desk.refuse_needed(&changes.iter().filter(|(_, wanted)| wanted.is_none()).map(|(name, _)| name).collect())?;
    desk.doubt_quotas(changes)
}

/// What applying would do.
pub(crate) fn plan(desk: &Desk, prepared: &Prepared, applied: bool) -> Plan {
    let core = &desk.core;
    let of_document = speak::names(desk, Some(&prepared.workspace)).filter(|name| !desk.origins.contains_key(*name));
    let now: BTreeMap<ServiceName, &Spec> = of_document.filter_map(|name| Some((name.clone(), core.wanted(name.as_str())?.spec.as_ref()))).collect();
    let differences = |name: &ServiceName| {
        let (before, after) = now.get(name).zip(prepared.specs.get(name))?;
        Some(config::differences(&concealed(before, &prepared.plugins), &concealed(after, &prepared.plugins)))
    };
    let changes = hostler_core::plan(&now, &prepared.specs).into_iter().map(|change| PlannedChange {
        reasons: differences(&change.service).unwrap_or_default(),
        service: change.service.local().to_owned(),
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
        refused: if applied || !prepared.problems.is_empty() { None } else { refuse(desk, prepared, &wanted_after(desk, prepared)).err() },
    }
}

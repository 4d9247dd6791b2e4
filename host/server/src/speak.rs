//! What the desk knows, in the words of the wire.

use std::collections::BTreeMap;

use hostler_api::{
    CheckNow, CheckResult, CheckState, Code, Counters, Explanation, Failure, Graph, Health, HealthReport, History, HistoryQuery, HostInfo,
    KeeperInfo, Need, NextStep, Plugin, PluginCounts, PluginDetail, PluginList, PluginRevision, PluginState, Replica, ReplicaCounts, Role, Service,
    ServiceDetail, ServiceHealth, ServiceList, Shape, Status, Upgraded, Uptime, Wanted,
};
use hostler_core::{CheckView, Dependency, Desired, Next, ReplicaView, Run, Sample, ServiceName, ServiceView, Spec, Time, WorkspaceName, closest};
use hostler_wasm::words::Status as Seen;

use crate::clock;
use crate::desk::Desk;
use crate::plugins::{Revision, Slot};

/// Nobody asked for a service of that name. Of other workspaces nothing is said, not even by a hint.
pub(crate) fn not_found(desk: &Desk, name: &str) -> Failure {
    let (workspace, name) = name.split_once('.').unwrap_or((WorkspaceName::DEFAULT, name));
    let near = closest(name, desk.core.names().filter(|other| other.workspace() == workspace).map(ServiceName::local));
    let failure = Failure::new(Code::NotFound, format!("there is no service `{}`", name.escape_default()));
    match near {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`hostler ps` shows every service"),
    }
}

fn next(desk: &Desk, next: &Next) -> NextStep {
    let in_ms = next.at.map(|at| at.since(clock::now().max(desk.core.now())).0);
    NextStep { what: next.what.clone(), at: next.at.map(clock::wall), in_ms }
}

fn wanted(view: &ServiceView<'_>) -> Wanted {
    match view.desired {
        // It is wanted as soon as it is there again.
        Some(Desired::Running | Desired::Absent) => Wanted::Running,
        Some(Desired::Stopped) => Wanted::Stopped,
        None => Wanted::Removed,
    }
}

fn pid(desk: &Desk, run: Option<Run>) -> Option<u32> {
    desk.attribute(run?, "pid")?.parse().ok()
}

/// The workspace of a service, where it has to be told.
fn foreign(name: &ServiceName) -> Option<String> {
    Some(name.workspace()).filter(|workspace| *workspace != WorkspaceName::DEFAULT).map(str::to_owned)
}

/// One line of a list.
pub(crate) fn service(desk: &Desk, view: &ServiceView<'_>) -> Service {
    let spec = view.spec;
    let name = spec.name.as_str();
    let first = view.replicas.first();
    let up = |part: &&ReplicaView<'_>| matches!(part.status, Status::Running | Status::Unhealthy);
    let count = |test: &dyn Fn(&&ReplicaView<'_>) -> bool| u32::try_from(view.replicas.iter().filter(test).count()).unwrap_or(u32::MAX);
    let since = first.and_then(|part| part.since);
    let latest = |pick: &dyn Fn(&ReplicaView<'_>) -> Option<Time>| view.replicas.iter().filter_map(pick).max();
    Service {
        name: spec.name.local().to_owned(),
        workspace: foreign(&spec.name),
        display_name: spec.display_name.clone(),
        kind: spec.kind,
        category: spec.category,
        critical: spec.critical,
        enabled: spec.enabled,
        backend: spec.backend.plugin.clone(),
        wanted: wanted(view),
        stopped_by_hand: view.desired == Some(Desired::Stopped),
        status: view.status,
        health: view.health,
        cause: view.cause.first().map(|cause| locally(desk, &spec.name, cause)),
        settled: desk.core.is_settled(name),
        next: view.next.as_ref().map(|step| next(desk, step)),
        generation: view.generation,
        layer: view.layer,
        replicas: ReplicaCounts {
            wanted: view.count,
            min: spec.replicas.min,
            max: spec.replicas.max,
            running: count(&up),
            healthy: count(&|part| up(part) && (part.checks.is_empty() || part.health == Health::Healthy)),
        },
        pid: first.and_then(|part| pid(desk, part.run)),
        started_at: since.map(clock::wall),
        uptime_ms: since.map(|since| clock::now().since(since).0),
        startup_time_ms: first.and_then(|part| desk.startup_ms.get(&(spec.name.clone(), part.replica)).copied()),
        restart_count: view.replicas.iter().map(|part| part.restarts).sum(),
        restart_attempts: view.replicas.iter().map(|part| part.attempts).max().unwrap_or(0),
        max_restart_attempts: spec.restart.max_attempts,
        failure_count: view.replicas.iter().map(|part| part.failures).sum(),
        last_restart_at: latest(&|part| part.last_restart).map(clock::wall),
        last_failure_at: latest(&|part| part.last_failure).map(clock::wall),
        last_error: view.replicas.iter().find_map(|part| part.last_error).map(str::to_owned),
    }
}

/// What people of a workspace are told: they call their services by the names that these have there.
fn locally(desk: &Desk, of: &ServiceName, text: &str) -> String {
    let Some(workspace) = foreign(of).map(|workspace| format!("{workspace}.")) else { return text.to_owned() };
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./@".contains(c);
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&workspace) {
        let (before, found) = rest.split_at(at);
        let end = found[workspace.len()..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
            .map_or(found.len(), |end| end + workspace.len());
        let is_name = !before.ends_with(is_part) && desk.core.service(&found[..end]).is_some();
        told.push_str(before);
        told.push_str(if is_name { &found[workspace.len()..end] } else { &found[..end] });
        rest = &found[end..];
    }
    told + rest
}

/// The services that are meant: of this workspace, or of every one.
pub(crate) fn names<'a>(desk: &'a Desk, whose: Option<&'a WorkspaceName>) -> impl Iterator<Item = &'a ServiceName> {
    desk.core.names().filter(move |name| whose.is_none_or(|workspace| name.workspace() == workspace.as_str()))
}

/// Every service of this workspace, or of every one where there is none; or those of `names`.
pub(crate) fn list(desk: &Desk, whose: Option<&WorkspaceName>, chosen: Option<&[ServiceName]>) -> Result<ServiceList, Failure> {
    let mut services = Vec::new();
    match chosen {
        Some(chosen) => {
            for name in chosen {
                let view = desk.core.service(name.as_str()).ok_or_else(|| not_found(desk, name.as_str()))?;
                services.push(service(desk, &view));
            }
        }
        None => services.extend(names(desk, whose).filter_map(|name| desk.core.service(name.as_str())).map(|view| service(desk, &view))),
    }
    let whose = whose.map(WorkspaceName::as_str);
    Ok(ServiceList {
        version: Shape,
        settled: services.iter().all(|service| service.settled),
        ready: is_ready_in(desk, whose),
        composite_health: desk.core.composite_health_in(whose),
        last_event: desk.last_event,
        next: None,
        services,
    })
}

pub(crate) fn is_ready(desk: &Desk) -> bool {
    is_ready_in(desk, None)
}

pub(crate) fn is_ready_in(desk: &Desk, workspace: Option<&str>) -> bool {
    desk.core.is_initialized() && desk.core.is_ready_in(workspace) && !desk.shutting_down
}

/// Are they settled? What is gone is settled.
pub(crate) fn settled(desk: &Desk, names: &[ServiceName]) -> bool {
    names.iter().all(|name| desk.core.is_settled(name.as_str()))
}

/// How much of the past is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// The last results of each check.
    Told,
    /// Nothing.
    LeftOut,
}

/// One service in detail; what it uses is added by whoever asks its backend.
pub(crate) fn detail(desk: &Desk, name: &str, past: Past) -> Option<ServiceDetail> {
    let view = desk.core.service(name)?;
    let checks = view.replicas.iter().flat_map(|part| part.checks.iter().enumerate().map(move |(index, check)| (part, index, check)));
    Some(ServiceDetail {
        version: Shape,
        service: service(desk, &view),
        because: view.cause.iter().map(|cause| locally(desk, &view.spec.name, cause)).collect(),
        labels: view.spec.labels.clone(),
        dependencies: view.spec.dependencies.iter().map(local_edge).collect(),
        dependents: desk.core.graph().dependents(name).map(|name| name.local().to_owned()).collect(),
        replicas: view.replicas.iter().map(|part| replica(desk, &view, part)).collect(),
        checks: checks.map(|(part, index, check)| check_state(desk, &view, part, index, check, past)).collect(),
    })
}

fn local_edge(edge: &Dependency) -> Dependency {
    Dependency { service: edge.service.within(&WorkspaceName::default()), ..edge.clone() }
}

fn replica(desk: &Desk, view: &ServiceView<'_>, part: &ReplicaView<'_>) -> Replica {
    let seen: Option<&Seen> = part.run.and_then(|run| desk.seen.get(&run));
    let exited_at = part.previous.and_then(|run| match &desk.seen.get(&run)?.phase {
        hostler_wasm::words::Phase::Exited(exit) => exit.at,
        _ => None,
    });
    Replica {
        replica: part.replica,
        run: part.run.unwrap_or(0),
        task_id: part.run.map(|run| desk.task_id(&view.spec.name, part.replica, run)),
        status: part.status,
        health: part.health,
        cause: part.last_error.map(str::to_owned),
        pid: pid(desk, part.run),
        started_at: part.since.map(clock::wall),
        uptime_ms: part.since.map(|since| clock::now().since(since).0),
        restart_attempts: part.attempts,
        restart_count: part.restarts,
        last_exit: part.last_exit.map(|exit| hostler_api::Exit {
            code: exit.code,
            signal: exit.signal.clone(),
            out_of_memory: exit.out_of_memory,
            at: exited_at.map(hostler_api::Timestamp),
            reason: exit.reason.clone(),
        }),
        endpoints: seen.map(endpoints).unwrap_or_default(),
        attributes: seen.map(attributes).unwrap_or_default(),
        usage: None,
    }
}

/// By name; what is said several times (two limits that could not be applied) stands side by side.
fn attributes(seen: &Seen) -> BTreeMap<String, String> {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &seen.attributes {
        match by_name.get_mut(name) {
            Some(before) => *before = format!("{before}; {value}"),
            None => drop(by_name.insert(name.clone(), value.clone())),
        }
    }
    by_name
}

fn endpoints(seen: &Seen) -> Vec<hostler_api::Endpoint> {
    let one = |endpoint: &hostler_wasm::words::Endpoint| hostler_api::Endpoint {
        name: endpoint.name.clone(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        protocol: endpoint.protocol.clone(),
    };
    seen.endpoints.iter().map(one).collect()
}

fn check_state(desk: &Desk, view: &ServiceView<'_>, part: &ReplicaView<'_>, index: usize, check: &CheckView<'_>, past: Past) -> CheckState {
    let spec = &view.spec.checks[index];
    let samples = if past == Past::Told { &check.history[..] } else { &[] };
    CheckState {
        check: check.name.to_owned(),
        replica: part.replica,
        plugin: check.plugin.to_owned(),
        health: check.health,
        interval_ms: spec.interval.0,
        timeout_ms: spec.timeout.0,
        failure_threshold: spec.failure_threshold,
        recovery_threshold: spec.recovery_threshold,
        auto_recovery: spec.auto_recovery,
        consecutive_failures: check.failures,
        consecutive_passes: check.successes,
        next_in_ms: check.next_at.map(|at| at.since(clock::now()).0),
        uptime: uptime(check),
        history: samples.iter().map(|sample| result(desk, view, part.replica, check, sample)).collect(),
    }
}

fn uptime(check: &CheckView<'_>) -> Uptime {
    let percent = |permille: Option<u32>| permille.map(|permille| f64::from(permille) / 10.0);
    let [hour, day, week] = check.uptime_permille;
    Uptime { uptime_1h: percent(hour), uptime_24h: percent(day), uptime_7d: percent(week) }
}

fn result(desk: &Desk, view: &ServiceView<'_>, replica: u32, check: &CheckView<'_>, sample: &Sample) -> CheckResult {
    let newest = check.history.last().is_some_and(|last| last.at == sample.at);
    let key = (view.spec.name.clone(), replica, check.name.to_owned());
    CheckResult {
        service_name: view.spec.name.local().to_owned(),
        check: check.name.to_owned(),
        replica,
        verdict: sample.verdict,
        status: sample.health,
        timestamp: clock::wall(sample.at),
        message: sample.message.to_string(),
        details: if newest { desk.details.get(&key).cloned().unwrap_or_default() } else { BTreeMap::new() },
        #[expect(clippy::cast_precision_loss, reason = "a check takes far less than 2^52 ms")]
        response_time_ms: Some(sample.took.0 as f64),
    }
}

/// What the checks of one service have said.
///
/// # Errors
/// It is not there, or has no such check.
pub(crate) fn history(desk: &Desk, name: &str, asked: &HistoryQuery) -> Result<History, Failure> {
    let detail = detail(desk, name, Past::Told).ok_or_else(|| not_found(desk, name))?;
    if let Some(check) = asked.check.as_deref() {
        let spec = desk.core.service(name).map(|view| view.spec);
        let own: Vec<&str> = spec.iter().flat_map(|spec| &spec.checks).map(|own| own.name.as_str()).collect();
        if !own.contains(&check) {
            let failure = Failure::new(Code::NotFound, format!("`{}` has no check `{}`", detail.service.name, check.escape_default()));
            return Err(if own.is_empty() { failure.hint("it has none at all") } else { failure.hint(format!("it has {}", own.join(", "))) });
        }
    }
    let is_meant = |result: &CheckResult| {
        asked.check.as_deref().is_none_or(|check| check == result.check)
            && asked.replica.is_none_or(|replica| replica == result.replica)
            && asked.verdict.is_none_or(|verdict| verdict == result.verdict)
    };
    let mut results: Vec<CheckResult> = detail.checks.into_iter().flat_map(|state| state.history).filter(is_meant).collect();
    results.sort_by_key(|result| result.timestamp);
    results.drain(..results.len().saturating_sub(asked.limit.unwrap_or(usize::MAX)));
    Ok(History { version: Shape, service: detail.service.name, health: detail.service.health, results })
}

/// What the checks of these services have said since then.
pub(crate) fn results_since(desk: &Desk, whose: &WorkspaceName, names: &[ServiceName], since: Time) -> CheckNow {
    let mut now = CheckNow {
        version: Shape,
        timestamp: hostler_api::Timestamp(clock::wall_ms()),
        composite_health: desk.core.composite_health_in(Some(whose.as_str())),
        results: Vec::new(),
        not_checked: Vec::new(),
    };
    for view in names.iter().filter_map(|name| desk.core.service(name.as_str())) {
        let before = now.results.len();
        let mut is_late = false;
        for part in view.replicas.iter().filter(|part| part.run.is_some()) {
            for check in &part.checks {
                match check.history.last().filter(|sample| sample.at >= since) {
                    Some(sample) => now.results.push(result(desk, &view, part.replica, check, sample)),
                    None => is_late = true,
                }
            }
        }
        if is_late || now.results.len() == before {
            now.not_checked.push(view.spec.name.local().to_owned());
        }
    }
    now
}

/// Is something of these up whose checks have not all said something since then? Of what nobody can ask, nothing is to be expected.
pub(crate) fn is_awaiting_checks(desk: &Desk, names: &[ServiceName], since: Time) -> bool {
    running_checks(desk, names).any(|check| check.history.last().is_none_or(|sample| sample.at < since))
}

/// The checks of replicas that run: those that can be asked.
pub(crate) fn running_checks<'a>(desk: &'a Desk, names: &'a [ServiceName]) -> impl Iterator<Item = CheckView<'a>> {
    let is_up = |part: &ReplicaView<'_>| {
        matches!(part.status, Status::Starting | Status::Running | Status::Unhealthy) && part.run.is_some_and(|run| desk.handles.contains_key(&run))
    };
    let replicas = names.iter().filter_map(|name| desk.core.service(name.as_str())).flat_map(|view| view.replicas);
    replicas.filter(is_up).flat_map(|part| part.checks)
}

/// How well everything is.
pub(crate) fn health_report(desk: &Desk, whose: &WorkspaceName) -> HealthReport {
    let mut services = BTreeMap::new();
    for name in names(desk, Some(whose)) {
        let Some(view) = desk.core.service(name.as_str()) else { continue };
        let checks: Vec<(u32, &CheckView<'_>)> =
            view.replicas.iter().flat_map(|part| part.checks.iter().map(move |check| (part.replica, check))).collect();
        let last =
            checks.iter().filter_map(|(replica, check)| Some((*replica, *check, *check.history.last()?))).max_by_key(|(_, _, sample)| sample.at);
        let worst = checks.iter().map(|(_, check)| uptime(check)).reduce(|a, b| Uptime {
            uptime_1h: least(a.uptime_1h, b.uptime_1h),
            uptime_24h: least(a.uptime_24h, b.uptime_24h),
            uptime_7d: least(a.uptime_7d, b.uptime_7d),
        });
        let entry = ServiceHealth {
            status: view.health,
            last_check: last.map(|(replica, check, sample)| result(desk, &view, replica, check, sample)),
            consecutive_failures: checks.iter().map(|(_, check)| check.failures).max().unwrap_or(0),
            uptime: worst.unwrap_or_default(),
        };
        services.insert(name.local().to_owned(), entry);
    }
    let with = |wanted: Health| services.iter().filter(|(_, entry)| entry.status == wanted).map(|(name, _)| name.clone()).collect();
    HealthReport {
        version: Shape,
        composite_health: desk.core.composite_health_in(Some(whose.as_str())),
        ready: is_ready_in(desk, Some(whose.as_str())),
        unhealthy_services: with(Health::Unhealthy),
        degraded_services: with(Health::Degraded),
        services,
    }
}

fn least(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Who starts after whom.
pub(crate) fn graph(desk: &Desk, whose: &WorkspaceName) -> Graph {
    let views: Vec<_> = names(desk, Some(whose)).filter_map(|name| desk.core.service(name.as_str())).collect();
    if whose.is_default() {
        return Graph::of(views.iter().map(|view| view.spec));
    }
    let local = |view: &ServiceView<'_>| Spec {
        name: view.spec.name.within(&WorkspaceName::default()),
        dependencies: view.spec.dependencies.iter().map(local_edge).collect(),
        ..view.spec.clone()
    };
    let specs: Vec<Spec> = views.iter().map(local).collect();
    Graph::of(&specs)
}

/// Why a service is as it is.
pub(crate) fn explanation(desk: &Desk, name: &str) -> Option<Explanation> {
    let view = desk.core.service(name)?;
    let name = view.spec.name.local();
    let hint = match view.status {
        Status::Failed => Some(format!("hostler restart --force {name}")),
        Status::Stopped if view.desired == Some(Desired::Running) && view.count == 0 => Some(format!("hostler scale {name} 1")),
        Status::Stopped => Some(format!("hostler start {name}")),
        _ => None,
    };
    let timed = view.next.as_ref().filter(|step| step.at.is_some() || hint.is_none());
    Some(Explanation {
        version: Shape,
        service: name.to_owned(),
        wanted: wanted(&view),
        status: view.status,
        health: view.health,
        because: view.cause.iter().map(|cause| locally(desk, &view.spec.name, cause)).collect(),
        next: timed.map(|step| next(desk, step)),
        scaling: desk.core.scaling(view.spec.name.as_str()),
        hint,
    })
}

/// The host itself, with the services of this workspace, or of every one.
pub(crate) fn host(desk: &Desk, whose: Option<&WorkspaceName>) -> HostInfo {
    let mut services: BTreeMap<Status, usize> = BTreeMap::new();
    for name in names(desk, whose) {
        *services.entry(desk.core.status(name.as_str())).or_default() += 1;
    }
    let table = desk.plugins.table();
    let mut plugins = PluginCounts::default();
    let theirs = table.slots.iter().filter(|(name, _)| whose.is_none_or(|whose| may_use(desk, whose, name)));
    for (_, slot) in theirs {
        match &slot.state {
            Ok(_) => plugins.ok += 1,
            Err(why) if why.refused => plugins.refused += 1,
            Err(_) => plugins.missing += 1,
        }
    }
    let greeting = desk.keeper.greeting();
    HostInfo {
        version: Shape,
        hostler_version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        state_dir: desk.state_dir.display().to_string(),
        owner: desk.owner.clone(),
        started_at: clock::wall(desk.started_at),
        uptime_ms: clock::now().since(desk.started_at).0,
        initialized: desk.core.is_initialized(),
        ready: is_ready_in(desk, whose.map(WorkspaceName::as_str)),
        shutting_down: desk.shutting_down,
        composite_health: desk.core.composite_health_in(whose.map(WorkspaceName::as_str)),
        services,
        generation: desk.generation,
        last_event: desk.last_event,
        keeper: KeeperInfo {
            running: greeting.is_some(),
            pid: greeting.as_ref().map(|greeting| greeting.pid),
            keeper_version: greeting.as_ref().map(|greeting| greeting.version.clone()),
            limits: greeting.as_ref().map(|greeting| greeting.cgroup.usable),
            limits_note: greeting.as_ref().map(|greeting| greeting.cgroup.why.clone()),
        },
        plugins,
        listening: desk.front.told(),
    }
}

/// Every plugin that this workspace may use.
pub(crate) fn plugins(desk: &Desk, whose: &WorkspaceName) -> PluginList {
    let table = desk.plugins.table();
    let slots = table.slots.iter().filter(|(name, _)| may_use(desk, whose, name));
    PluginList { version: Shape, plugins: slots.map(|(name, slot)| plugin_in(desk, whose, name, slot)).collect() }
}

fn may_use(desk: &Desk, whose: &WorkspaceName, plugin: &str) -> bool {
    desk.workspaces.get(whose.as_str()).is_some_and(|record| record.may_use(plugin))
}

/// What those of a workspace are told of a plugin: what it is, and nothing of what it does for others or of the host around it.
fn plugin_in(desk: &Desk, whose: &WorkspaceName, name: &str, slot: &Slot) -> Plugin {
    let told = plugin(desk, whose, name, slot);
    if whose.is_default() {
        return told;
    }
    let origin = if slot.origin() == "built-in" { told.origin } else { "the host's".to_owned() };
    Plugin {
        origin,
        reason: told.reason.map(|_| "the host's people know why".to_owned()),
        hint: None,
        grants: BTreeMap::new(),
        engine: None,
        counters: Counters::default(),
        health: hostler_api::PluginHealth::default(),
        upgraded: None,
        note: None,
        ..told
    }
}

/// One plugin, if this workspace may use it.
pub(crate) fn plugin_detail(desk: &Desk, whose: &WorkspaceName, name: &str) -> Option<PluginDetail> {
    let table = desk.plugins.table();
    let slot = table.slots.get(name).filter(|_| may_use(desk, whose, name))?;
    let description = slot.state.as_ref().ok().map(|plugin| plugin.description());
    Some(PluginDetail {
        version: Shape,
        plugin: plugin_in(desk, whose, name, slot),
        config_schema: description.map(|description| description.config_schema.clone()),
        settings_schema: description.map(|description| description.settings_schema.clone()),
    })
}

fn plugin(desk: &Desk, whose: &WorkspaceName, name: &str, slot: &Slot) -> Plugin {
    let loaded = slot.state.as_ref().ok();
    let why = slot.state.as_ref().err();
    let quarantine = desk.plugins.quarantine(name);
    let (grants, default_grants) = desk.plugins.grants_of(name, slot);
    let uses = |spec: &hostler_core::Spec| spec.backend.plugin == name || spec.checks.iter().any(|check| check.plugin == name);
    let used_by = names(desk, Some(whose)).filter(|service| desk.core.service(service.as_str()).is_some_and(|view| uses(view.spec)));
    let limits =
        loaded.and_then(|plugin| serde_json::to_value(plugin.limits()).ok()).and_then(|value| value.as_object().cloned()).unwrap_or_default();
    let counts = loaded.map(|plugin| plugin.counts());
    Plugin {
        name: name.to_owned(),
        role: loaded.map(|plugin| match plugin.role() {
            hostler_wasm::Role::Backend => Role::Backend,
            hostler_wasm::Role::HealthCheck => Role::HealthCheck,
        }),
        plugin_version: loaded.map(|plugin| plugin.description().version.clone()),
        summary: loaded.map(|plugin| plugin.description().summary.clone()),
        origin: slot.origin(),
        state: match why {
            None if slot.named.leaving => PluginState::Leaving,
            None if quarantine.is_some() => PluginState::Quarantined,
            None => PluginState::Ok,
            Some(why) if why.refused => PluginState::Refused,
            Some(_) => PluginState::Missing,
        },
        reason: why.map(|why| why.reason.clone()).or_else(|| quarantine.map(|(why, _)| why)),
        hint: why.map(|why| why.hint.clone()),
        digest: loaded.map(|plugin| format!("blake3:{}", plugin.digest())),
        revision: loaded.map(|plugin| plugin.revision().to_owned()),
        abilities: loaded.map(|plugin| plugin.abilities().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        imports: loaded.map(|plugin| plugin.permissions()).unwrap_or_default(),
        needs: loaded
            .map(|plugin| plugin.description().needs.iter().map(|(what, why)| Need { what: what.clone(), why: why.clone() }).collect())
            .unwrap_or_default(),
        grants,
        default_grants,
        engine: desk.engines.of(name),
        limits: limits.into_iter().filter_map(|(key, value)| Some((key, value.as_u64()?))).collect(),
        counters: counts.map_or_else(Counters::default, |counts| Counters {
            calls: counts.calls,
            traps: counts.traps,
            timeouts: counts.timeouts,
            denied: counts.denied,
        }),
        used_by: used_by.map(|service| service.local().to_owned()).collect(),
        health: desk.plugins.health(name),
        upgraded: slot.chosen.as_ref().map(|choice| Upgraded {
            watched: choice.watched,
            over: format!("blake3:{}", choice.over),
            before: choice.before.iter().map(revision).collect(),
        }),
        note: slot.note.clone(),
    }
}

/// One component, as it travels.
pub(crate) fn revision(revision: &Revision) -> PluginRevision {
    PluginRevision { digest: format!("blake3:{}", revision.digest), plugin_version: revision.version.clone(), origin: revision.origin.clone() }
}

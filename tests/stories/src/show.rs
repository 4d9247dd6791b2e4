//! What a step shows: calls, notices, statuses that changed, and what somebody looks at.

use std::collections::BTreeMap;

use hostler_core::{Action, Category, CheckView, Notice, Problem, ReplicaView, ServiceName, Span, Spec, Time};

use crate::world::{Entry, What, World};

/// A step that shows more lines than this shows its beginning and its end.
const MOST: usize = 40;
/// A line is no longer than this.
const WIDEST: usize = 240;

/// Calls and notices in order, with the time since the step began; looks, listings and checks are counted.
pub(crate) fn journal(entries: Vec<Entry>, began: Time) -> Vec<String> {
    let (mut lines, mut counts) = (Vec::new(), [0_u32; 3]);
    for entry in &entries {
        let after = entry.at.since(began);
        let when = if after == Span::ZERO { String::new() } else { format!("+{after} ") };
        match &entry.what {
            What::Told(notice) => lines.push(format!("{when}told {}", told(notice))),
            What::Asked(_, Action::Check { .. }) => counts[0] += 1,
            What::Asked(_, Action::Look { .. }) => counts[1] += 1,
            What::Asked(_, Action::List { .. }) => counts[2] += 1,
            What::Asked(call, action) => lines.push(format!("{when}{call}{}", details(action))),
        }
    }
    let mut lines = shortened(lines);
    let words = ["check", "look", "listing"];
    let counted = counts.iter().zip(words).filter(|(count, _)| **count > 0);
    let counted: Vec<String> = counted.map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" })).collect();
    if !counted.is_empty() {
        lines.push(format!("asked: {}", counted.join(", ")));
    }
    lines
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > MOST {
        let cut = MOST / 2..lines.len() - MOST / 4;
        let left_out = format!("... {} more ...", cut.len());
        lines.splice(cut, [left_out]);
    }
    lines
}

fn details(action: &Action) -> String {
    match action {
        Action::Start { run, .. } => format!(": run {run}"),
        Action::Update { run, .. } => format!(": run {run}"),
        Action::Stop { run, signal, grace, .. } => {
            let signal = signal.as_ref().map_or(String::new(), |signal| format!(" by {signal}"));
            format!(": run {run}{signal}, within {grace}")
        }
        Action::Destroy { run, force, .. } => format!(": run {run}{}", if *force { ", even alive" } else { "" }),
        Action::Look { .. } | Action::List { .. } | Action::Check { .. } | Action::Save(_) | Action::Tell(_) => String::new(),
    }
}

fn told(notice: &Notice) -> String {
    let replica = notice.replica.filter(|replica| *replica > 0).map_or(String::new(), |replica| format!(".{replica}"));
    format!("{}{replica} {}: {}", notice.service, kebab(&format!("{:?}", notice.kind)), notice.message)
}

/// `HealthChanged` as it is on the wire: `health-changed`.
fn kebab(word: &str) -> String {
    let mut out = String::new();
    for (at, letter) in word.char_indices() {
        if letter.is_uppercase() && at > 0 {
            out.push('-');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The services whose status or health is another than when it was last told.
pub(crate) fn changes(world: &World, seen: &mut BTreeMap<ServiceName, String>) -> Vec<String> {
    let now: BTreeMap<ServiceName, String> = world.core.names().map(|name| (name.clone(), state(world, name.as_str()))).collect();
    let changed: Vec<(&ServiceName, &String)> = now.iter().filter(|(name, state)| seen.get(*name) != Some(state)).collect();
    let mut lines: Vec<String> = changed.iter().map(|(name, state)| format!("{name} is {state}")).collect();
    if lines.len() > MOST {
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        changed.iter().for_each(|(_, state)| *counts.entry(state).or_default() += 1);
        lines = counts.iter().map(|(state, count)| format!("{count} are {state}")).collect();
    }
    lines.extend(seen.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is not there any more")));
    *seen = now;
    lines
}

fn state(world: &World, name: &str) -> String {
    let checked = world.core.service(name).is_some_and(|view| !view.spec.checks.is_empty());
    if checked { format!("{}, {}", world.status(name), world.health(name)) } else { world.status(name).to_owned() }
}

pub(crate) fn problem(problem: Problem) -> String {
    let hint = problem.hint.map_or(String::new(), |hint| format!(" ({hint})"));
    cut(&format!("refused at {}: {}{hint}", problem.at, problem.message))
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDEST {
        return line.to_owned();
    }
    let (head, tail): (String, Vec<char>) = (line.chars().take(WIDEST / 2).collect(), line.chars().rev().take(WIDEST / 2).collect());
    format!("{head} ... {}", tail.into_iter().rev().collect::<String>())
}

/// All services, in one word each.
pub(crate) fn statuses(world: &World) -> Vec<String> {
    shortened(world.core.names().map(|name| format!("{name} is {}", state(world, name.as_str()))).collect())
}

/// The services of one category.
pub(crate) fn category(world: &World, word: &str) -> Vec<String> {
    let of = |spec: &Spec| match spec.category {
        Category::Infrastructure => "infrastructure",
        Category::Ai => "ai",
        Category::Monitoring => "monitoring",
        Category::Application => "application",
    };
    let names = world.core.names().filter(|name| world.core.service(name.as_str()).is_some_and(|view| of(view.spec) == word));
    let names: Vec<&str> = names.map(ServiceName::as_str).collect();
    vec![if names.is_empty() { "none".to_owned() } else { names.join(", ") }]
}

/// Who starts with whom.
pub(crate) fn layers(world: &World) -> Vec<String> {
    let layers = world.core.graph().layers();
    let names = |layer: &Vec<ServiceName>| layer.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
    shortened(layers.iter().enumerate().map(|(at, layer)| cut(&format!("{at}: {}", names(layer)))).collect())
}

/// What is said of all services together.
pub(crate) fn whole(world: &World) -> Vec<String> {
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let core = &world.core;
    vec![
        format!("ready {}, initialized {}, health {}", yes(core.is_ready()), yes(core.is_initialized()), core.composite_health().as_str()),
        format!("closed {}", yes(core.is_closed())),
    ]
}

/// All that is known of a service.
pub(crate) fn service(world: &World, name: &str) -> Vec<String> {
    let Some(view) = world.core.service(name) else { return vec![world.status(name).to_owned()] };
    let wanted = view.desired.map_or("removed".to_owned(), |desired| format!("{desired:?}").to_lowercase());
    let mut lines = vec![format!("{}; wanted {wanted}, generation {}", state(world, name), view.generation)];
    view.replicas.iter().for_each(|replica| lines.extend(shown(world, replica)));
    lines
}

fn shown(world: &World, replica: &ReplicaView<'_>) -> Vec<String> {
    let ago = |at: Option<Time>| at.map_or("never".to_owned(), |at| format!("{} ago", world.now.since(at)));
    let run = replica.run.map_or("no run".to_owned(), |run| format!("run {run} since {}", world.now.since(replica.since.unwrap_or(world.now))));
    let previous = replica.previous.map_or(String::new(), |run| format!(", run {run} kept"));
    let mut lines = vec![
        format!("replica {}: {}, {run}{previous}", replica.replica, replica.status.as_str()),
        format!("  {} in a row, {} restarts (last {})", replica.attempts, replica.restarts, ago(replica.last_restart)),
        format!("  {} failures (last {})", replica.failures, ago(replica.last_failure)),
    ];
    lines.extend(replica.last_exit.map(|exit| format!("  last exit: {exit}")));
    lines.extend(replica.last_error.map(|error| format!("  last error: {error}")));
    lines.extend(replica.checks.iter().map(|check| checked(world, check)));
    lines
}

fn checked(world: &World, check: &CheckView<'_>) -> String {
    let share = |permille: Option<u32>| permille.map_or("unknown".to_owned(), |permille| format!("{}.{}%", permille / 10, permille % 10));
    let uptime: Vec<String> = check.uptime_permille.iter().map(|permille| share(*permille)).collect();
    let next = check.next_at.map_or("not planned".to_owned(), |at| format!("in {}", at.since(world.now)));
    let last = check.history.last().map_or(String::new(), |sample| format!(", the last `{}` in {}", sample.message, sample.took));
    format!(
        "  check {}: {}, {} failures and {} passes in a row, {} results kept{last}, up {}, next {next}",
        check.name,
        check.health.as_str(),
        check.failures,
        check.successes,
        check.history.len(),
        uptime.join(" / ")
    )
}

/// What the store keeps.
pub(crate) fn saved(world: &World) -> Vec<String> {
    let store = &world.store;
    let mut lines = vec![format!("next run {}", store.next_run)];
    lines.extend(store.wanted.iter().map(|(name, wanted)| {
        let enabled = if wanted.spec.enabled { "" } else { ", disabled" };
        format!("{name} wanted {}{enabled}", format!("{:?}", wanted.desired).to_lowercase())
    }));
    lines.extend(store.tasks.iter().map(|(run, task)| format!("run {run} of {}: {}", task.service, kebab(&format!("{:?}", task.stage)))));
    lines.extend(store.slots.iter().map(|((name, replica), slot)| {
        let parked = slot.failed.as_ref().map_or(String::new(), |reason| format!(", failed: {reason}"));
        let memory = &slot.memory;
        format!(
            "slot {replica} of {name}: {} in a row, {} restarts, {} failures, {} checks{parked}",
            memory.attempts,
            memory.restarts,
            memory.failures,
            slot.checks.len()
        )
    }));
    shortened(lines)
}

/// What engines have.
pub(crate) fn engines(world: &World) -> Vec<String> {
    let tasks = world.engines.iter().flat_map(|(name, engine)| engine.tasks.iter().map(move |(run, phase)| format!("{name} run {run}: {phase:?}")));
    let lines: Vec<String> = tasks.collect();
    if lines.is_empty() { vec!["nothing".to_owned()] } else { shortened(lines) }
}

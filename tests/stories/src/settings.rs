//! Services as a story writes them: the world's short form, with settings in parentheses behind a name.

use hostler_core::{Autoscale, Category, CheckSpec, RestartMode, Span, Spec};

use crate::world::specs;

/// Reads `db+@docker(attempts 5, grace 10s); app <- db`.
///
/// # Errors
/// What cannot be read.
pub(crate) fn services(text: &str) -> Result<Vec<Spec>, String> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(service).collect()
}

fn service(text: &str) -> Result<Spec, String> {
    let Some((before, rest)) = text.split_once('(') else { return one(text) };
    let (settings, after) = rest.split_once(')').ok_or_else(|| format!("`{text}` opens a parenthesis and does not close it"))?;
    let mut spec = one(&format!("{before}{after}"))?;
    change(&mut spec, settings)?;
    Ok(spec)
}

fn one(text: &str) -> Result<Spec, String> {
    specs(text).pop().ok_or_else(|| format!("`{text}` is no service"))
}

/// Changes a spec by settings with commas between them: `replicas 3, grace 5s`.
///
/// # Errors
/// What cannot be read.
pub(crate) fn change(spec: &mut Spec, settings: &str) -> Result<(), String> {
    settings.split(',').map(str::trim).try_for_each(|setting| set(spec, setting))
}

fn set(spec: &mut Spec, setting: &str) -> Result<(), String> {
    let (key, value) = setting.split_once(' ').unwrap_or((setting, ""));
    match key {
        "replicas" => {
            spec.replicas.count = number(value)?;
            spec.replicas.max = spec.replicas.max.max(spec.replicas.count);
        }
        "target" => {
            let policy = Autoscale { cpu_permille: Some(number(value)? * 10), ..Autoscale::default() };
            spec.replicas.autoscale = Some(policy);
        }
        "at-least" => spec.replicas.min = number(value)?,
        "at-most" => spec.replicas.max = number(value)?,
        "enabled" => spec.enabled = yes(value)?,
        "critical" => spec.critical = yes(value)?,
        "category" => spec.category = category(value)?,
        "version" => {
            spec.task_digest = value.to_owned();
            spec.fixed_digest = spec.fixed_digest.take().map(|_| value.to_owned());
        }
        // Its backend changes it while it runs; where it had none before, no backend said so.
        "memory" => {
            let mebibytes = number(value)?;
            let fixed = spec.fixed_digest.take().unwrap_or_else(|| spec.task_digest.clone());
            spec.resources.memory_bytes = Some(u64::from(mebibytes) << 20);
            spec.task_digest = format!("{fixed}, memory {mebibytes}");
            spec.fixed_digest = Some(fixed);
        }
        "edges" => spec.dependencies = one(&format!("{} <- {value}", spec.name))?.dependencies,
        "restart" => spec.restart.mode = mode(value)?,
        "attempts" => spec.restart.max_attempts = if value == "unlimited" { None } else { Some(number(value)?) },
        "first-wait" => spec.restart.initial = Span::parse(value)?,
        "longest-wait" => spec.restart.max = Span::parse(value)?,
        "waits-grow" => spec.restart.factor_permille = if yes(value)? { 2_000 } else { 1_000 },
        "jitter" => spec.restart.jitter_permille = number(value)?,
        "stable-after" => spec.restart.reset_after = Span::parse(value)?,
        "signal" => spec.stop.signal = Some(value.to_owned()),
        "grace" => spec.stop.grace = Span::parse(value)?,
        "check" => spec.checks.push(CheckSpec::new(value, "http", "{}")),
        "interval" => spec.checks.iter_mut().try_for_each(|check| Span::parse(value).map(|span| check.interval = span))?,
        "start-period" => spec.checks.iter_mut().try_for_each(|check| Span::parse(value).map(|span| check.start_period = span))?,
        "failures" => spec.checks.iter_mut().try_for_each(|check| number(value).map(|count| check.failure_threshold = count))?,
        "passes" => spec.checks.iter_mut().try_for_each(|check| number(value).map(|count| check.recovery_threshold = count))?,
        "recovery" => spec.checks.iter_mut().try_for_each(|check| yes(value).map(|yes| check.auto_recovery = yes))?,
        other => return Err(format!("`{other}` is no setting")),
    }
    Ok(())
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("`{other}` is neither yes nor no")),
    }
}

fn mode(text: &str) -> Result<RestartMode, String> {
    match text {
        "always" => Ok(RestartMode::Always),
        "on-failure" => Ok(RestartMode::OnFailure),
        "never" => Ok(RestartMode::Never),
        other => Err(format!("`{other}` is no restart mode")),
    }
}

fn category(text: &str) -> Result<Category, String> {
    match text {
        "infrastructure" => Ok(Category::Infrastructure),
        "ai" => Ok(Category::Ai),
        "monitoring" => Ok(Category::Monitoring),
        "application" => Ok(Category::Application),
        other => Err(format!("`{other}` is no category")),
    }
}

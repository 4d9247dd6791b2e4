//! What a file promises before anything is run.

use std::sync::Arc;

use hostler_wasm::words::Role;
use serde_json::{Value, json};

use crate::case::{Kept, ensure, failed, not_applicable};
use crate::script::Script;
use crate::stand::{Stand, World, example};

pub(crate) async fn component(world: &World) -> Kept {
    let loaded = match world.grants().await {
        Ok(grants) => world.stand_with(grants).await.map(drop),
        Err(error) => Err(error),
    };
    loaded.or_else(|error| failed(error.to_string()))
}

pub(crate) async fn schemas(world: &World) -> Kept {
    let stand = world.stand().await?;
    let Some(example) = world.subject.settings.clone().or_else(|| example(&stand.plugin)) else {
        return failed(
            "its schema has no `examples`, and no --settings were given: there is nothing to try it with. Put one task that runs until it is stopped (or one check) into `examples` of the schema",
        );
    };
    let problems = stand.plugin.validate_settings(&stand.plugin.with_defaults(&example));
    ensure!(problems.is_empty(), "its schema refuses the settings {example}: {}", told(&problems));
    let problems = validated(&stand, &example).await?;
    ensure!(problems.is_empty(), "validate refuses the settings {example}: {}", told(&problems));
    Ok(())
}

fn told(problems: &[hostler_wasm::words::Problem]) -> String {
    problems.iter().map(|problem| hostler_wasm::ProblemText(problem).to_string()).collect::<Vec<_>>().join("; ")
}

async fn validated(stand: &Stand, settings: &Value) -> Result<Vec<hostler_wasm::words::Problem>, crate::case::Stop> {
    let settings = stand.plugin.with_defaults(settings).to_string();
    let answer = match stand.plugin.role() {
        Role::Backend => stand.backend().validate(stand.call(), &settings).await,
        Role::HealthCheck => stand.health_check().validate(stand.call(), &settings).await,
    };
    answer.or_else(|error| failed(format!("validate failed: {error}")))
}

pub(crate) async fn needs(world: &World) -> Kept {
    let stand = world.stand().await?;
    let wanted = world.capabilities().await.or_else(|error| failed(error.to_string()))?;
    let description = stand.plugin.description();
    for capability in &wanted {
        let declared = description.needs.iter().any(|(what, _)| names(what, capability.name()));
        ensure!(
            declared,
            "it imports `{capability}` and does not declare it: add `{capability}`, with the reason, to the needs that describe answers"
        );
    }
    for (what, why) in &description.needs {
        // directories are no import of their own: every guest of a POSIX kind has the interface
        let imported = names(what, "filesystem") || wanted.iter().any(|capability| names(what, capability.name()));
        ensure!(imported, "it says it needs `{what}` and imports nothing of the kind");
        ensure!(!why.trim().is_empty(), "it gives no reason for needing `{what}`");
    }
    Ok(())
}

/// A need is a capability, and perhaps a pattern behind it.
fn names(need: &str, capability: &str) -> bool {
    need.split(|letter: char| letter.is_whitespace() || letter == ':').next().is_some_and(|word| word.replace('_', "-") == capability)
}

/// The first load says what it is; loads at other times and with another configuration's worth of clocks say the same.
pub(crate) async fn describe(world: &World) -> Kept {
    let stand = world.stand().await?;
    let function = if stand.plugin.role() == Role::Backend { "backend.describe" } else { "health-check.describe" };
    let called = stand.script.impurities(function);
    ensure!(called.is_empty(), "describe uses {}", called.join(", "));
    let grants = world.grants().await.or_else(|error| failed(error.to_string()))?;
    let first = json!(stand.plugin.description());
    for shift in [0, YEAR, -YEAR] {
        let script = Arc::new(Script::default());
        script.shift_clocks(shift);
        let again = world.load("described-again", grants.clone(), &script).await.or_else(|error| failed(error.to_string()))?;
        let second = json!(again.description());
        ensure!(first == second, "describe says something else the next time: {}", difference(&first, &second));
    }
    Ok(())
}

/// Seconds.
pub(crate) const YEAR: i64 = 366 * 24 * 3600;

fn difference(first: &Value, second: &Value) -> String {
    let differs = first.as_object().into_iter().flatten().find(|(key, value)| second.get(key.as_str()) != Some(value));
    differs.map_or_else(|| "some key is new".to_owned(), |(key, value)| format!("`{key}` is {value} and then {}", second[key]))
}

pub(crate) async fn unknown_keys(world: &World) -> Kept {
    let stand = world.stand().await?;
    let mut settings = stand.settings.clone();
    let Some(object) = settings.as_object_mut() else { return not_applicable("its settings are no object") };
    object.insert(UNKNOWN.to_owned(), json!("x"));
    let place = format!("/{UNKNOWN}");
    let by_schema = stand.plugin.validate_settings(&settings);
    let by_itself = validated(&stand, &settings).await?;
    let refused = |problems: &[hostler_wasm::words::Problem]| problems.iter().any(|problem| problem.at == place);
    ensure!(
        refused(&by_schema) || refused(&by_itself),
        "neither its schema nor validate refuses the unknown key at {place}: write \"additionalProperties\": false into the schema, or refuse it in validate"
    );
    Ok(())
}

const UNKNOWN: &str = "no-such-key-anywhere";

pub(crate) async fn validate(world: &World) -> Kept {
    let stand = world.stand().await?;
    let function = if stand.plugin.role() == Role::Backend { "backend.validate" } else { "health-check.validate" };
    let first = validated(&stand, &stand.settings.clone()).await?;
    stand.script.shift_clocks(YEAR);
    let second = validated(&stand, &stand.settings.clone()).await?;
    ensure!(first == second, "validate says something else the next time");
    let called = stand.script.impurities(function);
    ensure!(called.is_empty(), "validate uses {}", called.join(", "));
    let garbage = "{\"a\":";
    let answer = match stand.plugin.role() {
        Role::Backend => stand.backend().validate(stand.call(), garbage).await,
        Role::HealthCheck => stand.health_check().validate(stand.call(), garbage).await,
    };
    match answer {
        Ok(problems) if problems.is_empty() => failed("validate accepts settings that are no JSON"),
        Ok(_) => Ok(()),
        Err(error) => failed(format!("validate breaks on settings that are no JSON: {error}")),
    }
}

//! Grants and secrets.

use hostler_wasm::words::Role;
use hostler_wasm::{CallError, Grants, LoadError};
use serde_json::{Value, json};

use super::lifecycle::{engine_imports, is_up};
use super::{broke, is_fault, kind, phase};
use crate::case::{Kept, Stop, ensure, failed, not_applicable};
use crate::cases::checks;
use crate::script::{Act, Which, errors};
use crate::stand::{CANARY, Stand, World};

pub(crate) async fn secrets(world: &World) -> Kept {
    let stand = world.stand().await?;
    let description = stand.plugin.description();
    for schema in [&description.settings_schema, &description.config_schema] {
        let with_default: Vec<&str> = secret_keys(schema).into_iter().filter(|key| schema["properties"][*key].get("default").is_some()).collect();
        ensure!(with_default.is_empty(), "the schema has a default for the secret `{}`", with_default.join("`, `"));
    }
    let secret = secret_keys(&description.settings_schema);
    let asks = stand.plugin.permissions().iter().any(|import| import.starts_with("hostler:host/secrets"));
    if secret.is_empty() && !asks {
        return not_applicable("no setting is marked x-secret, and it asks for no secret");
    }
    let mut settings = stand.settings.clone();
    for key in &secret {
        settings[*key] = json!(CANARY);
    }
    if !stand.plugin.validate_settings(&settings).is_empty() {
        return not_applicable(format!("its schema does not take the suite's text for the secret `{}`", secret.join("`, `")));
    }
    let shown = if stand.plugin.role() == Role::Backend { of_backend(&stand, &settings).await? } else { of_check(&stand, &settings).await };
    for (place, text) in shown {
        ensure!(!text.contains(CANARY), "a secret of the settings stands in {place}");
    }
    let lines = world.heard.lines.lock().expect("no code panics while it holds this lock").clone();
    let told = lines.iter().find(|line| line.message.contains(CANARY) || line.fields.values().any(|value| value.contains(CANARY)));
    ensure!(told.is_none(), "a secret of the settings stands in a log line");
    Ok(())
}

fn secret_keys(schema: &Value) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let marked = properties.into_iter().flatten().filter(|(_, property)| property.get("x-secret") == Some(&json!(true)));
    marked.map(|(key, _)| key.as_str()).collect()
}

/// Every text that leaves the plugin, with and without trouble.
async fn of_backend(stand: &Stand, settings: &Value) -> Result<Vec<(&'static str, String)>, Stop> {
    if let Err(Stop::NotApplicable(why)) = can_run(stand) {
        return not_applicable(why);
    }
    let task = hostler_wasm::words::Task { settings: settings.to_string(), ..stand.task() };
    let handle = stand.start(&task).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut shown = vec![("the handle", text(&handle.state))];
    shown.push(("a status", json!(stand.look(&handle).await?).to_string()));
    shown.push((
        "what list answers",
        json!(stand.list().await?.iter().map(|found| json!([found.status, text(&found.handle.state)])).collect::<Vec<_>>()).to_string(),
    ));
    let imports = engine_imports(stand);
    stand.destroy(&handle, true).await?;
    for import in imports {
        for (_, error) in errors(&import) {
            stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, Act::Answer(error));
            let task = hostler_wasm::words::Task { settings: settings.to_string(), ..stand.task() };
            if let Err(error) = stand.backend().start(stand.call(), &task).await {
                shown.push(("a fault", error.to_string()));
            }
            stand.script.clear();
        }
    }
    Ok(shown)
}

fn can_run(stand: &Stand) -> Kept {
    if stand.plays_elsewhere() { not_applicable("its engine is not one that is played here; try it with --against real") } else { Ok(()) }
}

async fn of_check(stand: &Stand, settings: &Value) -> Vec<(&'static str, String)> {
    let mut shown = Vec::new();
    for target in [checks::Aim::good(stand), checks::Aim::bad(stand)] {
        let target = target.with(settings);
        for code in [0, 1] {
            match target.judge(stand, code).await {
                Ok(report) => shown.push(("a report", json!(report).to_string())),
                Err(error) => shown.push(("a fault", error.to_string())),
            }
        }
    }
    shown
}

/// Without a capability it does not load, and says which; with the capability and nothing allowed in it, calls are denied.
pub(crate) async fn least_privilege(world: &World) -> Kept {
    let needed = world.capabilities().await.or_else(|error| failed(error.to_string()))?;
    if needed.is_empty() {
        return not_applicable("it needs no capability");
    }
    let granted = json!(world.grants().await.or_else(|error| failed(error.to_string()))?);
    for capability in &needed {
        let mut fewer = granted.clone();
        let removed = fewer.as_object_mut().and_then(|grants| grants.remove(capability.name()));
        ensure!(removed.is_some(), "`{capability}` is imported and not among the grants {granted}");
        match world.stand_with(read(&fewer)?).await {
            Err(LoadError::NotGranted { missing, .. }) if missing == [*capability] => {}
            Err(other) => return failed(format!("without `{capability}` it does not load, and not because of the grant: {other}")),
            Ok(_) => return failed(format!("without `{capability}`, which it imports, it loads")),
        }
        let mut nothing = granted.clone();
        nothing[capability.name()] = emptied(&nothing[capability.name()]);
        if nothing == granted {
            continue;
        }
        let stand = match world.stand_with(read(&nothing)?).await {
            Ok(stand) => stand,
            // a grant that allows nothing is refused as a mistake of the operator's: no call is made
            Err(LoadError::Grant { .. }) => continue,
            Err(error) => return failed(format!("with nothing allowed in `{capability}`: {error}")),
        };
        denied_cleanly(&stand, capability.name()).await?;
    }
    let stand = world.stand().await?;
    if stand.plugin.role() == Role::Backend && can_run(&stand).is_ok() {
        let (_, handle) = stand.started().await?;
        let status = stand.look(&handle).await?;
        ensure!(is_up(&status), "with what it needs granted, a task is {}", phase(&status));
        stand.destroy(&handle, true).await?;
    }
    Ok(())
}

fn read(grants: &Value) -> Result<Grants, Stop> {
    serde_json::from_value(grants.clone()).or_else(|error| failed(format!("the grants {grants} cannot be read: {error}")))
}

/// The same grant with nothing in its lists.
fn emptied(grant: &Value) -> Value {
    match grant {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), if value.is_array() { json!([]) } else { value.clone() })).collect())
        }
        other => other.clone(),
    }
}

/// Either it does without, or it says denied.
async fn denied_cleanly(stand: &Stand, capability: &str) -> Kept {
    let how = format!("with nothing allowed in `{capability}`");
    let answer: Result<(), CallError> = if stand.plugin.role() == Role::Backend {
        match stand.backend().start(stand.call(), &stand.task()).await {
            Ok(handle) => return stand.destroy(&handle, true).await,
            Err(error) => Err(error),
        }
    } else {
        match checks::Aim::good(stand).judge(stand, 0).await {
            Ok(report) if report.verdict == hostler_wasm::words::Verdict::Fail => {
                return failed(format!("{how}, the verdict is fail; it is the checker that lacks something: say denied, or unknown"));
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    };
    match answer {
        Ok(()) => Ok(()),
        Err(error) if is_fault(&error, &["denied"]) => Ok(()),
        Err(error) => failed(format!("{how}, it fails with `{error}`, expected denied")),
    }
}

fn refusal(import: &str) -> Value {
    errors(import).into_iter().find(|(name, _)| *name == "denied").expect("every import can be denied").1
}

/// Each import of each call is denied, one after the other.
pub(crate) async fn denied(world: &World) -> Kept {
    let stand = world.stand().await?;
    if stand.plugin.role() == Role::HealthCheck {
        return checks::under(&stand, &|import| vec![("denied", Act::Answer(refusal(import)))], stand.patience()).await;
    }
    let stand = world.backend().await?;
    let (_, handle) = stand.started().await?;
    stand.destroy(&handle, true).await?;
    for import in engine_imports(&stand) {
        let (_, handle) = stand.started().await?;
        stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, Act::Answer(refusal(&import)));
        let backend = stand.backend();
        let answers = [
            ("start", backend.start(stand.call(), &stand.task()).await.map(drop)),
            ("inspect", backend.inspect(stand.call(), std::slice::from_ref(&handle)).await.map(drop)),
            ("stop", backend.stop(stand.call(), &handle, None, 50).await.map(drop)),
            ("destroy", backend.destroy(stand.call(), &handle, true).await),
            ("list", backend.list(stand.call()).await.map(drop)),
        ];
        stand.script.clear();
        for found in stand.list().await? {
            stand.destroy(&found.handle, true).await?;
        }
        for (what, answer) in answers {
            let Err(error) = answer else { continue };
            ensure!(!broke(&error), "when {import} is denied, {what} breaks: {error}");
            let said = error.fault().map_or("no fault", kind);
            ensure!(said == "denied", "when {import} is denied, {what} fails with `{error}`, expected denied");
        }
    }
    Ok(())
}

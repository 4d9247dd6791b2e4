//! Engines that answer badly.

use std::time::Duration;

use hostler_wasm::words::{Handle, Phase, Role};
use hostler_wasm::{Ability, Call, CallError};
use serde_json::{Value, json};

use super::lifecycle::engine_imports;
use super::{broke, is_fault, phase, unbroken};
use crate::case::{Kept, Stop, ensure, failed, not_applicable};
use crate::cases::checks;
use crate::script::{self, Act, Which, can_fail};
use crate::stand::{Stand, World};

/// Makes every kind of call once, as well as it goes, and says which broke the plugin.
async fn every_call(stand: &Stand, handle: &Handle, deadline: Duration) -> Vec<(&'static str, CallError)> {
    let backend = stand.backend();
    let call = Call::within(deadline).about("conformance");
    let one = std::slice::from_ref(handle);
    let mut answers = vec![
        ("fingerprint", backend.fingerprint(call).await.err()),
        ("start", backend.start(call, &stand.task()).await.err()),
        ("inspect", backend.inspect(call, one).await.err()),
        ("list", backend.list(call).await.err()),
    ];
    for ability in stand.plugin.abilities() {
        match ability {
            Ability::Logs => answers.push(("logs.read", backend.read_logs(call, handle, None, None, 64 << 10).await.err())),
            Ability::Stats => answers.push(("stats.measure", backend.measure(call, one).await.err())),
            Ability::Signals => answers.push(("signals.send", backend.send_signal(call, handle, "SIGHUP").await.err())),
            Ability::Discovery => answers.push(("discovery.survey", backend.survey(call).await.err())),
            Ability::Exec | Ability::Scale | Ability::Update | Ability::Handles => {}
        }
    }
    answers.push(("stop", backend.stop(call, handle, None, 50).await.err()));
    answers.push(("destroy", backend.destroy(call, handle, true).await.err()));
    answers.into_iter().filter_map(|(name, error)| Some((name, error?))).filter(|(_, error)| broke(error)).collect()
}

/// The imports of every call, seen by making each once.
async fn imports(stand: &Stand) -> Result<Vec<String>, Stop> {
    let (_, handle) = stand.started().await?;
    every_call(stand, &handle, stand.patience()).await;
    tidy(stand).await?;
    Ok(engine_imports(stand))
}

async fn tidy(stand: &Stand) -> Kept {
    stand.script.clear();
    for found in stand.list().await? {
        stand.destroy(&found.handle, true).await?;
    }
    Ok(())
}

/// What is done to an import, with the words for it.
pub(crate) type Acts<'a> = dyn Fn(&str) -> Vec<(&'static str, Act)> + 'a;

/// Tries every call with every import, each under one act; without a deadline a call has the time that is ordinary here.
async fn under(world: &World, acts: &Acts<'_>, deadline: Option<Duration>) -> Kept {
    let stand = world.stand().await?;
    let deadline = deadline.unwrap_or_else(|| stand.patience());
    if stand.plugin.role() == Role::HealthCheck {
        return checks::under(&stand, acts, deadline).await;
    }
    let stand = world.backend().await?;
    let imports = imports(&stand).await?;
    if imports.is_empty() {
        return not_applicable("it calls no import that can fail");
    }
    for import in &imports {
        for (name, act) in acts(import) {
            unbroken(&format!("{import} answers {name}"), async || {
                let (_, handle) = stand.started().await?;
                stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, act.clone());
                let broken = every_call(&stand, &handle, deadline).await;
                tidy(&stand).await?;
                Ok(broken)
            })
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn errors(world: &World) -> Kept {
    let acts = |import: &str| script::errors(import).into_iter().map(|(name, error)| (name, Act::Answer(error))).collect();
    under(world, &acts, None).await
}

pub(crate) async fn slow(world: &World) -> Kept {
    under(world, &|_| vec![("too late", Act::Wait(Duration::from_secs(1)))], Some(Duration::from_millis(200))).await
}

pub(crate) async fn short(world: &World) -> Kept {
    under(world, &|_| vec![("half of it", Act::Change(cut_short))], None).await
}

pub(crate) async fn huge(world: &World) -> Kept {
    under(world, &|_| vec![("far too much", Act::Change(blow_up))], None).await
}

pub(crate) async fn bytes(world: &World) -> Kept {
    under(world, &|_| vec![("bytes that are no text", Act::Change(garble))], None).await
}

/// Every list loses its second half.
fn cut_short(answer: Value) -> Value {
    match answer {
        Value::Array(mut items) => {
            items.truncate(items.len() / 2);
            Value::Array(items.into_iter().map(cut_short).collect())
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key.clone(), if is_pairs(&key) { value } else { cut_short(value) })).collect())
        }
        other => other,
    }
}

/// Lists of pairs hold tuples, which have no other length.
fn is_pairs(key: &str) -> bool {
    ["labels", "env", "headers"].contains(&key)
}

/// Lists of bytes grow to 1 MiB, other lists to 2,000 entries.
fn blow_up(answer: Value) -> Value {
    match answer {
        Value::Array(items) if items.is_empty() => Value::Array(items),
        Value::Array(items) if items.iter().all(Value::is_number) => json!(vec![b'x'; 1 << 20]),
        Value::Array(items) => Value::Array(items.iter().cycle().take(2_000).cloned().collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key.clone(), if bytes_or_list(&key) { blow_up(value) } else { value })).collect())
        }
        other => other,
    }
}

fn bytes_or_list(key: &str) -> bool {
    ["Ok", "out", "err", "body", "lines", "bytes"].contains(&key)
}

/// Bytes become such as no text has.
fn garble(answer: Value) -> Value {
    match answer {
        Value::Array(items) => Value::Array(items.into_iter().map(garble).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let raw = ["out", "err", "body", "bytes"].contains(&key.as_str()) && value.is_array();
                    let garbled = if raw { json!([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x80]) } else { garble(value) };
                    (key, garbled)
                })
                .collect(),
        ),
        other => other,
    }
}

/// Everything that reaches the engine answers that it is away, or that nobody knows.
pub(crate) async fn lost_link(world: &World) -> Kept {
    let stand = world.backend().await?;
    let imports = imports(&stand).await?;
    if imports.is_empty() {
        return not_applicable("it calls no import that can fail");
    }
    for nth in 0..2 {
        let (task, handle) = stand.started().await?;
        let mut name = "nothing";
        for import in imports.iter().filter(|import| can_fail(import)) {
            let Some((called, error)) = script::away(import).into_iter().nth(nth) else { continue };
            name = called;
            stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, Act::Answer(error));
        }
        let how = format!("while every import answers {name}");
        let backend = stand.backend();
        let status = stand.look(&handle).await?;
        ensure!(matches!(status.phase, Phase::Unknown(_)), "{how}, inspect says {}, expected unknown", phase(&status));
        let engine = backend.fingerprint(stand.call()).await;
        let engine = engine.or_else(|error| failed(format!("{how}, fingerprint fails with `{error}`; an engine that is away is an answer")))?;
        ensure!(!engine.ready || stand.script.called_in("backend.fingerprint").is_empty(), "{how}, fingerprint says the engine is ready");
        let answers = [
            ("list", backend.list(stand.call()).await.map(drop)),
            ("start", backend.start(stand.call(), &stand.task()).await.map(drop)),
            ("start of a task that runs", backend.start(stand.call(), &task).await.map(drop)),
            ("stop", backend.stop(stand.call(), &handle, None, 50).await.map(drop)),
            ("destroy", backend.destroy(stand.call(), &handle, true).await),
        ];
        for (what, answer) in answers {
            match answer {
                Ok(()) => return failed(format!("{how}, {what} succeeds")),
                Err(error) if is_fault(&error, &["unavailable", "interrupted"]) => {}
                Err(error) => return failed(format!("{how}, {what} fails with `{error}`, expected unavailable or interrupted")),
            }
        }
        tidy(&stand).await?;
    }
    Ok(())
}

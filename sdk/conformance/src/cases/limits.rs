//! Many calls, and clocks that jump.

use std::time::{Duration, Instant};

use hostler_wasm::Spelling;
use hostler_wasm::words::{Handle, Role};
use serde_json::{Value, json};

use super::lifecycle::{is_up, nothing_left};
use super::load::YEAR;
use super::{is_down, phase};
use crate::case::{Kept, ensure, failed};
use crate::cases::checks;
use crate::script::CommandEnd;
use crate::stand::{Stand, World, target};

const MANY: usize = 64;
const ROW: usize = 1_000;
/// A real engine takes its time.
const REAL_ROW: usize = 200;
/// Calls after which everything that is made once has been made.
const WARM: usize = 200;
/// Memory that a thousand calls may take for good; an allocator rounds.
const GROWTH: u64 = 16 << 20;
/// What the rest of this process takes for a while it gives back by then.
const FOR_GOOD: Duration = Duration::from_secs(30);

pub(crate) async fn parallel(world: &World) -> Kept {
    let stand = world.stand().await?;
    if stand.plugin.role() == Role::HealthCheck {
        return checks::parallel(&stand, MANY).await;
    }
    let stand = world.backend().await?;
    let running: Vec<_> = (0..MANY)
        .map(|_| {
            let stand = std::sync::Arc::clone(&stand);
            tokio::spawn(async move { one_life(&stand).await })
        })
        .collect();
    for life in running {
        life.await.or_else(|error| failed(format!("a call panicked in the host: {error}")))??;
    }
    let left = stand.list().await?;
    ensure!(left.is_empty(), "after {MANY} lives at a time, list finds {}", left.len());
    let held = stand.held().await.len();
    ensure!(held == 0, "after {MANY} lives at a time, the engine holds {held} processes");
    Ok(())
}

async fn one_life(stand: &Stand) -> Kept {
    let (task, handle) = stand.started().await?;
    let status = stand.look(&handle).await?;
    ensure!(is_up(&status), "among {MANY} at a time, a running task is {}", phase(&status));
    let found = stand.found(&task).await?;
    ensure!(found.len() == 1, "among {MANY} at a time, list finds {} tasks of one id", found.len());
    let status = stand.stop(&handle).await?;
    ensure!(is_down(&status), "among {MANY} at a time, stop says {}", phase(&status));
    stand.destroy(&handle, false).await
}

pub(crate) async fn sequence(world: &World) -> Kept {
    let stand = world.stand().await?;
    if stand.plugin.role() == Role::HealthCheck {
        let target = checks::Aim::good(&stand);
        let first = target.judge(&stand, 0).await;
        let first = first.map(|report| report.verdict).map_err(|error| error.to_string());
        return row(&stand, async || {
            let again = target.judge(&stand, 0).await.map(|report| report.verdict).map_err(|error| error.to_string());
            ensure!(again == first, "of the same target the verdict was {first:?}, and is {again:?}");
            Ok(())
        })
        .await;
    }
    let stand = world.backend().await?;
    let (_, handle) = stand.started().await?;
    let first = stand.look(&handle).await?;
    row(&stand, async || {
        let again = stand.look(&handle).await?;
        ensure!(again.phase == first.phase, "of the same task inspect said {}, and says {}", phase(&first), phase(&again));
        Ok(())
    })
    .await
}

async fn row(stand: &Stand, mut one: impl AsyncFnMut() -> Kept) -> Kept {
    let (mut before, calls) = (0, if stand.fake { ROW } else { REAL_ROW });
    for nth in 0..WARM + calls {
        if nth == WARM {
            before = resident();
        }
        one().await?;
        stand.script.forget_seen();
    }
    let deadline = Instant::now() + FOR_GOOD;
    loop {
        let grown = resident().saturating_sub(before);
        if grown < GROWTH {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{calls} calls in a row took {} MiB of memory for good", grown >> 20);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The same questions to fresh instances, and all of them to one.
pub(crate) async fn reused(world: &World) -> Kept {
    let stand = world.stand().await?;
    if stand.plugin.role() == Role::HealthCheck {
        let (good, bad) = (checks::Aim::good(&stand), checks::Aim::bad(&stand));
        let of = |aim: &checks::Aim| json!([target(), aim.settings.to_string(), 5_000]);
        for code in [0, 1] {
            if stand.fake {
                stand.script.play_commands(CommandEnd::code(code));
            }
            alike(&stand, code, "health-check.check", &[of(&good), of(&bad), of(&good), of(&good)]).await?;
        }
        return Ok(());
    }
    let stand = world.backend().await?;
    let (_, one) = stand.started().await?;
    let (_, two) = stand.started().await?;
    stand.stop(&two).await?;
    let of = |handle: &Handle| json!([[handle]]);
    alike(&stand, 0, "backend.inspect", &[of(&one), of(&two), of(&one), of(&two)]).await
}

async fn alike(stand: &Stand, code: i32, function: &str, questions: &[Value]) -> Kept {
    let plugin = &stand.plugin;
    let one = plugin.call_json_in_one(function, questions, Spelling::Stored, stand.call(), stand.task_behind(code)).await;
    let one = one.or_else(|error| failed(format!("an instance that is used {} times breaks: {error}", questions.len())))?;
    for (nth, (question, answer)) in questions.iter().zip(one).enumerate() {
        let fresh = plugin.call_json(function, question, Spelling::Stored, stand.call(), stand.task_behind(code)).await;
        let fresh = fresh.or_else(|error| failed(format!("{function} failed: {error}")))?;
        let (fresh, answer) = (essence(&fresh), essence(&answer));
        ensure!(fresh == answer, "call {} of one instance answers {answer}, and a fresh one {fresh}", nth + 1);
    }
    Ok(())
}

/// What does not change by itself: figures and times do.
fn essence(answer: &Value) -> Value {
    match answer {
        Value::Object(fields) if fields.contains_key("verdict") => fields["verdict"].clone(),
        Value::Object(fields) if fields.contains_key("phase") => fields["phase"].clone(),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (key.clone(), essence(value))).collect()),
        Value::Array(items) => items.iter().map(essence).collect(),
        other => other.clone(),
    }
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

pub(crate) async fn clocks(world: &World) -> Kept {
    let stand = world.stand().await?;
    if stand.plugin.role() == Role::HealthCheck {
        return checks::clocks(&stand).await;
    }
    let stand = world.backend().await?;
    for (first, second) in [(0, YEAR), (YEAR, -YEAR), (-YEAR, 0)] {
        stand.script.shift_clocks(first);
        let (task, handle) = stand.started().await?;
        stand.script.shift_clocks(second);
        let how = format!("with the clock {} days away at start, and then {}", first / 86_400, second / 86_400);
        let status = stand.look(&handle).await?;
        ensure!(is_up(&status), "{how}, inspect says {}", phase(&status));
        let again = stand.start(&task).await?;
        ensure!(again == handle, "{how}, the same start answers another handle");
        let backend = stand.backend();
        let stopped = backend.stop(stand.call(), &handle, None, 500);
        let stopped = tokio::time::timeout(Duration::from_secs(5), stopped).await;
        let status = stopped.or_else(|_| failed(format!("{how}, stop takes longer than its grace")))?;
        let status = status.or_else(|error| failed(format!("{how}, stop fails: {error}")))?;
        ensure!(is_down(&status), "{how}, stop says {}", phase(&status));
        stand.destroy(&handle, false).await?;
        nothing_left(&stand, &task).await?;
    }
    Ok(())
}

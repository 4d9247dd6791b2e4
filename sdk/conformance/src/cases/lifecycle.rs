//! Bringing tasks up, looking at them, taking them down: B4 to B11.

use hostler_keeper::protocol::Request;
use hostler_wasm::words::{Handle, Phase, Status, Task};

use super::{broke, is_down, is_fault, phase};
use crate::case::{Kept, Stop, ensure, failed, not_applicable};
use crate::script::{Act, Which, away, errors};
use crate::stand::{Stand, World};

/// A running task may say so in two ways: brought up, or still coming up.
pub(crate) fn is_up(status: &Status) -> bool {
    matches!(status.phase, Phase::Running | Phase::Pending)
}

pub(crate) async fn steps(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    let status = stand.look(&handle).await?;
    ensure!(is_up(&status), "after start, inspect says {}; the example should run until it is stopped", phase(&status));
    let found = stand.found(&task).await?;
    ensure!(found.len() == 1, "after start, list finds {} tasks of this id, expected 1", found.len());
    let status = stand.stop(&handle).await?;
    ensure!(is_down(&status), "stop succeeded and says {}", phase(&status));
    let status = stand.look(&handle).await?;
    ensure!(is_down(&status), "after stop, inspect says {}", phase(&status));
    stand.destroy(&handle, false).await?;
    nothing_left(&stand, &task).await?;
    let status = stand.look(&handle).await?;
    ensure!(status.phase == Phase::Gone, "after destroy, inspect says {}, expected gone", phase(&status));
    Ok(())
}

/// Neither the plugin nor, where it can be asked, the engine has anything of the task.
pub(crate) async fn nothing_left(stand: &Stand, task: &Task) -> Kept {
    let found = stand.found(task).await?;
    ensure!(found.is_empty(), "list still finds the task");
    let held = stand.held().await;
    ensure!(held.is_empty(), "the engine still holds {}", held.iter().map(|process| process.key.as_str()).collect::<Vec<_>>().join(", "));
    Ok(())
}

pub(crate) async fn twice(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    let again = stand.start(&task).await?;
    ensure!(again == handle, "the second start answers another handle");
    for _ in 0..2 {
        let status = stand.look(&handle).await?;
        ensure!(is_up(&status), "inspect says {}", phase(&status));
    }
    stand.stop(&handle).await?;
    let status = stand.stop(&handle).await?;
    ensure!(is_down(&status), "the second stop says {}", phase(&status));
    stand.destroy(&handle, false).await?;
    stand.destroy(&handle, false).await?;
    nothing_left(&stand, &task).await
}

pub(crate) async fn late(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    stand.stop(&handle).await?;
    stand.destroy(&handle, false).await?;
    let status = stand.stop(&handle).await?;
    ensure!(is_down(&status), "stop of what is gone says {}", phase(&status));
    stand.destroy(&handle, true).await?;
    let status = stand.look(&handle).await?;
    ensure!(status.phase == Phase::Gone, "inspect of what is gone says {}", phase(&status));
    if stand.plugin.abilities().contains(&hostler_wasm::Ability::Logs)
        && let Err(error) = stand.backend().read_logs(stand.call(), &handle, None, None, 1_024).await
    {
        ensure!(!broke(&error), "reading the log of what is gone: {error}");
    }
    nothing_left(&stand, &task).await
}

pub(crate) async fn idempotent(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    let before = stand.look(&handle).await?;
    for _ in 0..3 {
        let again = stand.start(&task).await?;
        ensure!(again == handle, "start of the same id and digest answers another handle");
    }
    let after = stand.look(&handle).await?;
    ensure!(
        before.started_at == after.started_at,
        "the task was started again: its start was {:?}, and is {:?}",
        before.started_at,
        after.started_at
    );
    let found = stand.found(&task).await?;
    ensure!(found.len() == 1, "list finds {} tasks of one id", found.len());
    let held = stand.held().await.len();
    ensure!(!stand.is_held() || held == 1, "the engine holds {held} processes for one task");
    Ok(())
}

pub(crate) async fn conflict(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    let other = Task { spec_digest: "digest-2".to_owned(), ..task.clone() };
    refused(&stand, &other, "with another digest").await?;
    let status = stand.look(&handle).await?;
    ensure!(is_up(&status), "after the refused start, the first task is {}", phase(&status));
    stand.stop(&handle).await?;
    let again = stand.start(&task).await?;
    ensure!(again == handle, "start of an exited task answers another handle");
    let status = stand.look(&handle).await?;
    ensure!(is_down(&status), "start ran an exited task again: it is {}", phase(&status));
    refused(&stand, &other, "of an exited task with another digest").await
}

async fn refused(stand: &Stand, task: &Task, what: &str) -> Kept {
    match stand.backend().start(stand.call(), task).await {
        Err(error) if is_fault(&error, &["conflict"]) => Ok(()),
        Err(error) => failed(format!("start {what} is refused as `{error}`, expected conflict")),
        Ok(_) => failed(format!("start {what} succeeds, expected conflict")),
    }
}

pub(crate) async fn tagged(world: &World) -> Kept {
    let stand = world.backend().await?;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(stand.started().await?);
    }
    stand.stop(&tasks[0].1).await?;
    for (task, handle) in &tasks {
        let found = stand.found(task).await?;
        let [found] = found.as_slice() else { return failed(format!("list finds {} tasks with the id {}, expected 1", found.len(), task.id.id)) };
        ensure!(found.handle == *handle, "list answers another handle for {} than start did", task.id.id);
        if let Some(digest) = &found.spec_digest {
            ensure!(*digest == task.spec_digest, "list says {} has the digest {digest}, expected {}", task.id.id, task.spec_digest);
        }
    }
    let first = stand.found(&tasks[0].0).await?;
    ensure!(first.iter().all(|found| is_down(&found.status)), "list says that a stopped task is up");
    Ok(())
}

/// Each import of start fails once, in each way.
pub(crate) async fn failed_start(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (_, handle) = stand.started().await?;
    let seen = stand.script.seen().into_iter().filter(|seen| seen.function == "backend.start" && crate::script::can_fail(&seen.import));
    let imports: Vec<(u64, String)> = seen.map(|seen| (seen.nth, seen.import)).collect();
    stand.destroy(&handle, true).await?;
    if imports.is_empty() {
        return not_applicable("start calls no import that can fail");
    }
    for (nth, import) in imports {
        for (name, error) in errors(&import) {
            for lost in [false, true] {
                let task = stand.task();
                let which = Which { function: Some("backend.start"), import: Some(import.clone()), nth: Some(nth) };
                stand.script.rule(which, if lost { Act::Lose(error.clone()) } else { Act::Answer(error.clone()) });
                let answer = stand.backend().start(stand.call(), &task).await;
                stand.script.clear();
                let how = format!("when import {nth} of start, {import}, answers {name}{}", if lost { " although it happened" } else { "" });
                match answer {
                    Ok(handle) => stand.destroy(&handle, true).await?,
                    Err(failure) => {
                        ensure!(!broke(&failure), "{how}, start breaks: {failure}");
                        // an engine that did it and says it did not is believed; only what it leaves open has to be looked for
                        let says_no = lost && name != "timeout";
                        if !is_fault(&failure, &["interrupted"]) && !says_no {
                            nothing_left(&stand, &task).await.map_err(|stop| with(&format!("{how}, start fails with `{failure}`"), stop))?;
                        }
                        clean(&stand, &task).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// As a host does after `interrupted`: looks, and destroys what nobody wants.
async fn clean(stand: &Stand, task: &Task) -> Kept {
    for found in stand.found(task).await? {
        stand.destroy(&found.handle, true).await?;
    }
    nothing_left(stand, task).await
}

fn with(before: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Failed(why) => Stop::Failed(format!("{before}; then {why}")),
        other => other,
    }
}

pub(crate) async fn engine_away(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (_, handle) = stand.started().await?;
    stand.look(&handle).await?;
    let imports: Vec<String> = stand.script.called_in("backend.inspect").into_iter().filter(|name| crate::script::can_fail(name)).collect();
    for import in &imports {
        for (name, error) in away(import) {
            stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, Act::Answer(error));
            let status = stand.look(&handle).await;
            stand.script.clear();
            let status = status.map_err(|stop| with(&format!("when {import} answers {name}"), stop))?;
            ensure!(matches!(status.phase, Phase::Unknown(_)), "when {import} answers {name}, inspect says {}, expected unknown", phase(&status));
        }
    }
    exit_stays(&stand, &handle).await
}

async fn exit_stays(stand: &Stand, handle: &Handle) -> Kept {
    if stand.is_held() {
        stand.kill_all().await;
    } else {
        stand.stop(handle).await?;
    }
    let first = stand.look(handle).await?;
    let Phase::Exited(_) = &first.phase else { return failed(format!("a task that has ended is {}, expected exited", phase(&first))) };
    let second = stand.look(handle).await?;
    ensure!(first.phase == second.phase, "its exit changed from {} to {}", phase(&first), phase(&second));
    Ok(())
}

pub(crate) async fn stop(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    let backend = stand.backend();
    let (one, two) = tokio::join!(backend.stop(stand.call(), &handle, None, 2_000), backend.stop(stand.call(), &handle, None, 2_000));
    for answer in [one, two] {
        match answer {
            Ok(status) => ensure!(is_down(&status), "of two stops at the same time, one succeeds and says {}", phase(&status)),
            Err(error) => return failed(format!("of two stops at the same time, one fails: {error}")),
        }
    }
    let alive = stand.held().await.into_iter().filter(|process| process.state == hostler_keeper::protocol::State::Running).count();
    ensure!(alive == 0, "stop succeeded, and {alive} processes of the task are alive");
    stand.stop(&handle).await?;
    stand.destroy(&handle, false).await?;
    let (_, handle) = stand.started().await?;
    if stand.is_held() {
        stand.kill_all().await;
        let status = stand.stop(&handle).await?;
        ensure!(is_down(&status), "stop of what ended by itself says {}", phase(&status));
    }
    drop(task);
    unheard_stop(&stand).await
}

/// A stop whose effect did not happen must not succeed.
async fn unheard_stop(stand: &Stand) -> Kept {
    for nth in 0..2 {
        let (_, handle) = stand.started().await?;
        let mut name = "nothing";
        for import in engine_imports(stand) {
            let Some((called, error)) = away(&import).into_iter().nth(nth) else { continue };
            name = called;
            stand.script.rule(Which { function: Some("backend.stop"), import: Some(import), nth: None }, Act::Answer(error));
        }
        let answer = stand.backend().stop(stand.call(), &handle, None, 2_000).await;
        stand.script.clear();
        let status = stand.look(&handle).await?;
        if let (Ok(_), true) = (&answer, is_up(&status)) {
            return failed(format!("when the engine answers {name}, stop succeeds although the task is {}", phase(&status)));
        }
        stand.destroy(&handle, true).await?;
    }
    Ok(())
}

/// Everything that this plugin was seen to call and that can fail.
pub(crate) fn engine_imports(stand: &Stand) -> Vec<String> {
    let mut names: Vec<String> = stand.script.seen().into_iter().map(|seen| seen.import).filter(|name| crate::script::can_fail(name)).collect();
    names.sort();
    names.dedup();
    names
}

pub(crate) async fn destroy(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, handle) = stand.started().await?;
    if stand.backend().destroy(stand.call(), &handle, false).await.is_ok() {
        return failed("destroy without force succeeds on a running task");
    }
    let status = stand.look(&handle).await?;
    ensure!(is_up(&status), "after the refused destroy, the task is {}", phase(&status));
    stand.destroy(&handle, true).await?;
    nothing_left(&stand, &task).await?;
    stand.destroy(&handle, false).await?;
    stand.destroy(&handle, true).await
}

pub(crate) async fn identity(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (_, old) = stand.started().await?;
    if stand.is_held() {
        stand.kill_all().await;
        for process in stand.held().await {
            stand.ask(Request::Forget { key: process.key }).await;
        }
    } else {
        stand.destroy(&old, true).await?;
    }
    let (_, new) = stand.started().await?;
    ensure!(old != new, "two lives have one handle");
    let status = stand.look(&old).await?;
    ensure!(status.phase == Phase::Gone, "the handle of a task that is gone says {} while another task runs", phase(&status));
    stand.stop(&old).await?;
    stand.destroy(&old, true).await?;
    let status = stand.look(&new).await?;
    ensure!(is_up(&status), "stopping what was gone hit another task: it is {}", phase(&status));
    Ok(())
}

//! Instances and replies that are lost at the worst moment, and a host that has forgotten everything.

use hostler_wasm::words::{Handle, Phase, Task};
use hostler_wasm::{CallError, Failure, KILLED};

use super::lifecycle::{is_up, nothing_left};
use super::{is_down, phase};
use crate::case::{Kept, Stop, ensure, failed};
use crate::script::{Act, Which};
use crate::stand::{Stand, World};

/// No call has this many imports; a sweep that gets here found a call without an end.
const MOST_IMPORTS: u64 = 400;

/// Where an instance dies.
#[derive(Clone, Copy)]
enum Death {
    Before(u64),
    After(u64),
    /// Any entry into the host: for imports of WASI, whose calls are not seen one by one.
    Entry(u64),
}

impl Death {
    fn told(self, function: &str) -> String {
        match self {
            Death::Before(nth) => format!("killed before import {nth} of {function}"),
            Death::After(nth) => format!("killed after import {nth} of {function}"),
            Death::Entry(nth) => format!("killed at entry {nth} into the host in {function}"),
        }
    }

    fn plan(self, stand: &Stand, function: &'static str) {
        let rule = |nth, act| stand.script.rule(Which { function: Some(function), import: None, nth: Some(nth) }, act);
        match self {
            Death::Before(nth) => rule(nth, Act::KillBefore),
            Death::After(nth) => rule(nth, Act::KillAfter),
            Death::Entry(nth) => stand.script.kill_entry(function, nth),
        }
    }
}

/// The kinds of death that make sense for this plugin.
fn deaths(stand: &Stand) -> Vec<fn(u64) -> Death> {
    let mut deaths: Vec<fn(u64) -> Death> = vec![Death::Before, Death::After];
    if stand.plugin.permissions().iter().any(|import| import.starts_with("wasi:")) {
        deaths.push(Death::Entry);
    }
    deaths
}

fn was_killed(error: &CallError) -> bool {
    matches!(&error.why, Failure::Trapped { message } if message.contains(KILLED))
}

fn at(place: &str) -> impl FnOnce(Stop) -> Stop + '_ {
    move |stop| match stop {
        Stop::Failed(why) => Stop::Failed(format!("{place}: {why}")),
        other => other,
    }
}

/// Runs one sweep: until a call survives because it has no such import any more.
async fn sweep<C, R>(stand: &Stand, function: &'static str, mut case: C, mut recover: R) -> Kept
where
    C: AsyncFnMut(&Stand, Death) -> Result<(Task, Option<Handle>, Result<(), CallError>), Stop>,
    R: AsyncFnMut(&Stand, &Task, Option<&Handle>) -> Kept,
{
    for death in deaths(stand) {
        for nth in 1.. {
            ensure!(nth <= MOST_IMPORTS, "{function} has more than {MOST_IMPORTS} imports");
            let death = death(nth);
            let place = death.told(function);
            let (task, handle, ended) = case(stand, death).await.map_err(at(&place))?;
            stand.script.clear();
            let survived = match ended {
                Ok(()) => true,
                Err(error) if was_killed(&error) => false,
                Err(error) => return failed(format!("{place}: it fails by itself instead: {error}")),
            };
            recover(stand, &task, handle.as_ref()).await.map_err(at(&place))?;
            if survived {
                break;
            }
        }
    }
    Ok(())
}

pub(crate) async fn start(world: &World) -> Kept {
    let stand = world.backend().await?;
    let begin = async |stand: &Stand, death: Death| {
        let task = stand.task();
        death.plan(stand, "backend.start");
        let ended = stand.backend().start(stand.call(), &task).await.map(drop);
        Ok((task, None, ended))
    };
    sweep(&stand, "backend.start", begin, async |stand, task, _| taken_up(stand, task).await).await
}

/// As a host does when it does not know: looks, and starts again what is still wanted.
async fn taken_up(stand: &Stand, task: &Task) -> Kept {
    let held = stand.held().await.len();
    let found = stand.found(task).await?;
    ensure!(found.len() <= 1, "list finds {} tasks of one id", found.len());
    ensure!(!found.is_empty() || held == 0, "the engine holds {held} processes that list does not find");
    for found in &found {
        let status = stand.look(&found.handle).await?;
        ensure!(!matches!(status.phase, Phase::Gone | Phase::Unknown(_)), "what list found is {}", phase(&status));
    }
    let handle = stand.start(task).await?;
    ensure!(found.iter().all(|found| found.handle == handle), "the next start answers another handle than list did");
    let held = stand.held().await.len();
    ensure!(!stand.is_held() || held == 1, "after the next start the engine holds {held} processes, expected 1");
    let status = stand.look(&handle).await?;
    ensure!(is_up(&status), "after the next start the task is {}", phase(&status));
    stand.destroy(&handle, true).await?;
    nothing_left(stand, task).await
}

pub(crate) async fn stop(world: &World) -> Kept {
    let stand = world.backend().await?;
    let begin = async |stand: &Stand, death: Death| {
        let (task, handle) = stand.started().await?;
        death.plan(stand, "backend.stop");
        let ended = stand.backend().stop(stand.call(), &handle, None, 2_000).await.map(drop);
        Ok((task, Some(handle), ended))
    };
    let recover = async |stand: &Stand, task: &Task, handle: Option<&Handle>| {
        let handle = handle.expect("it was started");
        let status = stand.stop(handle).await?;
        ensure!(is_down(&status), "the next stop says {}", phase(&status));
        stand.destroy(handle, false).await?;
        nothing_left(stand, task).await
    };
    sweep(&stand, "backend.stop", begin, recover).await
}

pub(crate) async fn destroy(world: &World) -> Kept {
    let stand = world.backend().await?;
    for force in [false, true] {
        let begin = async |stand: &Stand, death: Death| {
            let (task, handle) = stand.started().await?;
            if !force {
                stand.stop(&handle).await?;
            }
            death.plan(stand, "backend.destroy");
            let ended = stand.backend().destroy(stand.call(), &handle, force).await;
            Ok((task, Some(handle), ended))
        };
        let recover = async |stand: &Stand, task: &Task, handle: Option<&Handle>| {
            stand.destroy(handle.expect("it was started"), force).await?;
            nothing_left(stand, task).await
        };
        sweep(&stand, "backend.destroy", begin, recover).await?;
    }
    Ok(())
}

pub(crate) async fn lost_reply(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (task, first) = stand.started().await?;
    let second = stand.start(&task).await?;
    ensure!(first == second, "the repeated start answers another handle");
    // a reply that takes longer than the call: the host has hung up, the engine goes on
    let slow = stand.task();
    stand.script.rule(Which { function: Some("backend.start"), ..Which::default() }, Act::KillAfter);
    let _ = stand.backend().start(stand.call(), &slow).await;
    stand.script.clear();
    let third = stand.start(&slow).await?;
    let found = stand.found(&slow).await?;
    ensure!(found.len() == 1 && found[0].handle == third, "after a lost reply, list finds {} tasks of one id, or by another handle", found.len());
    let one = stand.stop(&first).await?;
    let two = stand.stop(&first).await?;
    ensure!(is_down(&one) && is_down(&two), "the repeated stop says {} and then {}", phase(&one), phase(&two));
    stand.destroy(&first, false).await?;
    stand.destroy(&first, false).await
}

pub(crate) async fn amnesia(world: &World) -> Kept {
    let stand = world.backend().await?;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(stand.started().await?.0);
    }
    // from here on, nothing but what list says is known
    let found = stand.list().await?;
    for task in &tasks {
        let ours: Vec<_> = found.iter().filter(|found| found.id == task.id.id).collect();
        let [found] = ours.as_slice() else { return failed(format!("list finds {} tasks with the id {}, expected 1", ours.len(), task.id.id)) };
        let status = stand.look(&found.handle).await?;
        ensure!(is_up(&status), "by the handle from list, a running task is {}", phase(&status));
        let status = stand.stop(&found.handle).await?;
        ensure!(is_down(&status), "by the handle from list, stop says {}", phase(&status));
        stand.destroy(&found.handle, false).await?;
    }
    let left = stand.list().await?;
    ensure!(left.is_empty(), "list still finds {} tasks", left.len());
    let held = stand.held().await.len();
    ensure!(held == 0, "the engine still holds {held} processes");
    Ok(())
}

//! Abilities: logs, stats, exec, handles.

use hostler_wasm::Ability;
use hostler_wasm::words::{ExecCommand, Handle, Phase};
use serde_json::json;

use super::{broke, is_fault, phase};
use crate::case::{Kept, Stop, ensure, failed, not_applicable};
use crate::stand::{Stand, World};

fn must_have(stand: &Stand, ability: Ability) -> Kept {
    if stand.plugin.abilities().contains(&ability) { Ok(()) } else { not_applicable(format!("it does not have the ability `{ability}`")) }
}

/// Bytes of one page.
const PAGE: u32 = 64 << 10;

pub(crate) async fn logs(world: &World) -> Kept {
    let stand = world.backend().await?;
    must_have(&stand, Ability::Logs)?;
    let (_, handle) = stand.started().await?;
    let Some(fake) = world.fake.as_ref().filter(|_| stand.is_held()) else { return logs_as_they_are(&stand, &handle).await };
    let log = stand.held().await.first().map(|process| process.log_name.clone()).unwrap_or_default();
    let written: Vec<Vec<u8>> = vec![b"first".to_vec(), vec![0xff, 0xfe, 0x00, 0x80], Vec::new(), vec![b'x'; 1 << 20], "läst".into()];
    written.iter().for_each(|line| fake.write(&log, line));
    let (read, end) = read_from(&stand, &handle, None).await?;
    ensure!(read == written, "of {} lines with any bytes, {} were read, or other bytes", written.len(), read.len());
    let (none, end) = read_from(&stand, &handle, Some(end)).await?;
    ensure!(none.is_empty(), "reading on at the end answers {} lines that were read before", none.len());
    fake.write(&log, b"after");
    for _ in 0..2 {
        let (more, _) = read_from(&stand, &handle, Some(end.clone())).await?;
        ensure!(more == [b"after"], "after the cursor one line was written, and {} were read", more.len());
    }
    let tail = stand
        .backend()
        .read_logs(stand.call(), &handle, None, Some(1), PAGE)
        .await
        .or_else(|error| failed(format!("reading the last line: {error}")))?;
    ensure!(tail.lines.iter().any(|line| line.bytes == b"after"), "the last line is not among the last lines");
    stand.stop(&handle).await?;
    let (all, _) = read_from(&stand, &handle, None).await?;
    ensure!(all.len() == written.len() + 1, "of a stopped task {} lines are read, expected {}", all.len(), written.len() + 1);
    Ok(())
}

/// What a real task has written, page by page and as a whole.
async fn logs_as_they_are(stand: &Stand, handle: &Handle) -> Kept {
    let (first, end) = read_from(stand, handle, None).await?;
    if first.is_empty() {
        return not_applicable("the task has written nothing by now");
    }
    let (again, _) = read_from(stand, handle, None).await?;
    ensure!(again.starts_with(&first), "the same log reads differently the second time");
    let (more, _) = read_from(stand, handle, Some(end)).await?;
    ensure!(again.len() + more.len() >= first.len(), "lines were lost");
    ensure!(more.first() != first.first() || first.len() == 1, "reading on begins at the first line again");
    Ok(())
}

/// Whole lines from a cursor to the end, and where that is.
async fn read_from(stand: &Stand, handle: &Handle, from: Option<String>) -> Result<(Vec<Vec<u8>>, String), Stop> {
    let (mut cursor, mut lines, mut open) = (from, Vec::new(), Vec::new());
    loop {
        let page = stand.backend().read_logs(stand.call(), handle, cursor.as_deref(), None, PAGE).await;
        let page = page.or_else(|error| failed(format!("reading the log: {error}")))?;
        ensure!(!page.gap, "a gap is said where nothing is missing");
        let done = page.lines.is_empty();
        for line in page.lines {
            open.extend_from_slice(&line.bytes);
            if !line.continued {
                lines.push(std::mem::take(&mut open));
            }
        }
        ensure!(done || cursor.as_deref() != Some(page.next.as_str()), "the cursor stands still");
        cursor = Some(page.next.clone());
        if done {
            return Ok((lines, page.next));
        }
    }
}

pub(crate) async fn stats(world: &World) -> Kept {
    let stand = world.backend().await?;
    must_have(&stand, Ability::Stats)?;
    let (_, handle) = stand.started().await?;
    let measure = async |handle: &Handle| {
        let usages =
            stand.backend().measure(stand.call(), std::slice::from_ref(handle)).await.or_else(|error| failed(format!("measure failed: {error}")));
        usages.map(|mut usages| usages.remove(0))
    };
    if stand.fake && stand.is_held() {
        let Some(usage) = measure(&handle).await? else { return failed("the engine measured the task, and the answer is absent") };
        ensure!(usage.memory_bytes.is_none(), "the engine did not measure memory, and the answer is {:?}, expected absent", usage.memory_bytes);
        ensure!(usage.memory_limit_bytes.is_none(), "there is no limit of memory, and the answer is {:?}, expected absent", usage.memory_limit_bytes);
        ensure!(usage.cpu_nanos == Some(1_000_000), "the engine measured 1,000,000 ns of processor time, and the answer is {:?}", usage.cpu_nanos);
        let made_up = [usage.disk_free_bytes, usage.network_received_bytes, usage.network_sent_bytes];
        ensure!(made_up.iter().all(Option::is_none), "nobody measured disk or network, and the answer is {made_up:?}, expected absent");
    } else {
        measure(&handle).await?;
    }
    stand.stop(&handle).await?;
    stand.destroy(&handle, false).await?;
    let usage = measure(&handle).await?;
    ensure!(usage.is_none(), "of a task that is gone the answer is {usage:?}, expected absent");
    Ok(())
}

pub(crate) async fn exec(world: &World) -> Kept {
    let stand = world.backend().await?;
    must_have(&stand, Ability::Exec)?;
    let (_, handle) = stand.started().await?;
    let wild: Vec<String> = ["$(id)", "a b", ";", "`x`", "*"].map(str::to_owned).into();
    let command = ExecCommand { program: "/bin/echo".to_owned(), args: wild.clone(), env: Vec::new(), stdin: Vec::new(), deadline: 5_000 };
    stand.script.forget_seen();
    let output = stand.backend().exec(stand.call(), &handle, &command).await.or_else(|error| failed(format!("exec failed: {error}")))?;
    if stand.fake {
        let asked = stand.script.seen();
        let passed = asked.iter().any(|seen| seen.arguments.to_string().contains(json!(wild).to_string().trim_matches(['[', ']'])));
        ensure!(passed || asked.is_empty(), "the arguments {wild:?} did not reach the engine as they are");
    } else {
        let said = String::from_utf8_lossy(&output.out).into_owned();
        ensure!(said.trim_end() == wild.join(" "), "echo of {wild:?} says {said:?}");
    }
    stand.stop(&handle).await?;
    match stand.backend().exec(stand.call(), &handle, &command).await {
        Err(error) if is_fault(&error, &["gone"]) => Ok(()),
        Err(error) => failed(format!("exec in a stopped task is refused as `{error}`, expected gone")),
        Ok(_) => failed("exec in a stopped task succeeds, expected gone"),
    }
}

pub(crate) async fn migrate(world: &World) -> Kept {
    let stand = world.backend().await?;
    let (_, handle) = stand.started().await?;
    let versions = stand.plugin.description().handle_versions.clone();
    ensure!(versions.contains(&handle.version), "start answers a handle of version {}, and handle-versions is {versions:?}", handle.version);
    ensure!(
        versions.iter().max() == Some(&handle.version),
        "start answers a handle of version {}, which is not the newest of {versions:?}",
        handle.version
    );
    for unreadable in [Handle { version: u32::MAX, ..handle.clone() }, Handle { state: b"\xff{".to_vec(), ..handle.clone() }] {
        refused(&stand, &unreadable).await?;
    }
    if !stand.plugin.abilities().contains(&Ability::Handles) {
        return Ok(());
    }
    let backend = stand.backend();
    for _ in 0..2 {
        let migrated =
            backend.migrate(stand.call(), &handle).await.or_else(|error| failed(format!("migrate of the newest handle failed: {error}")))?;
        ensure!(migrated == handle, "migrate changes a handle of the newest version");
    }
    match backend.migrate(stand.call(), &Handle { version: u32::MAX, ..handle.clone() }).await {
        Err(error) if is_fault(&error, &["invalid"]) => {}
        Err(error) => return failed(format!("migrate of an unreadable handle is refused as `{error}`, expected invalid")),
        Ok(_) => return failed("migrate of an unreadable handle succeeds, expected invalid"),
    }
    let called = stand.script.impurities("handles.migrate");
    ensure!(called.is_empty(), "migrate uses {}", called.join(", "));
    Ok(())
}

/// A handle that cannot be read says nothing about the task: it is neither gone nor over.
async fn refused(stand: &Stand, handle: &Handle) -> Kept {
    match stand.backend().inspect(stand.call(), std::slice::from_ref(handle)).await {
        Ok(statuses) => match statuses.as_slice() {
            [status] if matches!(status.phase, Phase::Unknown(_)) => {}
            [status] => return failed(format!("inspect of an unreadable handle says {}, expected unknown", phase(status))),
            _ => {}
        },
        Err(error) => ensure!(!broke(&error), "inspect of an unreadable handle: {error}"),
    }
    match stand.backend().stop(stand.call(), handle, None, 100).await {
        Ok(_) => failed("stop of an unreadable handle succeeds: the task it belonged to may run"),
        Err(error) if broke(&error) => failed(format!("stop of an unreadable handle: {error}")),
        Err(_) => Ok(()),
    }
}

//! Ends a command in a container that is late, with all that it has started.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use super::super::api::{Ask, ONE, Trouble};
use super::super::engine::{Engine, Known};
use super::{LOOK, MARK, look};

/// Ends it; returns once it is not alive, or nothing more can be done.
///
/// On this machine its processes are found by their container and by the mark in their environment, however they are related. Elsewhere
/// the container is asked to find them itself: a shell of its own, where it has one, is given a script that never changes and the mark as its argument.
pub(super) async fn end(engine: &Engine, known: &Known, id: &str, mark: &str) -> Result<(), Trouble> {
    let mut asked_inside = false;
    loop {
        let said = look(engine, id).await?;
        let first = said["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|_| said["Running"] == true);
        let ended = if engine.is_local() {
            let (container, mark) = (known.id.clone(), mark.to_owned());
            tokio::task::spawn_blocking(move || end_here(&container, &mark, first)).await.unwrap_or(Found::Nobody)
        } else {
            Found::Unseen
        };
        match ended {
            Found::Ended => {}
            Found::Nobody if first.is_none() => return Ok(()),
            Found::Nobody | Found::Unseen if !asked_inside => {
                asked_inside = true;
                end_inside(engine, known, mark).await?;
            }
            Found::Nobody | Found::Unseen if first.is_none() => return Ok(()),
            Found::Nobody | Found::Unseen => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

enum Found {
    /// Some were there, and were killed.
    Ended,
    Nobody,
    /// They are not for us to see or to kill.
    Unseen,
}

/// A process is only touched when the kernel says that it is of this container: the engine may count processes otherwise than we do.
fn end_here(container: &str, mark: &str, first: Option<u32>) -> Found {
    let mark = format!("{MARK}={mark}");
    let Ok(entries) = fs::read_dir("/proc") else { return Found::Unseen };
    let pids: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let of_container: Vec<u32> = pids.into_iter().filter(|pid| reads(*pid, "cgroup", container.as_bytes())).collect();
    let mut guilty: BTreeSet<u32> =
        of_container.iter().copied().filter(|pid| first == Some(*pid) || reads(*pid, "environ", mark.as_bytes())).collect();
    loop {
        let children: Vec<u32> =
            of_container.iter().copied().filter(|pid| !guilty.contains(pid) && parent(*pid).is_some_and(|parent| guilty.contains(&parent))).collect();
        if children.is_empty() {
            break;
        }
        guilty.extend(children);
    }
    if guilty.is_empty() {
        return Found::Nobody;
    }
    let killed = guilty.iter().filter(|pid| kill(**pid, container)).count();
    if killed == 0 { Found::Unseen } else { Found::Ended }
}

/// Between the look and the signal a pid may become another process: it is held first, and looked at again.
fn kill(pid: u32, container: &str) -> bool {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    let Ok(held) = pidfd_open(raw, PidfdFlags::empty()) else { return true };
    !reads(pid, "cgroup", container.as_bytes()) || pidfd_send_signal(&held, Signal::KILL).is_ok()
}

fn reads(pid: u32, file: &str, what: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|bytes| crate::text::find(&bytes, what).is_some())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // a name may have anything in it, parentheses included
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

async fn end_inside(engine: &Engine, known: &Known, mark: &str) -> Result<(), Trouble> {
    const SCRIPT: &str =
        r#"for p in /proc/[0-9]*; do [ "${p#/proc/}" = "$$" ] || ! grep -q "$1" "$p/environ" 2>/dev/null || kill -9 "${p#/proc/}"; done"#;
    let body = json!({ "AttachStdout": false, "AttachStderr": false, "Cmd": ["/bin/sh", "-c", SCRIPT, "sh", mark] });
    let said = engine.api.json(Ask::post(format!("/containers/{}/exec", known.id)).body(body), ONE).await?;
    let Some(id) = said["Id"].as_str() else { return Ok(()) };
    // a container without a shell keeps what it has: nobody else can reach it there
    match engine.api.done(Ask::post(format!("/exec/{id}/start")).body(json!({ "Detach": true }))).await {
        Err(Trouble::Refused { .. }) | Ok(()) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

//! Reaching into what runs, for people: signals and commands, through the abilities of the backend that runs it.

use std::sync::Arc;
use std::time::Duration;

use hostler_api::{Code, EventKind, ExecRequest, ExecResult, Failure, Said, Shape, SignalRequest, SignalResult};
use hostler_core::{ServiceName, closest};
use hostler_wasm::words::{ExecCommand, Fault, Handle};
use hostler_wasm::{Ability, Backend, Call, CallError, Failure as Why, Plugin};
use serde_json::json;

use crate::desk::Desk;
use crate::http::Door;
use crate::ledger;
use crate::message::Message;
use crate::speak;

/// How long sending a signal may take.
const SIGNAL: Duration = Duration::from_secs(10);
/// How long a command may take when nobody says.
const COMMAND: Duration = Duration::from_secs(60);
/// However long somebody wants to wait.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The lives of one service that run now, and who runs them.
struct Running {
    service: ServiceName,
    plugin: Arc<Plugin>,
    lives: Vec<Life>,
}

struct Life {
    replica: u32,
    /// The task's id, which is what the call is about.
    id: String,
    handle: Handle,
}

impl Running {
    async fn of(door: &Door, name: &ServiceName, only: Option<u32>, ability: Ability) -> Result<Running, Failure> {
        let asked = name.clone();
        let (backend, lives) = door.look(move |desk| lives(desk, asked.as_str(), only)).await??;
        let local = name.local();
        let plugin = door.plugins.get(&backend).ok_or_else(|| Failure::new(Code::Unavailable, door.plugins.why_not(&backend)))?;
        if !plugin.abilities().contains(&ability) {
            let failure = Failure::new(Code::Invalid, format!("backend `{backend}` of service `{local}` lacks the ability `{ability}`"));
            return Err(failure.hint(format!("`hostler plugin inspect {backend}` shows what it has")));
        }
        if lives.is_empty() {
            let which = only.map_or(String::new(), |replica| format!("replica {replica} of "));
            let failure = Failure::new(Code::Conflict, format!("{which}service `{local}` does not run"));
            return Err(failure.hint(format!("`hostler explain {local}` says why")));
        }
        Ok(Running { service: name.clone(), plugin, lives })
    }

    fn backend(&self) -> Result<Backend<'_>, Failure> {
        self.plugin.backend().ok_or_else(|| Failure::new(Code::Unavailable, format!("plugin `{}` is no backend any more", self.plugin.name())))
    }
}

fn lives(desk: &Desk, name: &str, only: Option<u32>) -> Result<(String, Vec<Life>), Failure> {
    let view = desk.core.service(name).ok_or_else(|| speak::not_found(desk, name))?;
    let chosen = view.replicas.iter().filter(|part| only.is_none_or(|only| only == part.replica));
    let lives = chosen.filter_map(|part| {
        let record = desk.handles.get(&part.run?)?;
        Some(Life { replica: part.replica, id: record.id.clone(), handle: record.handle.clone() })
    });
    Ok((view.spec.backend.plugin.clone(), lives.collect()))
}

/// Sends a signal to what runs of a service.
pub(crate) async fn signal(door: &Door, name: &ServiceName, asked: SignalRequest) -> Result<SignalResult, Failure> {
    let running = Running::of(door, name, asked.replica, Ability::Signals).await?;
    let backend = running.backend()?;
    let signal = full_name(&asked.signal);
    let supported = backend.supported_signals(Call::within(SIGNAL).of(name.workspace())).await.map_err(|error| failure(name, &error))?;
    if !supported.contains(&signal) {
        return Err(unsupported(running.plugin.name(), &asked.signal, &supported));
    }
    let mut replicas = Vec::new();
    let mut refused = None;
    for life in &running.lives {
        let call = Call::within(SIGNAL).about(&life.id).of(name.workspace());
        if let Err(error) = backend.send_signal(call, &life.handle, &signal).await {
            refused = Some((life.replica, failure(name, &error)));
            break;
        }
        replicas.push(life.replica);
    }
    if !replicas.is_empty() {
        let message = format!("{signal} was sent by request");
        record(door, EventKind::SignalSent, name, &json!({ "message": message, "signal": signal, "replicas": replicas }));
    }
    if let Some((replica, failure)) = refused {
        return Err(sent_to_some(&replicas, replica, failure));
    }
    Ok(SignalResult { version: Shape, service: running.service.local().to_owned(), signal, replicas })
}

/// Where some have got it, it was done in part: whoever sends it again sends it to those again.
fn sent_to_some(sent: &[u32], refused: u32, failure: Failure) -> Failure {
    if sent.is_empty() {
        return failure;
    }
    let have: Vec<String> = sent.iter().map(ToString::to_string).collect();
    let message = format!("replica {refused} did not get the signal, and none after it; replica {} has: {}", have.join(", "), failure.message);
    Failure::new(Code::Failed, message).hint("send it to each of the others by its replica")
}

/// `hup` is `SIGHUP`.
pub(crate) fn full_name(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") }
}

fn unsupported(backend: &str, signal: &str, supported: &[String]) -> Failure {
    let failure = Failure::new(Code::Invalid, format!("backend `{backend}` cannot send `{}`", signal.escape_default()));
    match closest(&full_name(signal), supported.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("it can send {}", supported.join(", "))),
    }
}

/// Runs a command inside one replica, to its end.
pub(crate) async fn exec(door: &Door, name: &ServiceName, asked: ExecRequest) -> Result<ExecResult, Failure> {
    let stdin = asked.stdin().ok_or_else(|| Failure::new(Code::Invalid, "`stdin_base64` is no base64"))?;
    let Some((program, args)) = asked.command.split_first() else {
        return Err(Failure::new(Code::Invalid, "`command` is empty").hint("name a program: it is run without a shell"));
    };
    let running = Running::of(door, name, asked.replica, Ability::Exec).await?;
    let life = &running.lives[0];
    let deadline = asked.timeout_ms.map_or(COMMAND, Duration::from_millis).min(LONGEST);
    // What was asked is on record before it is done; arguments may hold what nobody should read.
    record(
        door,
        EventKind::CommandRun,
        name,
        &json!({ "message": format!("{program} is run inside it by request"), "program": program, "replica": life.replica }),
    );
    let command = ExecCommand {
        program: program.clone(),
        args: args.to_vec(),
        env: asked.env.into_iter().collect(),
        stdin,
        deadline: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
    };
    let call = Call::within(deadline).about(&life.id).of(name.workspace()).asked_for();
    let output = running.backend()?.exec(call, &life.handle, &command).await.map_err(|error| failure(name, &error))?;
    Ok(ExecResult {
        version: Shape,
        service: running.service.local().to_owned(),
        replica: life.replica,
        code: output.exit.code,
        signal: output.exit.signal,
        out: Said::new(output.out),
        err: Said::new(output.err),
        truncated: output.truncated,
    })
}

/// Puts on record who was reached into.
fn record(door: &Door, kind: EventKind, service: &ServiceName, data: &serde_json::Value) {
    // The loop is gone only when the host is.
    door.outbox.send(Message::Note(ledger::note(kind, service.as_str(), data))).ok();
}

fn failure(service: &ServiceName, error: &CallError) -> Failure {
    let code = match (&error.why, error.fault()) {
        (_, Some(Fault::Denied(_))) => Code::Denied,
        (_, Some(Fault::Invalid(_) | Fault::Unsupported(_))) | (Why::Unsupported, _) => Code::Invalid,
        (_, Some(Fault::Gone | Fault::Conflict(_))) => Code::Conflict,
        (_, Some(Fault::Unavailable(_))) | (Why::Busy, _) => Code::Unavailable,
        (_, Some(Fault::Interrupted(_))) | (Why::Deadline { .. }, _) => Code::Timeout,
        _ => Code::Failed,
    };
    Failure::new(code, format!("service `{}`: {}", service.local(), error.brief()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_some_have_got_is_no_request_that_was_not_done() {
        let away = || Failure::new(Code::Unavailable, "service `web`: the engine is away");
        assert_eq!(sent_to_some(&[], 0, away()), away());
        let told = sent_to_some(&[0, 2], 3, away());
        assert_eq!(told.code, Code::Failed);
        assert_eq!(told.message, "replica 3 did not get the signal, and none after it; replica 0, 2 has: service `web`: the engine is away");
    }

    #[test]
    fn signals_have_long_and_short_names() {
        for text in ["hup", "HUP", "SIGHUP", "sighup"] {
            assert_eq!(full_name(text), "SIGHUP");
        }
    }
}

//! Commands inside containers: each runs beside the call that asked for it, so that it ends in time whatever becomes of that call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::api::{Ask, ONE, Trouble};
use super::convert::text;
use super::engine::{Engine, Known};
use super::frames::{Frames, Kind, Part};
use crate::bindings::hostler::host::commands::{Command, Output};
use crate::bindings::hostler::host::errors::Error;
use crate::limits::MAX_OUTPUT_BYTES;

mod kill;

/// Marks the processes of one command: its descendants have it, too.
const MARK: &str = "HOSTLER_EXEC";
/// Time to end what is late.
const ENDING: Duration = Duration::from_secs(5);
/// From one look at an end to the next.
const LOOK: Duration = Duration::from_millis(20);

/// Why there is no output.
pub(super) enum Unran {
    Trouble(Trouble),
    Late,
    NoProgram,
    Unfit(String),
}

impl From<Trouble> for Unran {
    fn from(trouble: Trouble) -> Unran {
        Unran::Trouble(trouble)
    }
}

/// What is run, its secrets in their places.
pub(super) struct Job {
    pub(super) command: Command,
    pub(super) until: Instant,
}

/// Runs a command to its end, or to `until`.
pub(super) async fn run(engine: Arc<Engine>, known: Known, job: Job) -> Result<Output, Unran> {
    let mark = random_mark()?;
    let Job { command, until } = job;
    let created = create(&engine, &known, &command, &mark).await?;
    let most = usize::try_from(command.max_output).unwrap_or(usize::MAX).min(MAX_OUTPUT_BYTES);
    match tokio::time::timeout_at(until, attend(&engine, &created, command.stdin, most)).await {
        Ok(kept) => Ok(finish(&engine, &created, kept?).await?),
        Err(_) => {
            let ending = kill::end(&engine, &known, &created, &mark);
            if tokio::time::timeout(ENDING, ending).await.is_err() {
                tracing::warn!(container = known.id, "a command in a container could not be ended in time");
            }
            Err(Unran::Late)
        }
    }
}

async fn create(engine: &Engine, known: &Known, command: &Command, mark: &str) -> Result<String, Trouble> {
    let mut argv = vec![command.program.as_str()];
    argv.extend(command.args.iter().map(String::as_str));
    let env: Vec<String> = command.env.iter().map(|(name, value)| format!("{name}={value}")).chain([format!("{MARK}={mark}")]).collect();
    let mut body =
        json!({ "AttachStdin": !command.stdin.is_empty(), "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": argv, "Env": env });
    if let Some(directory) = &command.directory {
        body["WorkingDir"] = json!(directory);
    }
    let said = engine.api.json(Ask::post(format!("/containers/{}/exec", known.id)).body(body), ONE).await?;
    let id = text(&said["Id"]);
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Trouble::Garbled { changes: false, why: "it made a command without an id".to_owned() });
    }
    Ok(id)
}

/// What is kept of both outputs.
#[derive(Default)]
struct Kept {
    out: Vec<u8>,
    err: Vec<u8>,
    truncated: bool,
}

impl Kept {
    fn take(&mut self, kind: Kind, bytes: &[u8], most: usize) {
        let kept = if kind == Kind::Out { &mut self.out } else { &mut self.err };
        let room = most.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.truncated |= bytes.len() > room;
    }
}

/// Starts it, feeds it and reads all it writes.
async fn attend(engine: &Engine, id: &str, stdin: Vec<u8>, most: usize) -> Result<Kept, Trouble> {
    let stream = engine.api.hijack(Ask::post(format!("/exec/{id}/start")).body(json!({ "Detach": false, "Tty": false }))).await?;
    let (mut from, mut to) = tokio::io::split(stream);
    let feeding = async {
        if !stdin.is_empty() {
            // a command that does not read its input is none of our business
            let _ = to.write_all(&stdin).await;
            let _ = to.shutdown().await;
        }
        std::future::pending::<()>().await;
    };
    let mut kept = Kept::default();
    let reading = async {
        let (mut frames, mut buffer) = (Frames::default(), vec![0; 16 << 10]);
        loop {
            let length = from.read(&mut buffer).await.map_err(|error| Trouble::Lost { changes: true, why: error.to_string() })?;
            if length == 0 {
                return Ok(());
            }
            let fed = frames.feed(&buffer[..length], |part| {
                if let Part::Bytes(kind, bytes) = part {
                    kept.take(kind, bytes, most);
                }
            });
            fed.map_err(|why| Trouble::Garbled { changes: true, why })?;
        }
    };
    tokio::select! {
        read = reading => read?,
        () = feeding => {}
    }
    Ok(kept)
}

async fn finish(engine: &Engine, id: &str, kept: Kept) -> Result<Output, Unran> {
    let until = Instant::now() + ENDING;
    let said = loop {
        let said = look(engine, id).await?;
        // its outputs are closed a moment before its end is known
        if said["Running"] != true && said["ExitCode"].is_i64() {
            break said;
        }
        if Instant::now() >= until {
            return Err(Trouble::Lost { changes: true, why: "the engine does not say how the command ended".to_owned() }.into());
        }
        tokio::time::sleep(LOOK).await;
    };
    let code = said["ExitCode"].as_i64().and_then(|code| i32::try_from(code).ok());
    if let Some(why) = refusal(&kept, code) {
        let words = why.to_ascii_lowercase();
        let absent = words.contains("executable file not found") || words.contains("no such file or directory");
        return Err(if absent { Unran::NoProgram } else { Unran::Unfit(why) });
    }
    Ok(Output { code, signal: None, out: kept.out, err: kept.err, truncated: kept.truncated })
}

/// What could not be executed at all the engine says among the outputs.
fn refusal(kept: &Kept, code: Option<i32>) -> Option<String> {
    if !matches!(code, Some(126 | 127)) {
        return None;
    }
    let said =
        [&kept.out, &kept.err].into_iter().map(|bytes| String::from_utf8_lossy(bytes)).find(|text| text.starts_with("OCI runtime exec failed"))?;
    Some(crate::text::escape(said.trim(), crate::limits::MAX_TEXT_BYTES))
}

async fn look(engine: &Engine, id: &str) -> Result<Value, Trouble> {
    engine.api.json(Ask::get(format!("/exec/{id}/json")), ONE).await
}

fn random_mark() -> Result<String, Unran> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Unran::Unfit(format!("there are no random numbers: {error}")))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

/// What a plugin hears of it.
pub(super) fn error(unran: Unran, trouble: impl FnOnce(Trouble) -> Error) -> Error {
    match unran {
        Unran::Trouble(Trouble::Refused { status: 409, message }) => Error::Conflict(message),
        Unran::Trouble(other) => trouble(other),
        Unran::Late => Error::Timeout,
        Unran::NoProgram => Error::NotFound,
        Unran::Unfit(why) => Error::Invalid(why),
    }
}

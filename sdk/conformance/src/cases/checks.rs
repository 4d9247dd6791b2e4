//! Health checks: H1 to H5.

use std::time::{Duration, Instant};

use hostler_wasm::words::{Report, Verdict};
use hostler_wasm::{CallError, Failure};
use serde_json::{Value, json};

use super::faults::Acts;
use super::load::YEAR;
use super::{broke, overran, unbroken};
use crate::case::{Kept, ensure, failed, not_applicable};
use crate::script::{Act, CommandEnd, Which, can_fail, errors};
use crate::stand::{Stand, World};
use crate::web::{Manner, Server};

/// Time of a check whose target does not answer.
const SHORT: Duration = Duration::from_millis(500);
/// So much later it is back at most, on a machine that has other things to do.
const BACK: Duration = Duration::from_secs(15);
/// So often it is tried: where the machine stood still, the host has to end a check that would have ended by itself.
const TRIES: usize = 5;

/// A target, and the settings that point at it.
pub(crate) struct Aim {
    pub(crate) settings: Value,
    server: Option<Server>,
}

impl Aim {
    /// A target as it should be.
    pub(crate) fn good(stand: &Stand) -> Aim {
        Aim::at(stand, Manner::Good)
    }

    /// A target that is not there.
    pub(crate) fn bad(stand: &Stand) -> Aim {
        Aim::at(stand, Manner::Refused)
    }

    pub(crate) fn at(stand: &Stand, manner: Manner) -> Aim {
        let server = asks_network(stand).then(|| Server::start(manner).expect("loopback has a free port"));
        let settings = server.as_ref().map_or_else(|| stand.settings.clone(), |server| aimed(&stand.settings, server));
        Aim { settings, server }
    }

    /// The same target, with other settings beside.
    pub(crate) fn with(self, settings: &Value) -> Aim {
        let settings = self.server.as_ref().map_or_else(|| settings.clone(), |server| aimed(settings, server));
        Aim { settings, ..self }
    }

    /// Judges it; commands that are played end with this code.
    pub(crate) async fn judge(&self, stand: &Stand, code: i32) -> Result<Report, CallError> {
        self.judge_within(stand, code, stand.patience()).await
    }

    async fn judge_within(&self, stand: &Stand, code: i32, deadline: Duration) -> Result<Report, CallError> {
        if stand.fake {
            stand.script.play_commands(CommandEnd::code(code));
        }
        stand.judge(&self.settings, deadline, code).await
    }
}

/// Points `url`, `host` and `port` at the server, wherever they stand.
fn aimed(settings: &Value, server: &Server) -> Value {
    match settings {
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| (key.clone(), aimed_key(key, value, server))).collect()),
        Value::Array(items) => Value::Array(items.iter().map(|item| aimed(item, server)).collect()),
        other => other.clone(),
    }
}

fn aimed_key(key: &str, value: &Value, server: &Server) -> Value {
    match (key, value) {
        ("port", Value::Number(_)) => json!(server.address.port()),
        ("host", Value::String(_)) => json!(server.address.ip().to_string()),
        (_, Value::String(text)) => json!(url_at(text, server)),
        (_, other) => aimed(other, server),
    }
}

/// The same path at the server; other texts stay as they are.
fn url_at(text: &str, server: &Server) -> String {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return text.to_owned() };
    let path = rest.find('/').map_or("/", |start| &rest[start..]);
    format!("http://{}{path}", server.address)
}

fn imports(stand: &Stand, what: &str) -> bool {
    stand.plugin.permissions().iter().any(|import| import.starts_with(what))
}

fn asks_network(stand: &Stand) -> bool {
    imports(stand, "wasi:http/") || imports(stand, "wasi:sockets/")
}

fn runs_commands(stand: &Stand) -> bool {
    imports(stand, "hostler:host/commands") || imports(stand, "hostler:host/task-exec")
}

/// Verdict, or in which way there is none.
fn told(answer: &Result<Report, CallError>) -> String {
    match answer {
        Ok(report) => format!("{:?} ({})", report.verdict, report.message).to_lowercase(),
        Err(error) => error.to_string(),
    }
}

pub(crate) async fn verdicts(world: &World) -> Kept {
    let stand = world.check().await?;
    let good = Aim::good(&stand).judge(&stand, 0).await;
    ensure!(matches!(&good, Ok(report) if report.verdict == Verdict::Pass), "of a good target the verdict is {}, expected pass", told(&good));
    if asks_network(&stand) {
        let manners: &[Manner] = if imports(&stand, "wasi:http/") { &[Manner::Refused, Manner::Broken, Manner::Closed] } else { &[Manner::Refused] };
        for manner in manners {
            let bad = Aim::at(&stand, *manner).judge(&stand, 0).await;
            ensure!(
                is_bad(&bad),
                "of a target that is {} the verdict is {}, expected fail or warn",
                format!("{manner:?}").to_lowercase(),
                told(&bad)
            );
        }
    } else if runs_commands(&stand) && stand.fake {
        let bad = Aim::good(&stand).judge(&stand, 1).await;
        ensure!(is_bad(&bad), "when the command ends with code 1 the verdict is {}, expected fail or warn", told(&bad));
    }
    Ok(())
}

fn is_bad(answer: &Result<Report, CallError>) -> bool {
    matches!(answer, Ok(report) if matches!(report.verdict, Verdict::Fail | Verdict::Warn))
}

pub(crate) async fn own_trouble(world: &World) -> Kept {
    let stand = world.check().await?;
    for import in failing_imports(&stand).await {
        for (name, error) in errors(&import) {
            stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, Act::Answer(error));
            let answer = Aim::good(&stand).judge(&stand, 0).await;
            stand.script.clear();
            let passed = matches!(&answer, Ok(report) if report.verdict == Verdict::Pass);
            ensure!(!passed, "when {import} answers {name}, the verdict is pass: nobody knows how the target is");
            let own = ["denied", "unavailable", "conflict", "other"].contains(&name);
            let blamed = matches!(&answer, Ok(report) if report.verdict == Verdict::Fail);
            ensure!(!(own && blamed), "when {import} answers {name}, the verdict is fail: it is the checker that is in trouble, say unknown");
        }
    }
    if asks_network(&stand) || runs_commands(&stand) { Ok(()) } else { not_applicable("it asks nobody") }
}

/// Imports of the check that can answer an error, seen by judging once.
async fn failing_imports(stand: &Stand) -> Vec<String> {
    let _ = Aim::good(stand).judge(stand, 0).await;
    let mut names: Vec<String> = stand.script.seen().into_iter().map(|seen| seen.import).filter(|name| can_fail(name)).collect();
    names.sort();
    names.dedup();
    names
}

pub(crate) async fn deadline(world: &World) -> Kept {
    let stand = world.check().await?;
    if imports(&stand, "wasi:http/") {
        let (late, took) = judge_late(&stand, Manner::Silent).await;
        ensure!(took < SHORT + BACK, "a target that says nothing held the check for {took:?}");
        ensure!(is_bad(&late), "of a target that says nothing within the deadline the verdict is {}, expected fail", told(&late));
        return Ok(());
    }
    let mut tried = false;
    if imports(&stand, "wasi:sockets/") {
        tried = true;
        let (late, took) = judge_late(&stand, Manner::Full).await;
        ensure!(took < SHORT + BACK, "a target that does not take the connection held the check for {took:?}");
        ensure!(is_bad(&late), "of a target that does not take the connection in time the verdict is {}, expected fail", told(&late));
    }
    for import in failing_imports(&stand).await {
        tried = true;
        stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, Act::Answer(json!({ "Err": "Timeout" })));
        let (late, _) = judge_late(&stand, Manner::Good).await;
        stand.script.clear();
        let kept = matches!(&late, Ok(report) if report.verdict != Verdict::Pass) || matches!(&late, Err(error) if !broke(error));
        ensure!(kept, "when {import} has no answer by the deadline, the verdict is {}", told(&late));
    }
    if tried { Ok(()) } else { not_applicable("it waits for nothing that can be held up here") }
}

/// Judges with little time, again when the host had to end it; and tells how long the last one took.
async fn judge_late(stand: &Stand, manner: Manner) -> (Result<Report, CallError>, Duration) {
    let mut tries = 0;
    loop {
        let aim = Aim::at(stand, manner);
        let begun = Instant::now();
        let answer = aim.judge_within(stand, 0, SHORT).await;
        let took = begun.elapsed();
        tries += 1;
        if tries == TRIES || !answer.as_ref().is_err_and(overran) {
            return (answer, took);
        }
    }
}

pub(crate) async fn forgetful(world: &World) -> Kept {
    let stand = world.check().await?;
    let has_bad = asks_network(&stand) || (runs_commands(&stand) && stand.fake);
    let (good, bad) = (Aim::good(&stand), Aim::bad(&stand));
    let judge = async |is_good: bool| {
        let (aim, code) = if is_good {
            (&good, 0)
        } else if asks_network(&stand) {
            (&bad, 0)
        } else {
            (&good, 1)
        };
        aim.judge(&stand, code).await.map(|report| report.verdict).map_err(|error| error.to_string())
    };
    let first = (judge(true).await, if has_bad { Some(judge(false).await) } else { None });
    for is_good in [true, false, false, true, true, false, true, false, false, false, true, true] {
        if !is_good && !has_bad {
            continue;
        }
        let again = judge(is_good).await;
        let before = if is_good { Some(&first.0) } else { first.1.as_ref() };
        ensure!(before == Some(&again), "the same target was {before:?} at first, and is {again:?} after some other checks");
    }
    let fresh = world.check().await?;
    let alone = Aim::good(&fresh).judge(&fresh, 0).await.map(|report| report.verdict).map_err(|error| error.to_string());
    ensure!(alone == first.0, "a check that was just installed says {alone:?} of the same target that another instance called {:?}", first.0);
    Ok(())
}

pub(crate) async fn malformed(world: &World) -> Kept {
    let stand = world.check().await?;
    if !asks_network(&stand) {
        return not_applicable("it does not ask over the network");
    }
    for manner in [Manner::Nonsense, Manner::Cut, Manner::Endless, Manner::Headers, Manner::Closed] {
        let answer = Aim::at(&stand, manner).judge_within(&stand, 0, Duration::from_secs(2)).await;
        let Err(error) = &answer else { continue };
        ensure!(!broke(error), "an answer that is {} breaks it: {error}", format!("{manner:?}").to_lowercase());
        ensure!(
            !matches!(error.why, Failure::Malformed(_)),
            "an answer that is {} makes it break the contract: {error}",
            format!("{manner:?}").to_lowercase()
        );
    }
    Ok(())
}

/// The check under one act on each of its imports: it must not break.
pub(crate) async fn under(stand: &Stand, acts: &Acts<'_>, deadline: Duration) -> Kept {
    let imports = failing_imports(stand).await;
    if imports.is_empty() {
        return not_applicable("it calls no import that can fail that way");
    }
    for import in imports {
        for (name, act) in acts(&import) {
            unbroken(&format!("{import} answers {name}"), async || {
                stand.script.rule(Which { import: Some(import.clone()), ..Which::default() }, act.clone());
                let answer = Aim::good(stand).judge_within(stand, 0, deadline).await;
                stand.script.clear();
                Ok(answer.err().filter(broke).map(|error| ("it", error)).into_iter().collect())
            })
            .await?;
        }
    }
    Ok(())
}

pub(crate) async fn parallel(stand: &Stand, many: usize) -> Kept {
    let (good, bad) = (Aim::good(stand), Aim::bad(stand));
    let network = asks_network(stand);
    let judging = (0..many).map(|nth| {
        let aim = if network && nth % 2 == 1 { &bad } else { &good };
        async move { (nth, aim.judge(stand, 0).await) }
    });
    for (nth, answer) in all(judging.collect()).await {
        let expected = if network && nth % 2 == 1 { is_bad(&answer) } else { matches!(&answer, Ok(report) if report.verdict == Verdict::Pass) };
        ensure!(expected, "among {many} at a time, check {nth} says {}", told(&answer));
    }
    Ok(())
}

/// Waits for all of these, which run at the same time.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, answer) in &mut running {
            if answer.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        if running.iter().all(|(_, answer)| answer.is_some()) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, answer)| answer).collect()
}

pub(crate) async fn clocks(stand: &Stand) -> Kept {
    for shift in [0, YEAR, -YEAR] {
        stand.script.shift_clocks(shift);
        let good = Aim::good(stand).judge(stand, 0).await;
        ensure!(
            matches!(&good, Ok(report) if report.verdict == Verdict::Pass),
            "with the clock {} days away, a good target is {}",
            shift / 86_400,
            told(&good)
        );
    }
    if asks_network(stand) {
        let bad = Aim::bad(stand).judge(stand, 0).await;
        if matches!(&bad, Ok(report) if report.verdict == Verdict::Pass) {
            return failed("with the clock a year behind, a target that is not there passes");
        }
    }
    Ok(())
}

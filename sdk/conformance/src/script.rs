//! The tap that cases play on: rules for what becomes of imports, and a record of what was called.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hostler_wasm::{CallInfo, Decision, ImportCall, Tap};
use serde_json::{Value, json};

/// One import that a plugin called.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) call: u64,
    /// Counted from 1 within that call.
    pub(crate) nth: u64,
    /// The exported function that was running: `backend.start`.
    pub(crate) function: &'static str,
    /// `processes.spawn`
    pub(crate) import: String,
    pub(crate) arguments: Value,
}

/// Which imports a rule is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    /// Only within this exported function.
    pub(crate) function: Option<&'static str>,
    /// Only this one: `processes.spawn`; with a last dot, all of an interface.
    pub(crate) import: Option<String>,
    /// Only the nth import of a call.
    pub(crate) nth: Option<u64>,
}

/// What a rule does.
#[derive(Clone)]
pub(crate) enum Act {
    KillBefore,
    KillAfter,
    /// It does not happen, and the guest hears this.
    Answer(Value),
    /// It happens, and the guest hears this.
    Lose(Value),
    /// It happens, and the guest hears something made of the answer.
    Change(fn(Value) -> Value),
    Wait(Duration),
}

/// How the commands of a case end.
#[derive(Debug, Clone)]
pub(crate) struct CommandEnd(pub(crate) Value);

impl CommandEnd {
    pub(crate) fn code(code: i32) -> CommandEnd {
        CommandEnd(json!({ "Ok": { "code": code, "signal": null, "out": b"ok\n", "err": b"", "truncated": false } }))
    }
}

/// Plays and records.
#[derive(Default)]
pub(crate) struct Script {
    rules: Mutex<Vec<(Which, Act)>>,
    seen: Mutex<Vec<Seen>>,
    /// How often each call looked at a clock.
    clocks: Mutex<BTreeMap<u64, u64>>,
    begun: Mutex<Vec<(u64, &'static str)>>,
    /// Ends the instance at its nth entry into the host, within this function.
    entry: Mutex<Option<(&'static str, u64)>>,
    commands: Mutex<Option<CommandEnd>>,
    /// Seconds that every clock is ahead.
    shift: AtomicI64,
}

impl Script {
    pub(crate) fn rule(&self, which: Which, act: Act) {
        lock(&self.rules).push((which, act));
    }

    /// Nothing is interfered with any more; what was seen is kept.
    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
        *lock(&self.entry) = None;
        self.shift.store(0, Ordering::Relaxed);
    }

    pub(crate) fn kill_entry(&self, function: &'static str, nth: u64) {
        *lock(&self.entry) = Some((function, nth));
    }

    pub(crate) fn play_commands(&self, end: CommandEnd) {
        *lock(&self.commands) = Some(end);
    }

    pub(crate) fn shift_clocks(&self, seconds: i64) {
        self.shift.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    pub(crate) fn forget_seen(&self) {
        lock(&self.seen).clear();
    }

    /// Names of the imports that one exported function called, each once.
    pub(crate) fn called_in(&self, function: &str) -> Vec<String> {
        let mut names: Vec<String> = lock(&self.seen).iter().filter(|seen| seen.function == function).map(|seen| seen.import.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Imports that calls of this function made, and looks at a clock beyond those of an instance's own beginning.
    pub(crate) fn impurities(&self, function: &str) -> Vec<String> {
        let calls: Vec<u64> = lock(&self.begun).iter().filter(|(_, begun)| *begun == function).map(|(call, _)| *call).collect();
        let seen = lock(&self.seen);
        let mut found: Vec<String> = seen.iter().filter(|seen| calls.contains(&seen.call)).map(|seen| seen.import.clone()).collect();
        let clocks = lock(&self.clocks);
        let idle = clocks.iter().filter(|(call, _)| !lock(&self.begun).iter().any(|(begun, _)| begun == *call)).map(|(_, looks)| *looks).max();
        if calls.iter().any(|call| clocks.get(call).copied().unwrap_or(0) > idle.unwrap_or(0)) {
            found.push("a clock of wasi:clocks".to_owned());
        }
        found.sort();
        found.dedup();
        found
    }

    fn act(&self, import: &ImportCall<'_>, before: bool) -> Option<Act> {
        let name = import.name();
        let fits = |(which, act): &&(Which, Act)| {
            let early = matches!(act, Act::KillBefore | Act::Answer(_) | Act::Wait(_));
            early == before
                && which.function.is_none_or(|function| function == import.call.function)
                && which.nth.is_none_or(|nth| nth == import.nth)
                && which.import.as_ref().is_none_or(|wanted| *wanted == name || (wanted.ends_with('.') && name.starts_with(wanted.as_str())))
        };
        lock(&self.rules).iter().find(fits).map(|(_, act)| act.clone())
    }

    fn look(&self, call: &CallInfo) -> i64 {
        *lock(&self.clocks).entry(call.id).or_default() += 1;
        self.shift.load(Ordering::Relaxed)
    }
}

impl Tap for Script {
    fn begun(&self, call: &CallInfo, _arguments: Value) {
        lock(&self.begun).push((call.id, call.function));
    }

    fn before(&self, import: &ImportCall<'_>) -> Decision {
        let seen = Seen {
            call: import.call.id,
            nth: import.nth,
            function: import.call.function,
            import: import.name(),
            arguments: import.arguments.clone(),
        };
        lock(&self.seen).push(seen);
        match self.act(import, true) {
            Some(Act::KillBefore) => Decision::Kill,
            Some(Act::Answer(answer)) => Decision::Answer(answer),
            Some(Act::Wait(time)) => Decision::Wait(time),
            Some(Act::KillAfter | Act::Lose(_) | Act::Change(_)) | None => Decision::Pass,
        }
    }

    fn instead(&self, _import: &ImportCall<'_>) -> Option<Value> {
        lock(&self.commands).clone().map(|end| end.0)
    }

    fn after(&self, import: &ImportCall<'_>, answer: &Value) -> Decision {
        match self.act(import, false) {
            Some(Act::KillAfter) => Decision::Kill,
            Some(Act::Lose(answer)) => Decision::Answer(answer),
            Some(Act::Change(change)) => Decision::Answer(change(answer.clone())),
            Some(Act::KillBefore | Act::Answer(_) | Act::Wait(_)) | None => Decision::Pass,
        }
    }

    fn entered(&self, call: &CallInfo, nth: u64) -> bool {
        *lock(&self.entry) != Some((call.function, nth))
    }

    fn wall_clock(&self, call: &CallInfo, real: Duration) -> Duration {
        let shift = self.look(call);
        let by = Duration::from_secs(shift.unsigned_abs());
        if shift < 0 { real.saturating_sub(by) } else { real.saturating_add(by) }
    }

    fn monotonic_clock(&self, call: &CallInfo, real: u64) -> u64 {
        let shift = self.look(call);
        // it never stands before its own beginning, whatever the wall clock does
        real.saturating_add(shift.unsigned_abs().saturating_mul(1_000_000_000))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds this lock")
}

/// Every error that an import can answer, as an answer.
pub(crate) fn errors(import: &str) -> Vec<(&'static str, Value)> {
    let text = "made up by the conformance suite";
    if import == HTTP {
        return vec![
            ("denied", json!({ "Err": "HTTP request denied" })),
            ("refused", json!({ "Err": "connection refused" })),
            ("timed-out", json!({ "Err": "HTTP response timeout" })),
            ("internal", json!({ "Err": text })),
        ];
    }
    vec![
        ("denied", json!({ "Err": { "Denied": text } })),
        ("not-found", json!({ "Err": "NotFound" })),
        ("conflict", json!({ "Err": { "Conflict": text } })),
        ("unavailable", json!({ "Err": { "Unavailable": text } })),
        ("timeout", json!({ "Err": "Timeout" })),
        ("invalid", json!({ "Err": { "Invalid": text } })),
        ("other", json!({ "Err": { "Other": text } })),
    ]
}

/// The errors that say that the engine is away, or that nobody knows.
pub(crate) fn away(import: &str) -> Vec<(&'static str, Value)> {
    errors(import).into_iter().filter(|(name, _)| ["unavailable", "timeout", "refused", "timed-out"].contains(name)).collect()
}

/// A request of `wasi:http`.
pub(crate) const HTTP: &str = "outgoing-handler.handle";

/// Can this import answer an error?
pub(crate) fn can_fail(import: &str) -> bool {
    !import.starts_with("log.") && !import.starts_with("context.") && import != "task-exec.available"
}

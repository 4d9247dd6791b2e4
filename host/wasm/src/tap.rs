//! A tap sits between a plugin and everything it calls: it sees each call of an import, and may answer it, delay it, or end the instance.
//!
//! Whoever loads a plugin may put one on it: the conformance suite to play an engine and to kill instances, `plugin record` to
//! keep what happened, `plugin replay` to play it back. A plugin can neither ask for one nor notice it. Without one, an import costs one
//! look at an `Option` more.
//!
//! Functions of `hostler:host` and requests of `wasi:http` are seen with arguments and answers; of the other imports (WASI) a tap sees
//! that the host is entered, what clocks say, and it may give the seed of all randomness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use wasmtime::{CallHook, Store};

use crate::capability::CallState;
use crate::error::Failure;

pub(crate) mod clocks;
pub(crate) mod http;
mod imports;

pub(crate) use imports::{Tapped, Through};

/// One call into a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInfo {
    /// Counted up over all tapped calls of this process.
    pub id: u64,
    /// Interface and function: `backend.start`.
    pub function: &'static str,
    /// What the call is about, as the caller named it.
    pub subject: String,
}

/// One call of an import, from within a call into the plugin.
#[derive(Debug)]
pub struct ImportCall<'a> {
    /// The call that it is part of.
    pub call: &'a CallInfo,
    /// Counted from 1 within that call.
    pub nth: u64,
    /// Package and interface: `hostler:host/processes`.
    pub interface: &'static str,
    /// `spawn`
    pub function: &'static str,
    /// An array with one value for each argument.
    pub arguments: Value,
}

impl ImportCall<'_> {
    /// For people: `processes.spawn`.
    pub fn name(&self) -> String {
        let interface = self.interface.rsplit_once('/').map_or(self.interface, |(_, interface)| interface);
        format!("{interface}.{}", self.function)
    }
}

/// What becomes of a call of an import.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It goes on as if nobody listened.
    Pass,
    /// It goes on after this long, or at the call's deadline.
    Wait(Duration),
    /// The guest gets this answer. Before the effect there is none then; after it, the real answer is lost.
    Answer(Value),
    /// The instance ends here, as if the host had been killed.
    Kill,
}

/// Listens to a plugin, and may interfere. Called from within calls, by many at a time: it must not block.
pub trait Tap: Send + Sync {
    /// These texts among the arguments of the call that begins next are secrets: nobody keeps them.
    fn hides(&self, _secrets: &[String]) {}

    /// A call into the plugin begins, with one value for each argument.
    fn begun(&self, _call: &CallInfo, _arguments: Value) {}

    /// It has ended: with an answer, or with the reason why there is none.
    fn ended(&self, _call: &CallInfo, _answer: Result<Value, String>) {}

    /// An import is called; nothing has happened yet.
    fn before(&self, _import: &ImportCall<'_>) -> Decision {
        Decision::Pass
    }

    /// The grant allows it. An answer here stands for the effect, which then does not happen. Asked for `commands.run`.
    fn instead(&self, _import: &ImportCall<'_>) -> Option<Value> {
        None
    }

    /// It has happened, or was answered by [`Tap::instead`]; not called where [`Tap::before`] answered.
    fn after(&self, _import: &ImportCall<'_>, _answer: &Value) -> Decision {
        Decision::Pass
    }

    /// The guest enters the host for the nth time within its call, for whatever reason. `false` ends the instance.
    fn entered(&self, _call: &CallInfo, _nth: u64) -> bool {
        true
    }

    /// What the guest sees on the wall clock, since 1970.
    fn wall_clock(&self, _call: &CallInfo, real: Duration) -> Duration {
        real
    }

    /// What the guest sees on the monotonic clock, in nanoseconds.
    fn monotonic_clock(&self, _call: &CallInfo, real: u64) -> u64 {
        real
    }

    /// Where the guest's random bytes come from; the machine when absent.
    fn seed(&self, _call: &CallInfo) -> Option<[u8; 32]> {
        None
    }
}

/// A tap during one call.
pub(crate) struct CallTap {
    tap: Arc<dyn Tap>,
    info: CallInfo,
    until: Instant,
    imports: AtomicU64,
    entries: AtomicU64,
    end: Notify,
    why: Mutex<String>,
}

static CALLS: AtomicU64 = AtomicU64::new(1);

impl CallTap {
    pub(crate) fn new(tap: Arc<dyn Tap>, function: &'static str, subject: &str, until: Instant) -> Arc<CallTap> {
        let info = CallInfo { id: CALLS.fetch_add(1, Ordering::Relaxed), function, subject: subject.to_owned() };
        Arc::new(CallTap { tap, info, until, imports: AtomicU64::new(0), entries: AtomicU64::new(0), end: Notify::new(), why: Mutex::default() })
    }

    pub(crate) fn begun(&self, arguments: &impl Serialize, secrets: &[String]) {
        self.tap.hides(secrets);
        self.tap.begun(&self.info, list(arguments));
    }

    /// The answer is the function's one result, within the tuple that wasmtime has for results.
    pub(crate) fn ended<R: Serialize>(&self, answer: Result<&R, &Failure>) {
        let answer = answer.map(|answer| match value(answer) {
            Value::Array(mut results) if results.len() == 1 => results.remove(0),
            other => other,
        });
        self.tap.ended(&self.info, answer.map_err(ToString::to_string));
    }

    /// Follows every entry into the host.
    pub(crate) fn watch(self: &Arc<Self>, store: &mut Store<CallState>) {
        let tap = Arc::clone(self);
        store.call_hook(move |_, hook| match hook {
            CallHook::CallingHost => {
                let nth = tap.entries.fetch_add(1, Ordering::Relaxed) + 1;
                if tap.tap.entered(&tap.info, nth) { Ok(()) } else { Err(wasmtime::Error::msg(format!("{KILLED} as it entered the host"))) }
            }
            CallHook::CallingWasm | CallHook::ReturningFromWasm | CallHook::ReturningFromHost => Ok(()),
        });
    }

    /// Runs a call until it has an answer, or until the tap ends it.
    pub(crate) async fn guard<T>(&self, call: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.end.notified() => Err(Failure::Trapped { message: self.why.lock().expect("no code panics while it holds this lock").clone() }),
            answer = call => Ok(answer),
        }
    }

    pub(crate) fn import(&self, interface: &'static str, function: &'static str, arguments: &impl Serialize) -> ImportCall<'_> {
        let nth = self.imports.fetch_add(1, Ordering::Relaxed) + 1;
        ImportCall { call: &self.info, nth, interface, function, arguments: list(arguments) }
    }

    /// The import that runs now, as its capability sees it.
    pub(crate) fn granted(&self, interface: &'static str, function: &'static str, arguments: &impl Serialize) -> ImportCall<'_> {
        ImportCall { call: &self.info, nth: self.imports.load(Ordering::Relaxed), interface, function, arguments: list(arguments) }
    }

    /// An answer to give without doing anything, if there is one.
    pub(crate) async fn before<R: DeserializeOwned>(&self, import: &ImportCall<'_>) -> Option<R> {
        match self.tap.before(import) {
            Decision::Pass => None,
            Decision::Wait(time) => {
                self.wait(time).await;
                None
            }
            Decision::Answer(answer) => Some(self.read(import, answer).await),
            Decision::Kill => self.kill(format!("{KILLED} before {}", import.name())).await,
        }
    }

    /// An answer that stands for the effect.
    pub(crate) async fn instead<R: DeserializeOwned>(&self, import: &ImportCall<'_>) -> Option<R> {
        match self.tap.instead(import) {
            Some(answer) => Some(self.read(import, answer).await),
            None => None,
        }
    }

    pub(crate) async fn after<R: Serialize + DeserializeOwned>(&self, import: &ImportCall<'_>, answer: R) -> R {
        match self.tap.after(import, &value(&answer)) {
            Decision::Pass => answer,
            Decision::Wait(time) => {
                self.wait(time).await;
                answer
            }
            Decision::Answer(answer) => self.read(import, answer).await,
            Decision::Kill => self.kill(format!("{KILLED} after {}", import.name())).await,
        }
    }

    async fn wait(&self, time: Duration) {
        let end = Instant::now().checked_add(time).map_or(self.until, |end| end.min(self.until));
        tokio::time::sleep_until(end).await;
    }

    /// A tap's answer may come from a file: one of another shape ends the call, with the reason.
    async fn read<R: DeserializeOwned>(&self, import: &ImportCall<'_>, answer: Value) -> R {
        match serde_json::from_value(answer) {
            Ok(answer) => answer,
            Err(error) => self.kill(format!("the answer given for {} has another shape: {error}", import.name())).await,
        }
    }

    /// The guest never hears of it: whoever drives the call drops it.
    async fn kill<R>(&self, why: String) -> R {
        *self.why.lock().expect("no code panics while it holds this lock") = why;
        self.end.notify_one();
        std::future::pending().await
    }
}

/// How the failure of an instance begins that a tap has ended.
pub const KILLED: &str = "killed by its tap";

/// What a tap sees in the place of arguments or an answer that are longer than [`MOST_SEEN`].
pub const UNSEEN: &str = "[too long to be shown]";

/// Bytes of what a tap sees of one call, as JSON: a value in memory takes many times more, and guests hand over a lot.
const MOST_SEEN: usize = 8 << 20;

fn value(data: &impl Serialize) -> Value {
    if serde_json::to_writer(Room(MOST_SEEN), data).is_err() {
        return Value::String(UNSEEN.to_owned());
    }
    serde_json::to_value(data).expect("the contract's words are plain data")
}

/// Takes as many bytes as this, and keeps none.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Arguments as an array, none included.
fn list(arguments: &impl Serialize) -> Value {
    match value(arguments) {
        Value::Null => Value::Array(Vec::new()),
        list => list,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_copied() {
        assert_eq!(value(&vec![255_u8; 1 << 20]).as_array().map(Vec::len), Some(1 << 20));
        assert_eq!(value(&vec![255_u8; 16 << 20]), UNSEEN);
        assert_eq!(list(&(vec![255_u8; 16 << 20],)), UNSEEN);
    }
}

//! What a failed call into wasmtime means.

use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::error::Failure;
use crate::scope::Scope;

/// Turns wasmtime's error into one of ours, with the guest's own last words where it left some.
pub(super) fn explain(error: &wasmtime::Error, scope: &Scope) -> Failure {
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failure::Busy;
    }
    let text = chain(error);
    if let Some(limit) = limit(&text) {
        return Failure::Limit(limit);
    }
    let cause = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "the call stack is exhausted (an endless recursion?)".to_owned(),
        Some(Trap::UnreachableCodeReached) => "it gave up (a panic or an abort)".to_owned(),
        Some(Trap::AllocationTooLarge) => return Failure::Limit("memory".to_owned()),
        Some(trap) => trap.to_string(),
        None => text,
    };
    let place = frames(error).map(|names| format!(", in {names}")).unwrap_or_default();
    let message = match scope.last_error() {
        Some(words) => format!("{words} ({cause}{place})"),
        None => format!("{cause}{place}"),
    };
    Failure::Trapped { message }
}

/// The causes, outermost last, without the multi-line backtrace that is one of them.
fn chain(error: &wasmtime::Error) -> String {
    let causes: Vec<String> =
        error.chain().map(|cause| cause.to_string()).filter(|cause| !cause.starts_with("error while executing at wasm backtrace")).collect();
    causes.join(": ")
}

/// wasmtime says which limit it was in words only.
fn limit(text: &str) -> Option<String> {
    let known = [
        ("forcing trap when growing memory", "memory"),
        ("memory minimum size", "memory"),
        ("exceeds memory limits", "memory"),
        ("forcing trap when growing table", "table"),
        ("table minimum size", "table"),
        ("too many bytes", "bytes handed to the host in one call"),
        ("fuel allocated for hostcalls has been exhausted", "bytes handed to the host in one call"),
        ("resource table has no free keys", "host resources open at a time"),
        ("store handle limit exceeded", "handles"),
        ("resource limit exceeded", "instances, memories or tables"),
    ];
    known.iter().find(|(words, _)| text.contains(words)).map(|(_, limit)| (*limit).to_owned())
}

/// The innermost guest functions that have names of their own.
fn frames(error: &wasmtime::Error) -> Option<String> {
    let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>()?;
    let is_plumbing =
        |name: &str| ["panic", "abort", "rust_begin_unwind", "__rust", "cabi_", "core::", "std::"].iter().any(|word| name.contains(word));
    let names: Vec<String> = backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)).chars().take(120).collect::<String>())
        .filter(|name| !is_plumbing(name))
        .take(2)
        .collect();
    if names.is_empty() { None } else { Some(names.join(" ← ")) }
}

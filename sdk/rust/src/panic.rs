//! A panic ends the call as a trap, which carries no words; this hook says them first.

use crate::host::log;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Reports the next panic through `log`, at error level, with its place. Every exported function begins with this.
pub(crate) fn report() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(say)));
}

fn say(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    match panic.location() {
        Some(place) => log::error(&format!("panicked: {message}"), &[("at", place)]),
        None => log::error(&format!("panicked: {message}"), &[]),
    }
}

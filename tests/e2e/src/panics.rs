//! A test that fails says why at once, and not only when all others are done: a run that is cut off or read in parts has the reason beside the name.

use std::io::{self, Write};
use std::panic;
use std::sync::Once;
use std::thread;

/// From now on. The second call does nothing.
pub(crate) fn are_told_at_once() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Threads of tests have the name of their test. What is written to the stream itself is not kept back with the test's output.
            if let Some(test) = thread::current().name().filter(|name| name.contains("::")) {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                let why = info.payload_as_str().unwrap_or("no words");
                let _ = io::stderr().write_all(format!("{test} fails at {place}: {why}\n").as_bytes());
            }
            before(info);
        }));
    });
}

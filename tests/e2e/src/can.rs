//! What this machine can do.

use std::io::Write;

/// Is the test to go on? When not, it says so by name; where `CI` is set it fails instead, because there the machine is ours to set up.
///
/// # Panics
/// When `CI` is set and the machine cannot do it.
#[track_caller]
pub fn can(what: &str, possible: bool) -> bool {
    if possible {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "this machine has to offer: {what}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not with `eprintln!`: of a test that passes, nobody would see it.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: this machine does not offer: {what}");
    false
}

/// Do the tests run as root?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

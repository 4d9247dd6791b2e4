//! What a point does in a program that is built to die, or to be slow.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// Names the file that says where to die.
const VARIABLE: &str = "HOSTLER_FAILPOINT";

/// Where the orders are, as this process was started with.
static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
/// The orders that were seen last, and how often their first point was passed since.
static PASSED: Mutex<(String, u64)> = Mutex::new((String::new(), 0));

/// Passes the point of this name, at once or slowly, or dies at it.
pub fn pass(name: &str) {
    let Some(file) = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)) else { return };
    let Ok(orders) = fs::read_to_string(file) else { return };
    let (order, rest) = orders.split_once('\n').unwrap_or((&orders, ""));
    if let Some((point, millis)) = order.split_once(" wait ") {
        if point == name {
            thread::sleep(Duration::from_millis(millis.parse().unwrap_or_default()));
        }
        return;
    }
    let (point, count) = order.split_once(':').unwrap_or((order, "1"));
    if point != name {
        return;
    }
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.0 != orders {
        *passed = (orders.clone(), 0);
    }
    passed.1 += 1;
    if count.parse() == Ok(passed.1) && take(file, rest) {
        // Nothing of this process goes on behind it, other threads included.
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            thread::park();
        }
    }
}

/// Takes the first order out, once: whoever moves the file is the one it is meant for.
fn take(file: &Path, rest: &str) -> bool {
    let taken = file.with_extension("taken");
    if fs::rename(file, &taken).is_err() {
        return false;
    }
    let part = std::env::args().nth(1).unwrap_or_default();
    let died = File::options().append(true).create(true).open(file.with_extension("died"));
    // Where it cannot be written, whoever waits for it says so.
    let _ = died.and_then(|mut died| died.write_all(format!("{} {part}\n", std::process::id()).as_bytes()));
    if !rest.is_empty() {
        let _ = fs::write(&taken, rest).and_then(|()| fs::rename(&taken, file));
    }
    true
}

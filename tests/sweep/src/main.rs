//! `hostler-sweep [POINT…]`: see --help.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hostler_engines::Docked;
use hostler_failpoint::POINTS;
use hostler_sweep::{Case, Site, cases, play};
use hostler_torture::service;

const HELP: &str = "\
Kills the host or its keeper at each failpoint of hostler, once per scenario that passes it, and looks whether all is as promised.

Usage: hostler-sweep [--jobs N] [--list] [POINT…]

Arguments:
  [POINT…]  Only points with one of these in their name, or in that of their scenario [default: all]

Options:
  --jobs N    How many are played at a time [default: 4]
  --list      Print the cases instead of playing them; those with containers are `(Contained(…))`
  -h, --help  Print help

Environment:
  HOSTLER_BIN  A hostler that was built with its failpoints [default: target/release/hostler]

Exit codes: 0 every promise was kept; 1 one was not, or a point was never reached; 2 usage
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["be", part, dir, port] = words[..] {
        return service::play(part, Path::new(dir), port.parse().ok());
    }
    if words.iter().any(|word| ["-h", "--help"].contains(word)) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let mut jobs = 4;
    if let Some(at) = words.iter().position(|word| *word == "--jobs") {
        let Some(number) = words.get(at + 1).and_then(|number| number.parse().ok()) else { return usage("--jobs needs a number") };
        jobs = number;
        words.drain(at..=at + 1);
    }
    let list = words.contains(&"--list");
    words.retain(|word| *word != "--list");
    if let Some(word) = words.iter().find(|word| word.starts_with('-')) {
        return usage(&format!("not understood: {word}"));
    }
    let is_asked = |case: &Case| words.is_empty() || words.iter().any(|word| case.to_string().contains(word));
    let mut asked: Vec<Case> = cases().into_iter().filter(is_asked).collect();
    if asked.is_empty() {
        return usage(&format!("no point has one of these in its name: {}", words.join(", ")));
    }
    if list {
        asked.iter().for_each(|case| println!("{case}"));
        return ExitCode::SUCCESS;
    }
    if let Err(why) = has_failpoints() {
        return usage(&why);
    }
    if asked.iter().any(Case::is_contained) {
        match engine_is_there() {
            Some(true) => {}
            Some(false) => asked.retain(|case| !case.is_contained()),
            None => return ExitCode::FAILURE,
        }
    }
    sweep(&asked, jobs)
}

/// Says by name when there is none; nothing where that is a failure.
fn engine_is_there() -> Option<bool> {
    let asking = std::thread::Builder::new().name("the cases with containers".to_owned());
    asking.spawn(|| Docked::new().is_some()).ok()?.join().ok()
}

fn usage(why: &str) -> ExitCode {
    eprintln!("{why}\nusage: hostler-sweep [--jobs N] [--list] [POINT…]");
    ExitCode::from(2)
}

/// Without them nothing would ever be reached, half a minute each.
fn has_failpoints() -> Result<(), String> {
    let program = hostler_e2e::program();
    let bytes = std::fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let has = |name: &str| bytes.windows(name.len()).any(|part| part == name.as_bytes());
    if has(POINTS[0]) {
        Ok(())
    } else {
        Err(format!("{} was built without its failpoints: `make sweep` builds one that has them", program.display()))
    }
}

fn sweep(asked: &[Case], jobs: usize) -> ExitCode {
    let began = Instant::now();
    // What is said of a failure is told with its case.
    std::panic::set_hook(Box::new(|info| LAST.with_borrow_mut(|last| *last = info.to_string())));
    warm_up();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, asked.len().max(1)) {
            scope.spawn(|| {
                while let Some(case) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let how = one(case);
                    println!("{} {:4.1} s  {case}", if how.is_ok() { "ok    " } else { "FAILED" }, begun.elapsed().as_secs_f64());
                    if let Err(why) = how {
                        failures.lock().expect("nobody panics while holding it").push(format!("{case}: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody panics while holding it");
    failures.iter().for_each(|failure| println!("\nFAILED {failure}"));
    let (points, seconds) = (asked.iter().map(Case::point).collect::<std::collections::BTreeSet<_>>().len(), began.elapsed().as_secs());
    println!(
        "\n{points} points, {} deaths in {seconds} s: {} promises broken",
        asked.iter().map(|case| case.points.len()).sum::<usize>(),
        failures.len()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

std::thread_local! {
    /// What the last panic of this thread said.
    static LAST: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// Plays one case; its files stay where it failed.
fn one(case: &Case) -> Result<(), String> {
    let mut site = Site::new();
    let played = catch_unwind(AssertUnwindSafe(|| play(&mut site, case)));
    if played.is_ok() {
        return Ok(());
    }
    site.yard.keep_files();
    let why = LAST.with_borrow(String::clone);
    Err(format!("{why}\nits files are in {}", site.yard.path().display()))
}

/// Has all plugins compiled, once.
fn warm_up() {
    let site = Site::new();
    site.yard.config("");
    site.yard.run("serve --detach").ok();
    site.yard.run("down").ok();
}

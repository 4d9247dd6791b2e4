//! Thousands of restarts, as fast as they come: and neither the host nor its keeper holds more after the last than after the first of them.
//!
//! Fifty services end at once, whenever they are started, as long as a file is there. Without it they stay, so that what is compared is
//! a host and a keeper at rest, with the same fifty services running.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hostler_e2e::{Signal, Yard, signal};

use crate::report::Report;

const SERVICES: usize = 50;
/// After so many all that is made once has been made: caches, threads, the store's pages, the journal's first compactions.
const FIRST: u64 = 1_000;
/// Nobody waits that long for a restart with delay zero.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets services crash until they were restarted so many times, more than [`FIRST`], and compares.
///
/// # Panics
/// When `hostler` is not there, or cannot even be started once.
pub fn restarts(count: u64) -> Report {
    let begun = Instant::now();
    let yard = Yard::new();
    yard.write("crash", "");
    yard.config(&configuration(&yard));
    yard.run("serve --detach").ok();
    // It is never settled: all of them crash all the time.
    yard.run("apply --no-wait").ok();
    let mut report = Report::default();
    let mut crowd = Crowd { yard: &yard, report: &mut report };
    let compared = crowd.rest_after(FIRST).and_then(|first| Some((first, crowd.crash_on().rest_after(count)?)));
    if let Some((first, last)) = compared {
        for (before, after) in first.iter().zip(&last) {
            report.row(&format!("{}, after {FIRST}", before.what), before.value);
            report.row(&format!("{}, after {count}", after.what), after.value);
            if after.value > before.value + before.slack {
                report.broken.push(format!("{} grew from {} to {}; {} more is no growth", before.what, before.value, after.value, before.slack));
                let new = after.names.difference(&before.names).take(20);
                new.for_each(|name| report.broken.push(format!("  new: {name}")));
            }
        }
    }
    report.row("restarts", count);
    report.row("seconds", begun.elapsed().as_secs());
    report
}

fn configuration(yard: &Yard) -> String {
    let script = format!("echo a life\n[ -e {} ] && exit 3\nexec sleep 100000", yard.file("crash").display());
    let mut text = format!("[settings]\nmax_parallel = {SERVICES}\n");
    for service in 0..SERVICES {
        let _ = write!(
            text,
            "[services.crash-{service}]\nbackend = {{ type = \"process\", binary = \"/bin/sh\", args = [\"-c\", {script:?}] }}\n\
             restart = {{ policy = \"always\", max_attempts = \"unlimited\", backoff = {{ initial = 0, max = 0 }} }}\n"
        );
    }
    text
}

/// One thing that is not to grow.
struct Held {
    what: String,
    value: u64,
    /// How much more is no growth.
    slack: u64,
    /// What was counted, where that has names.
    names: BTreeSet<String>,
}

impl Held {
    fn number(what: String, value: u64, slack: u64) -> Held {
        Held { what, value, slack, names: BTreeSet::new() }
    }

    fn named(what: String, names: BTreeSet<String>, slack: u64) -> Held {
        Held { what, value: names.len() as u64, slack, names }
    }
}

struct Crowd<'a> {
    yard: &'a Yard,
    report: &'a mut Report,
}

impl Crowd<'_> {
    /// Lets all of them crash again.
    fn crash_on(&mut self) -> &mut Self {
        self.yard.write("crash", "");
        self.pids().into_iter().for_each(|pid| signal(pid, Signal::KILL));
        self
    }

    /// Waits for so many restarts, lets the services stay, and looks at host and keeper once they have nothing left to do.
    fn rest_after(&mut self, restarts: u64) -> Option<Vec<Held>> {
        let mut last = (0, Instant::now());
        while last.0 < restarts {
            let now = self.restarts();
            if now > last.0 {
                last = (now, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                self.report.broken.push(format!("after {} restarts there is no other for {} s", last.0, PATIENCE.as_secs()));
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        fs::remove_file(self.yard.file("crash")).expect("it is ours");
        let begun = Instant::now();
        while self.pids().len() < SERVICES {
            if begun.elapsed() > PATIENCE {
                self.report.broken.push("the services do not come to rest".into());
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(self.settled())
    }

    /// How often all of them together were restarted.
    fn restarts(&self) -> u64 {
        let list = self.yard.get("/services").unwrap_or_default();
        list["services"].as_array().into_iter().flatten().filter_map(|service| service["restart_count"].as_u64()).sum()
    }

    /// The processes of those that stay.
    fn pids(&self) -> Vec<u32> {
        let list = self.yard.get("/services").unwrap_or_default();
        let running = list["services"].as_array().into_iter().flatten().filter(|service| service["status"] == "running");
        let pids = running.filter_map(|service| u32::try_from(service["pid"].as_u64()?).ok());
        pids.filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")).collect()
    }

    /// What host and keeper hold, once it has been the same for a while: idle threads go and files are written within seconds.
    fn settled(&self) -> Vec<Held> {
        let pids = [("host", self.yard.host_pid()), ("keeper", self.yard.keeper_pid())];
        let (begun, mut since, mut held) = (Instant::now(), Instant::now(), self.held(pids));
        while since.elapsed() < Duration::from_secs(4) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(250));
            let now = self.held(pids);
            if now.iter().zip(&held).any(|(now, before)| now.names != before.names) {
                since = Instant::now();
            }
            held = now;
        }
        held
    }

    fn held(&self, pids: [(&str, u32); 2]) -> Vec<Held> {
        let mut held = Vec::new();
        // A leak of one thing in each restart would be nine thousand of them. Beside that, two descriptors or threads are a look that came a moment too
        // early (a connection, an idle thread), and 4 MiB are what an allocator and SQLite's page cache keep of a busy time. Memory is what a process
        // has of its own: pages of its program are the system's to take, and the host gives them back in a quiet moment that may be now or later.
        for (name, pid) in pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let number = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap_or(0);
            held.push(Held::named(format!("{name}: descriptors"), descriptors(pid), 2));
            held.push(Held::number(format!("{name}: threads"), number("Threads:"), 2));
            held.push(Held::number(format!("{name}: KiB of its own"), number("RssAnon:"), 4096));
        }
        held.push(Held::named("files in the state directory".into(), files(self.yard.state()), 2));
        held
    }
}

/// Number and meaning of each.
fn descriptors(pid: u32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.map(|entry| format!("{} {}", entry.path().display(), fs::read_link(entry.path()).unwrap_or_default().display())).collect()
}

/// All below a directory.
fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.append(&mut files(&entry.path()));
        }
        found.insert(entry.path().display().to_string());
    }
    found
}

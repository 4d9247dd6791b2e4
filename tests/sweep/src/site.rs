//! One state directory in which somebody is to die.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostler_e2e::{Ran, Signal, Value, Yard, alive, free_port, signal};
use hostler_torture::account::{Life, lives};

use crate::contained::Engine;

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(120);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// A yard whose host and keeper die where they are told.
#[derive(Debug)]
pub struct Site {
    /// Where everything is.
    pub yard: Yard,
    /// Which configuration stands in the file.
    pub(crate) mark: u64,
    /// What a scenario adds to it.
    pub(crate) more: String,
    /// The engine, where services are containers. It goes after the host, which would start them again.
    pub(crate) engine: Option<Engine>,
    port: u16,
    /// How many have died where they were told.
    deaths: usize,
}

/// The services that every scenario has.
pub(crate) const SERVICES: [&str; 8] = ["steady", "crash", "once", "door", "toggle", "again", "changed", "sometimes"];

impl Site {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no place for it.
    #[expect(clippy::new_without_default, reason = "making one is work")]
    pub fn new() -> Site {
        Site { yard: Yard::new(), mark: 1, more: String::new(), engine: None, port: free_port(), deaths: 0 }
    }

    fn orders(&self) -> PathBuf {
        self.yard.file("failpoint")
    }

    /// Runs a command to its end. A host that it starts, and a keeper that this one starts, know where their orders are.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(self.yard.command(line).env("HOSTLER_FAILPOINT", self.orders()))
    }

    /// Tells whoever passes these points, one after the other, to die there.
    pub(crate) fn arm(&self, points: &[&str]) {
        // Under its name at once and whole: somebody may pass the point while it is written.
        let beside = self.yard.write("failpoint.new", points.join("\n"));
        fs::rename(beside, self.orders()).expect("it was just written");
    }

    /// Those who have died where they were told: pid, and `serve` or `keeper`.
    fn died(&self) -> Vec<(u32, String)> {
        let text = self.yard.read("failpoint.died");
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.filter_map(|line| line.split_once(' ').and_then(|(pid, part)| Some((pid.parse().ok()?, part.to_owned())))).collect()
    }

    /// Waits until one more has died, at this point; a host that is gone for that is not brought back.
    pub(crate) fn until_died(&mut self, point: &str) {
        self.deaths += 1;
        self.until(&format!("somebody dies at {point}"), |site| {
            let died = site.died();
            let Some((pid, part)) = died.get(site.deaths - 1) else { return Err("nobody has passed it".to_owned()) };
            let meant = if point.starts_with("keeper.") { "keeper" } else { "serve" };
            assert_eq!(part, meant, "the one that died at {point}");
            if alive(*pid) { Err(format!("{pid} lives")) } else { Ok(()) }
        });
    }

    /// The same for one after the other; in between the host is brought back.
    pub(crate) fn until_all_died(&mut self, points: &[&str]) {
        for (at, point) in points.iter().enumerate() {
            self.until_died(point);
            if at + 1 < points.len() && self.with("serve").is_empty() {
                // It may be its death again.
                drop(self.serve());
            }
        }
    }

    /// Ends everything; nothing is left behind.
    #[track_caller]
    pub(crate) fn leave(&self) {
        self.run("down").ok();
        self.until("nothing is left behind", |site| {
            let left = site.yard.processes();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    /// Looks until it holds.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Site) -> Result<(), String>) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(why) = holds(self) {
            assert!(Instant::now() < deadline, "waited {} s in vain until {what}: {why}", PATIENCE.as_secs());
            std::thread::sleep(PAUSE);
        }
    }

    /// A host in the background, whose start may be the death of somebody.
    pub(crate) fn serve(&self) -> Ran {
        self.run("serve --detach")
    }

    /// Brings back who is gone: the host by hand, and the host its keeper.
    #[track_caller]
    pub(crate) fn revive(&self) {
        let mut starts = 0;
        self.until("the host is back, with its keeper, and has looked at what was there", |site| {
            // One that is on its way out still looks like a host: another one is started when it is gone, and that one has to stay.
            if starts == 0 && site.with("serve").is_empty() {
                starts += 1;
                site.serve().ok();
            }
            let host = site.yard.get("/host").ok_or("it does not answer")?;
            if host["initialized"] == true && host["keeper"]["running"] == true { Ok(()) } else { Err(host.to_string()) }
        });
    }

    /// Processes of the yard whose first argument is this word.
    pub(crate) fn with(&self, word: &str) -> Vec<u32> {
        let is = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.split(|byte| *byte == 0).nth(1) == Some(word.as_bytes()));
        self.yard.processes().into_iter().filter(is).collect()
    }

    /// `kill -9`.
    #[track_caller]
    pub(crate) fn kill(&self, word: &str) {
        let pids = self.with(word);
        pids.iter().for_each(|pid| signal(*pid, Signal::KILL));
        self.until("the killed are gone", |_| if pids.iter().any(|pid| alive(*pid)) { Err(format!("{pids:?}")) } else { Ok(()) });
    }

    /// The lives of a service, by its own account.
    #[track_caller]
    pub(crate) fn lives(&self, service: &str) -> Vec<Life> {
        lives(self.yard.path(), service).unwrap_or_else(|why| panic!("{why}"))
    }

    /// What the host says of its services.
    pub(crate) fn services(&self) -> Result<Vec<Value>, String> {
        let list = self.yard.get("/services").ok_or("the host does not answer")?;
        Ok(list["services"].as_array().cloned().unwrap_or_default())
    }

    /// Writes the configuration with this mark. An even one is without `sometimes`.
    pub(crate) fn configure(&mut self, mark: u64) {
        self.mark = mark;
        let program = std::env::current_exe().expect("this program is somewhere");
        let mut text = "[settings]\nmax_parallel = 8\n".to_owned();
        for name in SERVICES.iter().filter(|name| **name != "sometimes" || mark % 2 == 1) {
            let (part, more) = match *name {
                "crash" => (
                    "crash",
                    "restart = { policy = \"always\", max_attempts = 1000000, backoff = { initial = \"10ms\", max = \"50ms\" } }".to_owned(),
                ),
                "once" => ("once", "kind = \"oneshot\"".to_owned()),
                "door" => {
                    let check = format!("type = \"tcp\", host = \"127.0.0.1\", port = {}", self.port);
                    ("listen", format!("health_check = {{ {check}, interval = \"300ms\", timeout = \"20s\", failure_threshold = 100 }}"))
                }
                "changed" => ("count", format!("env = {{ MARK = \"{mark}\" }}")),
                _ => ("count", String::new()),
            };
            self.add(&mut text, name, &program, part, &more);
        }
        if self.more == "pages" {
            self.add(&mut text, "pages", &program, "pages", "");
        } else {
            text += &self.more;
        }
        self.yard.config(&text);
    }

    fn add(&self, text: &mut String, name: &str, program: &Path, part: &str, more: &str) {
        let (dir, port) = (self.yard.path(), self.port);
        let backend = format!("{{ type = \"process\", binary = {program:?}, args = [\"be\", \"{part}\", {dir:?}, {port}] }}");
        writeln!(text, "[services.{name}]\nbackend = {backend}\nstop = {{ grace = \"2s\" }}\n{more}").expect("a string takes all");
    }
}

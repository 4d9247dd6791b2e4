//! Kills, brings back, and looks whether all is as promised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use hostler_e2e::{Signal, Value, Yard, alive, free_port, parent, signal};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::account::lives;
use crate::clock::now_ms;
use crate::fleet::{self, CRASHING, ONCE, STEADY};
use crate::operator::{Acknowledged, Operator};
use crate::random::Random;
use crate::reader;
use crate::report::Report;
use crate::witness::Witness;

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long before or after a kill of the keeper an exit may go unseen: from fork to journal, and from exit to reaping, on a loaded machine.
const UNSEEN_MS: u64 = 2_000;

/// Plays so many kills.
///
/// # Panics
/// When `hostler` is not there, or cannot even be started once.
pub fn torture(kills: u64, seed: u64) -> Report {
    let begun = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&over)).expect("the signal can be caught");
    }
    let yard = Yard::new();
    let program = std::env::current_exe().expect("this program is somewhere");
    let ports = [free_port(), free_port()];
    yard.config(&fleet::configuration(&program, yard.path(), ports, 1));
    yard.run("serve --detach").ok();
    // It is never settled: some crash all the time.
    yard.run("apply --no-wait").ok();

    let (witness, acknowledged, unrest) = (Witness::default(), Mutex::new(Acknowledged::first()), AtomicU64::new(0));
    let mut random = Random::new(seed);
    let operators = random.clone().next();
    let mut killer =
        Killer { yard: &yard, witness: &witness, acknowledged: &acknowledged, unrest: &unrest, over: &over, most: BTreeMap::new(), kills: [0; 4] };
    let reading = AtomicBool::new(false);
    scope(|scope| {
        let operator = Operator { yard: &yard, program: &program, ports, witness: &witness, acknowledged: &acknowledged, unrest: &unrest };
        // Also when somebody panics: whoever follows a host waits for its end.
        let _end = End { yard: &yard, flags: [&over, &reading] };
        let over = &over;
        let operating = scope.spawn(move || operator.work(Random::new(operators), over));
        scope.spawn(|| reader::read(&yard, &witness, &reading));
        scope.spawn(|| reader::follow(&yard, &witness, &reading));
        killer.look();
        killer.work(&mut random, kills);
        over.store(true, Ordering::Relaxed);
        if operating.join().is_err() {
            witness.broken("a request hung");
        }
        killer.last_look();
    });
    killer.report(begun)
}

/// Ends the readers, and what they read of.
struct End<'a> {
    yard: &'a Yard,
    flags: [&'a AtomicBool; 2],
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.flags.iter().for_each(|flag| flag.store(true, Ordering::Relaxed));
        self.yard.processes().into_iter().for_each(|pid| signal(pid, Signal::KILL));
    }
}

struct Killer<'a> {
    yard: &'a Yard,
    witness: &'a Witness,
    acknowledged: &'a Mutex<Acknowledged>,
    unrest: &'a AtomicU64,
    over: &'a AtomicBool,
    /// The most that each counter ever was.
    most: BTreeMap<String, u64>,
    /// Of hosts, keepers, both, and hosts that were just starting.
    kills: [u64; 4],
}

impl Killer<'_> {
    fn work(&mut self, random: &mut Random, kills: u64) {
        let began = Instant::now();
        while self.kills.iter().sum::<u64>() < kills && !self.over.load(Ordering::Relaxed) && !self.witness.is_broken() {
            sleep(Duration::from_millis(random.below(301)));
            self.kill(random);
            self.look_at_accounts();
            let done: u64 = self.kills.iter().sum();
            if random.percent(20) {
                self.look();
            }
            if done.is_multiple_of(100) {
                println!("{done} kills, {:.0} s", began.elapsed().as_secs_f64());
            }
        }
        self.look();
    }

    fn kill(&mut self, random: &mut Random) {
        self.unrest.fetch_add(1, Ordering::SeqCst);
        match random.below(100) {
            0..=64 => {
                self.kills[0] += 1;
                self.end("host", &self.of_the_host());
                self.bring_back();
            }
            65..=74 => {
                self.kills[1] += 1;
                self.end_keeper();
                self.until_back();
            }
            75..=84 => {
                self.kills[2] += 1;
                self.end("host", &self.of_the_host());
                sleep(Duration::from_millis(random.below(2) * random.below(100)));
                self.end_keeper();
                self.bring_back();
            }
            _ => {
                self.kills[3] += 1;
                self.end("host", &self.of_the_host());
                // one that is killed while it starts
                let mut starting = self.yard.command("serve --detach");
                let child = starting.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                sleep(Duration::from_millis(random.below(60)));
                self.end("starting host", &self.of_the_host());
                let _ = child.and_then(|mut child| child.wait());
                // it may have been too early to be seen
                self.end("starting host", &self.of_the_host());
                self.bring_back();
            }
        }
        self.unrest.fetch_add(1, Ordering::SeqCst);
    }

    /// Processes of the yard whose command line has this word.
    fn with(&self, word: &str) -> Vec<u32> {
        let has = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.split(|byte| *byte == 0).any(|part| part == word.as_bytes()))
        };
        self.yard.processes().into_iter().filter(has).collect()
    }

    fn of_the_host(&self) -> Vec<u32> {
        self.with("--detached")
    }

    fn end_keeper(&self) {
        let mut keepers = self.with("keeper");
        // a child that is not its program yet is called as its keeper is
        let all = keepers.clone();
        keepers.retain(|pid| !parent(*pid).is_some_and(|parent| all.contains(&parent)));
        self.witness.lock().keeper_kills.push(now_ms());
        self.end("keeper", &keepers);
    }

    fn end(&self, what: &str, pids: &[u32]) {
        self.witness.note(format!("kill {what} {pids:?}"));
        pids.iter().for_each(|pid| signal(*pid, Signal::KILL));
        let deadline = Instant::now() + PATIENCE;
        while pids.iter().any(|pid| alive(*pid)) {
            if Instant::now() > deadline {
                return self.witness.broken(format!("a killed {what} does not go: {pids:?}"));
            }
            sleep(Duration::from_millis(1));
        }
    }

    fn bring_back(&self) {
        let ran = self.yard.run("serve --detach");
        self.witness.note(format!("serve --detach: {} {}", ran.code, ran.out.trim()));
        if ran.code != 0 {
            self.witness.broken(format!("the host does not come back: {}{}", ran.out, ran.err));
        }
    }

    /// Waits until the host has a keeper, and knows what runs.
    fn until_back(&self) {
        self.until("the host is back, with its keeper", || {
            let host = self.yard.get("/host").ok_or("it does not answer")?;
            if host["initialized"] == true && host["keeper"]["running"] == true { Ok(()) } else { Err(host.to_string()) }
        });
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> Result<(), String>) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(why) = holds() {
            if Instant::now() > deadline {
                return self.witness.broken(format!("in vain for {} s: {what}: {why}", PATIENCE.as_secs()));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// What needs no host: nobody untouched has ended, nobody was started twice, nobody met another life of his.
    fn look_at_accounts(&self) {
        for name in fleet::everybody() {
            let lives = match lives(self.dir(), name) {
                Ok(lives) => lives,
                Err(why) => return self.witness.broken(why),
            };
            let good = if STEADY.contains(&name) {
                lives.len() == 1 && alive(lives[0].pid)
            } else if CRASHING.contains(&name) || ONCE.contains(&name) {
                // A one-shot whose end nobody saw runs again.
                lives.iter().rev().skip(1).all(|life| life.ended.is_some())
            } else {
                true
            };
            if !good {
                self.witness.broken(format!("{name} was not touched, and its lives are {:?}", &lives[lives.len().saturating_sub(4)..]));
            }
            self.witness.lock().count("accounts read", 1);
        }
    }

    fn dir(&self) -> &Path {
        self.yard.path()
    }

    /// Everything: what was acknowledged, counters, and each exit.
    fn look(&mut self) {
        if self.witness.is_broken() {
            return;
        }
        self.until_back();
        // Nobody wishes for anything meanwhile.
        let acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        self.until("what was acknowledged holds", || {
            let list = self.services()?;
            acknowledged.missing(&list, self.dir()).map_or(Ok(()), Err)
        });
        drop(acknowledged);
        self.until("who was not touched is told to run as what it is", || {
            let list = self.services()?;
            STEADY.iter().try_for_each(|name| {
                let service = list.iter().find(|service| service["name"] == *name).ok_or(format!("{name} is not there"))?;
                let pid = lives(self.dir(), name)?.first().map(|life| u64::from(life.pid));
                if service["status"] == "running" && service["pid"].as_u64() == pid { Ok(()) } else { Err(format!("{name}: {pid:?}: {service}")) }
            })
        });
        self.counters();
        let until_ms = now_ms();
        self.until("each exit is told", || self.exits(until_ms));
        self.witness.lock().count("full looks", 1);
    }

    fn services(&self) -> Result<Vec<Value>, String> {
        let list = self.yard.get("/services").ok_or("the host does not answer")?;
        Ok(list["services"].as_array().cloned().unwrap_or_default())
    }

    /// None of them goes back.
    fn counters(&mut self) {
        let (Some(host), Ok(list)) = (self.yard.get("/host"), self.services()) else {
            return self.witness.broken("the host does not answer, and nobody has killed it");
        };
        let mut now = vec![("generation".to_owned(), &host["generation"]), ("last event".to_owned(), &host["last_event"])];
        for service in list.iter().filter(|service| service["name"] != fleet::SOMETIMES) {
            let name = service["name"].as_str().unwrap_or_default();
            now.push((format!("generation of {name}"), &service["generation"]));
            if STEADY.contains(&name) || CRASHING.contains(&name) {
                now.push((format!("restarts of {name}"), &service["restart_count"]));
            }
        }
        self.witness.lock().count("counters compared with what they were", now.len() as u64);
        for (what, value) in now {
            let value = value.as_u64().unwrap_or_default();
            let most = self.most.entry(what.clone()).or_default();
            if value < *most {
                self.witness.broken(format!("{what} went back from {most} to {value}"));
            }
            *most = value.max(*most);
        }
    }

    /// Is each end before that time told, and rightly?
    fn exits(&self, until_ms: u64) -> Result<(), String> {
        let heard = self.witness.lock();
        for name in CRASHING.iter().chain(&ONCE) {
            for life in lives(self.dir(), name)? {
                let Some((code, ended_ms)) = life.ended.filter(|(_, ended_ms)| *ended_ms < until_ms) else { continue };
                let told = heard
                    .ends
                    .get(&((*name).to_owned(), life.run))
                    .ok_or(format!("{name}: run {}, which ended with {code} at {ended_ms}, is not told", life.run))?;
                let known = told.ends_with(&format!("exited with code {code}")) || (code == 0 && told == "ran to success");
                let span = life.started_ms.saturating_sub(UNSEEN_MS)..=ended_ms + UNSEEN_MS;
                let unseen = told.contains("nobody saw") && heard.keeper_kills.iter().any(|kill| span.contains(kill));
                if !known && !unseen {
                    return Err(format!("{name}: run {} ended with {code} and is told as: {told}", life.run));
                }
            }
        }
        Ok(())
    }

    /// After the last kill: everything again, then all of it stops, and nothing is left.
    fn last_look(&mut self) {
        if self.witness.is_broken() {
            return;
        }
        let lines = |witness: &Witness| witness.lock().logs.iter().map(|(name, log)| (name.clone(), log.lines)).collect::<BTreeMap<_, _>>();
        let before = lines(self.witness);
        self.until("each log goes on", || {
            let now = lines(self.witness);
            let stuck = fleet::COUNTING.iter().find(|name| now.get(**name) <= before.get(**name));
            stuck.map_or(Ok(()), |name| Err(format!("the log of {name} stands still")))
        });
        self.look();
        let down = self.yard.run("down");
        if down.code != 0 {
            self.witness.broken(format!("`down` failed: {}{}", down.out, down.err));
        }
        self.until("nothing is left", || {
            let left: Vec<PathBuf> = self.yard.processes().iter().map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    fn report(&self, begun: Instant) -> Report {
        let mut report = Report::default();
        let heard = self.witness.lock();
        for (what, count) in
            ["hosts killed", "keepers killed", "hosts and keepers killed together", "hosts killed while they started"].iter().zip(self.kills)
        {
            report.row(what, count);
        }
        report.row("seconds", begun.elapsed().as_secs());
        let all: Vec<_> = fleet::everybody().into_iter().flat_map(|name| lives(self.dir(), name).unwrap_or_default()).collect();
        report.row("lives, none of them doubled", all.len() as u64);
        report.row("exits by themselves, each told once", all.iter().filter(|life| life.ended.is_some()).count() as u64);
        report.row(
            "of those told as unknown, for their keeper was killed",
            heard.ends.values().filter(|told| told.contains("nobody saw")).count() as u64,
        );
        for (what, count) in &heard.figures {
            report.row(what, *count);
        }
        report.broken.clone_from(&heard.broken);
        if !report.is_good() {
            eprintln!("what was done last, in milliseconds since boot:");
            heard.trace.iter().for_each(|line| eprintln!("  {line}"));
            eprintln!("host.log:\n{}", std::fs::read_to_string(self.yard.state().join("host.log")).unwrap_or_default());
        }
        report
    }
}

//! Somebody operates the host: applies, stops, starts, restarts. What was acknowledged holds, whoever is killed then.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use hostler_e2e::{Value, Yard};

use crate::account::lives;
use crate::fleet::{self, CHANGED, RESTARTED, SOMETIMES, TOGGLED};
use crate::random::Random;
use crate::witness::Witness;

/// What was acknowledged last. What nobody answered for is not known, and nothing is expected of it.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    mark: Option<u64>,
    toggles: [Option<bool>; 3],
    /// Runs of the restarted ones are later than these.
    later_than: [u64; 2],
    last_mark: u64,
}

impl Acknowledged {
    /// That configuration 1 was applied, and everything runs.
    pub(crate) fn first() -> Acknowledged {
        Acknowledged { mark: Some(1), toggles: [Some(true); 3], later_than: [0; 2], last_mark: 1 }
    }

    /// What of it does not hold (yet); `services` is the host's list.
    pub(crate) fn missing(&self, services: &[Value], dir: &Path) -> Option<String> {
        let of = |name: &str| services.iter().find(|service| service["name"] == name);
        for (name, wanted) in TOGGLED.iter().zip(self.toggles) {
            let Some(wanted) = wanted else { continue };
            let status = of(name).map_or("not there", |service| service["status"].as_str().unwrap_or_default());
            if status != if wanted { "running" } else { "stopped" } {
                return Some(format!("{name} was {} and that was acknowledged; it is {status}", if wanted { "started" } else { "stopped" }));
            }
        }
        if let Some(mark) = self.mark {
            for name in CHANGED {
                let last = lives(dir, name).ok()?.pop();
                let running = of(name).is_some_and(|service| service["status"] == "running");
                if !running || last.as_ref().is_none_or(|life| life.mark != mark.to_string()) {
                    return Some(format!("configuration {mark} was applied and that was acknowledged; {name} is {:?}: {last:?}", of(name)));
                }
            }
            if of(SOMETIMES).is_some() != (mark % 2 == 1) {
                return Some(format!("configuration {mark} was applied and that was acknowledged; {SOMETIMES} is {:?}", of(SOMETIMES)));
            }
        }
        for (name, before) in RESTARTED.iter().zip(self.later_than) {
            let last = lives(dir, name).ok()?.pop();
            if last.as_ref().is_none_or(|life| life.run <= before) || of(name).is_none_or(|service| service["status"] != "running") {
                return Some(format!("{name} was restarted after run {before} and that was acknowledged; it is {last:?}"));
            }
        }
        None
    }
}

/// Who operates, and with what.
pub(crate) struct Operator<'a> {
    pub(crate) yard: &'a Yard,
    pub(crate) program: &'a Path,
    pub(crate) ports: [u16; 2],
    pub(crate) witness: &'a Witness,
    pub(crate) acknowledged: &'a Mutex<Acknowledged>,
    /// Counts up whenever somebody is about to be killed, and once more when all is back: odd while it is not.
    pub(crate) unrest: &'a AtomicU64,
}

impl Operator<'_> {
    /// One wish after the other, until it is over.
    pub(crate) fn work(&self, mut random: Random, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let mut acknowledged = self.acknowledged.lock().expect("nobody panics while holding it");
            self.wish(&mut random, &mut acknowledged);
            drop(acknowledged);
            sleep(Duration::from_millis(5 + random.below(40)));
        }
    }

    fn wish(&self, random: &mut Random, acknowledged: &mut Acknowledged) {
        let how = if random.percent(50) { " --no-wait" } else { " --timeout 20s" };
        let which = usize::try_from(random.below(6)).expect("less than 6");
        match random.below(10) {
            0..=2 => {
                let mark = acknowledged.last_mark + 1;
                acknowledged.last_mark = mark;
                self.yard.config(&fleet::configuration(self.program, self.yard.path(), self.ports, mark));
                acknowledged.mark = None;
                // To wait until all is settled is to wait for who crashes all the time.
                if self.ask("apply --no-wait") {
                    acknowledged.mark = Some(mark);
                }
            }
            3..=4 => {
                let (name, at) = (RESTARTED[which % 2], which % 2);
                let before = lives(self.yard.path(), name).ok().and_then(|mut lives| lives.pop()).map_or(0, |life| life.run);
                // Where the answer comes at once, the life that is replaced may be one that begins only now.
                if self.ask(&format!("restart {name}{how}")) {
                    acknowledged.later_than[at] = before;
                }
            }
            wish => {
                let (name, at, start) = (TOGGLED[which % 3], which % 3, wish < 7);
                acknowledged.toggles[at] = None;
                if self.ask(&format!("{} {name}{how}", if start { "start" } else { "stop" })) {
                    acknowledged.toggles[at] = Some(start);
                }
            }
        }
    }

    /// Was it acknowledged? That it was not is fine while somebody is killed, and only then.
    fn ask(&self, line: &str) -> bool {
        let before = self.unrest.load(Ordering::SeqCst);
        let ran = self.yard.run(line);
        let calm = before.is_multiple_of(2) && self.unrest.load(Ordering::SeqCst) == before;
        let mut heard = self.witness.lock();
        heard.note(format!("{line}: {}", ran.code));
        heard.count("requests", 1);
        heard.count("requests acknowledged, and held to it", u64::from(ran.code == 0));
        if ran.code != 0 && calm {
            heard.broken(format!("`{line}` failed with {} though nobody was killed: {}{}", ran.code, ran.out, ran.err));
        }
        ran.code == 0
    }
}

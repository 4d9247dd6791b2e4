//! The world around one host: engines, a disk, people, clocks, and everything that is on its way.

mod calls;
mod disk;
mod engine;
mod host;
mod people;
mod rest;
mod steps;

use std::collections::BTreeMap;

use hostler_core::{Event, Run, ServiceName, Starting, Time, Verdict};

use crate::dice::Dice;
use crate::faults::Kind;
use crate::story::{ENGINES, Story, Temper};
use crate::watch::Watch;
use crate::{Played, Violation};
use calls::{Call, Course, News};
use disk::Disk;
use engine::Engine;
use host::Host;
pub(crate) use host::Part;
use people::People;

/// More steps than this at one instant are a loop without end.
const AT_ONE_INSTANT: u64 = 100_000;

/// Something that will happen.
#[derive(Debug)]
enum Due {
    /// A step of the story.
    Step(usize),
    /// A call reaches its engine.
    Effect { call: Call, course: Course, life: u64 },
    /// An answer, or news, reaches the host.
    News { news: News, life: u64 },
    /// A task ends by itself.
    End { engine: usize, run: Run, code: i32 },
    /// The host ends what it heard at once with a commit.
    CarryOut { life: u64 },
    /// A commit is done, or is tried again.
    Commit { life: u64 },
    /// The host is started.
    Boot { life: u64 },
    /// Somebody waits no longer for a host that is shut down.
    Impatient { life: u64 },
    /// A plugin is there again.
    PluginBack { engine: usize },
    /// Somebody who follows the events asks for more.
    Follow,
}

/// The host is killed after so many moves, or the machine falls.
#[derive(Debug, Clone, Copy)]
struct Fuse {
    moves: u64,
    /// Whether a commit that is under way is kept.
    torn: bool,
    machine: bool,
}

pub(crate) struct World<'a> {
    story: &'a Story,
    /// By number, whether cut away or not.
    names: Vec<ServiceName>,
    numbers: BTreeMap<ServiceName, usize>,
    /// Milliseconds that the world has lasted, awake.
    at: u64,
    /// What the host's clock of decisions shows is this much more.
    ahead: i128,
    /// It does not sleep again before then.
    awake_until: u64,
    wall_ms: i64,
    boot: u64,
    queue: BTreeMap<(u64, u64), Due>,
    sequence: u64,
    engines: [Engine; 2],
    disk: Disk,
    host: Option<Host>,
    /// Counts the lives of the host: what was meant for an earlier one is not heard.
    life: u64,
    fuse: Option<Fuse>,
    down_ms: u64,
    people: People,
    tempers: Vec<Temper>,
    moods: BTreeMap<(usize, usize), Verdict>,
    /// No faults any more.
    calm: bool,
    watch: Watch,
    violation: Option<Violation>,
    log: Option<Vec<String>>,
    calls: BTreeMap<(u64, u64, u64), u64>,
    /// Of every decision, in order.
    trace: u64,
    events: u64,
    at_this_instant: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(story: &'a Story, told: bool) -> World<'a> {
        // A name is its number's, whether its service was cut away or not.
        let full = Story::new(story.seed, story.size);
        let names: Vec<ServiceName> = full.services.iter().flatten().map(|spec| spec.name.clone()).collect();
        let numbers: BTreeMap<ServiceName, usize> = names.iter().enumerate().map(|(number, name)| (name.clone(), number)).collect();
        World {
            story,
            at: 0,
            ahead: 1_000_000,
            awake_until: 0,
            wall_ms: 1_700_000_000_000,
            boot: 1,
            queue: BTreeMap::new(),
            sequence: 0,
            engines: ENGINES.map(Engine::new),
            disk: Disk::default(),
            host: None,
            life: 0,
            fuse: None,
            down_ms: 0,
            people: People::new(story, names.len()),
            tempers: vec![Temper::Steady; names.len()],
            moods: BTreeMap::new(),
            calm: false,
            watch: Watch::new(numbers.clone()),
            numbers,
            names,
            violation: None,
            log: told.then(Vec::new),
            calls: BTreeMap::new(),
            trace: 0,
            events: 0,
            at_this_instant: 0,
        }
    }

    /// Plays the story to its end, or to the first thing that must not be.
    pub(crate) fn play(&mut self) {
        self.wall_jumps(0);
        self.boot_host();
        self.people_apply(Starting::AtRest);
        self.later(600_000, Due::Follow);
        for chapter in 0..self.story.chapters {
            self.calm = false;
            let from = self.at;
            for (index, beat) in self.story.beats.iter().enumerate() {
                if let Some(beat) = beat.as_ref().filter(|beat| beat.chapter == chapter) {
                    self.sequence += 1;
                    self.queue.insert((from + beat.at_ms, self.sequence), Due::Step(index));
                }
            }
            self.pass_until(from + self.story.chapter_ms);
            self.come_to_rest();
        }
        self.end();
    }

    pub(crate) fn played(self) -> Played {
        Played { violation: self.violation, simulated_ms: self.at, events: self.events, trace: self.trace, log: self.log.unwrap_or_default() }
    }

    pub(crate) fn fail(&mut self, rule: &'static str, message: String) {
        self.note(|| format!("!!! {rule}: {message}"));
        if self.violation.is_none() {
            self.violation = Some(Violation { rule, message });
        }
    }

    /// Hands on what a rule says.
    fn judge(&mut self, judged: Result<(), Violation>) {
        if let Err(Violation { rule, message }) = judged {
            self.fail(rule, message);
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = self.log.as_mut().filter(|_| self.violation.is_none()) {
            let at = self.at;
            log.push(format!("{:>5}:{:02}.{:03}  {}", at / 60_000, at / 1000 % 60, at % 1000, line()));
        }
    }

    /// What the clock of decisions shows.
    fn now(&self) -> Time {
        Time(u64::try_from(i128::from(self.at) + self.ahead).unwrap_or(0))
    }

    fn later(&mut self, ms: u64, due: Due) {
        self.sequence += 1;
        self.queue.insert((self.at.saturating_add(ms), self.sequence), due);
    }

    /// Dice for one thing of one kind about one slot: the first, the second, …
    fn dice(&mut self, kind: u64, service: usize, replica: u32) -> Dice {
        let count = self.calls.entry((kind, service as u64, u64::from(replica))).or_default();
        *count += 1;
        Dice::of(&[self.story.seed, kind, service as u64, u64::from(replica), *count])
    }

    fn rate(&self, kind: Kind) -> u64 {
        if self.calm { 0 } else { self.story.faults.rate(kind) }
    }

    fn pass_until(&mut self, end: u64) {
        while self.violation.is_none() {
            let next = self.next_step();
            if next > end {
                break;
            }
            if next > self.at {
                self.at_this_instant = 0;
                self.at = next;
            }
            self.at_this_instant += 1;
            if self.at_this_instant > AT_ONE_INSTANT {
                return self.fail("rest", "it never comes to rest: the same instant has no end".to_owned());
            }
            self.step();
        }
        self.at = self.at.max(end);
    }

    fn next_step(&self) -> u64 {
        let due = self.queue.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
        due.min(self.host_wakes_at()).max(self.at)
    }

    /// When the host's own clock wakes it; while it waits for its disk it hears nothing.
    fn host_wakes_at(&self) -> u64 {
        let Some(host) = self.host.as_ref().filter(|host| host.waiting.is_none()) else { return u64::MAX };
        let Some(Time(wake)) = host.core.poll_timeout() else { return u64::MAX };
        u64::try_from((i128::from(wake) - self.ahead).max(0)).unwrap_or(u64::MAX)
    }

    fn step(&mut self) {
        let due = self.queue.first_key_value().filter(|((at, _), _)| *at <= self.at).map(|(key, _)| *key);
        self.events += 1;
        match due.and_then(|key| self.queue.remove(&key)) {
            None => self.hear_event(Event::Tick),
            Some(Due::Step(index)) => {
                let step = self.story.beats[index].as_ref().expect("only steps that are there are queued").step.clone();
                self.note(|| format!("[{index}] {step}"));
                self.take_step(step);
            }
            Some(Due::Effect { call, course, life }) => self.take_effect(call, course, life),
            Some(Due::News { news, life }) => {
                if life == self.life {
                    self.hear_news(news);
                }
            }
            Some(Due::End { engine, run, code }) => self.end_task(engine, run, code),
            Some(Due::CarryOut { life }) if life == self.life => self.carry_out(),
            Some(Due::Commit { life }) if life == self.life => self.commit_again(),
            Some(Due::Boot { life }) if life == self.life && self.host.is_none() => self.boot_host(),
            Some(Due::Impatient { life }) if life == self.life && self.host.is_some() => self.kill_host(),
            Some(Due::CarryOut { .. } | Due::Commit { .. } | Due::Boot { .. } | Due::Impatient { .. }) => {}
            Some(Due::PluginBack { engine }) => self.plugin_back(engine),
            Some(Due::Follow) => {
                self.follow();
                self.later(600_000, Due::Follow);
            }
        }
    }

    /// Somebody reads the events from where they left off.
    fn follow(&mut self) {
        let judged = self.watch.follow(&self.disk.store);
        self.judge(judged);
    }
}

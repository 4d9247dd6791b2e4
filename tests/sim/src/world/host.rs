//! The host, as its one loop does it: hear, decide, commit, begin; a kill may come between any two of these moves.

use std::collections::{BTreeSet, VecDeque};

use hostler_core::{Action, Core, Event, Notice, Phase, Run, Saved, SlotRecord, Time, Verdict};
use hostler_ledger::{self as ledger, Ahead, HandleRecord};
use hostler_store::Txn;

use super::calls::{Call, News};
use super::engine::FALLS;
use super::{Due, Fuse, World};
use crate::dice::Dice;
use crate::faults::Kind;
use crate::story::ENGINES;
use crate::watch::Heard;

/// How long a host waits before a commit that failed is tried again.
const COMMIT_AGAIN_MS: u64 = 1_000;
/// How long somebody waits for a host that is shut down.
const PATIENCE_MS: u64 = 180_000;

pub(super) struct Host {
    pub(super) core: Core,
    ahead: Ahead,
    pub(super) generation: u64,
    /// Lives whose handle is known.
    pub(super) handles: BTreeSet<Run>,
    /// Decided, and not yet committed.
    actions: VecDeque<(Time, Action)>,
    /// To be committed with the next decision.
    next: Txn,
    /// What checks said since the last commit.
    verdicts: Vec<(Run, String, Verdict)>,
    /// More is heard before the next commit.
    hearing: bool,
    /// The decision that is being committed: nothing is heard meanwhile.
    pub(super) waiting: Option<Decision>,
    /// Heard while nothing could be committed.
    backlog: VecDeque<News>,
    pub(super) closing: bool,
}

/// What is committed together, and what follows.
pub(super) struct Decision {
    txn: Txn,
    pub(super) parts: Vec<(Time, Part)>,
    effects: Vec<Action>,
    pub(super) verdicts: Vec<(Run, String, Verdict)>,
    /// It outlives the host, and not yet the machine.
    written: bool,
}

/// One record or one notice.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Saved(Saved),
    Told(Notice),
}

impl World<'_> {
    /// One move of the host; false when it was killed instead.
    pub(super) fn moves(&mut self) -> bool {
        match &mut self.fuse {
            None => self.host.is_some(),
            Some(Fuse { moves: 0, machine: false, .. }) => {
                self.kill_host();
                false
            }
            Some(Fuse { moves: 0, machine: true, .. }) => {
                self.reboot();
                false
            }
            Some(fuse) => {
                fuse.moves -= 1;
                self.host.is_some()
            }
        }
    }

    pub(super) fn boot_host(&mut self) {
        let boot = format!("boot-{}", self.boot);
        self.note(|| format!("the host is started on {boot}"));
        let memory = match ledger::recall::<u64>(&self.disk.store, &boot) {
            Ok(memory) => memory,
            Err(error) => return self.fail("I10", format!("what was remembered cannot be read: {error}")),
        };
        let judged = self.watch.recalled(&memory.remembered, self.people.acked());
        self.judge(judged);
        self.people_recall(&memory.remembered);
        self.life += 1;
        let ahead = Ahead::new(&memory.remembered);
        let core = Core::restore(self.story.config.clone(), self.now(), memory.remembered);
        self.host = Some(Host {
            core,
            ahead,
            generation: memory.generation,
            handles: memory.handles.into_keys().collect(),
            actions: VecDeque::new(),
            next: memory.boot,
            verdicts: Vec::new(),
            hearing: false,
            waiting: None,
            backlog: VecDeque::new(),
            closing: false,
        });
        if let Ok(Some(starts)) = ledger::meta::<u32>(&self.disk.store, "max-parallel") {
            self.host.as_mut().expect("it was just made").core.set_max_parallel(starts);
        }
        if !self.moves() {
            return;
        }
        self.drain(&Heard::Restored);
        for (engine, backend) in ENGINES.into_iter().enumerate() {
            if self.at < self.engines[engine].missing_until {
                let event = Event::Plugin { backend: backend.to_owned(), missing: self.engines[engine].trouble(self.at) };
                self.handle(event, &Heard::Other);
            }
        }
        self.carry_out();
    }

    /// kill -9: what was decided and not written never was; engines may finish what they were doing.
    pub(super) fn kill_host(&mut self) {
        self.end_host(false);
    }

    /// The end of the host, perhaps with that of the machine, which loses what was written and not synced.
    pub(super) fn end_host(&mut self, machine: bool) {
        let torn = self.fuse.take().is_some_and(|fuse| fuse.torn);
        let Some(host) = self.host.take() else { return };
        self.watch.nothing_is_written();
        self.note(|| format!("the host is killed{}", if host.waiting.is_some() { ", and was committing" } else { "" }));
        if let Some(decision) = host.waiting.filter(|decision| torn || (decision.written && !machine)) {
            // It had reached the disk, and nobody was told.
            if let Ok(first) = self.disk.commit(decision.txn.clone()) {
                let judged =
                    self.watch.committed(&decision.parts, decision.verdicts, first, |run| self.engines.iter().any(|engine| engine.is_alive(run)));
                self.judge(judged);
            }
        }
        self.life += 1;
        let (seed, life) = (self.story.seed, self.life);
        // A change that was on its way is made now, or never.
        let changes = self.queue.iter().filter_map(|((at, sequence), due)| match due {
            Due::Effect { call: Call::Update { run, engine, digest, .. }, .. } if Dice::of(&[seed, 36, *at, *sequence]).percent(50) => {
                Some((*run, *engine, digest.clone()))
            }
            _ => None,
        });
        for (run, engine, digest) in changes.collect::<Vec<_>>() {
            // Of an engine that is away nothing is heard.
            self.engines[engine].change(run, &digest, self.at).ok();
        }
        self.queue.retain(|(at, sequence), due| match due {
            Due::Effect { call: Call::Start { .. } | Call::Stop { .. } | Call::Destroy { .. }, life, .. } => {
                *life == u64::MAX || Dice::of(&[seed, 30, *at, *sequence]).percent(50)
            }
            Due::Effect { .. } | Due::News { .. } | Due::CarryOut { .. } | Due::Commit { .. } | Due::Boot { .. } | Due::Impatient { .. } => false,
            Due::Step(_) | Due::End { .. } | Due::PluginBack { .. } | Due::Follow => true,
        });
        let down = std::mem::take(&mut self.down_ms);
        self.later(down, Due::Boot { life });
    }

    /// Time passed, or somebody asked.
    pub(super) fn hear_event(&mut self, event: Event) {
        if !self.moves() {
            return;
        }
        self.handle(event, &Heard::Other);
        self.after_hearing();
    }

    pub(super) fn hear_news(&mut self, news: News) {
        let Some(host) = &mut self.host else { return };
        if host.waiting.is_some() {
            host.backlog.push_back(news);
            return;
        }
        if !self.moves() {
            return;
        }
        self.hear(news);
        self.after_hearing();
    }

    /// Commits what was decided, or hears more first: what comes together is committed together.
    fn after_hearing(&mut self) {
        let (life, late) = (self.life, self.rate(Kind::Late));
        if self.host.as_ref().is_none_or(|host| host.hearing) {
            return;
        }
        if late > 0 {
            let mut dice = self.dice(31, 0, 0);
            if dice.percent(20) {
                if let Some(host) = &mut self.host {
                    host.hearing = true;
                }
                return self.later(dice.below(4), Due::CarryOut { life });
            }
        }
        self.carry_out();
    }

    fn hear(&mut self, news: News) {
        match &news {
            News::Looked { seen: Ok(_), .. } | News::Listed { found: Ok(_), .. } => {}
            News::Checked { result, .. } if result.verdict == Verdict::Pass => {}
            News::Checked { result, name } => {
                let (run, said) = (result.run, result.verdict.as_str());
                self.note(|| format!("      check {name} of run {run} says {said}: {}", result.message));
            }
            other => self.note(|| format!("      {other:?}")),
        }
        match news {
            News::Started { run, phase } => {
                self.keep_handle(run);
                self.handle(Event::Started { run }, &Heard::Other);
                self.seen(run, phase);
            }
            News::StartFailed { run, fault } => self.handle(Event::StartFailed { run, fault }, &Heard::Other),
            News::Updated { run, ticket, fault } => self.handle(Event::Updated { run, ticket, fault }, &Heard::Other),
            News::Stopped { run, exit } => self.handle(Event::Stopped { run, exit }, &Heard::Other),
            News::StopFailed { run, fault } => self.handle(Event::StopFailed { run, fault }, &Heard::Other),
            News::Destroyed { run, fault } => self.handle(Event::Destroyed { run, fault }, &Heard::Other),
            News::Looked { engine, seen } => {
                let heard = if seen.is_err() { Heard::CannotSay(ENGINES[engine]) } else { Heard::Other };
                self.handle(Event::Looked { backend: ENGINES[engine].to_owned(), seen }, &heard);
            }
            News::Seen { run, phase } => self.seen(run, phase),
            News::Listed { engine, found } => {
                let found = found.map(|found| self.note_found(found));
                self.handle(Event::Listed { backend: ENGINES[engine].to_owned(), found }, &Heard::Other);
            }
            News::Checked { result, name } => {
                let awaited = self.watch.awaits(result.run, &name, result.ticket);
                if let Some(host) = self.host.as_mut().filter(|_| awaited) {
                    host.verdicts.push((result.run, name.clone(), result.verdict));
                }
                let heard = if awaited { Heard::Checked { run: result.run, name, verdict: result.verdict } } else { Heard::Other };
                self.handle(Event::Checked(result), &heard);
            }
            News::Wake { engine, run } => {
                let run = run.filter(|run| self.host.as_ref().is_some_and(|host| host.handles.contains(run)));
                match run {
                    Some(run) => self.call(Call::Inspect { engine, run }),
                    None => self.handle(Event::Hint { backend: ENGINES[engine].to_owned() }, &Heard::Other),
                }
            }
            News::Plugin { engine, missing } => {
                self.handle(Event::Plugin { backend: ENGINES[engine].to_owned(), missing }, &Heard::Other);
            }
        }
    }

    fn seen(&mut self, run: Run, phase: Phase) {
        let Some(backend) = self.watch.backend_of(run) else { return };
        self.handle(Event::Seen { backend, seen: vec![(run, phase)] }, &Heard::Other);
    }

    fn keep_handle(&mut self, run: Run) {
        let Some(host) = &mut self.host else { return };
        let record = HandleRecord { id: run.to_string(), handle: run };
        host.next = std::mem::take(&mut host.next).put(ledger::handle_key(run), ledger::to_json(&record));
        host.handles.insert(run);
    }

    /// What an engine has of ours; strangers are left alone.
    fn note_found(&mut self, found: Vec<(Run, usize, u32, Phase)>) -> Vec<(Run, Phase)> {
        let mut phases = Vec::new();
        for (run, service, replica, phase) in found {
            let Some(host) = &self.host else { break };
            let ours = match host.core.owner_of(run) {
                Some((name, number)) => *name == self.names[service] && number == replica,
                None => host.core.is_abandoned(run),
            };
            if !ours {
                let name = self.names[service].clone();
                self.note(|| format!("run {run} of {name}.{replica} is a stranger"));
                continue;
            }
            if !host.handles.contains(&run) {
                self.keep_handle(run);
            }
            phases.push((run, phase));
        }
        phases
    }

    /// The core hears one event, and what it decides is looked at.
    pub(super) fn handle(&mut self, event: Event, heard: &Heard) {
        let now = self.now();
        let Some(host) = &mut self.host else { return };
        host.core.handle(now, event);
        self.drain(heard);
    }

    fn drain(&mut self, heard: &Heard) {
        let now = self.now();
        let Some(host) = &mut self.host else { return };
        let from = host.actions.len();
        while let Some(action) = host.core.poll_action() {
            host.actions.push_back((now, action));
        }
        let decided = host.actions.range(from..).map(|(_, action)| action);
        let engines = &self.engines;
        let alive = |run: Run| engines.iter().any(|engine| engine.is_alive(run));
        let judged = self.watch.decided(&host.core, heard, decided, alive, self.people.acked());
        self.judge(judged);
    }

    /// Commits what was decided, and then does it.
    pub(super) fn carry_out(&mut self) {
        let Some(host) = &mut self.host else { return };
        host.hearing = false;
        if host.waiting.is_some() {
            return;
        }
        let mut decision = Decision {
            txn: std::mem::take(&mut host.next),
            parts: Vec::new(),
            effects: Vec::new(),
            verdicts: std::mem::take(&mut host.verdicts),
            written: false,
        };
        let wall = u64::try_from(self.wall_ms).unwrap_or(0);
        for (at, action) in std::mem::take(&mut host.actions) {
            match action {
                Action::Save(saved) => {
                    if let Saved::Task(run, None) = &saved {
                        host.handles.remove(run);
                    }
                    host.ahead.saves(&saved);
                    decision.txn = ledger::save(decision.txn, saved.clone());
                    decision.parts.push((at, Part::Saved(saved)));
                }
                Action::Tell(notice) => {
                    decision.txn = decision.txn.emit(ledger::event(&notice, wall));
                    decision.parts.push((at, Part::Told(notice)));
                }
                effect => decision.effects.push(effect),
            }
        }
        for (at, part) in &decision.parts {
            if let Part::Told(notice) = part {
                self.trace = hash(hash(self.trace, at.0, notice.service.as_str()), notice.run.unwrap_or(0), &notice.message);
            }
        }
        if decision.txn.ops.is_empty() && decision.txn.events.is_empty() {
            return self.go_on(decision, None);
        }
        host.waiting = Some(decision);
        if self.at < self.disk.slow_until {
            let (life, mut dice) = (self.life, self.dice(32, 0, 0));
            self.later(dice.below(3_000), Due::Commit { life });
        } else {
            self.commit_again();
        }
    }

    /// Commits what waits, or waits longer.
    pub(super) fn commit_again(&mut self) {
        if !self.moves() {
            return;
        }
        let Some(is_written) = self.host.as_ref().and_then(|host| host.waiting.as_ref()).map(|decision| decision.written) else { return };
        if !is_written && self.at < self.disk.full_until {
            let life = self.life;
            return self.later(COMMIT_AGAIN_MS, Due::Commit { life });
        }
        if !is_written && self.dice(34, 0, 0).percent(self.rate(Kind::Disk).max(self.rate(Kind::Reboots))) {
            return self.written();
        }
        let Some(decision) = self.host.as_mut().and_then(|host| host.waiting.take()) else { return };
        match self.disk.commit(decision.txn.clone()) {
            Ok(first) => self.go_on(decision, first),
            Err(error) => self.fail("I8", format!("the store refuses what the core decided: {error}")),
        }
    }

    /// It is written, and the sync takes its time: what may, begins.
    fn written(&mut self) {
        let Some(host) = &mut self.host else { return };
        let Some(decision) = &mut host.waiting else { return };
        decision.written = true;
        let ahead = host.ahead;
        let may_begin =
            |effect: &mut Action| matches!(effect, Action::Start { run, spec, .. } if ahead.may_begin(*run, spec.backend.plugin == ENGINES[FALLS]));
        let early: Vec<Action> = decision.effects.extract_if(.., may_begin).collect();
        self.watch.written(&decision.parts);
        for effect in early {
            if !self.moves() {
                return;
            }
            self.judge_effect(&effect);
            self.begin(effect);
        }
        let (life, reach) = (self.life, if self.at < self.disk.slow_until { 3_000 } else { 30 });
        let sync = self.dice(35, 0, 0).below(reach);
        self.later(sync, Due::Commit { life });
    }

    /// It is durable: everything else is begun, and what came meanwhile is heard.
    fn go_on(&mut self, decision: Decision, first_event: Option<u64>) {
        for (_, part) in &decision.parts {
            self.note(|| match part {
                Part::Saved(saved) => kept(saved),
                Part::Told(notice) => {
                    format!("      {} {:?} run {}: {:?}: {}", notice.service, notice.replica, notice.run.unwrap_or(0), notice.kind, notice.message)
                }
            });
        }
        self.watch.nothing_is_written();
        if let Some(host) = &mut self.host {
            host.ahead.durable();
        }
        let engines = &self.engines;
        let judged = self.watch.committed(&decision.parts, decision.verdicts, first_event, |run| engines.iter().any(|engine| engine.is_alive(run)));
        self.judge(judged);
        for effect in decision.effects {
            if !self.moves() {
                return;
            }
            self.judge_effect(&effect);
            self.begin(effect);
        }
        let Some(host) = &mut self.host else { return };
        if host.core.is_closed() {
            self.note(|| "everything is down: the host ends".to_owned());
            self.fuse = None;
            return self.kill_host();
        }
        let backlog = std::mem::take(&mut host.backlog);
        if !backlog.is_empty() {
            for news in backlog {
                if !self.moves() {
                    return;
                }
                self.hear(news);
            }
            self.carry_out();
        }
    }

    fn judge_effect(&mut self, effect: &Action) {
        let judged = self.watch.begins(effect);
        self.judge(judged);
    }

    /// Everything is to go down, and the host with it.
    pub(super) fn close_host(&mut self, force: bool, down_ms: u64) {
        let life = self.life;
        let Some(host) = self.host.as_mut().filter(|host| host.waiting.is_none() && !host.closing) else { return };
        host.closing = true;
        self.watch.closing();
        if force {
            self.watch.forced(host.core.names());
        }
        self.down_ms = down_ms;
        self.hear_event(Event::Close { force });
        self.later(PATIENCE_MS, Due::Impatient { life });
    }

    pub(super) fn plugin_back(&mut self, engine: usize) {
        if self.at < self.engines[engine].missing_until {
            return;
        }
        let life = self.life;
        self.later(0, Due::News { news: News::Plugin { engine, missing: None }, life });
    }
}

/// One record in a line.
fn kept(saved: &Saved) -> String {
    match saved {
        Saved::NextRun(run) => format!("        keeps that run {run} is next"),
        Saved::Reserve(run) => format!("        keeps runs below {run} ready"),
        Saved::Task(run, None) => format!("        forgets run {run}"),
        Saved::Task(run, Some(record)) => format!("        keeps run {run} of {}.{}: {:?}", record.service, record.replica, record.stage),
        Saved::Slot(name, replica, None) => format!("        forgets {name}.{replica}"),
        Saved::Slot(name, replica, Some(record)) => {
            let SlotRecord { memory, failed, completed, backoff, checks, .. } = record.as_ref();
            let (attempts, starts_seen, restarts_seen) = (memory.attempts, memory.starts_seen, memory.restarts_seen);
            let checks: Vec<String> = checks.iter().map(|check| format!("{} {} {}", check.name, check.health.as_str(), check.failures)).collect();
            let state = match (failed, completed, backoff) {
                (Some(reason), _, _) => format!(", failed: {reason}"),
                (None, Some(_), _) => ", completed".to_owned(),
                (None, None, Some((until, _))) => format!(", waits until {}", until.0),
                (None, None, None) => String::new(),
            };
            format!("        keeps {name}.{replica}: attempts {attempts}, seen {starts_seen}/{restarts_seen}{state} {checks:?}")
        }
    }
}

/// FNV-1a, carried on.
fn hash(so_far: u64, at: u64, text: &str) -> u64 {
    let bytes = at.to_le_bytes();
    bytes.iter().chain(text.as_bytes()).fold(so_far ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

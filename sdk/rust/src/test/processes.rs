//! The keeper, in memory.

use super::FakeHost;
use crate::host::Error;
use crate::host::processes::{Command, Exit, Line, Lines, Origin, Process, State, Usage};
use std::collections::{BTreeMap, BTreeSet};

/// Processes and logs of one plugin.
#[derive(Default)]
pub(super) struct Engine {
    held: BTreeMap<String, Held>,
    logs: BTreeMap<String, Log>,
    missing: BTreeSet<String>,
    /// Pids are handed out once.
    last_pid: u32,
}

struct Held {
    command: Command,
    process: Process,
    ignores_signals: bool,
    signals: Vec<String>,
    usage: Option<Usage>,
}

#[derive(Default)]
struct Log {
    /// Lines that were rotated away.
    lost: usize,
    lines: Vec<Line>,
}

/// What a test does to processes from outside.
impl FakeHost {
    /// Every process that is held, running or not, by key.
    pub fn processes(&self) -> Vec<Process> {
        self.world.borrow().engine.list()
    }

    /// The command that a process was started with.
    pub fn spawned(&self, key: &str) -> Option<Command> {
        self.world.borrow().engine.held.get(key).map(|held| held.command.clone())
    }

    /// A process ends by itself.
    pub fn exit(&self, key: &str, code: i32) {
        self.end(key, |at| State::Exited(Exit { code: Some(code), signal: None, out_of_memory: false, at }));
    }

    /// A process is ended by a signal of somebody else's, or by the kernel when there is no memory left.
    pub fn kill(&self, key: &str, signal: &str, out_of_memory: bool) {
        self.end(key, |at| State::Exited(Exit { code: None, signal: Some(signal.into()), out_of_memory, at }));
    }

    /// The keeper was lost, and a process with it.
    pub fn lose(&self, key: &str, why: &str) {
        self.end(key, |_| State::Unknown(why.into()));
    }

    /// A process takes no notice of any signal but SIGKILL.
    pub fn ignore_signals(&self, key: &str) {
        self.world.borrow_mut().engine.named(key).ignores_signals = true;
    }

    /// The signals that a process was sent, but for those of a stop.
    pub fn signals(&self, key: &str) -> Vec<String> {
        self.world.borrow_mut().engine.named(key).signals.clone()
    }

    /// There is no such program: a spawn of it is [`Error::Invalid`].
    pub fn remove_program(&self, program: &str) {
        self.world.borrow_mut().engine.missing.insert(program.into());
    }

    /// What a process uses, until the next word about it.
    pub fn set_usage(&self, key: &str, usage: Usage) {
        self.world.borrow_mut().engine.named(key).usage = Some(usage);
    }

    /// Something writes a line to a log: the process's key, or the name that its command gave it.
    pub fn write_line(&self, log_name: &str, origin: Origin, line: &str) {
        let mut world = self.world.borrow_mut();
        let line = Line { at: world.now, origin, continued: false, bytes: line.into() };
        world.engine.logs.entry(log_name.into()).or_default().lines.push(line);
    }

    /// The oldest lines of a log are rotated away.
    pub fn rotate(&self, log_name: &str, lines: usize) {
        let mut world = self.world.borrow_mut();
        let log = world.engine.logs.entry(log_name.into()).or_default();
        let lines = lines.min(log.lines.len());
        log.lines.drain(..lines);
        log.lost += lines;
    }

    fn end(&self, key: &str, state: impl FnOnce(u64) -> State) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        world.engine.named(key).process.state = state(now);
    }
}

impl Engine {
    /// For a test's own words: what it names must be there.
    fn named(&mut self, key: &str) -> &mut Held {
        self.held.get_mut(key).unwrap_or_else(|| panic!("no process {key:?} was started"))
    }

    pub(super) fn spawn(&mut self, key: &str, command: &Command, now: u64) -> Result<Process, Error> {
        check_key(key)?;
        if let Some(held) = self.held.get(key) {
            let same = held.command == *command;
            return if same { Ok(held.process.clone()) } else { Err(Error::Conflict(format!("{key} runs with another command"))) };
        }
        if self.missing.contains(&command.program) {
            return Err(Error::Invalid(format!("`{}`: no such program", command.program)));
        }
        self.last_pid += 1;
        let process = Process {
            key: key.into(),
            pid: Some(1000 + self.last_pid),
            started_at: now,
            state: State::Running,
            notes: Vec::new(),
            labels: command.labels.clone(),
        };
        let held = Held { command: command.clone(), process: process.clone(), ignores_signals: false, signals: Vec::new(), usage: None };
        self.held.insert(key.into(), held);
        Ok(process)
    }

    pub(super) fn inspect(&self, keys: &[String]) -> Result<Vec<Option<Process>>, Error> {
        keys.iter().map(|key| check_key(key).map(|()| self.held.get(key).map(|held| held.process.clone()))).collect()
    }

    /// `now` moves on by the grace when the process takes it.
    pub(super) fn stop(&mut self, key: &str, signal: &str, grace: u64, now: &mut u64) -> Result<Exit, Error> {
        check_key(key)?;
        let held = self.held.get_mut(key).ok_or(Error::NotFound)?;
        match &held.process.state {
            State::Exited(exit) => return Ok(exit.clone()),
            State::Unknown(_) => return Err(Error::NotFound),
            State::Running => {}
        }
        let killed = held.ignores_signals && signal != "SIGKILL";
        if killed {
            *now += grace;
        }
        let last = if killed { "SIGKILL" } else { signal };
        let exit = Exit { code: None, signal: Some(last.into()), out_of_memory: false, at: *now };
        held.process.state = State::Exited(exit.clone());
        Ok(exit)
    }

    pub(super) fn signal(&mut self, key: &str, signal: &str) -> Result<(), Error> {
        check_key(key)?;
        match self.held.get_mut(key) {
            Some(held) if held.process.state == State::Running => {
                held.signals.push(signal.into());
                Ok(())
            }
            _ => Err(Error::NotFound),
        }
    }

    pub(super) fn forget(&mut self, key: &str) -> Result<(), Error> {
        check_key(key)?;
        if self.held.get(key).is_some_and(|held| held.process.state == State::Running) {
            return Err(Error::Conflict(format!("{key} runs; stop it first")));
        }
        self.held.remove(key);
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<Process> {
        self.held.values().map(|held| held.process.clone()).collect()
    }

    pub(super) fn measure(&self, keys: &[String]) -> Result<Vec<Option<Usage>>, Error> {
        let running = |held: &&Held| held.process.state == State::Running;
        keys.iter().map(|key| check_key(key).map(|()| self.held.get(key).filter(running).and_then(|held| held.usage))).collect()
    }

    /// A cursor is the number of lines that were read since the log began.
    pub(super) fn read_log(&self, log_name: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, Error> {
        let empty = Log::default();
        let log = self.logs.get(log_name).unwrap_or(&empty);
        let end = log.lost + log.lines.len();
        let from = match (cursor, tail) {
            (Some(cursor), _) => cursor.parse::<usize>().map_err(|_| Error::Invalid(format!("{cursor:?} is no cursor")))?.min(end),
            (None, Some(tail)) => end.saturating_sub(tail as usize).max(log.lost),
            (None, None) => log.lost,
        };
        let gap = from < log.lost;
        let from = from.max(log.lost);
        let mut room = max_bytes as usize;
        let fits = |line: &&Line| {
            let fits = line.bytes.len() <= room;
            room = room.saturating_sub(line.bytes.len());
            fits
        };
        let lines: Vec<Line> = log.lines[from - log.lost..].iter().take_while(fits).cloned().collect();
        Ok(Lines { next: (from + lines.len()).to_string(), lines, gap })
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if key.is_empty() || key.len() > 63 || !key.bytes().all(fine) {
        return Err(Error::Invalid(format!("key {key:?} is not [a-z0-9-] of 1 to 63 bytes")));
    }
    Ok(())
}

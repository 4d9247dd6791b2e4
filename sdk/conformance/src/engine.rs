//! An engine in memory: a keeper that starts nothing, answers as the real one does, and lets tests see and do what it holds.

use std::collections::BTreeMap;
use std::sync::Mutex;

use hostler_keeper::protocol::{Command, ErrorKind, Exit, Line, LineHead, Origin, Process, Refusal, Request, Response, State, Usage};
use hostler_wasm::{KeeperError, KeeperRole, Wait};

/// The first process gets this pid, and so does the next one once that has ended: the machine's worst case.
const FIRST_PID: u32 = 4_000;
/// Times are counted, not read: a case plays the same every time.
const FIRST_TIME: u64 = 1_700_000_000_000;
/// The real keeper hands out lines in parts of this size.
const PART: usize = 16 << 10;

/// Holds processes that do not exist.
#[derive(Debug, Default)]
pub struct FakeKeeper(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    tasks: BTreeMap<String, Task>,
    logs: BTreeMap<String, Vec<Line>>,
    time: u64,
}

#[derive(Debug)]
struct Task {
    process: Process,
    command: Command,
}

impl FakeKeeper {
    /// Writes to a log as a process would; without its newline.
    pub fn write(&self, log: &str, bytes: &[u8]) {
        let mut held = self.0.lock().expect("no code panics while it holds this lock");
        let at = held.tick();
        let parts = bytes.chunks(PART).count().max(1);
        let log = held.logs.entry(log.to_owned()).or_default();
        for part in 0..parts {
            let bytes = bytes[part * PART..bytes.len().min((part + 1) * PART)].to_vec();
            log.push(Line { at, origin: Origin::Out, continued: part + 1 < parts, bytes });
        }
    }
}

impl KeeperRole for FakeKeeper {
    fn request(&self, request: Request) -> Wait<'_, Result<(Response, Vec<u8>), KeeperError>> {
        let answer = self.0.lock().expect("no code panics while it holds this lock").answer(request);
        Box::pin(std::future::ready(answer.map_err(KeeperError::Refused)))
    }
}

impl Held {
    fn tick(&mut self) -> u64 {
        self.time += 1;
        FIRST_TIME + self.time
    }

    fn answer(&mut self, request: Request) -> Result<(Response, Vec<u8>), Refusal> {
        let plain = |response| (response, Vec::new());
        Ok(match request {
            Request::Spawn { key, owner, command } => plain(Response::Process(self.spawn(key, owner, command)?)),
            Request::Inspect { keys } => plain(Response::Processes(keys.iter().map(|key| self.look(key)).collect())),
            Request::Stop { key, signal, .. } => plain(Response::Exit(self.stop(&key, &signal)?)),
            Request::Signal { key, signal } => {
                self.signal(&key, &signal)?;
                plain(Response::Done)
            }
            Request::Forget { key } => {
                if self.tasks.get(&key).is_some_and(|task| task.process.state == State::Running) {
                    return Err(Refusal::new(ErrorKind::Conflict, format!("`{key}` runs")));
                }
                self.tasks.remove(&key);
                plain(Response::Done)
            }
            Request::List { owner } => {
                let ours = |task: &&Task| owner.as_ref().is_none_or(|owner| task.process.owner.starts_with(owner));
                plain(Response::List(self.tasks.values().filter(ours).map(|task| task.process.clone()).collect()))
            }
            Request::ReadLog { log_name, cursor, tail, max_bytes } => self.read_log(&log_name, cursor, tail, max_bytes)?,
            Request::Measure { keys } => plain(Response::Usage(keys.iter().map(|key| self.measure(key)).collect())),
            Request::DropLog { log_name } => {
                self.logs.remove(&log_name);
                plain(Response::Done)
            }
            Request::Hello { .. } | Request::Subscribe | Request::Shutdown { .. } => plain(Response::Done),
        })
    }

    fn look(&self, key: &str) -> Option<Process> {
        self.tasks.get(key).map(|task| task.process.clone())
    }

    fn spawn(&mut self, key: String, owner: String, command: Command) -> Result<Process, Refusal> {
        if let Some(task) = self.tasks.get(&key) {
            if task.command == command && task.process.owner == owner {
                return Ok(task.process.clone());
            }
            return Err(Refusal::new(ErrorKind::Conflict, format!("`{key}` is another command")));
        }
        let taken = |pid: u32| self.tasks.values().any(|task| task.process.pid == Some(pid) && task.process.state == State::Running);
        let pid = (FIRST_PID..).find(|pid| !taken(*pid)).expect("there are more pids than processes");
        let started_at = self.tick();
        let process = Process {
            key: key.clone(),
            owner,
            pid: Some(pid),
            started_at,
            state: State::Running,
            log_name: command.log_name.clone().unwrap_or_else(|| key.clone()),
            notes: Vec::new(),
            labels: command.labels.clone(),
        };
        self.logs.entry(process.log_name.clone()).or_default();
        self.tasks.insert(key, Task { process: process.clone(), command });
        Ok(process)
    }

    fn stop(&mut self, key: &str, signal: &str) -> Result<Exit, Refusal> {
        let at = self.tick();
        let Some(task) = self.tasks.get_mut(key) else { return Err(Refusal::new(ErrorKind::NotFound, format!("there is no `{key}`"))) };
        let state = task.process.state.clone();
        match state {
            State::Running => {
                let exit = ended_by(signal, at)?;
                task.process.state = State::Exited(exit.clone());
                Ok(exit)
            }
            State::Exited(exit) => Ok(exit),
            State::Unknown(_) => Err(Refusal::new(ErrorKind::NotFound, format!("nobody saw how `{key}` ended"))),
        }
    }

    fn signal(&mut self, key: &str, signal: &str) -> Result<(), Refusal> {
        let at = self.tick();
        let running = self.tasks.get_mut(key).filter(|task| task.process.state == State::Running);
        let Some(task) = running else { return Err(Refusal::new(ErrorKind::NotFound, format!("`{key}` does not run"))) };
        let exit = ended_by(signal, at)?;
        if ["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT"].contains(&exit.signal.as_deref().unwrap_or_default()) {
            task.process.state = State::Exited(exit);
        }
        Ok(())
    }

    /// Processor time is measured; memory is not: a machine without cgroups.
    fn measure(&self, key: &str) -> Option<Usage> {
        let running = self.tasks.get(key).is_some_and(|task| task.process.state == State::Running);
        running.then(|| Usage {
            at: FIRST_TIME + self.time,
            cpu_nanos: Some(1_000_000),
            memory_bytes: None,
            memory_limit_bytes: None,
            processes: Some(1),
        })
    }

    fn read_log(&self, log: &str, cursor: Option<String>, tail: Option<u32>, max_bytes: u32) -> Result<(Response, Vec<u8>), Refusal> {
        let lines = self.logs.get(log).map(Vec::as_slice).unwrap_or_default();
        let from = match (cursor, tail) {
            (Some(cursor), _) => {
                cursor.parse::<usize>().map_err(|_| Refusal::invalid(format!("cursor `{cursor}` is none of this log")))?.min(lines.len())
            }
            (None, Some(tail)) => lines.len().saturating_sub(tail as usize),
            (None, None) => 0,
        };
        let (mut heads, mut body) = (Vec::new(), Vec::new());
        for line in &lines[from..] {
            if !heads.is_empty() && body.len() + line.bytes.len() > max_bytes as usize {
                break;
            }
            let len = u32::try_from(line.bytes.len()).expect("a part is short");
            heads.push(LineHead { at: line.at, origin: line.origin, continued: line.continued, len });
            body.extend_from_slice(&line.bytes);
        }
        let next = (from + heads.len()).to_string();
        Ok((Response::Lines { lines: heads, next, gap: false }, body))
    }
}

fn ended_by(signal: &str, at: u64) -> Result<Exit, Refusal> {
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return Err(Refusal::invalid(format!("there is no signal `{signal}`")));
    }
    Ok(Exit { code: None, signal: Some(format!("SIG{name}")), out_of_memory: false, at })
}

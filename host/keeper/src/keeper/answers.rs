//! Requests in, answers out.

use hostler_failpoint::failpoint;

use super::{ExitReason, Keeper, Leaving};
use crate::clock;
use crate::identity;
use crate::launch::{check_key, check_log_name};
use crate::log::{self, From, LogError};
use crate::protocol::{ErrorKind, Frame, Greeting, PROTOCOL, Process, Refusal, Request, Response, Usage};
use crate::task::Parentage;

/// Most bytes of line data in one answer.
const MAX_PAGE_BYTES: u32 = 8 * 1024 * 1024;
/// What a shutdown gives each process.
const SHUTDOWN_GRACE_MS: u64 = 10_000;

/// Who asked: connection and request.
type Asker = (u64, u64);

/// An answer with its body; nothing when it comes later.
type Reply = Option<(Response, Vec<u8>)>;

impl Keeper {
    pub(super) fn hear_request(&mut self, connection: u64, frame: &Frame) {
        let asker = (connection, frame.id);
        let reply = match frame.message::<Request>() {
            Err(error) => Err(Refusal::invalid(format!("request not understood: {error}"))),
            Ok(_) if frame.id == crate::protocol::EVENT_ID => Err(Refusal::invalid("a request's id is not 0")),
            Ok(request) => self.do_request(asker, request),
        };
        match reply {
            Ok(None) => {}
            Ok(Some((response, body))) => self.answer(asker, &response, &body),
            Err(refusal) => self.answer(asker, &Response::Error(refusal), &[]),
        }
    }

    fn do_request(&mut self, asker: Asker, request: Request) -> Result<Reply, Refusal> {
        let introduced = self.connections.get(&asker.0).is_some_and(|connection| connection.is_introduced);
        if !introduced && !matches!(request, Request::Hello { .. }) {
            return Err(Refusal::invalid("say hello first"));
        }
        let response = match request {
            Request::Hello { protocol, client, exclusive } => self.hello(asker.0, protocol, &client, exclusive)?,
            Request::Subscribe => {
                if let Some(connection) = self.connections.get_mut(&asker.0) {
                    connection.is_subscribed = true;
                }
                Response::Done
            }
            Request::Spawn { key, owner, command } => Response::Process(self.spawn(key, owner, &command)?),
            Request::Inspect { keys } => Response::Processes(keys.iter().map(|key| self.view(key)).collect()),
            Request::List { owner } => Response::List(self.list(owner.as_deref().unwrap_or_default())),
            Request::Stop { key, signal, grace_ms } => return self.stop(asker, &key, &signal, grace_ms).map(|()| None),
            Request::Signal { key, signal } => self.signal(&key, &signal).map(|()| Response::Done)?,
            Request::Forget { key } => self.forget(&key).map(|()| Response::Done)?,
            Request::ReadLog { log_name, cursor, tail, max_bytes } => return self.read_log(&log_name, cursor, tail, max_bytes),
            Request::Measure { keys } => Response::Usage(keys.iter().map(|key| self.measure(key)).collect()),
            Request::DropLog { log_name } => self.drop_log(&log_name).map(|()| Response::Done)?,
            Request::Shutdown { if_idle } => return self.shut_down(asker, if_idle).map(|()| None),
        };
        Ok(Some((response, Vec::new())))
    }

    fn hello(&mut self, connection: u64, protocol: u32, client: &str, exclusive: bool) -> Result<Response, Refusal> {
        if protocol == 0 {
            return Err(Refusal::invalid("there is no protocol 0"));
        }
        if exclusive {
            let older: Vec<u64> = self.connections.iter().filter(|(id, other)| other.is_exclusive && **id != connection).map(|(id, _)| *id).collect();
            for id in older {
                eprintln!("hostler keeper: {client} takes over; an earlier host is disconnected");
                // at once and with all it sent: nothing that an old host still wanted happens from here on
                self.connections.remove(&id);
                self.hungry.remove(&id);
            }
        }
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.is_introduced = true;
            connection.is_exclusive = exclusive;
        }
        Ok(Response::Hello(Greeting {
            protocol: PROTOCOL,
            pid: std::process::id(),
            started_at: self.started_at,
            boot_id: self.boot_id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cgroup: self.cgroups.report(),
        }))
    }

    fn view(&self, key: &str) -> Option<Process> {
        self.tasks.get(key).map(crate::task::Task::view)
    }

    fn list(&self, owner: &str) -> Vec<Process> {
        self.tasks.values().filter(|task| task.intent.owner.starts_with(owner)).map(crate::task::Task::view).collect()
    }

    fn signal(&mut self, key: &str, name: &str) -> Result<(), Refusal> {
        let signal = crate::signal::by_name(name).ok_or_else(|| Refusal::invalid(format!("there is no signal {name:?}")))?;
        match self.tasks.get(key) {
            Some(task) if task.is_running() => {}
            Some(_) => return Err(Refusal::new(ErrorKind::NotFound, format!("{key} has ended"))),
            None => return Err(Refusal::new(ErrorKind::NotFound, format!("there is no process {key:?}"))),
        }
        self.signal_group(key, signal);
        Ok(())
    }

    fn forget(&mut self, key: &str) -> Result<(), Refusal> {
        check_key(key)?;
        let Some(task) = self.tasks.get(key) else { return Ok(()) };
        if task.is_running() {
            return Err(Refusal::new(ErrorKind::Conflict, format!("{key} runs; stop it first")));
        }
        if task.stop.is_some() {
            return Err(Refusal::new(ErrorKind::Conflict, format!("{key} is being stopped")));
        }
        let rest = self.rest_of(key).len();
        if rest > 0 {
            return Err(Refusal::new(
                ErrorKind::Conflict,
                format!("{key} has ended, and {rest} processes of its tree are still alive; stop it first"),
            ));
        }
        failpoint!("keeper.forget.before");
        if let Some(task) = self.tasks.remove(key) {
            self.journal.note(&crate::journal::Record::Gone { key: key.to_owned() });
            failpoint!("keeper.forget.written");
            self.discard_group(task.group);
        }
        Ok(())
    }

    fn read_log(&mut self, log_name: &str, cursor: Option<String>, tail: Option<u32>, max_bytes: u32) -> Result<Reply, Refusal> {
        check_log_name(log_name)?;
        let from = cursor.map(From::Cursor).or(tail.map(From::Tail)).unwrap_or(From::Oldest);
        let page = log::read(&self.logs_dir, log_name, &from, max_bytes.min(MAX_PAGE_BYTES)).map_err(|error| match error {
            LogError::BadCursor(_) => Refusal::invalid(error.to_string()),
            LogError::Io(_) => Refusal::new(ErrorKind::Unavailable, format!("log {log_name}: {error}")),
        })?;
        Ok(Some((Response::Lines { lines: page.heads, next: page.next, gap: page.gap }, page.body)))
    }

    fn drop_log(&mut self, log_name: &str) -> Result<(), Refusal> {
        check_log_name(log_name)?;
        if self.writers.contains_key(log_name) {
            return Err(Refusal::new(ErrorKind::Conflict, format!("log {log_name} is being written to")));
        }
        log::remove(&self.logs_dir, log_name).map_err(|error| Refusal::new(ErrorKind::Unavailable, format!("log {log_name}: {error}")))
    }

    fn measure(&mut self, key: &str) -> Option<Usage> {
        self.tasks.get(key).filter(|task| task.is_running())?;
        let members = self.members(key);
        let (mut ticks, mut pages, mut processes) = (0, 0, 0);
        for stat in members.iter().filter_map(|identity| identity::stat(identity.pid).filter(|stat| stat.starttime == identity.start_time)) {
            ticks += stat.utime + stat.stime + stat.cutime + stat.cstime;
            pages += stat.rss;
            processes += 1;
        }
        let task = self.tasks.get_mut(key)?;
        let group = task.group.as_ref();
        let counted = group.and_then(crate::cgroup::Group::cpu).map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let cpu = counted.unwrap_or_else(|| ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second().max(1)));
        task.cpu_nanos = task.cpu_nanos.max(cpu);
        let memory = group.and_then(crate::cgroup::Group::memory).unwrap_or_else(|| pages * procfs::page_size());
        let is_limited = group.is_some_and(crate::cgroup::Group::limits_memory);
        Some(Usage {
            at: clock::unix_ms(),
            cpu_nanos: Some(task.cpu_nanos),
            memory_bytes: Some(memory),
            memory_limit_bytes: task.intent.memory_bytes.filter(|_| is_limited),
            processes: Some(processes),
        })
    }

    fn shut_down(&mut self, asker: Asker, if_idle: bool) -> Result<(), Refusal> {
        let busy: Vec<String> = self.tasks.iter().filter(|(_, task)| task.is_running() || task.stop.is_some()).map(|(key, _)| key.clone()).collect();
        if if_idle && !busy.is_empty() {
            return Err(Refusal::new(ErrorKind::Conflict, format!("{} processes run, {} among them", busy.len(), busy[0])));
        }
        self.leaving.get_or_insert(Leaving { reason: ExitReason::Shutdown, waiters: Vec::new() }).waiters.push(asker);
        failpoint!("keeper.leave.asked");
        // also what outlived its leader: a keeper that leaves in order leaves nothing behind
        let unclean: Vec<String> = self.tasks.iter().filter(|(_, task)| !task.is_clean).map(|(key, _)| key.clone()).collect();
        for key in unclean {
            let is_over = self.tasks.get(&key).is_some_and(|task| matches!(task.parentage, Parentage::Over));
            if !(if_idle && is_over) {
                self.begin_stop(&key, rustix::process::Signal::TERM, SHUTDOWN_GRACE_MS, None);
            }
        }
        Ok(())
    }
}

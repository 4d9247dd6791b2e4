//! Tasks on another host: what each call of a backend asks, and what the answers mean.

use crate::answer::Answer;
use crate::call::{Reuse, Trouble, call};
use crate::link::Link;
use crate::script::Script;
use crate::{log, phase};
use hostler_sdk::backend::{Chunk, ExecCommand, Output, Usage};
use hostler_sdk::host::context;
use hostler_sdk::{Exit, Fault, Phase, Status};
use std::time::Duration;

/// What is to run over there.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    /// The task's id.
    pub id: &'a str,
    /// Its digest, in one word.
    pub digest: &'a str,
    /// What all lives of one replica have in common, in one word.
    pub slot: &'a str,
    /// Which life of its slot this is.
    pub run: u64,
    /// An absolute path, or a name on the search path.
    pub binary: &'a str,
    /// Its arguments.
    pub args: &'a [String],
    /// Variables over those of the session; each name is one that a shell can export.
    pub env: Vec<(String, String)>,
    /// Absolute; the user's home when absent.
    pub directory: Option<&'a str>,
    /// Bytes of one file of its log.
    pub log_bytes: u64,
    /// Files of its log that are kept.
    pub log_files: u32,
    /// Told with every status: a line without control characters, or nothing.
    pub note: &'a str,
    /// Shell text that runs in place of the program, and may use what `sh/lib.sh` has. The task is pending until it removes
    /// `$d/installing`. One that ends with a reason in `$d/failed` never was: nothing of it is left, and the start fails.
    pub script: Option<&'a str>,
    /// How long a start waits for it.
    pub wait: Duration,
}

/// One host, as the calls of a backend use it.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    /// The way there.
    pub link: &'a Link,
    /// How its connection is kept.
    pub reuse: &'a Reuse,
    /// Hosts that the call still has to ask, this one included: each gets its share of the time to be reached.
    pub among: u32,
}

impl<'a> Remote<'a> {
    /// The only host that a call asks.
    pub fn only(link: &'a Link, reuse: &'a Reuse) -> Self {
        Self { link, reuse, among: 1 }
    }

    /// Sends a script.
    pub fn call(&self, script: &Script) -> Result<Answer, Trouble> {
        call(self.link, self.reuse, self.among, script)
    }

    /// Goes there and back, with a connection that stays where connections are kept; how long that took.
    pub fn reach(&self) -> Result<Duration, Trouble> {
        let before = context::remaining();
        self.call(&Script::of(String::new()))?;
        Ok(before.saturating_sub(context::remaining()))
    }

    /// Brings a task up, or finds it.
    pub fn start(&self, spec: &Spec<'_>) -> Result<(), Fault> {
        let answer = self.call(&Script::start(spec))?;
        if let Some(why) = answer.line("failed") {
            return Err(Fault::Other(why.join(" ")));
        }
        match answer.line("refused") {
            Some(why) => Err(self.refused(spec, why)),
            None if answer.line(spec.id).is_some_and(|said| said.first().is_none_or(|phase| phase != "pending")) => Ok(()),
            None => Err(Fault::Interrupted(format!("{} is slow: {} was not seen to run", self.link.name(), spec.id))),
        }
    }

    fn refused(&self, spec: &Spec<'_>, why: &[String]) -> Fault {
        let host = self.link.name();
        let what = why.get(1).map_or("", String::as_str);
        match why.first().map_or("", String::as_str) {
            "program" => Fault::Unsupported(format!("{host} has no `{what}`")),
            "binary" => Fault::invalid("/binary", format!("{host} has no program `{}`", spec.binary)),
            "directory" => Fault::invalid("/working_dir", format!("{host} has no directory `{}`", spec.directory.unwrap_or("~"))),
            "digest" => Fault::Conflict(format!("{} runs already, from another spec ({what})", spec.id)),
            "late" => Fault::Conflict(format!("a later life of its slot is there already: {what}")),
            "earlier" => Fault::Interrupted(format!("an earlier life of its slot is still there: {what}")),
            _ => Fault::unavailable(format!("{host} cannot write where its tasks live: disk full, or not permitted")),
        }
    }

    /// One status per id, in one round trip.
    pub fn inspect(&self, ids: &[&str]) -> Result<Vec<Status>, Trouble> {
        let answer = self.call(&Script::phases(ids))?;
        Ok(ids.iter().map(|id| self.status(&answer, id)).collect())
    }

    fn status(&self, answer: &Answer, id: &str) -> Status {
        let status = answer.line(id).map_or_else(|| Status::unknown("its host said nothing of it"), phase::read);
        status.attribute("host", self.link.name())
    }

    /// Asks a task to end, and waits until nothing of it is alive.
    pub fn stop(&self, id: &str, signal: &str, grace: Duration) -> Result<Status, Fault> {
        let wait = context::remaining().saturating_sub(MARGIN);
        let answer = self.call(&Script::stop(id, name(signal), grace, wait))?;
        let status = self.status(&answer, id);
        match status.phase {
            Phase::Exited(_) | Phase::Gone => Ok(status),
            _ => Err(Fault::Interrupted(format!("{id} is still stopping on {}", self.link.name()))),
        }
    }

    /// Removes what is left of a task; a running one only by force.
    pub fn destroy(&self, id: &str, force: bool) -> Result<(), Fault> {
        let wait = context::remaining().saturating_sub(MARGIN);
        let answer = self.call(&Script::remove(id, force, wait))?;
        match self.status(&answer, id).phase {
            Phase::Gone => Ok(()),
            _ if force => Err(Fault::Interrupted(format!("{id} does not go from {}", self.link.name()))),
            _ => Err(Fault::Conflict(format!("{id} runs on {}; stop it first", self.link.name()))),
        }
    }

    /// Everything of this host over there: id, digest where one was written, and status.
    pub fn list(&self) -> Result<Vec<(String, Option<String>, Status)>, Trouble> {
        let answer = self.call(&Script::list())?;
        let found = answer.lines.iter().filter_map(|line| match line.as_slice() {
            [first, id, digest] if first == "found" => Some((id.clone(), Some(digest.clone()).filter(|digest| digest != "-"))),
            _ => None,
        });
        Ok(found.map(|(id, digest)| (id.clone(), digest, self.status(&answer, &id))).collect())
    }

    /// Sends a signal to the process group of a task.
    pub fn send(&self, id: &str, signal: &str) -> Result<(), Fault> {
        let answer = self.call(&Script::send(id, name(signal)))?;
        answer.line("sent").map(|_| ()).ok_or(Fault::Gone)
    }

    /// One measure per id; nothing of what does not run.
    pub fn measure(&self, ids: &[&str]) -> Result<Vec<Option<Usage>>, Fault> {
        let answer = self.call(&Script::measure(ids))?;
        Ok(ids.iter().map(|id| usage(&answer, id)).collect())
    }

    /// Reads what a task has written.
    pub fn read(&self, id: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        let from = match (cursor, tail) {
            (Some(cursor), _) => Some(log::parse(cursor).ok_or_else(|| Fault::invalid("", format!("`{cursor}` is no cursor")))?),
            (None, None) => Some((0, 0)),
            (None, Some(_)) => None,
        };
        let answer = self.call(&Script::logs(id, from, (max_bytes / 2).clamp(log::PART, MOST_LOG)))?;
        let over = matches!(self.status(&answer, id).phase, Phase::Exited(_) | Phase::Gone);
        Ok(log::chunk(&answer, from, tail, over))
    }

    /// Runs a command in the directory and environment of a task.
    pub fn exec(&self, id: &str, command: &ExecCommand) -> Result<Output, Fault> {
        let answer = self.call(&Script::inside(id, command, MOST_OUTPUT))?;
        self.once(answer)
    }

    /// Runs a command beside all tasks.
    pub fn run(&self, command: &ExecCommand, directory: Option<&str>) -> Result<Output, Fault> {
        let answer = self.call(&Script::beside(command, directory, MOST_OUTPUT))?;
        self.once(answer)
    }

    fn once(&self, mut answer: Answer) -> Result<Output, Fault> {
        let Some([kind, code]) = answer.line("once") else {
            let full = answer.line("refused").is_some();
            return Err(if full { Fault::unavailable(format!("{} cannot write where its tasks live", self.link.name())) } else { Fault::Gone });
        };
        let exit = phase::exit(kind, code);
        let mut take =
            |name: &str| answer.data.iter_mut().find(|data| data.name == name).map(|data| std::mem::take(&mut data.bytes)).unwrap_or_default();
        let (out, err) = (take("out"), take("err"));
        let truncated = out.len().max(err.len()) >= MOST_OUTPUT as usize;
        Ok(Output { exit, out, err, truncated })
    }
}

/// What a call keeps for its own way back.
const MARGIN: Duration = Duration::from_secs(3);

/// Bytes of one stream of a log that one call brings.
const MOST_LOG: u32 = 4 << 20;

/// Bytes of each output of a command: both have to fit into one answer.
const MOST_OUTPUT: u32 = 7 << 20;

/// `SIGTERM` is `TERM` to a shell.
fn name(signal: &str) -> &str {
    signal.strip_prefix("SIG").unwrap_or(signal)
}

fn usage(answer: &Answer, id: &str) -> Option<Usage> {
    let number = |word: &String| word.parse::<u64>().ok();
    let line = answer.lines.iter().find(|line| line.first().is_some_and(|first| first == "use") && line.get(1).is_some_and(|own| own == id))?;
    let [ticks, pages, processes] = line.get(2..)? else { return None };
    let page = answer.line("page")?;
    let page_bytes = page.first().and_then(number);
    Some(Usage {
        at: page.get(1).and_then(number)? * 1000,
        cpu_nanos: number(ticks).map(|ticks| ticks * NANOS_PER_TICK),
        memory_bytes: number(pages).zip(page_bytes).map(|(pages, bytes)| pages * bytes),
        memory_limit_bytes: None,
        disk_free_bytes: None,
        network_received_bytes: None,
        network_sent_bytes: None,
        processes: processes.parse().ok(),
    })
}

/// Linux tells times of processes in hundredths of seconds, on every machine (`USER_HZ`).
const NANOS_PER_TICK: u64 = 10_000_000;

/// An end of which only words are known.
pub(crate) fn lost(reason: &str) -> Exit {
    Exit { reason: Some(reason.to_owned()), ..Exit::unexplained() }
}

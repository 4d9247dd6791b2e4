//! Scripts: the fixed text of `sh/`, and what one call puts into it.
//!
//! A script is one compound command, so that one which arrives cut off runs not at all.

use crate::answer::{BEGIN, END};
use crate::link::Link;
use crate::quote::{bytes, word, words};
use crate::task::Spec;
use hostler_sdk::backend::ExecCommand;
use std::time::Duration;

const LIB: &str = include_str!("sh/lib.sh");
const SUPERVISE: &str = include_str!("sh/supervise.sh");
const START: &str = include_str!("sh/start.sh");
const LAUNCH: &str = include_str!("sh/launch.sh");
const OPERATE: &str = include_str!("sh/operate.sh");
const ONCE: &str = include_str!("sh/once.sh");
const GUARD: &str = include_str!("sh/guard.sh");
const INSIDE: &str = include_str!("sh/inside.sh");

/// What one round trip does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    body: String,
}

impl Script {
    /// Prints the phase of each task.
    pub(crate) fn phases(ids: &[&str]) -> Self {
        let body = ids.iter().map(|id| format!("phase {}\n", word(id))).collect();
        Self { body }
    }

    /// Brings a task up.
    pub(crate) fn start(spec: &Spec<'_>) -> Self {
        let path = spec.env.iter().rfind(|(name, _)| name == "PATH").map_or_else(|| "$PATH".to_owned(), |(_, path)| word(path));
        let directory = spec.directory.map_or_else(|| "$HOME".to_owned(), word);
        let body = format!(
            "{START}\nwrite_run() {{\ncat <<'HOSTLER_RUN'\n{LIB}\n{SUPERVISE}\nHOSTLER_RUN\n}}\n\
             my_id={id} my_digest={digest} my_slot={slot} my_run={run} my_note={note}\n\
             binary={binary} directory={directory} path={path} log_bytes={log_bytes} log_files={log_files}\n\
             installing={installing} wait={wait}\nlaunch={launch}\nstart\n",
            id = word(spec.id),
            digest = word(spec.digest),
            slot = word(spec.slot),
            run = spec.run,
            note = word(spec.note),
            binary = word(spec.binary),
            log_bytes = spec.log_bytes,
            log_files = spec.log_files,
            installing = if spec.script.is_some() { "1" } else { "''" },
            wait = hundredths(spec.wait),
            launch = word(&launch(spec)),
        );
        Self { body }
    }

    /// Asks a task to end, and waits for it, at most so long.
    pub(crate) fn stop(id: &str, signal: &str, grace: Duration, wait: Duration) -> Self {
        Self { body: format!("{OPERATE}\nask_stop {} {} {} {}\n", word(id), word(signal), hundredths(grace), hundredths(wait)) }
    }

    /// Removes what is left of a task.
    pub(crate) fn remove(id: &str, force: bool, wait: Duration) -> Self {
        Self { body: format!("{OPERATE}\nremove {} {} {}\n", word(id), u8::from(force), hundredths(wait)) }
    }

    /// Prints every task.
    pub(crate) fn list() -> Self {
        Self { body: format!("{OPERATE}\nfound_all\n") }
    }

    /// Sends a signal.
    pub(crate) fn send(id: &str, signal: &str) -> Self {
        Self { body: format!("{OPERATE}\nsend {} {}\n", word(id), word(signal)) }
    }

    /// Measures tasks.
    pub(crate) fn measure(ids: &[&str]) -> Self {
        Self { body: format!("{OPERATE}\npage\necho \"page $page $(date +%s)\"\nuse {}\n", words(ids.iter().copied())) }
    }

    /// Reads both logs of a task from two offsets; from the end without them.
    pub(crate) fn logs(id: &str, from: Option<(u64, u64)>, most: u32) -> Self {
        let (out, err) = from.map_or(("tail".into(), "tail".into()), |(out, err)| (out.to_string(), err.to_string()));
        Self { body: format!("{OPERATE}\nread_log {} {out} {err} {most}\n", word(id)) }
    }

    /// Runs a command within a task.
    pub(crate) fn inside(id: &str, command: &ExecCommand, most: u32) -> Self {
        let launch = format!("exec 3<in\n{INSIDE}\n{}", run(&command.env, &command.program, &command.args, "<&3 3<&-"));
        let once = format!(
            "launch=\"hostler_task=$tpid\n\"{launch}\nonce \"$d/exec.$$\" {seconds} {most}\n",
            launch = word(&launch),
            seconds = seconds(command.deadline),
        );
        let once_text = once_text();
        let body = format!(
            "{once_text}\n{input}\nload {id}\nif [ \"$tboot\" = \"$boot\" ] && alive \"$tpid\" \"$tstart\"; then\n{once}else\necho {id} gone\nfi\n",
            input = input(&command.stdin),
            id = word(id),
        );
        Self { body }
    }

    /// Runs a command beside all tasks, in a directory.
    pub(crate) fn beside(command: &ExecCommand, directory: Option<&str>, most: u32) -> Self {
        let directory = directory.map_or_else(|| "\"$HOME\"".to_owned(), word);
        let launch = format!("exec 3<in\ncd -- {directory} || exit 125\n{}", run(&command.env, &command.program, &command.args, "<&3 3<&-"));
        let once = once_text();
        let body = format!(
            "{once}\n{input}\nlaunch={launch}\nmkdir -p \"$own\" && once \"$own/.run.$$\" {seconds} {most} || echo refused disk\n",
            input = input(&command.stdin),
            launch = word(&launch),
            seconds = seconds(command.deadline),
        );
        Self { body }
    }

    /// Shell text of one's own, which may use what `sh/lib.sh` has and prints the lines of the answer.
    pub fn of(body: String) -> Self {
        Self { body }
    }

    /// The whole script for one host.
    pub(crate) fn text(&self, link: &Link, owner: &str) -> String {
        format!("{{\n{LIB}\nown={}\nme\necho '{BEGIN}'\n{}\necho '{END}'\nexit 0\n}}\n", link.own(owner), self.body)
    }
}

/// What the first process of a task does before it becomes the program.
fn launch(spec: &Spec<'_>) -> String {
    let directory = spec.directory.map_or_else(|| "\"$HOME\"".to_owned(), word);
    let mut env = spec.env.clone();
    env.push(("HOSTLER_TASK".into(), spec.id.to_owned()));
    let program = spec.script.map_or_else(|| run(&env, spec.binary, spec.args, "</dev/null"), str::to_owned);
    format!("{LIB}\n{LAUNCH}\ncd -- {directory} || exit 125\n{program}")
}

/// Becomes a program: no secret stands on a command line, and nothing is expanded.
fn run(env: &[(String, String)], program: &str, args: &[String], input: &str) -> String {
    let exports: String = env.iter().map(|(name, value)| format!("export {name}={}\n", word(value))).collect();
    format!("{exports}exec {} {} {input}\n", word(program), words(args.iter().map(String::as_str)))
}

/// A function that prints these bytes.
fn input(stdin: &[u8]) -> String {
    let chunks: String = stdin.chunks(1024).map(|chunk| format!("printf {}\n", bytes(chunk))).collect();
    format!("input() {{\n:\n{chunks}}}")
}

fn hundredths(length: Duration) -> u128 {
    length.as_millis().div_ceil(10)
}

/// `2.35`: what `sleep` is given.
fn seconds(length: Duration) -> String {
    format!("{}.{:02}", length.as_secs(), length.subsec_millis() / 10)
}

/// How a command is run to its end, with the file of who ends it when its time is over.
fn once_text() -> String {
    format!("{ONCE}\nwrite_guard() {{\ncat <<'HOSTLER_GUARD'\n{LIB}\n{GUARD}\nHOSTLER_GUARD\n}}")
}

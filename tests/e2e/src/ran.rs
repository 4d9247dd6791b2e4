//! A command that ran to its end.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::heard::Heard;

/// A command that takes longer than this hangs, unless it is said to take longer.
const LONGEST: Duration = Duration::from_secs(180);

/// What a command said, and how it ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command line, for messages.
    pub line: String,
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Runs it.
    ///
    /// # Panics
    /// When it cannot be run, hangs, or is ended by a signal.
    #[track_caller]
    pub fn of(command: &mut Command) -> Ran {
        Ran::within(LONGEST, command)
    }

    /// Runs what may take longer.
    ///
    /// # Panics
    /// When it cannot be run, takes longer still, or is ended by a signal.
    #[track_caller]
    pub fn within(longest: Duration, command: &mut Command) -> Ran {
        let words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let line = words.join(" ");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let (out, err) = (Heard::default(), Heard::default());
        out.listen(child.stdout.take().expect("it was asked to be a pipe"));
        err.listen(child.stderr.take().expect("it was asked to be a pipe"));
        let pid = child.id();
        let (tell, told) = mpsc::channel();
        let waiting = thread::spawn(move || drop(tell.send(child.wait())));
        let Ok(status) = told.recv_timeout(longest) else {
            crate::signal(pid, rustix::process::Signal::KILL);
            panic!("`{line}` hangs; it said: {}{}", out.text(), err.text());
        };
        waiting.join().expect("it has told");
        let status = status.expect("it is our child");
        let (out, err) = (out.to_its_end(), err.to_its_end());
        let code = status.code().unwrap_or_else(|| panic!("`{line}` was ended: {status}\n{out}{err}"));
        Ran { line, code, out, err }
    }

    /// What it printed.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "`{}` failed:\n{}{}", self.line, self.out, self.err);
        self.out
    }

    /// What it said on standard error.
    ///
    /// # Panics
    /// When it did not fail with this exit code.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "`{}` ended otherwise:\n{}{}", self.line, self.out, self.err);
        self.err
    }

    /// The one document that it printed, whose version is 1.
    ///
    /// # Panics
    /// When it printed something else, or failed.
    #[track_caller]
    pub fn json(self) -> Value {
        let line = self.line.clone();
        let out = self.ok();
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("`{line}` printed no JSON: {error}\n{out}"));
        assert_eq!(document["version"], 1, "`{line}` printed another shape: {out}");
        document
    }

    /// The documents that it printed, one per line, each of version 1.
    ///
    /// # Panics
    /// When it printed something else, or failed.
    #[track_caller]
    pub fn documents(self) -> Vec<Value> {
        let line = self.line.clone();
        let of = |text: &str| -> Value { serde_json::from_str(text).unwrap_or_else(|error| panic!("`{line}` printed no JSON: {error}\n{text}")) };
        let documents: Vec<Value> = self.ok().lines().map(of).collect();
        assert!(documents.iter().all(|document| document["version"] == 1), "`{line}` printed another shape: {documents:?}");
        documents
    }
}

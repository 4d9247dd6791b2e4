//! One round trip: a script goes over, an answer comes back, or it is known what that means.

use crate::answer::Answer;
use crate::link::{Control, Link};
use crate::script::Script;
use hostler_sdk::host::commands::{self, Command, Output};
use hostler_sdk::host::{Error, context};
use hostler_sdk::{Fault, Problem};
use serde::Deserialize;

/// Why a round trip brought no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// The script did not run; it may later.
    Away(String),
    /// It may have run.
    Cut(String),
    /// The other host, or its key, is not ours to use.
    Refused(String),
    /// A capability said no.
    Fault(Fault),
}

impl Trouble {
    /// For a status that cannot be known.
    pub fn reason(&self) -> String {
        match self {
            Self::Away(why) | Self::Cut(why) | Self::Refused(why) => why.clone(),
            Self::Fault(fault) => format!("{fault:?}"),
        }
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(why) => Self::unavailable(why),
            Trouble::Cut(why) => Self::Interrupted(why),
            Trouble::Refused(why) => Self::Denied(why),
            Trouble::Fault(fault) => fault,
        }
    }
}

/// How connections are kept, in the plugin's own configuration.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Reuse {
    /// A directory of this machine for the sockets of connections, at most 50 bytes long.
    pub control_dir: Option<String>,
    /// Seconds that an idle connection stays, 0 for no reuse.
    pub control_persist: Option<u32>,
    /// What the directory of this host's tasks ends with over there, so that backends do not see each other's.
    #[serde(skip)]
    pub kind: &'static str,
}

impl Reuse {
    /// A path too long for a socket's name, or one that `ssh` would expand.
    pub fn check(&self) -> Result<(), Problem> {
        let Some(dir) = &self.control_dir else { return Ok(()) };
        let plain = dir.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        if dir.starts_with('/') && plain && dir.len() <= LONGEST_DIRECTORY {
            return Ok(());
        }
        let hint = format!("an absolute path of letters, digits and `/._-`, at most {LONGEST_DIRECTORY} bytes long");
        Err(Problem::new("/control_dir", "cannot hold the sockets of connections").hint(hint))
    }

    fn control(&self) -> Result<Option<Control>, Fault> {
        self.check().map_err(|problem| Fault::Invalid(vec![problem]))?;
        let persist = self.control_persist.unwrap_or(60);
        if persist == 0 {
            return Ok(None);
        }
        let directory = self.control_dir.clone().unwrap_or_else(|| format!("/tmp/hostler-ssh-{}", context::owner()));
        Ok(private(&directory)?.then_some(Control { directory, persist }))
    }
}

/// Bytes of a control directory: a socket's name has 107, of which the link's digest and what `ssh` adds take 50.
const LONGEST_DIRECTORY: usize = 57;

/// Sends a script over, and waits for its answer.
pub(crate) fn call(link: &Link, reuse: &Reuse, among: u32, script: &Script) -> Result<Answer, Trouble> {
    let mut problems = link.check();
    for (at, path) in [("/key_file", &link.key_file), ("/known_hosts", &link.known_hosts)] {
        if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            problems.push(Problem::new(at, "is not absolute"));
        }
    }
    if !problems.is_empty() {
        return Err(Trouble::Fault(Fault::Invalid(problems)));
    }
    let control = reuse.control().map_err(Trouble::Fault)?;
    let seconds = (context::remaining() / among.max(1)).as_secs().saturating_sub(1);
    let command = Command {
        args: link.argv(seconds, control.as_ref()),
        stdin: script.text(link, &format!("{}{}", context::owner(), reuse.kind)).into_bytes(),
        max_output: MOST_OUTPUT,
        ..Command::new("ssh")
    };
    match commands::run(&command) {
        Ok(output) => read(link, &output),
        Err(Error::Timeout) => Err(Trouble::Cut(format!("{} did not answer in time", link.name()))),
        Err(Error::NotFound) => Err(Trouble::Away("there is no `ssh` on this machine: install OpenSSH's client".into())),
        Err(error) => Err(Trouble::Fault(error.into())),
    }
}

/// Room for the largest answer: a page of logs, or the output of a command, and the lines around.
const MOST_OUTPUT: u32 = 16 << 20;

/// Is this directory ours alone? Whoever could place a socket in it would be handed what is meant for the other host.
fn private(directory: &str) -> Result<bool, Fault> {
    let is_ours = || run("test", &["-d", directory, "-a", "!", "-L", directory, "-a", "-O", directory]);
    if is_ours()? {
        return Ok(true);
    }
    Ok(run("mkdir", &["-m", "0700", "--", directory])? || is_ours()?)
}

fn run(program: &str, args: &[&str]) -> Result<bool, Fault> {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    match commands::run(&Command { args, ..Command::new(program) }) {
        Ok(output) => Ok(output.code == Some(0)),
        // nothing is known of any task by that
        Err(Error::NotFound) => Err(Fault::unavailable(format!("there is no `{program}` on this machine"))),
        Err(error) => Err(error.into()),
    }
}

fn read(link: &Link, output: &Output) -> Result<Answer, Trouble> {
    if let Some(answer) = Answer::parse(&output.out) {
        return Ok(answer);
    }
    let said = String::from_utf8_lossy(&output.err);
    let why = format!("{}: {}", link.name(), reason(&said));
    if Answer::began(&output.out) {
        return Err(Trouble::Cut(why));
    }
    if HOST_KEY.iter().any(|words| said.contains(words)) {
        return Err(Trouble::Refused(format!("{}: its host key is not the one that is known, or none is known ({})", link.name(), reason(&said))));
    }
    if said.contains("Permission denied") || said.contains("Load key") {
        return Err(Trouble::Refused(why));
    }
    match output.code {
        Some(255) if NEVER_THERE.iter().any(|words| said.contains(words)) => Err(Trouble::Away(why)),
        Some(255) | None => Err(Trouble::Cut(why)),
        // its shell ended before the script said a word: no account to log in to, or no /bin/sh
        Some(code) => Err(Trouble::Away(format!("{why} (no POSIX shell answered, exit code {code})"))),
    }
}

/// What `ssh` says when a host's key is not the known one.
const HOST_KEY: [&str; 2] = ["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"];

/// What it says when it never got as far as a session.
const NEVER_THERE: [&str; 9] = [
    "Could not resolve hostname",
    "connect to host",
    "connect to address",
    "kex_exchange_identification",
    "ssh_exchange_identification",
    "during banner exchange",
    "UNKNOWN port",
    "Unable to negotiate",
    "administratively prohibited",
];

/// The line of standard error that says most: the last one of `ssh` itself.
fn reason(said: &str) -> String {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('@'));
    let line = lines.clone().find(|line| NEVER_THERE.iter().any(|words| line.contains(words))).or_else(|| lines.next_back());
    let line: String = line.unwrap_or("the link was lost").chars().filter(|c| !c.is_control()).take(300).collect();
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(code: Option<i32>, out: &str, err: &str) -> Result<Answer, Trouble> {
        let link: Link = serde_json::from_str(r#"{"host": "h"}"#).expect("it is one");
        read(&link, &Output { code, signal: None, out: out.into(), err: err.into(), truncated: false })
    }

    #[test]
    fn only_what_never_got_there_is_away() {
        assert!(matches!(end(Some(255), "", "ssh: connect to host h port 22: Connection refused\n"), Err(Trouble::Away(_))));
        assert!(matches!(end(Some(255), "", "ssh: Could not resolve hostname h: Name or service not known\n"), Err(Trouble::Away(_))));
        assert!(matches!(end(Some(255), "", ""), Err(Trouble::Cut(_))));
        assert!(matches!(end(Some(255), "", "client_loop: send disconnect: Broken pipe\n"), Err(Trouble::Cut(_))));
        assert!(matches!(end(Some(255), "hostler-remote 1\n", "ssh: connect to host h port 22: x\n"), Err(Trouble::Cut(_))));
        assert!(matches!(end(None, "", ""), Err(Trouble::Cut(_))));
    }

    #[test]
    fn a_strange_key_is_refused_and_said() {
        let said = "@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n";
        assert!(matches!(end(Some(255), "", said), Err(Trouble::Refused(why)) if why.contains("host key")));
        assert!(matches!(end(Some(255), "", "u@h: Permission denied (publickey).\n"), Err(Trouble::Refused(_))));
    }

    #[test]
    fn a_whole_answer_counts_whatever_became_of_the_link() {
        assert!(end(Some(255), "hi\nhostler-remote 1\nx gone\nhostler-remote done\n", "Connection closed\n").is_ok());
    }

    #[test]
    fn a_place_for_sockets_is_short_and_plain() {
        let check = |dir: &str| Reuse { control_dir: Some(dir.into()), ..Reuse::default() }.check().is_ok();
        assert!(check("/run/hostler-ssh"));
        assert!(!check("relative") && !check("/a b") && !check("/%h") && !check(&format!("/{}", "x".repeat(57))));
    }
}

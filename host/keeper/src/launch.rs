//! Starting one process: what is doubted before, and what it is given.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::process::{Rlimit, geteuid};

use crate::cgroup::Entrances;
use crate::protocol::{Command, ErrorKind, Refusal};
use crate::user::{self, User};

mod child;

pub(crate) use child::{Born, Slots, close_inherited};

/// The variable that marks every process of a tree, as far as it keeps its environment.
pub(crate) const MARKER: &str = "HOSTLER_TASK";

const MAX_KEY_BYTES: usize = 160;
const MAX_LOG_NAME_BYTES: usize = 240;

/// What a child is started with beside its command.
pub(crate) struct Surroundings {
    pub(crate) marker: String,
    pub(crate) out: OwnedFd,
    pub(crate) err: OwnedFd,
    pub(crate) cgroups: Entrances,
    pub(crate) open_files: Rlimit,
    pub(crate) user: Option<User>,
}

/// Doubts a key.
pub(crate) fn check_key(key: &str) -> Result<(), Refusal> {
    check_name("key", key, MAX_KEY_BYTES)
}

/// Doubts the name of a log.
pub(crate) fn check_log_name(name: &str) -> Result<(), Refusal> {
    check_name("log name", name, MAX_LOG_NAME_BYTES)
}

fn check_name(what: &str, name: &str, max: usize) -> Result<(), Refusal> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > max || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(Refusal::invalid(format!(
            "{what} {:?}: use [a-z0-9._-], no leading dot, 1 to {max} bytes",
            name.chars().take(300).collect::<String>()
        )));
    }
    Ok(())
}

/// Doubts a command and resolves its user. What passes may still fail to start: the machine changes.
pub(crate) fn check(command: &Command) -> Result<Option<User>, Refusal> {
    check_text(command)?;
    check_limits(command)?;
    let user = command.user.as_deref().map(check_user).transpose()?.flatten();
    check_directory(directory(command))?;
    check_program(&command.program)?;
    Ok(user)
}

/// Starts it; the identity of the child is for the caller to read before it is reaped.
pub(crate) fn start(command: &Command, with: Surroundings, slots: &mut Slots) -> io::Result<Born> {
    let text = |text: String| CString::new(text).map_err(io::Error::from);
    let args = std::iter::once(&command.program).chain(&command.args);
    // of two values of one name the last one counts, and the marker is ours to give
    let mut env: BTreeMap<&str, &str> = command.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    env.insert(MARKER, &with.marker);
    let child = child::Child {
        program: text(command.program.clone())?,
        args: args.map(|arg| text(arg.clone())).collect::<io::Result<_>>()?,
        env: env.into_iter().map(|(name, value)| text(format!("{name}={value}"))).collect::<io::Result<_>>()?,
        directory: text(directory(command).to_owned())?,
        cgroups: with.cgroups,
        out: with.out,
        err: with.err,
        open_files: with.open_files,
        user: with.user,
    };
    child.start(slots)
}

/// What to tell when [`start`] failed: the program's fault is `Invalid`, the machine's is `Unavailable` where it
/// concerns every start, and `Other`, which may work the next time, where it concerns this one.
pub(crate) fn failure(command: &Command, error: &io::Error) -> Refusal {
    use rustix::io::Errno;
    let short_of_something = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOSPC];
    // a program that is just being replaced, a disk or cgroup that does not answer as it should
    let in_disorder = [Errno::TXTBSY, Errno::BUSY, Errno::IO, Errno::NODEV];
    let is_of = |errnos: &[Errno], code: i32| errnos.iter().any(|errno| errno.raw_os_error() == code);
    let kind = match error.raw_os_error() {
        Some(code) if is_of(&short_of_something, code) => ErrorKind::Unavailable,
        Some(code) if is_of(&in_disorder, code) => ErrorKind::Other,
        _ => ErrorKind::Invalid,
    };
    let user = command.user.as_ref().map(|user| format!(" as user {user:?}")).unwrap_or_default();
    let text = format!("{} did not start{user} in directory {:?}: {error}", command.program, directory(command));
    Refusal::new(kind, text)
}

fn directory(command: &Command) -> &str {
    command.directory.as_deref().unwrap_or("/")
}

fn check_text(command: &Command) -> Result<(), Refusal> {
    let with_nul = |text: &String| text.contains('\0');
    if with_nul(&command.program) || command.args.iter().any(with_nul) {
        return Err(Refusal::invalid("program and arguments cannot contain a NUL byte"));
    }
    for (name, value) in &command.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Refusal::invalid(format!("environment name {name:?}: not empty, no '=' and no NUL byte")));
        }
        if with_nul(value) {
            return Err(Refusal::invalid(format!("environment variable {name}: its value contains a NUL byte")));
        }
    }
    Ok(())
}

fn check_limits(command: &Command) -> Result<(), Refusal> {
    if command.cpu_millis.is_some_and(|millis| millis < 10) {
        return Err(Refusal::invalid("a cpu limit is at least 10 thousandths of a core"));
    }
    if command.memory_bytes.is_some_and(|bytes| bytes < 1024 * 1024) {
        return Err(Refusal::invalid("a memory limit is at least 1 MiB"));
    }
    Ok(())
}

/// The user to switch to; nothing when it is the keeper's own.
fn check_user(text: &str) -> Result<Option<User>, Refusal> {
    let user = user::resolve(text).map_err(Refusal::invalid)?;
    let own = geteuid();
    if own.is_root() {
        return Ok(Some(user));
    }
    if user.uid == own {
        return Ok(None);
    }
    Err(Refusal::invalid(format!("user {text:?}: the keeper runs as uid {} and only root can become somebody else", own.as_raw())))
}

fn check_directory(directory: &str) -> Result<(), Refusal> {
    if !directory.starts_with('/') || directory.contains('\0') {
        return Err(Refusal::invalid(format!("directory {directory:?} is not absolute")));
    }
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Refusal::invalid(format!("directory {directory:?} is not a directory"))),
        Err(error) => Err(Refusal::invalid(format!("directory {directory:?}: {error}"))),
    }
}

fn check_program(program: &str) -> Result<(), Refusal> {
    if !program.starts_with('/') {
        return Err(Refusal::invalid(format!("program {program:?} is not an absolute path")));
    }
    let found = std::fs::metadata(program).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::invalid(format!("program {program:?} not found")),
        _ => Refusal::invalid(format!("program {program:?}: {error}")),
    })?;
    if !found.is_file() {
        return Err(Refusal::invalid(format!("program {program:?} is not a file")));
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(Refusal::invalid(format!("program {program:?} is not executable (chmod +x?)")));
    }
    if is_foreign(program) {
        Err(Refusal::invalid(format!("program {program:?} is neither a binary nor a script that begins with #!")))
    } else {
        Ok(())
    }
}

/// Is it a file that exec would refuse? A shell might take it for a script, but nothing here is ever run by a shell unasked.
fn is_foreign(program: &str) -> bool {
    let mut start = [0; 4];
    let read = File::open(program).and_then(|mut file| file.read(&mut start));
    // what cannot be read may still be executable
    let Ok(read) = read else { return false };
    let known = start[..read].starts_with(b"#!") || start[..read].starts_with(b"\x7fELF");
    !known && !has_other_formats()
}

/// Has the machine registered formats of its own with the kernel?
fn has_other_formats() -> bool {
    let Ok(entries) = std::fs::read_dir(Path::new("/proc/sys/fs/binfmt_misc")) else { return false };
    entries.flatten().any(|entry| entry.file_name() != "register" && entry.file_name() != "status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_walk() {
        for good in ["a", "web-1", "process.web_2", &"x".repeat(MAX_KEY_BYTES)] {
            assert_eq!(check_key(good), Ok(()));
        }
        for bad in ["", ".", "..", ".a", "a/b", "../a", "A", "a b", "a\0", "ä", &"x".repeat(MAX_KEY_BYTES + 1)] {
            assert_eq!(check_key(bad).map_err(|refusal| refusal.kind), Err(ErrorKind::Invalid), "{bad:?}");
        }
    }

    #[test]
    fn each_fault_of_a_command_is_named() {
        let check = |command: Command| check(&command).expect_err("refused").text;
        let program = || Command { program: "/bin/sh".into(), ..Command::default() };
        assert!(check(Command { program: "sh".into(), ..program() }).contains("absolute"));
        assert!(check(Command { program: "/nope".into(), ..program() }).contains("not found"));
        assert!(check(Command { program: "/etc".into(), ..program() }).contains("not a file"));
        assert!(check(Command { program: "/etc/passwd".into(), ..program() }).contains("not executable"));
        assert!(check(Command { directory: Some("/nope".into()), ..program() }).contains("/nope"));
        assert!(check(Command { directory: Some("etc".into()), ..program() }).contains("absolute"));
        assert!(check(Command { directory: Some("/etc/passwd".into()), ..program() }).contains("not a directory"));
        assert!(check(Command { user: Some("nobody-here".into()), ..program() }).contains("nobody-here"));
        assert!(check(Command { env: vec![("A=B".into(), String::new())], ..program() }).contains("A=B"));
        assert!(check(Command { args: vec!["a\0b".into()], ..program() }).contains("NUL"));
        assert!(check(Command { memory_bytes: Some(5), ..program() }).contains("memory"));
    }
}

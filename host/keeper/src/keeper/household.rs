//! What a keeper does once, before it keeps anything: its directory, its lock, its process, its socket.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use hostler_failpoint::failpoint;
use rustix::event::epoll;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, chdir, geteuid, getpid, getrlimit, set_child_subreaper, setrlimit, setsid, umask};
use signal_hook::consts;

use super::{Error, Signals, socket_path, token};
use crate::journal::{Journal, Record};
use crate::open_files;

/// Makes the directory, or doubts the one that is there; answers its absolute path.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, Error> {
    let bad = |why: String| Error::BadDirectory { dir: dir.to_owned(), why };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| bad(error.to_string()))?;
    let found = dir.metadata().map_err(|error| bad(error.to_string()))?;
    if found.uid() != geteuid().as_raw() {
        return Err(bad(format!("belongs to uid {}, and this is uid {}", found.uid(), geteuid().as_raw())));
    }
    if found.mode() & 0o077 != 0 {
        // whoever could look in could also talk to the socket while it is being made
        std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|error| bad(error.to_string()))?;
    }
    dir.canonicalize().map_err(|error| bad(error.to_string()))
}

/// How our directories are opened: never through a link.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory of ours below `dir`, made when it is not there.
pub(super) fn subdirectory(dir: &Path, name: &str) -> Result<OwnedFd, Error> {
    let path = dir.join(name);
    let made = match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    made.and_then(|()| Ok(open(&path, DIRECTORY, Mode::empty())?)).map_err(Error::system(path.display().to_string()))
}

/// Opens the journal, naming the directory at random when it is a new one.
pub(super) fn open_journal(dir: &Path, boot_id: &str) -> Result<(Journal, Vec<Record>), Error> {
    let random = || -> io::Result<String> {
        let mut bytes = [0; 6];
        rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    Ok(Journal::open(dir, boot_id, random)?)
}

/// Makes this process fit to keep: a session of its own, parent of all orphans, with room for descriptors. Answers the limit of open files that
/// processes begin with: what we were started with, or the host before us.
pub(super) fn settle_process() -> Result<Rlimit, Error> {
    match setsid() {
        // a group's leader cannot; started from a shell, we then stay in its session
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(Error::system("setsid")(error)),
    }
    chdir("/").map_err(Error::system("chdir /"))?;
    // children inherit it; our own files are made with modes of their own
    umask(Mode::from_raw_mode(0o022));
    set_child_subreaper(Some(getpid())).map_err(Error::system("child subreaper"))?;
    let limit = getrlimit(Resource::Nofile);
    // with the lower limit we can keep fewer processes, and say so when it is reached
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    Ok(open_files::of_processes(limit, std::env::var(open_files::VARIABLE).ok().as_deref()))
}

/// Turns signals into readable pipes. Handlers, unlike ignored signals, do not pass to children.
pub(super) fn hear_signals(epoll: &OwnedFd) -> Result<Signals, Error> {
    let fault = || Error::system("signal handlers");
    let (child, child_end) = UnixStream::pair().map_err(fault())?;
    let (terminate, terminate_end) = UnixStream::pair().map_err(fault())?;
    child.set_nonblocking(true).map_err(fault())?;
    terminate.set_nonblocking(true).map_err(fault())?;
    signal_hook::low_level::pipe::register(consts::SIGCHLD, child_end).map_err(fault())?;
    signal_hook::low_level::pipe::register(consts::SIGTERM, terminate_end).map_err(fault())?;
    for ignored in [consts::SIGHUP, consts::SIGINT, consts::SIGQUIT, consts::SIGUSR1, consts::SIGUSR2] {
        signal_hook::flag::register(ignored, std::sync::Arc::default()).map_err(fault())?;
    }
    for (stream, token) in [(&child, token::CHILD), (&terminate, token::TERMINATE)] {
        epoll::add(epoll, stream, epoll::EventData::new_u64(token), epoll::EventFlags::IN).map_err(Error::system("epoll"))?;
    }
    Ok(Signals { child, terminate })
}

/// Listens on the directory's socket; a stale one is replaced, which the lock makes safe.
pub(super) fn bind(dir: &Path) -> Result<UnixListener, Error> {
    let path = socket_path(dir);
    let fault = || Error::system(path.display().to_string());
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(fault()(error)),
        _ => {}
    }
    // through the directory's descriptor, because a socket's path is at most 107 bytes
    let handle = File::open(dir).map_err(fault())?;
    let short = format!("/proc/self/fd/{}/keeper.sock", handle.as_raw_fd());
    let listener = UnixListener::bind(short).map_err(fault())?;
    failpoint!("keeper.start.socket-bound");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(fault())?;
    listener.set_nonblocking(true).map_err(fault())?;
    Ok(listener)
}

//! The operator's view: files per service beneath `STATE/services`, for eyes and scripts.
//!
//! `services/NAME/{config.yaml,state.json,health.log,pid}` say what the host believes. They are written for people and are
//! never read back: the store is the truth. Each file changes as a whole; a file whose content is the same is not touched.
//! Everything happens beneath directory handles and follows no link, so that nobody who may write in the state directory
//! can lead the host elsewhere. After a power cut a file may be stale; the host writes all of them when it starts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hostler_failpoint::failpoint;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, open, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Where `health.log` goes on as `health.log.1`.
pub const HEALTH_LOG_BYTES: u64 = 1024 * 1024;

/// The longest line in `health.log`; the rest of a longer one is cut.
pub const HEALTH_LINE_BYTES: usize = 4096;

const CONFIG: &str = "config.yaml";
const STATE: &str = "state.json";
const PID: &str = "pid";
const HEALTH: &str = "health.log";
const OLD_HEALTH: &str = "health.log.1";
const TEMPORARY: &str = ".new";

/// Writes the files of all services of one state directory.
#[derive(Debug)]
pub struct View {
    place: PathBuf,
    state_dir: OwnedFd,
    /// What was written last, so that the files need not be read. Also lets one write happen at a time.
    written: Mutex<HashMap<String, Written>>,
}

/// What a service's directory shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// `config.yaml`: the specification in force, secrets left out by the caller.
    pub config_yaml: String,
    /// `state.json`: what the host believes.
    pub state_json: String,
    /// `pid`: the process, when there is exactly one.
    pub pid: Option<u32>,
}

/// Why a file was not written. The host goes on without: the view is a courtesy.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The name cannot be a directory's.
    #[error("`{0}` is not a service name: 1 to 128 of a-z, 0-9, _, - and ., which is not the first")]
    Name(String),
    /// A system call failed.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done, as in "writing".
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
}

type Written = HashMap<&'static str, Stamp>;

/// What we know of a file we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    content: u64,
    inode: u64,
    bytes: u64,
}

impl View {
    /// The view of an existing state directory.
    pub fn new(state_dir: impl AsRef<Path>) -> Result<Self, ViewError> {
        let place = state_dir.as_ref().to_owned();
        let state_dir =
            open(&place, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|error| failed(&place, "opening", error))?;
        Ok(Self { place, state_dir, written: Mutex::default() })
    }

    /// Shows a service as it is now.
    pub fn write(&self, service: &str, view: &ServiceView) -> Result<(), ViewError> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory(service)?;
        let known = written.entry(service.to_owned()).or_default();
        self.show(&directory, service, CONFIG, view.config_yaml.as_bytes(), known)?;
        self.show(&directory, service, STATE, view.state_json.as_bytes(), known)?;
        match view.pid {
            Some(pid) => self.show(&directory, service, PID, format!("{pid}\n").as_bytes(), known),
            None => {
                known.remove(PID);
                self.unlink(&directory, service, PID)
            }
        }
    }

    /// Adds one line to a service's `health.log`; control characters become spaces.
    pub fn append_health(&self, service: &str, line: &str) -> Result<(), ViewError> {
        let _one_at_a_time = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory(service)?;
        let line = printable(line);
        let error = |error| failed(&self.file(service, HEALTH), "writing", error);
        let mut log = open_log(&directory).map_err(error)?;
        let size = fstat(&log).map_err(error)?.st_size.unsigned_abs();
        if size > 0 && size + line.len() as u64 > HEALTH_LOG_BYTES {
            renameat(&directory, HEALTH, &directory, OLD_HEALTH).map_err(error)?;
            failpoint!("store.view.health-put-aside");
            log = open_log(&directory).map_err(error)?;
        }
        failpoint!("store.view.before-health");
        std::fs::File::from(log).write_all(line.as_bytes()).map_err(|source| self.io(service, HEALTH, source))
    }

    /// Takes a service's files away; its directory stays when somebody else's files are in it.
    pub fn remove(&self, service: &str) -> Result<(), ViewError> {
        check_name(service)?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.remove(service);
        let Some(services) = self.existing(&self.state_dir, "services")? else { return Ok(()) };
        let Some(directory) = self.existing(&services, service)? else { return Ok(()) };
        for name in [CONFIG, STATE, PID, HEALTH, OLD_HEALTH, TEMPORARY] {
            self.unlink(&directory, service, name)?;
        }
        failpoint!("store.view.emptied");
        match unlinkat(&services, service, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => Ok(()),
            Err(error) => Err(failed(&self.file(service, ""), "removing", error)),
        }
    }

    /// The services that are shown, as far as their directories say.
    pub fn services(&self) -> Result<Vec<String>, ViewError> {
        let Some(services) = self.existing(&self.state_dir, "services")? else { return Ok(Vec::new()) };
        let error = |error| failed(&self.file("services", ""), "reading", error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&services).map_err(error)? {
            names.extend(entry.map_err(error)?.file_name().to_str().ok().map(str::to_owned).filter(|name| check_name(name).is_ok()));
        }
        names.sort();
        Ok(names)
    }

    fn show(&self, directory: &OwnedFd, service: &str, name: &'static str, content: &[u8], known: &mut Written) -> Result<(), ViewError> {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let found = stat.map(|stat| Stamp { content: digest(content), inode: stat.st_ino, bytes: stat.st_size.unsigned_abs() });
        if found.is_some() && found.as_ref() == known.get(name) {
            return Ok(());
        }
        let stamp = replace(directory, name, content).map_err(|source| self.io(service, name, source))?;
        known.insert(name, stamp);
        Ok(())
    }

    fn unlink(&self, directory: &OwnedFd, service: &str, name: &str) -> Result<(), ViewError> {
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed(&self.file(service, name), "removing", error)),
        }
    }

    /// The directory of a service, made when it is not there.
    fn directory(&self, service: &str) -> Result<OwnedFd, ViewError> {
        check_name(service)?;
        let services = self.made(&self.state_dir, "services")?;
        self.made(&services, service)
    }

    fn made(&self, parent: &OwnedFd, name: &str) -> Result<OwnedFd, ViewError> {
        if let Some(directory) = self.existing(parent, name)? {
            return Ok(directory);
        }
        let made = mkdirat(parent, name, Mode::RWXU);
        let opened = made.and_then(|()| open_directory(parent, name));
        opened.map_err(|error| failed(&self.file(name, ""), "making", error))
    }

    fn existing(&self, parent: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, ViewError> {
        match open_directory(parent, name) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed(&self.file(name, ""), "opening", error)),
        }
    }

    /// A path for messages.
    fn file(&self, service: &str, name: &str) -> PathBuf {
        let services = self.place.join("services");
        match (service, name) {
            ("services", "") => services,
            (service, "") => services.join(service),
            (service, name) => services.join(service).join(name),
        }
    }

    fn io(&self, service: &str, name: &str, source: io::Error) -> ViewError {
        ViewError::Io { path: self.file(service, name), doing: "writing", source }
    }
}

fn check_name(service: &str) -> Result<(), ViewError> {
    let fits = (1..=128).contains(&service.len());
    // A dot stands between a workspace and its service, and never first: neither `.` nor `..` is a name.
    if fits && !service.starts_with('.') && service.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.')) {
        return Ok(());
    }
    Err(ViewError::Name(service.chars().take(128).collect()))
}

fn open_directory(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    openat(parent, name, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// A log that is a pipe or a device would block or do worse.
fn open_log(directory: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let log = openat(directory, HEALTH, flags, Mode::RUSR | Mode::WUSR)?;
    match FileType::from_raw_mode(fstat(&log)?.st_mode) {
        FileType::RegularFile => Ok(log),
        _ => Err(Errno::INVAL),
    }
}

fn replace(directory: &OwnedFd, name: &str, content: &[u8]) -> io::Result<Stamp> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let make = || openat(directory, TEMPORARY, flags, Mode::RUSR | Mode::WUSR);
    let temporary = match make() {
        // Left by a host that was killed, or put there by somebody.
        Err(Errno::EXIST) => {
            unlinkat(directory, TEMPORARY, AtFlags::empty())?;
            make()?
        }
        made => made?,
    };
    let inode = fstat(&temporary)?.st_ino;
    std::fs::File::from(temporary).write_all(content)?;
    failpoint!("store.view.filled");
    renameat(directory, TEMPORARY, directory, name)?;
    failpoint!("store.view.renamed");
    Ok(Stamp { content: digest(content), inode, bytes: content.len() as u64 })
}

/// One line that cannot end early or command a terminal.
fn printable(line: &str) -> String {
    let mut end = line.len().min(HEALTH_LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let clean = line[..end].chars().map(|char| if char.is_control() { ' ' } else { char });
    clean.chain(['\n']).collect()
}

fn digest(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn failed(path: &Path, doing: &'static str, error: Errno) -> ViewError {
    ViewError::Io { path: path.to_owned(), doing, source: error.into() }
}

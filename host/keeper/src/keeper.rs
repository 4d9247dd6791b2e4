//! The keeper process itself: one loop, and everything it holds. A second thread does nothing but sync the journal.
//!
//! A turn of the loop hears (signals, requests, output), looks (stops that run), and answers; what happened is in the journal by then. What
//! ended begins to be synced within a second. Nothing in it blocks but the disk, and nothing is decided by the wall clock.
//!
//! SIGTERM ends a keeper that holds nothing; one that holds processes ends when the last of them has, so that in a shutdown of the machine it
//! records how each of them ended, and does not hold that up. SIGHUP, SIGINT and SIGQUIT are ignored. SIGKILL costs the exit codes of what
//! ends before the next keeper runs, and of what runs on; nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use hostler_failpoint::failpoint;
use rustix::event::epoll;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Rlimit;

use crate::cgroup::{Cgroups, Group};
use crate::clock;
use crate::journal::{Journal, JournalError};
use crate::launch::Slots;
use crate::log::{Limits, Writer};
use crate::pipes::{Peephole, Pipe};
use crate::protocol::{Event, Response};
use crate::task::Task;
use crate::tree::Snapshot;

mod answers;
mod connection;
mod ends;
mod household;
mod lock;
mod logs;
mod pipes_place;
mod recover;
mod spawn;
mod stops;
mod turn;

use connection::Connection;
pub(crate) use lock::is_held;

/// Where and how a keeper keeps.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its directory; made with mode 0700 when it is not there.
    pub dir: PathBuf,
    /// Size at which a log goes on in a new file.
    pub log_segment_bytes: u64,
    /// How many files of each log are kept, the current one included.
    pub log_segments: usize,
    /// Use cgroups where they are writable.
    pub cgroups: bool,
}

impl Options {
    /// The defaults: 10 MiB times 5 of each log, cgroups where they can be used.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options { dir: dir.into(), log_segment_bytes: 10 * 1024 * 1024, log_segments: 5, cgroups: true }
    }
}

/// Why a keeper ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// A client asked it to.
    Shutdown,
    /// SIGTERM came, and it held nothing, or nothing any more.
    Terminated,
}

/// Why a keeper did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another keeper has the directory.
    #[error("{} is kept by another keeper, process {pid}", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Whose it is, as far as the lock file says.
        pid: String,
    },
    /// The directory is not ours alone.
    #[error("{}: {why}", dir.display())]
    BadDirectory {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The memory of earlier keepers cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system refused something that a keeper cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
        |source| Error::System { what: what.into(), source: source.into() }
    }
}

/// Is the keeper, until it is told to end.
///
/// The whole body of a process of its own, called first thing in it: the process must not have a second thread nor a descriptor open but the
/// three standard ones. What else it inherited is closed; its session, working directory and signal handlers change, and it forks.
pub fn run(options: Options) -> Result<ExitReason, Error> {
    crate::launch::close_inherited().map_err(Error::system("inherited descriptors"))?;
    let slots = Slots::reserve().map_err(Error::system("/dev/null"))?;
    let mut keeper = Keeper::open(options, slots)?;
    keeper.recover()?;
    failpoint!("keeper.start.recovered");
    keeper.listen()?;
    failpoint!("keeper.start.listening");
    keeper.turn_until_told()
}

/// Everything the keeper holds.
struct Keeper {
    options: Options,
    /// Locked for as long as we live.
    _lock: OwnedFd,
    logs_dir: Rc<OwnedFd>,
    pipes_dir: OwnedFd,
    pipes_path: PathBuf,
    journal: Journal,
    boot_id: String,
    started_at: u64,
    next_run: u64,
    cgroups: Cgroups,
    /// What we were started with, or the host, for the children; ours is raised.
    open_files: Rlimit,
    slots: Slots,
    epoll: OwnedFd,
    door: Option<Door>,
    signals: Signals,
    /// Numbers connections, pipes and watches; used once each.
    next_id: u64,
    connections: BTreeMap<u64, Connection>,
    /// Connections with requests that were read and not yet looked at.
    hungry: BTreeSet<u64>,
    tasks: BTreeMap<String, Task>,
    /// Pids of our own children that lead a task.
    leaders: HashMap<i32, String>,
    /// Keys of leaders, by the number their pidfd is watched under.
    watches: HashMap<u64, String>,
    pipes: BTreeMap<u64, Pipe>,
    /// Pipes that may have more, in turn.
    busy: VecDeque<u64>,
    pairs: Pairs,
    writers: HashMap<String, OpenLog>,
    peephole: Peephole,
    timers: BTreeSet<(u64, Timer)>,
    /// [`Timer::Burial`] is among them.
    has_burial: bool,
    /// [`Timer::Chores`] is among them.
    has_chores: bool,
    /// The machine's processes as last seen, and as seen before that.
    looks: [Option<Look>; 2],
    turn: u64,
    /// The turn in which all our children were last seen to be leaders of tasks.
    no_strays_in: Option<u64>,
    /// Cgroups that the kernel was not ready to part with.
    litter: Vec<Group>,
    /// What subscribers hear at the end of this turn.
    events: Vec<Event>,
    leaving: Option<Leaving>,
    /// SIGTERM came: it ends with the last process that it holds.
    is_terminated: bool,
}

/// Where clients arrive.
struct Door {
    listener: UnixListener,
    /// Nobody is let in until the next chores.
    is_shut: bool,
    /// The operator was told so.
    has_complained: bool,
}

/// Ends of pipes that signal handlers write to.
struct Signals {
    child: UnixStream,
    terminate: UnixStream,
}

/// The pairs of pipes: those in use, with the ids of those of the two that are, and those that can be used again.
#[derive(Default)]
struct Pairs {
    used: BTreeMap<u64, Vec<u64>>,
    free: Vec<u64>,
}

/// A log that at least one open pipe goes to.
struct OpenLog {
    writer: Writer,
    pipes: usize,
}

/// A reason to wake up by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Look how far a stop is.
    Stop(String),
    /// A half line of this size has waited in a pipe.
    HalfLine(u64, usize),
    /// Bury the children that have ended.
    Burial,
    /// Sync the journal, and try again what could not be done: to write to a full disk, to remove cgroups, to let clients in.
    Chores,
}

/// A snapshot and the turn it was taken in. Ends are heard first in each turn, so all that ended by then had ended before.
struct Look {
    turn: u64,
    snapshot: Rc<Snapshot>,
}

/// The keeper is about to end.
struct Leaving {
    reason: ExitReason,
    /// Whom to tell: connection and request.
    waiters: Vec<(u64, u64)>,
}

/// What an epoll event is about; the low bits are a number from `next_id`.
mod token {
    pub(super) const KIND: u64 = 0xff << 56;
    pub(super) const LISTENER: u64 = 1 << 56;
    pub(super) const CHILD: u64 = 2 << 56;
    pub(super) const TERMINATE: u64 = 3 << 56;
    pub(super) const CONNECTION: u64 = 4 << 56;
    pub(super) const PIPE: u64 = 5 << 56;
    pub(super) const WATCH: u64 = 6 << 56;
}

impl Keeper {
    fn open(options: Options, slots: Slots) -> Result<Keeper, Error> {
        let dir = household::prepare(&options.dir)?;
        let options = Options { dir, ..options };
        let lock = lock::lock(&options.dir)?;
        let open_files = household::settle_process()?;
        let boot_id = crate::identity::boot_id().map_err(Error::system("boot id"))?;
        let (journal, records) = household::open_journal(&options.dir, &boot_id)?;
        let (pipes_path, pipes_dir) = pipes_place::open(&options.dir, journal.instance())?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Error::system("epoll"))?;
        let signals = household::hear_signals(&epoll)?;
        let cgroups = if options.cgroups { Cgroups::find(journal.instance()) } else { Cgroups::none("cgroups are switched off") };
        let mut keeper = Keeper {
            logs_dir: Rc::new(household::subdirectory(&options.dir, "logs")?),
            pipes_dir,
            pipes_path,
            next_run: journal.next_run(),
            options,
            _lock: lock,
            journal,
            boot_id,
            started_at: clock::unix_ms(),
            cgroups,
            open_files,
            slots,
            epoll,
            door: None,
            signals,
            next_id: 1,
            connections: BTreeMap::new(),
            hungry: BTreeSet::new(),
            tasks: BTreeMap::new(),
            leaders: HashMap::new(),
            watches: HashMap::new(),
            pipes: BTreeMap::new(),
            busy: VecDeque::new(),
            pairs: Pairs::default(),
            writers: HashMap::new(),
            peephole: Peephole::new().map_err(Error::system("pipe"))?,
            timers: BTreeSet::new(),
            has_burial: false,
            has_chores: false,
            looks: [None, None],
            turn: 0,
            no_strays_in: None,
            litter: Vec::new(),
            events: Vec::new(),
            leaving: None,
            is_terminated: false,
        };
        keeper.cgroups.forget_instances(&pipes_place::sweep());
        failpoint!("keeper.start.opened");
        keeper.replay(records);
        Ok(keeper)
    }

    fn listen(&mut self) -> Result<(), Error> {
        let listener = household::bind(&self.options.dir)?;
        self.watch(&listener, token::LISTENER, epoll::EventFlags::IN).map_err(Error::system("epoll"))?;
        self.door = Some(Door { listener, is_shut: false, has_complained: false });
        Ok(())
    }

    fn watch(&self, fd: impl AsFd, token: u64, flags: epoll::EventFlags) -> rustix::io::Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), flags)
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn limits(&self) -> Limits {
        Limits { segment_bytes: self.options.log_segment_bytes, segments: self.options.log_segments }
    }

    /// The machine's processes, looked at in this turn.
    fn look(&mut self) -> Rc<Snapshot> {
        match &self.looks[0] {
            Some(look) if look.turn == self.turn => Rc::clone(&look.snapshot),
            _ => self.look_again(),
        }
    }

    /// The machine's processes, looked at right now.
    fn look_again(&mut self) -> Rc<Snapshot> {
        let [last, before] = &mut self.looks;
        *before = last.take();
        let snapshot = Rc::new(Snapshot::take(before.as_ref().map(|look| &*look.snapshot)));
        *last = Some(Look { turn: self.turn, snapshot: Rc::clone(&snapshot) });
        snapshot
    }

    /// Two looks that both came after all that had ended by that turn.
    ///
    /// Two, because a process that forks and ends while `/proc` is being read may hide its child from one. Whose tree is empty in both has
    /// nobody left who could begin another process, so they prove it once and for all.
    fn two_looks_since(&mut self, turn: u64) -> [Rc<Snapshot>; 2] {
        let enough = |looks: &[Option<Look>; 2]| match looks {
            [Some(last), Some(before)] if before.turn >= turn => Some([Rc::clone(&last.snapshot), Rc::clone(&before.snapshot)]),
            _ => None,
        };
        loop {
            if let Some(looks) = enough(&self.looks) {
                return looks;
            }
            self.look_again();
        }
    }

    fn answer(&mut self, (connection, id): (u64, u64), response: &Response, body: &[u8]) {
        // whoever asked may have gone since
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.send(id, response, body);
        }
    }
}

/// The socket's path in a keeper's directory.
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join("keeper.sock")
}

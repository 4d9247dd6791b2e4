//! A directory under watch: everything that is done to its files is recorded, and can be made to fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::history::Note;

/// A failed call's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The device does not do it.
    pub const IO: Self = Self(5);
    /// There is no space left.
    pub const NO_SPACE: Self = Self(28);
}

/// A file, whatever its names.
pub type Inode = usize;

/// Something that was done to the disk, or that somebody was told meanwhile.
#[derive(Clone, Debug)]
pub enum Op {
    /// A new file, empty, under a name.
    Create {
        /// The file.
        inode: Inode,
        /// Its name.
        name: String,
    },
    /// Bytes at a place.
    Write {
        /// The file.
        inode: Inode,
        /// Where.
        offset: usize,
        /// What.
        bytes: Box<[u8]>,
    },
    /// A new length, shorter or longer.
    Truncate {
        /// The file.
        inode: Inode,
        /// Its length.
        length: usize,
    },
    /// All that was done to the file's content is on the disk.
    Sync {
        /// The file.
        inode: Inode,
    },
    /// A file under another name, in the place of whatever had it.
    Rename {
        /// The file.
        inode: Inode,
        /// Its name before.
        from: String,
        /// Its name after.
        to: String,
    },
    /// A name is gone.
    Unlink {
        /// The file.
        inode: Inode,
        /// The name.
        name: String,
    },
    /// All that was done to names is on the disk.
    SyncDirectory,
    /// Nothing to the disk: here somebody was told something.
    Note(Note),
}

/// The files that ever had a name.
pub fn files_named(trace: &[Op], wanted: &str) -> Vec<Inode> {
    let named = trace.iter().filter_map(|op| match op {
        Op::Create { inode, name } | Op::Rename { inode, to: name, .. } if name == wanted => Some(*inode),
        _ => None,
    });
    named.collect()
}

/// Calls that are made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first one, counted from 1 over the calls that can fail in this way.
    pub at: usize,
    /// How. Without space only what needs some fails: writes, new files, new names.
    pub errno: Errno,
    /// Until it is mended; otherwise once.
    pub lasts: bool,
}

/// A watched directory. Its files are seen from when they are opened; dropping it ends the watch.
#[derive(Debug)]
pub struct Disk {
    id: usize,
}

impl Disk {
    /// Begins with an empty directory.
    ///
    /// # Panics
    /// When there is no such directory.
    pub fn watch(root: &Path) -> Self {
        let root = root.canonicalize().expect("the directory to watch exists");
        let mut world = world();
        let id = world.next;
        world.next += 1;
        world.disks.insert(id, Watched { root, names: BTreeMap::new(), inodes: 0, trace: Vec::new(), fault: None });
        WATCHED.fetch_add(1, Ordering::SeqCst);
        Self { id }
    }

    /// Writes down what somebody is told now.
    pub fn note(&self, note: Note) {
        self.with(|watched| watched.trace.push(Op::Note(note)));
    }

    /// Makes calls fail from now on.
    pub fn fail(&self, fault: Fault) {
        self.with(|watched| watched.fault = Some(Counting { fault, seen: 0, hit: None }));
    }

    /// Ends that; tells how many calls there were that could have failed, and which one failed first.
    pub fn mend(&self) -> (usize, Option<String>) {
        self.with(|watched| watched.fault.take()).map_or((0, None), |counting| (counting.seen, counting.hit))
    }

    /// What was done since the last time this was asked.
    pub fn take_trace(&self) -> Vec<Op> {
        self.with(|watched| std::mem::take(&mut watched.trace))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Watched) -> T) -> T {
        act(world().disks.get_mut(&self.id).expect("it is watched until it is dropped"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        world().disks.remove(&self.id);
        WATCHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many directories are watched: none is the common case, and costs one look.
static WATCHED: AtomicUsize = AtomicUsize::new(0);
/// Held over the real call too, so that the trace has the order in which things happened.
static WORLD: Mutex<World> = Mutex::new(World { next: 0, disks: BTreeMap::new(), open: BTreeMap::new() });

struct World {
    next: usize,
    disks: BTreeMap<usize, Watched>,
    open: BTreeMap<i32, (usize, Target)>,
}

struct Watched {
    root: PathBuf,
    names: BTreeMap<String, Target>,
    inodes: usize,
    trace: Vec<Op>,
    fault: Option<Counting>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Directory,
    File(Inode),
    /// A lock or shared memory: it may fail, and what is in it after a cut is nobody's promise.
    Scratch,
}

struct Counting {
    fault: Fault,
    seen: usize,
    hit: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Space,
    Device,
}

fn world() -> MutexGuard<'static, World> {
    WORLD.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn is_watching() -> bool {
    WATCHED.load(Ordering::Relaxed) > 0
}

pub(crate) fn open(path: &Path, creates: bool, truncates: bool, call: impl Fn() -> i32) -> Result<i32, Errno> {
    let mut world = world();
    let World { disks, open, .. } = &mut *world;
    let Some((id, watched, target)) = disks.iter_mut().find_map(|(id, watched)| watched.find(path).map(|target| (*id, watched, target))) else {
        return Ok(call());
    };
    let is_new = creates && target.is_err();
    if is_new {
        watched.judge(Need::Space, "creating", None)?
    } else {
        watched.judge(Need::Device, "opening", target.as_ref().ok().copied())?
    };
    let fd = call();
    if fd >= 0 {
        let target = target.unwrap_or_else(|name| watched.create(name));
        if truncates && let Target::File(inode) = target {
            watched.trace.push(Op::Truncate { inode, length: 0 });
        }
        open.insert(fd, (id, target));
    }
    Ok(fd)
}

pub(crate) fn close(fd: i32) {
    world().open.remove(&fd);
}

pub(crate) fn read(fd: i32) -> Result<(), Errno> {
    world().opened(fd).map_or(Ok(()), |(watched, target)| watched.judge(Need::Device, "reading", Some(target)))
}

/// `call` writes so many of the bytes.
pub(crate) fn write(fd: i32, bytes: &[u8], offset: impl Fn() -> usize, call: impl Fn(usize) -> isize) -> Result<isize, Errno> {
    let mut world = world();
    let Some((watched, target)) = world.opened(fd) else {
        drop(world); // it may be a pipe that somebody else must read first
        return Ok(call(bytes.len()));
    };
    let offset = offset();
    let mut length = bytes.len();
    if let Err(errno) = watched.judge(Need::Space, "writing", Some(target)) {
        // A disk that fills up takes a part first, and fails the rest.
        if errno != Errno::NO_SPACE || !watched.is_filling_up() || length < 2 {
            return Err(errno);
        }
        length /= 2;
    }
    let written = call(length);
    if let (Ok(written), Target::File(inode)) = (usize::try_from(written), target) {
        watched.trace.push(Op::Write { inode, offset, bytes: bytes[..written].into() });
    }
    Ok(written)
}

pub(crate) fn truncate(fd: i32, length: usize, call: impl Fn() -> i32) -> Result<i32, Errno> {
    let mut world = world();
    let Some((watched, target)) = world.opened(fd) else { return Ok(call()) };
    watched.judge(Need::Device, "truncating", Some(target))?;
    let result = call();
    if let (0, Target::File(inode)) = (result, target) {
        watched.trace.push(Op::Truncate { inode, length });
    }
    Ok(result)
}

pub(crate) fn sync(fd: i32, call: impl Fn() -> i32) -> Result<i32, Errno> {
    let mut world = world();
    let Some((watched, target)) = world.opened(fd) else {
        drop(world);
        return Ok(call());
    };
    watched.judge(Need::Device, "syncing", Some(target))?;
    let result = call();
    match target {
        Target::File(inode) if result == 0 => watched.trace.push(Op::Sync { inode }),
        Target::Directory if result == 0 => watched.trace.push(Op::SyncDirectory),
        Target::File(_) | Target::Directory | Target::Scratch => {}
    }
    Ok(result)
}

pub(crate) fn rename(from: &Path, to: &Path, call: impl Fn() -> i32) -> Result<i32, Errno> {
    let mut world = world();
    let found = world.disks.values_mut().find_map(|watched| match watched.find(from) {
        Some(Ok(target)) => Some((watched, target)),
        Some(Err(_)) | None => None,
    });
    let Some((watched, target)) = found else { return Ok(call()) };
    watched.judge(Need::Space, "renaming", Some(target))?;
    let result = call();
    if let (0, Target::File(inode), Some(from), Some(to)) = (result, target, name(from), name(to)) {
        watched.names.remove(&from);
        watched.names.insert(to.clone(), target);
        watched.trace.push(Op::Rename { inode, from, to });
    }
    Ok(result)
}

pub(crate) fn unlink(path: &Path, call: impl Fn() -> i32) -> Result<i32, Errno> {
    let mut world = world();
    let found = world.disks.values_mut().find_map(|watched| match watched.find(path) {
        Some(Ok(target)) => Some((watched, target)),
        Some(Err(_)) | None => None,
    });
    let Some((watched, target)) = found else { return Ok(call()) };
    watched.judge(Need::Device, "unlinking", Some(target))?;
    let result = call();
    if let (0, Some(name)) = (result, name(path)) {
        watched.names.remove(&name);
        if let Target::File(inode) = target {
            watched.trace.push(Op::Unlink { inode, name });
        }
    }
    Ok(result)
}

impl World {
    fn opened(&mut self, fd: i32) -> Option<(&mut Watched, Target)> {
        let (id, target) = *self.open.get(&fd)?;
        self.disks.get_mut(&id).map(|watched| (watched, target))
    }
}

impl Watched {
    /// What a path here leads to, or the name that nothing has; none when it is elsewhere.
    fn find(&self, path: &Path) -> Option<Result<Target, String>> {
        if path == self.root {
            return Some(Ok(Target::Directory));
        }
        let name = name(path).filter(|_| path.parent() == Some(&self.root))?;
        Some(self.names.get(&name).copied().ok_or(name))
    }

    fn create(&mut self, name: String) -> Target {
        let target = if name.ends_with("-shm") || name.ends_with(".lock") {
            Target::Scratch
        } else {
            self.inodes += 1;
            self.trace.push(Op::Create { inode: self.inodes - 1, name: name.clone() });
            Target::File(self.inodes - 1)
        };
        self.names.insert(name, target);
        target
    }

    /// Counts a call, and refuses it when it is its turn.
    fn judge(&mut self, need: Need, doing: &str, target: Option<Target>) -> Result<(), Errno> {
        let Some(Counting { fault, seen, hit }) = &mut self.fault else { return Ok(()) };
        if fault.errno == Errno::NO_SPACE && need != Need::Space {
            return Ok(());
        }
        *seen += 1;
        if *seen == fault.at {
            let name = self.names.iter().find(|(_, named)| Some(**named) == target).map_or("a file", |(name, _)| name);
            *hit = Some(format!("{doing} {name}"));
        }
        if *seen == fault.at || (fault.lasts && *seen > fault.at) { Err(fault.errno) } else { Ok(()) }
    }

    /// Was the call that was just refused the first?
    fn is_filling_up(&self) -> bool {
        self.fault.as_ref().is_some_and(|Counting { fault, seen, .. }| fault.lasts && *seen == fault.at)
    }
}

fn name(path: &Path) -> Option<String> {
    path.file_name().and_then(|name| name.to_str()).map(str::to_owned)
}

//! What a child does between its birth and exec, and what it must not inherit. The one module of this crate with unsafe blocks.
//!
//! Why unsafe at all: a session of its own, a cgroup that holds the program from its very first instruction, and supplementary groups can
//! only be set up by the child itself. `CommandExt::pre_exec` would be a door to that, but behind it stands `fork`, which copies what the keeper
//! holds for others: beside 1,000 processes the page tables of its memory and two descriptors for each of them, which exec then closes again.
//! That was 1.4 of the 2.0 ms between a request and `main`.
//!
//! So a child is born as `posix_spawn` does it: in the memory of its parent, which stands still until the child has become its program or failed
//! (`CLONE_VM | CLONE_VFORK`). It shares the descriptors too, until with its first step it takes only those it needs ([`Slots`]) for itself.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{DupFlags, Errno, dup3};
use rustix::process::{Resource, Rlimit, chdir, setrlimit, setsid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::user::User;

/// Most cgroups that a child enters: of its members, its memory and its processor time.
const MAX_CGROUPS: usize = 3;

/// Its stack until exec: a few system calls deep, and with room for a debugger's or a checker's larger frames.
const STACK_BYTES: usize = 64 * 1024;

/// The exit code of a child that did not become its program. Nobody sees it: why it failed is told through `failed`.
const NOT_STARTED: c_int = 127;

/// Whatever runs a handler in the keeper (see `household::hear_signals`; std's own are for a stack that overflows), and `SIGPIPE`, which std ignores.
const DEFAULTED: [c_int; 10] = [
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGPIPE,
];

/// Low numbers that the descriptors of the next child are put under, so that it can leave all others behind in one step, however many there are.
pub(crate) struct Slots {
    null: OwnedFd,
    out: OwnedFd,
    err: OwnedFd,
    cgroups: [OwnedFd; MAX_CGROUPS],
    /// Above all of these.
    rest: u32,
    stack: Box<[MaybeUninit<u128>]>,
}

impl Slots {
    /// For the very start of a process: later the low numbers are taken.
    pub(crate) fn reserve() -> io::Result<Slots> {
        let opened = std::fs::File::open("/dev/null")?;
        // above those that the program is to find
        let more = || rustix::io::fcntl_dupfd_cloexec(&opened, 3);
        let (null, out, err, cgroups) = (more()?, more()?, more()?, [more()?, more()?, more()?]);
        let highest = cgroups.iter().chain([&null, &out, &err]).map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        let stack = Box::new_uninit_slice(STACK_BYTES / size_of::<u128>());
        Ok(Slots { null, out, err, cgroups, rest: highest.unsigned_abs() + 1, stack })
    }

    /// Gives back what the last child was given, so that a pipe ends when its last writer does.
    fn clear(&mut self) {
        for slot in [&mut self.out, &mut self.err].into_iter().chain(&mut self.cgroups) {
            // onto a number that is open there is nothing that can fail
            let _ = dup3(&self.null, slot, DupFlags::CLOEXEC);
        }
    }
}

/// All of it prepared before the birth: the child only makes system calls.
pub(super) struct Child {
    pub(super) program: CString,
    /// With the program's name, first.
    pub(super) args: Vec<CString>,
    /// `NAME=VALUE` each.
    pub(super) env: Vec<CString>,
    /// The way into each cgroup to be in.
    pub(super) cgroups: Vec<OwnedFd>,
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
    /// What the keeper itself was started with; the keeper raised its own.
    pub(super) open_files: Rlimit,
    pub(super) user: Option<User>,
    /// Entered as the user, so that a directory closed to it is an error and not a way in.
    pub(super) directory: CString,
}

/// A child that has become its program.
pub(crate) struct Born {
    pub(crate) pid: i32,
    /// Readable when it has ended.
    pub(crate) pidfd: OwnedFd,
}

/// What the child sees of its parent's memory, and the one word it writes there.
struct Errand<'a> {
    child: &'a Child,
    slots: [BorrowedFd<'a>; 3],
    cgroups: &'a [OwnedFd],
    rest: u32,
    argv: &'a [*const c_char],
    envp: &'a [*const c_char],
    /// Written by the child, read by the parent once that goes on.
    failed: Option<Errno>,
}

impl Child {
    /// Starts it; answers what it became once it is its program, else why it is not.
    pub(super) fn start(&self, slots: &mut Slots) -> io::Result<Born> {
        let put = self.put_into(slots);
        let born = put.and_then(|()| self.be_born(slots));
        slots.clear();
        born
    }

    fn put_into(&self, slots: &mut Slots) -> io::Result<()> {
        dup3(&self.out, &mut slots.out, DupFlags::CLOEXEC)?;
        dup3(&self.err, &mut slots.err, DupFlags::CLOEXEC)?;
        for (cgroup, slot) in self.cgroups.iter().zip(&mut slots.cgroups) {
            dup3(cgroup, slot, DupFlags::CLOEXEC)?;
        }
        Ok(())
    }

    fn be_born(&self, slots: &mut Slots) -> io::Result<Born> {
        let (argv, envp) = (pointers(&self.args), pointers(&self.env));
        let mut errand = Errand {
            child: self,
            slots: [&slots.null, &slots.out, &slots.err].map(AsFd::as_fd),
            cgroups: &slots.cgroups[..self.cgroups.len()],
            rest: slots.rest,
            argv: &argv,
            envp: &envp,
            failed: None,
        };
        let top = slots.stack.as_mut_ptr_range().end;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::SIGCHLD;
        let mut pidfd: c_int = -1;
        let blocked = Blocked::begin();
        // SAFETY: the stack is ours, aligned to 16 bytes, grows down from `top`, and nothing else uses it: CLONE_VFORK holds this thread until the
        // child has left our memory by exec or exit. `live` gets the pointer to `errand`, which outlives it for the same reason. No handler
        // can run in the child while it is here, because all signals are blocked. The kernel writes `pidfd` before the child lives.
        let pid = unsafe { libc::clone(live, top.cast(), flags, (&raw mut errand).cast(), &raw mut pidfd) };
        let born = if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) };
        drop(blocked);
        let pid = born?;
        // SAFETY: the kernel has just opened it for us alone; the child took no copy, or closed it with exec.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        match errand.failed {
            None => Ok(Born { pid, pidfd }),
            Some(errno) => {
                // it has ended: nobody else waits for children while we are here
                let _ = rustix::process::waitpid(rustix::process::Pid::from_raw(pid), rustix::process::WaitOptions::empty());
                Err(errno.into())
            }
        }
    }
}

/// The whole life of a child before its program.
///
/// It runs in the memory of a parent that stands still: what it calls is a bare system call each, that neither allocates nor locks, and it writes
/// nothing but its own stack, `errno`, and [`Errand::failed`].
extern "C" fn live(errand: *mut c_void) -> c_int {
    // SAFETY: it is the pointer that `be_born` gave, to what lives there until we are gone, and nobody looks at it meanwhile.
    let errand = unsafe { &mut *errand.cast::<Errand<'_>>() };
    let Err(errno) = become_program(errand);
    errand.failed = Some(errno);
    NOT_STARTED
}

fn become_program(errand: &Errand<'_>) -> Result<std::convert::Infallible, Errno> {
    leave_descriptors(errand.rest)?;
    for (number, slot) in (0..).zip(errand.slots) {
        // SAFETY: a system call on numbers that are open; the table is our own by now, and 0 to 2 are what the program is to find there.
        check(unsafe { libc::dup2(slot.as_raw_fd(), number) })?;
    }
    for procs in errand.cgroups {
        rustix::io::write(procs, b"0")?;
    }
    let child = errand.child;
    setrlimit(Resource::Nofile, child.open_files)?;
    setsid()?;
    if let Some(user) = &child.user {
        // groups first: without root's powers they can no longer be set. These are the calling thread's alone, and it is the child's only one
        set_thread_groups(&user.groups)?;
        set_thread_res_gid(user.gid, user.gid, user.gid)?;
        set_thread_res_uid(user.uid, user.uid, user.uid)?;
    }
    chdir(child.directory.as_c_str())?;
    default_signals();
    // SAFETY: both lists end in a null pointer and point to strings that live in `child`.
    unsafe { libc::execve(child.program.as_ptr(), errand.argv.as_ptr(), errand.envp.as_ptr()) };
    Err(last_errno())
}

/// Takes a table of descriptors of our own that has only the slots and what is below them. Without this, exec would copy all of the keeper's, and close them.
fn leave_descriptors(rest: u32) -> Result<(), Errno> {
    // SAFETY: system calls without pointers. They touch the shared table not at all: the first thing they do is to copy it.
    let left = unsafe { libc::syscall(libc::SYS_close_range, rest, u32::MAX, libc::CLOSE_RANGE_UNSHARE) };
    if left == 0 {
        return Ok(());
    }
    // a kernel before 5.9, or a filter that does not know the call: all of them, to be closed by exec
    // SAFETY: as above.
    check(unsafe { libc::unshare(libc::CLONE_FILES) })
}

/// The program begins with no signal blocked and no handler but the defaults.
fn default_signals() {
    for signal in DEFAULTED {
        // SAFETY: a valid signal and its default; the table of handlers is the child's own, as without CLONE_SIGHAND it always is.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a set on our own stack, which sigemptyset fills in. What was blocked since before our birth has its default by now.
    unsafe {
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// All signals of this thread wait until this is dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn begin() -> Blocked {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: two sets of our own; sigfillset fills in the first, sigprocmask, which cannot fail with these, the second.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Blocked(before.assume_init())
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set that was in force before.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

fn check(answer: c_int) -> Result<(), Errno> {
    if answer < 0 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    // SAFETY: the thread's own errno; a child writes its parent's, who reads none of that time.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// As exec wants them: with a null pointer at the end.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| CStr::as_ptr(text)).chain([std::ptr::null()]).collect()
}

/// Closes every descriptor above standard error that this process was started with: whatever the host or its shell had open is
/// none of the keeper's business, and still less its children's.
///
/// For the very start of a process that has opened nothing itself.
pub(crate) fn close_inherited() -> io::Result<()> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: nothing in this process owns these descriptors: it has only just begun, and `keeper::run` asks its caller for
        // exactly that. The listing's own, closed by now, is among them; closing a number that is not open does nothing.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}

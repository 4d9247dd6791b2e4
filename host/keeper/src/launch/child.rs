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
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{DupFlags, Errno, dup3};
use rustix::process::{Resource, Rlimit, chdir, setrlimit, setsid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::cgroup::Entrances;
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
    /// The ways into the cgroups to be in.
    pub(super) cgroups: Entrances,
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
    /// Why it is in none of the cgroups that it was to enter, if it is not.
    pub(crate) kept_out: Option<io::Error>,
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
    failed: Option<Failed>,
}

/// Why there is no program.
enum Failed {
    /// There was no child.
    Unborn(io::Error),
    /// It was not let into a cgroup.
    KeptOut(Errno),
    /// There was one, and it ended.
    Begun(Errno),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Failed {
        Failed::Begun(errno)
    }
}

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> io::Error {
        match failed {
            Failed::Unborn(error) => error,
            Failed::KeptOut(errno) | Failed::Begun(errno) => errno.into(),
        }
    }
}

impl Child {
    /// Starts it; answers what it became once it is its program, else why it is not.
    pub(super) fn start(&self, slots: &mut Slots) -> io::Result<Born> {
        let born = self.start_with(slots);
        slots.clear();
        born
    }

    fn start_with(&self, slots: &mut Slots) -> io::Result<Born> {
        dup3(&self.out, &mut slots.out, DupFlags::CLOEXEC)?;
        dup3(&self.err, &mut slots.err, DupFlags::CLOEXEC)?;
        match self.be_born_inside(slots) {
            // a task that is not counted is better than none
            Err(Failed::KeptOut(errno)) => Ok(Born { kept_out: Some(errno.into()), ..self.be_born(slots, 0, None)? }),
            born => Ok(born?),
        }
    }

    fn be_born_inside(&self, slots: &mut Slots) -> Result<Born, Failed> {
        let mut files = self.cgroups.files.len();
        for (file, slot) in self.cgroups.files.iter().zip(&mut slots.cgroups) {
            dup3(file, slot, DupFlags::CLOEXEC)?;
        }
        let mut born = self.be_born(slots, files, self.cgroups.birthplace.as_ref());
        if let (Err(Failed::Unborn(_)), Some(place)) = (&born, &self.cgroups.birthplace) {
            // a kernel that has no such birth, or a filter before it: the child goes there by itself
            let procs = openat(place, "cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(Failed::KeptOut)?;
            dup3(&procs, &mut slots.cgroups[files], DupFlags::CLOEXEC)?;
            files += 1;
            born = self.be_born(slots, files, None);
        }
        born
    }

    /// With so many files of cgroups in the slots, and in that cgroup of version 2.
    fn be_born(&self, slots: &mut Slots, files: usize, place: Option<&OwnedFd>) -> Result<Born, Failed> {
        let (argv, envp) = (pointers(&self.args), pointers(&self.env));
        let mut errand = Errand {
            child: self,
            slots: [&slots.null, &slots.out, &slots.err].map(AsFd::as_fd),
            cgroups: &slots.cgroups[..files],
            rest: slots.rest,
            argv: &argv,
            envp: &envp,
            failed: None,
        };
        let mut pidfd: c_int = -1;
        let blocked = Blocked::begin();
        // SAFETY: the stack is ours, aligned to 16 bytes, and nothing else uses it: CLONE_VFORK holds this thread until the child has left our memory
        // by exec or exit. `live` gets the pointer to `errand`, which outlives it for the same reason. No handler can run in the child while it is
        // here, because all signals are blocked. The kernel writes `pidfd` before the child lives.
        let pid = unsafe { clone(&mut slots.stack, (&raw mut errand).cast(), &mut pidfd, place.map(AsFd::as_fd)) };
        drop(blocked);
        let pid = pid.map_err(Failed::Unborn)?;
        // SAFETY: the kernel has just opened it for us alone; the child took no copy, or closed it with exec.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        match errand.failed {
            None => Ok(Born { pid, pidfd, kept_out: None }),
            Some(failed) => {
                // it has ended: nobody else waits for children while we are here
                let _ = rustix::process::waitpid(rustix::process::Pid::from_raw(pid), rustix::process::WaitOptions::empty());
                Err(failed)
            }
        }
    }
}

const BIRTH: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD;

/// Has [`live`] run in a child, on that stack; answers the child's pid.
///
/// # Safety
/// Signals are blocked; `errand` is a pointer to an [`Errand`] that nobody else touches meanwhile.
unsafe fn clone(stack: &mut [MaybeUninit<u128>], errand: *mut c_void, pidfd: &mut c_int, place: Option<BorrowedFd<'_>>) -> io::Result<i32> {
    let Some(place) = place else {
        let top = stack.as_mut_ptr_range().end;
        // SAFETY: the caller's; the stack grows down from its top.
        let pid = unsafe { libc::clone(live, top.cast(), BIRTH | libc::SIGCHLD, errand, std::ptr::from_mut(pidfd)) };
        return if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) };
    };
    // SAFETY: the caller's.
    unsafe { clone_into(stack, errand, pidfd, place) }
}

/// `struct clone_args` of the kernel's `linux/sched.h`, as of 5.7.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// As [`clone`], in a cgroup of version 2. Only the newer call can do that, and no library has it: the child comes back from it on a stack
/// without anybody to return to.
///
/// # Safety
/// As of [`clone`].
#[cfg(target_arch = "x86_64")]
unsafe fn clone_into(stack: &mut [MaybeUninit<u128>], errand: *mut c_void, pidfd: &mut c_int, place: BorrowedFd<'_>) -> io::Result<i32> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let args = CloneArgs {
        flags: u64::from(BIRTH.unsigned_abs()) | CLONE_INTO_CGROUP,
        pidfd: std::ptr::from_mut(pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        stack: stack.as_mut_ptr() as u64,
        stack_size: size_of_val(stack) as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: u64::from(place.as_raw_fd().unsigned_abs()),
    };
    let answer: i64;
    // SAFETY: the kernel reads `args` and writes `pidfd`, both alive. The parent comes back with all registers but those named; the child has them too,
    // and the new stack, whose top is aligned to 16 bytes as a call wants it. It calls `live`, then exits with its answer, and never runs on.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone3 => answer,
            in("rdi") &raw const args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") errand,
            in("r13") live as extern "C" fn(*mut c_void) -> c_int,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    match i32::try_from(answer) {
        Ok(pid @ 1..) => Ok(pid),
        Ok(errno) => Err(io::Error::from_raw_os_error(-errno)),
        Err(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// # Safety
/// As of [`clone`].
#[cfg(not(target_arch = "x86_64"))]
unsafe fn clone_into(_: &mut [MaybeUninit<u128>], _: *mut c_void, _: &mut c_int, _: BorrowedFd<'_>) -> io::Result<i32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The whole life of a child before its program.
///
/// It runs in the memory of a parent that stands still: what it calls is a bare system call each, that neither allocates nor locks, and it writes
/// nothing but its own stack, `errno`, and [`Errand::failed`].
extern "C" fn live(errand: *mut c_void) -> c_int {
    // SAFETY: it is the pointer that `be_born` gave, to what lives there until we are gone, and nobody looks at it meanwhile.
    let errand = unsafe { &mut *errand.cast::<Errand<'_>>() };
    let Err(failed) = become_program(errand);
    errand.failed = Some(failed);
    NOT_STARTED
}

fn become_program(errand: &Errand<'_>) -> Result<std::convert::Infallible, Failed> {
    leave_descriptors(errand.rest)?;
    for (number, slot) in (0..).zip(errand.slots) {
        // SAFETY: a system call on numbers that are open; the table is our own by now, and 0 to 2 are what the program is to find there.
        check(unsafe { libc::dup2(slot.as_raw_fd(), number) })?;
    }
    for procs in errand.cgroups {
        rustix::io::write(procs, b"0").map_err(Failed::KeptOut)?;
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
    Err(last_errno().into())
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

#[cfg(test)]
mod tests;

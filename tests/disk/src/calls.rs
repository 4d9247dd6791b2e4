//! The C library's calls on files, seen on their way to the kernel.
//!
//! A program's own definition of `write` comes before that of the C library, for everything that is linked into it: SQLite
//! and Rust's standard library alike. So the engine under test is the product's, call by call, and knows nothing of it. Each
//! definition here hands its arguments to [`disk`], which decides, calls the real one and records. What goes straight to
//! the kernel (`rustix`) or through a mapping (SQLite's `-shm`) is not seen.

#![allow(unsafe_code, reason = "the C library's symbols can only be defined and called unsafely; this module does nothing else")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::disk::{self, Errno};

/// The next definition after this program's: the C library's.
const RTLD_NEXT: *mut c_void = ptr::without_provenance_mut(usize::MAX);
const SEEK_CUR: c_int = 1;
const O_CREAT: c_int = 0o100;
const O_TRUNC: c_int = 0o1000;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn lseek(fd: c_int, offset: c_long, whence: c_int) -> c_long;
    fn __errno_location() -> *mut c_int;
}

/// The C library's function of this name and type.
macro_rules! real {
    ($name:literal, fn($($argument:ty),*) -> $answer:ty) => {{
        static ADDRESS: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
        // SAFETY: the type is the one that POSIX gives the function of this name.
        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $answer>(find(&ADDRESS, $name)) }
    }};
}

fn find(known: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
    let mut address = known.load(Ordering::Acquire);
    if address.is_null() {
        // SAFETY: `dlsym` takes any handle of its own and a C string.
        address = unsafe { dlsym(RTLD_NEXT, name.as_ptr()) };
        if address.is_null() {
            std::process::abort(); // without a C library there is nobody to tell
        }
        known.store(address, Ordering::Release);
    }
    address
}

/// Answers as the C library does: -1 and `errno`.
fn answer<T: From<i8>>(result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|Errno(number)| {
        // SAFETY: the address of this thread's own `errno`.
        unsafe { *__errno_location() = number };
        T::from(-1)
    })
}

/// A path argument.
///
/// # Safety
/// `path` is a C string that lives as long as the caller's call.
unsafe fn path<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise, which is the C library's own condition.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()))
}

// `open` takes its mode as a variable argument; on Linux that is passed as any other, and without O_CREAT nobody looks at it.

#[unsafe(no_mangle)]
unsafe extern "C" fn open(name: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the arguments are those of the call.
    unsafe { open64(name, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(name: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    let real = real!(c"open64", fn(*const c_char, c_int, c_uint) -> c_int);
    // SAFETY: the arguments are those of the call.
    let call = || unsafe { real(name, flags, mode) };
    if !disk::is_watching() {
        return call();
    }
    // SAFETY: the caller passes a C string, as `open` demands.
    answer(disk::open(unsafe { path(name) }, flags & O_CREAT != 0, flags & O_TRUNC != 0, call))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    let real = real!(c"close", fn(c_int) -> c_int);
    // Forgotten first: once it is closed its number may be given to another thread's file.
    if disk::is_watching() {
        disk::close(fd);
    }
    // SAFETY: the arguments are those of the call.
    unsafe { real(fd) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: usize) -> isize {
    let real = real!(c"read", fn(c_int, *mut c_void, usize) -> isize);
    if disk::is_watching()
        && let Err(errno) = disk::read(fd)
    {
        return answer(Err(errno));
    }
    // SAFETY: the arguments are those of the call.
    unsafe { real(fd, buffer, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pread64(fd: c_int, buffer: *mut c_void, length: usize, offset: c_long) -> isize {
    let real = real!(c"pread64", fn(c_int, *mut c_void, usize, c_long) -> isize);
    if disk::is_watching()
        && let Err(errno) = disk::read(fd)
    {
        return answer(Err(errno));
    }
    // SAFETY: the arguments are those of the call.
    unsafe { real(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: usize) -> isize {
    let real = real!(c"write", fn(c_int, *const c_void, usize) -> isize);
    // SAFETY: the arguments are those of the call, or a shorter length.
    let call = |length| unsafe { real(fd, buffer, length) };
    if !disk::is_watching() {
        return call(length);
    }
    // SAFETY: `write` demands that `length` bytes can be read there.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast(), length) };
    // SAFETY: asks for the position of a descriptor, whatever it is.
    answer(disk::write(fd, bytes, || unsafe { lseek(fd, 0, SEEK_CUR) }.try_into().unwrap_or(0), call))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, buffer: *const c_void, length: usize, offset: c_long) -> isize {
    let real = real!(c"pwrite64", fn(c_int, *const c_void, usize, c_long) -> isize);
    // SAFETY: the arguments are those of the call, or a shorter length.
    let call = |length| unsafe { real(fd, buffer, length, offset) };
    if !disk::is_watching() {
        return call(length);
    }
    // SAFETY: `pwrite` demands that `length` bytes can be read there.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast(), length) };
    answer(disk::write(fd, bytes, || offset.try_into().unwrap_or(0), call))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(fd: c_int, length: c_long) -> c_int {
    let real = real!(c"ftruncate64", fn(c_int, c_long) -> c_int);
    // SAFETY: the arguments are those of the call.
    let call = || unsafe { real(fd, length) };
    if disk::is_watching() { answer(disk::truncate(fd, length.try_into().unwrap_or(0), call)) } else { call() }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    let real = real!(c"fsync", fn(c_int) -> c_int);
    // SAFETY: the arguments are those of the call.
    let call = || unsafe { real(fd) };
    if disk::is_watching() { answer(disk::sync(fd, call)) } else { call() }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    let real = real!(c"fdatasync", fn(c_int) -> c_int);
    // SAFETY: the arguments are those of the call.
    let call = || unsafe { real(fd) };
    if disk::is_watching() { answer(disk::sync(fd, call)) } else { call() }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let real = real!(c"rename", fn(*const c_char, *const c_char) -> c_int);
    // SAFETY: the arguments are those of the call.
    let call = || unsafe { real(from, to) };
    if !disk::is_watching() {
        return call();
    }
    // SAFETY: the caller passes C strings, as `rename` demands.
    answer(disk::rename(unsafe { path(from) }, unsafe { path(to) }, call))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(name: *const c_char) -> c_int {
    let real = real!(c"unlink", fn(*const c_char) -> c_int);
    // SAFETY: the arguments are those of the call.
    let call = || unsafe { real(name) };
    if !disk::is_watching() {
        return call();
    }
    // SAFETY: the caller passes a C string, as `unlink` demands.
    answer(disk::unlink(unsafe { path(name) }, call))
}

//! Giving memory back: what a burst of work took and the quiet after it does not need.
#![allow(unsafe_code, reason = "no safe crate offers these two calls; see the argument at each")]

use std::fs;

/// Gives free heap back to the system, and lets go of pages of the program's own code: those still needed come back with their next use,
/// from the system's cache of files. Blocks for some milliseconds.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number and no pointer, may be called from any thread at any time, and frees only what the allocator has free.
    unsafe {
        libc::malloc_trim(0);
    }
    let Some((start, end)) = own_code() else { return };
    // SAFETY: the range is this program's code as the kernel just told it, mapped from its file for reading and executing; nobody writes
    // to it, so that every page can be read again from the file, and a page in use is read again at once.
    unsafe {
        libc::madvise(std::ptr::without_provenance_mut(start), end - start, libc::MADV_DONTNEED);
    }
}

/// Where the program's own code is mapped: the range that may be executed and not written, of the program's own file.
fn own_code() -> Option<(usize, usize)> {
    let exe = fs::read_link("/proc/self/exe").ok()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    own_code_in(&maps, exe.to_str()?)
}

fn own_code_in(maps: &str, exe: &str) -> Option<(usize, usize)> {
    let line = maps.lines().find(|line| line.contains(" r-xp ") && line.ends_with(exe))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    number(start).zip(number(end)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_code_and_nothing_else() {
        let maps = "5600-5700 r--p 00000000 fd:00 1 /bin/hostler\n5700-5900 r-xp 00100000 fd:00 1 /bin/hostler\n\
                    5900-5a00 rw-p 00300000 fd:00 1 /bin/hostler\n7f00-7f10 r-xp 00000000 fd:00 2 /lib/libc.so.6\n";
        assert_eq!(own_code_in(maps, "/bin/hostler"), Some((0x5700, 0x5900)));
        assert_eq!(own_code_in(maps, "/bin/other"), None);
    }

    #[test]
    fn code_goes_on_after_it_was_let_go() {
        assert!(own_code().is_some(), "a test is a program, too");
        let before: u64 = (1..=1000).sum();
        give_back();
        assert_eq!(before, (1..=1000).sum::<u64>());
    }
}

//! Giving memory back: what a burst of work took and the quiet after it does not need.
#![allow(unsafe_code, reason = "no safe crate offers these two calls; see the argument at each")]

use std::fs;
use std::sync::OnceLock;

/// Gives free heap back to the system, and lets go of pages of the program's own file, its code and what is constant: those still needed
/// come back with their next use, from the system's cache of files. Blocks for some milliseconds.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number and no pointer, may be called from any thread at any time, and frees only what the allocator has free.
    unsafe {
        libc::malloc_trim(0);
    }
    // They stay where they are as long as the program runs, and it takes milliseconds to find them.
    static OWN: OnceLock<Vec<(usize, usize)>> = OnceLock::new();
    for &(start, end) in OWN.get_or_init(|| own_file().unwrap_or_default()) {
        // SAFETY: the range is of this program's file as the kernel just told it, mapped for reading or executing, and has no page that is not
        // the file's; it stays mapped, and nobody writes to it, so that every page can be read again from the file, and a page in use is
        // read again at once.
        unsafe {
            libc::madvise(std::ptr::without_provenance_mut(start), end - start, libc::MADV_DONTNEED);
        }
    }
}

/// Where the program's own file is mapped and nobody writes or has written.
fn own_file() -> Option<Vec<(usize, usize)>> {
    let exe = fs::read_link("/proc/self/exe").ok()?;
    let maps = fs::read_to_string("/proc/self/smaps").ok()?;
    Some(own_file_in(&maps, exe.to_str()?))
}

/// Each mapping is a line about it, and lines `Key: number kB`. What the loader has written to before it was closed to writing is anonymous.
fn own_file_in(maps: &str, exe: &str) -> Vec<(usize, usize)> {
    let (mut found, mut range) = (Vec::new(), None);
    for line in maps.lines() {
        match line.split_once(':') {
            Some(("Anonymous", size)) if size.trim() == "0 kB" => found.extend(range.take()),
            Some((key, _)) if !key.contains(' ') => {}
            _ => range = own_range(line, exe),
        }
    }
    found
}

fn own_range(line: &str, exe: &str) -> Option<(usize, usize)> {
    if !(line.contains(" r-xp ") || line.contains(" r--p ")) || !line.ends_with(&format!(" {exe}")) {
        return None;
    }
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    number(start).zip(number(end)).filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_of_the_file_and_nothing_that_was_written() {
        let maps = "5600-5700 r--p 00000000 fd:00 1    /bin/hostler\nSize: 1 kB\nAnonymous: 0 kB\nVmFlags: rd mr mw me\n\
                    5700-5900 r-xp 00100000 fd:00 1    /bin/hostler\nRss: 4 kB\nAnonymous:             0 kB\n\
                    5900-5a00 r--p 00300000 fd:00 1    /bin/hostler\nAnonymous: 4 kB\n\
                    5a00-5b00 rw-p 00310000 fd:00 1    /bin/hostler\nAnonymous: 0 kB\n\
                    7f00-7f10 r-xp 00000000 fd:00 2    /lib/libc.so.6\nAnonymous: 0 kB\n7f10-7f20 r--p 00000000 00:00 0\nAnonymous: 0 kB\n";
        assert_eq!(own_file_in(maps, "/bin/hostler"), [(0x5600, 0x5700), (0x5700, 0x5900)]);
        assert_eq!(own_file_in(maps, "/bin/other"), []);
    }

    #[test]
    fn the_program_goes_on_after_it_was_let_go() {
        assert!(own_file().is_some_and(|ranges| !ranges.is_empty()), "a test is a program, too");
        let before: u64 = (1..=1000).sum();
        give_back();
        assert_eq!(before, (1..=1000).sum::<u64>());
    }
}

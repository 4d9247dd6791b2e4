//! Giving memory back: what a burst of work took and the quiet after it does not need.
#![allow(unsafe_code, reason = "no safe crate offers these two calls; see the argument at each")]

/// Gives free heap back to the system, and lets go of pages of the program's own file, its code and what is constant: those still needed
/// come back with their next use, from the system's cache of files. Blocks for some milliseconds.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number and no pointer, may be called from any thread at any time, and frees only what the allocator has free.
    unsafe {
        libc::malloc_trim(0);
    }
    for (start, end) in own_constants() {
        // SAFETY: the range is of this program, mapped from its file for reading or executing only, as its loader says; it stays mapped as long
        // as the program runs, and nobody writes to it, so that every page can be read again from the file, and a page in use is read again
        // at once.
        unsafe {
            libc::madvise(std::ptr::without_provenance_mut(start), end - start, libc::MADV_DONTNEED);
        }
    }
}

/// Whole pages of the program's own segments that nobody may write to. What the loader relocates and closes then is of one that it could.
fn own_constants() -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    // SAFETY: the callback is called before this returns, with the pointer to what it expects there.
    unsafe {
        libc::dl_iterate_phdr(Some(constants_of_the_first), (&raw mut found).cast());
    }
    found
}

/// The first of all that is loaded is the program itself.
unsafe extern "C" fn constants_of_the_first(info: *mut libc::dl_phdr_info, _size: usize, found: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the loader calls this with its own description of what is loaded, and hands on what `own_constants` has given it.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<(usize, usize)>>()) };
    // SAFETY: so many headers are there, and they stay as long as the program runs.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let page = rustix::param::page_size();
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
        let start = number(info.dlpi_addr).wrapping_add(number(header.p_vaddr));
        let (first, end) = (start.next_multiple_of(page), start.wrapping_add(number(header.p_memsz)) / page * page);
        found.extend((first < end).then_some((first, end)));
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_goes_on_after_its_constants_were_let_go() {
        let own = own_constants();
        let holds = |address: usize| own.iter().any(|(start, end)| (*start..*end).contains(&address));
        static WRITTEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        assert!(holds(own_constants as *const () as usize), "code is constant: {own:x?}");
        assert!(!holds((&raw const WRITTEN).addr()), "what is written is not: {own:x?}");
        let before: u64 = (1..=1000).sum();
        give_back();
        assert_eq!(before, (1..=1000).sum::<u64>());
    }
}

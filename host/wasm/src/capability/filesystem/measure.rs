//! How much room a directory's tree takes on the disk.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;

/// Deeper trees are not measured: each level holds a file open.
const DEEPEST: u32 = 256;
/// What an entry takes at least: a name and an inode are not free either.
pub(super) const LEAST: u64 = 4096;

/// Bytes that the tree below takes, without the directory itself. Symlinks count as themselves; nothing is followed.
pub(super) fn tree(root: &File) -> Result<u64, Errno> {
    below(root.as_fd(), DEEPEST)
}

/// Bytes of those among these files that no directory has any more.
pub(super) fn unlinked(files: &[Arc<File>]) -> Result<u64, Errno> {
    let mut total: u64 = 0;
    let mut counted = std::collections::BTreeSet::new();
    for file in files {
        let about = statx(file.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        if about.stx_nlink == 0 && counted.insert((about.stx_dev_major, about.stx_dev_minor, about.stx_ino)) {
            total = total.saturating_add(about.stx_blocks.saturating_mul(512).max(LEAST));
        }
    }
    Ok(total)
}

fn below(dir: BorrowedFd<'_>, levels: u32) -> Result<u64, Errno> {
    let mut total: u64 = 0;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        total = total.saturating_add(match one(dir, name, levels) {
            Err(Errno::NOENT) => 0,
            measured => measured?,
        });
    }
    Ok(total)
}

fn one(dir: BorrowedFd<'_>, name: &std::ffi::CStr, levels: u32) -> Result<u64, Errno> {
    let about = statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
    let bytes = about.stx_blocks.saturating_mul(512).max(LEAST);
    if FileType::from_raw_mode(about.stx_mode.into()) != FileType::Directory {
        // a file of several names is divided among them, and each name is an entry
        return Ok(bytes.div_ceil(u64::from(about.stx_nlink).max(1)).max(LEAST));
    }
    let levels = levels.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner: OwnedFd = openat(dir, name, flags, Mode::empty())?;
    Ok(bytes.saturating_add(below(inner.as_fd(), levels)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_counts_and_nothing_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let measured = || tree(&File::open(dir.path()).expect("it is there")).expect("measured");
        assert_eq!(measured(), 0);
        std::fs::write(dir.path().join("empty"), b"").expect("ours");
        assert_eq!(measured(), LEAST);
        std::os::unix::fs::symlink("/", dir.path().join("out")).expect("ours");
        assert_eq!(measured(), 2 * LEAST);
        std::fs::create_dir_all(dir.path().join("a/b")).expect("ours");
        std::fs::write(dir.path().join("a/b/file"), vec![7; 100_000]).expect("ours");
        assert!(measured() >= 100_000 + 4 * LEAST, "{}", measured());
        let before = measured();
        for name in 0..100 {
            std::fs::hard_link(dir.path().join("empty"), dir.path().join(format!("name{name}"))).expect("ours");
        }
        assert_eq!(measured(), before + 100 * LEAST, "names are not free");
    }

    #[test]
    fn a_tree_too_deep_to_be_measured_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let deep: std::path::PathBuf = std::iter::repeat_n("d", DEEPEST as usize + 1).collect();
        std::fs::create_dir_all(dir.path().join(deep)).expect("ours");
        assert_eq!(tree(&File::open(dir.path()).expect("it is there")), Err(Errno::NAMETOOLONG));
    }
}

//! Writing to the end of a file, all or nothing: what the journal and the logs have in common.

use rustix::fd::AsFd;
use rustix::fs::ftruncate;
use rustix::io::{Errno, Result, pwrite};

/// Writes `bytes` to a file of `len` bytes; answers its new length.
///
/// When it cannot write them all, on a full disk for example, the file is cut back to `len`. Should that fail too, the next append overwrites
/// what is there.
pub(crate) fn append(file: impl AsFd, bytes: &[u8], len: u64) -> Result<u64> {
    let mut rest = bytes;
    let mut at = len;
    while !rest.is_empty() {
        let error = match pwrite(&file, rest, at) {
            Ok(0) => Errno::NOSPC,
            Ok(written) => {
                rest = &rest[written..];
                at += written as u64;
                continue;
            }
            Err(Errno::INTR) => continue,
            Err(error) => error,
        };
        let _ = ftruncate(&file, len);
        return Err(error);
    }
    Ok(at)
}

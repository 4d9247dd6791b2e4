//! How large a package may be.

/// What is more is refused, before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive.
    pub packed_bytes: u64,
    /// Bytes of all files together.
    pub unpacked_bytes: u64,
    /// Files, directories and links.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { packed_bytes: 512 << 20, unpacked_bytes: 2 << 30, entries: 10_000 }
    }
}

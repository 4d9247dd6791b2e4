//! Writes a package.

use crate::gzip::gzip;
use crate::path::refuse_path;
use crate::read::{Contents, Kind, Nowhere, read};
use crate::tar::{BLOCK, Header};
use crate::{Error, Limits};

/// One thing to pack; directories come of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// From the package's root.
    pub path: String,
    /// A file or a link.
    pub kind: Kind,
    /// What a file holds.
    pub bytes: Vec<u8>,
}

/// Packs these, sorted by path, without owners and times: the same sources make the same bytes. What came out was read again.
///
/// # Errors
/// What [`read`] would refuse.
pub fn pack(mut sources: Vec<Source>, limits: &Limits) -> Result<(Vec<u8>, Contents), Error> {
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let mut archive = Vec::new();
    for source in &sources {
        if let Some(why) = refuse_path(&source.path) {
            return Err(Error::refused(&source.path, why));
        }
        let (mode, kind, link) = match &source.kind {
            Kind::File { executable: true } => (0o755, b'0', ""),
            Kind::File { executable: false } => (0o644, b'0', ""),
            Kind::Link(target) => (0o777, b'2', target.as_str()),
            Kind::Directory => continue,
        };
        let header = Header { path: source.path.clone(), mode, size: source.bytes.len() as u64, kind, link: link.to_owned() };
        archive.extend_from_slice(&header.write().ok_or_else(|| Error::refused(&source.path, "its name or its link does not fit into an archive"))?);
        archive.extend_from_slice(&source.bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    let packed = gzip(&archive);
    let contents = read(packed.as_slice(), limits, &mut Nowhere)?;
    Ok((packed, contents))
}

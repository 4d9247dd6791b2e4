//! Reads a package, refuses what does not belong there, and hands the rest on.

use crate::gzip::Gunzip;
use crate::path::{refuse_path, resolve};
use crate::tar::{BLOCK, Header};
use crate::{Error, Limits, Manifest, manifest};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File {
        /// May it be run?
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link to another entry, as it says it.
    Link(String),
}

/// One thing in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From the package's root, without a leading or trailing slash.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file.
    pub size: u64,
}

/// A package that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Everything in it, in its order.
    pub entries: Vec<Entry>,
    /// SHA-256 of the archive, in hexadecimal.
    pub sha256: String,
    /// Bytes of the archive.
    pub packed_bytes: u64,
    /// Bytes of its files.
    pub unpacked_bytes: u64,
}

impl Contents {
    /// Is there a file of this path, which may be run?
    pub fn has_program(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path && entry.kind == Kind::File { executable: true })
    }

    /// `VERSION-DIGEST`: the directory of this release, whose name no other package has.
    pub fn release(&self) -> String {
        format!("{}-{}", self.manifest.version, &self.sha256[..12])
    }
}

/// Takes what is in a package, in its order: the parent of each entry was handed over before.
pub trait Sink {
    /// A directory that is not there yet.
    ///
    /// # Errors
    /// Whatever keeps it from being made; the reading ends there.
    fn directory(&mut self, path: &str) -> io::Result<()>;
    /// A file that is not there yet; its bytes follow.
    ///
    /// # Errors
    /// As above.
    fn file(&mut self, path: &str, executable: bool, size: u64) -> io::Result<()>;
    /// Bytes of the last file.
    ///
    /// # Errors
    /// As above.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// A link that stays within the package; links come after everything else.
    ///
    /// # Errors
    /// As above.
    fn link(&mut self, path: &str, target: &str) -> io::Result<()>;
}

/// Takes nothing: for whoever only wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn directory(&mut self, _path: &str) -> io::Result<()> {
        Ok(())
    }
    fn file(&mut self, _path: &str, _executable: bool, _size: u64) -> io::Result<()> {
        Ok(())
    }
    fn bytes(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn link(&mut self, _path: &str, _target: &str) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a package to its end. Each rule is checked before the entry that breaks it reaches the sink; what concerns the whole
/// (a missing program, a link to nowhere, the checksum) at the end, so a sink that writes should see only what was read once before.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read(input: impl Read, limits: &Limits, sink: &mut dyn Sink) -> Result<Contents, Error> {
    let mut reader =
        Reader { gunzip: Gunzip::new(input, limits.packed_bytes)?, limits, entries: Vec::new(), seen: BTreeMap::new(), manifest: None, unpacked: 0 };
    while let Some(header) = reader.header()? {
        reader.entry(header, sink)?;
    }
    reader.finish(sink)
}

struct Reader<'a, R> {
    gunzip: Gunzip<R>,
    limits: &'a Limits,
    entries: Vec<Entry>,
    /// Paths, and whether each is a directory.
    seen: BTreeMap<String, bool>,
    manifest: Option<Vec<u8>>,
    unpacked: u64,
}

impl<R: Read> Reader<'_, R> {
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let mut block = [0; BLOCK];
        match self.gunzip.take(&mut block)? {
            BLOCK => Header::parse(&block),
            0 => Err(Error::Broken("the archive ends without its end".into())),
            _ => Err(Error::Broken("the archive ends within a block".into())),
        }
    }

    fn entry(&mut self, header: Header, sink: &mut dyn Sink) -> Result<(), Error> {
        // tar(1) writes `./bin/x` when it was told to pack `.`
        let named = header.path.strip_prefix("./").unwrap_or(&header.path);
        let path = if header.kind == b'5' { named.trim_end_matches('/') } else { named }.to_owned();
        if header.kind == b'5' && (path.is_empty() || path == ".") {
            return Ok(());
        }
        self.admit(&header, &path)?;
        let kind = match header.kind {
            b'5' => Kind::Directory,
            b'2' => Kind::Link(header.link.clone()),
            _ => Kind::File { executable: header.mode & 0o111 != 0 },
        };
        if self.entries.len() >= self.limits.entries {
            return Err(Error::TooLarge(format!("a package has at most {} entries", self.limits.entries)));
        }
        match &kind {
            Kind::Directory => sink.directory(&path)?,
            Kind::Link(_) => {}
            Kind::File { executable } => self.file(&path, *executable, header.size, sink)?,
        }
        self.seen.insert(path.clone(), kind == Kind::Directory);
        self.entries.push(Entry { path, kind, size: header.size });
        Ok(())
    }

    /// Everything that can be said of an entry before its contents.
    fn admit(&mut self, header: &Header, path: &str) -> Result<(), Error> {
        match header.kind {
            b'0' | 0 | b'5' | b'2' => {}
            b'1' => return Err(Error::refused(path, "a hard link")),
            b'3' | b'4' => return Err(Error::refused(path, "a device")),
            b'6' => return Err(Error::refused(path, "a pipe")),
            b'L' | b'K' | b'x' | b'g' => {
                return Err(Error::refused(
                    path,
                    "a name or an attribute that tar's plain format has no room for; `hostler package build` writes none",
                ));
            }
            other => return Err(Error::refused(path, format!("nobody knows entries of type {:?}", char::from(other)))),
        }
        if let Some(why) = refuse_path(path) {
            return Err(Error::refused(path, why));
        }
        if header.mode & 0o7000 != 0 {
            return Err(Error::refused(path, "setuid, setgid or sticky"));
        }
        if header.mode > 0o7777 && header.mode & !0o177_777 != 0 {
            return Err(Error::refused(path, "its mode is none"));
        }
        if self.seen.contains_key(path) {
            return Err(Error::refused(path, "it is there twice"));
        }
        if header.kind != b'0' && header.kind != 0 && header.size != 0 {
            return Err(Error::refused(path, "only files have contents"));
        }
        if header.kind == b'2' && resolve(path, &header.link).is_none() {
            return Err(Error::refused(path, format!("a link that leads out of the package, to `{}`", header.link.escape_debug())));
        }
        Ok(())
    }

    fn file(&mut self, path: &str, executable: bool, size: u64, sink: &mut dyn Sink) -> Result<(), Error> {
        self.unpacked = self.unpacked.saturating_add(size);
        if self.unpacked > self.limits.unpacked_bytes {
            return Err(Error::TooLarge(format!("its files have more than {} bytes", self.limits.unpacked_bytes)));
        }
        let is_manifest = path == "manifest.yaml";
        if is_manifest && size > manifest::LONGEST {
            return Err(Error::Manifest(format!("it has more than {} bytes", manifest::LONGEST)));
        }
        self.parents(path, sink)?;
        sink.file(path, executable, size)?;
        let mut left = size;
        let mut kept = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let want = left.min(buffer.len() as u64) as usize;
            if self.gunzip.take(&mut buffer[..want])? != want {
                return Err(Error::Broken(format!("it ends within `{path}`")));
            }
            sink.bytes(&buffer[..want])?;
            if is_manifest {
                kept.extend_from_slice(&buffer[..want]);
            }
            left -= want as u64;
        }
        let filling = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
        if self.gunzip.take(&mut buffer[..filling])? != filling {
            return Err(Error::Broken(format!("it ends within `{path}`")));
        }
        if is_manifest {
            self.manifest = Some(kept);
        }
        Ok(())
    }

    /// Directories that the archive does not name, as many tools leave them out. What stands in the way is no directory: refused.
    fn parents(&mut self, path: &str, sink: &mut dyn Sink) -> Result<(), Error> {
        for (at, _) in path.match_indices('/') {
            match self.seen.get(&path[..at]) {
                Some(true) => {}
                Some(false) => return Err(Error::refused(path, format!("`{}` is no directory", &path[..at]))),
                None => {
                    sink.directory(&path[..at])?;
                    self.seen.insert(path[..at].to_owned(), true);
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, sink: &mut dyn Sink) -> Result<Contents, Error> {
        self.rest()?;
        let text = self.manifest.take().ok_or_else(|| Error::Manifest("there is none".into()))?;
        let text = String::from_utf8(text).map_err(|_| Error::Manifest("it is not UTF-8".into()))?;
        let manifest = Manifest::parse(&text)?;
        let links: Vec<(String, String)> = self.entries.iter().filter_map(link).collect();
        for (path, target) in &links {
            let end = resolve(path, target).unwrap_or_default();
            if !self.seen.contains_key(&end) || links.iter().any(|(other, _)| *other == end || end.starts_with(&format!("{other}/"))) {
                return Err(Error::refused(path, format!("a link to `{}`, where the package has no file or directory", target.escape_debug())));
            }
            self.parents(path, sink)?;
            sink.link(path, target)?;
        }
        let (packed_bytes, unpacked_bytes) = (self.gunzip.packed, self.unpacked);
        let contents = Contents { manifest, entries: self.entries, sha256: self.gunzip.sha256(), packed_bytes, unpacked_bytes };
        if !contents.has_program(&contents.manifest.binary) {
            return Err(Error::Manifest(format!("`binary` is `{}`, and the package has no such program that may be run", contents.manifest.binary)));
        }
        Ok(contents)
    }

    /// After the end stand zeros, and after them nothing.
    fn rest(&mut self) -> Result<(), Error> {
        let mut buffer = [0; BLOCK];
        let mut blocks = 0;
        loop {
            let length = self.gunzip.take(&mut buffer)?;
            if buffer[..length].iter().any(|byte| *byte != 0) {
                return Err(Error::Broken("there is something after its end".into()));
            }
            if length < BLOCK {
                return Ok(());
            }
            blocks += 1;
            if blocks > MOST_FILLING {
                return Err(Error::TooLarge("its end does not end".into()));
            }
        }
    }
}

/// Blocks of zeros after the end: tools fill up to 20, some to more.
const MOST_FILLING: u32 = 2048;

fn link(entry: &Entry) -> Option<(String, String)> {
    match &entry.kind {
        Kind::Link(target) => Some((entry.path.clone(), target.clone())),
        Kind::File { .. } | Kind::Directory => None,
    }
}

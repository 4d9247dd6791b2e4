//! Directories that were granted, over `wasi:filesystem`. Needs the feature `wasi`.
//!
//! Every path is relative to a [`Directory`], and none leads out of it: neither `..` nor a symlink does. Without a grant there
//! is no directory at all, and [`Directory::open`] answers [`Denied`](super::Error::Denied).
//!
//! ```no_run
//! use hostler_sdk::host::filesystem::Directory;
//!
//! fn remember(version: &str) -> hostler_sdk::host::Result<()> {
//!     let packages = Directory::open("/var/lib/packages")?;
//!     packages.create_dir_all("web/releases")?;
//!     packages.replace("web/releases/current", version.as_bytes())
//! }
//! ```
//!
//! Files are made with the permissions that the host's process gives new files; the interface cannot set others.

use super::{Error, Result};
use std::time::Duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags};

/// Bytes of one read or write: the host answers no more at a time.
const CHUNK: usize = 64 << 10;

/// An open directory: one that was granted, or one below it.
#[derive(Debug)]
pub struct Directory {
    descriptor: Descriptor,
    name: String,
}

/// An open file.
#[derive(Debug)]
pub struct File {
    descriptor: Descriptor,
    name: String,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, itself.
    Symlink,
    /// A pipe, a socket, a device: it can be seen, and not be opened.
    Other,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Without the directory's own.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub len: u64,
    /// Since the Unix epoch.
    pub modified: Option<Duration>,
}

/// The directories that were granted, by the names that the grant gives them.
pub fn directories() -> Vec<String> {
    get_directories().into_iter().map(|(_, name)| name).collect()
}

impl Directory {
    /// Opens a directory by its absolute path: one that was granted, or one below it.
    pub fn open(path: &str) -> Result<Self> {
        let mut granted = get_directories();
        let best = (0..granted.len()).filter(|index| rest(path, &granted[*index].1).is_some()).max_by_key(|index| granted[*index].1.len());
        let Some(best) = best else {
            let names: Vec<String> = granted.into_iter().map(|(_, name)| name).collect();
            let names = if names.is_empty() { "none".into() } else { names.join(", ") };
            return Err(Error::Denied(format!("filesystem: `{path}` is in no directory that was granted; granted: {names}")));
        };
        let (descriptor, name) = granted.swap_remove(best);
        let below = rest(path, &name).unwrap_or_default().to_owned();
        let root = Self { descriptor, name };
        if below.is_empty() { Ok(root) } else { root.open_dir(&below) }
    }

    /// Its absolute path, as it was opened.
    pub fn path(&self) -> &str {
        &self.name
    }

    /// Opens a directory below this one.
    pub fn open_dir(&self, path: &str) -> Result<Self> {
        let descriptor = self.descriptor_at(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?;
        Ok(Self { descriptor, name: self.named(path) })
    }

    /// Opens a file for reading.
    pub fn open_file(&self, path: &str) -> Result<File> {
        let descriptor = self.descriptor_at(path, OpenFlags::empty(), DescriptorFlags::READ)?;
        Ok(File { descriptor, name: self.named(path) })
    }

    /// Opens a file for reading and writing, and makes it when it is not there.
    pub fn edit_file(&self, path: &str) -> Result<File> {
        let descriptor = self.descriptor_at(path, OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE)?;
        Ok(File { descriptor, name: self.named(path) })
    }

    /// Makes a file that must not be there yet; otherwise [`Conflict`](super::Error::Conflict).
    pub fn create_file(&self, path: &str) -> Result<File> {
        let options = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let descriptor = self.descriptor_at(path, options, DescriptorFlags::READ | DescriptorFlags::WRITE)?;
        Ok(File { descriptor, name: self.named(path) })
    }

    /// The whole of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.open_file(path)?.read_all()
    }

    /// The whole of a file, which is text.
    pub fn read_to_string(&self, path: &str) -> Result<String> {
        String::from_utf8(self.read(path)?).map_err(|_| Error::Invalid(format!("`{}` is not text in UTF-8", self.named(path))))
    }

    /// Makes a file of these bytes, or empties the one that is there and writes them.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let descriptor = self.descriptor_at(path, OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE)?;
        File { descriptor, name: self.named(path) }.write_at(0, bytes)
    }

    /// As [`write`](Self::write), but all or nothing, and on the disk when it returns: readers see the old file or the new one.
    pub fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let beside = format!("{path}.new");
        let descriptor = self.descriptor_at(&beside, OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE)?;
        let file = File { descriptor, name: self.named(&beside) };
        file.write_at(0, bytes)?;
        file.sync()?;
        self.rename(&beside, path)?;
        match path.rsplit_once('/') {
            Some((parent, _)) => self.open_dir(parent)?.sync(),
            None => self.sync(),
        }
    }

    /// What is in a directory, in no order. `.` is this one.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>> {
        let dir = self.open_dir(path)?;
        let stream = dir.descriptor.read_directory().map_err(|code| dir.error(".", code))?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.read_directory_entry().map_err(|code| dir.error(".", code))? {
            entries.push(Entry { name: entry.name, kind: kind(entry.type_) });
        }
        Ok(entries)
    }

    /// What a path leads to, symlinks followed.
    pub fn metadata(&self, path: &str) -> Result<Metadata> {
        self.descriptor.stat_at(PathFlags::SYMLINK_FOLLOW, path).map(metadata).map_err(|code| self.error(path, code))
    }

    /// What is at a path, a last symlink not followed.
    pub fn symlink_metadata(&self, path: &str) -> Result<Metadata> {
        self.descriptor.stat_at(PathFlags::empty(), path).map(metadata).map_err(|code| self.error(path, code))
    }

    /// Is anything at a path, be it a symlink that leads nowhere?
    pub fn exists(&self, path: &str) -> Result<bool> {
        match self.symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a directory, whose parent must be there.
    pub fn create_dir(&self, path: &str) -> Result<()> {
        self.descriptor.create_directory_at(path).map_err(|code| self.error(path, code))
    }

    /// Makes a directory and what is missing above it.
    pub fn create_dir_all(&self, path: &str) -> Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.filter(|end| *end > 0) {
            match self.create_dir(&path[..end]) {
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match self.metadata(path)?.kind {
            Kind::Directory => Ok(()),
            Kind::File | Kind::Symlink | Kind::Other => Err(Error::Conflict(format!("`{}` is not a directory", self.named(path)))),
        }
    }

    /// Renames within this directory; a file that is there is replaced.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.rename_into(from, self, to)
    }

    /// Renames into another directory below the same grant.
    pub fn rename_into(&self, from: &str, other: &Self, to: &str) -> Result<()> {
        self.descriptor.rename_at(from, &other.descriptor, to).map_err(|code| self.error(from, code))
    }

    /// Makes a symlink at `path` that says `target`, which is relative to the link's own directory.
    pub fn symlink(&self, target: &str, path: &str) -> Result<()> {
        self.descriptor.symlink_at(target, path).map_err(|code| self.error(path, code))
    }

    /// What a symlink says.
    pub fn read_link(&self, path: &str) -> Result<String> {
        self.descriptor.readlink_at(path).map_err(|code| self.error(path, code))
    }

    /// Sets the time of the last change of what a path leads to, to now. The host's user has to own it; that it may write is not enough.
    pub fn touch(&self, path: &str) -> Result<()> {
        let (accessed, modified) = (NewTimestamp::NoChange, NewTimestamp::Now);
        self.descriptor.set_times_at(PathFlags::SYMLINK_FOLLOW, path, accessed, modified).map_err(|code| self.error(path, code))
    }

    /// Removes a file or a symlink.
    pub fn remove_file(&self, path: &str) -> Result<()> {
        self.descriptor.unlink_file_at(path).map_err(|code| self.error(path, code))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &str) -> Result<()> {
        self.descriptor.remove_directory_at(path).map_err(|code| self.error(path, code))
    }

    /// Removes whatever is at a path, with all below it; symlinks are removed, not followed. Of what is gone it succeeds, and
    /// of what somebody else removes at the same time.
    pub fn remove_all(&self, path: &str) -> Result<()> {
        match self.remove_tree(path) {
            Err(Error::NotFound) => Ok(()),
            done => done,
        }
    }

    fn remove_tree(&self, path: &str) -> Result<()> {
        match self.symlink_metadata(path)?.kind {
            Kind::Directory => {}
            Kind::File | Kind::Symlink | Kind::Other => return self.remove_file(path),
        }
        let dir = self.open_dir(path)?;
        for entry in dir.list(".")? {
            dir.remove_all(&entry.name)?;
        }
        self.remove_dir(path)
    }

    /// Returns once the names in this directory are on the disk.
    pub fn sync(&self) -> Result<()> {
        self.descriptor.sync().map_err(|code| self.error(".", code))
    }

    fn descriptor_at(&self, path: &str, options: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor> {
        self.descriptor.open_at(PathFlags::SYMLINK_FOLLOW, path, options, flags).map_err(|code| self.error(path, code))
    }

    fn named(&self, path: &str) -> String {
        format!("{}/{path}", self.name.trim_end_matches('/'))
    }

    fn error(&self, path: &str, code: ErrorCode) -> Error {
        error(&self.named(path), code)
    }
}

impl File {
    /// Up to `most` bytes from `offset`, fewer when the host has fewer at hand; none at the file's end.
    pub fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>> {
        self.descriptor.read(most.min(CHUNK) as u64, offset).map(|(bytes, _)| bytes).map_err(|code| error(&self.name, code))
    }

    /// Everything from its start to its end.
    pub fn read_all(&self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let bytes = self.read_at(all.len() as u64, CHUNK)?;
            if bytes.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&bytes);
        }
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let end = bytes.len().min(done + CHUNK);
            let written = self.descriptor.write(&bytes[done..end], offset + done as u64).map_err(|code| error(&self.name, code))?;
            if written == 0 {
                return Err(Error::Unavailable(format!("`{}` takes no more bytes", self.name)));
            }
            done += usize::try_from(written).unwrap_or(usize::MAX).min(end - done);
        }
        Ok(())
    }

    /// Writes all of `bytes` at its end.
    pub fn append(&self, bytes: &[u8]) -> Result<()> {
        self.write_at(self.metadata()?.len, bytes)
    }

    /// Cuts it off, or fills it up with zeros.
    pub fn set_len(&self, len: u64) -> Result<()> {
        self.descriptor.set_size(len).map_err(|code| error(&self.name, code))
    }

    /// What is known of it.
    pub fn metadata(&self) -> Result<Metadata> {
        self.descriptor.stat().map(metadata).map_err(|code| error(&self.name, code))
    }

    /// Returns once everything written is on the disk.
    pub fn sync(&self) -> Result<()> {
        self.descriptor.sync().map_err(|code| error(&self.name, code))
    }
}

/// What of `path` is below a directory: nothing when it is the directory, `None` when it is elsewhere.
fn rest<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.trim_end_matches('/').strip_prefix(directory.trim_end_matches('/'))?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

fn kind(kind: DescriptorType) -> Kind {
    match kind {
        DescriptorType::RegularFile => Kind::File,
        DescriptorType::Directory => Kind::Directory,
        DescriptorType::SymbolicLink => Kind::Symlink,
        _ => Kind::Other,
    }
}

fn metadata(about: DescriptorStat) -> Metadata {
    let modified = about.data_modification_timestamp.map(|at| Duration::new(at.seconds, at.nanoseconds.min(999_999_999)));
    Metadata { kind: kind(about.type_), len: about.size, modified }
}

fn error(path: &str, code: ErrorCode) -> Error {
    match code {
        ErrorCode::NoEntry => Error::NotFound,
        ErrorCode::Exist => Error::Conflict(format!("`{path}` exists")),
        ErrorCode::NotEmpty => Error::Conflict(format!("`{path}` is not empty")),
        ErrorCode::ReadOnly => Error::Denied(format!("filesystem: `{path}` is granted for reading only")),
        ErrorCode::NotPermitted => Error::Denied(format!("filesystem: `{path}` leads out of what was granted, or may not be used so")),
        ErrorCode::Access => Error::Denied(format!("filesystem: the host's own user may not use `{path}` so")),
        ErrorCode::InsufficientSpace | ErrorCode::Quota => {
            Error::Unavailable(format!("no space for `{path}`: the disk or the grant's quota is full"))
        }
        ErrorCode::Busy | ErrorCode::TextFileBusy | ErrorCode::WouldBlock | ErrorCode::Interrupted | ErrorCode::InsufficientMemory => {
            Error::Unavailable(format!("`{path}`: {}", code.name()))
        }
        ErrorCode::NotDirectory
        | ErrorCode::IsDirectory
        | ErrorCode::Loop
        | ErrorCode::NameTooLong
        | ErrorCode::Invalid
        | ErrorCode::IllegalByteSequence
        | ErrorCode::Unsupported
        | ErrorCode::CrossDevice
        | ErrorCode::FileTooLarge => Error::Invalid(format!("`{path}`: {}", code.name())),
        _ => Error::Other(format!("`{path}`: {}", code.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_directory_it_is_below() {
        let check = |path: &str, directory: &str, expected: Option<&str>| assert_eq!(rest(path, directory), expected, "{path} {directory}");
        check("/srv/x", "/srv/x", Some(""));
        check("/srv/x/", "/srv/x", Some(""));
        check("/srv/x/a/b", "/srv/x/", Some("a/b"));
        check("/srv/xy", "/srv/x", None);
        check("/a", "/", Some("a"));
        check("a", "/srv", None);
    }

    #[test]
    fn errors_say_what_the_plugin_does_next() {
        assert_eq!(error("/a", ErrorCode::NoEntry), Error::NotFound);
        assert!(matches!(error("/a", ErrorCode::ReadOnly), Error::Denied(_)));
        assert!(matches!(error("/a", ErrorCode::InsufficientSpace), Error::Unavailable(_)));
        assert!(matches!(error("/a", ErrorCode::IsDirectory), Error::Invalid(_)));
    }
}

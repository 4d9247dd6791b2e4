//! Releases beside each other in a directory: unpacked whole, switched in one step, and removed when they are old.
//!
//! ```text
//! releases/1.2.3-0f3a9c1d2e4b/    one per package that was ever installed
//! releases/.new-SLOT/             one that is being unpacked
//! releases/.old-1.2.3-…/          one that is being removed
//! current -> releases/…           the one that runs
//! previous -> releases/…          the one that ran before it
//! ```

use crate::settings::Settings;
use hostler_package::{Contents, Error, Kind, Limits, Nowhere, Sink, read};
use hostler_sdk::Fault;
use hostler_sdk::host::commands::{self, Command};
use hostler_sdk::host::filesystem::{Directory, File};
use std::collections::BTreeSet;
use std::io;

/// The file of a package, which is read more than once.
pub(crate) struct Package {
    file: File,
    limits: Limits,
    /// What it holds, all of it checked.
    pub(crate) contents: Contents,
}

impl Package {
    /// Opens and checks it whole: nothing is written before.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Fault> {
        let (parent, name) = split(&settings.package);
        let file = Directory::open(parent).and_then(|parent| parent.open_file(name));
        let file = file.map_err(|error| missing("/package", "there is no such file", error))?;
        let mut limits = Limits::default();
        limits.packed_bytes = settings.max_bytes.unwrap_or(limits.packed_bytes);
        let contents = read(Reader { file: &file, at: 0 }, &limits, &mut Nowhere).map_err(|error| refused(&error))?;
        let digest = format!("sha256:{}", contents.sha256);
        if settings.digest.as_ref().is_some_and(|wanted| *wanted != digest) {
            return Err(Fault::invalid("/digest", format!("the package is another one: {digest}")));
        }
        Ok(Self { file, limits, contents })
    }

    /// Bytes of its file from an offset on; fewer than `most` only at its end.
    pub(crate) fn read(&self, at: u64, most: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while bytes.len() < most {
            let some = self.file.read_at(at + bytes.len() as u64, most - bytes.len())?;
            if some.is_empty() {
                break;
            }
            bytes.extend_from_slice(&some);
        }
        Ok(bytes)
    }
}

/// What the settings name has to be there.
fn missing(at: &str, why: &str, error: hostler_sdk::host::Error) -> Fault {
    match error {
        hostler_sdk::host::Error::NotFound => Fault::invalid(at, why),
        error => error.into(),
    }
}

fn refused(error: &Error) -> Fault {
    match error {
        Error::Io(error) => Fault::unavailable(format!("the package cannot be read: {error}")),
        error => Fault::invalid("/package", error.to_string()),
    }
}

/// Directory and name of a path.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => (".", path),
    }
}

/// Reads a file from its start.
struct Reader<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(self.at, buffer.len()).map_err(|error| io::Error::other(error.to_string()))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

/// Where releases are installed.
pub(crate) struct Installed {
    root: Directory,
    /// What is in the making carries the slot's name: replicas share a directory, and one's next life removes what the last one left.
    slot: String,
}

impl Installed {
    /// Opens the directory, with room for releases in it.
    pub(crate) fn open(path: &str, slot: &str) -> Result<Self, Fault> {
        let root = Directory::open(path).map_err(|error| missing("/install_path", "there is no such directory", error))?;
        root.create_dir_all(RELEASES)?;
        Ok(Self { root, slot: slot.to_owned() })
    }

    /// The absolute path of a release.
    pub(crate) fn path(&self, release: &str) -> String {
        format!("{}/{RELEASES}/{release}", self.root.path().trim_end_matches('/'))
    }

    /// The release to go back to when this one fails: the last one that came up whole. It is remembered first: a start that is cut off and
    /// repeated finds it again.
    pub(crate) fn before(&self, release: &str) -> Result<Option<String>, Fault> {
        if let Some(current) = self.leads_to(CURRENT).filter(|current| current != release)
            && self.was_up(&current)?
        {
            self.lead(PREVIOUS, &current)?;
            return Ok(Some(current));
        }
        Ok(self.leads_to(PREVIOUS).filter(|previous| previous != release))
    }

    fn leads_to(&self, link: &str) -> Option<String> {
        let target = self.root.read_link(link).ok()?;
        let release = target.strip_prefix("releases/")?.to_owned();
        (!release.contains('/') && self.root.exists(&format!("{RELEASES}/{release}/manifest.yaml")).ok()?).then_some(release)
    }

    /// Has this release ever come up whole?
    pub(crate) fn was_up(&self, release: &str) -> Result<bool, Fault> {
        self.has(release, UP)
    }

    /// It has.
    pub(crate) fn is_up(&self, release: &str) -> Result<(), Fault> {
        Ok(self.root.write(&format!("{RELEASES}/{release}/{UP}"), b"")?)
    }

    /// The manifest of a release that was installed before.
    pub(crate) fn manifest(&self, release: &str) -> Result<hostler_package::Manifest, Fault> {
        let text = self.root.read_to_string(&format!("{RELEASES}/{release}/manifest.yaml"))?;
        hostler_package::Manifest::parse(&text).map_err(|error| Fault::Other(format!("release {release}: {error}")))
    }

    /// Has a release a file of this path?
    pub(crate) fn has(&self, release: &str, path: &str) -> Result<bool, Fault> {
        Ok(self.root.exists(&format!("{RELEASES}/{release}/{path}"))?)
    }

    /// Unpacks a package beside the others, unless it is there: whole, or not at all.
    pub(crate) fn unpack(&self, package: &Package) -> Result<String, Fault> {
        let release = package.contents.release();
        let (new, whole) = (format!("{RELEASES}/.new-{}", self.slot), format!("{RELEASES}/{release}"));
        self.root.remove_all(&new)?;
        // touched, it is the newest to another replica that removes what is old; one that another user installed cannot be
        drop(self.root.touch(&whole));
        if self.root.exists(&whole)? {
            return Ok(release);
        }
        let unpacked = self.write(package, &new).and_then(|()| Ok(self.root.rename(&new, &whole)?));
        if let Err(fault) = unpacked {
            self.root.remove_all(&new)?;
            // another replica was quicker
            return if self.root.exists(&whole)? { Ok(release) } else { Err(fault) };
        }
        self.root.open_dir(RELEASES)?.sync()?;
        Ok(release)
    }

    fn write(&self, package: &Package, new: &str) -> Result<(), Fault> {
        self.root.create_dir(new)?;
        let mut tree = Tree { root: self.root.open_dir(new)?, file: None };
        let again = read(Reader { file: &package.file, at: 0 }, &package.limits, &mut tree).map_err(|error| refused(&error))?;
        if again.sha256 != package.contents.sha256 {
            return Err(Fault::unavailable("the package changed while it was read"));
        }
        self.allow_to_run(&package.contents, new)
    }

    /// The sandbox knows no permissions of files: what may be run is said by `chmod`, file by file.
    fn allow_to_run(&self, contents: &Contents, new: &str) -> Result<(), Fault> {
        let root = format!("{}/{new}", self.root.path().trim_end_matches('/'));
        let programs = contents.entries.iter().filter(|entry| entry.kind == Kind::File { executable: true });
        let paths: Vec<String> = programs.map(|entry| format!("{root}/{}", entry.path)).collect();
        for some in paths.chunks(200) {
            let args = [vec!["0755".to_owned(), "--".to_owned()], some.to_vec()].concat();
            let output = commands::run(&Command { args, ..Command::new("chmod") })?;
            if output.code != Some(0) {
                return Err(Fault::Other(format!("chmod: {}", String::from_utf8_lossy(&output.err).trim())));
            }
        }
        Ok(())
    }

    /// Leads `current` to a release, in one step.
    pub(crate) fn switch(&self, release: &str) -> Result<(), Fault> {
        self.lead(CURRENT, release)
    }

    fn lead(&self, link: &str, release: &str) -> Result<(), Fault> {
        let beside = format!(".{link}.{}", self.slot);
        self.root.remove_all(&beside)?;
        self.root.symlink(&format!("{RELEASES}/{release}"), &beside)?;
        self.root.rename(&beside, link)?;
        Ok(self.root.sync()?)
    }

    /// Leads `current` to the release before; without one, nothing is current any more.
    pub(crate) fn lead_back(&self, before: Option<&str>) -> Result<(), Fault> {
        match before {
            Some(before) => self.switch(before),
            None => Ok(self.root.remove_all(CURRENT)?),
        }
    }

    /// Keeps the newest releases and those named, and removes the others, each in one step: half of one would pass for installed.
    pub(crate) fn prune(&self, keep: usize, held: &BTreeSet<String>) -> Result<(), Fault> {
        let (mut releases, mut done) = (Vec::new(), Ok(()));
        for entry in self.root.list(RELEASES)? {
            let path = format!("{RELEASES}/{}", entry.name);
            if entry.name.starts_with(OLD) {
                // whoever was at it may be gone for good
                done = done.and(self.root.remove_all(&path));
            } else if !entry.name.starts_with('.') {
                match self.root.metadata(&path) {
                    Ok(metadata) => releases.push((metadata.modified, entry.name)),
                    // another replica removed it
                    Err(hostler_sdk::host::Error::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        releases.sort();
        let too_many = releases.len().saturating_sub(keep);
        for (_, name) in releases.iter().take(too_many).filter(|(_, name)| !held.contains(name)) {
            let old = format!("{RELEASES}/{OLD}{name}");
            match self.root.rename(&format!("{RELEASES}/{name}"), &old).and_then(|()| self.root.remove_all(&old)) {
                // another replica was quicker
                Err(hostler_sdk::host::Error::NotFound) => {}
                removed => done = done.and(removed),
            }
        }
        Ok(done?)
    }
}

const RELEASES: &str = "releases";
const CURRENT: &str = "current";
/// What a release's name begins with while it is being removed.
const OLD: &str = ".old-";
const PREVIOUS: &str = "previous";

/// A file of a release that has come up whole; no package can have one of this name.
const UP: &str = ".up";

/// Writes below one directory, through its handle: no link leads out of it.
struct Tree {
    root: Directory,
    file: Option<File>,
}

impl Sink for Tree {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.root.create_dir(path).map_err(other)
    }

    fn file(&mut self, path: &str, _executable: bool, _size: u64) -> io::Result<()> {
        self.file = Some(self.root.create_file(path).map_err(other)?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.append(bytes)).map_err(other)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.root.symlink(target, path).map_err(other)
    }
}

fn other(error: hostler_sdk::host::Error) -> io::Error {
    io::Error::other(error.to_string())
}

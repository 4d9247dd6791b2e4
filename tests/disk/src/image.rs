//! What a disk may hold after a power cut.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use crate::disk::{Inode, Op};
use crate::random::Random;

/// Bytes that a disk writes together; a cut may fall between any two such pieces.
const SECTOR: usize = 512;

/// A disk while the trace of what was done to it is played again.
#[derive(Debug)]
pub struct Platter<'a> {
    trace: &'a [Op],
    files: Vec<File>,
    /// Names as the directory was last synced.
    names: BTreeMap<String, Inode>,
    /// What was done to names since.
    renaming: Vec<usize>,
}

#[derive(Debug, Default)]
struct File {
    synced: Arc<Vec<u8>>,
    syncs: usize,
    /// What was done to the content since, as places in the trace.
    pending: Vec<usize>,
}

/// Files as somebody would find them after the cut.
#[derive(Clone, Debug)]
pub struct Image {
    /// Contents by name.
    pub files: BTreeMap<String, Arc<Vec<u8>>>,
    /// The same number: the same choices from the same disk.
    pub fingerprint: u64,
}

/// How much of what was not synced is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// Each file and the directory as chance has it.
    Some,
}

/// What one file keeps.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    Everything,
    /// The first so many changes, and some sectors of the next.
    First(usize),
    /// Each change with this chance: later ones may be there without earlier ones.
    Changes(usize),
    /// Each sector with this chance.
    Sectors(usize),
    /// All changes but one.
    AllBut(usize),
    /// Its new length, and none of the bytes.
    Length,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    Old,
    New,
    Zero,
}

impl<'a> Platter<'a> {
    /// An empty disk, before the trace.
    pub fn new(trace: &'a [Op]) -> Self {
        Self { trace, files: Vec::new(), names: BTreeMap::new(), renaming: Vec::new() }
    }

    /// Plays the operation at this place of the trace.
    pub fn play(&mut self, at: usize) {
        match &self.trace[at] {
            Op::Create { inode, .. } => {
                debug_assert_eq!(*inode, self.files.len(), "files are numbered as they are made");
                self.files.push(File::default());
                self.renaming.push(at);
            }
            Op::Rename { .. } | Op::Unlink { .. } => self.renaming.push(at),
            Op::Write { inode, .. } | Op::Truncate { inode, .. } => self.files[*inode].pending.push(at),
            Op::Sync { inode } => self.files[*inode].sync(self.trace),
            Op::SyncDirectory => {
                for at in std::mem::take(&mut self.renaming) {
                    rename(&mut self.names, &self.trace[at]);
                }
            }
            Op::Note(_) => {}
        }
    }

    /// What a cut may leave now.
    pub fn image(&self, left: Left, random: &mut Random) -> Image {
        let mut choices = DefaultHasher::new();
        let mut names = self.names.clone();
        let kept = Kept::choose(left, self.renaming.len(), random);
        for (number, at) in self.renaming.iter().enumerate() {
            let happened = kept.keeps(number, random);
            (at, happened).hash(&mut choices);
            if happened {
                rename(&mut names, &self.trace[*at]);
            }
        }
        let files = names.into_iter().map(|(name, inode)| {
            let file = &self.files[inode];
            (&name, inode, file.syncs).hash(&mut choices);
            let content = file.after(self.trace, Kept::choose(left, file.pending.len(), random), random, &mut choices);
            (name, content)
        });
        let files = files.collect();
        Image { files, fingerprint: choices.finish() }
    }
}

impl Image {
    /// Puts the files into a directory. SQLite's shared memory is left as garbage there, or not at all: nobody syncs it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let mut random = Random::new(self.fingerprint);
        for (name, content) in &self.files {
            fs::write(directory.join(name), content.as_slice())?;
            if name.ends_with("-wal") && random.chance(50) {
                let garbage: Vec<u8> = (0..4096).flat_map(|_| random.number().to_le_bytes()).collect();
                fs::write(directory.join(name.replace("-wal", "-shm")), garbage)?;
            }
        }
        Ok(())
    }
}

impl File {
    fn sync(&mut self, trace: &[Op]) {
        if !self.pending.is_empty() {
            let content = Arc::make_mut(&mut self.synced);
            self.pending.drain(..).for_each(|at| apply(content, &trace[at], |_| Fate::New, false));
            self.syncs += 1;
        }
    }

    fn after(&self, trace: &[Op], kept: Kept, random: &mut Random, choices: &mut DefaultHasher) -> Arc<Vec<u8>> {
        if self.pending.is_empty() {
            return Arc::clone(&self.synced);
        }
        let mut content = self.synced.as_ref().clone();
        let grows = matches!(kept, Kept::Length) || (matches!(kept, Kept::Sectors(_)) && random.chance(50));
        grows.hash(choices);
        for (number, at) in self.pending.iter().enumerate() {
            let whole = kept.keeps(number, random);
            let torn = matches!(kept, Kept::Sectors(_)) || matches!(kept, Kept::First(first) if first == number);
            let percent = if let Kept::Sectors(percent) = kept { percent } else { 50 };
            apply(
                &mut content,
                &trace[*at],
                |sector| {
                    let fate = match () {
                        () if !torn => [Fate::Old, Fate::New][usize::from(whole)],
                        () if random.chance(percent) => Fate::New,
                        () => [Fate::Old, Fate::Zero][usize::from(random.chance(10))],
                    };
                    (at, sector, fate).hash(choices);
                    fate
                },
                grows,
            );
        }
        Arc::new(content)
    }
}

impl Kept {
    fn choose(left: Left, changes: usize, random: &mut Random) -> Self {
        match left {
            Left::Nothing => Self::Nothing,
            Left::Everything => Self::Everything,
            Left::Some => match random.below(10) {
                0 => Self::Nothing,
                1 => Self::Everything,
                2 | 3 => Self::First(random.below(changes)),
                4 | 5 => Self::Changes([10, 50, 90][random.below(3)]),
                6 | 7 => Self::Sectors([10, 50, 90, 99][random.below(4)]),
                8 => Self::AllBut(random.below(changes)),
                _ => Self::Length,
            },
        }
    }

    /// Is the change of this number there, wholly?
    fn keeps(self, number: usize, random: &mut Random) -> bool {
        match self {
            Self::Nothing | Self::Length => false,
            Self::Everything => true,
            Self::First(first) => number < first,
            Self::Changes(percent) | Self::Sectors(percent) => random.chance(percent),
            Self::AllBut(missing) => number != missing,
        }
    }
}

/// Does a change to a file's content, sector by sector as `fate` has it; with `grows` its length changes in any case.
fn apply(content: &mut Vec<u8>, op: &Op, mut fate: impl FnMut(usize) -> Fate, grows: bool) {
    match op {
        Op::Write { offset, bytes, .. } => {
            let mut from = *offset;
            let end = offset + bytes.len();
            while from < end {
                let to = ((from / SECTOR + 1) * SECTOR).min(end);
                let fate = fate(from / SECTOR);
                if content.len() < to && (fate != Fate::Old || grows) {
                    content.resize(to, 0);
                }
                match fate {
                    Fate::Old => {}
                    Fate::New => content[from..to].copy_from_slice(&bytes[from - offset..to - offset]),
                    Fate::Zero => content[from..to].fill(0),
                }
                from = to;
            }
        }
        Op::Truncate { length, .. } => {
            if fate(0) == Fate::New || (grows && *length > content.len()) {
                content.resize(*length, 0);
            }
        }
        Op::Create { .. } | Op::Sync { .. } | Op::Rename { .. } | Op::Unlink { .. } | Op::SyncDirectory | Op::Note(_) => {
            unreachable!("only changes of content are pending")
        }
    }
}

/// Does a change to names. It speaks of a file and not of a name alone, so that it has a meaning without those before it.
fn rename(names: &mut BTreeMap<String, Inode>, op: &Op) {
    let is = |names: &BTreeMap<String, Inode>, name: &String, inode: &Inode| names.get(name) == Some(inode);
    match op {
        Op::Create { inode, name } => drop(names.insert(name.clone(), *inode)),
        Op::Unlink { inode, name } if is(names, name, inode) => drop(names.remove(name)),
        Op::Rename { inode, from, to } => {
            if is(names, from, inode) {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
        Op::Unlink { .. } => {}
        Op::Write { .. } | Op::Truncate { .. } | Op::Sync { .. } | Op::SyncDirectory | Op::Note(_) => {
            unreachable!("only changes of names are pending")
        }
    }
}

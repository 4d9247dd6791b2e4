//! When services come to life: they say so themselves, each in its slot of a file that they map.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Fallible;
use crate::place::until;

/// What a service says of itself when it has come to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birth {
    /// When its `main` began, by [`crate::clock::now`].
    pub(crate) at: u64,
    /// Its process.
    pub(crate) pid: u32,
}

/// `struct birth` of `service/service.c`.
const BYTES: usize = 16;

/// How often one looks: the times come from the service, so this only has to be seldom enough to disturb nobody.
const PAUSE: Duration = Duration::from_micros(500);

/// Where services tell of their births, each in a slot of its own.
#[derive(Debug)]
pub(crate) struct Births {
    path: PathBuf,
    file: File,
}

impl Births {
    /// A new file in a directory with so many slots, in which nobody was born yet.
    pub(crate) fn create(dir: &Path, slots: usize) -> Fallible<Births> {
        let path = dir.join("births");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
        file.set_len((slots * BYTES) as u64)?;
        Ok(Births { path, file })
    }

    /// What the service is told, so that it finds its slot.
    pub(crate) fn words(&self, slot: usize) -> [String; 2] {
        [self.path.display().to_string(), slot.to_string()]
    }

    /// The last birth in a slot.
    pub(crate) fn last(&self, slot: usize) -> Fallible<Option<Birth>> {
        let mut bytes = [0; BYTES];
        self.file.read_exact_at(&mut bytes, (slot * BYTES) as u64)?;
        let birth = decode(bytes);
        Ok((birth.at > 0).then_some(birth))
    }

    /// Waits for a birth in a slot that is later than a moment.
    pub(crate) fn after(&self, slot: usize, moment: u64) -> Fallible<Birth> {
        let later = || Ok(self.last(slot)?.filter(|birth| birth.at > moment));
        until("a service comes to life", PAUSE, later)?;
        // Read once more: the pid may have been read before its time was written.
        later()?.ok_or_else(|| "a birth was taken back".into())
    }

    /// The births in all of these slots that are later than a moment; nothing while one is missing.
    pub(crate) fn all(&self, slots: Range<usize>, moment: u64) -> Fallible<Option<Vec<Birth>>> {
        slots.map(|slot| Ok(self.last(slot)?.filter(|birth| birth.at > moment))).collect()
    }

    /// When the last of all births was.
    pub(crate) fn newest(&self) -> Fallible<u64> {
        let mut bytes = vec![0; self.file.metadata()?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        let (births, _) = bytes.as_chunks::<BYTES>();
        Ok(births.iter().map(|bytes| decode(*bytes).at).max().unwrap_or(0))
    }

    /// Waits for a birth in each of these slots that is later than a moment.
    pub(crate) fn all_after(&self, slots: Range<usize>, moment: u64) -> Fallible<Vec<Birth>> {
        until("all services come to life", Duration::from_millis(5), || self.all(slots.clone(), moment))
    }
}

/// From a moment until the last of these was born, in seconds.
pub(crate) fn until_last(births: &[Birth], moment: u64) -> f64 {
    let last = births.iter().map(|birth| birth.at).max().unwrap_or(moment);
    last.saturating_sub(moment) as f64 / 1e9
}

fn decode(bytes: [u8; BYTES]) -> Birth {
    let (at, pid) = bytes.split_at(8);
    let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("sixteen less eight are eight"));
    Birth { at: number(at), pid: u32::try_from(number(pid)).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::clock;

    /// As it was compiled; what was written a moment ago may still be open in a process that another test is starting.
    const PROGRAM: &str = concat!(env!("OUT_DIR"), "/service");

    #[test]
    fn a_service_says_when_it_came_to_life() {
        let dir = tempfile::tempdir().expect("a directory");
        let births = Births::create(dir.path(), 3).expect("a file");
        assert_eq!(births.last(2).expect("it can be read"), None);
        let begun = clock::now();
        let mut child = Command::new(PROGRAM).args(births.words(2)).spawn().expect("it starts");
        let birth = births.after(2, begun).expect("it is born");
        assert_eq!(birth.pid, child.id());
        assert!((begun..clock::now()).contains(&birth.at));
        assert_eq!(births.newest().expect("it can be read"), birth.at);
        assert_eq!(births.all(1..3, begun).expect("it can be read"), None, "nobody is in slot 1");
        child.kill().and_then(|()| child.wait()).expect("it is ours");
    }

    #[test]
    fn a_service_without_arguments_finds_its_slot_by_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let births = Births::create(dir.path(), 2).expect("a file");
        let own = dir.path().join("own");
        std::fs::create_dir(&own).expect("a directory");
        let [file, slot] = births.words(1);
        for (text, name) in [(file, "births"), (slot, "slot")] {
            std::os::unix::fs::symlink(text, own.join(name)).expect("a link");
        }
        let mut child = Command::new(PROGRAM).current_dir(&own).spawn().expect("it starts");
        assert_eq!(births.after(1, 0).expect("it is born").pid, child.id());
        child.kill().and_then(|()| child.wait()).expect("it is ours");
    }
}

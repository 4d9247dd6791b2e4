//! What this machine can do without a host: the same things, done as directly as a program can.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::births::{Births, until_last};
use crate::place::{Place, timed};
use crate::stats::Samples;
use crate::{Fallible, clock, processes};

/// A service killed and started again by a loop that does nothing else.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    /// From the kill to the new process's `main`.
    pub(crate) total: Samples,
    /// From the kill to knowing that it ended.
    pub(crate) notice: Samples,
    /// From there to the new process's `main`.
    pub(crate) spawn: Samples,
}

/// Kills and starts the service in a slot, waiting for its end as a parent does.
pub(crate) fn restarts(place: &Place, births: &Births, slot: usize, rounds: usize) -> Fallible<Floor> {
    let mut service = place.service(births, slot);
    let mut floor = Floor::default();
    let mut begun = clock::now();
    let mut child = service.spawn()?;
    for _ in 0..rounds {
        births.after(slot, begun)?;
        breathe();
        begun = clock::now();
        processes::signal(child.id(), Signal::KILL);
        child.wait()?;
        let noticed = clock::now();
        child = service.spawn()?;
        let born = births.after(slot, begun)?.at;
        floor.total.add_nanos(born - begun);
        floor.notice.add_nanos(noticed - begun);
        floor.spawn.add_nanos(born.saturating_sub(noticed));
    }
    child.kill()?;
    child.wait()?;
    Ok(floor)
}

/// A moment between two rounds, so that what the last one left to do is done.
pub(crate) fn breathe() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Many services that nobody tends.
#[derive(Debug)]
pub(crate) struct Crowd {
    children: Vec<Child>,
    /// How long it took until the last of them was in its `main`, in seconds.
    pub(crate) start: f64,
}

impl Crowd {
    /// Starts them, one after the other from one thread, in the first slots.
    pub(crate) fn start(place: &Place, births: &Births, count: usize) -> Fallible<Crowd> {
        let begun = clock::now();
        let children = (0..count).map(|slot| place.service(births, slot).spawn()).collect::<Result<_, _>>()?;
        let start = until_last(&births.all_after(0..count, begun)?, begun);
        Ok(Crowd { children, start })
    }

    /// How long it takes to ask all of them to end, and to wait until they have, in seconds.
    pub(crate) fn stop(mut self) -> Fallible<f64> {
        let begun = Instant::now();
        self.children.iter().for_each(|child| processes::signal(child.id(), Signal::TERM));
        for child in &mut self.children {
            child.wait()?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

/// How long it takes to start so many services, each when the one before it is in its `main`, in seconds.
pub(crate) fn chain(place: &Place, births: &Births, length: usize) -> Fallible<f64> {
    let mut took = 0.0;
    for slot in 0..length {
        let begun = clock::now();
        let mut child = place.service(births, slot).spawn()?;
        took += until_last(&[births.after(slot, begun)?], begun);
        child.kill()?;
        child.wait()?;
    }
    Ok(took)
}

/// How long 4 KiB take to be on the disk, written and synced.
#[derive(Debug)]
pub(crate) struct Syncs {
    /// At the end of a growing file, as a journal does.
    pub(crate) append: Samples,
    /// Over what stood there, as a log that is used again and again does.
    pub(crate) overwrite: Samples,
}

/// Writes and syncs on the disk of a place.
pub(crate) fn syncs(place: &Place, rounds: usize) -> Fallible<Syncs> {
    let path = place.file("synced");
    let mut file = File::create(&path)?;
    let mut write = || {
        let mut samples = Samples::default();
        file.rewind()?;
        for _ in 0..rounds {
            breathe();
            let begun = clock::now();
            file.write_all(&[0x5a; 4096])?;
            file.sync_data()?;
            samples.add_nanos(clock::now() - begun);
        }
        Fallible::Ok(samples)
    };
    let syncs = Syncs { append: write()?, overwrite: write()? };
    std::fs::remove_file(&path)?;
    Ok(syncs)
}

/// How long it takes to remove as many directories as services would have, with three small files in each, that are on the disk by then.
pub(crate) fn removals(place: &Place, count: usize) -> Fallible<f64> {
    let dir = place.file("removed");
    for n in 0..count {
        let own = dir.join(n.to_string());
        std::fs::create_dir_all(&own)?;
        for name in ["config.yaml", "state.json", "pid"] {
            std::fs::write(own.join(name), [b'x'; 1_000])?;
        }
    }
    rustix::fs::syncfs(File::open(&dir)?)?;
    let begun = Instant::now();
    std::fs::remove_dir_all(&dir)?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The median of running a program several times, in seconds.
pub(crate) fn repeated(rounds: usize, program: impl Fn() -> Command) -> Fallible<f64> {
    let times = (0..rounds).map(|_| timed(&mut program())).collect::<Fallible<Samples>>()?;
    Ok(times.median())
}

//! What this machine can do without a host: the same things, done as directly as a program can.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::child::Births;
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

/// Kills and starts the benches' own service, waiting for its end as a parent does.
pub(crate) fn restarts(place: &Place, rounds: usize) -> Fallible<Floor> {
    let socket = place.file("floor");
    let births = Births::listen(&socket)?;
    let mut service = place.program(std::env::current_exe()?);
    service.arg("child").arg(&socket);
    let mut floor = Floor::default();
    let mut child = service.spawn()?;
    births.next()?;
    for _ in 0..rounds {
        breathe();
        let killed = clock::now();
        processes::signal(child.id(), Signal::KILL);
        child.wait()?;
        let noticed = clock::now();
        child = service.spawn()?;
        let born = births.next()?.at;
        floor.total.add_nanos(born - killed);
        floor.notice.add_nanos(noticed - killed);
        floor.spawn.add_nanos(born.saturating_sub(noticed));
    }
    child.kill()?;
    child.wait()?;
    std::fs::remove_file(&socket)?;
    Ok(floor)
}

/// A moment between two rounds, so that what the last one left to do is done.
pub(crate) fn breathe() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Many `sleep`s that nobody tends.
#[derive(Debug)]
pub(crate) struct Crowd {
    children: Vec<Child>,
    /// How long starting them took, in seconds.
    pub(crate) start: f64,
}

impl Crowd {
    /// Starts them, one after the other from one thread.
    pub(crate) fn start(place: &Place, count: usize) -> Fallible<Crowd> {
        let begun = Instant::now();
        let children = (0..count).map(|_| place.program(SLEEP[0]).arg(SLEEP[1]).spawn()).collect::<Result<_, _>>()?;
        Ok(Crowd { children, start: begun.elapsed().as_secs_f64() })
    }

    /// What they have in memory of their own, in bytes.
    pub(crate) fn memory(&self) -> f64 {
        self.children.iter().filter_map(|child| processes::memory(child.id())).map(|memory| memory.proportional).sum()
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

/// The program of a service that does nothing, and its argument.
pub(crate) const SLEEP: [&str; 2] = ["/bin/sleep", "86400"];

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

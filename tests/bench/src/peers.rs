//! Other supervisors, measured with the same service, in the same run: what they do that a host does too.

mod tool;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::births::{Birth, Births, until_last};
use crate::options::Options;
use crate::place::{Place, timed, until};
use crate::processes::{self, Used};
use crate::report::{Figure, Report};
use crate::stats::Samples;
use crate::{Fallible, clock, machine};
use tool::Tool;

/// What is known of each that could be measured.
#[derive(Debug, Default)]
pub(crate) struct Peers(Vec<Peer>);

/// One of them; seconds, bytes and parts of a core. What it cannot do is NaN.
#[derive(Debug)]
pub(crate) struct Peer {
    name: &'static str,
    /// From its start until the last service is in main.
    pub(crate) start: f64,
    /// From a crash to the next main: with one service, and with all.
    pub(crate) alone: Samples,
    pub(crate) beside: Samples,
    /// Of all its processes together: resident, and their own share.
    pub(crate) resident: f64,
    pub(crate) proportional: f64,
    /// Of all its processes, with nothing to do.
    pub(crate) cores: f64,
    /// Its own command for the status of one service, and of all.
    pub(crate) one: f64,
    pub(crate) all: f64,
    /// From its own command until the last service has ended.
    pub(crate) stop: f64,
}

impl Peers {
    /// The figure beside the same of each.
    pub(crate) fn beside(&self, figure: Figure, of: impl Fn(&Peer) -> f64) -> Figure {
        self.0.iter().filter(|peer| !of(peer).is_nan()).fold(figure, |figure, peer| figure.beside(peer.name, of(peer)))
    }
}

/// Measures each that this machine has, and says of the others that it has not.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Peers {
    report.group("Other supervisors; their figures stand beside ours");
    let mut peers = Peers::default();
    for tool in Tool::ALL {
        match tool.missing() {
            Some(program) => report.note(format!("{}: not measured, there is no `{program}`; `scripts/setup.sh peers` installs it", tool.name())),
            None => match peer(tool, options) {
                Ok(peer) => {
                    let (count, alone, beside) = (tool.holds(options.services), peer.alone.len(), peer.beside.len());
                    let all = if peer.all.is_nan() { "; it has no command for the status of all" } else { "" };
                    report
                        .note(format!("{}: measured with {count} services, {alone} crashes alone and {beside} beside the others{all}", tool.name()));
                    peers.0.push(peer);
                }
                // Theirs are no reason to go without ours.
                Err(error) => report.note(format!("{}: not measured: {error}", tool.name())),
            },
        }
    }
    peers
}

/// Each of them holds back a service that ends within a second of its start: that is not what is measured.
const LIVES: Duration = Duration::from_millis(1_100);
/// How many crashes alone, at most: each has to live first.
const ALONE: usize = 10;
/// How many crashes beside the others, at most, and for how long: some are mended only after a second.
const BESIDE: usize = 20;
const BESIDE_FOR: Duration = Duration::from_secs(10);
/// How often each is asked: one of them takes seconds.
const STATUSES: usize = 5;

fn peer(tool: Tool, options: &Options) -> Fallible<Peer> {
    let count = tool.holds(options.services);
    let alone = alone(tool, options)?;
    let place = Place::new(&options.hostler)?;
    let births = Births::create(place.dir(), count)?;
    tool.lay(&place, &births, count)?;
    let begun = clock::now();
    let running = Running::start(tool, &place)?;
    let born = running.wait(&births, count, begun)?;
    let start = until_last(&born, begun);
    thread::sleep(LIVES);
    let one = machine::repeated(STATUSES, || tool.status_of_one(&place, count / 2))?;
    let asked =
        (0..STATUSES).filter_map(|_| tool.status_of_all(&place, count)).map(|mut command| timed(&mut command)).collect::<Fallible<Samples>>()?;
    let own = running.supervisors(&born);
    let before = Used::by(&own);
    thread::sleep(Duration::from_secs(options.idle_secs));
    let cores = Used::by(&own).since(&before);
    let memory: Vec<processes::Memory> = own.iter().filter_map(|pid| processes::memory(*pid)).collect();
    let (resident, proportional) = (memory.iter().map(|memory| memory.resident).sum(), memory.iter().map(|memory| memory.proportional).sum());
    let beside = beside(&births, count, options)?;
    let stop = stop(tool, &place, &births, count)?;
    Ok(Peer { name: tool.name(), start, alone, beside, resident, proportional, cores, one, all: asked.median(), stop })
}

/// Kills the only service again and again.
fn alone(tool: Tool, options: &Options) -> Fallible<Samples> {
    let place = Place::new(&options.hostler)?;
    let births = Births::create(place.dir(), 1)?;
    tool.lay(&place, &births, 1)?;
    let begun = clock::now();
    let running = Running::start(tool, &place)?;
    running.wait(&births, 1, begun)?;
    let mut samples = Samples::default();
    for _ in 0..options.kills.min(ALONE) {
        thread::sleep(LIVES);
        samples.add_nanos(crash(&births, 0)?);
    }
    Ok(samples)
}

/// Kills one after the other, each of which has lived for long.
fn beside(births: &Births, count: usize, options: &Options) -> Fallible<Samples> {
    let rounds = options.kills.min(BESIDE).min(count);
    let mut samples = Samples::default();
    let begun = Instant::now();
    for round in (0..rounds).take_while(|_| begun.elapsed() < BESIDE_FOR) {
        machine::breathe();
        samples.add_nanos(crash(births, round * count / rounds)?);
    }
    Ok(samples)
}

fn crash(births: &Births, slot: usize) -> Fallible<u64> {
    let living = births.last(slot)?.ok_or("the service was never started")?;
    let killed = clock::now();
    processes::signal(living.pid, Signal::KILL);
    Ok(births.after(slot, killed)?.at - killed)
}

fn stop(tool: Tool, place: &Place, births: &Births, count: usize) -> Fallible<f64> {
    let living = births.all_after(0..count, 0)?;
    let watch = processes::watch_ends(living.iter().map(|birth| birth.pid).collect());
    timed(&mut tool.stop_all(place, count))?;
    watch.join().ok().flatten().ok_or_else(|| "its services outlive its stop".into())
}

/// A supervisor that runs, until this value goes.
#[derive(Debug)]
struct Running(RefCell<Child>);

impl Running {
    fn start(tool: Tool, place: &Place) -> Fallible<Running> {
        Ok(Running(tool.supervisor(place).spawn()?.into()))
    }

    /// Waits until each service was born, as long as the supervisor lives.
    fn wait(&self, births: &Births, count: usize, moment: u64) -> Fallible<Vec<Birth>> {
        until("all services come to life", Duration::from_millis(5), || match self.0.borrow_mut().try_wait()? {
            Some(status) => Err(format!("the supervisor ended: {status}").into()),
            None => births.all(0..count, moment),
        })
    }

    /// Its processes that are no services.
    fn supervisors(&self, services: &[Birth]) -> Vec<u32> {
        let services: BTreeSet<u32> = services.iter().map(|birth| birth.pid).collect();
        let family = processes::family(self.0.borrow().id());
        family.into_iter().filter(|pid| !services.contains(pid)).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; what it leaves ends with its place.
        let _ = self.0.get_mut().kill();
        let _ = self.0.get_mut().wait();
    }
}

//! A host with very many services.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::pair::Pair;
use super::{CRASHER, PARALLEL, beside_nothing, calls, crash, crasher, head, idler, idlers, pid_in};
use crate::births::{Births, until_last};
use crate::machine::Crowd;
use crate::options::Options;
use crate::peers::Peers;
use crate::place::{Place, until};
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock, machine, processes};

/// Starts them, asks for them, kills one beside them, kills the host and the keeper, and stops them.
pub(crate) fn measure(options: &Options, peers: &Peers, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let count = options.services;
    // One slot more for the one that is killed, and one for the one that a loop kills.
    let births = Births::create(place.dir(), count + 2)?;
    place.run("serve --detach")?;
    report.group(format!("{count} services: starting"));
    let untended = Untended::measure(&place, &births, count)?;
    let crowd = Many { place, births, options, peers, untended };
    let start = crowd.start(report)?;
    report.group(format!("{count} services: asking"));
    crowd.ask(report)?;
    report.group(format!("A crash with delay zero, beside {count} running services"));
    crowd.beside(report)?;
    report.group(format!("{count} services: the host, and then its keeper, is killed"));
    crowd.recover(start, report)?;
    report.group(format!("{count} services: stopping"));
    crowd.stop(report)
}

/// As many processes that nobody tends: how long it takes to start and to stop them, in seconds.
struct Untended {
    start: f64,
    stop: f64,
}

impl Untended {
    fn measure(place: &Place, births: &Births, count: usize) -> Fallible<Untended> {
        let crowd = Crowd::start(place, births, count)?;
        Ok(Untended { start: crowd.start, stop: crowd.stop()? })
    }
}

/// The services, and all that is known about them.
struct Many<'a> {
    place: Place,
    births: Births,
    options: &'a Options,
    peers: &'a Peers,
    untended: Untended,
}

impl Many<'_> {
    fn count(&self) -> usize {
        self.options.services
    }

    fn file(&self) -> String {
        head() + &idlers(&self.place, &self.births, 0..self.count(), |_| String::new())
    }

    fn start(&self, report: &mut Report) -> Fallible<f64> {
        let file = self.place.write("many.toml", &self.file())?;
        let begun = clock::now();
        let took = self.place.run(&format!("up --detach --json {}", file.display()))?;
        running(&self.place)?.filter(|pids| pids.len() == self.count()).ok_or("not every service runs after `up --detach`")?;
        let last = until_last(&self.births.all_after(0..self.count(), begun)?, begun);
        let what = "posix_spawn of the same by one thread";
        let figure = Figure::new(format!("from `up` until the last is in main, {PARALLEL} starting at a time"), Unit::Seconds, last);
        report.add(self.peers.beside(figure.beside(what, self.untended.start), |peer| peer.start));
        let rate = |seconds: f64| self.count() as f64 / seconds;
        let figure = Figure::new("the same as a rate", Unit::PerSecond, rate(last)).beside(what, rate(self.untended.start)).at_least(1_500.0);
        report.add(self.peers.beside(figure, |peer| rate(peer.start)));
        report.add(Figure::new("until `up --detach` returns: all are known to run", Unit::Seconds, took).beside(what, self.untended.start));
        Ok(took)
    }

    fn ask(&self, report: &mut Report) -> Fallible<()> {
        let command = |line: &str| machine::repeated(20, || self.place.hostler(line));
        report.add(beside_nothing(&self.place, "`hostler ps --json`, the whole process", command("ps --json")?)?);
        let figure = beside_nothing(&self.place, "`hostler ps`, the whole process", command("ps")?)?.at_most(8e-3);
        report.add(self.peers.beside(figure.aimed_if(self.options.is_full()), |peer| peer.all));
        let one = format!("status {}", idler(self.count() / 2));
        let figure = beside_nothing(&self.place, "`hostler status ONE`, the whole process", command(&one)?)?.at_most(5e-3);
        report.add(self.peers.beside(figure, |peer| peer.one));
        let mut host = self.place.connect()?;
        let (mut all, mut one) = (Samples::default(), Samples::default());
        for _ in 0..100 {
            all.add_nanos(calls::asked(&mut host, "/api/v1/services")?);
            one.add_nanos(calls::asked(&mut host, &format!("/api/v1/services?names={}", idler(0)))?);
        }
        let figure = Figure::new("the list of all services over the socket, on one connection", Unit::Seconds, all.median());
        report.add(figure.beside("a list of one", one.median()));
        calls::measure(&self.place, 300, report)
    }

    /// A crash beside all the others.
    fn beside(&self, report: &mut Report) -> Fallible<()> {
        let slot = self.count();
        let file = self.place.write("more.toml", &(self.file() + &crasher(&self.place, &self.births, slot)))?;
        let begun = clock::now();
        let took = self.place.run(&format!("up --detach --json {}", file.display()))?;
        self.births.after(slot, begun)?;
        report.add(beside_nothing(&self.place, "`up --detach` of one service more", took)?);
        let crash = crash::Measured { births: &self.births, slot, bare: slot + 1, kills: self.options.kills };
        crash::measure(&self.place, &crash, |figure, percent| self.peers.beside(figure, |peer| peer.beside.percentile(percent)), report)
    }

    fn recover(&self, start: f64, report: &mut Report) -> Fallible<()> {
        let before = running(&self.place)?.ok_or("not every service runs before the host is killed")?;
        let started = self.births.newest()?;
        let pair = Pair::of(&self.place)?;
        let full = self.options.is_full();
        let figure = |name, took| Figure::new(name, Unit::Seconds, took).beside("starting all of them", start);

        kill(pair.host)?;
        let begun = Instant::now();
        let ready = self.place.run("serve --detach")?;
        self.same(&before, || true)?;
        report.add(figure("the host is killed: ready after its next start", ready));
        let took = begun.elapsed().as_secs_f64();
        report.add(figure("the host is killed: all run, with the pids they had", took).at_most(1.0).aimed_if(full));

        let keeper = Pair::of(&self.place)?.keeper;
        kill(keeper)?;
        let begun = Instant::now();
        // Between two keepers the host has none to name.
        self.same(&before, || Pair::of(&self.place).is_ok_and(|pair| pair.keeper != keeper))?;
        let took = begun.elapsed().as_secs_f64();
        report.add(figure("the keeper is killed: all run, with the pids they had", took).at_most(1.0).aimed_if(full));
        if self.births.newest()? == started { Ok(()) } else { Err("a service was started a second time while it ran".into()) }
    }

    /// Waits until every service runs again, and holds that each is the process it was before.
    fn same(&self, before: &BTreeMap<String, u32>, also: impl Fn() -> bool) -> Fallible<()> {
        let again = || if also() { running(&self.place) } else { Ok(None) };
        let after = until("every service runs again", Duration::from_millis(5), again)?;
        let others = before.iter().filter(|(name, pid)| after.get(*name) != Some(pid)).count();
        if others > 0 || after.len() != before.len() {
            return Err(format!("{others} of {} services have another pid than before the kill", before.len()).into());
        }
        Ok(())
    }

    fn stop(&self, report: &mut Report) -> Fallible<()> {
        let pids: Vec<u32> = running(&self.place)?.ok_or("not every service runs before `down`")?.into_values().collect();
        let watch = processes::watch_ends(pids);
        let took = self.place.run("down")?;
        let gone = watch.join().ok().flatten().ok_or("services outlive `down`")?;
        let figure = Figure::new("from `down` until the last process has ended", Unit::Seconds, gone).at_most(0.2).aimed_if(self.options.is_full());
        report.add(self.peers.beside(figure.beside("SIGTERM to all, wait for each", self.untended.stop), |peer| peer.stop));
        // Last of all: on some file systems every file is harder to make for minutes after many were removed.
        let remove = machine::removals(&self.place, self.count())?;
        let what = "SIGTERM to all, wait, remove their directories";
        report.add(Figure::new("until `down` returns: all forgotten, the host ended", Unit::Seconds, took).beside(what, self.untended.stop + remove));
        Ok(())
    }
}

fn kill(pid: u32) -> Fallible<()> {
    processes::signal(pid, Signal::KILL);
    if processes::wait_for_end(pid, Duration::from_secs(10)) { Ok(()) } else { Err(format!("process {pid} cannot be killed").into()) }
}

/// The process of each service but the one that is killed; nothing while one of them does not run.
fn running(place: &Place) -> Fallible<Option<BTreeMap<String, u32>>> {
    let list = place.connect()?.get("/api/v1/services")?;
    let services = list["services"].as_array().ok_or("no list of services")?;
    let services = services.iter().filter(|service| service["name"] != CRASHER);
    let pid = |service: &Value| Some((service["name"].as_str()?.to_owned(), pid_in(&service["pid"])?));
    Ok(services.map(|service| pid(service).filter(|_| service["status"] == "running")).collect())
}

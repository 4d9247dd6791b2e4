//! A host with very many services.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::{CRASHER, PARALLEL, beside_nothing, calls, crash, crasher, sleeper, sleepers};
use crate::child::Births;
use crate::machine::Crowd;
use crate::options::Options;
use crate::place::{Place, until};
use crate::report::{Figure, Report, Unit};
use crate::{Fallible, machine, processes};

/// Starts them, looks at them, lets them be, kills one beside them, kills the host, and stops them.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let count = options.services;
    place.run("serve --detach")?;
    let bare = Pair::of(&place)?.memory()?;
    report.group(format!("{count} services: starting"));
    let untended = untended(&place, count)?;
    let start = start(&place, count, &untended, report)?;
    report.group(format!("{count} services: asking"));
    ask(&place, count, report)?;
    report.group(format!("{count} services: {} s with nothing to do", options.idle_secs));
    idle(&place, options.idle_secs, report)?;
    report.group(format!("{count} services: memory"));
    memory(&Pair::of(&place)?.memory()?, &bare, &untended, report);
    let births = beside(&place, options, report)?;
    report.group(format!("{count} services: the host is killed, and started again"));
    recover(&place, start, report)?;
    report.group(format!("{count} services: stopping"));
    stop(&place, count, &untended, report)?;
    drop(births);
    Ok(())
}

/// As many processes that nobody tends, in seconds and bytes.
struct Untended {
    start: f64,
    memory: f64,
    stop: f64,
}

fn untended(place: &Place, count: usize) -> Fallible<Untended> {
    let crowd = Crowd::start(place, count)?;
    let (start, memory) = (crowd.start, crowd.memory());
    Ok(Untended { start, memory, stop: crowd.stop()? })
}

fn start(place: &Place, count: usize, untended: &Untended, report: &mut Report) -> Fallible<f64> {
    let file = place.write("many.toml", &sleepers(count))?;
    let took = place.run(&format!("up --detach --json {}", file.display()))?;
    running(place)?.filter(|pids| pids.len() == count).ok_or("not every service runs after `up --detach`")?;
    let what = "posix_spawn of /bin/sleep by one thread";
    report.add(Figure::new(format!("`up --detach` until all run, {PARALLEL} starting at a time"), Unit::Seconds, took).beside(what, untended.start));
    let rates = [took, untended.start].map(|seconds| count as f64 / seconds);
    report.add(Figure::new("the same as a rate", Unit::PerSecond, rates[0]).beside(what, rates[1]));
    Ok(took)
}

fn ask(place: &Place, count: usize, report: &mut Report) -> Fallible<()> {
    let commands = [
        ("`hostler ps --json`", "ps --json".to_owned()),
        ("`hostler ps`", "ps".to_owned()),
        ("`hostler status ONE`", format!("status {}", sleeper(count / 2))),
    ];
    for (name, line) in commands {
        let took = machine::repeated(20, || place.hostler(&line))?;
        report.add(beside_nothing(place, format!("{name}, the whole process"), took)?);
    }
    calls::measure(place, 300, report)
}

fn idle(place: &Place, secs: u64, report: &mut Report) -> Fallible<()> {
    let pair = Pair::of(place)?;
    // What the start has left to write is not idleness.
    thread::sleep(Duration::from_secs(3));
    let used = || Fallible::Ok([pair.host, pair.keeper].map(|pid| processes::cpu_seconds(pid).unwrap_or(f64::NAN)));
    let (begun, before) = (Instant::now(), used()?);
    thread::sleep(Duration::from_secs(secs));
    let (after, elapsed) = (used()?, begun.elapsed().as_secs_f64());
    for (name, at) in [("host: cpu", 0), ("keeper: cpu", 1)] {
        report.add(Figure::new(name, Unit::Cores, (after[at] - before[at]) / elapsed).beside("one core", 1.0));
    }
    Ok(())
}

fn memory(now: &Memories, bare: &Memories, untended: &Untended, report: &mut Report) {
    for (name, now, bare) in [("host", now.host, bare.host), ("keeper", now.keeper, bare.keeper)] {
        report.add(Figure::new(format!("{name}: resident"), Unit::Bytes, now.resident).beside("the same with no service", bare.resident));
        report.add(Figure::new(format!("{name}: proportional"), Unit::Bytes, now.proportional).beside("the same with no service", bare.proportional));
    }
    let both = now.host.proportional + now.keeper.proportional;
    report.add(Figure::new("host and keeper: proportional", Unit::Bytes, both).beside("as many processes of /bin/sleep", untended.memory));
}

/// A crash beside all the others.
fn beside(place: &Place, options: &Options, report: &mut Report) -> Fallible<Births> {
    let socket = place.file("births");
    let births = Births::listen(&socket)?;
    let file = place.write("more.toml", &format!("{}{}", sleepers(options.services), crasher(&socket)?))?;
    report.group(format!("A crash with delay zero, beside {} running services", options.services));
    let took = place.run(&format!("up --detach --json {}", file.display()))?;
    let first = births.next()?;
    report.add(beside_nothing(place, "`up --detach` of one service more", took)?);
    crash::measure(place, &births, first, options.kills, report)?;
    Ok(births)
}

fn recover(place: &Place, start: f64, report: &mut Report) -> Fallible<()> {
    let before = running(place)?.ok_or("not every service runs before the host is killed")?;
    let pair = Pair::of(place)?;
    processes::signal(pair.host, Signal::KILL);
    if !processes::wait_for_end(pair.host, Duration::from_secs(10)) {
        return Err("the host cannot be killed".into());
    }
    let begun = Instant::now();
    let ready = place.run("serve --detach")?;
    let after = until("every service runs again", Duration::from_millis(5), || running(place))?;
    let took = begun.elapsed().as_secs_f64();
    let doubled = before.iter().filter(|(name, pid)| after.get(*name) != Some(pid)).count();
    if doubled > 0 || after.len() != before.len() {
        return Err(format!("{doubled} of {} services have another pid after the host was killed", before.len()).into());
    }
    report.add(Figure::new("host ready", Unit::Seconds, ready).beside("starting all of them", start));
    report.add(Figure::new("all of them running, with the pids they had", Unit::Seconds, took).beside("starting all of them", start));
    Ok(())
}

fn stop(place: &Place, count: usize, untended: &Untended, report: &mut Report) -> Fallible<()> {
    let pids: Vec<u32> = running(place)?.ok_or("not every service runs before `down`")?.into_values().collect();
    let begun = Instant::now();
    let watch = thread::spawn(move || {
        let all = pids.iter().all(|pid| processes::wait_for_end(*pid, Duration::from_secs(60)));
        all.then(|| begun.elapsed().as_secs_f64())
    });
    let took = place.run("down")?;
    let gone = watch.join().ok().flatten().ok_or("services outlive `down`")?;
    let what = "SIGTERM to all, wait for each";
    report.add(Figure::new("from `down` until the last process has ended", Unit::Seconds, gone).beside(what, untended.stop));
    // Last of all: on some file systems every file is harder to make for minutes after many were removed.
    let remove = machine::removals(place, count)?;
    let what = "SIGTERM to all, wait, remove their directories";
    report.add(Figure::new("until `down` returns: all forgotten, the host ended", Unit::Seconds, took).beside(what, untended.stop + remove));
    Ok(())
}

/// The host and its keeper.
struct Pair {
    host: u32,
    keeper: u32,
}

/// What they have in memory.
struct Memories {
    host: processes::Memory,
    keeper: processes::Memory,
}

impl Pair {
    fn of(place: &Place) -> Fallible<Pair> {
        let host = place.connect()?.get("/api/v1/host")?;
        let both = pid_in(&host["pid"]).zip(pid_in(&host["keeper"]["pid"]));
        both.map(|(host, keeper)| Pair { host, keeper }).ok_or_else(|| "the host does not say its pid and its keeper's".into())
    }

    fn memory(&self) -> Fallible<Memories> {
        let of = |pid| processes::memory(pid).ok_or_else(|| format!("process {pid} is gone"));
        Ok(Memories { host: of(self.host)?, keeper: of(self.keeper)? })
    }
}

/// The process of each service but the one that is killed; nothing while one of them does not run.
fn running(place: &Place) -> Fallible<Option<BTreeMap<String, u32>>> {
    let list = place.connect()?.get("/api/v1/services")?;
    let services = list["services"].as_array().ok_or("no list of services")?;
    let services = services.iter().filter(|service| service["name"] != CRASHER);
    let pid = |service: &Value| Some((service["name"].as_str()?.to_owned(), pid_in(&service["pid"])?));
    Ok(services.map(|service| pid(service).filter(|_| service["status"] == "running")).collect())
}

fn pid_in(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok())
}

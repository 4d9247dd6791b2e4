//! The keeper alone, over its socket: what it adds to what the machine takes to start, to notice and to stop processes.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use hostler_keeper::client::{self, Client};
use hostler_keeper::keeper::Options as Keeping;
use hostler_keeper::protocol::{self, Request, Response};
use rustix::process::Signal;

use crate::births::{Births, until_last};
use crate::machine::{self, Crowd, Floor};
use crate::options::Options;
use crate::place::{Place, until};
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock, processes};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures it with cgroups, as far as the machine has any to give, and without.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    for cgroups in [true, false] {
        let place = Place::new(&options.hostler)?;
        let mut held = Held::begin(&place, options, cgroups)?;
        let how = if cgroups { held.client.greeting().cgroup.why.clone() } else { "without cgroups".to_owned() };
        let count = options.services;
        report.group("The keeper alone: one process");
        report.note(how);
        held.crash(0.6e-3, report)?;
        report.group(format!("The keeper alone: {count} processes"));
        let untended = Crowd::start(&place, &held.births, count)?;
        let (start, stop) = (untended.start, untended.stop()?);
        held.start(start, report)?;
        report.group(format!("The keeper alone: one process beside {count}"));
        held.crash(0.8e-3, report)?;
        held.stop(stop, report)?;
    }
    Ok(())
}

/// A keeper of our own.
struct Held<'a> {
    place: &'a Place,
    births: Births,
    client: Client,
    process: Child,
    count: usize,
    kills: usize,
    /// Processes so far that were killed.
    lives: usize,
}

impl<'a> Held<'a> {
    fn begin(place: &'a Place, options: &Options, cgroups: bool) -> Fallible<Held<'a>> {
        let dir = place.file("keeper");
        let mut command = if cgroups { place.program(&options.hostler) } else { place.program(std::env::current_exe()?) };
        command.arg("keeper").arg("--dir").arg(&dir);
        let process = command.stderr(Stdio::null()).spawn()?;
        let stream = || Ok(client::connect_stream(&dir).ok());
        until("a keeper listens", Duration::from_millis(5), stream)?;
        let mut client = Client::connect(&dir, "hostler-bench", true)?;
        client.subscribe()?;
        let births = Births::create(place.dir(), options.services + 2)?;
        Ok(Held { place, births, client, process, count: options.services, kills: options.kills, lives: 0 })
    }

    /// The service, telling of its birth in a slot.
    fn command(&self, slot: usize) -> protocol::Command {
        let program = self.place.service_program().display().to_string();
        let env = vec![("HOSTLER_BENCH".to_owned(), self.place.dir().display().to_string())];
        protocol::Command { program, args: self.births.words(slot).to_vec(), env, ..protocol::Command::default() }
    }

    /// Spawns one process, kills it, hears of its end, and spawns the next, again and again.
    fn crash(&mut self, target: f64, report: &mut Report) -> Fallible<()> {
        let slot = self.count;
        let (mut notice, mut call, mut whole) = (Samples::default(), Samples::default(), Samples::default());
        let mut killed = None;
        for _ in 0..=self.kills {
            self.lives += 1;
            let begun = clock::now();
            self.client.spawn(&life(self.lives), "bench", self.command(slot))?;
            let birth = self.births.after(slot, begun)?;
            call.add_nanos(birth.at - begun);
            if let Some(killed) = killed {
                whole.add_nanos(birth.at - killed);
                self.client.forget(&life(self.lives - 1))?;
            }
            machine::breathe();
            let now = clock::now();
            processes::signal(birth.pid, Signal::KILL);
            self.client.next_event(PATIENCE)?.ok_or("the keeper does not tell of an end")?;
            notice.add_nanos(clock::now() - now);
            killed = Some(now);
        }
        self.client.forget(&life(self.lives))?;
        let floor = machine::restarts(self.place, &self.births, slot + 1, self.kills)?;
        show(&[notice, call, whole], &floor, target, report);
        Ok(())
    }

    fn start(&mut self, untended: f64, report: &mut Report) -> Fallible<()> {
        let begun = clock::now();
        let spawn = |slot| Request::Spawn { key: format!("idle-{slot}"), owner: "bench".to_owned(), command: self.command(slot) };
        let requests: Vec<Request> = (0..self.count).map(spawn).collect();
        self.ask_all(&requests)?;
        let rate = |seconds: f64| self.count as f64 / seconds;
        let last = until_last(&self.births.all_after(0..self.count, begun)?, begun);
        let figure = Figure::new("started, all asked for at once", Unit::PerSecond, rate(last));
        report.add(figure.beside("posix_spawn of the same by one thread", rate(untended)).at_least(1_800.0));
        let memory = processes::memory(self.process.id()).ok_or("the keeper is gone")?;
        report.add(Figure::new("the keeper's memory: resident", Unit::Bytes, memory.resident));
        Ok(())
    }

    fn stop(mut self, untended: f64, report: &mut Report) -> Fallible<()> {
        let pids = self.births.all_after(0..self.count, 0)?.iter().map(|birth| birth.pid).collect();
        let stop = |slot| Request::Stop { key: format!("idle-{slot}"), signal: "SIGTERM".to_owned(), grace_ms: 10_000 };
        let requests: Vec<Request> = (0..self.count).map(stop).collect();
        let watch = processes::watch_ends(pids);
        let begun = clock::now();
        self.ask_all(&requests)?;
        let told = (clock::now() - begun) as f64 / 1e9;
        let gone = watch.join().ok().flatten().ok_or("processes outlive their stop")?;
        let what = "SIGTERM to all, wait for each";
        report.add(Figure::new("stopped: until the last process has ended", Unit::Seconds, gone).beside(what, untended).at_most(0.12));
        report.add(Figure::new("stopped: until the last end is told", Unit::Seconds, told).beside(what, untended));
        self.client.shutdown(false)?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks all at once, and waits for all answers.
    fn ask_all(&mut self, requests: &[Request]) -> Fallible<()> {
        let ids = requests.iter().map(|request| self.client.send(request)).collect::<Result<Vec<u64>, _>>()?;
        for id in ids {
            let (Response::Process(_) | Response::Exit(_), _) = self.client.wait(id)? else { return Err("the keeper answers something else".into()) };
        }
        Ok(())
    }
}

fn life(number: usize) -> String {
    format!("life-{number}")
}

fn show([notice, call, whole]: &[Samples; 3], floor: &Floor, target: f64, report: &mut Report) {
    let figure = |name: &str, ours: &Samples, percent, what: &str, theirs: &Samples| {
        Figure::new(name, Unit::Seconds, ours.percentile(percent)).beside(what, theirs.percentile(percent))
    };
    let wait = "kill → wait returns";
    report.add(figure("killed → the client holds its end, p50", notice, 50.0, wait, &floor.notice));
    report.add(figure("the same, p99", notice, 99.0, wait, &floor.notice));
    let spawn = "posix_spawn → main";
    report.add(figure("asked for → main, p50", call, 50.0, spawn, &floor.spawn).at_most(target));
    report.add(figure("the same, p99", call, 99.0, spawn, &floor.spawn));
    let both = "both, by a loop";
    report.add(figure("killed → main of the next, with a client that asks at once, p50", whole, 50.0, both, &floor.total));
    report.add(figure("the same, p99", whole, 99.0, both, &floor.total));
}

/// The life of a keeper without cgroups.
pub(crate) fn live(dir: &Path) -> Fallible<()> {
    hostler_keeper::keeper::run(Keeping { cgroups: false, ..Keeping::new(dir) })?;
    Ok(())
}

//! Containers of a real engine: how soon very many run, what each costs, and what all of them use, beside `docker` itself.

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::pair::Pair;
use crate::births::{Births, until_last};
use crate::engine::Engine;
use crate::options::Options;
use crate::place::{Place, timed};
use crate::processes::{self, Used};
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock};

/// What a start or an end has left to do is not idleness.
const SETTLES: Duration = Duration::from_secs(3);
/// What was measured less long ago, the host does not measure again.
const FRESH: Duration = Duration::from_millis(1_200);
const STATS: usize = 5;

/// The same containers, started by each; then what the host's cost.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let count = (options.services / 20).max(2);
    let place = Place::new(&options.hostler)?;
    report.group(format!("{count} containers"));
    let engine = match Engine::find(&place) {
        Ok(engine) => engine,
        Err(why) => {
            report.note(format!("not measured: {why}; `scripts/setup.sh testhost` installs one"));
            return Ok(());
        }
    };
    report.note(format!("Docker {}", engine.version));
    let births = Births::create(place.dir(), count)?;
    let bare = ByHand::measure(&engine, &births, count, options.idle_secs)?;
    let compose = composed(&engine, &births, count, report)?;

    place.run("serve --detach")?;
    let head = head(&place);
    let none = place.write("none.toml", &head)?;
    place.run(&format!("up --detach --json {}", none.display()))?;
    thread::sleep(SETTLES);
    let pair = Pair::of(&place)?;
    let alone = resident(pair)?;

    let file = place.write("containers.toml", &(head + &services(&engine, &births, count)))?;
    let begun = clock::now();
    place.run(&format!("up --detach --json {}", file.display()))?;
    let told = (clock::now() - begun) as f64 / 1e9;
    let start = until_last(&births.all_after(0..count, begun)?, begun);
    let runs = "docker run --detach, one after the other";
    let both = |figure: Figure| if compose.is_nan() { figure } else { figure.beside("Docker Compose: up --detach", compose) };
    report.add(both(Figure::new("up: the last is in main", Unit::Seconds, start).beside(runs, bare.start)));
    report.add(Figure::new("  for each container", Unit::Seconds, start / count as f64).beside("one docker run, median", bare.one));
    report.add(Figure::new("up: all are known to run", Unit::Seconds, told));
    stats(&place, bare.stats, report)?;
    thread::sleep(SETTLES);
    costs(&engine, pair, alone, &bare, count, options.idle_secs, report)
}

/// The engine without a host.
struct ByHand {
    /// Until the last is in main, and of one command the median, in seconds.
    start: f64,
    one: f64,
    /// `docker stats --no-stream` of all, in seconds.
    stats: f64,
    /// What the engine uses of a core while nobody asks it for anything.
    cores: f64,
    /// What the engine keeps beside each container, in bytes.
    shim: f64,
}

impl ByHand {
    fn measure(engine: &Engine<'_>, births: &Births, count: usize, idle: u64) -> Fallible<ByHand> {
        let begun = clock::now();
        let each: Samples = engine.run_all(births, count)?.into_iter().collect();
        let born = births.all_after(0..count, begun)?;
        let stats = (0..STATS).map(|_| engine.stats()).collect::<Fallible<Samples>>()?.median();
        let shims = || processes::named("containerd-shim");
        let held: Vec<f64> = shims().into_iter().filter_map(processes::memory).map(|memory| memory.proportional).collect();
        thread::sleep(SETTLES);
        let cores = used(&engine.processes(), idle);
        engine.clear()?;
        thread::sleep(SETTLES);
        let shim = held.iter().sum::<f64>() / held.len() as f64;
        Ok(ByHand { start: until_last(&born, begun), one: each.median(), stats, cores, shim })
    }
}

/// The same with the Compose tool; NaN where there is none.
fn composed(engine: &Engine<'_>, births: &Births, count: usize, report: &mut Report) -> Fallible<f64> {
    let Some(tool) = engine.compose() else {
        report.note("Docker Compose: not measured, there is neither `docker compose` nor `docker-compose`; `scripts/setup.sh peers` installs it");
        return Ok(f64::NAN);
    };
    engine.compose_file(births, count)?;
    let begun = clock::now();
    timed(&mut engine.composed(&tool, &["up", "--detach"]))?;
    let took = until_last(&births.all_after(0..count, begun)?, begun);
    engine.clear()?;
    thread::sleep(SETTLES);
    Ok(took)
}

/// A file without services.
fn head(place: &Place) -> String {
    let dir = place.dir().display().to_string();
    let grant = format!("{{ endpoint = \"unix:///var/run/docker.sock\", mounts = [{dir:?}] }}");
    format!(
        "{}[plugins.docker]\ngrants = {{ containers = {{ default = {grant} }}, state = {{ bytes = \"4Mi\", keys = 4096 }}, secrets = [] }}\n\n",
        super::head()
    )
}

fn services(engine: &Engine<'_>, births: &Births, count: usize) -> String {
    let ((name, value), mount) = (engine.label(), engine.mount(births));
    let mut text = String::new();
    for slot in 0..count {
        let (image, command) = (&engine.image, engine.words(births, slot));
        let backend =
            format!("image = {image:?}, pull = \"never\", command = {command:?}, volumes = [{mount:?}], labels = {{ {name:?} = {value:?} }}");
        // As the first process of its container it hears nothing gentler.
        let stop = "stop = { signal = \"SIGKILL\" }";
        writeln!(text, "[services.{}]\nbackend = {{ type = \"docker\", {backend} }}\n{stop}", super::idler(slot)).expect("a string takes all");
    }
    text
}

/// What all of them use: by the command, which at first waits for a second measurement, and by one question.
fn stats(place: &Place, docker: f64, report: &mut Report) -> Fallible<()> {
    let theirs = "docker stats --no-stream";
    report.add(Figure::new("hostler stats, the first time", Unit::Seconds, place.run("stats --json")?).beside(theirs, docker));
    let mut host = place.connect()?;
    let mut once = || {
        thread::sleep(FRESH);
        let begun = Instant::now();
        host.get("/api/v1/stats").map(|_| begun.elapsed().as_secs_f64())
    };
    let asked = (0..STATS).map(|_| once()).collect::<Fallible<Samples>>()?;
    report.add(Figure::new("the host's answer, once it has compared", Unit::Seconds, asked.median()).beside(theirs, docker));
    Ok(())
}

/// What the host and the engine use for them at rest.
fn costs(engine: &Engine<'_>, pair: Pair, alone: f64, bare: &ByHand, count: usize, idle: u64, report: &mut Report) -> Fallible<()> {
    let each = |all: f64| all / count as f64;
    let grown = resident(pair)? - alone;
    let name = "host and keeper: resident, more for each container";
    report.add(Figure::new(name, Unit::Bytes, each(grown)).beside("the engine's own process beside each, its share", bare.shim));
    let (own, theirs) = ([pair.host, pair.keeper], engine.processes());
    let before = (Used::by(&own), Used::by(&theirs));
    thread::sleep(Duration::from_secs(idle));
    let (ours, engines) = (Used::by(&own).since(&before.0), Used::by(&theirs).since(&before.1));
    report.add(Figure::new("host and keeper: cpu", Unit::Cores, ours));
    report.add(Figure::new("  for each container", Unit::Cores, each(ours)));
    report.add(Figure::new("the engine's cpu while the host looks", Unit::Cores, engines).beside("while nobody does", bare.cores));
    Ok(())
}

fn resident(pair: Pair) -> Fallible<f64> {
    Ok(pair.memory()?.iter().map(|memory| memory.resident).sum())
}

fn used(pids: &[u32], secs: u64) -> f64 {
    let before = Used::by(pids);
    thread::sleep(Duration::from_secs(secs));
    Used::by(pids).since(&before)
}

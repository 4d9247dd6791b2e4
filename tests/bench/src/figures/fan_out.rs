//! What happens, told to very many at once.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::pair::Pair;
use super::{head, idlers};
use crate::Fallible;
use crate::births::Births;
use crate::listeners::Listeners;
use crate::options::Options;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;

/// How many listen.
const LISTENERS: usize = 1_000;
/// How often all services are stopped and started.
const ROUNDS: usize = 3;
/// How often one event is timed.
const SINGLE: usize = 30;

/// A thousand listeners beside half as many services that stop and start.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let count = options.services / 2;
    let births = Births::create(place.dir(), count)?;
    report.group(format!("Events, told to {LISTENERS} listeners"));
    let file = place.write("events.toml", &(head() + &idlers(&place, &births, 0..count, |_| String::new())))?;
    place.run(&format!("up --detach --json {}", file.display()))?;
    let mut host = place.connect()?;
    let memory = || Ok::<_, Box<dyn std::error::Error>>(Pair::of(&place)?.memory()?[0].resident);
    let alone = memory()?;
    let first = last_event(&host.get("/api/v1/host")?)?;
    let mut listeners = Listeners::follow(&place.state("api.sock"), LISTENERS, first)?;
    let each = (memory()? - alone) / LISTENERS as f64;
    let one = one_event(&place, &mut listeners)?;
    let (told, took) = many_events(&place, &mut listeners)?;
    let rate = told as f64 * listeners.count() as f64 / took;
    let bare = bare(told)?;
    let figure = Figure::new(format!("{told} events, all listeners together"), Unit::PerSecond, rate).at_least(200_000.0);
    report.add(figure.beside("the same bytes from one thread into as many sockets", bare).aimed_if(options.is_full()));
    report.add(Figure::new("one event, until the last of them has it", Unit::Seconds, one));
    report.add(Figure::new("one listener: resident memory of the host", Unit::Bytes, each).at_most(30e3));
    Ok(())
}

fn last_event(host: &Value) -> Fallible<u64> {
    host["last_event"].as_u64().ok_or_else(|| format!("the host does not say its last event: {host}").into())
}

/// From asking for something to be done until everybody has heard of it; the median.
fn one_event(place: &Place, listeners: &mut Listeners) -> Fallible<f64> {
    let mut host = place.connect()?;
    let mut samples = Samples::default();
    for _ in 0..SINGLE {
        let before = last_event(&host.get("/api/v1/host")?)?;
        let begun = Instant::now();
        // Which it does not care for: an event and nothing else.
        host.post("/api/v1/services/idle-00000/signal", br#"{"signal": "SIGWINCH"}"#)?;
        listeners.until(before + 1)?;
        samples.add_nanos(u64::try_from(begun.elapsed().as_nanos())?);
        // What else it caused is not this one's.
        thread::sleep(Duration::from_millis(20));
    }
    Ok(samples.median())
}

/// How many events were told, and how long it took until all had heard of the last: stops and starts of every service.
fn many_events(place: &Place, listeners: &mut Listeners) -> Fallible<(u64, f64)> {
    let mut host = place.connect()?;
    let (mut told, mut took) = (0, 0.0);
    for _ in 0..ROUNDS {
        let before = last_event(&host.get("/api/v1/host")?)?;
        let begun = Instant::now();
        let doing = thread::scope(|scope| -> Fallible<u64> {
            let acting = scope.spawn(|| act(place).map_err(|error| error.to_string()));
            while !acting.is_finished() {
                let now = last_event(&host.get("/api/v1/host")?)?;
                listeners.until(now)?;
            }
            acting.join().map_err(|_| "it broke")??;
            last_event(&host.get("/api/v1/host")?)
        })?;
        listeners.until(doing)?;
        took += begun.elapsed().as_secs_f64();
        told += doing - before;
    }
    Ok((told, took))
}

fn act(place: &Place) -> Fallible<()> {
    let mut host = place.connect()?;
    host.post("/api/v1/services/stop", br#"{"services": [], "wait_ms": 60000}"#)?;
    host.post("/api/v1/services/start", br#"{"services": [], "wait_ms": 60000}"#)?;
    Ok(())
}

/// So many events written by one thread into each of as many sockets, and read by another: events each second, over all.
fn bare(events: u64) -> Fallible<f64> {
    const BATCH: u64 = 32;
    let pairs = (0..LISTENERS).map(|_| UnixStream::pair()).collect::<Result<Vec<_>, _>>()?;
    let (mut near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let mut listeners = Listeners::of(far)?;
    let begun = Instant::now();
    let writing = thread::spawn(move || -> std::io::Result<Vec<UnixStream>> {
        for first in (1..=events).step_by(usize::try_from(BATCH).unwrap_or(1)) {
            let data = "x".repeat(240);
            let batch: String = (first..(first + BATCH).min(events + 1)).map(|id| format!("id: {id}\nevent: started\ndata: {data}\n\n")).collect();
            for stream in &mut near {
                match stream.write_all(batch.as_bytes()) {
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Vec::new()),
                    other => other?,
                }
            }
        }
        Ok(near)
    });
    listeners.until(events)?;
    let took = begun.elapsed().as_secs_f64();
    writing.join().map_err(|_| "the writer broke")??;
    Ok(events as f64 * LISTENERS as f64 / took)
}

//! What the API answers in a second, and how late.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PARALLEL, idler};
use crate::Fallible;
use crate::births::Births;
use crate::hello::Hello;
use crate::http::Connection;
use crate::options::Options;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;

/// Connections that ask at the same time.
const CLIENTS: usize = 16;
/// How long each kind of request is made for.
const SPELL: Duration = Duration::from_secs(4);

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    path: String,
    body: Vec<u8>,
}

fn get(path: &str) -> Request {
    Request { method: "GET", path: path.to_owned(), body: Vec::new() }
}

/// What came of many.
#[derive(Debug)]
struct Answered {
    seconds: f64,
    took: Samples,
}

impl Answered {
    fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.seconds
    }

    /// Not one of a hundred took longer.
    fn late(&self) -> f64 {
        self.took.percentile(99.0)
    }
}

/// Asks a host of as many services, and beside it a server that does nothing.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let count = options.services;
    let births = Births::create(place.dir(), count + 1)?;
    let document = document(&place, &births, count);
    let file = place.write("requests.json", &document.to_string())?;
    place.run(&format!("up --detach --json {}", file.display()))?;
    let hello = Hello::start(&place)?;
    report.group(format!("Requests to a host with {count} services: {CLIENTS} connections that ask at once, or one"));
    let api = place.state("api.sock");
    let [many, one] = [CLIENTS, 1].map(|clients| make(&hello.socket, clients, |_| get("/")));
    let (many, one) = (many?, one?);
    reads(options, &api, &many, &one, report)?;
    writes(&api, &one, report, &|n| put(&place, &births, count, n), &apply(&place, &document), |bytes| synced(&place, bytes))
}

fn reads(options: &Options, api: &Path, many: &Answered, one: &Answered, report: &mut Report) -> Fallible<()> {
    let (count, full) = (options.services, options.is_full());
    let status = make(api, CLIENTS, |n| get(&format!("/api/v1/services/{}", idler(n % count))))?;
    let figure = Figure::new("status of one", Unit::PerSecond, status.per_second()).at_least(many.per_second() / 2.0).aimed_if(full);
    report.add(figure.beside("hyper alone, which says hello", many.per_second()));
    report.add(Figure::new("status of one: 99 of 100 within", Unit::Seconds, status.late()).beside("hello", many.late()));
    let list = make(api, 1, |_| get("/api/v1/services"))?;
    let figure = Figure::new(format!("a list of {count}, to one: 99 of 100 within"), Unit::Seconds, list.late());
    report.add(figure.at_most(5e-3).aimed_if(full).beside("hello, to one", one.late()));
    let list = make(api, CLIENTS, |_| get("/api/v1/services"))?;
    report.add(Figure::new(format!("a list of {count}"), Unit::PerSecond, list.per_second()).beside("hello", many.per_second()));
    Ok(())
}

/// Each is in the store before its answer.
fn writes(
    api: &Path,
    one: &Answered,
    report: &mut Report,
    put: &(dyn Fn(usize) -> Request + Sync),
    whole: &Request,
    synced: impl Fn(usize) -> Fallible<f64>,
) -> Fallible<()> {
    let puts = make(api, 1, put)?;
    report.add(Figure::new("one service applied, to one", Unit::PerSecond, puts.per_second()).beside("hello, to one", one.per_second()));
    let late = Figure::new("one service applied: 99 of 100 within", Unit::Seconds, puts.late());
    report.add(late.beside("as many bytes written and synced", synced(put(0).body.len())?));
    let applied = make(api, 1, |_| whole.clone())?;
    report.add(Figure::new("all applied again, unchanged, to one: the median", Unit::Seconds, applied.took.median()));
    Ok(())
}

/// As many services, as a document.
fn document(place: &Place, births: &Births, count: usize) -> Value {
    let services: BTreeMap<String, Value> = (0..count).map(|n| (idler(n), json!({ "backend": backend(place, births, n) }))).collect();
    json!({ "version": "1.0", "settings": { "max_parallel": PARALLEL }, "services": services })
}

fn backend(place: &Place, births: &Births, slot: usize) -> Value {
    json!({ "type": "process", "binary": place.service_program(), "args": births.words(slot) })
}

/// A service that stands in no file, with another label each time.
fn put(place: &Place, births: &Births, slot: usize, n: usize) -> Request {
    let labels = json!({ "turn": (n % 2).to_string() });
    let service = json!({ "backend": backend(place, births, slot), "enabled": false, "labels": labels });
    let body = json!({ "service": service, "start": false }).to_string().into_bytes();
    Request { method: "PUT", path: "/api/v1/services/applied".to_owned(), body }
}

/// What `hostler apply` sends.
fn apply(place: &Place, document: &Value) -> Request {
    let body = json!({ "document": document, "base_dir": place.dir() }).to_string().into_bytes();
    Request { method: "POST", path: "/api/v1/apply".to_owned(), body }
}

/// As many bytes as a change of one service is, written and synced: 99 of 100 within so many seconds.
fn synced(place: &Place, bytes: usize) -> Fallible<f64> {
    let mut file = File::create(place.file("synced"))?;
    let mut samples = Samples::default();
    for _ in 0..200 {
        let begun = Instant::now();
        file.write_all(&vec![b'x'; bytes])?;
        file.sync_data()?;
        samples.add(begun.elapsed().as_secs_f64());
    }
    Ok(samples.percentile(99.0))
}

/// As many as fit into the time: `request` says what the n-th is.
fn make(socket: &Path, clients: usize, request: impl Fn(usize) -> Request + Sync) -> Fallible<Answered> {
    let (begun, request) = (Instant::now(), &request);
    let one = |client: usize| ask(socket, (client..).step_by(clients).map(request)).map_err(|error| error.to_string());
    let all = thread::scope(|scope| {
        let asking: Vec<_> = (0..clients).map(|client| scope.spawn(move || one(client))).collect();
        asking.into_iter().map(|client| client.join().unwrap_or_else(|_| Err("a client broke".to_owned()))).collect::<Result<Vec<_>, String>>()
    })?;
    Ok(Answered { seconds: begun.elapsed().as_secs_f64(), took: all.into_iter().flatten().collect() })
}

/// One connection's part of it: how long each took.
fn ask(socket: &Path, requests: impl Iterator<Item = Request>) -> Fallible<Vec<f64>> {
    let mut connection = Connection::open(socket)?;
    let (mut took, begun) = (Vec::new(), Instant::now());
    for Request { method, path, body } in requests {
        let asked = Instant::now();
        connection.ask(method, &path, &body)?;
        took.push(asked.elapsed().as_secs_f64());
        if begun.elapsed() > SPELL {
            break;
        }
    }
    Ok(took)
}

//! What tasks write and use, asked of their backends.

use std::sync::Arc;
use std::time::Duration;

use hostler_api::{Code, Failure, LogItem, LogLine, LogsQuery, Origin, ServiceDetail, Shape, Timestamp};
use hostler_core::ServiceName;
use hostler_failpoint::failpoint;
use hostler_wasm::words::{Chunk, Handle};
use hostler_wasm::{Ability, Call, NextMove, Plugin};
use tokio::sync::mpsc;

use crate::desk::Desk;
use crate::http::{Door, end_of_loop, line};
use crate::plugins::Plugins;
use crate::{speak, stats};

/// How long one page of a log may take: an engine may have to look for it in a long one. Clients wait for 30 s.
const READ: Duration = Duration::from_secs(20);
/// How long measuring may take before a status goes without.
const MEASURE: Duration = Duration::from_secs(2);
/// Bytes of lines asked for at a time.
const PAGE_BYTES: u32 = 256 * 1024;
/// From one look for new lines to the next, when following.
const FOLLOW: Duration = Duration::from_millis(200);

/// A replica whose log can be read.
#[derive(Clone)]
struct Source {
    replica: u32,
    handle: Handle,
}

/// How far one replica's log was read.
struct Place {
    source: Source,
    cursor: Option<String>,
    /// What keeps it from being read, told already.
    trouble: Option<String>,
}

/// One reader of one service's logs.
pub(crate) struct Reading {
    door: Door,
    service: ServiceName,
    plugin: Arc<Plugin>,
    places: Vec<Place>,
    /// The first page of the first replica: a backend that is away is known before anything is answered.
    first: Option<Chunk>,
    asked: LogsQuery,
}

impl Reading {
    /// Finds out whose logs there are.
    pub(crate) async fn begin(door: &Door, name: ServiceName, asked: LogsQuery) -> Result<Reading, Failure> {
        let looked = {
            let (name, only) = (name.clone(), asked.replica);
            door.look(move |desk| look(desk, name.as_str(), only)).await??
        };
        let (backend, sources) = looked;
        let plugin = door.plugins.get(&backend).ok_or_else(|| Failure::new(Code::Unavailable, door.plugins.why_not(&backend)))?;
        if !plugin.abilities().contains(&Ability::Logs) {
            let failure = Failure::new(Code::Invalid, format!("backend `{backend}` of service `{}` does not keep logs", name.local()));
            return Err(failure.hint("it lacks the ability `logs`: `hostler plugin inspect` shows what it has"));
        }
        let cursors = cursors(asked.cursor.as_deref())?;
        let places = sources.into_iter().map(|source| {
            let cursor = cursors.iter().find(|(replica, _)| *replica == source.replica).map(|(_, cursor)| cursor.clone());
            Place { source, cursor, trouble: None }
        });
        let mut reading = Reading { door: door.clone(), service: name, plugin, places: places.collect(), first: None, asked };
        if !reading.places.is_empty() {
            reading.first = reading.page(0, reading.asked.tail).await?;
        }
        Ok(reading)
    }

    /// What people of its workspace call it.
    fn local(&self) -> String {
        self.service.local().to_owned()
    }

    /// What comes next in one replica's log; nothing of a task that is gone.
    async fn page(&self, index: usize, tail: Option<u32>) -> Result<Option<Chunk>, Failure> {
        let Some(backend) = self.plugin.backend() else { return Ok(None) };
        let Place { source, cursor, .. } = &self.places[index];
        let call = Call::within(READ).about(self.service.as_str()).of(self.service.workspace()).asked_for();
        let tail = tail.filter(|_| cursor.is_none());
        failpoint!("host.logs.before");
        match backend.read_logs(call, &source.handle, cursor.as_deref(), tail, PAGE_BYTES).await {
            Ok(chunk) => Ok(Some(chunk)),
            Err(error) if error.next_move() == NextMove::Gone => Ok(None),
            Err(error) => Err(Failure::new(Code::Unavailable, format!("the log of service `{}` cannot be read: {}", self.local(), error.why))),
        }
    }

    /// Reads, and hands over the lines.
    pub(crate) fn run(mut self) -> mpsc::Receiver<Vec<u8>> {
        let (tell, told) = mpsc::channel(256);
        // It ends when the reader goes away.
        tokio::spawn(async move { self.tell(&tell).await });
        told
    }

    async fn tell(&mut self, tell: &mpsc::Sender<Vec<u8>>) -> Option<()> {
        for index in 0..self.places.len() {
            self.drain(index, self.asked.tail, tell).await?;
        }
        if !self.asked.follow {
            let read = self.places.iter().filter_map(|place| Some(format!("{}@{}", place.source.replica, place.cursor.as_ref()?)));
            let cursor = read.collect::<Vec<_>>().join(",");
            return tell.send(line(&LogItem::Cursor { version: Shape, service: self.local(), cursor })).await.ok();
        }
        let mut rounds = self.door.rounds.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(FOLLOW) => {}
                // What was written until the end is still told.
                () = end_of_loop(&mut rounds) => {}
            }
            if tell.is_closed() {
                return None;
            }
            let goes_on = self.find_new_lives().await;
            for index in 0..self.places.len() {
                self.drain(index, None, tell).await?;
            }
            if !goes_on {
                return Some(());
            }
        }
    }

    /// A replica that was restarted goes on in its own log; one that is new begins one. Is the host still there?
    async fn find_new_lives(&mut self) -> bool {
        let (name, only) = (self.service.clone(), self.asked.replica);
        let Ok(looked) = self.door.look(move |desk| look(desk, name.as_str(), only)).await else { return false };
        // A service that is gone is one without lives: its stream ends with its reader.
        let found = looked.map(|(_, found)| found).unwrap_or_default();
        for source in found {
            match self.places.iter_mut().find(|place| place.source.replica == source.replica) {
                Some(place) => place.source = source,
                None => self.places.push(Place { source, cursor: None, trouble: None }),
            }
        }
        true
    }

    /// Reads one replica's log to its present end.
    async fn drain(&mut self, index: usize, tail: Option<u32>, tell: &mpsc::Sender<Vec<u8>>) -> Option<()> {
        loop {
            let page = match self.first.take() {
                Some(first) => Ok(Some(first)),
                None => self.page(index, tail).await,
            };
            let chunk = match page {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Some(()),
                Err(failure) => return self.tell_trouble(index, failure.message, tell).await,
            };
            let empty = chunk.lines.is_empty();
            let place = &mut self.places[index];
            let same = place.cursor.as_deref() == Some(chunk.next.as_str());
            place.cursor = Some(chunk.next.clone());
            place.trouble = None;
            let replica = place.source.replica;
            self.tell_chunk(replica, chunk, tell).await?;
            if empty || same {
                return Some(());
            }
        }
    }

    /// Tells once what keeps a log from being read.
    async fn tell_trouble(&mut self, index: usize, message: String, tell: &mpsc::Sender<Vec<u8>>) -> Option<()> {
        let service = self.local();
        let place = &mut self.places[index];
        if place.trouble.replace(message.clone()).as_ref() == Some(&message) {
            return Some(());
        }
        let (service, replica) = (service, place.source.replica);
        tell.send(line(&LogItem::Error { version: Shape, service, replica, message })).await.ok()
    }

    async fn tell_chunk(&self, replica: u32, chunk: Chunk, tell: &mpsc::Sender<Vec<u8>>) -> Option<()> {
        if chunk.gap {
            tell.send(line(&LogItem::Gap { version: Shape, service: self.local(), replica })).await.ok()?;
        }
        for said in chunk.lines {
            if self.asked.since_ms.is_some_and(|since| said.at.is_some_and(|at| at < since)) {
                continue;
            }
            let origin = match said.origin {
                hostler_wasm::words::Origin::Out => Origin::Out,
                hostler_wasm::words::Origin::Err => Origin::Err,
            };
            let mut item = LogLine::new(self.service.local(), replica, said.at.map(Timestamp), origin, said.bytes);
            item.continued = said.continued;
            tell.send(line(&LogItem::Line(item))).await.ok()?;
        }
        Some(())
    }
}

/// The backend of a service, and the lives whose logs can be read: the one that goes on, else the one before it.
fn look(desk: &Desk, name: &str, only: Option<u32>) -> Result<(String, Vec<Source>), Failure> {
    let view = desk.core.service(name).ok_or_else(|| speak::not_found(desk, name))?;
    let lives = view.replicas.iter().filter(|part| only.is_none_or(|only| only == part.replica));
    let sources = lives.filter_map(|part| {
        let run = [part.run, part.previous].into_iter().flatten().find(|run| desk.handles.contains_key(run))?;
        Some(Source { replica: part.replica, handle: desk.handles.get(&run)?.handle.clone() })
    });
    Ok((view.spec.backend.plugin.clone(), sources.collect()))
}

/// Reads `REPLICA@CURSOR,…` as an earlier answer gave it.
fn cursors(text: Option<&str>) -> Result<Vec<(u32, String)>, Failure> {
    let parts = text.into_iter().flat_map(|text| text.split(',')).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let parsed = part.split_once('@').and_then(|(replica, cursor)| Some((replica.parse().ok()?, cursor.to_owned())));
            parsed.ok_or_else(|| Failure::new(Code::Invalid, "the cursor is none that this host has given"))
        })
        .collect()
}

/// The running lives of a service whose backend can measure, and that backend.
pub(crate) fn measurable(desk: &Desk, name: &str) -> Option<(String, Vec<(u32, Handle)>)> {
    let view = desk.core.service(name)?;
    let running = view.replicas.iter().filter_map(|part| Some((part.replica, desk.handles.get(&part.run?)?.handle.clone())));
    Some((view.spec.backend.plugin.clone(), running.collect()))
}

/// Adds what each replica uses, where its backend can say.
pub(crate) async fn add_usage(plugins: &Plugins, workspace: &str, measured: Option<(String, Vec<(u32, Handle)>)>, detail: &mut ServiceDetail) {
    let Some((backend, running)) = measured.filter(|(_, running)| !running.is_empty()) else { return };
    let Some(plugin) = plugins.get(&backend).filter(|plugin| plugin.abilities().contains(&Ability::Stats)) else { return };
    let Some(backend) = plugin.backend() else { return };
    let (replicas, handles): (Vec<u32>, Vec<Handle>) = running.into_iter().unzip();
    let Ok(usages) = backend.measure(Call::within(MEASURE).of(workspace), &handles).await else { return };
    for (replica, usage) in replicas.into_iter().zip(usages) {
        if let (Some(part), Some(usage)) = (detail.replicas.iter_mut().find(|part| part.replica == replica), usage) {
            part.usage = Some(stats::usage(&usage));
        }
    }
}

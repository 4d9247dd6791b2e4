//! One connection to the keeper: requests out, answers and events in, all pipelined.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hostler_keeper::protocol::{Decoder, EVENT_ID, Event, Frame, Process, Request, Response, encode};
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};

use super::link::KeeperError;

type Answer = Result<(Response, Vec<u8>), KeeperError>;

/// A connected socket and who waits for what. [`Connection::pump`] must run for anything to move.
pub(super) struct Connection {
    stream: UnixStream,
    next_id: AtomicU64,
    waiting: Mutex<Waiting>,
    ended: Mutex<Ended>,
    /// Bytes that the socket did not take at once.
    backlog: Mutex<Vec<u8>>,
    unsent: Notify,
}

#[derive(Default)]
struct Waiting {
    by_id: HashMap<u64, oneshot::Sender<Answer>>,
    closed: bool,
}

/// What the keeper told of processes that have ended: nothing about them changes any more until they are forgotten, so that whoever
/// looks at one, as everybody does who hears of its end, need not ask. Gone with the connection.
#[derive(Default)]
struct Ended {
    told: HashMap<String, Process>,
    /// Forgotten since: the news of an end may come after whoever waited for it has freed what was left.
    forgotten: HashSet<String>,
}

/// More are asked for again.
const ENDED: usize = 4_096;

impl Ended {
    fn hear(&mut self, event: &Event) {
        if let Event::Exited { key, process: Some(process), .. } = event
            && !self.forgotten.remove(key)
        {
            if self.told.len() >= ENDED {
                self.told.clear();
            }
            self.told.insert(key.clone(), process.as_ref().clone());
        }
    }

    /// The answer, where all that is asked for is known; what a request may change is known no more.
    fn answer(&mut self, request: &Request) -> Option<Response> {
        match request {
            Request::Inspect { keys } => {
                let found: Option<Vec<_>> = keys.iter().map(|key| self.told.get(key).cloned().map(Some)).collect();
                found.map(Response::Processes)
            }
            Request::Forget { key } => {
                if self.told.remove(key).is_none() {
                    if self.forgotten.len() >= ENDED {
                        self.forgotten.clear();
                    }
                    self.forgotten.insert(key.clone());
                }
                None
            }
            Request::Spawn { key, .. } => {
                self.told.remove(key);
                self.forgotten.remove(key);
                None
            }
            _ => None,
        }
    }
}

/// Forgets a question whose asker is gone.
struct Asked<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.connection.lock_waiting().by_id.remove(&self.id);
    }
}

impl Connection {
    /// Connects to the keeper of this directory.
    pub(super) fn open(dir: &Path) -> std::io::Result<Connection> {
        // connecting to a local socket does not wait, and the keeper's own function knows how to reach a long path
        let stream = hostler_keeper::client::connect_stream(dir)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream: UnixStream::from_std(stream)?,
            next_id: AtomicU64::new(EVENT_ID + 1),
            waiting: Mutex::default(),
            ended: Mutex::default(),
            backlog: Mutex::default(),
            unsent: Notify::new(),
        })
    }

    /// Sends a request and waits for its answer. Dropping the wait does not take the request back.
    pub(super) async fn request(&self, request: &Request) -> Answer {
        if let Some(response) = self.lock_ended().answer(request) {
            return Ok((response, Vec::new()));
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (tell, answer) = oneshot::channel();
        {
            let mut waiting = self.lock_waiting();
            if waiting.closed {
                return Err(KeeperError::Unavailable("the keeper cannot be reached".to_owned()));
            }
            waiting.by_id.insert(id, tell);
        }
        let _asked = Asked { connection: self, id };
        self.send(&encode(id, request, &[]));
        answer.await.unwrap_or(Err(KeeperError::Lost))
    }

    /// Moves bytes in both directions until the connection ends; the answer says why it did. Everybody who still waits is
    /// told that the answer is lost.
    pub(super) async fn pump(&self, mut on_event: impl FnMut(Event)) -> String {
        let why = tokio::select! {
            why = self.read(&mut on_event) => why,
            why = self.write() => why,
        };
        let mut waiting = self.lock_waiting();
        waiting.closed = true;
        for (_, tell) in waiting.by_id.drain() {
            let _ = tell.send(Err(KeeperError::Lost));
        }
        why
    }

    async fn read(&self, on_event: &mut impl FnMut(Event)) -> String {
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            if let Err(error) = self.stream.readable().await {
                return error.to_string();
            }
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return "the keeper closed the connection".to_owned(),
                Ok(length) => decoder.push(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return error.to_string(),
            }
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => self.hear(frame, on_event),
                    Ok(None) => break,
                    Err(error) => return error.to_string(),
                }
            }
        }
    }

    fn hear(&self, frame: Frame, on_event: &mut impl FnMut(Event)) {
        if frame.id == EVENT_ID {
            match frame.message() {
                Ok(event) => {
                    self.lock_ended().hear(&event);
                    on_event(event);
                }
                Err(error) => tracing::debug!(%error, "an event of the keeper that this host does not know"),
            }
            return;
        }
        let Some(tell) = self.lock_waiting().by_id.remove(&frame.id) else { return };
        let answer = match frame.message::<Response>() {
            Ok(Response::Error(refusal)) => Err(KeeperError::Refused(refusal)),
            Ok(response) => Ok((response, frame.body)),
            Err(error) => Err(KeeperError::Protocol(error.to_string())),
        };
        let _ = tell.send(answer);
    }

    /// Writes at once what the socket takes; the rest waits for [`Connection::write`].
    fn send(&self, bytes: &[u8]) {
        let mut backlog = self.backlog.lock().expect("no code panics while it holds this lock");
        let sent = if backlog.is_empty() { self.stream.try_write(bytes).unwrap_or(0) } else { 0 };
        if sent < bytes.len() {
            backlog.extend_from_slice(&bytes[sent..]);
            self.unsent.notify_one();
        }
    }

    async fn write(&self) -> String {
        loop {
            self.unsent.notified().await;
            while !self.backlog.lock().expect("no code panics while it holds this lock").is_empty() {
                if let Err(error) = self.stream.writable().await {
                    return error.to_string();
                }
                let mut backlog = self.backlog.lock().expect("no code panics while it holds this lock");
                match self.stream.try_write(&backlog) {
                    Ok(sent) => drop(backlog.drain(..sent)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return error.to_string(),
                }
            }
        }
    }

    fn lock_ended(&self) -> std::sync::MutexGuard<'_, Ended> {
        self.ended.lock().expect("no code panics while it holds this lock")
    }

    fn lock_waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics while it holds this lock")
    }
}

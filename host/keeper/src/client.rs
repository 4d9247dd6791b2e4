//! A blocking client, for tests, tools and the command line.

use std::collections::VecDeque;
use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::protocol::{
    Command, Decoder, EVENT_ID, Event, Exit, Frame, FrameError, Greeting, Lines, PROTOCOL, Process, Refusal, Request, Response, Usage, encode,
};

mod ensure;

pub use ensure::{connect_stream, ensure};

/// Why a client got no answer, or not the one it wanted.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The keeper said no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// There is no keeper, or it is gone.
    #[error("keeper {}: {source}", dir.display())]
    Io {
        /// Its directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It spoke in no words of ours.
    #[error("keeper: {0}")]
    Frame(#[from] FrameError),
    /// It answered something else than was asked.
    #[error("the keeper's answer does not fit the request: {0}")]
    Unexpected(String),
    /// It did not start.
    #[error("the keeper of {} did not start: {why}", dir.display())]
    NotStarted {
        /// Its directory.
        dir: PathBuf,
        /// What is known; the rest is in `keeper.log` there.
        why: String,
    },
}

/// A connection to a keeper.
pub struct Client {
    dir: PathBuf,
    stream: UnixStream,
    decoder: Decoder,
    next_id: u64,
    greeting: Greeting,
    events: VecDeque<Event>,
    early: Vec<Frame>,
}

impl Client {
    /// Connects and says hello. `exclusive` takes over from every earlier exclusive client.
    ///
    /// Waits for the greeting without a time limit.
    pub fn connect(dir: &Path, name: &str, exclusive: bool) -> Result<Client, ClientError> {
        let stream = connect_stream(dir).map_err(|source| ClientError::Io { dir: dir.to_owned(), source })?;
        let greeting = Greeting { protocol: 0, pid: 0, started_at: 0, boot_id: String::new(), version: String::new(), cgroup: Default::default() };
        let decoder = Decoder::new();
        let mut client = Client { dir: dir.to_owned(), stream, decoder, next_id: 1, greeting, events: VecDeque::new(), early: Vec::new() };
        client.greeting = match client.ask(&Request::Hello { protocol: PROTOCOL, client: name.to_owned(), exclusive })? {
            (Response::Hello(greeting), _) => greeting,
            other => return Err(unexpected(&other.0)),
        };
        Ok(client)
    }

    /// What the keeper said of itself.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Asks and waits for the answer, without a time limit; events that come meanwhile are kept for [`Client::next_event`].
    pub fn ask(&mut self, request: &Request) -> Result<(Response, Vec<u8>), ClientError> {
        let id = self.send(request)?;
        self.wait(id)
    }

    /// Asks without waiting; answers the id to [`Client::wait`] for.
    pub fn send(&mut self, request: &Request) -> Result<u64, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let frame = encode(id, request, &[]);
        self.stream.write_all(&frame).map_err(|source| self.fault(source))?;
        Ok(id)
    }

    /// Waits for the answer to an earlier request, without a time limit.
    ///
    /// Each answer is given once: for an id that was not sent, or was waited for already, this waits until the keeper is gone.
    pub fn wait(&mut self, id: u64) -> Result<(Response, Vec<u8>), ClientError> {
        let frame = match self.early.iter().position(|frame| frame.id == id) {
            Some(index) => self.early.swap_remove(index),
            None => loop {
                let frame = self.read_frame()?;
                match frame.id {
                    EVENT_ID => self.events.push_back(frame.message()?),
                    found if found == id => break frame,
                    _ => self.early.push(frame),
                }
            },
        };
        match frame.message()? {
            Response::Error(refusal) => Err(refusal.into()),
            response => Ok((response, frame.body)),
        }
    }

    /// The next event, after a subscription; `None` when none came in time.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<Event>, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left)).map_err(|source| self.fault(source))?;
            let read = self.read_frame();
            self.stream.set_read_timeout(None).map_err(|source| self.fault(source))?;
            match read {
                Ok(frame) if frame.id == EVENT_ID => self.events.push_back(frame.message()?),
                Ok(frame) => self.early.push(frame),
                Err(ClientError::Io { source, .. }) if matches!(source.kind(), IoErrorKind::WouldBlock | IoErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// [`Request::Subscribe`].
    pub fn subscribe(&mut self) -> Result<(), ClientError> {
        self.done(&Request::Subscribe)
    }

    /// [`Request::Spawn`].
    pub fn spawn(&mut self, key: &str, owner: &str, command: Command) -> Result<Process, ClientError> {
        match self.ask(&Request::Spawn { key: key.to_owned(), owner: owner.to_owned(), command })?.0 {
            Response::Process(process) => Ok(process),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Inspect`] of one key.
    pub fn inspect(&mut self, key: &str) -> Result<Option<Process>, ClientError> {
        match self.ask(&Request::Inspect { keys: vec![key.to_owned()] })?.0 {
            Response::Processes(mut processes) => Ok(processes.pop().flatten()),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::List`].
    pub fn list(&mut self, owner: Option<&str>) -> Result<Vec<Process>, ClientError> {
        match self.ask(&Request::List { owner: owner.map(str::to_owned) })?.0 {
            Response::List(processes) => Ok(processes),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Stop`]; returns when nothing of the tree is alive.
    pub fn stop(&mut self, key: &str, signal: &str, grace: Duration) -> Result<Exit, ClientError> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        match self.ask(&Request::Stop { key: key.to_owned(), signal: signal.to_owned(), grace_ms })?.0 {
            Response::Exit(exit) => Ok(exit),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Signal`].
    pub fn signal(&mut self, key: &str, signal: &str) -> Result<(), ClientError> {
        self.done(&Request::Signal { key: key.to_owned(), signal: signal.to_owned() })
    }

    /// [`Request::Forget`].
    pub fn forget(&mut self, key: &str) -> Result<(), ClientError> {
        self.done(&Request::Forget { key: key.to_owned() })
    }

    /// [`Request::ReadLog`].
    pub fn read_log(&mut self, log_name: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, ClientError> {
        let request = Request::ReadLog { log_name: log_name.to_owned(), cursor: cursor.map(str::to_owned), tail, max_bytes };
        match self.ask(&request)? {
            (Response::Lines { lines, next, gap }, body) => Ok(Lines::join(&lines, next, gap, &body)?),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// [`Request::Measure`] of one key.
    pub fn measure(&mut self, key: &str) -> Result<Option<Usage>, ClientError> {
        match self.ask(&Request::Measure { keys: vec![key.to_owned()] })?.0 {
            Response::Usage(mut usages) => Ok(usages.pop().flatten()),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::DropLog`].
    pub fn drop_log(&mut self, log_name: &str) -> Result<(), ClientError> {
        self.done(&Request::DropLog { log_name: log_name.to_owned() })
    }

    /// [`Request::Shutdown`].
    pub fn shutdown(&mut self, if_idle: bool) -> Result<(), ClientError> {
        self.done(&Request::Shutdown { if_idle })
    }

    fn done(&mut self, request: &Request) -> Result<(), ClientError> {
        match self.ask(request)?.0 {
            Response::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn read_frame(&mut self) -> Result<Frame, ClientError> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(frame);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(self.fault(IoErrorKind::UnexpectedEof.into())),
                Ok(read) => self.decoder.push(&buffer[..read]),
                Err(error) if error.kind() == IoErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error)),
            }
        }
    }

    fn fault(&self, source: io::Error) -> ClientError {
        ClientError::Io { dir: self.dir.clone(), source }
    }
}

fn unexpected(response: &Response) -> ClientError {
    ClientError::Unexpected(format!("{response:?}").chars().take(200).collect())
}

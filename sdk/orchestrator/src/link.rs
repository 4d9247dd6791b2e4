//! One request over the host's socket, driven by whoever waits for its answer.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::time::Duration;

use async_io::{Async, Timer};
use bytes::{Buf, Bytes};
use futures_util::future::{Either, select};
use hostler_api::{Code, Failure, routes};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use smol_hyper::rt::FuturesIo;

/// How long a host may take for an answer that waits for nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest line of a stream: an event is far shorter.
const LONGEST_LINE: usize = 1 << 20;

type Connection = http1::Connection<FuturesIo<Async<UnixStream>>, Full<Bytes>>;

/// Where a host listens.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    socket: PathBuf,
}

impl Link {
    pub(crate) fn new(state_dir: &Path) -> Link {
        Link { socket: state_dir.join(routes::SOCKET) }
    }

    /// Asks, and answers the document that came; the host may take this much longer.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>, longer: Duration) -> Result<Value, Failure> {
        let whole = async {
            let (response, mut connection) = self.send(method, path, body).await?;
            let status = response.status();
            let bytes = self.rest(response, &mut connection).await?;
            if status.is_success() { serde_json::from_slice(&bytes).map_err(|error| odd(&error)) } else { Err(refusal(status, &bytes)) }
        };
        within(PATIENCE.saturating_add(longer), whole).await
    }

    /// Begins to read a stream of documents.
    pub(crate) async fn follow(&self, path: &str) -> Result<Lines, Failure> {
        let begun = async {
            let (response, mut connection) = self.send(Method::GET, path, None).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(Lines { body: response.into_body(), connection: Some(connection), read: Vec::new() });
            }
            let bytes = self.rest(response, &mut connection).await?;
            Err(refusal(status, &bytes))
        };
        within(PATIENCE, begun).await
    }

    /// The whole body of an answer.
    async fn rest(&self, response: Response<Incoming>, connection: &mut Pin<Box<Connection>>) -> Result<Bytes, Failure> {
        let body = together(connection, response.into_body().collect()).await?;
        Ok(body.map_err(|error| self.gone(&error))?.to_bytes())
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(Response<Incoming>, Pin<Box<Connection>>), Failure> {
        let stream = Async::<UnixStream>::connect(&self.socket).await.map_err(|error| {
            let failure = Failure::new(Code::Unreachable, format!("no host answers on {}: {error}", self.socket.display()));
            failure.hint("`Orchestrator::new` starts one")
        })?;
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("host", "hostler").header("content-type", routes::JSON);
        let request =
            request.body(Full::new(bytes)).map_err(|error| Failure::new(Code::Invalid, format!("`{path}` cannot be asked for: {error}")))?;
        let (mut sender, connection) = http1::handshake(FuturesIo::new(stream)).await.map_err(|error| self.gone(&error))?;
        let mut connection = Box::pin(connection);
        let response = together(&mut connection, sender.send_request(request)).await?.map_err(|error| self.gone(&error))?;
        Ok((response, connection))
    }

    fn gone(&self, error: &hyper::Error) -> Failure {
        Failure::new(Code::Unreachable, format!("the host on {} went away before it answered: {error}", self.socket.display()))
    }
}

/// What an answer that says no says.
fn refusal(status: StatusCode, bytes: &[u8]) -> Failure {
    let status = status.as_u16();
    let failure = serde_json::from_slice(bytes);
    failure.unwrap_or_else(|_| Failure::new(Code::from_http_status(status), format!("the host answered {status}")))
}

async fn within<T>(patience: Duration, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match select(pin!(answer), pin!(Timer::after(patience))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Failure::new(Code::Timeout, format!("the host did not answer within {} s", patience.as_secs()))),
    }
}

fn odd(error: &serde_json::Error) -> Failure {
    Failure::new(Code::Internal, format!("the host's answer is not understood: {error}"))
}

/// Waits for something that only moves while its connection does: nobody else drives it.
async fn together<T>(connection: &mut Pin<Box<Connection>>, wanted: impl Future<Output = T>) -> Result<T, Failure> {
    let mut wanted = pin!(wanted);
    match select(wanted.as_mut(), connection.as_mut()).await {
        Either::Left((done, _)) => Ok(done),
        // It has ended, in order or not: what it brought is there, and what it did not bring fails by itself.
        Either::Right(_) => Ok(wanted.await),
    }
}

/// Documents, one per line, as they come.
pub(crate) struct Lines {
    body: Incoming,
    /// None once it has ended.
    connection: Option<Pin<Box<Connection>>>,
    read: Vec<u8>,
}

impl Lines {
    /// The next one; none at the end, also where it breaks off. Cancelled, it loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|error| odd(&error));
            }
            if self.read.len() > LONGEST_LINE {
                return Err(Failure::new(Code::Internal, "the host's answer is not understood: a line without an end"));
            }
            let frame = match &mut self.connection {
                Some(connection) => match select(pin!(self.body.frame()), connection.as_mut()).await {
                    Either::Left((frame, _)) => frame,
                    Either::Right(_) => {
                        self.connection = None;
                        continue;
                    }
                },
                None => self.body.frame().await,
            };
            match frame {
                Some(Ok(frame)) => self.read.extend_from_slice(frame.into_data().unwrap_or_default().chunk()),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

//! Speaks the native API to a host: to the one of a state directory over its unix socket, or to any over TCP with a token.
//!
//! A connection per request: a command makes few. Nothing here prints.

mod lines;
mod remote;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use hostler_api::{ActionResult, Code, Failure, ServiceList, ServicesQuery, routes};
pub use lines::Lines;
pub use remote::Reach;
use remote::Remote;

/// How long a host may take for an answer that waits for nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer where it may have to compile plugins first: a component may be large, and the machine small.
const COMPILING: Duration = Duration::from_secs(300);

/// A caller of one host.
#[derive(Debug, Clone)]
pub struct Client {
    state_dir: PathBuf,
    socket: PathBuf,
    /// Instead of the socket.
    remote: Option<Arc<Remote>>,
    /// What is asked about; `default` when absent.
    workspace: Option<String>,
    patience: Duration,
}

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One answer, as it came.
#[derive(Debug, Clone)]
pub struct Document(Bytes);

impl Document {
    /// The JSON itself.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What it says.
    ///
    /// # Errors
    /// It has another shape: the host is of another version.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| odd_answer(&error))
    }
}

impl Client {
    /// A caller of the host of this state directory, whether it runs or not.
    pub fn new(state_dir: &Path) -> Client {
        Client { state_dir: state_dir.to_owned(), socket: state_dir.join(routes::SOCKET), remote: None, workspace: None, patience: PATIENCE }
    }

    /// A caller of a host over TCP.
    ///
    /// # Errors
    /// The address, the token or a certificate makes no sense; nobody was asked.
    pub fn remote(reach: &Reach) -> Result<Client, Failure> {
        let remote = Some(Arc::new(Remote::new(reach)?));
        Ok(Client { state_dir: PathBuf::new(), socket: PathBuf::new(), remote, workspace: None, patience: PATIENCE })
    }

    /// Where the host is, as people call it.
    pub fn place(&self) -> String {
        self.remote.as_ref().map_or_else(|| self.state_dir.display().to_string(), |remote| remote.url.clone())
    }

    /// The state directory it is for; empty for a host over TCP.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The same, about the services of this workspace; `*` is every one.
    #[must_use]
    pub fn of(&self, workspace: &str) -> Client {
        Client { workspace: Some(workspace.to_owned()), ..self.clone() }
    }

    /// The same, waiting this much longer for each answer: for requests that ask the host to wait.
    #[must_use]
    pub fn waiting(&self, longer: Duration) -> Client {
        Client { patience: self.patience.saturating_add(longer), ..self.clone() }
    }

    /// The same, for a request that may bring the host new plugins.
    #[must_use]
    pub fn while_it_compiles(&self) -> Client {
        self.waiting(COMPILING)
    }

    /// Does a host answer here? The socket of one that is just dying still takes connections.
    pub async fn is_there(&self) -> bool {
        match self.get(routes::HOST).await {
            Ok(_) => true,
            Err(failure) => failure.code != Code::Unreachable,
        }
    }

    /// `GET`.
    ///
    /// # Errors
    /// The host's own [`Failure`]; [`Code::Unreachable`] when there is no host, or it went away.
    pub async fn get(&self, path: &str) -> Result<Document, Failure> {
        self.exchange(self.request(Method::GET, path, Bytes::new())?).await
    }

    /// `POST` of a document.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Document, Failure> {
        self.send_document(Method::POST, path, body).await
    }

    /// `PUT` of a document.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Document, Failure> {
        self.send_document(Method::PUT, path, body).await
    }

    /// `PATCH` of a document.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Document, Failure> {
        self.send_document(Method::PATCH, path, body).await
    }

    async fn send_document(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Document, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::new(Code::Internal, format!("cannot write the request: {error}")))?;
        self.exchange(self.request(method, path, body.into())?).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &str) -> Result<Document, Failure> {
        self.exchange(self.request(Method::DELETE, path, Bytes::new())?).await
    }

    /// `GET` of a stream of documents; waits for its beginning only.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn stream(&self, path: &str) -> Result<Lines, Failure> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let beginning = async {
            let response = self.send(request).await?;
            if !response.status().is_success() {
                return Err(self.refusal(response).await);
            }
            Ok(Lines::new(response.into_body()))
        };
        tokio::time::timeout(self.patience, beginning).await.unwrap_or_else(|_| Err(self.too_slow(&Method::GET)))
    }

    /// `GET` of bytes into a file, readable by its owner only, that appears complete or not at all; how many they were. Waits for its beginning as
    /// for any answer, and then for as long as something comes.
    ///
    /// # Errors
    /// As [`Client::get`]; the file cannot be written, or the answer broke off: then what was there stays.
    pub async fn save(&self, path: &str, file: &Path) -> Result<u64, Failure> {
        let unwritten = |error: io::Error| Failure::new(Code::Failed, format!("cannot write {}: {error}", file.display()));
        let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut written = tempfile::NamedTempFile::new_in(beside).map_err(unwritten)?;
        let silent = |_| Err(self.too_slow(&Method::GET));
        let response = tokio::time::timeout(self.patience, self.send(self.request(Method::GET, path, Bytes::new())?)).await.unwrap_or_else(silent)?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(frame) = tokio::time::timeout(self.patience, body.frame()).await.map_err(|_| self.too_slow(&Method::GET))? {
            // Trailers say nothing here.
            let Ok(piece) = frame.map_err(|error| self.gone(&error))?.into_data() else { continue };
            written.write_all(&piece).map_err(unwritten)?;
            bytes += piece.len() as u64;
        }
        written.as_file().sync_all().map_err(unwritten)?;
        written.persist(file).map_err(|error| unwritten(error.error))?;
        Ok(bytes)
    }

    /// `GET /services`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn services(&self, query: &ServicesQuery) -> Result<ServiceList, Failure> {
        self.get(&query.path()).await?.read()
    }

    /// `POST` of something to be done.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn act(&self, path: &str, request: &impl Serialize) -> Result<ActionResult, Failure> {
        self.post(path, request).await?.read()
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let path = self.workspace.as_ref().map_or_else(|| path.to_owned(), |workspace| routes::of_workspace(path, workspace));
        let host = self.remote.as_ref().map_or("hostler", |remote| remote.authority.as_str());
        let mut request = Request::builder().method(method).uri(path.as_str()).header(HOST, host).header(CONTENT_TYPE, routes::JSON);
        if let Some(authorization) = self.remote.as_ref().and_then(|remote| remote.authorization.clone()) {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Full::new(body)).map_err(|error| Failure::new(Code::Invalid, format!("`{path}` cannot be asked for: {error}")))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Document, Failure> {
        let method = request.method().clone();
        let whole = async {
            let response = self.send(request).await?;
            if !response.status().is_success() {
                return Err(self.refusal(response).await);
            }
            let body = response.into_body().collect().await.map_err(|error| self.gone(&error))?;
            Ok(Document(body.to_bytes()))
        };
        tokio::time::timeout(self.patience, whole).await.unwrap_or_else(|_| Err(self.too_slow(&method)))
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        if let Some(remote) = &self.remote {
            return remote.connect().await;
        }
        let stream = match UnixStream::connect(&self.socket).await {
            // A path too long for a socket's address: the directory's descriptor makes it short.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let handle = File::open(&self.state_dir)?;
                UnixStream::connect(format!("/proc/self/fd/{}/{}", handle.as_raw_fd(), routes::SOCKET)).await
            }
            other => other,
        };
        Ok(Box::new(stream?))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let stream = self.connect().await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.gone(&error))?;
        // It ends with the response's body; its errors are seen there.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        sender.send_request(request).await.map_err(|error| self.gone(&error))
    }

    /// The failure that came instead of an answer.
    async fn refusal(&self, response: Response<Incoming>) -> Failure {
        let status = response.status();
        match response.into_body().collect().await {
            Ok(body) => serde_json::from_slice(&body.to_bytes()).unwrap_or_else(|_| {
                Failure::new(Code::from_http_status(status.as_u16()), format!("the host answered {status}"))
                    .hint("host and command may be of different versions; compare `hostler version` and `hostler status`")
            }),
            Err(error) => self.gone(&error),
        }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let place = self.place();
        if self.remote.is_some() {
            let failure = Failure::new(Code::Unreachable, format!("cannot reach the host at {place}: {error}"));
            return failure.hint("is it listening there? `hostler status` on its machine says; --ca names who vouches for its certificate");
        }
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::new(Code::Unreachable, format!("no host is running on {place}"))
                .hint("start one with `hostler up FILE` or `hostler serve`; another state directory is named with --state-dir"),
            io::ErrorKind::PermissionDenied => Failure::new(Code::Denied, format!("the host on {place} may be asked by its own user only"))
                .at(self.socket.display().to_string())
                .hint("run this command as the user that started the host"),
            _ => Failure::new(Code::Unreachable, format!("cannot reach the host on {place}: {error}")).at(self.socket.display().to_string()),
        }
    }

    fn gone(&self, error: &hyper::Error) -> Failure {
        Failure::new(Code::Unreachable, format!("the host on {} went away before it answered: {error}", self.place()))
            .hint("its tasks go on; `hostler serve` takes them up again")
    }

    fn too_slow(&self, method: &Method) -> Failure {
        let message = format!("the host on {} did not answer within {} s", self.place(), self.patience.as_secs());
        let hint = match *method {
            Method::GET => "it is busy, or it hangs: its log, `host.log` in that directory, may say with what",
            _ => "what was asked for may still be done: `hostler ps` and `hostler events` show whether it is",
        };
        Failure::new(Code::Timeout, message).hint(hint)
    }
}

fn odd_answer(error: &serde_json::Error) -> Failure {
    Failure::new(Code::Internal, format!("the host's answer is not understood: {error}"))
        .hint("host and command may be of different versions; restart the host with this `hostler`")
}

#[cfg(test)]
mod tests;

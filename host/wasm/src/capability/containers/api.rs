//! Docker's API over one endpoint: requests, and answers that are read no further than they may be long.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::endpoint::{Duplex, Endpoint};
use super::played::{EngineReply, EngineRequest, EngineRole};
use super::reason::reason;

/// The oldest that has what is asked for.
const OLDEST: (u32, u32) = (1, 41);
/// The newest that this was written for.
const NEWEST: (u32, u32) = (1, 47);
const IDLE: Duration = Duration::from_secs(30);
/// An engine that cannot be reached by then is away.
const CONNECT: Duration = Duration::from_secs(10);
/// Requests at a time, whoever asks.
const AT_A_TIME: usize = 32;
const MAX_HEADER_BYTES: usize = 64 << 10;
/// What an engine says of a refusal.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// Most bytes of an answer about one thing.
pub(super) const ONE: usize = 4 << 20;
/// Most bytes of an answer about many things.
pub(super) const MANY: usize = 32 << 20;

/// One engine's address.
pub(super) struct Api {
    endpoint: Endpoint,
    role: Option<Arc<dyn EngineRole>>,
    version: Mutex<Option<(u32, u32)>>,
    idle: Mutex<Vec<(Instant, SendRequest<Full<Bytes>>)>>,
    places: Semaphore,
}

/// One request.
pub(super) struct Ask {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    auth: Option<String>,
    /// Is something else there after it?
    changes: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing was sent.
    Away(String),
    /// It was sent, and whatever came of it was not heard.
    Lost { changes: bool, why: String },
    /// The engine said no.
    Refused { status: u16, message: String },
    /// Not what was asked for.
    Garbled { changes: bool, why: String },
}

impl Ask {
    fn new(method: Method, path: String) -> Ask {
        let changes = method != Method::GET;
        Ask { method, path, query: Vec::new(), body: None, auth: None, changes }
    }

    pub(super) fn get(path: impl Into<String>) -> Ask {
        Ask::new(Method::GET, path.into())
    }

    pub(super) fn post(path: impl Into<String>) -> Ask {
        Ask::new(Method::POST, path.into())
    }

    pub(super) fn delete(path: impl Into<String>) -> Ask {
        Ask::new(Method::DELETE, path.into())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Ask {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn body(mut self, body: Value) -> Ask {
        self.body = Some(body);
        self
    }

    pub(super) fn auth(mut self, auth: Option<String>) -> Ask {
        self.auth = auth;
        self
    }

    /// It only waits.
    pub(super) fn harmless(mut self) -> Ask {
        self.changes = false;
        self
    }

    fn query(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.query {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(&encoded(value));
        }
        text
    }
}

/// Text as it may stand in a path or a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// An answer that is read as far as somebody wants it.
pub(super) struct Reply<'a> {
    api: &'a Api,
    body: Body,
    changes: bool,
}

pub(super) enum Body {
    Wire(Incoming, Option<SendRequest<Full<Bytes>>>),
    Played(Option<Bytes>),
}

impl Body {
    /// The next bytes; nothing at the end, and then the connection is for others. `changes`: was something asked for that changes anything?
    pub(super) async fn next(&mut self, api: &Api, changes: bool) -> Result<Option<Bytes>, Trouble> {
        match self {
            Body::Played(bytes) => Ok(bytes.take()),
            Body::Wire(incoming, sender) => loop {
                match incoming.frame().await {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => return Ok(Some(data)),
                        Err(_) => continue,
                    },
                    Some(Err(error)) => return Err(Trouble::Lost { changes, why: reason(&error) }),
                    None => {
                        if let Some(sender) = sender.take() {
                            api.keep(sender);
                        }
                        return Ok(None);
                    }
                }
            },
        }
    }
}

impl Reply<'_> {
    /// The next bytes; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        self.body.next(self.api, self.changes).await
    }

    /// What is left of it, for later.
    pub(super) fn detached(self) -> Body {
        self.body
    }

    /// All of it, at most so long.
    pub(super) async fn bytes(&mut self, most: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        while let Some(part) = self.next().await? {
            if bytes.len() + part.len() > most {
                return Err(Trouble::Garbled { changes: self.changes, why: format!("its answer is over {most} bytes") });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}

impl Api {
    pub(super) fn new(endpoint: Endpoint, role: Option<Arc<dyn EngineRole>>) -> Api {
        Api { endpoint, role, version: Mutex::default(), idle: Mutex::default(), places: Semaphore::new(AT_A_TIME) }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The version that both sides speak, asked once and after every loss.
    pub(super) async fn version(&self) -> Result<(u32, u32), Trouble> {
        if let Some(version) = *self.version.lock().expect("no code panics while it holds this lock") {
            return Ok(version);
        }
        let said = self.json_at("", Ask::get("/version"), ONE).await.map_err(wants_tls)?;
        let version = agree(&said).map_err(Trouble::Away)?;
        *self.version.lock().expect("no code panics while it holds this lock") = Some(version);
        Ok(version)
    }

    /// An answer in JSON, at most so long.
    pub(super) async fn json(&self, ask: Ask, most: usize) -> Result<Value, Trouble> {
        let prefix = self.prefix().await?;
        self.json_at(&prefix, ask, most).await
    }

    /// What has no answer but that it was done; 304 says that it was so already.
    pub(super) async fn done(&self, ask: Ask) -> Result<(), Trouble> {
        let prefix = self.prefix().await?;
        let _place = self.place().await;
        let mut reply = self.send(&prefix, ask).await?;
        reply.bytes(ONE).await.map(drop)
    }

    /// An answer to be read bit by bit. It takes none of the places: it may last.
    pub(super) async fn stream(&self, ask: Ask) -> Result<Reply<'_>, Trouble> {
        let prefix = self.prefix().await?;
        self.send(&prefix, ask).await
    }

    /// A connection that stops to be HTTP after the answer.
    pub(super) async fn hijack(&self, ask: Ask) -> Result<Box<dyn Duplex>, Trouble> {
        let prefix = self.prefix().await?;
        if let Some(role) = &self.role {
            let reply = self.play(role.as_ref(), &prefix, &ask).await?;
            let (ours, mut theirs) = tokio::io::duplex(64 << 10);
            tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut theirs, &reply.body).await });
            return Ok(Box::new(ours));
        }
        let mut request = request(&prefix, &ask)?;
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert(UPGRADE, HeaderValue::from_static("tcp"));
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(|error| lost(&ask, &error))?;
        if response.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status().as_u16();
            let mut reply = Reply { api: self, body: Body::Wire(response.into_body(), Some(sender)), changes: ask.changes };
            return Err(refusal(status, &reply.bytes(MAX_REFUSAL_BYTES).await.unwrap_or_default()));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| lost(&ask, &error))?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }

    async fn prefix(&self) -> Result<String, Trouble> {
        let (major, minor) = self.version().await?;
        Ok(format!("/v{major}.{minor}"))
    }

    async fn place(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.places.acquire().await.expect("nobody closes it")
    }

    async fn json_at(&self, prefix: &str, ask: Ask, most: usize) -> Result<Value, Trouble> {
        let _place = self.place().await;
        let changes = ask.changes;
        let mut reply = self.send(prefix, ask).await?;
        let bytes = reply.bytes(most).await?;
        serde_json::from_slice(&bytes).map_err(|error| Trouble::Garbled { changes, why: format!("its answer is no JSON: {error}") })
    }

    async fn send(&self, prefix: &str, ask: Ask) -> Result<Reply<'_>, Trouble> {
        if let Some(role) = &self.role {
            let reply = self.play(role.as_ref(), prefix, &ask).await?;
            return Ok(Reply { api: self, body: Body::Played(Some(reply.body.into())), changes: ask.changes });
        }
        let (response, sender) = self.exchange(prefix, &ask).await?;
        let status = response.status();
        let mut reply = Reply { api: self, body: Body::Wire(response.into_body(), Some(sender)), changes: ask.changes };
        if status.is_success() || status == hyper::StatusCode::NOT_MODIFIED {
            return Ok(reply);
        }
        Err(refusal(status.as_u16(), &reply.bytes(MAX_REFUSAL_BYTES).await.unwrap_or_default()))
    }

    /// Over a kept connection, or a new one where there is none or it turns out to be dead before anything was sent.
    async fn exchange(&self, prefix: &str, ask: &Ask) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>), Trouble> {
        if let Some(mut sender) = self.kept() {
            match sender.try_send_request(request(prefix, ask)?).await {
                Ok(response) => return Ok((response, sender)),
                // it was not sent, or it may be sent twice
                Err(mut error) => {
                    if error.take_message().is_none() && ask.changes {
                        return Err(lost(ask, error.error()));
                    }
                }
            }
        }
        let mut sender = self.connect().await?;
        match sender.send_request(request(prefix, ask)?).await {
            Ok(response) => Ok((response, sender)),
            Err(error) => {
                self.forget();
                Err(lost(ask, &error))
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Trouble> {
        let away = |why: String| {
            self.forget();
            Trouble::Away(why)
        };
        let dialing = async {
            let stream = self.endpoint.dial().await.map_err(|error| reason(&error))?;
            let shaking = http1::Builder::new().max_buf_size(MAX_HEADER_BYTES).handshake(TokioIo::new(stream));
            let (sender, connection) = shaking.await.map_err(|error| reason(&error))?;
            // ends when its sender is dropped, or when the other side hangs up
            tokio::spawn(async move {
                let _ = connection.with_upgrades().await;
            });
            Ok::<_, String>(sender)
        };
        match tokio::time::timeout(CONNECT, dialing).await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(why)) => Err(away(why)),
            Err(_) => Err(away(format!("it does not answer within {CONNECT:?}"))),
        }
    }

    /// It may be another engine when it comes back.
    fn forget(&self) {
        *self.version.lock().expect("no code panics while it holds this lock") = None;
        self.idle.lock().expect("no code panics while it holds this lock").clear();
    }

    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().expect("no code panics while it holds this lock");
        while let Some((since, sender)) = idle.pop() {
            if since.elapsed() < IDLE && sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().expect("no code panics while it holds this lock");
        idle.retain(|(since, sender)| since.elapsed() < IDLE && !sender.is_closed());
        if idle.len() < AT_A_TIME && !sender.is_closed() {
            idle.push((Instant::now(), sender));
        }
    }

    async fn play(&self, role: &dyn EngineRole, prefix: &str, ask: &Ask) -> Result<EngineReply, Trouble> {
        let reply = role
            .answer(EngineRequest {
                method: ask.method.as_str().to_owned(),
                path: format!("{prefix}{}", ask.path),
                query: ask.query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
                body: ask.body.clone().unwrap_or(Value::Null),
            })
            .await;
        if reply.status < 400 { Ok(reply) } else { Err(Trouble::Refused { status: reply.status, message: message(&reply.body) }) }
    }
}

fn request(prefix: &str, ask: &Ask) -> Result<Request<Full<Bytes>>, Trouble> {
    static NOBODY: OnceLock<HeaderValue> = OnceLock::new();
    let host = NOBODY.get_or_init(|| HeaderValue::from_static("docker")).clone();
    let body = ask.body.as_ref().map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let mut request = Request::builder().method(ask.method.clone()).uri(format!("{prefix}{}{}", ask.path, ask.query())).header(HOST, host);
    if ask.body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(auth) = &ask.auth {
        request = request.header("X-Registry-Auth", auth);
    }
    request.body(Full::new(body)).map_err(|error| Trouble::Garbled { changes: false, why: error.to_string() })
}

fn lost(ask: &Ask, error: &hyper::Error) -> Trouble {
    Trouble::Lost { changes: ask.changes, why: reason(error) }
}

/// An engine that is asked without TLS, and speaks nothing else, says so in a way of its own.
fn wants_tls(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused { status: 400, message } if message.contains("HTTPS server") => {
            Trouble::Away("it speaks nothing but TLS there: name `ca`, `client_certificate` and `client_key` in its grant".to_owned())
        }
        other => other,
    }
}

/// What Docker calls a conflict, Podman calls an error of its own, with the cause.
fn refusal(status: u16, body: &[u8]) -> Trouble {
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let status = if status == 500 && said["cause"] == "container state improper" { 409 } else { status };
    Trouble::Refused { status, message: message(body) }
}

/// What an engine says of a refusal: one line, whatever it is.
fn message(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok();
    let text = said.as_ref().and_then(|said| said["message"].as_str().or(said["cause"].as_str()));
    crate::text::escape(text.unwrap_or(&String::from_utf8_lossy(body)).trim(), crate::limits::MAX_TEXT_BYTES)
}

/// The newest version that both have.
fn agree(said: &Value) -> Result<(u32, u32), String> {
    let read = |name: &str| said[name].as_str().and_then(|text| text.split_once('.')).and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let product = said["Version"].as_str().unwrap_or("of an unknown version");
    let theirs: (u32, u32) = read("ApiVersion").ok_or("it does not say which version of Docker's API it speaks")?;
    if theirs < OLDEST {
        return Err(format!(
            "the engine {product} speaks version {}.{} of Docker's API, and {}.{} is the oldest that works",
            theirs.0, theirs.1, OLDEST.0, OLDEST.1
        ));
    }
    match read("MinAPIVersion") {
        Some(least) if least > NEWEST => Err(format!(
            "the engine {product} speaks Docker's API from version {}.{} on, and {}.{} is the newest known here",
            least.0, least.1, NEWEST.0, NEWEST.1
        )),
        _ => Ok(theirs.min(NEWEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_version_of_both_is_spoken() {
        let check = |theirs: &str, least: &str, expected: Option<(u32, u32)>| {
            let said = json!({ "Version": "1", "ApiVersion": theirs, "MinAPIVersion": least });
            assert_eq!(agree(&said).ok(), expected, "{theirs}");
        };
        check("1.41", "1.12", Some((1, 41)));
        check("1.40", "1.12", None);
        check("1.52", "1.44", Some((1, 47)));
        check("1.60", "1.50", None);
        assert!(agree(&json!({ "ApiVersion": 7 })).is_err());
        assert!(agree(&json!({ "Version": "19.03", "ApiVersion": "1.40" })).is_err_and(|why| why.contains("19.03")));
    }

    #[test]
    fn a_conflict_is_one_in_podmans_words_too() {
        let status = |status, body: &str| match refusal(status, body.as_bytes()) {
            Trouble::Refused { status, message } => (status, message),
            other => panic!("{other:?}"),
        };
        let podman = r#"{"cause":"container state improper","message":"can only kill running containers","response":500}"#;
        assert_eq!(status(500, podman), (409, "can only kill running containers".to_owned()));
        assert_eq!(status(500, r#"{"message":"no space left"}"#), (500, "no space left".to_owned()));
    }

    #[test]
    fn nothing_leaves_a_query() {
        assert_eq!(encoded("a b&c=d/é"), "a%20b%26c%3Dd%2F%C3%A9");
        assert_eq!(Ask::get("/x").with("a", "1&2").with("b", 3).query(), "?a=1%262&b=3");
    }
}

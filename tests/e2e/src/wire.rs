//! HTTP over the host's socket, byte by byte: what a client in any language would send.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The number in the first line.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body, put together.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as a document; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header, in lower case; nothing when it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    }
}

/// One request on a connection of its own; nothing when no host answers.
pub fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    request_with(socket, method, path, &[], body)
}

/// The same with more headers.
pub fn request_with(socket: &Path, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: hostler\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    raw(socket, &bytes)
}

/// Any bytes, and what came back until the host closed; nothing when no host answers in words of HTTP.
pub fn raw(socket: &Path, bytes: &[u8]) -> Option<Answer> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // A host that has heard enough answers before everything is sent.
    let _ = stream.write_all(bytes);
    hear(&mut stream)
}

/// One request over TCP on a connection of its own, with a token or without; nothing when no host answers.
pub fn ask(port: u16, token: Option<&str>, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{authorization}");
    let mut bytes = format!("{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    raw_tcp(port, &bytes)
}

/// As [`raw`], over TCP.
pub fn raw_tcp(port: u16, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // As there.
    let _ = stream.write_all(bytes);
    hear(&mut stream)
}

/// What comes until the host closes; nothing when it says nothing in words of HTTP.
pub fn hear(stream: &mut impl Read) -> Option<Answer> {
    let mut answer = Vec::new();
    // A reset after the answer does not take it back.
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[split + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
    Some(Answer { status, head, body })
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|part| part == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok()).unwrap_or(0);
        let (from, to) = (end + 2, end + 2 + size);
        if size == 0 || rest.len() < to + 2 {
            break;
        }
        body.extend_from_slice(&rest[from..to]);
        rest = &rest[to + 2..];
    }
    body
}

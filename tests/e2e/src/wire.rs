//! HTTP over the host's socket, byte by byte: what a client in any language would send.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

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
}

/// One request on a connection of its own; nothing when no host answers.
pub fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: hostler\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    raw(socket, &bytes)
}

/// Any bytes, and what came back until the host closed; nothing when no host answers in words of HTTP.
pub fn raw(socket: &Path, bytes: &[u8]) -> Option<Answer> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    // A host that has heard enough answers before everything is sent.
    let _ = stream.write_all(bytes);
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

//! Just enough of HTTP to ask a host over its socket, on one connection that stays.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Fallible;

/// A connection to a host.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Connects to the socket in a state directory.
    pub(crate) fn open(socket: &Path) -> Fallible<Connection> {
        let stream = UnixStream::connect(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// `GET`, read as JSON.
    pub(crate) fn get(&mut self, path: &str) -> Fallible<Value> {
        let body = self.get_bytes(path)?;
        serde_json::from_slice(&body).map_err(|error| format!("GET {path}: {error}").into())
    }

    /// `POST` of a document. What the host refuses is refused; what it says to that is not read.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Fallible<()> {
        write!(self.0.get_mut(), "POST {path} HTTP/1.1\r\nhost: hostler\r\ncontent-length: {}\r\n\r\n", body.len())?;
        self.0.get_mut().write_all(body)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let mut bytes = vec![0; self.length()?];
        Ok(self.0.read_exact(&mut bytes)?)
    }

    /// `GET`, as it came.
    pub(crate) fn get_bytes(&mut self, path: &str) -> Fallible<Vec<u8>> {
        self.ask("GET", path, &[])
    }

    /// Any request, in one write; its answer, as it came, which is to be a good one.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Fallible<Vec<u8>> {
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: hostler\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        self.0.get_mut().write_all(&bytes)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let good = line.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        bytes.resize(self.length()?, 0);
        self.0.read_exact(&mut bytes)?;
        if good { Ok(bytes) } else { Err(format!("{method} {path}: {} {}", line.trim(), String::from_utf8_lossy(&bytes)).into()) }
    }

    /// Reads the headers, up to the body; answers its length.
    fn length(&mut self) -> Fallible<usize> {
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the host hung up".into());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                return length.ok_or_else(|| "an answer without a length".into());
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
    }
}

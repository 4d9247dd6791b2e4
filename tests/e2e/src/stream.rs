//! Answers that stay open: lines, server-sent events, and messages of a WebSocket, read byte by byte as any client would.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// One answer that comes bit by bit.
#[derive(Debug)]
pub struct Stream {
    body: BufReader<Unchunked>,
}

/// A server-sent event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Its number.
    pub id: Option<u64>,
    /// Its name.
    pub event: String,
    /// What it carries.
    pub data: String,
}

impl Frame {
    /// What it carries, as a document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }
}

impl Stream {
    /// Asks for it, with these lines of the head beside what must be there.
    ///
    /// # Panics
    /// When the host does not answer 200.
    #[track_caller]
    pub fn open(socket: &Path, path: &str, headers: &[&str]) -> Stream {
        let mut stream = ask(socket, path, headers);
        let head = head(&mut stream);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        Stream { body: BufReader::with_capacity(1, Unchunked { stream, left: 0, over: false }) }
    }

    /// The next line; nothing at the end.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        self.try_line().expect("the stream goes on")
    }

    /// The same, or that the host broke off in the middle.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` when the end was not said.
    pub fn try_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.body.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches('\n').to_owned()))
    }

    /// The next line as a document.
    #[track_caller]
    pub fn item(&mut self) -> Option<Value> {
        self.line().map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}")))
    }

    /// The next server-sent event; nothing at the end.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        self.try_frame().expect("the stream goes on")
    }

    /// The same, or that the host broke off in the middle.
    ///
    /// # Errors
    /// As [`Stream::try_line`].
    pub fn try_frame(&mut self) -> io::Result<Option<Frame>> {
        let mut frame = Frame::default();
        while let Some(line) = self.try_line()? {
            match line.split_once(": ") {
                Some(("id", id)) => frame.id = id.parse().ok(),
                Some(("event", name)) => name.clone_into(&mut frame.event),
                Some(("data", data)) => data.clone_into(&mut frame.data),
                // A frame without data is no event.
                _ if line.is_empty() && frame.data.is_empty() => frame = Frame::default(),
                _ if line.is_empty() => return Ok(Some(frame)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// One byte, as it came.
    pub fn byte(&mut self) {
        // What it is does not matter to a reader this slow.
        let _ = self.body.get_mut().stream.read(&mut [0]);
    }

    /// Everything that comes until the host closes, as it came.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // One that the host broke off is over, too.
        let _ = self.body.get_mut().stream.read_to_end(&mut rest);
        rest
    }
}

/// The body of an answer in chunks.
#[derive(Debug)]
struct Unchunked {
    stream: UnixStream,
    left: usize,
    over: bool,
}

impl Read for Unchunked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        if self.left == 0 {
            let size = self.size()?;
            if size == 0 {
                self.over = true;
                return Ok(0);
            }
            self.left = size;
        }
        let most = into.len().min(self.left);
        let read = self.stream.read(&mut into[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        if self.left == 0 {
            self.stream.read_exact(&mut [0; 2])?;
        }
        Ok(read)
    }
}

impl Unchunked {
    fn size(&mut self) -> io::Result<usize> {
        let (mut line, mut byte) = (String::new(), [0]);
        while !line.ends_with("\r\n") {
            self.stream.read_exact(&mut byte)?;
            line.push(char::from(byte[0]));
        }
        usize::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// A WebSocket.
#[derive(Debug)]
pub struct Socket(UnixStream);

/// What came over one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// The other side asks whether we are there.
    Ping,
    /// It is over: why, as a number and in words.
    Close(u16, String),
}

impl Socket {
    /// Opens it.
    ///
    /// # Panics
    /// When the host does not switch to it.
    #[track_caller]
    pub fn open(socket: &Path, path: &str) -> Socket {
        let headers = ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
        let mut stream = ask(socket, path, &headers);
        let head = head(&mut stream);
        assert!(head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{path}: {head}");
        Socket(stream)
    }

    /// The next message; nothing when the other side hung up.
    pub fn message(&mut self) -> Option<Message> {
        let mut start = [0; 2];
        self.0.read_exact(&mut start).ok()?;
        let length = match start[1] {
            126 => u64::from(u16::from_be_bytes(self.bytes()?)),
            127 => u64::from_be_bytes(self.bytes()?),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).ok()?];
        self.0.read_exact(&mut payload).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match start[0] & 0x0f {
            1 => Some(Message::Text(text(&payload))),
            8 if payload.len() >= 2 => Some(Message::Close(u16::from_be_bytes([payload[0], payload[1]]), text(&payload[2..]))),
            8 => Some(Message::Close(1005, String::new())),
            9 => Some(Message::Ping),
            other => panic!("a frame of the kind {other}"),
        }
    }

    /// The next text, as a document.
    ///
    /// # Panics
    /// When something else comes.
    #[track_caller]
    pub fn item(&mut self) -> Value {
        match self.message() {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}")),
            other => panic!("no text, but {other:?}"),
        }
    }

    /// Says that it is over.
    pub fn close(&mut self) {
        // A close without words, under a mask of zeros.
        let _ = self.0.write_all(&[0x88, 0x80, 0, 0, 0, 0]);
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[track_caller]
fn ask(socket: &Path, path: &str, headers: &[&str]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the host listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time can be set");
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: hostler\r\n{lines}\r\n").as_bytes()).expect("the host listens");
    stream
}

/// The head of an answer, in lower case, and no byte more.
fn head(stream: &mut UnixStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

//! A stream of documents, one per line, as they come.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use hostler_api::{Code, Failure};

/// No document is longer; what is longer is no stream of ours.
const LONGEST_LINE: usize = 32 << 20;

/// The documents of one answer that has no set end.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// Bytes at the front of the buffer that are known to hold no newline.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Lines {
        Lines { body, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line without its newline; nothing at the end. Cancel-safe: a line is taken out only when it is whole.
    ///
    /// # Errors
    /// The host went away in the middle of the stream.
    pub async fn line(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(Failure::new(Code::Internal, format!("the host sent a line of more than {} MiB", LONGEST_LINE >> 20)));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..])),
                Some(Err(error)) => return Err(broken(&error)),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }

    /// The next document; nothing at the end.
    ///
    /// # Errors
    /// As [`Lines::line`]; and a document of another shape.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        match self.line().await? {
            Some(line) => serde_json::from_slice(&line).map(Some).map_err(|error| super::odd_answer(&error)),
            None => Ok(None),
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched + end + 1);
        self.searched = 0;
        line.truncate(line.len() - 1);
        Some(line.freeze())
    }
}

fn broken(error: &hyper::Error) -> Failure {
    Failure::new(Code::Unreachable, format!("the host went away in the middle of its answer: {error}"))
}

//! Frames: `u32 LE total | u32 LE header length | header JSON | raw body`, `total` counting all that follows it.
//!
//! The header is `{"id": 7, "message": …}`. Bytes that are no text travel in the body, so that nothing is escaped twice.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Largest frame either side accepts, its length word not counted.
pub const MAX_FRAME_BYTES: usize = 32 * 1024 * 1024;

/// The id that events travel under; no request may use it.
pub const EVENT_ID: u64 = 0;

const LENGTH_BYTES: usize = 4;

/// Why bytes are not a frame of ours. After any of these the connection is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLarge(usize),
    /// The lengths contradict each other.
    #[error("a frame of {total} bytes cannot hold a header of {header}")]
    BadLengths {
        /// Bytes of the frame.
        total: usize,
        /// Bytes its header claims.
        header: usize,
    },
    /// The header is not `{"id": …, "message": …}` in JSON.
    #[error("frame header: {0}")]
    BadHeader(#[source] serde_json::Error),
    /// The message has a shape that this side does not know.
    #[error("message: {0}")]
    BadMessage(#[source] serde_json::Error),
    /// The body has another length than the message says.
    #[error("the frame's body does not have the length that its message says")]
    ShortBody,
}

/// One frame as it came in, its message not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Of the request; [`EVENT_ID`] for an event.
    pub id: u64,
    /// Raw bytes beside the message.
    pub body: Vec<u8>,
    header: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    id: u64,
    message: T,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
    #[serde(rename = "message")]
    _message: serde::de::IgnoredAny,
}

impl Frame {
    /// Reads the message as what the caller expects: a `Request`, a `Response` or an `Event`.
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        let envelope: Envelope<T> = serde_json::from_slice(&self.header).map_err(FrameError::BadMessage)?;
        Ok(envelope.message)
    }
}

/// The bytes of one frame.
///
/// # Panics
/// Never for the messages of this protocol; a frame over 4 GiB would.
pub fn encode<T: Serialize>(id: u64, message: &T, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 2 * LENGTH_BYTES];
    serde_json::to_writer(&mut frame, &Envelope { id, message }).expect("the words of the protocol are plain data");
    let header = u32::try_from(frame.len() - 2 * LENGTH_BYTES).expect("headers are far below 4 GiB");
    frame.extend_from_slice(body);
    let total = u32::try_from(frame.len() - LENGTH_BYTES).expect("frames are far below 4 GiB");
    frame[..LENGTH_BYTES].copy_from_slice(&total.to_le_bytes());
    frame[LENGTH_BYTES..2 * LENGTH_BYTES].copy_from_slice(&header.to_le_bytes());
    frame
}

/// Turns a stream of bytes into frames, however they were cut.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was read. The decoder holds on to it until [`Decoder::next_frame`] has taken it.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole frame; `None` until more bytes came. After an error the stream is out of step: close it.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some(total) = length(rest) else { return Ok(None) };
        if total > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge(total));
        }
        let rest = &rest[LENGTH_BYTES..];
        if total < LENGTH_BYTES {
            return Err(FrameError::BadLengths { total, header: 0 });
        }
        let Some(header) = length(rest) else { return Ok(None) };
        if header > total - LENGTH_BYTES {
            return Err(FrameError::BadLengths { total, header });
        }
        let Some(rest) = rest.get(LENGTH_BYTES..total) else { return Ok(None) };
        let (header, body) = rest.split_at(header);
        let Id { id, .. } = serde_json::from_slice(header).map_err(FrameError::BadHeader)?;
        let frame = Frame { id, header: header.to_vec(), body: body.to_vec() };
        self.taken += LENGTH_BYTES + total;
        Ok(Some(frame))
    }

    /// How many bytes wait for the rest of their frame.
    pub fn buffered(&self) -> usize {
        self.bytes.len() - self.taken
    }
}

/// The little-endian length at the start of `bytes`, once it is all there.
fn length(bytes: &[u8]) -> Option<usize> {
    let word = bytes.first_chunk::<LENGTH_BYTES>()?;
    Some(u32::from_le_bytes(*word) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::{Request, Response};
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let one = encode(7, &Request::Subscribe, b"body");
        let two = encode(8, &Response::Done, b"");
        let stream: Vec<u8> = one.iter().chain(&two).copied().collect();
        for cut in 0..stream.len() {
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                decoder.push(part);
                while let Some(frame) = decoder.next_frame().expect("good frames") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), 2, "cut at {cut}");
            assert_eq!((frames[0].id, frames[0].body.as_slice()), (7, &b"body"[..]));
            assert_eq!(frames[0].message::<Request>().expect("a request"), Request::Subscribe);
            assert_eq!(frames[1].message::<Response>().expect("a response"), Response::Done);
            assert_eq!(decoder.buffered(), 0);
        }
    }

    #[test]
    fn bad_frames_are_typed_errors() {
        let check = |bytes: &[u8]| {
            let mut decoder = Decoder::new();
            decoder.push(bytes);
            decoder.next_frame()
        };
        assert!(matches!(check(&[0xff; 4]), Err(FrameError::TooLarge(_))));
        assert!(matches!(check(&[0, 0, 0, 0]), Err(FrameError::BadLengths { .. })));
        assert!(matches!(check(&[4, 0, 0, 0, 9, 0, 0, 0]), Err(FrameError::BadLengths { .. })));
        assert!(matches!(check(&[6, 0, 0, 0, 2, 0, 0, 0, b'{', b'x']), Err(FrameError::BadHeader(_))));
        assert!(matches!(check(&[6, 0, 0, 0, 2, 0, 0]), Ok(None)));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..48)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (seed >> 56) as u8
                })
                .collect();
            // half of them with plausible lengths, so that the header is reached
            if seed & 1 == 0 {
                bytes[..8].copy_from_slice(&[40, 0, 0, 0, 20, 0, 0, 0]);
            }
            let mut decoder = Decoder::new();
            decoder.push(&bytes);
            while let Ok(Some(frame)) = decoder.next_frame() {
                let _ = frame.message::<Request>();
            }
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_requests_named() {
        let known = encode(3, &serde_json::json!({"forget": {"key": "a", "newer": true}}), b"");
        let unknown = encode(4, &serde_json::json!({"levitate": {}}), b"");
        let mut decoder = Decoder::new();
        decoder.push(&known);
        decoder.push(&unknown);
        let frame = decoder.next_frame().expect("good").expect("whole");
        assert_eq!(frame.message::<Request>().expect("known"), Request::Forget { key: "a".into() });
        let frame = decoder.next_frame().expect("good").expect("whole");
        assert_eq!(frame.id, 4);
        let error = frame.message::<Request>().expect_err("unknown");
        assert!(error.to_string().contains("levitate"), "{error}");
    }
}

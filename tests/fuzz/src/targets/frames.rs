//! What travels between the host and its keeper.

use arbitrary::{Arbitrary, Unstructured};
use hostler_keeper::protocol::{Command, Decoder, Event, Exit, Frame, FrameError, MAX_FRAME_BYTES, Request, Response, encode};
use serde_json::Value;

/// An odd first byte: the rest is what came from a socket. An even one: the rest says what a peer sends.
pub(crate) fn frames(data: &[u8]) {
    match data.split_first() {
        Some((first, rest)) if first % 2 == 1 => any_bytes(rest),
        Some((_, rest)) => drop(what_is_sent_arrives(&mut Unstructured::new(rest))),
        None => {}
    }
}

/// All frames of a stream, and why it ended early.
fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<String>) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
        assert!(decoder.buffered() <= MAX_FRAME_BYTES + 8, "nothing waits that is no frame");
    }
    (frames, None)
}

/// The first byte says where the stream is cut; frames are the same however that is.
fn any_bytes(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = decoded([stream]);
    assert_eq!(decoded(stream.chunks(1 + usize::from(*cut))), whole, "cut after every {} bytes", 1 + cut);
    let (left, right) = stream.split_at(stream.len().min(usize::from(*cut)));
    assert_eq!(decoded([left, right]), whole, "cut at {cut}");
    for frame in &whole.0 {
        read_as_anything(frame);
    }
}

/// A frame that came is read as one of ours, or refused with words; what was read is written and read again as the same.
fn read_as_anything(frame: &Frame) {
    fn same<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(frame: &Frame) {
        match frame.message::<T>() {
            Ok(message) => {
                let (again, ended) = decoded([encode(frame.id, &message, &frame.body).as_slice()]);
                assert_eq!((again.len(), ended), (1, None));
                assert_eq!((again[0].id, &again[0].body), (frame.id, &frame.body));
                assert_eq!(again[0].message::<T>().expect("it was just written"), message);
            }
            Err(FrameError::BadMessage(error)) => assert!(!error.to_string().is_empty()),
            Err(other) => panic!("{other} of a header that was read"),
        }
    }
    same::<Request>(frame);
    same::<Response>(frame);
    same::<Event>(frame);
    if let Ok(Response::Lines { lines, next, gap }) = frame.message::<Response>() {
        let joined = hostler_keeper::protocol::Lines::join(&lines, next, gap, &frame.body);
        let said: usize = lines.iter().map(|line| line.len as usize).sum();
        assert_eq!(joined.is_ok(), said == frame.body.len(), "a page is taken when its heads and its body agree");
    }
}

fn what_is_sent_arrives(from: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let (mut stream, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..from.int_in_range(1..=4)? {
        let (id, body) = (u64::arbitrary(from)?, Vec::<u8>::arbitrary(from)?);
        let message = message(from)?;
        stream.extend(encode(id, &message, &body));
        sent.push((id, body, message));
    }
    let size = from.int_in_range(1..=stream.len())?;
    let (frames, ended) = decoded(stream.chunks(size));
    assert_eq!((frames.len(), ended), (sent.len(), None));
    for (frame, (id, body, message)) in frames.iter().zip(&sent) {
        assert_eq!((frame.id, &frame.body), (*id, body));
        assert_eq!(&frame.message::<Value>().expect("JSON"), message);
    }
    damaged(&stream, from)
}

/// One byte is another one: what stands before it arrives all the same, and a length over the limit is refused, not waited for.
fn damaged(stream: &[u8], from: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let mut stream = stream.to_vec();
    let at = from.choose_index(stream.len())?;
    stream[at] ^= u8::arbitrary(from)?;
    decoded([stream.as_slice()]);
    let long = u32::arbitrary(from)?;
    let mut decoder = Decoder::new();
    decoder.push(&long.to_le_bytes());
    let refused = matches!(decoder.next_frame(), Err(FrameError::TooLarge(_) | FrameError::BadLengths { .. }));
    assert_eq!(refused, long as usize > MAX_FRAME_BYTES || long < 4, "a frame of {long} bytes");
    Ok(())
}

fn message(from: &mut Unstructured<'_>) -> arbitrary::Result<Value> {
    let exit =
        Exit { code: Option::arbitrary(from)?, signal: Option::arbitrary(from)?, out_of_memory: bool::arbitrary(from)?, at: u64::arbitrary(from)? };
    let command = Command {
        program: String::arbitrary(from)?,
        args: Vec::arbitrary(from)?,
        env: Vec::arbitrary(from)?,
        directory: Option::arbitrary(from)?,
        user: Option::arbitrary(from)?,
        log_name: Option::arbitrary(from)?,
        cpu_millis: Option::arbitrary(from)?,
        memory_bytes: Option::arbitrary(from)?,
        labels: Vec::arbitrary(from)?,
    };
    let key = String::arbitrary(from)?;
    Ok(match from.int_in_range(0..=5)? {
        0 => serde_json::to_value(Request::Spawn { key, owner: String::arbitrary(from)?, command }),
        1 => serde_json::to_value(Request::ReadLog {
            log_name: key,
            cursor: Option::arbitrary(from)?,
            tail: Option::arbitrary(from)?,
            max_bytes: u32::arbitrary(from)?,
        }),
        2 => serde_json::to_value(Response::Exit(exit)),
        3 => serde_json::to_value(Event::Exited { key, owner: String::arbitrary(from)?, exit, process: None }),
        4 => serde_json::to_value(Request::Inspect { keys: Vec::arbitrary(from)? }),
        _ => serde_json::to_value(Request::Stop { key, signal: String::arbitrary(from)?, grace_ms: u64::arbitrary(from)? }),
    }
    .expect("the words of the protocol are plain data"))
}

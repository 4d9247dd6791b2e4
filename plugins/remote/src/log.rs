//! Logs: two streams of bytes, whose offsets never start over, as lines.
//!
//! A cursor is two offsets, `OUT.ERR`. What a task wrote to one stream keeps its order; between the two none is known, and no line
//! has a time: the shell that keeps them reads none.

use crate::answer::Answer;
use hostler_sdk::backend::{Chunk, Line, Origin};

/// A longer line comes in parts.
pub(crate) const PART: u32 = 16 << 10;

/// The two offsets of a cursor.
pub(crate) fn parse(cursor: &str) -> Option<(u64, u64)> {
    let (out, err) = cursor.split_once('.')?;
    Some((out.parse().ok()?, err.parse().ok()?))
}

/// The lines of an answer. A last line without its end waits for it, unless the task is `over`.
pub(crate) fn chunk(answer: &Answer, from: Option<(u64, u64)>, tail: Option<u32>, over: bool) -> Chunk {
    let out = stream(answer, "out", Origin::Out, from.map(|from| from.0), over);
    let err = stream(answer, "err", Origin::Err, from.map(|from| from.1), over);
    let next = format!("{}.{}", out.next, err.next);
    let (out, err) = match tail.filter(|_| from.is_none()) {
        Some(tail) => share(out, err, tail as usize),
        None => (out, err),
    };
    let gap = from.is_some_and(|from| from != (0, 0)) && (out.gap || err.gap);
    Chunk { lines: out.lines.into_iter().chain(err.lines).collect(), next, gap }
}

/// One stream's share of a page.
struct Stream {
    lines: Vec<Line>,
    next: u64,
    gap: bool,
}

fn stream(answer: &Answer, name: &str, origin: Origin, from: Option<u64>, over: bool) -> Stream {
    let data = answer.data.iter().filter(|data| data.name == name);
    let total: u64 = answer
        .lines
        .iter()
        .find(|line| line.first().is_some_and(|first| first == "log") && line.get(1).is_some_and(|own| own == name))
        .and_then(|line| line.get(3)?.parse().ok())
        .unwrap_or(0);
    let mut stream = Stream { lines: Vec::new(), next: from.unwrap_or(total), gap: false };
    // the first line of the last bytes has lost its beginning, unless they are all there is
    let mut headless = false;
    let mut rest: Vec<u8> = Vec::new();
    let mut at = stream.next;
    for (nth, piece) in data.enumerate() {
        if nth == 0 && from.is_none() {
            at = piece.start;
            headless = piece.start > 0;
        }
        if piece.start != at {
            stream.gap = true;
            flush(&mut stream, &mut rest, origin);
        }
        at = piece.start + piece.bytes.len() as u64;
        rest.extend_from_slice(&piece.bytes);
        split(&mut stream, &mut rest, origin);
        stream.next = at - rest.len() as u64;
    }
    if over && at >= total && !rest.is_empty() {
        flush(&mut stream, &mut rest, origin);
        stream.next = at;
    }
    if headless && !stream.lines.is_empty() {
        stream.lines.remove(0);
    }
    stream
}

/// Takes whole lines, and whole parts of a long one, off the front.
fn split(stream: &mut Stream, rest: &mut Vec<u8>, origin: Origin) {
    let mut begin = 0;
    loop {
        let ahead = &rest[begin..];
        let window = &ahead[..ahead.len().min(PART as usize + 1)];
        match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                stream.lines.push(line(&window[..end], origin, false));
                begin += end + 1;
            }
            None if window.len() > PART as usize => {
                stream.lines.push(line(&window[..PART as usize], origin, true));
                begin += PART as usize;
            }
            None => break,
        }
    }
    rest.drain(..begin);
}

fn flush(stream: &mut Stream, rest: &mut Vec<u8>, origin: Origin) {
    if !rest.is_empty() {
        stream.lines.push(line(rest, origin, false));
        rest.clear();
    }
}

fn line(bytes: &[u8], origin: Origin, continued: bool) -> Line {
    Line { at: None, origin, continued, bytes: bytes.to_vec() }
}

/// The last lines of both, half of them of each where both have enough.
fn share(mut out: Stream, mut err: Stream, tail: usize) -> (Stream, Stream) {
    let of_err = err.lines.len().min((tail / 2).max(tail.saturating_sub(out.lines.len())));
    let of_out = out.lines.len().min(tail - of_err);
    out.lines.drain(..out.lines.len() - of_out);
    err.lines.drain(..err.lines.len() - of_err);
    (out, err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Data;

    fn answer(pieces: &[(&str, u64, &[u8])], out: u64, err: u64) -> Answer {
        let words = |name: &str, total: u64| vec!["log".to_owned(), name.to_owned(), "0".to_owned(), total.to_string()];
        let data = pieces.iter().map(|(name, start, bytes)| Data { name: (*name).into(), start: *start, bytes: bytes.to_vec() }).collect();
        Answer { lines: vec![words("out", out), words("err", err)], data }
    }

    fn texts(chunk: &Chunk) -> Vec<String> {
        chunk.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[test]
    fn pages_join_without_a_seam() {
        let text = b"one\ntwo\n\nthree and more\nlast";
        for cut in 0..text.len() {
            let first = chunk(&answer(&[("out", 0, &text[..cut])], cut as u64, 0), Some((0, 0)), None, false);
            let (next, _) = parse(&first.next).expect("a cursor of ours");
            let rest = &text[next as usize..];
            let second = chunk(&answer(&[("out", next, rest)], text.len() as u64, 0), Some((next, 0)), None, true);
            assert_eq!([texts(&first), texts(&second)].concat(), ["one", "two", "", "three and more", "last"], "{cut}");
            assert_eq!((second.next.as_str(), second.gap), ("28.0", false));
        }
    }

    #[test]
    fn an_unfinished_line_waits() {
        let page = chunk(&answer(&[("out", 0, b"a\nhalf")], 6, 0), Some((0, 0)), None, false);
        assert_eq!((texts(&page), page.next.as_str()), (vec!["a".to_owned()], "2.0"));
    }

    #[test]
    fn a_long_line_comes_in_parts_and_whole() {
        let long = vec![b'x'; 40_000];
        let bytes = [long.as_slice(), b"\nend\n"].concat();
        let page = chunk(&answer(&[("err", 0, &bytes)], 0, bytes.len() as u64), Some((0, 0)), None, false);
        assert_eq!(
            page.lines.iter().map(|line| (line.bytes.len(), line.continued)).collect::<Vec<_>>(),
            [(16384, true), (16384, true), (7232, false), (3, false)]
        );
    }

    #[test]
    fn lines_that_were_rotated_away_are_a_gap() {
        let page = chunk(&answer(&[("out", 50, b"later\n")], 56, 0), Some((10, 0)), None, false);
        assert_eq!((page.gap, texts(&page), page.next.as_str()), (true, vec!["later".to_owned()], "56.0"));
    }

    #[test]
    fn files_follow_each_other_within_a_line() {
        let page = chunk(&answer(&[("out", 0, b"a\nb"), ("out", 3, b"c\n")], 5, 0), Some((0, 0)), None, false);
        assert_eq!((texts(&page), page.gap), (vec!["a".to_owned(), "bc".to_owned()], false));
    }

    #[test]
    fn a_tail_has_whole_lines_of_both() {
        let page = chunk(&answer(&[("out", 10, b"cut\n1\n2\n3\n"), ("err", 0, b"e1\ne2\ne3\n")], 20, 9), None, Some(4), false);
        assert_eq!((texts(&page), page.next.as_str(), page.gap), (vec!["2".into(), "3".into(), "e2".into(), "e3".into()], "20.9", false));
        let page = chunk(&answer(&[("out", 0, b"1\n2\n3\n")], 6, 0), None, Some(2), false);
        assert_eq!(texts(&page), ["2", "3"]);
    }
}

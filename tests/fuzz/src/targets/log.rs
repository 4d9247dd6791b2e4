//! Logs and their cursors: what processes write, and what a reader asks.

use std::fs;

use arbitrary::{Arbitrary, Unstructured};
use hostler_keeper::door::{self, From, Log};
use hostler_keeper::protocol::{Line, Lines, Origin};

use crate::directory;

const LONGEST_LINE: usize = 16 << 10;

/// A process writes, the keeper is restarted, readers come and go: bytes say what and when.
pub(crate) fn log(data: &[u8]) {
    let _ = written_and_read(&mut Unstructured::new(data));
    cuts_are_the_same_however_the_bytes_come(data);
}

/// A line as it was written, its time aside.
type Written = (Origin, bool, Vec<u8>);

fn told(line: &Line) -> Written {
    (line.origin, line.continued, line.bytes.clone())
}

/// One who reads on from page to page, and how many of the lines it has seen or was told are gone.
struct Reader {
    cursor: From,
    seen: usize,
}

fn written_and_read(from: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let dir = directory::fresh();
    let (bytes, files) = (from.int_in_range(1..=2_000)?, from.int_in_range(1..=4)?);
    let open = || Log::open(dir.path(), bytes, files).expect("ours");
    let (mut log, mut written) = (open(), Vec::<Written>::new());
    let mut reader = Reader { cursor: From::Oldest, seen: 0 };
    while !from.is_empty() {
        match from.int_in_range(0..=9)? {
            0..=4 => {
                let origin = if bool::arbitrary(from)? { Origin::Out } else { Origin::Err };
                let length = usize::from(u8::arbitrary(from)?);
                let mut text = from.bytes(from.len().min(length))?.to_vec();
                text.retain(|byte| *byte != b'\n');
                if text.last() == Some(&b'*') {
                    text.resize(LONGEST_LINE, b'x');
                }
                let line = (origin, bool::arbitrary(from)?, text);
                log.push(line.0, line.1, &line.2);
                written.push(line);
            }
            5 => {
                log.flush();
                log = open();
            }
            6 | 7 => {
                log.flush();
                read_on(&log, &mut reader, &written, u32::arbitrary(from)?);
            }
            8 => {
                log.flush();
                tail(&log, &written, u32::from(u8::arbitrary(from)?));
            }
            _ => {
                log.flush();
                let text = cursor(&log, from)?;
                any_cursor(&log, &written, &text);
            }
        }
    }
    log.flush();
    read_to_the_end(&log, &mut reader, &written);
    read_to_the_end(&log, &mut Reader { cursor: From::Oldest, seen: 0 }, &written);
    Ok(())
}

/// A page holds the lines after those that were seen, without a hole that it does not tell.
fn read_on(log: &Log, reader: &mut Reader, written: &[Written], max_bytes: u32) -> usize {
    let page = log.read(&reader.cursor, max_bytes).expect("the log gave this cursor itself");
    let kept = log.read(&From::Oldest, u32::MAX).expect("it can be read").lines.len();
    // more than one page can hold is not in these logs
    let oldest = written.len() - kept;
    if reader.seen < oldest {
        assert!(page.gap || matches!(reader.cursor, From::Oldest), "{} lines are lost, and nobody says so", oldest - reader.seen);
        reader.seen = oldest;
    } else {
        assert!(!page.gap, "a gap where none is");
    }
    let expected = &written[reader.seen..reader.seen + page.lines.len()];
    assert_eq!(page.lines.iter().map(told).collect::<Vec<_>>(), expected, "in their order, each once");
    assert!(!page.lines.is_empty() || reader.seen == written.len(), "a page before the end holds a line");
    fits(&page, max_bytes);
    reader.seen += page.lines.len();
    reader.cursor = From::Cursor(page.next);
    page.lines.len()
}

fn fits(page: &Lines, max_bytes: u32) {
    let bytes: usize = page.lines.iter().map(|line| line.bytes.len()).sum();
    assert!(page.lines.len() <= 1 || bytes <= max_bytes as usize, "{bytes} bytes where {max_bytes} were asked for");
}

fn read_to_the_end(log: &Log, reader: &mut Reader, written: &[Written]) {
    while read_on(log, reader, written, 100) > 0 {}
    assert_eq!(reader.seen, written.len());
}

fn tail(log: &Log, written: &[Written], lines: u32) {
    let kept = log.read(&From::Oldest, u32::MAX).expect("it can be read").lines.len();
    let page = log.read(&From::Tail(lines), u32::MAX).expect("a tail needs no cursor");
    let expected = &written[written.len() - kept.min(lines as usize)..];
    assert_eq!(page.lines.iter().map(told).collect::<Vec<_>>(), expected, "the last {lines} lines");
    assert!(!page.gap);
}

/// Any text, or a place that a cursor of this log could name.
fn cursor(log: &Log, from: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    if bool::arbitrary(from)? {
        return String::arbitrary(from);
    }
    let next = log.read(&From::Oldest, 0).expect("it can be read").next;
    let (epoch, _) = next.split_once(':').expect("a cursor has two parts");
    Ok(format!("{epoch}:{}", u16::arbitrary(from)?))
}

/// Any text for a cursor is refused with words, or answered with lines that were written.
fn any_cursor(log: &Log, written: &[Written], text: &str) {
    match log.read(&From::Cursor(text.to_owned()), 1_000) {
        Ok(page) => {
            let lines: Vec<Written> = page.lines.iter().map(told).collect();
            assert!(lines.is_empty() || written.windows(lines.len()).any(|part| part == lines), "a cursor {text:?} makes up lines");
            let next = log.read(&From::Cursor(page.next), 1_000).expect("the log gave this cursor itself");
            assert!(!next.gap, "what was just read is no gap");
        }
        Err(why) => assert!(why.contains("cursor"), "{why}"),
    }
}

/// The first byte says how the rest of a stream is cut into reads; its lines are the same.
fn cuts_are_the_same_however_the_bytes_come(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = door::cut(stream, true).0;
    let (mut lines, mut waiting) = (Vec::new(), Vec::new());
    for piece in stream.chunks(1 + usize::from(*size)) {
        waiting.extend_from_slice(piece);
        let (cuts, used) = door::cut(&waiting, false);
        lines.extend(cuts);
        waiting.drain(..used);
    }
    lines.extend(door::cut(&waiting, true).0);
    assert_eq!(lines, whole);
    assert!(lines.iter().all(|(text, continued)| text.len() <= LONGEST_LINE && (!continued || text.len() == LONGEST_LINE)));
}

/// Files of a log with anything in them, as a power cut or a stranger may leave them: a line is `EPOCH START SIZE`, then so many bytes.
pub(crate) fn segments(data: &[u8]) {
    let dir = directory::fresh();
    fs::create_dir(dir.path().join("log")).expect("ours");
    let _ = files(&mut Unstructured::new(data), dir.path());
    let mut log = Log::open(dir.path(), 500, 3).expect("ours");
    let whole = log.read(&From::Oldest, u32::MAX).expect("it can be read");
    let pages = paged(&log, From::Oldest, 40);
    assert_eq!(pages, whole.lines, "page by page is the whole");
    let tail = log.read(&From::Tail(3), u32::MAX).expect("it can be read").lines;
    assert!(whole.lines.ends_with(&tail), "a tail is the end of the whole");
    log.push(Origin::Err, false, b"one more");
    log.flush();
    let after = paged(&log, From::Oldest, u32::MAX);
    assert_eq!(after.last().map(|line| line.bytes.as_slice()), Some(&b"one more"[..]), "a damaged log goes on");
    let resumed = paged(&log, From::Cursor(whole.next), u32::MAX);
    assert_eq!(resumed.last().map(|line| line.bytes.as_slice()), Some(&b"one more"[..]), "a reader of a damaged log goes on");
}

fn files(from: &mut Unstructured<'_>, dir: &std::path::Path) -> arbitrary::Result<()> {
    let epoch = u32::arbitrary(from)? % 3;
    let mut start = u64::from(u32::arbitrary(from)?);
    for _ in 0..from.int_in_range(1..=3)? {
        let size = from.int_in_range(0..=300)?;
        let content = from.bytes(from.len().min(size))?;
        let epoch = if u8::arbitrary(from)? == 7 { epoch + 1 } else { epoch };
        fs::write(dir.join(format!("log/{epoch:08x}-{start:020}.log")), content).expect("ours");
        start = match u8::arbitrary(from)? {
            0 => start.saturating_add(u64::arbitrary(from)?),
            _ => start.saturating_add(content.len() as u64),
        };
    }
    Ok(())
}

/// All lines from there, read in pages; it comes to an end.
fn paged(log: &Log, mut from: From, max_bytes: u32) -> Vec<Line> {
    let mut lines = Vec::new();
    for _ in 0..10_000 {
        let page = log.read(&from, max_bytes).expect("the log gave this cursor itself");
        if page.lines.is_empty() {
            return lines;
        }
        lines.extend(page.lines);
        from = From::Cursor(page.next);
    }
    panic!("a log of a few files has no end");
}

//! What happened, on its way to everybody who follows: written once, however many read it.
//!
//! The loop only hands over ([`Feed::tell`]); a task of its own puts events into a ring that all readers share. A reader that falls behind
//! by the whole ring has missed something and is told so: nobody ever waits for it, and what it holds is bounded by the ring.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use hostler_api::EventRecord;
use hostler_store::Event;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};

use crate::ledger;

/// How far a reader may fall behind, in batches.
const RING: usize = 256;
/// Events in one batch, at most.
const BATCH: usize = 32;

/// The loop's end. Dropping it ends every stream, once all that was told is out.
pub(crate) struct Feed(mpsc::UnboundedSender<Vec<Event>>);

/// Where readers come in.
#[derive(Clone)]
pub(crate) struct Readers(broadcast::WeakSender<Arc<Batch>>);

/// A feed, and its other end.
pub(crate) fn open() -> (Feed, Readers) {
    let (tell, mut told) = mpsc::unbounded_channel::<Vec<Event>>();
    let (ring, _) = broadcast::channel(RING);
    let readers = Readers(ring.downgrade());
    tokio::spawn(async move {
        while let Some(events) = told.recv().await {
            for part in events.chunks(BATCH) {
                // Nobody may be reading.
                ring.send(Arc::new(Batch::of(part))).ok();
                // Whoever reads has to get his turn between two of many.
                tokio::task::yield_now().await;
            }
        }
    });
    (Feed(tell), readers)
}

impl Feed {
    /// Hands over what was committed. It waits for nobody.
    pub(crate) fn tell(&self, events: Vec<Event>) {
        // It is there as long as the executor is.
        self.0.send(events).ok();
    }
}

impl Readers {
    /// Everything that is told from now on; nothing when the host has ended.
    pub(crate) fn follow(&self) -> Option<broadcast::Receiver<Arc<Batch>>> {
        self.0.upgrade().map(|ring| ring.subscribe())
    }
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An [`EventItem`](hostler_api::EventItem) as JSON, ended by a newline.
    Line,
    /// A server-sent event whose data is the [`EventRecord`].
    Frame,
}

/// Events in order, and each form that somebody asked for.
#[derive(Debug)]
pub(crate) struct Batch {
    events: Vec<EventRecord>,
    lines: OnceLock<Written>,
    frames: OnceLock<Written>,
}

/// One text of all events, and where each ends in it.
#[derive(Debug)]
struct Written {
    whole: Bytes,
    ends: Vec<usize>,
}

impl Batch {
    pub(crate) fn of(events: &[Event]) -> Batch {
        Batch { events: events.iter().map(ledger::told).collect(), lines: OnceLock::new(), frames: OnceLock::new() }
    }

    /// What happened.
    pub(crate) fn events(&self) -> &[EventRecord] {
        &self.events
    }

    /// These of its events, by their places in ascending order.
    pub(crate) fn written(&self, places: &[usize], form: Form) -> Bytes {
        let written = self.form(form);
        match *places {
            [] => Bytes::new(),
            // Without a gap between them: a piece of what all readers share.
            [first, .., last] if last - first + 1 == places.len() => written.piece(first, last),
            [only] => written.piece(only, only),
            _ => {
                let mut some = BytesMut::new();
                places.iter().for_each(|place| some.put(written.piece(*place, *place)));
                some.freeze()
            }
        }
    }

    fn form(&self, form: Form) -> &Written {
        match form {
            Form::Line => self.lines.get_or_init(|| Written::of(&self.events, line)),
            Form::Frame => self.frames.get_or_init(|| Written::of(&self.events, frame)),
        }
    }
}

impl Written {
    fn of(events: &[EventRecord], write: impl Fn(&EventRecord, &mut Vec<u8>)) -> Written {
        let (mut whole, mut ends) = (Vec::with_capacity(events.len() * 384), Vec::with_capacity(events.len()));
        for event in events {
            write(event, &mut whole);
            ends.push(whole.len());
        }
        Written { whole: whole.into(), ends }
    }

    fn piece(&self, first: usize, last: usize) -> Bytes {
        let from = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.whole.slice(from..self.ends[last])
    }
}

fn line(event: &EventRecord, text: &mut Vec<u8>) {
    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "kebab-case")]
    enum Item<'a> {
        Event(&'a EventRecord),
    }
    text.extend_from_slice(json(&Item::Event(event)).as_bytes());
    text.push(b'\n');
}

fn frame(event: &EventRecord, text: &mut Vec<u8>) {
    // A line of its own may not be begun by a word from outside.
    let kind: String = event.kind.chars().filter(|c| !c.is_control()).collect();
    text.extend_from_slice(format!("id: {}\nevent: {kind}\ndata: {}\n\n", event.seq, json(event)).as_bytes());
}

/// JSON without a character that a terminal could take for more than itself: serde escapes those of ASCII, but neither `DEL` nor C1.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).expect("wire documents have no maps with odd keys");
    let is_odd = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
    if !text.contains(is_odd) {
        return text;
    }
    // They stand inside of strings, and nowhere else.
    text.chars().fold(String::with_capacity(text.len() + 16), |mut text, c| {
        if is_odd(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)))
        } else {
            text.push(c)
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, message: &str) -> Event {
        let data = serde_json::json!({ "message": message }).to_string();
        Event { seq, revision: seq, kind: "started".to_owned(), subject: "db".to_owned(), at_unix_ms: 0, data }
    }

    #[test]
    fn any_choice_of_a_batch_reads_as_its_events_one_by_one() {
        let events: Vec<Event> = (1..=4).map(|seq| event(seq, "is up")).collect();
        let batch = Batch::of(&events);
        for form in [Form::Line, Form::Frame] {
            let one = |place: usize| batch.written(&[place], form).to_vec();
            for places in [&[][..], &[0], &[3], &[0, 1, 2, 3], &[1, 2], &[0, 2], &[0, 1, 3]] {
                let apart: Vec<u8> = places.iter().flat_map(|place| one(*place)).collect();
                assert_eq!(batch.written(places, form), apart, "{places:?}");
            }
        }
        let line: hostler_api::EventItem = serde_json::from_slice(&batch.written(&[2], Form::Line)).expect("it is an item");
        assert!(matches!(line, hostler_api::EventItem::Event(event) if event.seq == 3));
    }

    #[test]
    fn no_control_character_leaves_as_itself() {
        let odd = "\u{1b}[2J \u{9b}2J \u{7f} \u{85} \n ü";
        let batch = Batch::of(&[event(7, odd)]);
        for form in [Form::Line, Form::Frame] {
            let text = String::from_utf8(batch.written(&[0], form).to_vec()).expect("it is text");
            assert_eq!(text.chars().filter(|c| c.is_control() && *c != '\n').count(), 0, "{text:?}");
            let json = text.lines().find_map(|line| line.strip_prefix("data: ").or(line.starts_with('{').then_some(line))).expect("there is JSON");
            let read: EventRecord = serde_json::from_str(json).expect("it is a record");
            assert_eq!(read.message, odd);
        }
    }

    #[tokio::test]
    async fn a_feed_that_is_dropped_ends_its_readers_behind_the_last_event() {
        let (feed, readers) = open();
        let mut reader = readers.follow().expect("it is open");
        feed.tell(vec![event(1, "first"), event(2, "last")]);
        drop(feed);
        assert_eq!(reader.recv().await.map(|batch| batch.events().len()), Ok(2));
        assert!(matches!(reader.recv().await, Err(broadcast::error::RecvError::Closed)));
        assert!(readers.follow().is_none());
    }
}

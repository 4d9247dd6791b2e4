//! I8: events are numbered without gaps, or say `gap`; and none is lost, doubled or changed.

use std::collections::BTreeMap;

use hostler_core::Notice;
use hostler_store::Store;

use super::{Judged, Watch, broken};

#[derive(Debug, Default)]
pub(super) struct Events {
    /// The newest that was told.
    last: u64,
    /// Whoever follows has read so far.
    cursor: u64,
    /// Told, and not yet followed: service, run and sentence.
    expected: BTreeMap<u64, (String, String)>,
    /// Old ones were forgotten since whoever follows last read.
    compacted: bool,
}

impl Events {
    pub(super) fn committed<'a>(&mut self, notices: impl Iterator<Item = &'a Notice>, first: Option<u64>) -> Judged {
        let before = self.last;
        for notice in notices {
            self.last += 1;
            self.expected.insert(self.last, (notice.service.to_string(), notice.message.clone()));
        }
        match first {
            Some(first) if self.last > before && first != before + 1 => {
                broken("I8", format!("the first event after {before} has the number {first}"))
            }
            None if self.last > before => broken("I8", format!("{} events have no number", self.last - before)),
            Some(_) | None => Ok(()),
        }
    }
}

impl Watch {
    pub(crate) fn compacted(&mut self) {
        self.events.compacted = true;
    }

    /// Somebody who follows reads on from where they left off.
    pub(crate) fn follow(&mut self, store: &dyn Store) -> Judged {
        let events = &mut self.events;
        loop {
            let page = match store.events(events.cursor, 100) {
                Ok(page) => page,
                Err(error) => return broken("I8", format!("events cannot be read: {error}")),
            };
            let first = page.events.first().map_or(page.last + 1, |event| event.seq);
            if (first != events.cursor + 1) != page.gap {
                return broken("I8", format!("after {} comes {first}, and the page says gap: {}", events.cursor, page.gap));
            }
            if page.gap && !events.compacted {
                return broken("I8", format!("events after {} are gone, and nobody compacted them", events.cursor));
            }
            for (index, event) in page.events.iter().enumerate() {
                let expected = events.expected.get(&event.seq);
                let same = expected.is_some_and(|(service, message)| *service == event.subject && event.data.contains(&escaped(message)));
                if event.seq != first + index as u64 || !same {
                    return broken("I8", format!("event {} is {event:?}, and {expected:?} was told", first + index as u64));
                }
            }
            events.cursor = page.next;
            if page.events.is_empty() || page.next >= page.last {
                events.expected.clear();
                events.compacted = false;
                return Ok(());
            }
        }
    }
}

/// As it stands within JSON.
fn escaped(message: &str) -> String {
    message.replace('\\', "\\\\").replace('"', "\\\"")
}

//! Several streams, each in order, as one in order.

use hostler_api::LogItem;

use super::Item;

/// The first waiting item of each stream.
#[derive(Debug)]
pub(super) struct Merge {
    heads: Vec<Option<Item>>,
    /// Of each stream, the time of its latest line: what has no time follows it.
    clocks: Vec<u64>,
}

impl Merge {
    pub(super) fn new(streams: usize) -> Merge {
        Merge { heads: (0..streams).map(|_| None).collect(), clocks: vec![0; streams] }
    }

    /// The next item of a stream whose last one was taken.
    pub(super) fn refill(&mut self, index: usize, item: Option<Item>) {
        if let Some((LogItem::Line(line), _)) = &item
            && let Some(at) = line.at
        {
            self.clocks[index] = at.0;
        }
        self.heads[index] = item;
    }

    /// The earliest of all, and whose it was; at the same time the first stream goes first.
    pub(super) fn next(&mut self) -> Option<(usize, Item)> {
        let waiting = self.heads.iter().enumerate().filter(|(_, head)| head.is_some());
        let (index, _) = waiting.min_by_key(|(index, _)| (self.clocks[*index], *index))?;
        self.heads[index].take().map(|item| (index, item))
    }
}

#[cfg(test)]
mod tests {
    use hostler_api::{LogLine, Origin};

    use super::*;

    #[test]
    fn lines_come_by_time_and_what_has_none_stays_behind_its_line() {
        let line = |service: &str, at: Option<u64>| {
            let line = LogLine::new(service, 0, at.map(hostler_api::Timestamp), Origin::Out, Vec::new());
            (LogItem::Line(line), bytes::Bytes::new())
        };
        let mut streams =
            [vec![line("a", Some(1)), line("a", None), line("a", Some(9))].into_iter(), vec![line("b", Some(2)), line("b", Some(3))].into_iter()];
        let mut merge = Merge::new(2);
        for (index, stream) in streams.iter_mut().enumerate() {
            merge.refill(index, stream.next());
        }
        let mut order = String::new();
        while let Some((index, (LogItem::Line(line), _))) = merge.next() {
            order.push_str(&format!("{}{} ", line.service, line.at.map_or(0, |at| at.0)));
            merge.refill(index, streams[index].next());
        }
        assert_eq!(order, "a1 a0 b2 b3 a9 ");
    }
}

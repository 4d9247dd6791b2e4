//! JSON with places left open for what time alone changes.

use std::io::Write;

use hostler_core::Time;
use serde::Serialize;

/// As many as a number may have.
const DIGITS: usize = 20;

/// A number of milliseconds that is filled in when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hole {
    /// How long ago that was.
    Since(Time),
    /// How long it is until then; 0 once it is over.
    Until(Time),
}

impl Hole {
    /// As the document has it: the key, and the 0 that stands in for the number. In JSON no text has unescaped quotes, and no map of ours
    /// with keys of others has numbers: this is found where it is meant, and nowhere else.
    fn mark(self) -> &'static [u8] {
        match self {
            Hole::Since(_) => br#""uptime_ms":0"#,
            Hole::Until(_) => br#""next_in_ms":0"#,
        }
    }

    fn number(self, now: Time) -> u64 {
        match self {
            Hole::Since(then) => now.since(then).0,
            Hole::Until(then) => then.since(now).0,
        }
    }
}

/// The text, without its holes, and where they are.
#[derive(Debug)]
pub(super) struct Stencil {
    text: Box<[u8]>,
    holes: Box<[(usize, Hole)]>,
}

impl Stencil {
    /// Finds the holes in this text, in their order; false where one was not found: then the text stays as it is from there on.
    pub(super) fn cut(mut text: Vec<u8>, holes: Vec<Hole>) -> (Stencil, bool) {
        let (mut cut, mut from) = (Vec::with_capacity(holes.len()), 0);
        let wanted = holes.len();
        for hole in holes {
            let mark = hole.mark();
            let Some(found) = text[from..].windows(mark.len()).position(|window| window == mark) else { break };
            let end = from + found + mark.len() - 1;
            cut.push((end, hole));
            from = end + 1;
        }
        // Each one that was taken out before it has moved it by one.
        for (taken, (at, _)) in cut.iter_mut().enumerate() {
            *at -= taken;
            text.remove(*at);
        }
        let is_whole = cut.len() == wanted;
        (Stencil { text: text.into(), holes: cut.into() }, is_whole)
    }

    /// How long it can be.
    pub(super) fn most(&self) -> usize {
        self.text.len() + self.holes.len() * DIGITS
    }

    /// Appends it as it reads now.
    pub(super) fn write(&self, now: Time, out: &mut Vec<u8>) {
        let mut from = 0;
        out.reserve(self.most());
        for (at, hole) in &self.holes {
            out.extend_from_slice(&self.text[from..*at]);
            // Nothing can go wrong in memory.
            write!(out, "{}", hole.number(now)).ok();
            from = *at;
        }
        out.extend_from_slice(&self.text[from..]);
    }
}

pub(super) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("wire documents have no maps with odd keys")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Document {
        labels: BTreeMap<&'static str, &'static str>,
        uptime_ms: Option<u64>,
        parts: Vec<Part>,
        end: &'static str,
    }

    #[derive(Serialize)]
    struct Part {
        uptime_ms: Option<u64>,
        next_in_ms: u64,
    }

    fn document(uptime: u64, next: u64) -> Document {
        let odd = [(r#""uptime_ms":0"#, r#""uptime_ms":0,"next_in_ms":0"#), ("uptime_ms", "0"), ("next_in_ms", r#"\":0"#)];
        let part = |uptime_ms| Part { uptime_ms, next_in_ms: next };
        Document { labels: odd.into(), uptime_ms: Some(uptime), parts: vec![part(None), part(Some(uptime))], end: r#""uptime_ms":0"# }
    }

    fn holes() -> Vec<Hole> {
        vec![Hole::Since(Time(1_000)), Hole::Until(Time(9_000)), Hole::Since(Time(1_000)), Hole::Until(Time(9_000))]
    }

    #[test]
    fn what_is_filled_in_is_what_would_have_been_written() {
        let (stencil, is_whole) = Stencil::cut(json(&document(0, 0)), holes());
        assert!(is_whole);
        for (now, uptime, next) in [(1_000, 0, 8_000), (1_001, 1, 7_999), (10_000, 9_000, 0)] {
            let mut text = Vec::new();
            stencil.write(Time(now), &mut text);
            assert_eq!(String::from_utf8(text), String::from_utf8(json(&document(uptime, next))));
        }
    }

    #[test]
    fn a_hole_that_is_not_there_is_told() {
        let (stencil, is_whole) = Stencil::cut(b"{}".to_vec(), holes());
        assert!(!is_whole);
        let mut text = Vec::new();
        stencil.write(Time(5), &mut text);
        assert_eq!(text, b"{}");
    }
}

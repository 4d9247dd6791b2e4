//! How an engine sends two outputs over one connection: frames with a kind and a length.

/// Where bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Out,
    Err,
}

/// Reads frames from bytes as they come; keeps nothing but a header that is not whole.
#[derive(Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    kind: Option<Kind>,
    left: usize,
}

/// What is told of frames.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Some of a frame's bytes.
    Bytes(Kind, &'a [u8]),
    /// The frame ends.
    End(Kind),
}

const HEADER: usize = 8;

impl Frames {
    /// Tells `each` of what is in these bytes. The error says what is wrong with a header.
    pub(super) fn feed<'a>(&mut self, mut bytes: &'a [u8], mut each: impl FnMut(Part<'a>)) -> Result<(), String> {
        while !bytes.is_empty() {
            let Some(kind) = self.kind else {
                let take = (HEADER - self.header.len()).min(bytes.len());
                self.header.extend_from_slice(&bytes[..take]);
                bytes = &bytes[take..];
                if self.header.len() == HEADER {
                    self.begin()?;
                    self.end(&mut each);
                }
                continue;
            };
            let take = self.left.min(bytes.len());
            self.left -= take;
            each(Part::Bytes(kind, &bytes[..take]));
            bytes = &bytes[take..];
            self.end(&mut each);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), String> {
        let kind = match self.header[0] {
            0 | 1 => Kind::Out,
            2 => Kind::Err,
            // the engine's own word about what went wrong comes as a frame of its own kind
            3 => Kind::Err,
            other => return Err(format!("a frame of the unknown kind {other}")),
        };
        let length = [self.header[4], self.header[5], self.header[6], self.header[7]];
        self.left = u32::from_be_bytes(length) as usize;
        self.kind = Some(kind);
        self.header.clear();
        Ok(())
    }

    fn end<'a>(&mut self, each: &mut impl FnMut(Part<'a>)) {
        if self.left == 0
            && let Some(kind) = self.kind.take()
        {
            each(Part::End(kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short");
        [&[kind, 0, 0, 0][..], &length.to_be_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let bytes = [frame(1, "one\n"), frame(2, ""), frame(2, "two"), frame(0, "three")].concat();
        for size in 1..=bytes.len() {
            let (mut frames, mut out, mut err, mut ends) = (Frames::default(), Vec::new(), Vec::new(), 0);
            for part in bytes.chunks(size) {
                let fed = frames.feed(part, |part| match part {
                    Part::Bytes(Kind::Out, bytes) => out.extend_from_slice(bytes),
                    Part::Bytes(Kind::Err, bytes) => err.extend_from_slice(bytes),
                    Part::End(_) => ends += 1,
                });
                assert_eq!(fed, Ok(()));
            }
            assert_eq!((out.as_slice(), err.as_slice(), ends), (&b"one\nthree"[..], &b"two"[..], 4), "{size}");
        }
        assert!(Frames::default().feed(b"HTTP/1.1", |_| ()).is_err());
    }
}

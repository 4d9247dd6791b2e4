//! Where a stream of bytes is cut into lines.

use super::MAX_LINE_BYTES;

/// One stored line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut<'a> {
    pub(crate) text: &'a [u8],
    /// The written line goes on in the next cut.
    pub(crate) continued: bool,
}

/// Cuts off all that is certain; answers the cuts and how many bytes they used.
///
/// What follows the last newline stays for later, unless the stream has `ended`: then it is a line too. A line over
/// [`MAX_LINE_BYTES`] is cut as soon as the byte after the part is there, so that a part is called continued only when it is.
pub(crate) fn cut(bytes: &[u8], ended: bool) -> (Vec<Cut<'_>>, usize) {
    let mut cuts = Vec::new();
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let window = &rest[..rest.len().min(MAX_LINE_BYTES + 1)];
        if let Some(newline) = window.iter().position(|byte| *byte == b'\n') {
            cuts.push(Cut { text: &rest[..newline], continued: false });
            used += newline + 1;
        } else if rest.len() > MAX_LINE_BYTES {
            cuts.push(Cut { text: &rest[..MAX_LINE_BYTES], continued: true });
            used += MAX_LINE_BYTES;
        } else {
            if ended && !rest.is_empty() {
                cuts.push(Cut { text: rest, continued: false });
                used += rest.len();
            }
            return (cuts, used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], ended: bool) -> (Vec<(Vec<u8>, bool)>, usize) {
        let (cuts, used) = cut(bytes, ended);
        (cuts.into_iter().map(|cut| (cut.text.to_vec(), cut.continued)).collect(), used)
    }

    #[test]
    fn whole_lines_are_cut_and_the_rest_waits() {
        assert_eq!(check(b"a\n\nbc", false), (vec![(b"a".to_vec(), false), (Vec::new(), false)], 3));
        assert_eq!(check(b"bc", true), (vec![(b"bc".to_vec(), false)], 2));
        assert_eq!(check(b"", true), (Vec::new(), 0));
    }

    #[test]
    fn a_long_line_comes_in_parts_and_only_the_last_is_not_continued() {
        let exact = vec![b'x'; MAX_LINE_BYTES];
        assert_eq!(check(&exact, false), (Vec::new(), 0), "the next byte may be the newline");
        let mut line = exact.clone();
        line.push(b'\n');
        assert_eq!(check(&line, false), (vec![(exact.clone(), false)], MAX_LINE_BYTES + 1));
        let mut longer = exact.clone();
        longer.extend_from_slice(b"y\n");
        assert_eq!(check(&longer, false), (vec![(exact, true), (b"y".to_vec(), false)], MAX_LINE_BYTES + 2));
    }
}

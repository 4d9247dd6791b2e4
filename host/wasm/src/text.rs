//! Text of guests, before anybody reads it.

/// Makes text harmless to a terminal and cuts it at `max` bytes, between characters.
pub(crate) fn escape(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        let start = out.len();
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() || is_bidi(control) => out.extend(control.escape_unicode()),
            plain => out.push(plain),
        }
        if out.len() > max {
            out.truncate(start);
            out.push('…');
            break;
        }
    }
    out
}

/// Marks that reorder the text around them.
fn is_bidi(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The bytes with every `what` replaced, unless they become more than `most`.
pub(crate) fn replaced(bytes: &[u8], what: &[u8], with: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = find(rest, what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + what.len()..];
        if out.len() + rest.len() > most {
            return None;
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// Where `what` begins in the bytes.
pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::{escape, replaced};

    #[test]
    fn text_is_harmless_to_a_terminal() {
        assert_eq!(escape("plain ünïcode", 100), "plain ünïcode");
        assert_eq!(escape("a\nb\tc", 100), "a\\nb\\tc");
        assert_eq!(escape("\x1b[31mred\x07", 100), "\\u{1b}[31mred\\u{7}");
        assert_eq!(escape("a\u{202e}b", 100), "a\\u{202e}b");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(escape("ééé", 4), "éé…");
        assert_eq!(escape("abc", 3), "abc");
        assert_eq!(escape("abcd", 3), "abc…");
    }

    #[test]
    fn what_is_replaced_stays_within_bounds() {
        let check = |bytes: &str, most: usize, expected: Option<&str>| {
            let out = replaced(bytes.as_bytes(), b"PP", b"value", most).map(|bytes| String::from_utf8(bytes).expect("text"));
            assert_eq!(out.as_deref(), expected, "{bytes}");
        };
        check("nothing", 100, Some("nothing"));
        check("aPPbPP", 100, Some("avaluebvalue"));
        check("PPPP", 10, Some("valuevalue"));
        check("PPPPPP", 11, None);
    }
}

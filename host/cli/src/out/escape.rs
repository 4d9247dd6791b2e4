//! Text of others' making, made harmless for a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every control character, and every character that reorders its neighbours, written as an escape; tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_trouble) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            c if is_trouble(c) && u32::from(c) < 0x100 => write!(shown, "\\x{:02x}", u32::from(c)).expect("a string takes all"),
            c if is_trouble(c) => write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("a string takes all"),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn is_trouble(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(visible("\x1b]0;owned\x07 a\tb\r\n"), "\\x1b]0;owned\\x07 a\tb\\r\\n");
        assert_eq!(visible("abc\u{202e}def\u{9b}2J"), "abc\\u{202e}def\\x9b2J");
        assert!(matches!(visible("grüße 🐎"), Cow::Borrowed("grüße 🐎")));
    }
}

//! Text of others' making, made harmless for a terminal.

use std::borrow::Cow;

/// The text with every control character, and every character that reorders or hides its neighbours, written as an escape; tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_trouble) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            c if is_trouble(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn is_trouble(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(visible("\x1b]0;owned\x07 a\tb\r\n"), "\\u{1b}]0;owned\\u{7} a\tb\\r\\n");
        assert_eq!(visible("abc\u{202e}def\u{9b}2J"), "abc\\u{202e}def\\u{9b}2J");
        assert_eq!(visible("a\u{200b}b"), "a\\u{200b}b");
        assert!(matches!(visible("grüße 🐎"), Cow::Borrowed("grüße 🐎")));
    }
}

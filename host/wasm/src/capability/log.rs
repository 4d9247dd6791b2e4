//! `hostler:host/log`: structured lines, escaped, cut and counted. Always granted.

use std::collections::BTreeMap;

use wasmtime::component::{HasSelf, Linker};

use super::CallState;
use crate::bindings::hostler::host::log;
use crate::hooks::Level;
use crate::scope::Scope;

const MAX_MESSAGE_BYTES: usize = 8 << 10;
const MAX_FIELDS: usize = 32;
const MAX_FIELD_BYTES: usize = 1 << 10;

/// One call's log.
pub(super) struct Log(Scope);

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, HasSelf<Log>>(linker, |call| &mut call.log)
}

pub(super) fn build(scope: &Scope) -> Log {
    Log(scope.clone())
}

impl log::Host for Log {
    async fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        let fields: BTreeMap<String, String> =
            fields.into_iter().take(MAX_FIELDS).map(|(key, value)| (escape(&key, MAX_FIELD_BYTES), escape(&value, MAX_FIELD_BYTES))).collect();
        self.0.line(loudness(level), escape(&message, MAX_MESSAGE_BYTES), fields);
    }
}

fn loudness(level: log::Level) -> Level {
    match level {
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
    }
}

/// Makes text harmless to a terminal and cuts it at `max` bytes, between characters.
pub(super) fn escape(text: &str, max: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::escape;

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
}

//! Text for a POSIX shell: what is quoted here arrives as one word, byte for byte.

use hostler_sdk::Problem;
use hostler_sdk::settings::{Text, pointer_key};
use std::collections::BTreeMap;

/// One word: `it's` becomes `'it'\''s'`. There is no quoting of a NUL; refuse it before.
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Words, with spaces between them.
pub fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Arguments of `printf` that write these bytes, whatever they are.
pub fn bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 + 2);
    text.push('\'');
    for byte in bytes {
        text.push_str(&format!("\\{byte:03o}"));
    }
    text.push('\'');
    text
}

/// Can a shell export a variable of this name?
pub fn is_variable(name: &str) -> bool {
    const OWN: [&str; 6] = ["PPID", "UID", "EUID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO"];
    let starts_well = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    starts_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !OWN.contains(&name)
}

/// A line of words is what a task's directory keeps.
pub fn one_word(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let word: String = text.chars().map(plain).collect();
    if word.is_empty() { "-".into() } else { word }
}

/// The variables of a file that no shell can export.
pub fn bad_names(env: &BTreeMap<String, Text>) -> Vec<Problem> {
    let hint = "letters, digits and `_`, no digit in front, and none of a shell's own";
    let bad = env.keys().filter(|name| !is_variable(name));
    bad.map(|name| Problem::new(format!("/env/{}", pointer_key(name)), "is no name for a variable that a shell can set").hint(hint)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn echoed(word: &str) -> Vec<u8> {
        Command::new("/bin/sh").args(["-c", &format!("printf %s {word}")]).output().expect("there is a shell").stdout
    }

    #[test]
    fn hostile_words_arrive_as_they_are() {
        for text in ["", "a b", "; id", "$(id)", "`id`", "a\nb", "-rf", "it's", "'", "''", "\\", "\\'", "\"", "*", "~", "!x", "\u{1b}[0m", "ä"] {
            assert_eq!(echoed(&word(text)), text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn any_bytes_are_printed() {
        let all: Vec<u8> = (0..=255).collect();
        let printed = Command::new("/bin/sh").args(["-c", &format!("printf {}", bytes(&all))]).output().expect("there is a shell");
        assert_eq!(printed.stdout, all);
    }

    #[test]
    fn names_that_a_shell_cannot_export_are_known() {
        assert!(is_variable("PATH") && is_variable("_x9"));
        for name in ["", "9x", "a-b", "a.b", "a=b", "a b", "PPID", "x\n", "ä"] {
            assert!(!is_variable(name), "{name}");
        }
    }
}

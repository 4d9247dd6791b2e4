use std::path::Path;

use proptest::prelude::{Strategy, any, prop, proptest};

use super::{ConfigError, Format, Look, understand};

const SAMPLES: [(Format, &str); 4] = [
    (Format::Toml, include_str!("../../../../tests/good-input/every-key.toml")),
    (Format::Yaml, include_str!("../../../../tests/good-input/every-key.yaml")),
    (Format::Yaml, include_str!("../../../../tests/good-input/words.yaml")),
    (Format::Json, include_str!("../../../../tests/good-input/every-key.json")),
];

/// Reads a text as a file of each kind would be, and draws whatever is wrong with it.
fn survive(text: &str, format: Format) {
    let base_dir = Path::new("/nowhere");
    if let Err(findings) = understand(text, format, |_| true, base_dir, &|_| None) {
        assert!(!findings.is_empty(), "a refusal says why: {text:?}");
        let error = ConfigError::new("x".to_owned(), Some(text.into()), findings);
        for look in [Look::Plain, Look::Drawn, Look::Coloured] {
            assert!(!error.render(look).is_empty());
        }
        let json = error.to_json();
        assert!(json[0]["line"].is_u64() && json[0]["column"].is_u64(), "{text:?}: {json}");
    }
}

/// Pieces that mean something to one of the formats, and some that mean nothing.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b: ",
        "c = ",
        "- ",
        "\n",
        "\n  ",
        "\n\t",
        "{",
        "}",
        "[",
        "]",
        "[[",
        "]]",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "&a ",
        "*a ",
        "<<: ",
        "<<: *a",
        "!!str ",
        "!x ",
        "? ",
        ": ",
        "|",
        "|2-\n",
        ">",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "# x\n",
        ".",
        ",",
        "${",
        "${A}",
        "$$",
        "1e999",
        "0x",
        "-",
        "é",
        "😀",
        "\u{feff}",
        "\r\n",
        "\u{0}",
        "\u{1b}",
        "\u{2028}",
        "\\",
        "\\u0000",
        "services",
        "env_file",
        "env",
        "backend",
        "null",
        "2024-01-01",
        "99999999999999999999",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>()) {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            survive(&text, format);
        }
    }

    #[test]
    fn no_pieces_make_a_reader_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            survive(&text, format);
        }
    }

    #[test]
    fn no_damage_to_a_good_file_makes_a_reader_panic(
        sample in 0..SAMPLES.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..20_usize, prop::collection::vec(piece(), 0..3)), 1..4),
    ) {
        let (format, text) = SAMPLES[sample];
        let mut text: Vec<char> = text.chars().collect();
        for (at, length, instead) in cuts {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, instead.concat().chars());
        }
        survive(&text.into_iter().collect::<String>(), format);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_before_anybody_reads_them() {
    let dir = tempfile::tempdir().expect("a directory");
    for (index, bytes) in [&b"\xff\xfe"[..], b"a = \"\xc3\"", b"\xed\xa0\x80", b"\x80", b"ok = 1\n\xf0\x9f"].into_iter().enumerate() {
        for kind in ["toml", "yaml", "json"] {
            let path = dir.path().join(format!("{index}.{kind}"));
            std::fs::write(&path, bytes).expect("written");
            let error = super::load(&path, &|_| None).expect_err("no text");
            assert!(error.to_string().contains("not UTF-8"), "{error}");
        }
    }
}

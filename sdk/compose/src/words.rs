//! The small words of Compose: lengths of time, sizes, shares of a core, and command lines.

use crate::template::Template;

/// A length of time in Go's form (`1h30m`, `1.5s`, `500ms`, `10us`), in milliseconds, rounded up.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut nanos: f64 = 0.0;
    let mut parts = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        nanos += number
            * match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 6e10,
                "h" => 3.6e12,
                "d" => 8.64e13,
                "w" => 6.048e14,
                _ => return None,
            };
        rest = &rest[end..];
        parts += 1;
    }
    let millis = (nanos / 1e6).ceil();
    (parts > 0 && millis <= 10_000.0 * 86_400_000.0).then_some(millis as u64)
}

/// The host's form: `1m30s`, `500ms`.
pub(crate) fn span(millis: u64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut rest = millis;
    let mut text = String::new();
    for (size, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if rest >= size {
            text.push_str(&format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    text
}

/// A size in bytes: `512m`, `1.5gb`, `64 MiB`, a number.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let shift = match text[end..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let size = number * f64::from(1_u32 << (shift / 2)) * f64::from(1_u32 << (shift / 2));
    (size <= (1_u64 << 60) as f64).then_some(size as u64)
}

/// The shortest way to write a size.
pub(crate) fn size(bytes: u64) -> String {
    for (shift, name) in [(30, "Gi"), (20, "Mi"), (10, "Ki")] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{name}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// Cores as a number in thousandths: `0.5`, `2`.
pub(crate) fn cpu(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|cores| cores.is_finite() && *cores >= 0.0 && *cores <= 4_096.0)
}

/// Yes or no, as Compose reads texts.
pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A signal by name or number, and whether the host itself has the name.
pub(crate) fn signal(text: &str) -> Option<(String, bool)> {
    const OURS: [&str; 16] =
        ["HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "USR2", "PIPE", "ALRM", "TERM", "CHLD", "CONT", "STOP", "TSTP", "WINCH", "PWR"];
    const NUMBERS: [(&str, &str); 9] =
        [("1", "HUP"), ("2", "INT"), ("3", "QUIT"), ("6", "ABRT"), ("9", "KILL"), ("10", "USR1"), ("12", "USR2"), ("15", "TERM"), ("28", "WINCH")];
    let upper = text.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let bare = NUMBERS.iter().find(|(number, _)| *number == bare).map_or(bare, |(_, name)| name);
    let like = bare.starts_with(|c: char| c.is_ascii_uppercase()) && bare.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '+');
    (like && bare.len() <= 12).then(|| (format!("SIG{bare}"), OURS.contains(&bare)))
}

/// Splits a command line into words as a shell does; a variable is part of its word, whatever its value.
///
/// # Errors
/// A quote that is never closed.
pub(crate) fn shell_words(line: &Template) -> Result<Vec<Template>, String> {
    let mut words: Vec<Template> = Vec::new();
    let mut word: Option<Template> = None;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (c, variable) in line.pieces() {
        let Some(c) = c else {
            word.get_or_insert_default().append(variable);
            escaped = false;
            continue;
        };
        let mut put = |text: &str| word.get_or_insert_default().push_str(text);
        if escaped {
            escaped = false;
            match quote {
                Some(_) if !matches!(c, '"' | '\\' | '$' | '`' | '\n') => put(&format!("\\{c}")),
                _ if c == '\n' => {}
                _ => put(c.encode_utf8(&mut [0; 4])),
            }
            continue;
        }
        match (quote, c) {
            (None | Some('"'), '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                put("");
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            _ => put(c.encode_utf8(&mut [0; 4])),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("the quote {quote} is never closed"));
    }
    if escaped {
        word.get_or_insert_default().push_str("\\");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_go_reads_them() {
        for (text, expected, shown) in [
            ("1m30s", 90_000, "1m30s"),
            ("1.5s", 1_500, "1s500ms"),
            ("500ms", 500, "500ms"),
            ("10us", 1, "1ms"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("90s", 90_000, "1m30s"),
            ("1h0m0s", 3_600_000, "1h"),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
            assert_eq!(span(expected), shown, "{text}");
        }
        for text in ["", "10", "s", "soon", "1..5s", "-1s", "999999999h"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_the_engine_reads_them() {
        for (text, expected, shown) in [
            ("512m", 512 << 20, "512Mi"),
            ("1.5gb", 1536 << 20, "1536Mi"),
            ("64 MiB", 64 << 20, "64Mi"),
            ("1000", 1000, "1000"),
            ("2G", 2 << 30, "2Gi"),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
            assert_eq!(size(expected), shown, "{text}");
        }
        for text in ["", "m", "-1", "1x", "1e9", "9999999t"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn signals_have_names() {
        for (text, expected) in [
            ("SIGINT", Some(("SIGINT", true))),
            ("quit", Some(("SIGQUIT", true))),
            ("15", Some(("SIGTERM", true))),
            ("SIGRTMIN+3", Some(("SIGRTMIN+3", false))),
        ] {
            assert_eq!(signal(text), expected.map(|(name, ours)| (name.to_owned(), ours)), "{text}");
        }
        for text in ["", "99", "SIG", "soft kill"] {
            assert_eq!(signal(text), None, "{text}");
        }
    }

    fn words(line: &str) -> Result<Vec<String>, String> {
        let template = Template::parse(line).expect("good variables");
        Ok(shell_words(&template)?.iter().map(|word| word.write(&|_| Some("v".to_owned())).text).collect())
    }

    #[test]
    fn a_line_is_split_as_a_shell_splits_it() {
        for (line, expected) in [
            ("nginx -g 'daemon off;'", vec!["nginx", "-g", "daemon off;"]),
            ("a \"b c\"d e\\ f ''", vec!["a", "b cd", "e f", ""]),
            ("  --user ${USER} -p$PORT  ", vec!["--user", "${USER}", "-p${PORT}"]),
            ("a \"\\n\\\"\"", vec!["a", "\\n\""]),
            ("one\n  two \\\n three", vec!["one", "two", "three"]),
        ] {
            assert_eq!(words(line), Ok(expected.into_iter().map(str::to_owned).collect()), "{line}");
        }
        assert!(words("a 'b").is_err());
    }
}

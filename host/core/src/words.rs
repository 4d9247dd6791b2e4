//! Words that several rooms read, by one rule.

/// Reads a size in bytes: `k`, `m`, `g`, `t` and `Ki`, `Mi`, `Gi`, `Ti` count in 1,024s, in any case, with or without a `B` behind them.
/// None when it is no size, or more than 2^60 bytes.
///
/// ```
/// # use hostler_core::parse_size;
/// assert_eq!(parse_size("64Mi"), Some(64 << 20));
/// assert_eq!(parse_size("0.5g"), Some(512 << 20));
/// assert_eq!(parse_size("64 flops"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let shift = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        "t" | "tb" | "ti" | "tib" => 40,
        _ => return None,
    };
    let (whole, part) = match text[..end].split_once('.') {
        Some((whole, part)) if shift > 0 => (whole, part),
        Some(_) => return None,
        None => (&text[..end], ""),
    };
    // nine digits behind the point are finer than a byte of a gigabyte
    let part = &part[..part.len().min(9)];
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let bytes = digits.checked_mul(1 << shift)? / 10_u128.pow(u32::try_from(part.len()).ok()?);
    u64::try_from(bytes).ok().filter(|bytes| *bytes <= 1 << 60)
}

/// `1 time`, `2 times`.
pub(crate) fn times(count: u32) -> String {
    if count == 1 { "1 time".to_owned() } else { format!("{count} times") }
}

/// The rule for a plugin's name, which stands on logs and processes: a letter first, then `[a-z0-9-]`, at most 39 bytes.
///
/// # Errors
/// A sentence that says which character or length is wrong, and after a semicolon what is allowed.
pub fn check_plugin_name(name: &str) -> Result<(), String> {
    let allowed = "use a-z, 0-9 and -, starting with a letter, at most 39 characters";
    match name.chars().next() {
        None => return Err(format!("a plugin name is empty; {allowed}")),
        Some(first) if !first.is_ascii_lowercase() => return Err(format!("plugin name {name:?} starts with {first:?}; {allowed}")),
        Some(_) => {}
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit() && *c != '-') {
        return Err(format!("plugin name {name:?} contains {bad:?}; {allowed}"));
    }
    if name.len() > 39 {
        return Err(format!("plugin name {name:?} has {} characters; {allowed}", name.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_size(text), expected, "{text}");
        check("1024", Some(1024));
        check("64M", Some(64 << 20));
        check("64m", Some(64 << 20));
        check("2 GiB", Some(2 << 30));
        check("1.5k", Some(1536));
        check(".5k", Some(512));
        check("0.0000000000001t", Some(0));
        check("1.5", None);
        check("1.2.3k", None);
        check("k", None);
        check("", None);
        check("64 flops", None);
        check("-1", None);
        check("99999999999Gi", None);
        check(&"9".repeat(60), None);
    }

    #[test]
    fn a_plugins_name_says_what_is_wrong_with_it() {
        let check = |name: &str, words: &str| {
            let why = check_plugin_name(name).expect_err(name);
            assert!(why.contains(words), "{why}");
        };
        assert_eq!(check_plugin_name("my-check2"), Ok(()));
        check("", "is empty");
        check("2nd", "starts with '2'");
        check("my_check", "contains '_'");
        check("../http", "starts with '.'");
        check(&"x".repeat(40), "has 40 characters");
    }
}

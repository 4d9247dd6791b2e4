//! What a word of YAML means: the core schema of YAML 1.2, in which `yes`, `no`, `on` and `off` are texts.

use saphyr_parser::ScalarStyle;
use serde_json::Number;

use super::Data;

/// Only a plain word can be anything else than a text, unless a tag says so.
///
/// A number that begins with a needless zero stays a text: YAML 1.1 would read `0644` as octal, 1.2 as 644, and who writes it means neither.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Data, String> {
    let plain = style == ScalarStyle::Plain;
    let read = |as_what: &str, data: Option<Data>| data.ok_or_else(|| format!("this is not {as_what}, as its tag says"));
    match tag {
        Some("str" | "map" | "seq") => Ok(Data::Text(text.to_owned())),
        Some("int") => read("a whole number", integer(text).map(Data::Number)),
        Some("float") => read("a number", float(text).and_then(Number::from_f64).map(Data::Number)),
        Some("bool") => read("true or false", flag(text).map(Data::Flag)),
        Some("null") => read("null", is_null(text).then_some(Data::Null)),
        _ if plain => resolve_plain(text),
        _ => Ok(Data::Text(text.to_owned())),
    }
}

fn resolve_plain(text: &str) -> Result<Data, String> {
    if is_null(text) {
        return Ok(Data::Null);
    }
    if let Some(flag) = flag(text) {
        return Ok(Data::Flag(flag));
    }
    if let Some(number) = integer(text) {
        return Ok(Data::Number(number));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.len() > 18 && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0') {
        return Err("this whole number is too large for 64 bits".to_owned());
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err("infinity and not-a-number mean nothing here".to_owned());
    }
    match float(text) {
        Some(number) => Number::from_f64(number).map(Data::Number).ok_or_else(|| "this number is too large".to_owned()),
        None => Ok(Data::Text(text.to_owned())),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let needless_zero = digits.len() > 1 && digits.starts_with('0');
    if digits.is_empty() || needless_zero || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse::<i64>().ok().map(Number::from).or_else(|| text.parse::<u64>().ok().map(Number::from))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, power) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let needless_zero = whole.len() > 1 && whole.starts_with('0');
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) || needless_zero {
        return None;
    }
    if power.is_some_and(|power| {
        let power = power.strip_prefix(['-', '+']).unwrap_or(power);
        power.is_empty() || !digits(power)
    }) {
        return None;
    }
    text.parse().ok()
}

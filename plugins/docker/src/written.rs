//! Reading what people write in more than one way: each mistake at its own JSON pointer, with what to write instead.

use hostler_sdk::settings::pointer_key;
use hostler_sdk::{Problem, Value};

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub(crate) value: &'a Value,
    pub(crate) pointer: String,
}

/// What is wrong so far.
pub(crate) type Problems = Vec<Problem>;

impl<'a> At<'a> {
    pub(crate) fn new(pointer: &str, value: &'a Value) -> Self {
        At { value, pointer: pointer.to_owned() }
    }

    /// Something wrong here.
    pub(crate) fn wrong(&self, message: impl Into<String>, hint: &str) -> Problem {
        Problem::new(&self.pointer, message).hint(hint)
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<impl Iterator<Item = At<'a>> + use<'a>> {
        let items = self.value.as_array()?;
        let pointer = self.pointer.clone();
        Some(items.iter().enumerate().map(move |(index, value)| At { value, pointer: format!("{pointer}/{index}") }))
    }

    /// The entries of a table, by their keys.
    pub(crate) fn entries(&self) -> Option<impl Iterator<Item = (&'a str, At<'a>)> + use<'a>> {
        let entries = self.value.as_object()?;
        let pointer = self.pointer.clone();
        Some(entries.iter().map(move |(key, value)| (key.as_str(), At { value, pointer: format!("{pointer}/{}", pointer_key(key)) })))
    }

    /// Is it a table with no other keys than these? Says so of each that is another.
    pub(crate) fn has_only(&self, keys: &[&str], problems: &mut Problems) -> bool {
        let before = problems.len();
        for (key, at) in self.entries().into_iter().flatten().filter(|(key, _)| !keys.contains(key)) {
            problems.push(at.wrong(format!("unknown key `{}`", key.escape_debug()), &format!("known keys: {}", keys.join(", "))));
        }
        problems.len() == before
    }

    /// An entry of a table.
    pub(crate) fn get(&self, key: &str) -> Option<At<'a>> {
        let value = self.value.as_object()?.get(key)?;
        Some(At { value, pointer: format!("{}/{}", self.pointer, pointer_key(key)) })
    }

    /// A text; a number counts as one.
    pub(crate) fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        }
    }
}

/// Notes a mistake, and goes on without the value.
pub(crate) fn noted<T>(result: Result<T, Problem>, problems: &mut Problems) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// A flag under a key, false when absent.
pub(crate) fn flag(table: &At<'_>, key: &str, problems: &mut Problems) -> bool {
    let Some(at) = table.get(key) else { return false };
    at.value.as_bool().unwrap_or_else(|| {
        problems.push(at.wrong("is no flag", "write true or false"));
        false
    })
}

/// A text under a key.
pub(crate) fn text(table: &At<'_>, key: &str, problems: &mut Problems) -> Option<String> {
    let at = table.get(key)?;
    let text = at.text();
    if text.is_none() {
        problems.push(at.wrong("is no text", "write it in quotes"));
    }
    text
}

/// Bytes: `512m`, `64Mi`, `1.5g`, or a plain number. All units are powers of 1024, as Docker has them.
pub(crate) fn bytes(at: &At<'_>) -> Result<u64, Problem> {
    const HINT: &str = "a number of bytes, or one with a unit: \"512m\", \"64Mi\", \"1.5g\"";
    let wrong = |what: &str| at.wrong(what, HINT);
    let text = at.text().ok_or_else(|| wrong("is no size"))?;
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong(&format!("`{}` is no size", text.escape_debug()))),
    };
    let refused = || wrong(&format!("`{}` is no size", text.escape_debug()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 6 || number.matches('.').count() > 1 {
        return Err(refused());
    }
    let unit = 1024_u64.pow(power);
    let whole: u64 = whole.parse().map_err(|_| refused())?;
    let scale = 10_u64.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().map_err(|_| refused())? };
    let part = u64::try_from(u128::from(part) * u128::from(unit) / u128::from(scale)).unwrap_or(u64::MAX);
    // An engine counts in signed 64 bits.
    let bytes = whole.checked_mul(unit).and_then(|whole| whole.checked_add(part)).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| wrong(&format!("`{}` is more than any machine has", text.escape_debug())))
}

/// A length of time in milliseconds: `500ms`, `30s`, `1m30s`.
pub(crate) fn millis(at: &At<'_>) -> Result<u64, Problem> {
    let wrong = || at.wrong(format!("{} is no length of time", at.value), "a number with its unit: \"500ms\", \"30s\", \"1m30s\"");
    let text = at.value.as_str().ok_or_else(wrong)?;
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let scale = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        rest = &rest[unit..];
        total = number.checked_mul(scale).and_then(|millis| total.checked_add(millis)).ok_or_else(wrong)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        text.parse().unwrap_or_else(|_| Value::String(text.to_owned()))
    }

    #[test]
    fn sizes_are_dockers() {
        let check = |text: &str, expected: u64| assert_eq!(bytes(&At::new("", &json(text))), Ok(expected), "{text}");
        check("1048576", 1 << 20);
        check("\"512m\"", 512 << 20);
        check("\"64Mi\"", 64 << 20);
        check("\"1.5g\"", 3 << 29);
        check("\"100 KB\"", 100 << 10);
        check("\"2GiB\"", 2 << 30);
        for text in ["\"\"", "\"m\"", "\"1x\"", "\"-1m\"", "1.5", "true", "\"1.2.3g\"", "\"99999999t\"", "\".5g\"", "\"1 m m\"", "\"0x10\""] {
            let problem = bytes(&At::new("/shm_size", &json(text))).expect_err(text);
            assert_eq!(problem.at, "/shm_size");
            assert!(problem.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_have_units() {
        let check = |text: &str, expected: u64| assert_eq!(millis(&At::new("", &json(text))), Ok(expected), "{text}");
        check("\"500ms\"", 500);
        check("\"1m30s\"", 90_000);
        check("\"2h\"", 7_200_000);
        for text in ["\"\"", "\"30\"", "30", "\"s\"", "\"1d\"", "\"-1s\"", "\"1s 2\"", "\"99999999999999999999s\""] {
            assert!(millis(&At::new("", &json(text))).is_err(), "{text}");
        }
    }
}

//! Points and lengths of time, handed in by the caller: the core never asks a clock.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds of a clock that never jumps (the host hands in `CLOCK_BOOTTIME`).
///
/// Two points may be compared only when they come from the same boot of the same machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub u64);

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span(pub u64);

impl Time {
    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A length in whole seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(secs.saturating_mul(1000))
    }

    /// A length in milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(millis)
    }

    /// Reads `30s`, `500ms`, `10m`, `1h30m`, `2d`; the units are `ms`, `s`, `m`, `h`, `d`, largest first or not.
    ///
    /// ```
    /// # use hostler_core::Span;
    /// assert_eq!(Span::parse("1m30s"), Ok(Span::secs(90)));
    /// assert!(Span::parse("soon").is_err());
    /// ```
    ///
    /// # Errors
    /// A sentence that says what is wrong, when it is not a length or is longer than 10,000 days.
    pub fn parse(text: &str) -> Result<Span, String> {
        let wrong = || format!("`{text}` is not a length of time; write 500ms, 30s, 10m, 1h30m or 2d");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let factor: u64 = match &rest[..unit_end] {
                "ms" => 1,
                "s" | "sec" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            rest = &rest[unit_end..];
            total = number.checked_mul(factor).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
        }
        if total > 10_000 * 86_400_000 {
            return Err(format!("`{text}` is longer than 10,000 days"));
        }
        Ok(Span(total))
    }
}

impl fmt::Display for Span {
    /// The form that [`Span::parse`] reads, exactly: `1h30m`, `2s500ms`, `1h5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (size, name) in units {
            if rest >= size {
                write!(f, "{}{name}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0s", 0), ("1m", 60_000)] {
            assert_eq!(Span::parse(text), Ok(Span(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_length() {
        for text in ["", "s", "10", "-1s", "1.5s", "1y", "99999999999999999999s", "20000d", "1s x"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["30s", "500ms", "1h30m", "2d", "0s", "2s500ms", "1h5s", "1d2h3m4s5ms"] {
            assert_eq!(Span::parse(text).expect("a length").to_string(), text);
        }
    }
}

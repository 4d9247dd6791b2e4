//! Times as engines write them: RFC 3339 with nanoseconds.

/// Nanoseconds since 1970; nothing of what is no time, or was never: engines write the year 1 for it.
pub(super) fn nanos(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let fine = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60 && (1970..=9999).contains(&year);
    if !fine || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().ok()? };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// Milliseconds since 1970.
pub(super) fn millis(text: &str) -> Option<u64> {
    nanos(text).map(|nanos| nanos / 1_000_000)
}

/// As a query of Docker's API has it.
pub(super) fn since(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// Days from 1970 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(nanos(text), expected, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-11-21T22:30:25.000000001Z", Some(1_795_300_225_000_000_001));
        check("2026-11-21T22:30:25.5Z", Some(1_795_300_225_500_000_000));
        check("2024-02-29T12:00:00+01:30", Some(1_709_202_600_000_000_000));
        check("0001-01-01T00:00:00Z", None);
        check("2026-13-21T22:30:25Z", None);
        check("2026-11-21T22:30:25.0000000001Z", None);
        check("yesterday", None);
        check("", None);
        check("2026-11-21T22:30:25é", None);
        assert_eq!(since(1_795_300_225_000_000_001), "1795300225.000000001");
    }
}

//! Times as systemd prints them.

use wasip2::clocks::wall_clock;

/// Unix time in milliseconds of `Sat 2026-11-21 15:23:09.123456 UTC`; the fraction may be absent. Nothing where there is no time.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let mut words = text.split(' ');
    let (_, date, clock, zone) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    let thousandths = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let millis = (((days(year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + thousandths;
    u64::try_from(millis).ok().filter(|_| zone == "UTC")
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Unix time now, in milliseconds.
pub(crate) fn now() -> u64 {
    let now = wall_clock::now();
    now.seconds * 1000 + u64::from(now.nanoseconds / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn times_are_read_with_and_without_a_fraction() {
        assert_eq!(millis("Thu 1970-01-01 00:00:00 UTC"), Some(0));
        assert_eq!(millis("Sat 2026-11-21 15:24:32.199300 UTC"), Some(1_795_274_672_199));
        assert_eq!(millis("Thu 2024-02-29 23:59:59.9 UTC"), Some(1_709_251_199_900));
        for text in ["", "n/a", "Sat 2026-11-21 15:23:09 CET", "Sat 2026-11 15:23:09 UTC", "a b c d"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}

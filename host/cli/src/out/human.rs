//! Figures as people read them.

use hostler_api::Timestamp;
use jiff::tz::TimeZone;

/// A length of time in one or two units: `412ms`, `12.3s`, `3m12s`, `2h05m`, `3d04h`.
pub(crate) fn elapsed(ms: u64) -> String {
    let secs = ms / 1_000;
    match secs {
        0 => format!("{ms}ms"),
        1..60 => format!("{secs}.{}s", ms % 1_000 / 100),
        60..3_600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h{:02}m", secs / 3_600, secs / 60 % 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs / 3_600 % 24),
    }
}

/// How long ago that was, by this machine's clock.
pub(crate) fn age(at: Timestamp) -> String {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    elapsed(now.saturating_sub(at.0))
}

/// A size in binary units: `512 B`, `12.0 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1_024 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) * 10;
    let mut unit = "";
    for name in units {
        tenths /= 1_024;
        unit = name;
        if tenths < 10_240 {
            break;
        }
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// `99.5 %`; of what is not known, a dash.
pub(crate) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} %"))
}

/// The time of day here.
pub(crate) fn clock(at: Timestamp, zone: &TimeZone) -> String {
    local(at, zone, "%H:%M:%S%.3f")
}

/// Date and time of day here.
pub(crate) fn stamp(at: Timestamp, zone: &TimeZone) -> String {
    local(at, zone, "%Y-%m-%d %H:%M:%S")
}

fn local(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    let here = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    here.map_or_else(|| at.to_string(), |here| here.to_zoned(zone.clone()).strftime(format).to_string())
}

/// The zone that people here live in: what `TZ` says, else this machine's.
///
/// The machine's is read from its one file: the library, asked for it, looks through all the zones there are first, which takes longer
/// than the rest of a command.
pub(crate) fn local_zone() -> TimeZone {
    let file = if std::env::var_os("TZ").is_some() { None } else { std::fs::read("/etc/localtime").ok() };
    file.and_then(|file| TimeZone::tzif("local", &file).ok()).unwrap_or_else(TimeZone::system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        let shown = [0, 449, 12_345, 59_999, 60_000, 192_000, 7_500_000, 273_600_000].map(elapsed);
        assert_eq!(shown, ["0ms", "449ms", "12.3s", "59.9s", "1m00s", "3m12s", "2h05m", "3d04h"]);
    }

    #[test]
    fn sizes_have_one_digit() {
        let shown = [0, 1_023, 1_024, 12 << 20, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "12.0 MiB", "15.9 EiB"]);
    }

    #[test]
    fn times_are_shown_in_the_zone_asked_for() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(clock(Timestamp(1_761_105_600_250), &zone), "06:00:00.250");
        assert_eq!(stamp(Timestamp(1_761_105_600_250), &zone), "2025-10-22 06:00:00");
        assert_eq!(clock(Timestamp(u64::MAX), &zone), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_zone_is_the_one_that_the_library_finds() {
        let now = jiff::Timestamp::now();
        assert_eq!(local_zone().to_offset(now), TimeZone::system().to_offset(now));
    }
}

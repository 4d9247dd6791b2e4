//! The host's own stopwatch, from its log: one line for each restart, with target `hostler::laps`.

use std::path::Path;

use crate::Fallible;

/// Filter of the host's log that lets these lines through.
pub(crate) const FILTER: &str = "warn,hostler::laps=debug";

/// Where the time of one restart went inside the host, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lap {
    /// When it was over and written down, as a time of the day.
    pub(crate) at: u64,
    /// From the hint that something ended to having looked at it.
    pub(crate) look: u64,
    /// To the decision.
    pub(crate) decide: u64,
    /// Until the intent was on the disk.
    pub(crate) commit: u64,
    /// Until the plugin had started it, and the loop had heard so.
    pub(crate) call: u64,
}

impl Lap {
    /// All of it.
    pub(crate) fn inside(&self) -> u64 {
        self.look + self.decide + self.commit + self.call
    }
}

/// The laps of one service in a host's log, in their order.
pub(crate) fn read(log: &Path, service: &str) -> Fallible<Vec<Lap>> {
    let text = std::fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let whose = format!("service=\"{service}\"");
    Ok(text.lines().filter(|line| line.contains(&whose)).filter_map(lap).collect())
}

/// `2026-11-21T06:31:48.476733Z DEBUG restarted service="crasher" look_us=294 decide_us=57 commit_us=425 call_us=15900`
fn lap(line: &str) -> Option<Lap> {
    let (_, time) = line.split_whitespace().next()?.strip_suffix('Z')?.split_once('T')?;
    let field = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse::<u64>().ok()).map(|micros| micros * 1_000);
    Some(Lap {
        at: time_of_day(time)?,
        look: field("look_us=")?,
        decide: field("decide_us=")?,
        commit: field("commit_us=")?,
        call: field("call_us=")?,
    })
}

/// `06:31:48.476733`, in nanoseconds.
fn time_of_day(text: &str) -> Option<u64> {
    let (clock, fraction) = text.split_once('.')?;
    let seconds = clock.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))?;
    let nanos: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Some(seconds * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_a_lap() {
        let line = r#"2026-11-21T06:31:48.476733Z DEBUG restarted service="crasher" look_us=294 decide_us=57 commit_us=425 call_us=15900"#;
        let at = ((6 * 60 + 31) * 60 + 48) * 1_000_000_000 + 476_733_000;
        let found = lap(line).expect("a lap");
        assert_eq!(found, Lap { at, look: 294_000, decide: 57_000, commit: 425_000, call: 15_900_000 });
        assert_eq!(found.inside(), 16_676_000);
    }

    #[test]
    fn other_lines_are_none() {
        for line in
            ["", "hostler 0.1.0 serves /x, pid 7", "2026-11-21T06:31:48Z DEBUG restarted look_us=1", "2026-11-21T06:31:48.1Z WARN lost look_us=x"]
        {
            assert_eq!(lap(line), None, "{line}");
        }
    }
}
